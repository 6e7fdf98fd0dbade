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
mod machine;
#[path = "plan/refused.rs"]
mod refused;

use tilewright_ir::target::Target;

/// A small machine with 128-bit vectors.
fn target() -> Target {
    machine::target(&[("L1", 32 << 10), ("L2", 1 << 20)])
}
