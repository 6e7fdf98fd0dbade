//! Samples of the time of one call, alone or in turn with others.
//!
//! A sample is the slope between a batch of n and one of 2n calls. Calls so long that the doorbell cannot be seen
//! in them are timed one by one instead.

use super::Stopwatch;
use crate::launch::{Failure, Session};
use rand::seq::SliceRandom as _;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From this length on a call is a sample by itself: the doorbell is less than a thousandth of it.
const LONG_CALL: Duration = Duration::from_millis(50);
/// A measurement has at least this many samples, whatever its budget.
const SAMPLES_MIN: usize = 3;
/// How often a slope that cannot be true is taken again.
const RETRIES: usize = 4;
/// A slope, as a part of the longer batch's time for a call, outside of this range shows a disturbance: something ran in
/// one of the batches for half the length of the shorter one. Both ends mean the same disturbance, so neither side of
/// the truth is preferred.
const CREDIBLE: std::ops::RangeInclusive<f64> = 0.5..=1.2;

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
    measure_runs(&mut |calls| session.run(calls), options)
}

/// The fastest call of several sessions that run at the same time, in nanoseconds: the shortest of `samples` whole
/// batches, by its number of calls. The doorbell is part of it, so no noise makes it shorter than the truth.
///
/// # Errors
/// The first failure of a session.
pub(crate) fn fastest_call_ns(
    sessions: &mut [Session],
    samples: usize,
    options: &MeasureOptions,
) -> Result<f64, Failure> {
    match sessions {
        [session] => fastest(&mut |calls| session.run(calls), samples, options),
        sessions => fastest(&mut |calls| run_together(sessions, calls), samples, options),
    }
}

fn fastest(run: &mut Run<'_>, samples: usize, options: &MeasureOptions) -> Result<f64, Failure> {
    let calls = Sampler::new(run, options)?.calls;
    let mut fastest_ns = f64::INFINITY;
    for _ in 0..samples {
        fastest_ns = fastest_ns.min(run(calls)? as f64 / calls as f64);
    }
    Ok(fastest_ns)
}

fn run_together(sessions: &mut [Session], calls: u64) -> Result<u64, Failure> {
    let stopwatch = Stopwatch::start();
    let rung: Vec<_> =
        sessions.iter_mut().map(|session| session.ring(calls)).collect::<Result<_, _>>()?;
    for (session, since) in sessions.iter_mut().zip(rung) {
        // A spinning parent would take a processor from one of them.
        session.wait_asleep(since)?;
    }
    Ok(stopwatch.elapsed_ns())
}

/// Runs so many calls and returns the nanoseconds it took.
type Run<'a> = dyn FnMut(u64) -> Result<u64, Failure> + 'a;

fn measure_runs(run: &mut Run<'_>, options: &MeasureOptions) -> Result<Measurement, Failure> {
    let stopwatch = Stopwatch::start();
    let mut sampler = Sampler::new(run, options)?;
    let mut samples = vec![];
    while samples.len() < options.samples && !is_spent(stopwatch, samples.len(), options) {
        samples.push(sampler.sample(run)?);
    }
    Ok(Measurement::of(samples, options.seed))
}

fn is_spent(stopwatch: Stopwatch, samples: usize, options: &MeasureOptions) -> bool {
    samples >= SAMPLES_MIN && stopwatch.elapsed() >= options.budget
}

/// Measures several sessions in turn, `rounds` samples each, so that a drift of the machine meets all of them alike.
/// The order within a round is shuffled by the seed. A session that fails has its failure in its place.
pub fn interleave(
    sessions: &mut [Session],
    rounds: usize,
    options: &MeasureOptions,
) -> Vec<Result<Measurement, Failure>> {
    let stopwatch = Stopwatch::start();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut samplers: Vec<_> = sessions
        .iter_mut()
        .map(|session| Sampler::new(&mut |calls| session.run(calls), options))
        .collect();
    let mut samples = vec![vec![]; sessions.len()];
    let mut order: Vec<usize> = (0..sessions.len()).collect();
    for round in 0..rounds {
        if is_spent(stopwatch, round, options) {
            break;
        }
        order.shuffle(&mut rng);
        for &index in &order {
            let Ok(sampler) = &mut samplers[index] else { continue };
            let session = &mut sessions[index];
            match sampler.sample_cold(&mut |calls| session.run(calls)) {
                Ok(sample) => samples[index].push(sample),
                Err(failure) => samplers[index] = Err(failure),
            }
        }
    }
    let seeds: Vec<u64> = samples.iter().map(|_| rng.next_u64()).collect();
    let taken = samplers.into_iter().zip(samples).zip(seeds);
    taken
        .map(|((sampler, samples), seed)| sampler.map(|_| Measurement::of(samples, seed)))
        .collect()
}

/// How samples of one thing are taken.
#[derive(Clone, Copy, Debug)]
struct Sampler {
    /// Calls of the shorter batch.
    calls: u64,
    /// Whether a call is long enough to be a sample by itself.
    is_long: bool,
    /// The order of the two batches changes every time, so that a drift cancels.
    longer_first: bool,
}

impl Sampler {
    /// Warms up and chooses the batch.
    fn new(run: &mut Run<'_>, options: &MeasureOptions) -> Result<Self, Failure> {
        let batch_ns = options.batch.as_nanos() as f64;
        let stopwatch = Stopwatch::start();
        let mut calls = 1;
        loop {
            let elapsed_ns = run(calls)?.max(1);
            if calls == 1 && elapsed_ns as u128 >= LONG_CALL.as_nanos() {
                return Ok(Self { calls, is_long: true, longer_first: false });
            }
            if (elapsed_ns as f64) < batch_ns {
                // Aims a quarter higher, since the doorbell's share of a small batch is large.
                let wanted = calls as f64 * 1.25 * batch_ns / elapsed_ns as f64;
                calls = (wanted as u64).clamp(calls + 1, calls * 10);
            } else if stopwatch.elapsed() >= options.warm_up {
                return Ok(Self { calls, is_long: false, longer_first: false });
            }
        }
    }

    /// A sample after others have had the machine: the child and its caches are woken first, outside of it.
    fn sample_cold(&mut self, run: &mut Run<'_>) -> Result<f64, Failure> {
        if !self.is_long {
            run(1)?;
        }
        self.sample(run)
    }

    /// Nanoseconds of one call.
    fn sample(&mut self, run: &mut Run<'_>) -> Result<f64, Failure> {
        if self.is_long {
            return Ok(run(1)? as f64);
        }
        let mut least = f64::INFINITY;
        for _ in 0..=RETRIES {
            let (shorter, longer) = self.pair(run)?;
            let (slope, whole) =
                ((longer - shorter) / self.calls as f64, longer / (2 * self.calls) as f64);
            if CREDIBLE.contains(&(slope / whole)) {
                return Ok(slope);
            }
            least = least.min(whole);
        }
        // The machine is so noisy that the longer batch, doorbell and all, tells more than the difference.
        Ok(least)
    }

    /// The times of n and of 2n calls.
    fn pair(&mut self, run: &mut Run<'_>) -> Result<(f64, f64), Failure> {
        self.longer_first = !self.longer_first;
        if self.longer_first {
            let longer = run(2 * self.calls)?;
            Ok((run(self.calls)? as f64, longer as f64))
        } else {
            let shorter = run(self.calls)?;
            Ok((shorter as f64, run(2 * self.calls)? as f64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose calls take `call_ns`, with a doorbell of `bell_ns` and a spike in every 5th run.
    fn machine(call_ns: u64, bell_ns: u64) -> impl FnMut(u64) -> Result<u64, Failure> {
        let mut runs = 0;
        move |calls| {
            runs += 1;
            let spike = if runs % 5 == 0 { 700_000 } else { 0 };
            Ok(bell_ns + calls * call_ns + spike)
        }
    }

    #[track_caller]
    fn measures(call_ns: u64, bell_ns: u64) {
        let options = MeasureOptions { warm_up: Duration::ZERO, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut machine(call_ns, bell_ns), &options).unwrap();
        assert_eq!(measurement.samples_ns.len(), options.samples);
        assert_eq!(measurement.median, call_ns as f64);
        assert!(measurement.lo <= measurement.median && measurement.median <= measurement.hi);
    }

    #[test]
    fn the_doorbell_cancels() {
        measures(7, 30_000);
        measures(5_000, 30_000);
        measures(3_000_000, 30_000);
    }

    #[test]
    fn the_fastest_batch_is_never_faster_than_a_call() {
        let options = MeasureOptions { warm_up: Duration::ZERO, ..MeasureOptions::default() };
        let fastest_ns = fastest(&mut machine(5_000, 30_000), 8, &options).unwrap();
        assert!((5_000.0..5_200.0).contains(&fastest_ns), "{fastest_ns}");
    }

    #[test]
    fn a_long_call_is_a_sample() {
        let mut runs = vec![];
        let mut run = |calls| {
            runs.push(calls);
            Ok(60_000_000 * calls)
        };
        let measurement = measure_runs(&mut run, &MeasureOptions::default()).unwrap();
        assert_eq!(measurement.median, 6e7);
        assert!(runs.iter().all(|calls| *calls == 1), "{runs:?}");
    }

    #[test]
    fn the_budget_leaves_three_samples() {
        let options = MeasureOptions { budget: Duration::ZERO, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut |calls| Ok(60_000_000 * calls), &options).unwrap();
        assert_eq!(measurement.samples_ns.len(), 3);
    }

    #[test]
    fn a_batch_is_long_enough() {
        let mut sampler_runs = vec![];
        let mut run = |calls: u64| {
            sampler_runs.push(calls);
            Ok(20_000 + calls * 3)
        };
        let options = MeasureOptions { warm_up: Duration::ZERO, ..MeasureOptions::default() };
        let sampler = Sampler::new(&mut run, &options).unwrap();
        assert!(sampler.calls * 3 >= 980_000, "{sampler:?}");
        assert!(sampler.calls * 3 < 3_000_000, "{sampler:?}");
    }

    #[test]
    fn no_disturbance_makes_a_call_faster_than_it_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut run = |calls: u64| {
            let spike =
                if rng.next_u32() % 2 == 0 { u64::from(rng.next_u32() % 3_000_000) } else { 0 };
            Ok(30_000 + calls * 5_000 + spike)
        };
        let options =
            MeasureOptions { warm_up: Duration::ZERO, samples: 200, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut run, &options).unwrap();
        let least = measurement.samples_ns.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least >= 2_500.0, "{least}");
        assert!((4_000.0..6_500.0).contains(&measurement.median), "{}", measurement.median);
    }

    #[test]
    fn without_a_slope_the_longer_batch_counts() {
        let options = MeasureOptions { warm_up: Duration::ZERO, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut |_| Ok(2_000_000), &options).unwrap();
        assert_eq!(measurement.median, 1_000_000.0);
    }

    #[test]
    fn a_failure_ends_the_measurement() {
        let mut left = 4;
        let mut run = |_| {
            left -= 1;
            if left == 0 { Err(Failure::TimedOut { limit: Duration::ZERO }) } else { Ok(2_000_000) }
        };
        let failure = measure_runs(&mut run, &MeasureOptions::default()).unwrap_err();
        assert_eq!(failure.reason(), "timeout");
    }
}
