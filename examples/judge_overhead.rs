//! What judging costs beside the kernel's own calls: `judge_overhead [COUNT]`.
//!
//! For each kernel a candidate is started in a fresh process, checked in the first tier (two families, each twice over
//! other garbage) and ended, so many times; a line tells the median milliseconds of all that less its own calls.
//! Invariant: the candidate passes, so nothing is left out.

#![expect(clippy::print_stdout, reason = "its result is a line")]
#![expect(clippy::disallowed_methods, reason = "it measures the judge, which owns no clock")]

#[path = "support/kernels.rs"]
mod kernels;

use std::error::Error;
use std::time::Instant;
use tilewright::autotune::judge::Judge;
use tilewright::autotune::launch::{Session, SessionOptions};

/// Kernels whose outputs have up to 1 MiB.
const KERNELS: [&str; 4] = ["matmul 128^3", "matmul 512^3", "softmax 256x1024", "rmsnorm 128x1024"];

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(31), |count| count.parse())?;
    for name in KERNELS {
        let bound = kernels::bound(name)?;
        let (schedule, _) = bound.schedule()?;
        let artifact = bound.artifact(&schedule)?;
        let mut judge = Judge::new(bound.graph(), 1);
        let mut taken = vec![];
        for _ in 0..count {
            let start = Instant::now();
            let mut session = Session::start(&artifact, &SessionOptions::default())?;
            let begun = start.elapsed();
            let passed = judge.check_first(&mut session).map_err(|why| why.to_string())?;
            let calls_ns: f64 = passed.calls_ns.iter().sum();
            let checked = start.elapsed();
            drop(session);
            let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
            let all = ms(start.elapsed());
            taken.push([all - calls_ns / 1e6, ms(begun), all - ms(checked), calls_ns / 1e6]);
        }
        let median = |part: usize| {
            let mut times: Vec<f64> = taken.iter().map(|parts| parts[part]).collect();
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let [overhead, start, end, calls] = [0, 1, 2, 3].map(median);
        println!(
            "{name}: {overhead:.2} ms beside {calls:.2} ms of calls; of it {start:.2} ms to start, {end:.2} ms to end"
        );
    }
    Ok(())
}
