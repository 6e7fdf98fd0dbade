//! What the caller of a tuning run may choose.

/// The options of a tuning run.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Wall-clock seconds for everything.
    pub budget_seconds: f64,
    /// The largest number of candidates, rejected ones included.
    pub budget_evaluations: Option<u64>,
    /// The seed of the search; the same seed and outcomes give the same decisions.
    pub seed: u64,
    /// Threads that compile; 0: as many as the machine has.
    pub threads: usize,
    /// Candidates that are compiled together; 0: chosen by the run.
    pub batch: usize,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self { budget_seconds: 90.0, budget_evaluations: None, seed: 0, threads: 0, batch: 0 }
    }
}
