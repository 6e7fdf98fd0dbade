//! Times every legal schedule of a part of a kernel's space, so that searches can be compared without a clock.
//!
//! `cargo run --release --example record_space -- FILE i=256,j=512 OUT.ndjson threads=1 C.vector=n -- C.micro.m C.micro.n ..`
//! fixes the choices before `--` and takes every combination of those behind it; what is not named is as in the default
//! schedule. Each line is a legal schedule, what the lines differ in, its time, the median over passes through all
//! schedules, and what the analytic model expects. A file that has the times of these schedules keeps them and gets the
//! model's estimates anew. Invariant: a schedule appears once, in its canonical form.

#![expect(clippy::print_stderr, reason = "an example says how far it is")]
#![expect(clippy::disallowed_methods, reason = "it measures; the tuner's clock is for candidates")]

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/memory.rs"]
mod memory;

use arguments::pair;
use arrays::arrays;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::time::Instant;
use tilewright::ir::schedule::{Choice, ChoiceValue, Domain, Schedule, Setting};
use tilewright::{BoundKernel, CompiledKernel};

/// Passes through all schedules, and through those that were then less than `NEAR` times slower than the fastest: the least of
/// many noisy times is none.
const PASSES: usize = 5;
const MORE_PASSES: usize = 25;
const NEAR: f64 = 1.15;
/// What one schedule takes in a pass at least, and the fewest calls.
const PASS_SECONDS: f64 = 1e-3;
const CALLS_MIN: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bound = arguments::bound(&mut arguments)?;
    let path = arguments.next().ok_or("a file to write")?;
    let rest: Vec<String> = arguments.collect();
    let (fixed, free) =
        rest.split_at(rest.iter().position(|word| word == "--").unwrap_or(rest.len()));
    let fixed: Vec<(String, String)> =
        fixed.iter().map(|text| pair(text)).collect::<Result<_, _>>()?;
    let schedules = schedules(&bound, &fixed, free.get(1..).unwrap_or_default())?;
    let settings_of = |schedule: &Schedule| -> BTreeMap<String, String> {
        let settings = schedule.settings.iter().filter(|of| free.contains(&of.name));
        settings.map(|of| (of.name.clone(), of.value.to_string())).collect()
    };
    let known = known(&path)?;
    let times = match known.is_empty() {
        true => measure(&bound, &schedules)?,
        false => schedules.iter().map(|of| known.get(&settings_of(of)).copied()).collect(),
    };
    let mut file = std::fs::File::create(path)?;
    let default = bound.forms().canonical(&bound.forms().default_schedule());
    for (schedule, time_ns) in schedules.iter().zip(times).filter(|of| of.1.is_some()) {
        let row = serde_json::json!({
            "settings": settings_of(schedule), "time_ns": time_ns, "default": *schedule == default,
            "estimate_ns": bound.forms().estimate(schedule).map(|of| of.time_ns),
        });
        writeln!(file, "{row}")?;
    }
    Ok(())
}

/// The times that a file has, by settings.
fn known(path: &str) -> Result<BTreeMap<BTreeMap<String, String>, f64>, Box<dyn Error>> {
    let mut known = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let settings = serde_json::from_value(row["settings"].clone())?;
        known.insert(settings, row["time_ns"].as_f64().ok_or("a line without a time")?);
    }
    Ok(known)
}

/// The time of each schedule that compiles.
fn measure(
    bound: &BoundKernel,
    schedules: &[Schedule],
) -> Result<Vec<Option<f64>>, Box<dyn Error>> {
    let codes: Vec<_> = schedules.iter().map(|schedule| bound.compile(schedule).ok()).collect();
    eprintln!("{} schedules, {} compiled", codes.len(), codes.iter().flatten().count());
    times(bound, &codes)
}

/// Every combination of the free choices' values, once.
fn schedules(
    bound: &BoundKernel,
    fixed: &[(String, String)],
    free: &[String],
) -> Result<Vec<Schedule>, Box<dyn Error>> {
    let forms = bound.forms();
    let named = fixed.iter().find(|(name, _)| name == "form").map(|(_, value)| value.as_str());
    let form = match named {
        Some(name) => forms.list().iter().find(|form| form.name() == name).ok_or("no such form")?,
        None => forms.preferred(),
    };
    let mut all = vec![form.space.default_schedule()];
    let choice = |name: &str| form.space.choices.iter().find(|choice| choice.name == name);
    for (name, value) in fixed.iter().filter(|(name, _)| name != "form") {
        let choice = choice(name).ok_or_else(|| format!("there is no choice {name}"))?;
        let found = values(choice).into_iter().find(|of| of.to_string() == *value);
        set(&mut all[0], name, found.ok_or_else(|| format!("{name} cannot be {value}"))?);
    }
    for name in free {
        let choice = choice(name).ok_or_else(|| format!("there is no choice {name}"))?;
        let values = values(choice);
        all = all
            .iter()
            .flat_map(|schedule| {
                values.iter().map(|value| {
                    let mut next = schedule.clone();
                    set(&mut next, name, value.clone());
                    next
                })
            })
            .collect();
    }
    let mut seen = BTreeMap::new();
    for schedule in all {
        let canonical = form.space.canonical(&schedule);
        seen.entry(canonical.hash()).or_insert(canonical);
    }
    Ok(seen.into_values().collect())
}

fn values(choice: &Choice) -> Vec<ChoiceValue> {
    match &choice.domain {
        Domain::OneOf(values) => values.clone(),
        Domain::OrderOf(_) => vec![choice.default.clone()],
    }
}

fn set(schedule: &mut Schedule, name: &str, value: ChoiceValue) {
    schedule.settings.retain(|setting| setting.name != name);
    schedule.settings.push(Setting { name: name.to_string(), value });
}

/// The median time of each schedule over all passes, in nanoseconds.
fn times(
    bound: &BoundKernel,
    codes: &[Option<CompiledKernel>],
) -> Result<Vec<Option<f64>>, Box<dyn Error>> {
    let (inputs, mut outputs) = arrays(bound)?;
    let inputs: Vec<&[u8]> = inputs.iter().map(|input| &**input).collect();
    let mut samples = vec![vec![]; codes.len()];
    let mut all: Vec<usize> = (0..codes.len()).collect();
    for pass in 0..PASSES + MORE_PASSES {
        if pass == PASSES {
            let best = samples
                .iter()
                .filter_map(|own: &Vec<f64>| median(own))
                .fold(f64::INFINITY, f64::min);
            all.retain(|&index| {
                median(&samples[index]).is_some_and(|time_ns| time_ns < NEAR * best)
            });
            eprintln!("{} are near the fastest", all.len());
        }
        for &index in &all {
            let Some(code) = &codes[index] else { continue };
            let mut outputs: Vec<&mut [u8]> =
                outputs.iter_mut().map(|output| &mut **output).collect();
            samples[index].push(time(code, &inputs, &mut outputs)?);
        }
    }
    Ok(samples.iter().map(|own| median(own)).collect())
}

/// The time of a call, in nanoseconds.
fn time(
    code: &CompiledKernel,
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
) -> Result<f64, Box<dyn Error>> {
    code.call_bytes(inputs, outputs)?;
    let (start, mut calls) = (Instant::now(), 0);
    while calls < CALLS_MIN || start.elapsed().as_secs_f64() < PASS_SECONDS {
        code.call_bytes(inputs, outputs)?;
        calls += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
}

fn median(samples: &[f64]) -> Option<f64> {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
