//! Rolled reductions through every level below the graph, against the reference of the naive graph.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod graphs;
mod levels;
mod random;
mod refused;
mod unusual;
