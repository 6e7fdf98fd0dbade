//! Where a random kernel's choices come from: a seed, or the bytes of a fuzzer.
//!
//! Invariant: choice 0 is always the plainest one, and bytes that have run out choose 0, so every input of a fuzzer
//! ends in a finite kernel and a shorter input in a plainer one.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

enum Source<'a> {
    Seed(Box<ChaCha8Rng>),
    Bytes(&'a [u8]),
}

/// A stream of choices.
pub struct Choices<'a>(Source<'a>);

impl std::fmt::Debug for Choices<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Choices")
    }
}

impl<'a> Choices<'a> {
    /// The choices of a seed, the same on every machine.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seed(Box::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// The choices that some bytes stand for.
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// A number below `count`, which is above 0.
    pub fn below(&mut self, count: usize) -> usize {
        match &mut self.0 {
            Source::Seed(random) => random.random_range(0..count),
            Source::Bytes(bytes) => {
                let width = if count <= 256 { 1 } else { 4 };
                let (used, rest) = bytes.split_at(width.min(bytes.len()));
                *bytes = rest;
                used.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)) % count
            }
        }
    }

    /// True once in `count` times, never when bytes have run out. `count` is above 1.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    /// One of a list that is not empty.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A nonempty part of a nonempty set of bits.
    pub fn part(&mut self, set: u16) -> u16 {
        let chosen = (0..16).filter(|bit| set >> bit & 1 == 1).fold(0, |part, bit| {
            let keep = self.one_in(2);
            part | u16::from(keep) << bit
        });
        if chosen == 0 { set & set.wrapping_neg() } else { chosen }
    }

    /// A seed for draws that need a generator of their own.
    pub fn seed(&mut self) -> u64 {
        (0..8).fold(0, |seed, _| seed << 8 | self.below(256) as u64)
    }

    /// The list in another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, end - self.below(end + 1));
        }
    }
}
