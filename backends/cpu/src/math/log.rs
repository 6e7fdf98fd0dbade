//! log and log2.
//!
//! x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), by integer arithmetic on the bits; subnormal
//! x is scaled up first.
//! f32: log(1 + f) = f + f^2 Q(f). f64: with s = f / (2 + f), log(1 + f) = f - (f^2/2 - s (f^2/2 +
//! R(s^2))), the form of fdlibm's `e_log.c`, which keeps the large term f exact. k ln 2 enters in two
//! parts, so that k times the first is exact.

use super::{Lanes, polynomial, power_of_two, tables};

/// 2^k (1 + f).
pub(super) struct Split<F> {
    /// k.
    pub(super) exponent: F,
    /// f.
    pub(super) fraction: F,
}

/// The natural logarithm.
pub(super) fn log<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let split = split(lanes, x);
    let format = lanes.format();
    let high = lanes.float(format.ln2_high);
    let low = lanes.float(format.ln2_low);
    let result = if lanes.double() {
        let (half_square, product) = atanh_terms(lanes, split.fraction);
        let product = lanes.fma(split.exponent, low, product);
        let correction = lanes.sub(half_square, product);
        let negative = lanes.sub(correction, split.fraction);
        let large = lanes.mul(split.exponent, high);
        lanes.sub(large, negative)
    } else {
        let tail = polynomial(lanes, &tables::LOG_F32, split.fraction);
        let tail = lanes.mul(tail, split.fraction);
        let small = lanes.mul(split.exponent, low);
        let small = lanes.fma(tail, split.fraction, small);
        let sum = lanes.add(split.fraction, small);
        lanes.fma(split.exponent, high, sum)
    };
    special_cases(lanes, x, result)
}

/// The logarithm to base two; exact for powers of two.
pub(super) fn log2<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let split = split(lanes, x);
    let result = if lanes.double() {
        let (half_square, product) = atanh_terms(lanes, split.fraction);
        let correction = lanes.sub(half_square, product);
        let natural = lanes.sub(split.fraction, correction);
        let factor = lanes.float(std::f64::consts::LOG2_E);
        lanes.fma(natural, factor, split.exponent)
    } else {
        // f log2(e) is the large term, so the factor comes in two parts.
        let tail = polynomial(lanes, &tables::LOG2_F32, split.fraction);
        let low = lanes.float(std::f64::consts::LOG2_E - f64::from(std::f32::consts::LOG2_E));
        let tail = lanes.fma(tail, split.fraction, low);
        let high = lanes.float(f64::from(std::f32::consts::LOG2_E));
        let factor = lanes.add(tail, high);
        lanes.fma(factor, split.fraction, split.exponent)
    };
    special_cases(lanes, x, result)
}

/// The parts of a positive finite number.
pub(super) fn split<L: Lanes>(lanes: &mut L, x: L::F) -> Split<L::F> {
    let format = lanes.format();
    let mantissa_bits = format.mantissa_bits;
    let least = lanes.float(format.smallest_normal);
    let subnormal = lanes.lt(x, least);
    let factor = lanes.float(power_of_two(mantissa_bits));
    let scaled = lanes.mul(x, factor);
    let x = lanes.select(subnormal, scaled, x);
    // A small integer in the low bits of 2^mantissa_bits is that number plus the integer.
    let offset = power_of_two(mantissa_bits) + f64::from(format.bias);
    let ordinary = lanes.float(offset);
    let shifted = lanes.float(offset + f64::from(mantissa_bits));
    let offset = lanes.select(subnormal, shifted, ordinary);

    let distance = lanes.int(format.one - format.root_half);
    let bits = lanes.bits(x);
    let bits = lanes.iadd(bits, distance);
    let exponent = lanes.shr(bits, mantissa_bits);
    let integer_bits = u64::from(mantissa_bits + format.bias.unsigned_abs()) << mantissa_bits;
    let raise = lanes.int(integer_bits);
    let exponent = lanes.ior(exponent, raise);
    let exponent = lanes.as_float(exponent);
    let exponent = lanes.sub(exponent, offset);

    let mantissa = lanes.int(format.mantissa);
    let mantissa = lanes.iand(bits, mantissa);
    let root_half = lanes.int(format.root_half);
    let mantissa = lanes.iadd(mantissa, root_half);
    let mantissa = lanes.as_float(mantissa);
    let one = lanes.float(1.0);
    Split { exponent, fraction: lanes.sub(mantissa, one) }
}

/// (f^2/2, s (f^2/2 + R)): log(1 + f) = f - (first - second).
fn atanh_terms<L: Lanes>(lanes: &mut L, fraction: L::F) -> (L::F, L::F) {
    let two = lanes.float(2.0);
    let denominator = lanes.add(fraction, two);
    let s = lanes.div(fraction, denominator);
    let square = lanes.mul(s, s);
    let series = polynomial(lanes, &tables::LOG_F64, square);
    let half = lanes.float(0.5);
    let half_fraction = lanes.mul(half, fraction);
    let half_square = lanes.mul(half_fraction, fraction);
    let sum = lanes.fma(series, square, half_square);
    (half_square, lanes.mul(s, sum))
}

/// inf and NaN for themselves, -inf for zeros, NaN for negative numbers.
fn special_cases<L: Lanes>(lanes: &mut L, x: L::F, result: L::F) -> L::F {
    let infinity = lanes.float(f64::INFINITY);
    let finite = lanes.lt(x, infinity);
    let result = lanes.select(finite, result, x);
    let zero = lanes.float(0.0);
    let is_zero = lanes.eq(x, zero);
    let minus_infinity = lanes.float(f64::NEG_INFINITY);
    let result = lanes.select(is_zero, minus_infinity, result);
    let negative = lanes.lt(x, zero);
    let not_a_number = lanes.float(f64::NAN);
    lanes.select(negative, not_a_number, result)
}
