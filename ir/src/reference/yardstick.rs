//! A reference made ready to be compared with many results, each perhaps in an order of its own.
//!
//! Most elements are settled by one subtraction and one product with the reciprocal of what they are allowed; the others, and
//! those near their limit, by the rules of `judge`. Invariant: what passes here passes there.

use super::judge::{self, Verdict};
use super::shuffle::Order;
use super::tensor::half_ulp;
use super::{Expected, HostTensor};
use crate::base::DType;
use rayon::prelude::*;

/// Elements that are judged together.
const PIECE: usize = 1 << 12;
/// Elements whose products are looked at together.
const GROUP: usize = 64;
/// A product up to this passes: the reciprocal is rounded to 24 bits.
const SURE: f64 = 1.0 - 1e-6;

/// The reference of one output, ready to be compared.
#[derive(Clone, Debug)]
pub struct Yardstick {
    expected: Expected,
    /// Whether every element must be the value rounded to its type.
    is_exact: bool,
    /// The reciprocal of what each element is allowed, the half ulp of its type included; NaN where the rules have to decide.
    scales: Vec<f32>,
    /// The largest finite allowance of an element, the half ulp of its type included.
    largest_allowance: f64,
}

impl Yardstick {
    /// A yardstick for results of a type.
    pub fn new(expected: Expected, dtype: DType) -> Self {
        let allowed = |index: usize| {
            let allowance = expected.allowances[index];
            allowance + half_ulp(dtype, expected.values[index].abs() + allowance)
        };
        let scale = |index: usize| {
            let (value, allowance) = (expected.values[index], expected.allowances[index]);
            let is_plain = value.is_finite() && allowance.is_finite() && allowance > 0.0;
            // A number that overflows or vanishes here would say nothing.
            let scale = (1.0 / allowed(index)) as f32;
            if is_plain && scale.is_normal() { scale } else { f32::NAN }
        };
        let scales = match expected.low.is_empty() {
            true => (0..expected.values.len()).into_par_iter().map(scale).collect(),
            false => vec![],
        };
        let finite = (0..expected.values.len()).into_par_iter().map(allowed);
        let finite = finite.filter(|allowed| allowed.is_finite());
        let largest_allowance = finite.reduce(|| 0.0, f64::max);
        Self { expected, is_exact: false, scales, largest_allowance }
    }

    /// A yardstick of integers that are exact: see `compare_exact`.
    pub fn exact(expected: Expected) -> Self {
        Self { expected, is_exact: true, scales: vec![], largest_allowance: 0.0 }
    }

    /// Whether every element must be equal to the bit.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// The largest finite allowance of an element, the half ulp of its type included; 0 where all have to be equal.
    pub fn largest_allowance(&self) -> f64 {
        self.largest_allowance
    }

    /// The reference.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// As `compare` or `compare_exact` of the reference in the order of the result; `None`: as it is.
    pub fn compare(&self, got: &HostTensor, order: Option<&Order>) -> Verdict {
        let elements = self.expected.values.len();
        let mut verdict = Verdict { elements: elements as u64, ..Verdict::default() };
        if got.len() != elements {
            verdict.wrong = verdict.elements.max(1);
            verdict.worst_ratio = f64::INFINITY;
            return verdict;
        }
        let rows = order.map(|order| Rows::of(order, got));
        let row = rows.as_ref().map_or(1, |rows| rows.inner.len()).max(1);
        // Whole rows, so that each is read once.
        let piece = PIECE.next_multiple_of(row);
        let pieces: Vec<Piece> = (0..elements.div_ceil(piece))
            .into_par_iter()
            .map(|number| {
                let start = number * piece;
                let mut found = vec![0.0; piece.min(elements - start)];
                match &rows {
                    Some(rows) => rows.read(start, &mut found),
                    None => got.read(start, 1, &mut found),
                }
                self.judge(start, &found, got.dtype)
            })
            .collect();
        let mut first: Option<(usize, f64)> = None;
        for piece in pieces {
            verdict.worst_ratio = verdict.worst_ratio.max(piece.worst_ratio);
            verdict.undecided += piece.undecided;
            verdict.wrong += piece.wrong.len() as u64;
            for (index, found) in piece.wrong {
                let place = rows.as_ref().map_or(index, |rows| rows.place(index));
                if first.is_none_or(|(known, _)| place < known) {
                    first = Some((place, found));
                    let (_, allowance) = self.measure(index, found, got.dtype);
                    let value = self.expected.values[index];
                    verdict.first_wrong =
                        Some(judge::wrong(place, &got.shape, found, (value, allowance)));
                }
            }
        }
        verdict
    }

    /// Judges the elements of the reference from `start` on.
    fn judge(&self, start: usize, found: &[f64], dtype: DType) -> Piece {
        let mut piece = Piece::default();
        for (number, found) in found.chunks(GROUP).enumerate() {
            let start = start + number * GROUP;
            match self.settled(start, found) {
                Some(worst) => piece.worst_ratio = piece.worst_ratio.max(worst),
                None => self.judge_each(start, found, dtype, &mut piece),
            }
        }
        piece
    }

    /// The largest ratio of a group, if all of it surely passes.
    fn settled(&self, start: usize, found: &[f64]) -> Option<f64> {
        let scales = self.scales.get(start..start + found.len())?;
        let values = &self.expected.values[start..start + found.len()];
        let (mut worst, mut is_sure) = (0.0_f64, true);
        for ((found, value), scale) in found.iter().zip(values).zip(scales) {
            let ratio = (found - value).abs() * f64::from(*scale);
            // No number is not sure.
            is_sure &= ratio <= SURE;
            worst = if ratio > worst { ratio } else { worst };
        }
        is_sure.then_some(worst)
    }

    fn judge_each(&self, start: usize, found: &[f64], dtype: DType, piece: &mut Piece) {
        for (index, &found) in (start..).zip(found) {
            if self.expected.allowances[index] == f64::INFINITY {
                piece.undecided += 1;
                continue;
            }
            let (ratio, _) = self.measure(index, found, dtype);
            piece.worst_ratio = piece.worst_ratio.max(ratio);
            if ratio > 1.0 {
                piece.wrong.push((index, found));
            }
        }
    }

    /// The ratio and the allowance of an element.
    fn measure(&self, index: usize, found: f64, dtype: DType) -> (f64, f64) {
        match self.is_exact {
            true => judge::exact(dtype, self.expected.values[index], found),
            false => judge::measure(&self.expected, dtype, index, found),
        }
    }
}

/// What some of the elements come to.
#[derive(Debug, Default)]
struct Piece {
    worst_ratio: f64,
    undecided: u64,
    /// Positions in the reference, and what was found.
    wrong: Vec<(usize, f64)>,
}

/// A result whose elements are in another order than those of the reference.
struct Rows<'a> {
    got: &'a HostTensor,
    /// Where each row, and each element of a row, of the reference is in the result.
    outer: Vec<usize>,
    inner: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn of(order: &Order, got: &'a HostTensor) -> Self {
        let (outer, inner) = order.rows();
        Self { got, outer: inverse(&outer), inner: inverse(&inner) }
    }

    /// The place in the result of an element of the reference.
    fn place(&self, index: usize) -> usize {
        let row = self.inner.len();
        self.outer[index / row] * row + self.inner[index % row]
    }

    /// Reads whole rows of the reference's order, from a multiple of a row on.
    fn read(&self, start: usize, found: &mut [f64]) {
        let row = self.inner.len();
        let mut elements = vec![0.0; row];
        for (number, found) in found.chunks_mut(row).enumerate() {
            self.got.read(self.outer[start / row + number] * row, 1, &mut elements);
            found.iter_mut().zip(&self.inner).for_each(|(found, &place)| *found = elements[place]);
        }
    }
}

fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::super::{compare, compare_exact, permute};
    use super::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    /// Values and results of every kind, some of them wrong.
    fn drawn(rng: &mut ChaCha8Rng, count: usize, dtype: DType) -> (Expected, HostTensor) {
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1e-40, 3.4e38];
        let (mut expected, mut found) = (Expected::default(), vec![]);
        for _ in 0..count {
            let plain = rng.random_range(-8.0..8.0);
            let value =
                if rng.random_range(0..20) == 0 { special[rng.random_range(0..6)] } else { plain };
            let allowance = match rng.random_range(0..12) {
                0 => 0.0,
                1 => f64::INFINITY,
                2 => 1e-300,
                _ => 10f64.powi(-rng.random_range(1..9)),
            };
            let error = rng.random_range(-1.01..1.01) * allowance.min(1.0);
            let any =
                if rng.random_range(0..300) == 0 { special[rng.random_range(0..6)] } else { value };
            expected.values.push(value);
            expected.allowances.push(allowance);
            found.push(any + error);
        }
        (expected, HostTensor::from_f64(dtype, &[count as u64 / 10, 10], found))
    }

    #[test]
    fn it_says_what_the_rules_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for count in [10, 20, 640, 12_340] {
            for dtype in [DType::F32, DType::Bf16, DType::F16, DType::I32] {
                let (expected, got) = drawn(&mut rng, count, dtype);
                let own = Yardstick::new(expected.clone(), dtype).compare(&got, None);
                let by_rule = compare(&expected, &got);
                agrees(&own, &by_rule);
                let exact = Yardstick::exact(expected.clone()).compare(&got, None);
                agrees(&exact, &compare_exact(&expected, &got));
            }
        }
    }

    #[track_caller]
    fn agrees(own: &Verdict, by_rule: &Verdict) {
        assert_eq!((own.wrong, own.undecided), (by_rule.wrong, by_rule.undecided));
        let same = (own.worst_ratio - by_rule.worst_ratio).abs() <= 1e-6 * by_rule.worst_ratio;
        assert!(same || own.worst_ratio == by_rule.worst_ratio, "{own:?} {by_rule:?}");
        let place =
            |verdict: &Verdict| verdict.first_wrong.as_ref().map(|wrong| wrong.index.clone());
        assert_eq!(place(own), place(by_rule));
    }

    #[test]
    fn the_largest_allowance_is_that_of_a_decided_element() {
        let allowances = vec![0.5, f64::INFINITY, 0.25];
        for low in [vec![], vec![0.0; 3]] {
            let expected = Expected {
                values: vec![1.0; 3],
                low,
                allowances: allowances.clone(),
                undecided: 1,
            };
            let largest = Yardstick::new(expected.clone(), DType::F64).largest_allowance();
            assert!((0.5..0.5001).contains(&largest), "{largest}");
            assert_eq!(Yardstick::exact(expected).largest_allowance(), 0.0);
        }
    }

    #[test]
    fn a_result_in_another_order_is_met_in_that_order() {
        let shape = [70, 90];
        let values: Vec<f64> = (0..6300).map(f64::from).collect();
        let expected = Expected {
            values: values.clone(),
            allowances: vec![0.25; 6300],
            ..Expected::default()
        };
        let yardstick = Yardstick::new(expected, DType::F32);
        let (rows, columns): (Vec<usize>, Vec<usize>) = (
            (0..70).map(|row| (row * 3 + 5) % 70).collect(),
            (0..90).map(|of| (of * 7 + 1) % 90).collect(),
        );
        let straight = HostTensor::from_f64(DType::F32, &shape, values);
        let mut got = permute(&permute(&straight, 0, &rows), 1, &columns);
        let order = Order::of(vec![rows, columns]);
        assert!(yardstick.compare(&got, Some(&order)).passed());
        assert!(!yardstick.compare(&got, None).passed());
        got.set(123, got.get(123) + 1.0);
        got.set(4567, f64::NAN);
        let verdict = yardstick.compare(&got, Some(&order));
        assert_eq!((verdict.wrong, verdict.worst_ratio), (2, f64::INFINITY));
        assert_eq!(verdict.first_wrong.map(|wrong| wrong.index), Some(vec![1, 33]));
    }
}
