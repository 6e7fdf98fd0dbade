//! The clock: the only module that reads the time, and the one that turns times into a measurement.
//!
//! A time per call is that of a batch of calls less the doorbell's, with so many calls that a batch is long against the
//! doorbell. A measurement is a median with an interval, never a single number.
//! Invariant: nothing measured here came from the child's own clock.

pub mod against;
mod bootstrap;
mod measure;
mod paired;
mod stopwatch;

pub use bootstrap::median_interval;
pub(crate) use measure::fastest_call_ns;
pub use measure::{MeasureOptions, Measurement, interleave, measure};
pub use paired::{Paired, lower_quartile, paired, paired_groups};
pub(crate) use stopwatch::Stopwatch;
