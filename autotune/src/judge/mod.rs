//! The judge: whether a candidate computes the kernel, decided before its time counts.
//!
//! The data of a check is drawn after the candidate is fixed, from at least two families, and never seen before: a
//! new draw where the reference is cheap, else a permutation of a known case that keeps its reference. Outputs are
//! poisoned before each of two runs; every element of every slot is compared; the two runs must agree to the bit;
//! and after the clock has run, the outputs must still be those that were judged. Inputs are read-only in the child.
//! Invariant: expected values never leave this process.

mod case;
mod rejection;

pub use rejection::Rejection;

use crate::launch::{Failure, Session};
use case::{Case, Pool};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::HostTensor;

/// Judges the candidates of one kernel.
#[derive(Debug)]
pub struct Judge<'a> {
    graph: &'a Graph,
    pool: Pool,
    rng: ChaCha8Rng,
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
        Self { graph, pool, rng }
    }

    /// Checks the candidate of a session. The slots keep the data of the last cases, for the clock.
    ///
    /// # Errors
    /// The first reason to reject it.
    pub fn check(&mut self, session: &mut Session) -> Result<Passed, Rejection> {
        // 53 bits, so that a seed survives readers of JSON that know only f64.
        let seed = self.rng.next_u64() >> 11;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let slots = session.slots().max(1);
        let mut passed = Passed { worst_ratio: 0.0, seed, calls_ns: vec![], outputs: vec![] };
        for first in (0..slots.max(2)).step_by(slots) {
            // Only the cases of one round are in memory at once.
            let positions = first..(first + slots).min(slots.max(2));
            let cases: Vec<Case> =
                positions.map(|position| self.pool.draw(self.graph, position, &mut rng)).collect();
            self.check_round(session, &cases, &mut rng, &mut passed)?;
        }
        Ok(passed)
    }

    /// Runs one case in each slot, twice on different garbage.
    fn check_round(
        &self,
        session: &mut Session,
        cases: &[Case],
        rng: &mut ChaCha8Rng,
        passed: &mut Passed,
    ) -> Result<(), Rejection> {
        for (slot, case) in cases.iter().enumerate() {
            session.set_inputs(slot, &case.inputs)?;
        }
        let first = run_on_garbage(session, cases.len(), rng, &mut passed.calls_ns)?;
        for (outputs, case) in first.iter().zip(cases) {
            let ratio = self.compare(case, outputs)?;
            passed.worst_ratio = passed.worst_ratio.max(ratio);
        }
        let second = run_on_garbage(session, cases.len(), rng, &mut passed.calls_ns)?;
        self.same(&first, &second, "run again over other garbage")?;
        passed.outputs = second;
        Ok(())
    }

    /// Compares every element of every output of a case.
    fn compare(&self, case: &Case, outputs: &[Vec<u8>]) -> Result<f64, Rejection> {
        let mut worst = 0.0_f64;
        for (position, (output, bytes)) in self.graph.outputs.iter().zip(outputs).enumerate() {
            let tensor = &output.tensor;
            let shape = tensor.axes.iter().map(|&axis| self.graph.axes.extent(axis)).collect();
            let got = HostTensor { dtype: tensor.dtype, shape, bytes: bytes.clone() };
            let verdict = case.compare(position, &got);
            if !verdict.passed() {
                return Err(Rejection::wrong(&tensor.name, &case.describe(), &verdict));
            }
            worst = worst.max(verdict.worst_ratio);
        }
        Ok(worst)
    }

    /// Fills the outputs of all slots with new garbage, for the clock to run over.
    ///
    /// # Errors
    /// The session's failure.
    pub fn poison(&mut self, session: &mut Session) -> Result<(), Failure> {
        (0..session.slots()).try_for_each(|slot| session.poison(slot, self.rng.next_u64()))
    }

    /// Whether the outputs are still those that passed after the clock has run, and whether the candidate still
    /// writes all of them: it may have noticed that it is being timed.
    ///
    /// # Errors
    /// `nondeterministic` if a byte differs; the session's failure.
    pub fn unchanged(&mut self, session: &mut Session, passed: &Passed) -> Result<(), Rejection> {
        let slots = passed.outputs.len();
        let timed = read(session, slots)?;
        self.same(&passed.outputs, &timed, "timed")?;
        let again = run_on_garbage(session, slots, &mut self.rng, &mut vec![])?;
        self.same(&passed.outputs, &again, "run again after it was timed")
    }

    fn same(
        &self,
        before: &[Vec<Vec<u8>>],
        after: &[Vec<Vec<u8>>],
        when: &str,
    ) -> Result<(), Rejection> {
        for (slot, (before, after)) in before.iter().zip(after).enumerate() {
            for (output, (before, after)) in self.graph.outputs.iter().zip(before.iter().zip(after))
            {
                let bytes = output.tensor.dtype.bytes().max(1) as usize;
                if let Some(place) = before.iter().zip(after).position(|(one, other)| one != other)
                {
                    let name = &output.tensor.name;
                    return Err(Rejection::new(
                        "nondeterministic",
                        format!(
                            "element {} of {name} in slot {slot} changed when {when}",
                            place / bytes
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn run_on_garbage(
    session: &mut Session,
    slots: usize,
    rng: &mut ChaCha8Rng,
    calls_ns: &mut Vec<f64>,
) -> Result<Vec<Vec<Vec<u8>>>, Failure> {
    (0..slots).try_for_each(|slot| session.poison(slot, rng.next_u64()))?;
    let time_ns = session.run_from(0, slots as u64)?;
    calls_ns.push(time_ns as f64 / slots as f64);
    read(session, slots)
}

/// The outputs of the first slots.
fn read(session: &mut Session, slots: usize) -> Result<Vec<Vec<Vec<u8>>>, Failure> {
    (0..slots)
        .map(|slot| Ok(session.outputs(slot)?.into_iter().map(<[u8]>::to_vec).collect()))
        .collect()
}
