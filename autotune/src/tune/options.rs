//! What the caller of a tuning run may choose.

use std::time::Duration;
use tilewright_ir::schedule::Setting;

/// Candidates without progress after which a search ends, where the caller does not say.
pub const PATIENCE: u64 = 256;

/// The options of a tuning run.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Wall-clock seconds for everything.
    pub budget_seconds: f64,
    /// The largest number of candidates, rejected ones included.
    pub budget_evaluations: Option<u64>,
    /// The seed of the search and of the judge; the same seed and outcomes give the same decisions.
    pub seed: u64,
    /// Settings that every candidate has; the search decides the rest.
    pub fixed: Vec<Setting>,
    /// Settings that no candidate has. A name without a dot stands for all choices that end with it.
    pub forbidden: Vec<Setting>,
    /// The search ends when so many candidates in a row, and half of all, brought no progress; 0: never.
    pub patience: u64,
    /// Threads that compile; 0: as many as the machine has.
    pub threads: usize,
    /// Candidates that are compiled together; 0: chosen by the run.
    pub batch: usize,
    /// The caller's calendar: seconds since the Unix epoch at the start of the run. Dates the records, and tells the
    /// age of stored ceilings.
    pub started_unix: u64,
}

impl TuneOptions {
    /// The wall-clock budget.
    pub(super) fn budget(&self) -> Duration {
        // NaN and negative numbers are no time, what does not fit is any time.
        Duration::try_from_secs_f64(self.budget_seconds.max(0.0)).unwrap_or(Duration::MAX)
    }
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            budget_seconds: 90.0,
            budget_evaluations: None,
            seed: 0,
            fixed: vec![],
            forbidden: vec![],
            patience: PATIENCE,
            threads: 0,
            batch: 0,
            started_unix: 0,
        }
    }
}
