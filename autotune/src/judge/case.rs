//! Cases: inputs of a family with the reference of their outputs.

use crate::clock::Stopwatch;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::time::Duration;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{
    Expected, Family, HostTensor, UNDECIDED_MAX, Verdict, compare, compare_exact, draw, evaluate,
    integers_are_exact, shuffle,
};

/// A reference that takes less is computed anew for every candidate.
const CHEAP: Duration = Duration::from_millis(5);
/// Draws of a case before one with many undecided elements is kept all the same.
const DRAWS: usize = 8;
/// The families of which each candidate gets one besides `Normal`.
const OTHERS: [Family; 3] = [Family::Uniform, Family::Integers, Family::Equal];

/// Inputs and what they should give.
#[derive(Clone, Debug)]
pub(super) struct Case {
    family: Family,
    seed: u64,
    /// The seed of the permutation that made this case of a drawn one.
    permutation: Option<u64>,
    /// Whether the reference is exact, so that every element must be equal.
    exact: bool,
    pub(super) inputs: Vec<HostTensor>,
    expected: Vec<Expected>,
}

impl Case {
    fn draw(graph: &Graph, family: Family, rng: &mut impl RngCore) -> Self {
        let mut seed = rng.next_u64() >> 11;
        let mut case = Self::of(graph, family, seed);
        for _ in 1..DRAWS {
            if !case.is_undecided() {
                break;
            }
            seed = rng.next_u64() >> 11;
            case = Self::of(graph, family, seed);
        }
        case
    }

    fn of(graph: &Graph, family: Family, seed: u64) -> Self {
        let inputs = draw(graph, family, seed);
        let expected = evaluate(graph, &inputs);
        let exact = family == Family::Integers && integers_are_exact(graph, seed);
        Self { family, seed, permutation: None, exact, inputs, expected }
    }

    fn is_undecided(&self) -> bool {
        self.expected.iter().any(|expected| {
            expected.undecided as f64 > expected.values.len() as f64 * UNDECIDED_MAX
        })
    }

    /// The case under a permutation of the axes whose order does not matter.
    fn shuffled(&self, graph: &Graph, seed: u64) -> Self {
        let (inputs, expected) = shuffle(graph, &self.inputs, &self.expected, seed);
        Self { permutation: Some(seed), inputs, expected, ..*self }
    }

    pub(super) fn compare(&self, output: usize, got: &HostTensor) -> Verdict {
        let expected = &self.expected[output];
        if self.exact { compare_exact(expected, got) } else { compare(expected, got) }
    }

    /// For the evidence: how to draw it again.
    pub(super) fn describe(&self) -> String {
        match self.permutation {
            Some(permutation) => {
                format!("case {} {} permuted by {permutation}", self.family.name(), self.seed)
            }
            None => format!("case {} {}", self.family.name(), self.seed),
        }
    }
}

/// The cases whose references are known.
#[derive(Debug)]
pub(super) struct Pool {
    normal: Case,
    others: Vec<Case>,
    cheap: bool,
}

impl Pool {
    pub(super) fn new(graph: &Graph, rng: &mut ChaCha8Rng) -> Self {
        let watch = Stopwatch::start();
        let normal = Case::draw(graph, Family::Normal, rng);
        let cheap = watch.elapsed() < CHEAP;
        let seeded: Vec<(Family, ChaCha8Rng)> =
            OTHERS.iter().map(|&family| (family, fork(rng))).collect();
        let others = seeded
            .into_par_iter()
            .map(|(family, mut rng)| Case::draw(graph, family, &mut rng))
            .collect();
        Self { normal, others, cheap }
    }

    /// Cases never seen before, the even ones normal and the odd ones of another family.
    pub(super) fn draw(&self, graph: &Graph, count: usize, rng: &mut ChaCha8Rng) -> Vec<Case> {
        let choices: Vec<(&Case, u64)> = (0..count)
            .map(|position| {
                let other = rng.random_range(0..self.others.len());
                let case = if position % 2 == 0 { &self.normal } else { &self.others[other] };
                (case, rng.next_u64() >> 11)
            })
            .collect();
        choices
            .into_iter()
            .map(|(case, seed)| {
                if self.cheap {
                    Case::draw(graph, case.family, &mut ChaCha8Rng::seed_from_u64(seed))
                } else {
                    case.shuffled(graph, seed)
                }
            })
            .collect()
    }
}

fn fork(rng: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(rng.next_u64())
}
