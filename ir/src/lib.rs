//! What Tilewright knows about a kernel before any machine code exists.
//!
//! A kernel text becomes a tensor graph (`graph`), the graph a pass program (`plan`), the pass program and a
//! schedule a tile program (`tile`), and a `Backend` turns that into an artifact. Every level has a text form, a
//! verifier and an interpreter, so each step can be checked against the one before it.
//!
//! Invariant: this crate knows no code generator, no clock and no file; the same input gives the same bytes.

pub mod backend;
pub mod base;
pub mod check;
pub mod diag;
pub mod estimate;
pub mod grad;
pub mod graph;
pub mod lower;
pub mod plan;
pub mod reference;
pub mod rewrite;
pub mod schedule;
pub mod syntax;
pub mod target;
pub mod text;
pub mod tile;

pub use base::{AxisId, AxisSet, BinaryOp, BufferId, CompareOp, DType, LocalId, ReduceOp, UnaryOp};
