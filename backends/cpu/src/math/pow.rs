//! x^y = 2^(y log2 |x|).
//!
//! An error in the exponent is an error of the result in units that grow with the exponent, so the
//! logarithm carries two floats: with s = f / (2 + f), log(1 + f) = 2 s + s z (2/3 + z P(z)), z = s^2,
//! where all but P is computed with its rounding errors (the plan of fdlibm's `e_pow.c`).

use super::exact::{two_product, two_sum};
use super::{Lanes, exp, log, polynomial, tables};

/// A value as the sum of two floats.
struct Pair<F> {
    high: F,
    low: F,
}

/// x^y.
pub(super) fn pow<L: Lanes>(lanes: &mut L, x: L::F, y: L::F) -> L::F {
    let size = lanes.abs(x);
    let logarithm = log2_of_magnitude(lanes, size);
    let (exponent, error) = two_product(lanes, y, logarithm.high);
    let error = lanes.fma(y, logarithm.low, error);
    let magnitude = exp2_of_pair(lanes, &Pair { high: exponent, low: error });

    let one = lanes.float(1.0);
    let zero = lanes.float(0.0);
    let is_one = lanes.eq(size, one);
    let magnitude = lanes.select(is_one, one, magnitude);
    let result = signed_result(lanes, x, y, magnitude);
    let is_one = lanes.eq(x, one);
    let result = lanes.select(is_one, one, result);
    let no_power = lanes.eq(y, zero);
    lanes.select(no_power, one, result)
}

/// The sign of x for odd y; NaN for negative x and fractional y, and for NaN of either.
fn signed_result<L: Lanes>(lanes: &mut L, x: L::F, y: L::F, magnitude: L::F) -> L::F {
    let zero = lanes.float(0.0);
    let half = lanes.float(0.5);
    let whole = lanes.floor(y);
    let is_whole = lanes.eq(whole, y);
    let halved = lanes.mul(y, half);
    let whole = lanes.floor(halved);
    let is_even = lanes.eq(whole, halved);
    let sign = lanes.select(is_even, zero, x);
    let odd_result = lanes.with_sign(magnitude, sign);

    // Fractional y: the power of minus infinity and minus zero is positive, of the rest NaN.
    let invalid = lanes.float(f64::NAN);
    let least = lanes.float(f64::NEG_INFINITY);
    let negative = lanes.lt(x, zero);
    let fractional = lanes.select(negative, invalid, magnitude);
    let infinite = lanes.eq(x, least);
    let fractional = lanes.select(infinite, magnitude, fractional);
    let result = lanes.select(is_whole, odd_result, fractional);
    // x + y is NaN for a NaN, and may only be that for infinities of unlike signs.
    let ordered_x = lanes.eq(x, x);
    let result = lanes.select(ordered_x, result, x);
    let ordered_y = lanes.eq(y, y);
    lanes.select(ordered_y, result, y)
}

/// log2 of a number without sign; the low part is 0 where the high part is infinite.
fn log2_of_magnitude<L: Lanes>(lanes: &mut L, size: L::F) -> Pair<L::F> {
    let split = log::split(lanes, size);
    let natural = log_of_fraction(lanes, split.fraction);
    let factor = std::f64::consts::LOG2_E;
    let (high, low) = if lanes.double() {
        (factor, LOG2_E_LOW)
    } else {
        (f64::from(std::f32::consts::LOG2_E), factor - f64::from(std::f32::consts::LOG2_E))
    };
    let high = lanes.float(high);
    let low = lanes.float(low);
    let (product, error) = two_product(lanes, natural.high, high);
    let error = lanes.fma(natural.high, low, error);
    let error = lanes.fma(natural.low, high, error);
    let (sum, rest) = two_sum(lanes, split.exponent, product);
    let rest = lanes.add(rest, error);
    let (sum, rest) = two_sum(lanes, sum, rest);

    let zero = lanes.float(0.0);
    let infinity = lanes.float(f64::INFINITY);
    let minus_infinity = lanes.float(f64::NEG_INFINITY);
    let is_zero = lanes.eq(size, zero);
    let sum = lanes.select(is_zero, minus_infinity, sum);
    let is_infinite = lanes.eq(size, infinity);
    let sum = lanes.select(is_infinite, infinity, sum);
    Pair { high: sum, low: rest }
}

/// What f64's log2(e) leaves.
const LOG2_E_LOW: f64 = 2.035_527_374_093_103_3e-17;

/// log(1 + f).
fn log_of_fraction<L: Lanes>(lanes: &mut L, fraction: L::F) -> Pair<L::F> {
    let two = lanes.float(2.0);
    let (denominator, excess) = two_sum(lanes, two, fraction);
    // s with the remainder of its division.
    let s = lanes.div(fraction, denominator);
    let (product, error) = two_product(lanes, s, denominator);
    let remainder = lanes.sub(fraction, product);
    let remainder = lanes.sub(remainder, error);
    let excess = lanes.mul(s, excess);
    let remainder = lanes.sub(remainder, excess);
    let s_low = lanes.div(remainder, denominator);

    let (square, square_low) = two_product(lanes, s, s);
    let twice_low = lanes.add(s_low, s_low);
    let square_low = lanes.fma(s, twice_low, square_low);

    let tail: &[f64] = if lanes.double() { &tables::POW_F64 } else { &tables::POW_F32 };
    let tail = polynomial(lanes, tail, square);
    let tail = lanes.mul(tail, square);
    let (third, third_low) = two_thirds(lanes.double());
    let third = lanes.float(third);
    let (weight, weight_low) = two_sum(lanes, third, tail);
    let third_low = lanes.float(third_low);
    let weight_low = lanes.add(weight_low, third_low);

    // s z w, then 2 s on top.
    let (cube, cube_low) = two_product(lanes, square, weight);
    let cube_low = lanes.fma(square, weight_low, cube_low);
    let cube_low = lanes.fma(square_low, weight, cube_low);
    let (sum, sum_low) = two_sum(lanes, two, cube);
    let sum_low = lanes.add(sum_low, cube_low);
    let (high, low) = two_product(lanes, s, sum);
    let low = lanes.fma(s, sum_low, low);
    let low = lanes.fma(s_low, sum, low);
    let (high, low) = two_sum(lanes, high, low);
    Pair { high, low }
}

/// 2/3 in two parts of the lane type.
fn two_thirds(double: bool) -> (f64, f64) {
    let exact = 2.0 / 3.0;
    if double {
        (exact, exact * 2f64.powi(-54))
    } else {
        let single = f64::from(exact as f32);
        (single, exact - single)
    }
}

/// 2^(high + low).
fn exp2_of_pair<L: Lanes>(lanes: &mut L, exponent: &Pair<L::F>) -> L::F {
    let limit = if lanes.double() { 1100.0 } else { 160.0 };
    let bound = lanes.float(limit);
    let size = lanes.abs(exponent.high);
    // Far outside, the low part may be NaN, from infinity less infinity.
    let inside = lanes.lt(size, bound);
    let zero = lanes.float(0.0);
    let low = lanes.select(inside, exponent.low, zero);
    let (least, most) = if lanes.double() { (-1080.0, 1026.0) } else { (-155.0, 130.0) };
    let high = exp::clamp(lanes, least, most, exponent.high);
    let magic = exp::magic(lanes, 2 * lanes.format().bias);
    let raised = lanes.add(high, magic);
    let count = lanes.sub(raised, magic);
    let rest = lanes.sub(high, count);
    let rest = lanes.add(rest, low);
    let sum = exp::exp2_reduced(lanes, rest);
    exp::scale(lanes, sum, (raised, count))
}
