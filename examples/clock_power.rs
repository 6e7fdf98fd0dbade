//! What `compare` can tell: `clock_power TRIALS SECONDS`.
//!
//! A schedule is compared with itself, so many times for each kernel. A trial is right if it says tie; with the samples of one
//! side taken as 3 % longer than they are, it is right if it says so. A line tells how often both were. Invariant: the samples
//! are those of two processes that ran in turns; nothing but the 3 % is made up.

#![expect(clippy::print_stdout, reason = "its result is a line")]

#[path = "support/kernels.rs"]
mod kernels;

use std::error::Error;
use std::sync::atomic::AtomicBool;
use tilewright::autotune::clock::against::Verdict;
use tilewright::autotune::clock::paired_groups;
use tilewright::autotune::store::Store;
use tilewright::autotune::tune::{TuneOptions, compare};

/// The difference that has to be seen, and the smallest that counts.
const DIFFERENCE: f64 = 1.03;
const EFFECT_MIN: f64 = 0.01;

const KERNELS: [&str; 3] = ["matmul 256^3", "softmax 256x1024", "rmsnorm 128x1024"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let trials: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    for name in KERNELS {
        let mut bound = kernels::bound(name)?;
        bound.set_threads_max(Some(1));
        let schedule = bound.forms().default_schedule();
        let (mut ties, mut seen, mut unlike) = (0, 0, vec![]);
        for seed in 0..trials {
            let mut store = Store::in_memory()?;
            let options = TuneOptions { budget_seconds: seconds, seed, ..TuneOptions::default() };
            let (backend, graph) = (bound.backend(), bound.graph());
            let both = [schedule.clone(), schedule.clone()];
            let limits = (EFFECT_MIN, &AtomicBool::new(false));
            let compared = compare(backend, graph, &options, &mut store, both, limits)?;
            ties += u64::from(compared.verdict == Some(Verdict::Tie));
            unlike.extend(compared.ratio.map(|ratio| (ratio.estimate - 1.0).abs()));
            let mut groups = compared.groups;
            for (_, other) in &mut groups {
                other.iter_mut().for_each(|sample| *sample *= DIFFERENCE);
            }
            let ratio = paired_groups(&groups, seed);
            let verdict = ratio.map(|ratio| ratio.verdict(EFFECT_MIN));
            seen += u64::from(verdict == Some(Verdict::Faster));
        }
        unlike.sort_by(f64::total_cmp);
        let median = unlike.get(unlike.len() / 2).copied().unwrap_or(f64::NAN);
        println!(
            "{name}: {ties} of {trials} ties, {seen} of {trials} with 3 % called, medians {:.2} % from 1",
            100.0 * median
        );
    }
    Ok(())
}
