//! Reductions over rows: each lane of the state is one element of the result.
//!
//! A row either lies along a reduced axis and goes into one lane, or along a kept axis and goes into as many lanes as
//! it is long. Invariant: the terms of an element are folded in one order that depends on the bound graph alone.

use super::real::{self, Real};
use super::rows::{ROW, Row};
use super::rules::{self, Rounding, UNDECIDED};
use super::tensor::wrap_integer;
use crate::base::{DType, ReduceOp};

/// Constant part of the allowance of a sum, in units of u A.
const SUM_CONSTANT: f64 = 16.0;

/// One element of a reduction under way.
#[derive(Clone, Copy, Debug)]
struct Lane<R> {
    /// The folded value; for `argmax` and `argmin` the best value.
    value: R,
    /// Sum: the sum of the terms' allowances. Max, min: that of a zero. Others: the allowance of `value` so far.
    allowance: f64,
    /// Sum: the sum of magnitudes. Product: of the finite terms from 1 on. All, any: the terms that settle it.
    magnitude: f64,
    /// Product: the product of the magnitudes below 1 that are not zero.
    shrunk: f64,
    /// Sum: the sum of the magnitudes of the finite terms, once there is an infinite one.
    finite: f64,
    /// The largest (smallest) that the result of `max` (`min`) must be.
    sure: R,
    /// The largest (smallest) that the result may be; `argmax`, `argmin`: the best rival.
    possible: R,
    /// `argmax`, `argmin`: the position of the best value.
    position: f64,
    /// Whether a term is undecided; `argmax`, `argmin`: has an allowance; sum: is certain to be NaN.
    doubt: bool,
}

/// The lanes of a reduction.
#[derive(Debug)]
pub(super) struct State<R> {
    op: ReduceOp,
    /// The type of the terms.
    from: DType,
    /// The type of the result.
    dtype: DType,
    terms: usize,
    /// Whether other forms may have a number where infinities make this sum NaN.
    grouped: bool,
    lanes: Vec<Lane<R>>,
}

impl<R: Real> State<R> {
    /// A reduction of `terms` terms in each lane, from a type to a type.
    pub(super) fn new(op: ReduceOp, (from, dtype): (DType, DType), terms: usize) -> Self {
        let lanes = vec![Self::start(op, dtype); ROW];
        Self { op, from, dtype, terms, grouped: false, lanes }
    }

    /// The same for a sum of a group of operations that has other forms.
    pub(super) fn grouped(self, grouped: bool) -> Self {
        Self { grouped, ..self }
    }

    fn start(op: ReduceOp, dtype: DType) -> Lane<R> {
        let value = match op {
            ReduceOp::Argmax => f64::NEG_INFINITY,
            ReduceOp::Argmin => f64::INFINITY,
            _ => crate::plan::start_value(op, dtype).value,
        };
        let value = R::of(value);
        let (sure, possible) = (value, value);
        let magnitude = if op == ReduceOp::Product { 1.0 } else { 0.0 };
        let (allowance, shrunk, finite, position, doubt) = (0.0, 1.0, 0.0, -1.0, false);
        Lane { value, allowance, magnitude, shrunk, finite, sure, possible, position, doubt }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.lanes.fill(Self::start(self.op, self.dtype));
    }

    /// Folds a row of `count` terms: all into the first lane, or one into each. `position` gives the index of a
    /// term for `argmax` and `argmin`.
    pub(super) fn absorb(
        &mut self,
        row: &Row<R>,
        count: usize,
        into_one: bool,
        position: impl Fn(usize) -> f64,
    ) {
        if self.op == ReduceOp::Sum {
            if into_one {
                self.sum_row(row, count);
            } else {
                self.sum_lanes(row, count);
            }
            return self.find_nan(row, count, into_one);
        }
        for index in 0..count {
            self.step(if into_one { 0 } else { index }, row, index, position(index));
        }
    }

    /// Folds one term of a row into a lane.
    pub(super) fn step(&mut self, lane: usize, row: &Row<R>, index: usize, position: f64) {
        let lane = &mut self.lanes[lane];
        let value = row.values[index];
        let e = if row.exact { 0.0 } else { row.allowances[index] };
        match self.op {
            ReduceOp::Sum => {
                lane.note_finite(&[value]);
                lane.value = lane.value + value;
                lane.magnitude += value.high().abs();
                lane.allowance += e;
            }
            ReduceOp::Product => multiply(lane, self.dtype, value, e),
            ReduceOp::Max | ReduceOp::Min => {
                let zeros = rules::mixed_zeros(self.dtype, lane.value.high(), value.high());
                lane.allowance = lane.allowance.max(zeros);
                extreme(lane, self.op == ReduceOp::Max, value, e);
            }
            ReduceOp::All | ReduceOp::Any => logic(lane, self.op == ReduceOp::Any, value, e),
            ReduceOp::Argmax | ReduceOp::Argmin => {
                search(lane, (self.op == ReduceOp::Argmax, self.from), value, e, position);
            }
        }
    }

    /// The type of the result.
    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Eight partial sums, then a tree.
    fn sum_row(&mut self, row: &Row<R>, count: usize) {
        let mut sums = [R::default(); 8];
        let mut magnitudes = [0.0; 8];
        for chunk in row.values[..count].chunks(8) {
            for (lane, &value) in chunk.iter().enumerate() {
                sums[lane] = sums[lane] + value;
                magnitudes[lane] += value.high().abs();
            }
        }
        let pairs = |i: usize| sums[i] + sums[i + 4];
        let lane = &mut self.lanes[0];
        lane.note_finite(&row.values[..count]);
        lane.value = lane.value + ((pairs(0) + pairs(2)) + (pairs(1) + pairs(3)));
        lane.magnitude += magnitudes.iter().sum::<f64>();
        if !row.exact {
            lane.allowance += row.allowances[..count].iter().sum::<f64>();
        }
    }

    /// Notes the sums that are NaN because a term is, whatever the others are.
    fn find_nan(&mut self, row: &Row<R>, count: usize, into_one: bool) {
        if !self.grouped {
            return;
        }
        for index in 0..count {
            let lane = &mut self.lanes[if into_one { 0 } else { index }];
            let is_nan = lane.value.high().is_nan() && row.values[index].high().is_nan();
            lane.doubt |= is_nan && row.allowance(index) == 0.0;
        }
    }

    fn sum_lanes(&mut self, row: &Row<R>, count: usize) {
        for (lane, &value) in self.lanes[..count].iter_mut().zip(&row.values[..count]) {
            lane.note_finite(&[value]);
            lane.value = lane.value + value;
            lane.magnitude += value.high().abs();
        }
        if !row.exact {
            for (lane, &e) in self.lanes[..count].iter_mut().zip(&row.allowances[..count]) {
                lane.allowance += e;
            }
        }
    }

    /// Value and allowance of a lane.
    pub(super) fn finish(&self, lane: usize) -> (R, f64) {
        self.finish_of(lane, self.terms)
    }

    /// Value and allowance of a lane after `terms` terms.
    pub(super) fn finish_of(&self, lane: usize, terms: usize) -> (R, f64) {
        let lane = &self.lanes[lane];
        let terms = terms as f64;
        match self.op {
            ReduceOp::Sum if self.grouped && lane.value.high().is_nan() => {
                (lane.value, if lane.doubt { 0.0 } else { UNDECIDED })
            }
            // Finite terms that overflow may make another infinity, of the other sign.
            ReduceOp::Sum
                if lane.value.high().is_infinite()
                    && lane.finite + lane.allowance > self.dtype.max_finite() =>
            {
                (lane.value, UNDECIDED)
            }
            ReduceOp::Sum => {
                finish_sum(self.dtype, terms, lane.value, lane.magnitude, lane.allowance)
            }
            ReduceOp::Product => (lane.value, finish_product(self.dtype, terms, lane)),
            ReduceOp::Max | ReduceOp::Min => {
                let zeros = if lane.value.high() == 0.0 { lane.allowance } else { 0.0 };
                let handed = if lane.doubt { UNDECIDED } else { spread(lane).max(zeros) };
                (lane.value, Rounding::new(0.0, self.dtype).finish(handed, lane.value.high()))
            }
            ReduceOp::All | ReduceOp::Any => {
                let settled = !lane.doubt || lane.magnitude > 0.0;
                (lane.value, if settled { 0.0 } else { UNDECIDED })
            }
            ReduceOp::Argmax | ReduceOp::Argmin => {
                let settled = if self.op == ReduceOp::Argmax {
                    lane.possible < lane.sure
                } else {
                    lane.possible > lane.sure
                };
                let undecided = lane.doubt && !settled;
                (R::of(lane.position), if undecided { UNDECIDED } else { 0.0 })
            }
        }
    }
}

impl<R: Real> Lane<R> {
    /// Notes the finite terms of a sum that meets an infinity, before these terms are added.
    fn note_finite(&mut self, terms: &[R]) {
        let known = self.magnitude.is_finite();
        if known && terms.iter().all(|term| !term.high().is_infinite()) {
            return;
        }
        if known {
            self.finite = self.magnitude;
        }
        let finite = terms.iter().map(|term| term.high().abs()).filter(|size| size.is_finite());
        self.finite += finite.sum::<f64>();
    }
}

/// The sum of K > 1 terms: the terms' allowances and (16 + sqrt(K) |S| / A) u A.
pub(super) fn finish_sum<R: Real>(
    dtype: DType,
    terms: f64,
    sum: R,
    magnitude: f64,
    allowances: f64,
) -> (R, f64) {
    if dtype.is_integer() {
        let wrapped = R::of(wrap_integer(dtype, sum.high() as i128));
        return (wrapped, if allowances > 0.0 { UNDECIDED } else { 0.0 });
    }
    if !sum.is_finite() {
        // With finite allowances every term that is not finite is certain, and so is the NaN that they make. In f64
        // the reference's own range ends where the kernel's does, so an infinity may have come from finite terms.
        let nan = sum.high().is_nan() && allowances.is_finite() && dtype != DType::F64;
        let made = rules::made_nan(dtype, sum.high(), magnitude, magnitude);
        return (sum, if allowances == 0.0 || nan { made } else { UNDECIDED });
    }
    let total = sum.high().abs();
    // A single term is the sum.
    let constant = if terms > 1.0 { SUM_CONSTANT * magnitude + terms.sqrt() * total } else { 0.0 };
    let spread = constant * dtype.unit_roundoff();
    let handed = allowances + spread;
    let allowance = Rounding::new(0.0, dtype).finish(handed, sum.high());
    let partial_overflow = magnitude + handed > dtype.max_finite();
    // Where terms of both signs overflow, an honest sum may meet infinities of both.
    let other_sign = (magnitude - total) / 2.0 + handed;
    let survives = total > dtype.max_finite() && other_sign <= dtype.max_finite();
    let overflow = partial_overflow && !survives;
    (sum, if overflow { UNDECIDED } else { allowance })
}

fn multiply<R: Real>(lane: &mut Lane<R>, dtype: DType, value: R, e: f64) {
    let product = real::binary(crate::base::BinaryOp::Mul, dtype, lane.value, value);
    let old = (lane.value.high(), lane.allowance);
    let handed = rules::binary(crate::base::BinaryOp::Mul, old, (value.high(), e), product.high());
    lane.allowance = Rounding::new(1.0, dtype).finish(handed, product.high());
    lane.value = product;
    let size = value.high().abs() + e;
    if size.is_finite() && size >= 1.0 {
        lane.magnitude *= size;
    } else if size.is_finite() && size > 0.0 {
        lane.shrunk *= size - e;
    }
}

/// The allowance of a product in any order: partial products may overflow or underflow where the whole does not.
fn finish_product<R: Real>(dtype: DType, terms: f64, lane: &Lane<R>) -> f64 {
    let value = lane.value.high().abs();
    if !dtype.is_float() {
        return lane.allowance;
    }
    let overflows = lane.magnitude > dtype.max_finite();
    let underflows = lane.shrunk < dtype.min_normal();
    let meets_zero = underflows && (overflows || !value.is_finite());
    if meets_zero || overflows && value <= dtype.max_finite() {
        UNDECIDED
    } else if underflows {
        lane.allowance + terms * lane.magnitude * dtype.min_normal()
    } else {
        lane.allowance
    }
}

/// The extreme, and between which bounds the extreme of honest terms lies: the best of v - e and the best of v + e.
/// That is never more than the largest allowance among the candidates that could win.
fn extreme<R: Real>(lane: &mut Lane<R>, largest: bool, value: R, e: f64) {
    let better = |a: R, b: R| if largest { a > b } else { a < b };
    lane.doubt |= e == UNDECIDED;
    if value.high().is_nan() || lane.value.high().is_nan() {
        lane.value = R::of(f64::NAN);
        return;
    }
    let reach = R::of(if largest { e } else { -e });
    let (possible, sure) = if e == 0.0 { (value, value) } else { (value + reach, value - reach) };
    if better(value, lane.value) {
        lane.value = value;
    }
    if better(possible, lane.possible) {
        lane.possible = possible;
    }
    if better(sure, lane.sure) {
        lane.sure = sure;
    }
}

fn spread<R: Real>(lane: &Lane<R>) -> f64 {
    let value = lane.value;
    if value.high().is_nan() {
        return 0.0;
    }
    let distance = |bound: R| if bound == value { 0.0 } else { (bound - value).high().abs() };
    distance(lane.possible).max(distance(lane.sure))
}

fn logic<R: Real>(lane: &mut Lane<R>, settles: bool, value: R, e: f64) {
    let holds = value.high() != 0.0;
    if holds == settles {
        lane.value = R::of(f64::from(u8::from(settles)));
        lane.magnitude += f64::from(u8::from(e == 0.0));
    }
    lane.doubt |= e > 0.0;
}

/// Keeps the best value with the smallest position, what it is at least (`sure`), and the best that any other term
/// may be (`possible`).
fn search<R: Real>(
    lane: &mut Lane<R>,
    (largest, dtype): (bool, DType),
    value: R,
    e: f64,
    position: f64,
) {
    let better = |a: R, b: R| if largest { a > b } else { a < b };
    lane.doubt |= e > 0.0 || rules::overflows(dtype, value.high(), e);
    if lane.value.high().is_nan() && lane.position >= 0.0 {
        if value.high().is_nan() {
            lane.position = lane.position.min(position);
        }
        return;
    }
    let side = if largest { 1.0 } else { -1.0 };
    let reach = |v: R, e: f64| farthest(dtype, v, e, side);
    let first = lane.position < 0.0;
    let tie = !better(value, lane.value) && !better(lane.value, value);
    let wins = first
        || value.high().is_nan()
        || better(value, lane.value)
        || (tie && position < lane.position);
    let loser = if wins { reach(lane.value, lane.allowance) } else { reach(value, e) };
    if !(first && wins) && better(loser, lane.possible) {
        lane.possible = loser;
    }
    if wins {
        lane.value = value;
        lane.allowance = e;
        lane.position = position;
        lane.sure = farthest(dtype, value, e, -side);
    }
}

/// The largest (`side` 1) or smallest (`side` -1) that an honest computation may have for a value. What overflows may be
/// the largest number as well as infinite.
fn farthest<R: Real>(dtype: DType, value: R, e: f64, side: f64) -> R {
    let end = if e == 0.0 { value } else { value + R::of(side * e) };
    if !rules::overflows(dtype, value.high(), e) {
        end
    } else if end.high() * side > 0.0 {
        R::of(side * f64::INFINITY)
    } else if end.high() * side < -dtype.max_finite() {
        R::of(-side * dtype.max_finite())
    } else {
        end
    }
}
