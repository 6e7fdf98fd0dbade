//! Samples of the time of one call, alone or in turn with others.
//!
//! A sample is a batch of calls less what the doorbell takes, which a batch of no calls shows right before it. The least
//! doorbell seen counts, so that no disturbance makes a call faster than it is. Calls so long that the doorbell cannot be
//! seen in them are timed one by one instead.

use super::Stopwatch;
use crate::launch::{Failure, Session};
use rand::seq::SliceRandom as _;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::borrow::BorrowMut;
use std::time::Duration;

/// From this length on a call is a sample by itself: the doorbell is less than a thousandth of it.
const LONG_CALL: Duration = Duration::from_millis(50);
/// Batches of no calls before the first sample.
const BELLS: usize = 5;
/// A measurement has at least this many samples, whatever its budget.
const SAMPLES_MIN: usize = 3;

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
            batch: Duration::from_millis(2),
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
pub fn interleave<S: BorrowMut<Session>>(
    sessions: &mut [S],
    rounds: usize,
    options: &MeasureOptions,
) -> Vec<Result<Measurement, Failure>> {
    let stopwatch = Stopwatch::start();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut samplers: Vec<_> = sessions
        .iter_mut()
        .map(|session| Sampler::new(&mut |calls| session.borrow_mut().run(calls), options))
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
            let session = sessions[index].borrow_mut();
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
    /// Calls of a batch.
    calls: u64,
    /// Whether a call is long enough to be a sample by itself.
    is_long: bool,
    /// The shortest batch of no calls, in nanoseconds.
    bell_ns: u64,
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
                return Ok(Self { calls, is_long: true, bell_ns: u64::MAX });
            }
            if (elapsed_ns as f64) < batch_ns {
                // Aims a quarter higher, since the doorbell's share of a small batch is large.
                let wanted = calls as f64 * 1.25 * batch_ns / elapsed_ns as f64;
                calls = (wanted as u64).clamp(calls + 1, calls * 10);
            } else if stopwatch.elapsed() >= options.warm_up {
                return Ok(Self { calls, is_long: false, bell_ns: shortest_bell_ns(run)? });
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
        // It may sleep; the second time it is awake, as it will be for the batch.
        run(0)?;
        self.bell_ns = self.bell_ns.min(run(0)?);
        let whole_ns = run(self.calls)?;
        // Of a batch that is hardly longer than a doorbell nothing is known but that it took no longer.
        let net_ns = whole_ns.saturating_sub(self.bell_ns).max(whole_ns / 2);
        Ok(net_ns as f64 / self.calls as f64)
    }
}

/// The shortest of a few batches of no calls, in nanoseconds.
fn shortest_bell_ns(run: &mut Run<'_>) -> Result<u64, Failure> {
    let mut shortest_ns = u64::MAX;
    for _ in 0..BELLS {
        shortest_ns = shortest_ns.min(run(0)?);
    }
    Ok(shortest_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose calls take `call_ns`, with a doorbell of `bell_ns` and a spike in every 7th run.
    fn machine(call_ns: u64, bell_ns: u64) -> impl FnMut(u64) -> Result<u64, Failure> {
        let mut runs = 0;
        move |calls| {
            runs += 1;
            let spike = if runs % 7 == 0 { 700_000 } else { 0 };
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
        assert!(sampler.calls * 3 >= 1_980_000, "{sampler:?}");
        assert!(sampler.calls * 3 < 6_000_000, "{sampler:?}");
    }

    #[test]
    fn no_disturbance_makes_a_call_faster_than_it_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut run = |calls: u64| {
            let spike =
                if rng.next_u32() % 3 == 0 { u64::from(rng.next_u32() % 3_000_000) } else { 0 };
            Ok(30_000 + calls * 5_000 + spike)
        };
        let options =
            MeasureOptions { warm_up: Duration::ZERO, samples: 200, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut run, &options).unwrap();
        let least = measurement.samples_ns.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least >= 4_990.0, "{least}");
        assert!((4_990.0..5_500.0).contains(&measurement.median), "{}", measurement.median);
    }

    #[test]
    fn of_a_batch_like_a_doorbell_half_counts() {
        let options = MeasureOptions { warm_up: Duration::ZERO, ..MeasureOptions::default() };
        let measurement = measure_runs(&mut |_| Ok(2_500_000), &options).unwrap();
        assert_eq!(measurement.median, 1_250_000.0);
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
