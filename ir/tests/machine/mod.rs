//! A machine for tests: 128-bit vectors, two threads, and the caches that a test asks for.
//!
//! Invariant: it is nobody's own machine, so what a test decides does not depend on where it runs.

use tilewright_ir::target::{MemoryLevel, Target};

/// The machine with these memory levels, nearest first, in bytes.
pub(crate) fn target(levels: &[(&str, u64)]) -> Target {
    let level = |&(name, bytes): &(&str, u64)| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: levels.iter().map(level).collect(),
    }
}
