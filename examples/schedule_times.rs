//! Times schedules of one kernel in turns.
//!
//! `cargo run --release --example schedule_times -- FILE i=8192,j=512 ["threads=1 y.unroll=4" ..]` takes a list of settings
//! for each schedule; what they leave out is as in the default schedule of the first form that they fit. It prints
//! the shortest and the median call of each. Invariant: all schedules run in every round, so that their ratios hold on a busy machine.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(clippy::disallowed_methods, reason = "it measures; the tuner's clock is for candidates")]

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/memory.rs"]
mod memory;

use arguments::pair;
use arrays::arrays;
use memory::Buffer;
use std::error::Error;
use std::time::Instant;
use tilewright::ir::schedule::{ChoiceValue, Schedule, Setting};
use tilewright::{BoundKernel, CompiledKernel};

/// Rounds of all schedules.
const ROUNDS: usize = 15;
/// What one schedule takes in a round, roughly.
const ROUND_SECONDS: f64 = 0.02;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bound = arguments::bound(&mut arguments)?;
    let mut lists: Vec<String> = arguments.collect();
    if lists.is_empty() {
        lists.push(String::new());
    }
    let (inputs, mut outputs) = arrays(&bound)?;
    let inputs: Vec<&[u8]> = inputs.iter().map(|input| &**input).collect();
    let mut codes = vec![];
    for list in &lists {
        codes.push(compile(&bound, list)?);
    }
    let mut times_us = vec![vec![]; codes.len()];
    for _ in 0..ROUNDS {
        for (code, times_us) in codes.iter().zip(&mut times_us) {
            measure(code, &inputs, &mut outputs, times_us)?;
        }
    }
    for (list, times_us) in lists.iter().zip(&mut times_us) {
        times_us.sort_by(f64::total_cmp);
        let (least, median) = (times_us[0], times_us[times_us.len() / 2]);
        println!("{least:12.3} us, median {median:12.3} us  {list}");
    }
    Ok(())
}

/// Calls a schedule for about a round; short calls are timed in groups.
fn measure(
    code: &CompiledKernel,
    inputs: &[&[u8]],
    outputs: &mut [Buffer],
    times_us: &mut Vec<f64>,
) -> Result<(), Box<dyn Error>> {
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(|output| &mut **output).collect();
    code.call_bytes(inputs, &mut outputs)?;
    let start = Instant::now();
    code.call_bytes(inputs, &mut outputs)?;
    let group = (20e-6 / start.elapsed().as_secs_f64().max(1e-8)) as u32 + 1;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < ROUND_SECONDS {
        let own = Instant::now();
        for _ in 0..group {
            code.call_bytes(inputs, &mut outputs)?;
        }
        times_us.push(own.elapsed().as_secs_f64() * 1e6 / f64::from(group));
    }
    Ok(())
}

/// The code of the first form that all settings fit.
fn compile(bound: &BoundKernel, list: &str) -> Result<CompiledKernel, Box<dyn Error>> {
    let settings: Vec<(String, String)> =
        list.split_whitespace().map(pair).collect::<Result<_, _>>()?;
    let mut refusal = "no form has these choices".to_string();
    for form in bound.forms().list() {
        let named = settings.iter().find(|(name, _)| name == "form").map(|(_, value)| value);
        if named.is_some_and(|named| *named != form.name()) {
            continue;
        }
        match compile_form(bound, form.space.default_schedule(), &settings) {
            Ok(code) => return Ok(code),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(format!("{list}: {refusal}").into())
}

fn compile_form(
    bound: &BoundKernel,
    mut schedule: Schedule,
    settings: &[(String, String)],
) -> Result<CompiledKernel, Box<dyn Error>> {
    for (name, value) in settings.iter().filter(|(name, _)| name != "form") {
        let words = value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let value = match (words, value.parse()) {
            (Some(words), _) => {
                ChoiceValue::Words(words.split(',').map(|word| word.trim().to_string()).collect())
            }
            (None, Ok(count)) => ChoiceValue::Count(count),
            (None, Err(_)) => ChoiceValue::Word(value.clone()),
        };
        schedule.settings.retain(|setting| setting.name != *name);
        schedule.settings.push(Setting { name: name.clone(), value });
    }
    Ok(bound.compile(&schedule)?)
}
