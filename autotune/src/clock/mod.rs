//! The clock: the only module that reads the time, and the one that turns times into a measurement.
//!
//! A time per call is the slope between batches of n and 2n calls, with n chosen so that a batch is long against the
//! doorbell; the doorbell's own cost cancels. A measurement is a median with an interval, never a single number.
//! Invariant: nothing measured here came from the child's own clock.

pub mod against;
mod bootstrap;
mod measure;
mod stopwatch;

pub use bootstrap::median_interval;
pub(crate) use measure::fastest_call_ns;
pub use measure::{MeasureOptions, Measurement, interleave, measure};
pub(crate) use stopwatch::Stopwatch;
