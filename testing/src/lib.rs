//! Random kernels over the whole language, how they are judged, and how a failing one is made small.
//!
//! `draw` writes a kernel file from a seed or from a fuzzer's bytes; `judge` takes a file through text, plan, schedules,
//! machine code and the interpreters of every stage and compares all of it with the reference; `shrink` cuts a failing
//! file down. The property test of the root package and the fuzz targets are thin over these.
//! Invariant: a file and a seed give the same verdict on every machine with the same target; a file holds its sizes.

mod campaign;
mod choices;
pub mod constructs;
pub mod crash;
pub mod draw;
mod edits;
mod forms;
pub mod fuzz;
pub mod guard;
mod judge;
mod round_trip;
mod shrink;
mod stages;
mod tally;

pub use campaign::Campaign;
pub use choices::Choices;
pub use judge::{Effort, Fault, judge, judge_with};
pub use round_trip::round_trip;
pub use shrink::{Small, shrink};
pub use tally::Tally;
