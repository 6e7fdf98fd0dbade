//! Random leaves: their machine code against the interpreter, bit for bit.
//!
//! Values come in kinds. The bits of a NaN that arithmetic makes are not defined, so such values are of a loose kind,
//! which feeds only arithmetic and is stored only where any NaN equals another. `TILEWRIGHT_SEEDS` says how many
//! leaves are drawn.

use crate::call::{Code, Guarded};
use crate::draw::{REGIONS, draw};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tilewright_cpu::wide::interpret::{Region, interpret};
use tilewright_cpu::wide::program::Leaf;
use tilewright_cpu::wide::{Isa, Refusal, disassemble, encode};

/// Bytes of each region.
pub(crate) const BYTES: usize = 4096;

/// What the regions hold at first: the first one is only read.
fn contents(rng: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    use rand::Rng as _;
    let special = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, 1.5, -2.5];
    let word = |rng: &mut ChaCha8Rng| match rng.random_range(0..4) {
        0 => special[rng.random_range(0..special.len())].to_bits(),
        1 => rng.random(),
        _ => rng.random_range(-100.0f32..100.0).to_bits(),
    };
    let input = (0..BYTES / 4).flat_map(|_| word(rng).to_le_bytes()).collect();
    std::iter::once(input).chain((1..REGIONS).map(|_| vec![0; BYTES])).collect()
}

/// Whether two regions agree: 1 holds f32, 2 f64, 4 f16, where all NaNs are equal; the others hold bits.
fn agree(number: usize, x: &[u8], y: &[u8]) -> Option<usize> {
    let (bytes, exponent) = match number {
        1 => (4, 0x7f80_0000),
        2 => (8, 0x7ff0_0000_0000_0000),
        4 => (2, 0x7c00),
        _ => (1, 0xff),
    };
    let is_nan = |bits: u64| {
        let sign = 1u64 << (8 * bytes - 1);
        bytes > 1 && (bits & !sign) > exponent
    };
    let element =
        |part: &[u8]| part.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    let mut pairs = x.chunks(bytes).map(element).zip(y.chunks(bytes).map(element));
    pairs.position(|(x, y)| x != y && !(is_nan(x) && is_nan(y)))
}

/// Runs a leaf both ways.
fn compare(leaf: &Leaf, code: &[u8], first: &[Vec<u8>], upper: bool) -> Result<(), String> {
    let guarded: Vec<_> = first.iter().map(|bytes| Guarded::new(bytes, upper)).collect();
    let frame: Vec<u64> = guarded.iter().map(Guarded::address).collect();
    let mut regions: Vec<_> =
        guarded.iter().map(|of| Region { start: of.address(), bytes: of.contents() }).collect();
    interpret(leaf, &frame, &mut regions)?;
    Code::new(code).call(&frame);
    for (number, (region, memory)) in regions.iter().zip(&guarded).enumerate() {
        if let Some(element) = agree(number, &region.bytes, &memory.contents()) {
            return Err(format!("region {number} differs at element {element}"));
        }
    }
    Ok(())
}

/// Leaves that ran and leaves that did not fit.
fn run(isa: Isa, seeds: std::ops::Range<u64>) -> Result<(usize, usize), String> {
    let (mut ran, mut full) = (0, 0);
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let leaf = draw(&mut rng, isa);
        let first = contents(&mut rng);
        let code = match encode(&leaf, isa) {
            Ok(code) => code,
            Err(Refusal::Pressure(..)) => {
                full += 1;
                continue;
            }
            Err(other) => return Err(format!("seed {seed}: {other}\n{leaf}")),
        };
        ran += 1;
        for upper in [true, false] {
            compare(&leaf, &code, &first, upper)
                .map_err(|why| format!("seed {seed}: {why}\n{leaf}\n{}", disassemble(&code)))?;
        }
    }
    Ok((ran, full))
}

#[test]
fn random_leaves_compute_what_they_mean() {
    for isa in Isa::ALL {
        let count = std::env::var("TILEWRIGHT_SEEDS").ok();
        let seeds = 0..count.map_or(1500, |count| count.parse().expect("a number"));
        println!("{isa}: seeds {seeds:?}");
        if !isa.detected() {
            println!("skipped: this processor lacks {isa}");
            continue;
        }
        let (ran, full) = run(isa, seeds).unwrap_or_else(|why| panic!("{isa}: {why}"));
        println!("{isa}: {ran} ran, {full} did not fit");
        assert!(ran > 3 * full, "{isa}: {full} leaves of {} did not fit", ran + full);
    }
}
