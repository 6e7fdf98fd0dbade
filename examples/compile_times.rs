//! How long candidates take to lower and to compile: medians over random schedules of every catalogue kernel.
//!
//! `cargo run --release --example compile_times -- 100` prints one JSON object for each kernel at its default sizes.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(clippy::disallowed_methods, reason = "it measures the compiler, not a kernel")]

use rand::SeedableRng as _;
use std::time::Instant;
use tilewright::{Kernel, kernels};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100), |count| count.parse())?;
    for entry in kernels::all() {
        let kernel = Kernel::parse(entry.source)?;
        let (set, _) = &kernel.size_sets()[0];
        let bound = kernel.bind_set(set)?;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let (mut lower_ms, mut compile_ms) = (vec![], vec![]);
        for _ in 0..count {
            let schedule = bound.space().sample(&mut rng);
            let start = Instant::now();
            let program = bound.lower(&schedule)?;
            lower_ms.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            bound.backend().compile(&program)?;
            compile_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let (lower, compile) = (quantiles(lower_ms), quantiles(compile_ms));
        println!(
            r#"{{"kernel":"{}","schedules":{count},"lower_ms":{{"median":{:.3},"p90":{:.3}}},"compile_ms":{{"median":{:.3},"p90":{:.3}}}}}"#,
            entry.name, lower.0, lower.1, compile.0, compile.1
        );
    }
    Ok(())
}

/// The median and the 90th percentile.
fn quantiles(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples.get((samples.len() as f64 * share) as usize).copied();
    (at(0.5).unwrap_or(f64::NAN), at(0.9).unwrap_or(f64::NAN))
}
