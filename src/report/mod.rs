//! Texts for people: aligned tables, times and rates with units, the closing table of a tuning run.
//!
//! Invariant: pure functions from data to text; nothing here prints or asks the machine.

mod closing;
mod table;
mod units;

pub(crate) use closing::closing_table;
pub(crate) use table::Table;
pub(crate) use units::{age, count, passes, percent, rate, time, time_interval};
