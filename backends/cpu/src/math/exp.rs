//! exp and exp2.
//!
//! The argument is reduced to x = n ln 2 + r, |r| <= ln 2 / 2, with ln 2 in two parts (Cody and Waite,
//! Software Manual for the Elementary Functions, 1980), n rounded by the addition of a large number
//! whose low bits then hold n as an integer; e^r is a polynomial. The result is multiplied by the two
//! halves of 2^n, which gives gradual underflow and overflow with a single rounding. (Taking n even
//! saves the halving, but with |r| up to ln 2 the error reaches 1.6 units in the last place.)

use super::{Lanes, polynomial, power_of_two, tables};

/// Below 2^-150 an f32 rounds to 0.
const LEAST_POWER_F32: f64 = -150.0;

/// e^x.
pub(super) fn exp<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    // Beyond these bounds the result is inf and 0; the constant comes first so that NaN passes.
    let (low, high) = if lanes.double() { (-746.0, 710.0) } else { (-104.0, 89.0) };
    if lanes.looks_up() && lanes.has_times_power() {
        let high = lanes.float(high);
        let x = lanes.min(high, x);
        return exp_by_table(lanes, x);
    }
    let x = clamp(lanes, low, high, x);
    let Reduced { rest, raised, count } = reduce(lanes, x, 2 * lanes.format().bias);
    let sum = exp_reduced(lanes, rest);
    scale(lanes, sum, (raised, count))
}

/// e^x of f32 with n in sixteenths: a table has 2^(j/16), and so short a rest needs two terms less (Tang, Table-driven
/// implementation of the exponential function, 1989). Seven multiplications and additions instead of nine. What is too
/// small for a subnormal is left out: some processors take 150 cycles to find an underflow, and masks are full of them.
fn exp_by_table<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let inverse = lanes.float(std::f64::consts::LOG2_E);
    // Adding it leaves a multiple of 1/16, whose count of sixteenths is in the low bits.
    let magic = lanes.float(1.5 * power_of_two(lanes.format().mantissa_bits - 4));
    let raised = lanes.fma(x, inverse, magic);
    let count = lanes.sub(raised, magic);
    let power = lanes.looked_up(&tables::POWERS_F32, raised);
    let minus_high = lanes.float(-lanes.format().ln2_high);
    let minus_low = lanes.float(-lanes.format().ln2_low);
    let rest = lanes.fma(count, minus_high, x);
    let rest = lanes.fma(count, minus_low, rest);
    let sum = polynomial(lanes, &tables::EXP_SHORT_F32, rest);
    let one = lanes.float(1.0);
    let sum = lanes.fma(sum, rest, one);
    let sum = lanes.mul(sum, rest);
    let sum = lanes.fma(sum, power, power);
    let least = lanes.float(LEAST_POWER_F32);
    lanes.times_power_from(sum, count, least)
}

/// e^x where the result and 2^n are normal numbers, or x is NaN.
pub(super) fn exp_within<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let Reduced { rest, raised, .. } = reduce(lanes, x, lanes.format().bias);
    let sum = exp_reduced(lanes, rest);
    let power = exponent_field(lanes, raised);
    lanes.mul(sum, power)
}

/// e^r for |r| <= ln 2 / 2.
fn exp_reduced<L: Lanes>(lanes: &mut L, rest: L::F) -> L::F {
    let sum = polynomial(lanes, exp_tail(lanes), rest);
    let one = lanes.float(1.0);
    let sum = lanes.fma(sum, rest, one);
    lanes.fma(sum, rest, one)
}

/// Q with e^r = 1 + r + r^2 Q(r), |r| <= ln 2 / 2, relative to e^r - 1.
pub(super) fn exp_tail<L: Lanes>(lanes: &L) -> &'static [f64] {
    if lanes.double() { &tables::EXP_F64 } else { &tables::EXP_F32 }
}

/// x = n ln 2 + r.
pub(super) struct Reduced<F> {
    /// r.
    pub(super) rest: F,
    /// n + `magic(offset)`.
    pub(super) raised: F,
    /// n.
    count: F,
}

/// The parts of x.
pub(super) fn reduce<L: Lanes>(lanes: &mut L, x: L::F, offset: i32) -> Reduced<L::F> {
    let format = lanes.format();
    let inverse = lanes.float(std::f64::consts::LOG2_E);
    let magic = magic(lanes, offset);
    let raised = lanes.fma(x, inverse, magic);
    let count = lanes.sub(raised, magic);
    let minus_high = lanes.float(-format.ln2_high);
    let minus_low = lanes.float(-format.ln2_low);
    let rest = lanes.fma(count, minus_high, x);
    Reduced { rest: lanes.fma(count, minus_low, rest), raised, count }
}

/// The float whose exponent field, and sign if it reaches that far, are the low bits of `raised`.
pub(super) fn exponent_field<L: Lanes>(lanes: &mut L, raised: L::F) -> L::F {
    let exponent = lanes.bits(raised);
    let exponent = lanes.shl(exponent, lanes.format().mantissa_bits);
    lanes.as_float(exponent)
}

/// 2^x.
pub(super) fn exp2<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let (low, high) = if lanes.double() { (-1076.0, 1025.0) } else { (-151.0, 129.0) };
    let x = clamp(lanes, low, high, x);
    let magic = magic(lanes, 2 * lanes.format().bias);
    let raised = lanes.add(x, magic);
    let count = lanes.sub(raised, magic);
    let rest = lanes.sub(x, count);
    let sum = exp2_reduced(lanes, rest);
    scale(lanes, sum, (raised, count))
}

/// 2^r for |r| <= 1/2.
pub(super) fn exp2_reduced<L: Lanes>(lanes: &mut L, rest: L::F) -> L::F {
    let tail: &[f64] = if lanes.double() { &tables::EXP2_F64 } else { &tables::EXP2_F32 };
    let sum = polynomial(lanes, tail, rest);
    let one = lanes.float(1.0);
    lanes.fma(sum, rest, one)
}

/// sum 2^n, rounded once, for n and n + `magic(2 bias)`; n may leave the exponent range on both sides.
pub(super) fn scale<L: Lanes>(lanes: &mut L, sum: L::F, (raised, count): (L::F, L::F)) -> L::F {
    if lanes.has_times_power() {
        return lanes.times_power(sum, count);
    }
    let mantissa_bits = lanes.format().mantissa_bits;
    let biased = lanes.bits(raised);
    let lower = lanes.shr(biased, 1);
    let upper = lanes.isub(biased, lower);
    let lower = lanes.shl(lower, mantissa_bits);
    let upper = lanes.shl(upper, mantissa_bits);
    let lower = lanes.as_float(lower);
    let upper = lanes.as_float(upper);
    let sum = lanes.mul(sum, lower);
    lanes.mul(sum, upper)
}

/// The number that, added, rounds to an integer n and leaves n + `offset` in the low bits.
pub(super) fn magic<L: Lanes>(lanes: &mut L, offset: i32) -> L::F {
    let magic = 1.5 * power_of_two(lanes.format().mantissa_bits);
    lanes.float(magic + f64::from(offset))
}

/// x within [low, high], NaN kept.
pub(super) fn clamp<L: Lanes>(lanes: &mut L, low: f64, high: f64, x: L::F) -> L::F {
    let low = lanes.float(low);
    let high = lanes.float(high);
    let x = lanes.min(high, x);
    lanes.max(low, x)
}
