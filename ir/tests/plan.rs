//! Plans, schedules and lowerings of a set of graphs, checked against each other and against kept texts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails has found a fault")]

#[path = "plan/equal.rs"]
mod equal;
#[path = "plan/faults.rs"]
mod faults;
#[path = "plan/graphs.rs"]
mod graphs;
#[path = "plan/kept.rs"]
mod kept;
#[path = "plan/large.rs"]
mod large;
#[path = "plan/refused.rs"]
mod refused;

use tilewright_ir::target::{MemoryLevel, Target};

/// A small machine with 128-bit vectors.
fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        threads: 2,
        memory: vec![level("L1", 32 << 10), level("L2", 1 << 20)],
    }
}
