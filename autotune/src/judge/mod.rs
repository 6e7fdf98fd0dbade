//! The judge: whether a candidate computes the kernel, decided before its time counts.
//!
//! The data of a check is drawn after the candidate is fixed, from at least three families, and never seen before: a
//! permutation of a known case that keeps its reference, where nothing may be permuted a new draw. Where references are
//! cheap, the known cases are drawn anew one by one. First come the
//! hard families, in rounds of their own: wide magnitudes, NaN and infinities, ties. Outputs are
//! poisoned before each of two runs; every element of every slot is compared; the two runs must agree to the bit;
//! and after the clock has run, the outputs must still be those that were judged. Inputs are read-only in the child.
//! Invariant: expected values never leave this process.

mod case;
mod everywhere;
mod foreign;
mod hidden;
mod rejection;
mod timed;

pub use foreign::{Judgement, Standing, Tier, judge_library};
pub use hidden::hidden_sizes;
pub use rejection::Rejection;
pub use timed::{Contest, IMPOSSIBLE, Outcome};

use crate::launch::{Failure, Session};
use case::{Case, Pick, Pool};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::OnceLock;
use tilewright_ir::base::hash_bytes;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{Family, HostTensor, draw, memory};

/// How many times as long as another a call on a hard case may take.
const HARD_DEADLINE: u32 = 4;

/// Checks after which a known case is drawn anew.
const RENEW_EVERY: u32 = 12;
/// The seed of the data of digests.
const DIGEST_SEED: u64 = 1;

/// Judges the candidates of one kernel.
#[derive(Debug)]
pub struct Judge<'a> {
    graph: &'a Graph,
    pool: Pool,
    rng: ChaCha8Rng,
    /// Checks since a case was drawn anew.
    checks: u32,
    /// The data of digests.
    digested: OnceLock<Vec<HostTensor>>,
}

/// What a candidate that passed left behind.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: f64,
    /// The seed from which the data was drawn, below 2^53.
    pub seed: u64,
    /// Nanoseconds of one call, a sample for each run, doorbell included: a first idea of the time.
    pub calls_ns: Vec<f64>,
    /// The outputs of each slot as judged.
    outputs: Vec<Vec<Vec<u8>>>,
}

impl Passed {
    /// The fastest call seen, in nanoseconds, doorbell included.
    pub fn call_ns_min(&self) -> f64 {
        self.calls_ns.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

impl<'a> Judge<'a> {
    /// A judge of a bound graph. Computes the references of its first cases, which for a large kernel takes seconds.
    pub fn new(graph: &'a Graph, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pool = Pool::new(graph, &mut rng);
        Self { graph, pool, rng, checks: 0, digested: OnceLock::new() }
    }

    /// Checks the candidate of a session. The slots keep the data of the last cases, for the clock.
    ///
    /// # Errors
    /// The first reason to reject it.
    pub fn check(&mut self, session: &mut Session) -> Result<Passed, Rejection> {
        let (mut passed, mut rng) = self.begin();
        self.check_hard(session, &mut rng, &mut passed)?;
        self.check_plain(session, &mut rng, &mut passed)?;
        Ok(passed)
    }

    /// As `check`, without the hard families: at least two others.
    ///
    /// # Errors
    /// As `check`.
    pub fn check_first(&mut self, session: &mut Session) -> Result<Passed, Rejection> {
        let (mut passed, mut rng) = self.begin();
        self.check_plain(session, &mut rng, &mut passed)?;
        Ok(passed)
    }

    /// From now on candidates of a large kernel get all families, too.
    pub(super) fn widen(&mut self) {
        self.pool.widen(self.graph, &mut self.rng);
    }

    fn begin(&mut self) -> (Passed, ChaCha8Rng) {
        self.checks += 1;
        if self.checks.is_multiple_of(RENEW_EVERY) {
            self.pool.renew(self.graph, &mut self.rng);
        }
        // 53 bits, so that a seed survives readers of JSON that know only f64.
        let seed = self.rng.next_u64() >> 11;
        let passed = Passed { worst_ratio: 0.0, seed, calls_ns: vec![], outputs: vec![] };
        (passed, ChaCha8Rng::seed_from_u64(seed))
    }

    /// A case of the normal family and one of another for each pair of slots. A single slot keeps the normal one: tile
    /// registers multiply equal or whole numbers up to a seventh faster, and the clock comes next.
    fn check_plain(
        &self,
        session: &mut Session,
        rng: &mut ChaCha8Rng,
        passed: &mut Passed,
    ) -> Result<(), Rejection> {
        let slots = session.slots().max(1);
        for first in (0..slots.max(2)).step_by(slots).rev() {
            // Only the cases of one round are in memory at once.
            let positions = first..(first + slots).min(slots.max(2));
            let picks: Vec<Pick> =
                positions.map(|position| self.pool.pick(position, rng)).collect();
            let cases: Vec<Case> =
                picks.into_par_iter().map(|pick| self.pool.draw(self.graph, pick)).collect();
            self.check_round(session, &cases, rng, passed)?;
        }
        Ok(())
    }

    /// A case of each family that is not hard.
    ///
    /// # Errors
    /// As `check`.
    pub(super) fn check_families(&mut self, session: &mut Session) -> Result<Passed, Rejection> {
        let (mut passed, mut rng) = self.begin();
        for picks in self.pool.pick_plain(&mut rng).chunks(session.slots().max(1)) {
            let cases: Vec<Case> =
                picks.par_iter().map(|&pick| self.pool.draw(self.graph, pick)).collect();
            self.check_round(session, &cases, &mut rng, &mut passed)?;
        }
        Ok(passed)
    }

    /// Runs a case, and the same case with one element of an input changed: what looks at its inputs only here and
    /// there gives the first answer again.
    ///
    /// # Errors
    /// As `check`.
    pub fn check_changed(&mut self, session: &mut Session) -> Result<Passed, Rejection> {
        let (mut passed, mut rng) = self.begin();
        let [case, changed] = self.pool.pair(self.graph, &mut rng).map(|case| [case]);
        self.check_round(session, &case, &mut rng, &mut passed)?;
        // Over the answer to the first one, which looks less like a judge than garbage does.
        self.feed_cases(session, &changed)?;
        let ns = session.run_from(0, 1)? as f64;
        self.check_outputs(session, &changed, ns, &mut passed)?;
        passed.calls_ns.push(run_on_garbage(session, 1, &mut rng)?);
        self.same(session, &passed, "run again over garbage")?;
        Ok(passed)
    }

    /// Runs so many calls on the data of the last check, over other garbage; the outputs have to stay what they are.
    ///
    /// # Errors
    /// `nondeterministic` if a byte differs; the session's failure.
    pub fn endures(
        &mut self,
        session: &mut Session,
        passed: &Passed,
        calls: u64,
    ) -> Result<(), Rejection> {
        let slots = passed.outputs.len();
        session.run_from(0, calls.next_multiple_of(slots.max(1) as u64))?;
        self.same(session, passed, "called again and again")?;
        run_on_garbage(session, slots, &mut self.rng)?;
        self.same(session, passed, "called again and again, then over other garbage")
    }

    /// The hard cases. Subnormal numbers make some machines slow, so these calls may take long, and their times do not
    /// count.
    fn check_hard(
        &self,
        session: &mut Session,
        rng: &mut ChaCha8Rng,
        passed: &mut Passed,
    ) -> Result<(), Rejection> {
        let deadline = session.deadline();
        session.set_deadline(deadline.saturating_mul(HARD_DEADLINE));
        for picks in self.pool.pick_hard(rng).chunks(session.slots().max(1)) {
            let cases: Vec<Case> =
                picks.par_iter().map(|&pick| self.pool.draw(self.graph, pick)).collect();
            self.check_round(session, &cases, rng, passed)?;
        }
        session.set_deadline(deadline);
        passed.calls_ns.clear();
        Ok(())
    }

    /// Fills all slots with a known case, so that a candidate can be run before it is worth a check.
    ///
    /// # Errors
    /// The session's failure.
    pub fn feed(&self, session: &mut Session) -> Result<(), Failure> {
        let known = self.pool.known();
        (0..session.slots()).try_for_each(|slot| known.feed(self.graph, session, slot))
    }

    /// Runs one case in each slot, twice on different garbage.
    fn check_round(
        &self,
        session: &mut Session,
        cases: &[Case],
        rng: &mut ChaCha8Rng,
        passed: &mut Passed,
    ) -> Result<(), Rejection> {
        self.feed_cases(session, cases)?;
        let ns = run_on_garbage(session, cases.len(), rng)?;
        self.check_outputs(session, cases, ns, passed)?;
        passed.calls_ns.push(run_on_garbage(session, cases.len(), rng)?);
        self.same(session, passed, "run again over other garbage")
    }

    /// Puts one case into each slot.
    fn feed_cases(&self, session: &mut Session, cases: &[Case]) -> Result<(), Failure> {
        let mut slots = cases.iter().enumerate();
        slots.try_for_each(|(slot, case)| case.feed(self.graph, session, slot))
    }

    /// Compares what the slots hold after a run of so many nanoseconds a call.
    fn check_outputs(
        &self,
        session: &mut Session,
        cases: &[Case],
        call_ns: f64,
        passed: &mut Passed,
    ) -> Result<(), Rejection> {
        passed.calls_ns.push(call_ns);
        let slots: Vec<Vec<&[u8]>> = session.all_outputs(cases.len())?;
        let (outputs, ratios): (Vec<_>, Vec<Result<f64, Rejection>>) = (slots, cases)
            .into_par_iter()
            .map(|(given, case)| {
                let mut outputs: Vec<Vec<u8>> = given.into_iter().map(<[u8]>::to_vec).collect();
                let ratio = self.compare(case, &mut outputs);
                (outputs, ratio)
            })
            .unzip();
        for ratio in ratios {
            passed.worst_ratio = passed.worst_ratio.max(ratio?);
        }
        passed.outputs = outputs;
        Ok(())
    }

    /// Compares every element of every output of a case.
    fn compare(&self, case: &Case, outputs: &mut [Vec<u8>]) -> Result<f64, Rejection> {
        let mut worst = 0.0_f64;
        for (position, (output, bytes)) in self.graph.outputs.iter().zip(outputs).enumerate() {
            let tensor = &output.tensor;
            let shape = tensor.axes.iter().map(|&axis| self.graph.axes.extent(axis)).collect();
            let mut got = HostTensor { dtype: tensor.dtype, shape, bytes: std::mem::take(bytes) };
            let (verdict, accepted) = case.compare(self.graph, position, &got);
            *bytes = std::mem::take(&mut got.bytes);
            if !accepted {
                let told = if verdict.wrong == 0 { Rejection::undecided } else { Rejection::wrong };
                return Err(told(&tensor.name, &case.describe(), &verdict));
            }
            worst = worst.max(verdict.worst_ratio);
        }
        Ok(worst)
    }

    /// Fills the outputs with new garbage, for the clock to run over.
    ///
    /// # Errors
    /// The session's failure.
    pub fn poison(&mut self, session: &mut Session) -> Result<(), Failure> {
        session.poison_ahead(|| self.rng.next_u64())
    }

    /// Whether the outputs are still those that passed after the clock has run, and whether the candidate still
    /// writes all of them: it may have noticed that it is being timed.
    ///
    /// # Errors
    /// `nondeterministic` if a byte differs; the session's failure.
    pub fn unchanged(&mut self, session: &mut Session, passed: &Passed) -> Result<(), Rejection> {
        self.same(session, passed, "timed")?;
        run_on_garbage(session, passed.outputs.len(), &mut self.rng)?;
        self.same(session, passed, "run again after it was timed")
    }

    /// The hash of the outputs on data that anyone can draw again: of the first family, from a fixed seed. The same code
    /// on the same instructions gives the same bits.
    ///
    /// # Errors
    /// The session's failure.
    pub fn digest(&self, session: &mut Session) -> Result<String, Failure> {
        let inputs = self.digested.get_or_init(|| draw(self.graph, Family::Normal, DIGEST_SEED));
        let inputs = memory(self.graph, inputs);
        let bytes: Vec<&[u8]> = inputs.iter().map(AsRef::as_ref).collect();
        session.set_input_bytes(0, &bytes)?;
        session.poison(0, DIGEST_SEED)?;
        session.run_from(0, 1)?;
        Ok(hash_bytes("outputs", &session.outputs(0)?).to_string())
    }

    /// Whether the outputs in the slots are those that were judged, to the bit.
    fn same(&self, session: &mut Session, passed: &Passed, when: &str) -> Result<(), Rejection> {
        for (slot, judged) in passed.outputs.iter().enumerate() {
            let now = session.outputs(slot)?;
            let mut pairs = judged.iter().zip(now).zip(&self.graph.outputs);
            if let Some(((judged, now), output)) = pairs.find(|((judged, now), _)| judged != now) {
                let bytes = usize::try_from(output.tensor.dtype.bytes()).unwrap_or(1).max(1);
                let place = judged.iter().zip(now).position(|(one, other)| one != other);
                let element = place.map_or(0, |place| place / bytes);
                let name = &output.tensor.name;
                return Err(Rejection::new(
                    "nondeterministic",
                    format!("element {element} of {name} in slot {slot} changed when {when}"),
                ));
            }
        }
        Ok(())
    }
}

/// Fills the outputs of the first slots with garbage and runs each once. Returns the nanoseconds of one call.
fn run_on_garbage(
    session: &mut Session,
    slots: usize,
    rng: &mut ChaCha8Rng,
) -> Result<f64, Failure> {
    (0..slots).try_for_each(|slot| session.poison(slot, rng.next_u64()))?;
    Ok(session.run_from(0, slots as u64)? as f64 / slots as f64)
}
