//! The judge: whether the bytes of a result are within the allowances of the reference.
//!
//! Invariant: every decided element is looked at and has to pass; nothing is averaged away. An element with an
//! infinite allowance is undecided and counts apart.

use super::tensor::{half_ulp, round_to};
use super::{Expected, HostTensor};
use crate::base::{DType, UnaryOp};
use crate::graph::{Graph, Node, Op};
use rayon::prelude::*;
use std::ops::Range;

/// The largest share of undecided elements in a case that is judged at all.
pub const UNDECIDED_MAX: f64 = 0.001;

/// An element that is not within its allowance.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    /// The position along each axis.
    pub index: Vec<u64>,
    /// The value found.
    pub got: f64,
    /// The value of the reference.
    pub expected: f64,
    /// The allowance, the half ulp of the output's type included.
    pub allowance: f64,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The largest |got - expected| / allowance over the decided elements; above 1 is wrong.
    pub worst_ratio: f64,
    /// Elements outside their allowance.
    pub wrong: u64,
    /// The first of them in row-major order.
    pub first_wrong: Option<Wrong>,
    /// Elements that hang on a comparison closer than the allowances of its sides.
    pub undecided: u64,
    /// All elements.
    pub elements: u64,
}

impl Verdict {
    /// Whether every decided element is within its allowance and few enough are undecided.
    pub fn passed(&self) -> bool {
        self.wrong == 0 && !self.too_undecided()
    }

    /// Whether the case must be drawn again: more than `UNDECIDED_MAX` of its elements are undecided.
    pub fn too_undecided(&self) -> bool {
        self.undecided as f64 > UNDECIDED_MAX * self.elements as f64
    }
}

/// Elements that are judged together.
const PIECE: usize = 1 << 14;
/// Allowances above this part of a value are wide.
const LOOSE: f64 = 1e-2;

/// Compares a result with the reference. A value without an allowance must be the one that the output's type rounds
/// it to. Infinities must agree, but for an overflow of the output's type where the value and its allowance exceed its
/// largest number; NaN must stand exactly where the reference has NaN; the two zeros are equal. A result of another
/// size is wrong everywhere.
pub fn compare(expected: &Expected, got: &HostTensor) -> Verdict {
    judge(expected, got, |index, _, found| measure(expected, got.dtype, index, found))
}

/// The ratio of one element to what it is allowed, and that.
pub(super) fn measure(expected: &Expected, dtype: DType, index: usize, found: f64) -> (f64, f64) {
    let value = expected.values[index];
    let low = expected.low.get(index).copied().unwrap_or(0.0);
    if expected.allowances[index] == 0.0 && low == 0.0 {
        return exact(dtype, value, found);
    }
    // What may be found beyond a power of two is rounded as coarsely as numbers there.
    let allowance = expected.allowances[index];
    let allowance = allowance + half_ulp(dtype, value.abs() + allowance);
    (ratio(dtype, value, low, found, allowance), allowance)
}

/// The part of an allowance that the interpreters of a kernel's stages get: they compute in f64 and may only
/// re-associate, so of what honest arithmetic in a narrower type is allowed they get little. f64 kernels get all of it,
/// and so do kernels that round to whole numbers: there the allowance is a step, which has no smaller part.
#[derive(Clone, Copy, Debug)]
pub struct InterpreterShare(f64);

impl InterpreterShare {
    /// The share of a kernel.
    pub fn of(graph: &Graph) -> Self {
        let is_step = |node: &Node| match node.op {
            Op::Unary(UnaryOp::Floor | UnaryOp::Round, _) => true,
            Op::Cast(x) | Op::Wrap(x) => graph.node(x).dtype.is_float() && node.dtype.is_integer(),
            _ => false,
        };
        let all = graph.nodes.iter().any(|node| node.dtype == DType::F64 || is_step(node));
        Self(if all { 1.0 } else { 2f64.powi(-16) })
    }

    /// The error of an element as a fraction of what an interpreter is allowed: above 1 is wrong.
    pub fn ratio(self, expected: &Expected, index: usize, got: f64) -> f64 {
        let (value, allowance) = (expected.values[index], expected.allowances[index]);
        if allowance.is_infinite() || got == value || got.is_nan() && value.is_nan() {
            return 0.0;
        }
        // Where the allowance is wide, a function may have cut it off, and a part of it says nothing.
        let share = if allowance > LOOSE * value.abs() { 1.0 } else { self.0 };
        let low = expected.low.get(index).copied().unwrap_or(0.0);
        let allowed = share * allowance + half_ulp(DType::F64, value);
        let ratio = (got - value - low).abs() / allowed;
        // A NaN on one side only makes the ratio NaN, which is wrong too.
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    }
}

/// Compares a result with a reference whose values are exact: each element must be the value rounded to its type.
/// For families of integers in graphs where `inputs::integers_are_exact` holds.
pub fn compare_exact(expected: &Expected, got: &HostTensor) -> Verdict {
    judge(expected, got, |_, value, found| exact(got.dtype, value, found))
}

pub(super) fn exact(dtype: DType, value: f64, found: f64) -> (f64, f64) {
    let rounded = round_to(dtype, value);
    let equal = rounded == found || (rounded.is_nan() && found.is_nan());
    (if equal { 0.0 } else { f64::INFINITY }, 0.0)
}

fn judge(
    expected: &Expected,
    got: &HostTensor,
    measure: impl Fn(usize, f64, f64) -> (f64, f64) + Sync,
) -> Verdict {
    let elements = expected.values.len() as u64;
    let mut verdict = Verdict { elements, ..Verdict::default() };
    if got.len() != expected.values.len() {
        verdict.wrong = elements.max(1);
        verdict.worst_ratio = f64::INFINITY;
        return verdict;
    }
    let pieces = (0..got.len().div_ceil(PIECE)).into_par_iter().map(|piece| {
        let range = piece * PIECE..((piece + 1) * PIECE).min(got.len());
        judge_piece(expected, got, range, &measure)
    });
    let verdicts: Vec<Verdict> = pieces.collect();
    for piece in verdicts {
        verdict.worst_ratio = verdict.worst_ratio.max(piece.worst_ratio);
        verdict.wrong += piece.wrong;
        verdict.undecided += piece.undecided;
        verdict.first_wrong = verdict.first_wrong.or(piece.first_wrong);
    }
    verdict
}

/// The verdict over some of the elements.
fn judge_piece(
    expected: &Expected,
    got: &HostTensor,
    range: Range<usize>,
    measure: &impl Fn(usize, f64, f64) -> (f64, f64),
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut found = vec![0.0; range.len()];
    got.read(range.start, 1, &mut found);
    for (index, found) in range.zip(found) {
        if expected.allowances[index] == f64::INFINITY {
            verdict.undecided += 1;
            continue;
        }
        let value = expected.values[index];
        let (ratio, allowance) = measure(index, value, found);
        verdict.worst_ratio = verdict.worst_ratio.max(ratio);
        if ratio > 1.0 {
            verdict.wrong += 1;
            let first = &mut verdict.first_wrong;
            first.get_or_insert_with(|| wrong(index, &got.shape, found, (value, allowance)));
        }
    }
    verdict
}

fn ratio(dtype: DType, value: f64, low: f64, found: f64, allowance: f64) -> f64 {
    if value.is_nan() || found.is_nan() {
        return if value.is_nan() == found.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if found.is_infinite() || value.is_infinite() {
        // An honest result on the side of the infinity may be as far as this.
        let farthest = value * found.signum() + allowance;
        let accepted = found.is_infinite() && farthest > dtype.max_finite();
        return if accepted { 0.0 } else { f64::INFINITY };
    }
    let distance = (found - value - low).abs();
    if distance == 0.0 { 0.0 } else { distance / allowance }
}

/// A wrong element at a row-major position, with what was expected and allowed.
pub(super) fn wrong(
    index: usize,
    shape: &[u64],
    found: f64,
    (value, allowance): (f64, f64),
) -> Wrong {
    Wrong { index: position(index, shape), got: found, expected: value, allowance }
}

fn position(index: usize, shape: &[u64]) -> Vec<u64> {
    let mut rest = index as u64;
    let mut position: Vec<u64> = shape
        .iter()
        .rev()
        .map(|&extent| {
            let along = rest % extent;
            rest /= extent;
            along
        })
        .collect();
    position.reverse();
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(values: &[f64], allowances: &[f64]) -> Expected {
        Expected {
            values: values.to_vec(),
            allowances: allowances.to_vec(),
            undecided: allowances.iter().filter(|e| e.is_infinite()).count() as u64,
            ..Expected::default()
        }
    }

    fn verdict(dtype: DType, value: f64, allowance: f64, got: f64) -> bool {
        compare(&expect(&[value], &[allowance]), &HostTensor::from_f64(dtype, &[1], [got])).passed()
    }

    #[test]
    fn values_outside_the_numbers() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for (value, allowance, got, passes) in [
            (nan, 0.0, nan, true),
            (nan, 0.0, 1.0, false),
            (1.0, 0.5, nan, false),
            (inf, 0.0, inf, true),
            (inf, 0.0, -inf, false),
            (inf, 0.0, f64::from(f32::MAX), false),
            (-inf, 0.0, -inf, true),
            (3.4e38, 1e30, inf, false),
            (0.5, 0.0, 0.5 - 0.125 * f64::from(f32::EPSILON), true),
            (0.5, 0.0, 0.5 - 0.25 * f64::from(f32::EPSILON), false),
            (3.4e38, 1e37, inf, true),
            (1e39, 0.0, inf, true),
            (1e39, 0.0, -inf, false),
            (0.0, 0.0, -0.0, true),
            (1.0, 0.0, 1.0 + f64::from(f32::EPSILON), false),
            (1.0 + 0.5 * f64::from(f32::EPSILON), 0.0, 1.0, true),
        ] {
            assert_eq!(verdict(DType::F32, value, allowance, got), passes, "{value} {got}");
        }
    }

    #[test]
    fn one_wrong_element_among_many_fails_and_is_named() {
        let expected = expect(&[1.0; 6], &[1e-6; 6]);
        let mut got = HostTensor::from_f64(DType::F32, &[2, 3], [1.0; 6]);
        assert!(compare(&expected, &got).passed());
        got.set(4, 1.001);
        let verdict = compare(&expected, &got);
        assert!(!verdict.passed() && verdict.wrong == 1 && verdict.worst_ratio > 100.0);
        assert_eq!(verdict.first_wrong.unwrap().index, [1, 1]);
    }

    #[test]
    fn many_undecided_elements_mean_another_draw() {
        let expected = expect(&[1.0, 1.0], &[f64::INFINITY, 0.0]);
        let verdict = compare(&expected, &HostTensor::from_f64(DType::F32, &[2], [7.0, 1.0]));
        assert!(verdict.wrong == 0 && verdict.too_undecided() && !verdict.passed());
    }

    #[test]
    fn another_size_is_wrong() {
        let verdict = compare(&expect(&[0.0], &[1.0]), &HostTensor::zeros(DType::F32, &[2]));
        assert!(!verdict.passed());
    }
}
