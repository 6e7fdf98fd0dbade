//! Which instructions pay on this processor, measured once in a process.
//!
//! Sums of products of bf16 take as long as a multiply-add of f32 on some processors and twice as long on others, where
//! widened factors are as fast without them. Two loops on registers tell in some microseconds.
//! Invariant: the answer decides speed alone; code with and without the instruction is right everywhere that has it.

use crate::load::Loaded;
use crate::probe;
use std::sync::OnceLock;

/// Times that each loop is run; the shortest counts.
const RUNS: usize = 7;
/// Turns of a loop.
const TURNS: u64 = 256;
/// Multiply-adds that a sum of two products may take as long as, at most.
const WORTH_MAX: f64 = 1.5;

/// The features whose instructions are slower than what they replace.
pub(crate) fn slow(features: &[String]) -> Vec<String> {
    static BF16: OnceLock<bool> = OnceLock::new();
    let name = "avx512bf16";
    let has = features.iter().any(|feature| feature == name);
    let is_slow = || *BF16.get_or_init(|| ratio().is_some_and(|ratio| ratio > WORTH_MAX));
    if has && is_slow() { vec![name.to_string()] } else { vec![] }
}

/// How many multiply-adds a sum of products takes as long as; `None` where it cannot be measured.
fn ratio() -> Option<f64> {
    let [dots, multiply_adds] = probe::paces(TURNS)?;
    let load = |artifact| Loaded::new(artifact).ok();
    let (dots, multiply_adds) = (load(&dots)?, load(&multiply_adds)?);
    let mut shortest = [u64::MAX; 2];
    for _ in 0..RUNS {
        for (code, shortest) in [&dots, &multiply_adds].into_iter().zip(&mut shortest) {
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
