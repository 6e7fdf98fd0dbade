//! The rules of the error bound, one row per operation: how operand allowances reach the result.
//!
//! Invariant: an allowance is never NaN. It is 0 for a value that every honest computation gets exactly, and
//! infinite for an undecided one; a non-finite value is either certain (0) or undecided. The rules bound the whole
//! interval [x - e, x + e], not the tangent at x, so they also hold for large allowances.

use crate::base::{BinaryOp, DType, UnaryOp};

use super::freedom::Freedom;
use super::tensor::{integer_range, round_to};

/// The allowance of an element whose value depends on an undecided comparison.
pub(super) const UNDECIDED: f64 = f64::INFINITY;

/// What the rounding of one operation adds: `c_f u`, and the smallest normal number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounding {
    relative: f64,
    flush: f64,
}

impl Rounding {
    /// The rounding of an operation of `ulps` in a type; integers are exact.
    pub(super) fn new(ulps: f64, dtype: DType) -> Self {
        let flush = if dtype.is_float() { dtype.min_normal() } else { 0.0 };
        Self { relative: ulps * dtype.unit_roundoff(), flush }
    }

    /// The allowance of a result from what its operands hand on. The smallest normal number is added where the
    /// result may be subnormal, so that it may be flushed; a zero made of exact operands is exact.
    #[inline]
    pub(super) fn finish(self, propagated: f64, value: f64) -> f64 {
        let magnitude = value.abs();
        if !magnitude.is_finite() {
            return if propagated == 0.0 { 0.0 } else { UNDECIDED };
        }
        if propagated.is_nan() {
            return UNDECIDED;
        }
        let allowance = propagated + self.relative * magnitude;
        if magnitude > allowance + 2.0 * self.flush || (magnitude == 0.0 && propagated == 0.0) {
            allowance
        } else {
            allowance + self.flush
        }
    }
}

/// Whether a number is a power of two, or minus one.
#[inline]
pub(super) fn is_power_of_two(value: f64) -> bool {
    value.is_normal() && value.to_bits().trailing_zeros() >= 52
}

/// What a zero from operands that are not zero is off by: it underflowed the reference's own range, which is no wider
/// than that of a kernel in f64.
pub(super) fn underflow(dtype: DType, value: f64, x: f64, y: f64) -> f64 {
    let finite = x.is_finite() && y.is_finite();
    let underflowed = dtype == DType::F64 && value == 0.0 && x != 0.0 && y != 0.0 && finite;
    if underflowed { dtype.min_normal() } else { 0.0 }
}

/// The allowance of a NaN that infinities made in f64. The reference has no wider range than such a kernel, so an
/// infinity may be an overflow that another order of the same operations avoids; what they make of it is undecided.
#[inline]
pub(super) fn made_nan(dtype: DType, value: f64, x: f64, y: f64) -> f64 {
    let made = value.is_nan() && !x.is_nan() && !y.is_nan() && (x.is_infinite() || y.is_infinite());
    if dtype == DType::F64 && made { UNDECIDED } else { 0.0 }
}

/// The allowance of the larger or smaller of two zeros of different sign: either may come out, so what divides by it is
/// in doubt.
#[inline]
pub(super) fn mixed_zeros(dtype: DType, x: f64, y: f64) -> f64 {
    let mixed = x == 0.0 && y == 0.0 && x.is_sign_negative() != y.is_sign_negative();
    if dtype.is_float() && mixed { dtype.min_normal() } else { 0.0 }
}

/// The allowance of a product in which a mask may have made a factor zero, and the other is not a number or not finite:
/// a computation that does not visit the element has no product there.
#[inline]
pub(super) fn masked(may_be: [bool; 2], (x, ex): (f64, f64), (y, ey): (f64, f64)) -> f64 {
    // A factor that is itself such a product may be a zero as well.
    let zero = |x: f64, e: f64| x == 0.0 && e == 0.0 || e == UNDECIDED;
    let gone = |x: f64, e: f64, other: f64| zero(x, e) && !other.is_finite();
    let is_gone = may_be[0] && gone(x, ex, y) || may_be[1] && gone(y, ey, x);
    if is_gone { UNDECIDED } else { 0.0 }
}

/// What an exponential beyond the reference's own range is off by. It stands for a number, not for an infinity: what is
/// computed from it, such as a quotient of two, may come out as any other form of the same mathematics has it. In f64
/// the kernel's range ends there, too: the infinity is certain unless other forms do without it.
pub(super) fn left_range(dtype: DType, freedom: Freedom, x: f64, value: f64) -> f64 {
    let ends = dtype != DType::F64 || freedom.grouped;
    if ends && x.is_finite() && value.is_infinite() { UNDECIDED } else { 0.0 }
}

/// The allowance of what other forms do to an operand, see `freedom`: to a reciprocal that is not a normal number, and to
/// a term that they may lack where it is not finite.
#[inline]
pub(super) fn freed_operand(freedom: Freedom, dtype: DType, at: usize, x: f64) -> f64 {
    let power = freedom.inverted[at];
    let inverse = || x.abs().recip().powi(power);
    let normal = || (dtype.min_normal()..=dtype.max_finite()).contains(&inverse());
    let inverts = power > 0 && x != 0.0 && x.is_finite() && !normal();
    if inverts || freedom.vanishes[at] && !x.is_finite() { UNDECIDED } else { 0.0 }
}

/// The allowance of what other forms may have instead, see `freedom`: of a NaN made of numbers and infinities and, in
/// f64, whose range is that of the reference, of an overflow.
pub(super) fn freed(freedom: Freedom, dtype: DType, [x, y]: [f64; 2], value: f64) -> f64 {
    let made = value.is_nan() && !x.is_nan() && !y.is_nan();
    let numbers = x.is_finite() && y.is_finite() && y != 0.0;
    let overflows = dtype == DType::F64 && value.is_infinite() && numbers;
    let of_operands = freed_operand(freedom, dtype, 0, x) + freed_operand(freedom, dtype, 1, y);
    if freedom.grouped && (made || overflows) { UNDECIDED } else { of_operands }
}

/// What an exponential that is too small for the reference itself is off by.
pub(super) fn vanished(dtype: DType, x: f64, value: f64) -> f64 {
    if x.is_finite() && value == 0.0 { dtype.min_normal() } else { 0.0 }
}

/// Handed-on allowance of an operator of one operand: the largest |f(t) - f(x)| for t in [x - e, x + e], or a
/// bound of it.
pub(super) fn unary(op: UnaryOp, x: f64, e: f64, value: f64) -> f64 {
    if e == 0.0 {
        return 0.0;
    }
    if e == UNDECIDED || x.is_nan() {
        return UNDECIDED;
    }
    let nearest_zero = (x.abs() - e).max(0.0);
    match op {
        UnaryOp::Neg | UnaryOp::Abs => e,
        UnaryOp::Not => UNDECIDED,
        UnaryOp::Exp if value.is_infinite() => 0.0,
        UnaryOp::Exp2 if value.is_infinite() => 0.0,
        UnaryOp::Exp => value * e.exp_m1(),
        UnaryOp::Exp2 => value * (e * std::f64::consts::LN_2).exp_m1(),
        // log(x) - log(x - e) = -log(1 - e/x).
        UnaryOp::Log => domain(x, e, |_| -(-e / x).ln_1p()),
        UnaryOp::Log2 => domain(x, e, |_| -(-e / x).ln_1p() / std::f64::consts::LN_2),
        UnaryOp::Sqrt => domain(x, e, |least| e / (x.sqrt() + least.sqrt())),
        UnaryOp::Rsqrt => domain(x, e, |least| {
            // 1/sqrt(l) - 1/sqrt(x) with x - l = e, without cancellation, and without products that overflow.
            e / least.sqrt() / x.sqrt() / (x.sqrt() + least.sqrt())
        }),
        UnaryOp::Recip if nearest_zero == 0.0 => UNDECIDED,
        UnaryOp::Recip => e / x.abs() / nearest_zero,
        UnaryOp::Tanh => {
            let t = nearest_zero.tanh();
            (e * (1.0 - t) * (1.0 + t)).min(2.0)
        }
        UnaryOp::Erf => {
            let slope = std::f64::consts::FRAC_2_SQRT_PI * (-nearest_zero * nearest_zero).exp();
            (e * slope).min(2.0)
        }
        UnaryOp::Sin => (x.cos().abs() * e + e * e / 2.0).min(e).min(2.0),
        UnaryOp::Cos => (x.sin().abs() * e + e * e / 2.0).min(e).min(2.0),
        UnaryOp::Floor => step(f64::floor, x, e, value),
        UnaryOp::Round => step(f64::round_ties_even, x, e, value),
    }
}

/// A function of positive numbers: certain to be NaN below 0, undecided around 0.
fn domain(x: f64, e: f64, f: impl Fn(f64) -> f64) -> f64 {
    if x + e < 0.0 {
        0.0
    } else if x - e <= 0.0 {
        UNDECIDED
    } else {
        f(x - e)
    }
}

/// A monotone function of steps: how far it moves from its value over [x - e, x + e]. In f64 the operand may have low
/// bits that x lacks, and x - e may round to x; so the ends are the next numbers outside.
fn step(f: impl Fn(f64) -> f64, x: f64, e: f64, value: f64) -> f64 {
    (f((x + e).next_up()) - value).max(value - f((x - e).next_down()))
}

/// Handed-on allowance of an operator of two operands.
#[inline]
pub(super) fn binary(op: BinaryOp, (x, ex): (f64, f64), (y, ey): (f64, f64), value: f64) -> f64 {
    if ex == 0.0 && ey == 0.0 {
        return 0.0;
    }
    match op {
        BinaryOp::And => logic(x == 0.0 && ex == 0.0 || y == 0.0 && ey == 0.0),
        BinaryOp::Or => logic(x != 0.0 && ex == 0.0 || y != 0.0 && ey == 0.0),
        _ if ex == UNDECIDED || ey == UNDECIDED => UNDECIDED,
        BinaryOp::Add | BinaryOp::Sub if value.is_finite() => ex + ey,
        BinaryOp::Add | BinaryOp::Sub => 0.0,
        BinaryOp::Mul => multiply(x, ex, y, ey, value),
        BinaryOp::Div => divide(x, ex, y, ey, value),
        BinaryOp::Max => best(x, ex, y, ey),
        BinaryOp::Min => best(-x, ex, -y, ey),
        BinaryOp::Pow => power(x, ex, y, ey, value),
    }
}

fn logic(settled: bool) -> f64 {
    if settled { 0.0 } else { UNDECIDED }
}

#[inline]
fn multiply(x: f64, ex: f64, y: f64, ey: f64, value: f64) -> f64 {
    if value.is_finite() {
        return x.abs() * ey + y.abs() * ex + ex * ey;
    }
    // Infinity times a number whose sign is in doubt.
    let doubt = |finite: f64, e: f64| finite.abs() <= e && e > 0.0;
    logic(value.is_nan() && (x.is_nan() || y.is_nan()) || !doubt(x, ex) && !doubt(y, ey))
}

fn divide(x: f64, ex: f64, y: f64, ey: f64, value: f64) -> f64 {
    if x.is_nan() || y.is_nan() || y.is_infinite() {
        return 0.0;
    }
    if y.abs() <= ey && ey > 0.0 {
        return UNDECIDED;
    }
    if value.is_finite() {
        return (ex + value.abs() * ey) / (y.abs() - ey);
    }
    logic(x.is_infinite() || x.abs() > ex)
}

/// The largest allowance among the candidates that could be the larger.
fn best(x: f64, ex: f64, y: f64, ey: f64) -> f64 {
    if x.is_nan() || y.is_nan() {
        0.0
    } else if x - ex > y + ey {
        ex
    } else if y - ey > x + ex {
        ey
    } else {
        ex.max(ey)
    }
}

/// |x^y| is exp(y log |x|), so over the box it moves by at most a factor of exp((|y| + ey) d + ey |log |x||), where d is
/// how far log moves; for x < 0 it is defined for whole y only.
fn power(x: f64, ex: f64, y: f64, ey: f64, value: f64) -> f64 {
    if x.is_nan() || y.is_nan() {
        // Unless it is 1 to that power, or that to the power of 0.
        let one = (x - 1.0).abs() <= ex && ex > 0.0;
        let zero = y.abs() <= ey && ey > 0.0;
        return logic(!one && !zero);
    }
    let whole = ey == 0.0 && y == y.floor();
    if whole && y >= 0.0 && x.abs() <= ex {
        return (x.abs() + ex).powf(y) + value.abs();
    }
    let never_whole = (y - ey).ceil() > y + ey;
    if x < 0.0 && x.abs() > ex && never_whole {
        return 0.0;
    }
    if x.abs() <= ex || (x < 0.0 && !whole) || !value.is_finite() {
        return UNDECIDED;
    }
    // Not by the powers at the corners: x + ex may round to x in f64.
    let log_moves = -(-ex / x.abs()).ln_1p();
    value.abs() * ((y.abs() + ey) * log_moves + ey * x.abs().ln().abs()).exp_m1()
}

/// Whether a comparison of operands this far apart is undecided, as an allowance.
pub(super) fn compare(x: f64, ex: f64, y: f64, ey: f64, difference: f64) -> f64 {
    let (x_exact, y_exact) = (ex == 0.0, ey == 0.0);
    let certain = (x_exact && (y_exact || x.is_nan())) || (y_exact && y.is_nan());
    if certain {
        return 0.0;
    }
    logic(difference.abs() > ex + ey)
}

/// What a subnormal number may be off by as it is widened to a type with the same exponents: code that adds products of
/// bf16 takes it for zero.
#[inline]
pub(super) fn flushed(from: DType, x: f64) -> f64 {
    let subnormal = from == DType::Bf16 && x != 0.0 && x.abs() < from.min_normal();
    if subnormal { x.abs() } else { 0.0 }
}

/// Handed-on allowance of a conversion, its rounding included.
pub(super) fn cast(from: DType, to: DType, x: f64, e: f64, value: f64) -> f64 {
    if e == UNDECIDED {
        return UNDECIDED;
    }
    if !to.is_float() {
        return if e == 0.0 { 0.0 } else { step(|t| round_to(to, t), x, e, value) };
    }
    if is_exact_cast(from, to) || !x.is_finite() {
        return if from == to { e } else { e + flushed(from, x) };
    }
    if e == 0.0 && round_to(to, x) == x {
        return 0.0;
    }
    e + to.unit_roundoff() * x.abs() + to.min_subnormal()
}

/// Handed-on allowance of a conversion that keeps the low bits: a step of one may become a step of the whole range.
pub(super) fn wrap(x: f64, e: f64) -> f64 {
    logic(e == 0.0 || step(f64::round_ties_even, x, e, x.round_ties_even()) == 0.0)
}

/// As `binary` for an operator in an integer type. A quotient is cut off after the division, so it is bounded before;
/// a value near the end of the range may wrap and is undecided.
pub(super) fn integer(
    op: BinaryOp,
    dtype: DType,
    (x, ex): (f64, f64),
    (y, ey): (f64, f64),
    value: f64,
) -> f64 {
    if ex == 0.0 && ey == 0.0 {
        return 0.0;
    }
    let (value, e) = match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => {
            let value = op.apply(x, y);
            (value, binary(op, (x, ex), (y, ey), value))
        }
        // Division by zero gives zero.
        BinaryOp::Div if y == 0.0 && ey == 0.0 => return 0.0,
        BinaryOp::Div => {
            let quotient = x / y;
            // The bound itself is rounded, and just below a whole number that would count.
            let e = divide(x, ex, y, ey, quotient) * (1.0 + 4.0 * f64::EPSILON);
            (quotient.trunc(), step(f64::trunc, quotient, e, quotient.trunc()))
        }
        _ => return binary(op, (x, ex), (y, ey), value),
    };
    let (low, high) = integer_range(dtype);
    if value - e < low || value + e > high || e.is_nan() { UNDECIDED } else { e }
}

/// Whether every number of one type is a number of the other.
pub(super) fn is_exact_cast(from: DType, to: DType) -> bool {
    let digits = |dtype: DType| -(dtype.unit_roundoff().log2()) as u32;
    match (from.is_float(), to.is_float()) {
        _ if from == to => true,
        (true, true) => digits(from) <= digits(to) && from.max_finite() <= to.max_finite(),
        (false, true) => from.bits() <= digits(to) && from.max_finite() <= to.max_finite(),
        (false, false) => from.bits() < to.bits() && from.is_integer() && to.is_integer(),
        (true, false) => false,
    }
}

/// Whether an honest computation in `dtype` may overflow where the reference, with its wider range, does not.
#[inline]
pub(super) fn overflows(dtype: DType, value: f64, e: f64) -> bool {
    dtype.is_float() && value.is_finite() && value.abs() + e > dtype.max_finite()
}

/// Whether an honest computation in `dtype` may have zero for this value.
pub(super) fn vanishes(dtype: DType, value: f64, e: f64) -> bool {
    value.abs() <= e + dtype.min_normal()
}

/// The allowance of `op` on an operand that may have overflowed to infinity.
pub(super) fn overflowed_unary(op: UnaryOp, value: f64, e: f64) -> f64 {
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Round => e,
        UnaryOp::Exp | UnaryOp::Exp2 | UnaryOp::Tanh | UnaryOp::Erf => e,
        UnaryOp::Recip | UnaryOp::Rsqrt => e + value.abs(),
        UnaryOp::Sqrt | UnaryOp::Log | UnaryOp::Log2 | UnaryOp::Sin | UnaryOp::Cos => UNDECIDED,
        UnaryOp::Not => e,
    }
}

/// Whether an infinity meets a number that would cancel it if that were infinite, too.
pub(super) fn cancels(op: BinaryOp, x: f64, y: f64) -> bool {
    let opposite = x.is_sign_negative() != y.is_sign_negative();
    let apart = match op {
        BinaryOp::Add => opposite,
        BinaryOp::Sub => !opposite,
        _ => false,
    };
    apart && (x.is_infinite() || y.is_infinite())
}

/// The allowance of `op` where the first, second or both operands may have overflowed to infinity.
pub(super) fn overflowed_binary(
    op: BinaryOp,
    dtype: DType,
    operands: (bool, bool),
    value: f64,
    e: f64,
) -> f64 {
    let stays = value.abs() > dtype.max_finite();
    match (op, operands) {
        (_, (false, false)) => e,
        // Made of a NaN.
        _ if value.is_nan() => e,
        (BinaryOp::Min | BinaryOp::Max | BinaryOp::And | BinaryOp::Or, _) => e,
        (BinaryOp::Div, (false, true)) => e + value.abs(),
        (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Div, (true, true)) => UNDECIDED,
        (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div, _) if stays => e,
        _ => UNDECIDED,
    }
}
