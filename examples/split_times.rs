//! What cutting a stream into chunks gains: the preferred form of a kernel with its default schedule in 1, 2, 4, .. chunks.
//!
//! `cargo run --release --example split_times -- kernels/decode_attention.tw b=1,g=1,r=4,j=32768,d=128,e=128 j` cuts the
//! streams along `j` and runs all counts in turns; it prints the shortest and the median time of each. What follows the
//! axis are settings for all of them, `C.grid.m=64`.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(clippy::disallowed_methods, reason = "it measures; the tuner's clock is for candidates")]

use std::error::Error;
use std::time::Instant;
use tilewright::ir::reference::{Family, draw};
use tilewright::ir::schedule::{ChoiceValue, Setting};
use tilewright::{BoundKernel, CompiledKernel, Kernel};

/// Calls of each number of chunks.
const ROUNDS: usize = 41;
const COUNTS: [u64; 5] = [1, 2, 4, 8, 16];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("a kernel file")?;
    let sizes = arguments.next().ok_or("extents, axis=extent,..")?;
    let axis = arguments.next().ok_or("an axis that is streamed")?;
    let settings = arguments.map(|text| setting(&text)).collect::<Result<Vec<_>, _>>()?;
    let mut extents = vec![];
    for part in sizes.split(',') {
        let (axis, extent) = part.split_once('=').ok_or("axis=extent")?;
        extents.push((axis, extent.parse::<u64>()?));
    }
    let bound = Kernel::from_file(&file)?.bind(extents)?;
    let inputs = draw(bound.graph(), Family::Normal, 1);
    let inputs: Vec<&[u8]> = inputs.iter().map(|tensor| tensor.bytes.as_slice()).collect();
    let mut outputs: Vec<Vec<u8>> = vec![];
    for output in &bound.graph().outputs {
        let count: u64 = output.tensor.shape(&bound.graph().axes).iter().product();
        outputs.push(vec![0; (count * u64::from(output.tensor.dtype.bits())).div_ceil(8) as usize]);
    }
    let codes = COUNTS.map(|count| compile(&bound, &axis, count, &settings));
    let codes = codes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut times_ms = vec![vec![]; codes.len()];
    for _ in 0..ROUNDS {
        for (code, times_ms) in codes.iter().zip(&mut times_ms) {
            let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
            let start = Instant::now();
            code.call_bytes(&inputs, &mut outputs)?;
            times_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    for (count, times_ms) in COUNTS.iter().zip(&mut times_ms) {
        times_ms.sort_by(f64::total_cmp);
        let (least, median) = (times_ms[0], times_ms[ROUNDS / 2]);
        println!("{count:>3} chunks of {axis}: {least:.3} ms, median {median:.3} ms");
    }
    Ok(())
}

fn setting(text: &str) -> Result<Setting, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text}: name=value"))?;
    let count = value.parse().map(ChoiceValue::Count);
    let value = count.unwrap_or_else(|_| ChoiceValue::Word(value.to_string()));
    Ok(Setting { name: name.to_string(), value })
}

/// The code of the preferred form with every stream along an axis in so many chunks.
fn compile(
    bound: &BoundKernel,
    axis: &str,
    count: u64,
    settings: &[Setting],
) -> Result<CompiledKernel, Box<dyn Error>> {
    let mut space = bound.forms().preferred().space.clone();
    let ends = format!(".split.{axis}");
    let split = space.choices.iter().filter(|choice| choice.name.ends_with(&ends));
    let value = ChoiceValue::Count(count);
    let split = split.map(|choice| Setting { name: choice.name.clone(), value: value.clone() });
    let all: Vec<Setting> = split.chain(settings.iter().cloned()).collect();
    space.fix(&all).map_err(|faults| format!("{faults:?}"))?;
    Ok(bound.compile(&space.default_schedule())?)
}
