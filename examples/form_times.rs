//! How the clock and the model rank the forms of a kernel, each with its default schedule or with given settings.
//!
//! `cargo run --release --example form_times -- kernels/softmax.tw i=8192,j=512 [setting=value ..]` runs all forms in
//! turns and prints the shortest and the median time of each. A setting is used by every form that has it.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(clippy::disallowed_methods, reason = "it measures; the tuner's clock is for candidates")]

#[path = "support/arguments.rs"]
mod arguments;

use arguments::pair;
use std::error::Error;
use std::time::Instant;
use tilewright::ir::reference::{Family, draw};
use tilewright::ir::schedule::ChoiceValue;
use tilewright::{BoundKernel, CompiledKernel};

/// Rounds of all forms.
const ROUNDS: usize = 9;
/// What one form takes in a round, roughly. A system counts a thread's time in steps of milliseconds.
const ROUND_SECONDS: f64 = 0.05;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bound = arguments::bound(&mut arguments)?;
    let settings: Vec<(String, String)> =
        arguments.map(|text| pair(&text)).collect::<Result<_, _>>()?;
    let inputs = draw(bound.graph(), Family::Normal, 1);
    let inputs: Vec<&[u8]> = inputs.iter().map(|tensor| tensor.bytes.as_slice()).collect();
    let mut outputs: Vec<Vec<u8>> = vec![];
    for output in &bound.graph().outputs {
        let count: u64 = output.tensor.shape(&bound.graph().axes).iter().product();
        outputs.push(vec![0; (count * u64::from(output.tensor.dtype.bits())).div_ceil(8) as usize]);
    }
    let codes = compile(&bound, &settings)?;
    let is_single = settings.contains(&("threads".to_string(), "1".to_string()));
    let mut times_ms = vec![vec![]; codes.len()];
    let (start, mut repeats) = (Instant::now(), 0_u32);
    while start.elapsed().as_secs_f64() < ROUND_SECONDS {
        let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        codes[0].call_bytes(&inputs, &mut outputs)?;
        repeats += 1;
    }
    for _ in 0..ROUNDS {
        for (code, times_ms) in codes.iter().zip(&mut times_ms) {
            let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            let (start, cpu_start) = (Instant::now(), cpu_ns());
            for _ in 0..repeats {
                code.call_bytes(&inputs, &mut outputs)?;
            }
            let elapsed_ms = start.elapsed().as_secs_f64() * 1e3;
            let cpu_ms = cpu_start.zip(cpu_ns()).map(|(from, to)| (to - from) as f64 / 1e6);
            let time_ms = cpu_ms.filter(|_| is_single).unwrap_or(elapsed_ms);
            times_ms.push(time_ms / f64::from(repeats));
        }
    }
    for (form, times_ms) in bound.forms().list().iter().zip(&mut times_ms) {
        times_ms.sort_by(f64::total_cmp);
        let (least, median) = (times_ms[0], times_ms[ROUNDS / 2]);
        let predicted = form.predicted_ns / 1e6;
        println!(
            "{:<10} passes {:?} predicted {predicted:.3} ms, measured {least:.3} ms, median {median:.3} ms",
            form.name(),
            form.passes
        );
    }
    Ok(())
}

/// Time that this thread has had on a processor, where the system says it. On a busy machine it is steadier than the
/// clock, for kernels of one thread.
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The code of every form.
fn compile(
    bound: &BoundKernel,
    settings: &[(String, String)],
) -> Result<Vec<CompiledKernel>, Box<dyn Error>> {
    let mut codes = vec![];
    for form in bound.forms().list() {
        let mut schedule = form.space.default_schedule();
        for setting in &mut schedule.settings {
            if let Some((_, value)) = settings.iter().find(|(name, _)| *name == setting.name) {
                setting.value = match value.parse() {
                    Ok(count) => ChoiceValue::Count(count),
                    Err(_) => ChoiceValue::Word(value.clone()),
                };
            }
        }
        codes.push(bound.compile(&schedule)?);
    }
    Ok(codes)
}
