//! Campaigns with an evaluator whose times are a function of the schedule: kills, resumes, steering, sharing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod engine;
mod fake;
mod figures;
mod kills;
mod merge;
