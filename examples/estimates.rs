//! How well the analytic model ranks schedules before anything is measured.
//!
//! `cargo run --release --example estimates -- TIMES.ndjson COUNT FILE i=256,j=512 [FILE sizes ..]` times so many random
//! schedules of each kernel, unless the file has their times already, and prints for each kernel: the rank correlation of
//! estimates and times, how far the best of the dozen that the model ranks first is from the best of all, and the same for a
//! dozen by chance. Invariant: the model sees no time.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(clippy::disallowed_methods, reason = "it measures; the tuner's clock is for candidates")]

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/memory.rs"]
mod memory;

use arrays::arrays;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;
use std::time::Instant;
use tilewright::autotune::stats::rank_correlation;
use tilewright::ir::estimate::{Machine, estimate};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, CompiledKernel};

/// The seed of the random schedules.
const SEED: u64 = 1;
/// Schedules that are tried first, by the model or by chance.
const FIRST: usize = 12;
/// Rounds of a call's time, of which the least counts, and what a round takes at least.
const ROUNDS: usize = 5;
const ROUND_SECONDS: f64 = 1e-3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("a file of times")?;
    let count: usize = words.next().ok_or("a count of schedules")?.parse()?;
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let mut words = words.peekable();
    while let Some(file) = words.peek().cloned() {
        let bound = arguments::bound(&mut words)?;
        let name = format!("{file} {}", bound.task().key());
        let mut timed = read(&known, &name)?;
        if timed.is_empty() {
            timed = measure(&bound, count)?;
            let mut out = std::fs::File::options().create(true).append(true).open(&path)?;
            for (schedule, time_ns) in &timed {
                let row = serde_json::json!({"kernel": name, "schedule": schedule.print(), "time_ns": time_ns});
                writeln!(out, "{row}")?;
            }
        }
        rank(&file, &bound, &timed)?;
    }
    Ok(())
}

/// Schedules and the nanoseconds of a call.
type Timed = Vec<(Schedule, f64)>;

fn read(known: &str, name: &str) -> Result<Timed, Box<dyn Error>> {
    let mut timed = vec![];
    for line in known.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        if row["kernel"] != name {
            continue;
        }
        let text = row["schedule"].as_str().ok_or("a line without a schedule")?;
        let schedule = Schedule::parse(text).map_err(|faults| faults[0].to_string())?;
        timed.push((schedule, row["time_ns"].as_f64().ok_or("a line without a time")?));
    }
    Ok(timed)
}

fn measure(bound: &BoundKernel, count: usize) -> Result<Timed, Box<dyn Error>> {
    let (inputs, mut outputs) = arrays(bound)?;
    let inputs: Vec<&[u8]> = inputs.iter().map(|input| &**input).collect();
    let forms = bound.forms();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut seen = BTreeSet::new();
    let mut timed = vec![];
    for _ in 0..4 * count {
        let schedule = forms.canonical(&forms.sample(&mut rng));
        if timed.len() == count || !seen.insert(schedule.hash()) {
            continue;
        }
        let Ok(code) = bound.compile(&schedule) else { continue };
        let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(|output| &mut **output).collect();
        let time_ns = time(&code, &inputs, &mut outputs)?;
        timed.push((schedule, time_ns));
    }
    Ok(timed)
}

/// The least time of a call, in nanoseconds.
fn time(
    code: &CompiledKernel,
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
) -> Result<f64, Box<dyn Error>> {
    code.call_bytes(inputs, outputs)?;
    let mut least_ns = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed().as_secs_f64() < ROUND_SECONDS {
            code.call_bytes(inputs, outputs)?;
            calls += 1;
        }
        least_ns = least_ns.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    Ok(least_ns)
}

fn rank(file: &str, bound: &BoundKernel, timed: &Timed) -> Result<(), Box<dyn Error>> {
    let machine = Machine::assumed(bound.backend().target());
    let mut pairs = vec![];
    let start = Instant::now();
    for (schedule, time_ns) in timed {
        let program = bound.forms().lower(schedule).map_err(|faults| faults[0].to_string())?;
        pairs.push((estimate(&program, &machine).time_ns, *time_ns));
    }
    let ms = start.elapsed().as_secs_f64() * 1e3 / timed.len().max(1) as f64;
    let agreement = rank_correlation(&pairs).unwrap_or(f64::NAN);
    let best_ns = pairs.iter().map(|pair| pair.1).fold(f64::INFINITY, f64::min);
    let chance = by_chance(pairs.iter().map(|pair| pair.1).collect());
    let mut ranked = pairs.clone();
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
    let first = ranked.iter().take(FIRST).map(|pair| pair.1).fold(f64::INFINITY, f64::min);
    let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.0 / pair.1).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{file:36} {:4} schedules, agreement {agreement:5.2}; best of {FIRST}: {:5.2} by the model, {:5.2} by chance; estimate/time {:4.2} ({:4.2} to {:4.2}); {ms:.2} ms each",
        pairs.len(),
        first / best_ns,
        chance / best_ns,
        ratios[ratios.len() / 2],
        ratios[ratios.len() / 10],
        ratios[ratios.len() * 9 / 10],
    );
    Ok(())
}

/// The mean of the least of a dozen times, over all dozens.
fn by_chance(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let (mut mean, mut left) = (0.0, 1.0);
    for (place, time_ns) in times.iter().enumerate() {
        let share = (FIRST as f64 / (times.len() - place) as f64).min(1.0);
        mean += left * share * time_ns;
        left *= 1.0 - share;
    }
    mean
}
