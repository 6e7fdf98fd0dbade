//! What instructions cost on this processor, measured once in a process.
//!
//! Sums of products of bf16 take as long as a multiply-add of f32 on some processors and twice as long on others, where
//! widened factors are as fast without them. Some cores begin one multiply-add of a whole vector in a cycle, some two, which
//! then need larger register tiles. Loops on registers tell in some microseconds.
//! Invariant: the answer decides speed alone; code with and without the instruction is right everywhere that has it.

use crate::load::Loaded;
use crate::probe;
use std::sync::OnceLock;
use tilewright_ir::backend::Artifact;

/// Times that each loop is run; the shortest counts.
const RUNS: usize = 7;
/// Turns of a loop.
const TURNS: u64 = 256;
/// Multiply-adds that a sum of two products may take as long as, at most.
const WORTH_MAX: f64 = 1.5;
/// Cycles from a multiply-add to the next one that adds to its result, on every processor with these vectors so far.
const LATENCY: f64 = 4.0;

/// The features whose instructions are slower than what they replace.
pub(crate) fn slow(features: &[String]) -> Vec<String> {
    static BF16: OnceLock<bool> = OnceLock::new();
    let name = "avx512bf16";
    let has = features.iter().any(|feature| feature == name);
    let is_slow = || {
        *BF16.get_or_init(|| {
            let ratio = probe::paces(TURNS).and_then(|loops| ratio(&loops));
            ratio.is_some_and(|ratio| ratio > WORTH_MAX)
        })
    };
    if has && is_slow() { vec![name.to_string()] } else { vec![] }
}

/// Multiply-adds of vectors of 512 bits that begin in one cycle; 0 where it cannot be measured.
///
/// Independent ones against a chain, each of which waits for the one before it.
pub(crate) fn multiply_adds() -> u64 {
    static COUNT: OnceLock<u64> = OnceLock::new();
    let measure = || {
        let ratio = probe::chain_pace(TURNS).and_then(|loops| ratio(&loops));
        ratio.map_or(0, |ratio| (ratio / LATENCY).round().max(1.0) as u64)
    };
    *COUNT.get_or_init(measure)
}

/// How many times as long the first loop takes as the second; `None` where it cannot be measured.
fn ratio(loops: &[Artifact; 2]) -> Option<f64> {
    let load = |artifact| Loaded::new(artifact).ok();
    let (first, second) = (load(&loops[0])?, load(&loops[1])?);
    let mut shortest = [u64::MAX; 2];
    for _ in 0..RUNS {
        for (code, shortest) in [&first, &second].into_iter().zip(&mut shortest) {
            let start = cycles();
            code.call(&[], &mut []).ok()?;
            *shortest = (*shortest).min(cycles().wrapping_sub(start));
        }
    }
    Some(shortest[0] as f64 / shortest[1].max(1) as f64)
}

/// The processor's own clock.
#[cfg(target_arch = "x86_64")]
fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches nothing.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> u64 {
    0
}
