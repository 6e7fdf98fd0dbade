//! A foreign candidate against an incumbent: faster, slower or tie.
//!
//! Both are libraries in processes of their own, take turns in random order, and get the same data. Every sample has
//! data that neither has seen, in buffers that rotate, over garbage; every element of every call is compared before the
//! time counts. What a process computes after its answer is added to its time, by the kernel's account of it.
//! Invariant: no time of a call whose output has not been compared.

use super::{Judge, Passed, Rejection};
use crate::clock::against::Verdict;
use crate::clock::{Measurement, Stopwatch, median_interval};
use crate::launch::{Layout, Library, Loading, Session, SessionOptions, Shape};
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// The length of a sample: long against the doorbell and against standing still.
const SAMPLE_NS: f64 = 1e6;
/// Most slots, and most bytes of all of them.
const SLOTS_MAX: u64 = 64;
const SLOTS_BYTES_MAX: u64 = 256 << 20;
/// Samples of each, if the budget allows more than the fewest.
const SAMPLES: usize = 31;
const SAMPLES_MIN: usize = 5;
/// A difference below this part of the time is none.
const EFFECT_MIN: f64 = 0.01;
/// A time so many times below the floor is refused.
pub const IMPOSSIBLE: f64 = 1.3;

/// Who competes, and what limits it.
#[derive(Debug)]
pub struct Contest<'a> {
    /// The library to judge.
    pub candidate: &'a Library,
    /// What it is compared with.
    pub incumbent: &'a Library,
    /// The workspace of each.
    pub workspace_bytes: [u64; 2],
    /// The fastest call seen of the candidate, for the length of a sample.
    pub call_ns: f64,
    /// The shortest time that this machine can take; 0: unknown.
    pub floor_ns: f64,
    /// Time after which no further sample is begun.
    pub budget: Duration,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The time of one call of the candidate, in nanoseconds.
    pub candidate: Measurement,
    /// The same of the incumbent.
    pub incumbent: Measurement,
    /// The candidate's time as a part of the incumbent's, with its interval of 95 %: median, lower and upper end.
    pub ratio: (f64, f64, f64),
    /// What that means.
    pub verdict: Verdict,
    /// Calls of a sample.
    pub slots: u64,
    /// The largest error seen, as a fraction of what is allowed.
    pub worst_ratio: f64,
}

impl Judge<'_> {
    /// Times a candidate that has passed against an incumbent.
    ///
    /// # Errors
    /// `impossible` for a time that no machine could have, twice; otherwise as `check`, naming the incumbent if it is
    /// the one at fault.
    pub fn contest(
        &mut self,
        contest: &Contest<'_>,
        options: &SessionOptions,
    ) -> Result<Outcome, Rejection> {
        let outcome = self.contest_once(contest, options)?;
        if !is_impossible(&outcome, contest) {
            return Ok(outcome);
        }
        // New processes, buffers and data.
        let outcome = self.contest_once(contest, options)?;
        if is_impossible(&outcome, contest) {
            let (median, floor_ns) = (outcome.candidate.median, contest.floor_ns);
            let evidence = format!("{median:.0} ns, where the machine needs {floor_ns:.0} ns");
            return Err(Rejection::new("impossible", evidence));
        }
        Ok(outcome)
    }

    fn contest_once(
        &mut self,
        contest: &Contest<'_>,
        options: &SessionOptions,
    ) -> Result<Outcome, Rejection> {
        let shape = Shape::of(self.graph);
        let bytes: u64 = shape.arrays.iter().map(|(bytes, _)| bytes).sum();
        let wanted = (SAMPLE_NS / contest.call_ns.max(1.0)).ceil() as u64;
        let most = (SLOTS_BYTES_MAX / bytes.max(1)).clamp(1, SLOTS_MAX);
        let slots = wanted.clamp(1, most);
        let options = SessionOptions { slots: slots as usize, ..options.clone() };
        let load = |library: &Library, workspace_bytes| {
            let loading = Loading { layout: Layout::Usual, workspace_bytes };
            Session::load(library, &shape, loading, &options)
        };
        let [own, other] = contest.workspace_bytes;
        let mut rivals =
            [load(contest.candidate, own)?, load(contest.incumbent, other).map_err(of_incumbent)?];
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let mut passed = Passed { worst_ratio: 0.0, seed: 0, calls_ns: vec![], outputs: vec![] };
        let mut samples: [Vec<f64>; 2] = [vec![], vec![]];
        let watch = Stopwatch::start();
        // The first sample warms both up.
        for round in 0..=SAMPLES {
            if round > SAMPLES_MIN && watch.elapsed() > contest.budget {
                break;
            }
            let first = usize::from(rng.random::<bool>());
            let seed = rng.next_u64();
            for rival in [first, 1 - first] {
                let sample = self.sample(&mut rivals[rival], seed, &mut passed);
                let sample_ns =
                    sample.map_err(|fault| if rival == 1 { of_incumbent(fault) } else { fault })?;
                if round > 0 {
                    samples[rival].push(sample_ns);
                }
            }
        }
        Ok(outcome(samples, slots, passed.worst_ratio, rng.next_u64()))
    }

    /// The nanoseconds of one call over data of a seed.
    fn sample(
        &mut self,
        session: &mut Session,
        seed: u64,
        passed: &mut Passed,
    ) -> Result<f64, Rejection> {
        let slots = session.slots();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cases: Vec<_> = (0..slots).map(|_| self.pool.fresh(self.graph, &mut rng)).collect();
        self.feed_cases(session, &cases)?;
        self.poison(session)?;
        let run_ns = session.run_accounted(slots as u64)? as f64;
        self.check_outputs(session, &cases, run_ns / slots as f64, passed)?;
        Ok(run_ns / slots as f64)
    }
}

fn outcome(samples: [Vec<f64>; 2], slots: u64, worst_ratio: f64, seed: u64) -> Outcome {
    let [candidate, incumbent] = samples;
    let ratios: Vec<f64> =
        candidate.iter().zip(&incumbent).map(|(own, other)| own / other).collect();
    let ratio = median_interval(&ratios, seed);
    let verdict = if ratio.1 > 1.0 + EFFECT_MIN {
        Verdict::Slower
    } else if ratio.2 < 1.0 / (1.0 + EFFECT_MIN) {
        Verdict::Faster
    } else {
        Verdict::Tie
    };
    Outcome {
        candidate: Measurement::of(candidate, seed),
        incumbent: Measurement::of(incumbent, seed),
        ratio,
        verdict,
        slots,
        worst_ratio,
    }
}

fn is_impossible(outcome: &Outcome, contest: &Contest<'_>) -> bool {
    outcome.candidate.median * IMPOSSIBLE < contest.floor_ns
}

/// A fault of what the candidate is compared with.
fn of_incumbent(fault: impl Into<Rejection>) -> Rejection {
    let fault = fault.into();
    Rejection { reason: "incumbent", evidence: format!("of the incumbent: {fault}"), ..fault }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, outcome};

    #[track_caller]
    fn verdict(own: &[f64], other: &[f64]) -> Verdict {
        outcome([own.to_vec(), other.to_vec()], 1, 0.0, 3).verdict
    }

    #[test]
    fn equal_times_tie_and_others_do_not() {
        let times = [100.0, 103.0, 98.0, 101.0, 99.0, 100.5, 100.2];
        let half = times.map(|time| time / 2.0);
        assert_eq!(verdict(&times, &times), Verdict::Tie);
        assert_eq!(verdict(&half, &times), Verdict::Faster);
        assert_eq!(verdict(&times, &half), Verdict::Slower);
    }
}
