//! The machine as the model sees it: a clock, what a core begins in a cycle, and what each cache holds and gives.
//!
//! Invariant: every rate is positive, so no division is by 0.

use crate::target::Target;

/// What nobody has measured: cycles in a nanosecond, multiply-adds of a cycle.
const CYCLES_PER_NS: f64 = 3.0;
const MULTIPLY_ADDS: f64 = 2.0;
/// Bytes of a cycle that the levels behind the first give, the nearest first; memory has the last.
const LEVEL_BYTES: [f64; 3] = [32.0, 10.0, 4.0];

/// Caches that a core has for itself.
const PRIVATE: usize = 2;
/// Threads that a level which all share can serve at once.
const SHARED: f64 = 4.0;

/// A cache, and what lies behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Bytes that it holds.
    pub bytes: f64,
    /// Whether all threads share it.
    pub is_shared: bool,
    /// Bytes of a nanosecond that one thread gets from behind it, and all together.
    pub behind_per_ns: (f64, f64),
}

impl Level {
    /// Bytes of a nanosecond that each of so many threads gets from behind it.
    pub(super) fn behind_per_ns(&self, threads: f64) -> f64 {
        self.behind_per_ns.0.min(self.behind_per_ns.1 / threads.max(1.0))
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// What code may use of it.
    pub target: Target,
    /// Cycles in a nanosecond.
    pub cycles_per_ns: f64,
    /// Multiply-adds of whole vectors that a core begins in a cycle.
    pub multiply_adds: f64,
    /// The caches, nearest first.
    pub caches: Vec<Level>,
}

impl Machine {
    /// A machine of that kind whose rates nobody has measured.
    pub fn assumed(target: &Target) -> Self {
        Self::measured(target, 0.0, &[])
    }

    /// A machine that does so many multiply-adds of f32 in a nanosecond on one thread, whose levels give so many bytes
    /// in a nanosecond to one thread and to all, nearest first. What is 0 or missing is assumed.
    pub fn measured(
        target: &Target,
        multiply_adds_per_ns: f64,
        bytes_per_ns: &[(f64, f64)],
    ) -> Self {
        let known = target.multiply_adds as f64;
        let multiply_adds = if known > 0.0 { known } else { MULTIPLY_ADDS };
        let vectors_per_ns = multiply_adds_per_ns / target.lanes(4) as f64;
        let cycles_per_ns = match vectors_per_ns > 0.0 {
            true => vectors_per_ns / multiply_adds,
            false => CYCLES_PER_NS,
        };
        let held = target.memory.iter().filter(|level| level.bytes > 0);
        let cache = |(place, level): (usize, &crate::target::MemoryLevel)| {
            let is_shared = place >= PRIVATE;
            let one = LEVEL_BYTES[place.min(LEVEL_BYTES.len() - 1)] * cycles_per_ns;
            let threads = target.threads.max(1) as f64;
            // The next level is shared where this one is the last of a core.
            let all = if place + 1 >= PRIVATE { one * threads.min(SHARED) } else { one * threads };
            let known = bytes_per_ns.get(place + 1).copied();
            let behind_per_ns = known.filter(|&(one, all)| one > 0.0 && all > 0.0);
            let bytes = level.bytes as f64;
            Level { bytes, is_shared, behind_per_ns: behind_per_ns.unwrap_or((one, all)) }
        };
        let caches = held.enumerate().map(cache).collect();
        Self { target: target.clone(), cycles_per_ns, multiply_adds, caches }
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;
    use crate::target::{MemoryLevel, Target};

    fn target() -> Target {
        let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
        Target {
            backend: "cpu".to_string(),
            isa: "x86_64".to_string(),
            features: vec![],
            slow: vec![],
            multiply_adds: 2,
            chip: "none".to_string(),
            vector_bytes: 32,
            vector_registers: 16,
            accumulates_in_place: true,
            threads: 2,
            memory: vec![level("L1", 32 << 10), level("L2", 1 << 20), level("memory", 0)],
        }
    }

    #[test]
    fn rates_give_the_clock() {
        let machine =
            Machine::measured(&target(), 64.0, &[(400.0, 800.0), (100.0, 200.0), (10.0, 12.0)]);
        assert_eq!(machine.cycles_per_ns, 4.0);
        let behind = |threads| machine.caches.iter().map(|of| of.behind_per_ns(threads)).collect();
        let (one, two): (Vec<f64>, Vec<f64>) = (behind(1.0), behind(2.0));
        assert_eq!((one, two), (vec![100.0, 10.0], vec![100.0, 6.0]));
    }

    #[test]
    fn what_nobody_measured_is_assumed() {
        let machine = Machine::assumed(&target());
        assert_eq!(machine.cycles_per_ns, 3.0);
        assert!(machine.caches.iter().all(|cache| cache.behind_per_ns(1.0) > 0.0));
        assert_eq!(Machine::measured(&target(), 0.0, &[(0.0, 0.0); 2]), machine);
    }
}
