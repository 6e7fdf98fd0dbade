//! A foreign candidate against an incumbent: faster, slower or tie.
//!
//! Both are libraries in processes of their own, take turns in random order, and get the same data. Every call of a sample has
//! newly drawn data, in buffers that rotate, over garbage, which comes while the process stands still; what it computes
//! after its answer is added to its time, by the kernel's account of it. All elements of both are compared with each
//! other; calls chosen after they were made, the last of them when all is over, and all in which the two differ by more than
//! honest results do, also with the reference. Between the samples the candidate gets hard data in the same arrays, in calls that
//! look like those of a sample. Invariant: no time of a call whose output has not been compared.

use super::rejection::UNDECIDED;
use super::{Judge, Rejection};
use crate::clock::against::Verdict;
use crate::clock::{Measurement, Stopwatch, median_interval};
use crate::launch::{Layout, Library, Loading, Session, SessionOptions, Shape};
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::time::Duration;
use tilewright_ir::reference::{HostTensor, memory};

/// The length of a sample: long against the doorbell and against standing still.
const SAMPLE_NS: f64 = 1e6;
/// Most slots, and most bytes of all of them.
const SLOTS_MAX: u64 = 64;
const SLOTS_BYTES_MAX: u64 = 256 << 20;
/// Samples of each, if the budget allows more than the fewest.
const SAMPLES: usize = 31;
const SAMPLES_MIN: usize = 5;
/// One round in so many has a call that is compared with the reference, while half of the budget lasts, and so many calls
/// whatever it takes.
const CHECK_EVERY: u32 = 4;
const CHECKED_MIN: usize = 3;
/// Calls out of all that are compared with the reference at the end, and bytes of outputs that are kept for that: what is wrong
/// in half of the calls, as it must be to move a median, passes one time in 2^8.
const KEPT: usize = 8;
const KEPT_BYTES_MAX: u64 = 512 << 20;
/// One round in so many has a call on hard data behind it.
const HARD_EVERY: u32 = 3;
/// Calls of the incumbent that tell how long a sample has to be.
const PROBES: usize = 5;
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
        // The faster of both says how many calls a sample has: who is slow while judged would be timed with its wake-up.
        let call_ns = contest.call_ns.min(self.incumbent_ns(contest, &shape, options)?);
        let wanted = (SAMPLE_NS / call_ns.max(1.0)).ceil() as u64;
        let most = (SLOTS_BYTES_MAX / bytes.max(1)).clamp(1, SLOTS_MAX);
        let slots = wanted.clamp(1, most);
        let options = SessionOptions { slots: slots as usize, new_memory: true, ..options.clone() };
        let load = |library: &Library, workspace_bytes| {
            let loading = Loading { layout: Layout::Usual, workspace_bytes };
            Session::load(library, &shape, loading, &options)
        };
        let [own, other] = contest.workspace_bytes;
        let mut rivals =
            [load(contest.candidate, own)?, load(contest.incumbent, other).map_err(of_incumbent)?];
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let mut check = Check { tolerances: self.pool.tolerances(), worst_ratio: 0.0, checked: 0 };
        let most = KEPT_BYTES_MAX
            / (2 * shape.arrays[shape.inputs..].iter().map(|of| of.0).sum::<u64>()).max(1);
        let mut kept = Kept { most: (most.max(1) as usize).min(KEPT), seen: 0, calls: vec![] };
        let mut samples: [Vec<f64>; 2] = [vec![], vec![]];
        let watch = Stopwatch::start();
        // The first sample warms both up.
        for round in 0..=SAMPLES {
            if round > SAMPLES_MIN && watch.elapsed() > contest.budget {
                break;
            }
            let first = usize::from(rng.random::<bool>());
            let seeds: Vec<u64> = (0..slots).map(|_| rng.next_u64() >> 11).collect();
            let inputs: Vec<Vec<HostTensor>> =
                seeds.par_iter().map(|&seed| self.pool.fresh(self.graph, seed)).collect();
            let mut outputs = [vec![], vec![]];
            for rival in [first, 1 - first] {
                let sample = self.sample(&mut rivals[rival], &inputs);
                let (sample_ns, given) = sample.map_err(|fault| blamed(rival, fault))?;
                outputs[rival] = given;
                if round > 0 {
                    samples[rival].push(sample_ns);
                }
            }
            let is_idle = watch.elapsed() < contest.budget / 2 || check.checked < CHECKED_MIN;
            let chosen = (is_idle && rng.random_range(0..CHECK_EVERY) == 0 || round == 0)
                .then(|| rng.random_range(0..slots) as usize);
            kept.offer(&seeds, &outputs, &mut rng);
            self.compare_both(&seeds, &mut outputs, chosen, &mut check)?;
            if rng.random_range(0..HARD_EVERY) == 0 {
                self.hard_call(&mut rivals[0], &inputs, &mut rng)?;
            }
        }
        for (seed, mut outputs) in kept.calls {
            self.compare_both(&[seed], &mut outputs, Some(0), &mut check)?;
        }
        Ok(outcome(samples, slots, check.worst_ratio, rng.next_u64()))
    }

    /// The nanoseconds of a call of the incumbent, the fastest of few.
    fn incumbent_ns(
        &mut self,
        contest: &Contest<'_>,
        shape: &Shape,
        options: &SessionOptions,
    ) -> Result<f64, Rejection> {
        let options = SessionOptions { slots: 1, ..options.clone() };
        let loading =
            Loading { layout: Layout::Usual, workspace_bytes: contest.workspace_bytes[1] };
        let session = Session::load(contest.incumbent, shape, loading, &options);
        let mut session = session.map_err(of_incumbent)?;
        let inputs = [self.pool.fresh(self.graph, self.rng.next_u64() >> 11)];
        let mut least_ns = f64::INFINITY;
        for _ in 0..PROBES {
            let sample = self.sample(&mut session, &inputs).map_err(of_incumbent)?;
            least_ns = least_ns.min(sample.0);
        }
        Ok(least_ns)
    }

    /// Has the candidate make a sample whose time nobody takes: one slot has a hard case, the others what they had.
    fn hard_call(
        &mut self,
        session: &mut Session,
        inputs: &[Vec<HostTensor>],
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Rejection> {
        let picks = self.pool.pick_hard(rng);
        let Some(&pick) = picks.get(rng.random_range(0..picks.len().max(1))) else {
            return Ok(());
        };
        let case = self.pool.draw(self.graph, pick);
        let slot = rng.random_range(0..inputs.len());
        session.wake()?;
        session.freeze()?;
        case.feed(self.graph, session, slot)?;
        self.poison(session)?;
        // Subnormal numbers make some machines slow.
        let deadline = session.deadline();
        session.set_deadline(deadline.saturating_mul(super::HARD_DEADLINE));
        session.run_accounted(inputs.len() as u64)?;
        session.set_deadline(deadline);
        let mut outputs: Vec<Vec<u8>> =
            session.outputs(slot)?.into_iter().map(<[u8]>::to_vec).collect();
        match self.compare(&case, &mut outputs) {
            Err(rejection) if rejection.reason != UNDECIDED => Err(rejection),
            _ => Ok(()),
        }
    }

    /// The nanoseconds of one call over fresh inputs, one for each slot, and what came out.
    fn sample(
        &mut self,
        session: &mut Session,
        inputs: &[Vec<HostTensor>],
    ) -> Result<(f64, Vec<Outputs>), Rejection> {
        session.wake()?;
        session.freeze()?;
        for (slot, inputs) in inputs.iter().enumerate() {
            let inputs = memory(self.graph, inputs);
            let bytes: Vec<&[u8]> = inputs.iter().map(AsRef::as_ref).collect();
            session.set_input_bytes(slot, &bytes)?;
        }
        self.poison(session)?;
        let run_ns = session.run_accounted(inputs.len() as u64)? as f64;
        let given = session.all_outputs(inputs.len())?.into_iter();
        let outputs = given.map(|slot| slot.into_iter().map(<[u8]>::to_vec).collect()).collect();
        Ok((run_ns / inputs.len() as f64, outputs))
    }

    /// Compares what both made of fresh inputs with each other, and with the reference where they differ, or in the chosen
    /// slot.
    fn compare_both(
        &self,
        seeds: &[u64],
        outputs: &mut [Vec<Outputs>; 2],
        chosen: Option<usize>,
        check: &mut Check,
    ) -> Result<(), Rejection> {
        let [own, other] = outputs;
        for (slot, &seed) in seeds.iter().enumerate() {
            let agree = self.agree(&own[slot], &other[slot], &check.tolerances);
            if agree && chosen != Some(slot) {
                continue;
            }
            let case = self.pool.settled(self.graph, seed);
            for (rival, outputs) in [&mut own[slot], &mut other[slot]].into_iter().enumerate() {
                match self.compare(&case, outputs) {
                    Ok(ratio) => check.worst_ratio = check.worst_ratio.max(ratio),
                    // The elements that are decided are right, and nobody chose the others.
                    Err(rejection) if rejection.reason == UNDECIDED => {}
                    Err(rejection) => return Err(blamed(rival, rejection)),
                }
            }
            check.checked += 1;
        }
        Ok(())
    }

    /// Whether no element of two results is further apart than those of honest ones are.
    fn agree(&self, own: &Outputs, other: &Outputs, tolerances: &[f64]) -> bool {
        let near =
            |one: f64, two: f64, tolerance: f64| one == two || (one - two).abs() <= tolerance;
        let mut outputs = self.graph.outputs.iter().zip(own.iter().zip(other)).zip(tolerances);
        outputs.all(|((output, (own, other)), &tolerance)| {
            let shape = output.tensor.shape(&self.graph.axes);
            let values = |bytes: &Vec<u8>| {
                let (dtype, shape) = (output.tensor.dtype, shape.clone());
                HostTensor { dtype, shape, bytes: bytes.clone() }.to_f64()
            };
            own == other
                || values(own)
                    .into_iter()
                    .zip(values(other))
                    .all(|(one, two)| near(one, two, tolerance))
        })
    }
}

/// The bytes of each output.
type Outputs = Vec<Vec<u8>>;

/// Calls with what both made of them, each as likely as any other (Vitter, 1985, algorithm R): who answers cannot know which.
struct Kept {
    most: usize,
    seen: u64,
    calls: Vec<(u64, [Vec<Outputs>; 2])>,
}

impl Kept {
    fn offer(&mut self, seeds: &[u64], outputs: &[Vec<Outputs>; 2], rng: &mut ChaCha8Rng) {
        for (slot, &seed) in seeds.iter().enumerate() {
            self.seen += 1;
            let place = match self.calls.len() < self.most {
                true => self.calls.len(),
                false => rng.random_range(0..self.seen) as usize,
            };
            if place >= self.most {
                continue;
            }
            let call = (seed, [0_usize, 1].map(|rival| vec![outputs[rival][slot].clone()]));
            match self.calls.get_mut(place) {
                Some(kept) => *kept = call,
                None => self.calls.push(call),
            }
        }
    }
}

/// What is known of the results of both.
struct Check {
    /// By output, how far apart honest results may be.
    tolerances: Vec<f64>,
    worst_ratio: f64,
    /// Calls that were compared with the reference.
    checked: usize,
}

/// A fault of the candidate, or of what it is compared with.
fn blamed(rival: usize, fault: impl Into<Rejection>) -> Rejection {
    if rival == 1 { of_incumbent(fault) } else { fault.into() }
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
    use super::{Kept, Verdict, outcome};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    /// Whether early calls or late ones were wrong, some of them are among those that are kept.
    #[test]
    fn every_call_may_be_kept() {
        let mut times = [0; 31];
        for seed in 0..400 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut kept = Kept { most: 8, seen: 0, calls: vec![] };
            for round in 0..31 {
                let slots = [round * 2, round * 2 + 1];
                let given =
                    |rival: u64| slots.map(|slot| vec![vec![(slot + rival) as u8]]).to_vec();
                kept.offer(&slots, &[given(0), given(1)], &mut rng);
            }
            assert_eq!((kept.calls.len(), kept.seen), (8, 62));
            for (call, [own, other]) in &kept.calls {
                assert_eq!((own[0][0][0], other[0][0][0]), (*call as u8, *call as u8 + 1));
                times[(call / 2) as usize] += 1;
            }
        }
        // 400 * 8 calls of 31 rounds: 103 each.
        assert!(times.iter().all(|count| (60..150).contains(count)), "{times:?}");
    }

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
