//! erf.
//!
//! |x| <= 1: x + x P(x^2). Above, only the absolute error of erfc(x) = 1 - erf(x) counts, and one
//! fit serves all x:
//! f32: 1 - 2^(x L(x)) with L fitted to log2(erfc(x)) / x on [1, 4];
//! f64: 1 - e^(-x^2) N(x) / D(x) with the quotient fitted to e^(x^2) erfc(x) on [1, 6] (the form of
//! Cody, 1969, and of fdlibm's `s_erf.c`). Beyond these intervals the result rounds to 1. Both pieces
//! are evaluated and one is selected.

use super::{Lanes, exp, polynomial, tables};

/// The error function.
pub(super) fn erf<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    if lanes.double() { erf_double(lanes, x) } else { erf_single(lanes, x) }
}

fn erf_single<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let magnitude = lanes.abs(x);
    let four = lanes.float(4.0);
    let magnitude = lanes.min(four, magnitude);
    let square = lanes.mul(magnitude, magnitude);
    let small = polynomial(lanes, &tables::ERF_SMALL_F32, square);
    let small = lanes.fma(small, magnitude, magnitude);

    let exponent = polynomial(lanes, &tables::ERF_LARGE_F32, magnitude);
    let exponent = lanes.mul(exponent, magnitude);
    let large = one_minus_exp2(lanes, exponent);

    let one = lanes.float(1.0);
    let is_large = lanes.lt(one, magnitude);
    let result = lanes.select(is_large, large, small);
    lanes.with_sign(result, x)
}

/// 1 - 2^x for -32 <= x <= -2, where the absolute error counts.
fn one_minus_exp2<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    // Twice the range of the exponent more reaches the sign bit: the scale is -2^n.
    let magic = exp::magic(lanes, lanes.format().bias + 256);
    let raised = lanes.add(x, magic);
    let count = lanes.sub(raised, magic);
    let rest = lanes.sub(x, count);
    let one = lanes.float(1.0);
    let tail = polynomial(lanes, &tables::EXP2_SHORT_F32, rest);
    let power = lanes.fma(tail, rest, one);
    let scale = exp::exponent_field(lanes, raised);
    lanes.fma(power, scale, one)
}

fn erf_double<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let magnitude = lanes.abs(x);
    let six = lanes.float(6.0);
    let magnitude = lanes.min(six, magnitude);
    let square = lanes.mul(magnitude, magnitude);
    let small = polynomial(lanes, &tables::ERF_SMALL_F64, square);
    let small = lanes.fma(small, magnitude, magnitude);

    let negative = lanes.neg(square);
    let decay = exp::exp_within(lanes, negative);
    let above = polynomial(lanes, &tables::ERF_LARGE_F64, magnitude);
    let below = polynomial(lanes, &tables::ERF_LARGE_F64_BELOW, magnitude);
    let quotient = lanes.div(above, below);
    let rest = lanes.mul(decay, quotient);
    let one = lanes.float(1.0);
    let large = lanes.sub(one, rest);

    let is_large = lanes.lt(one, magnitude);
    let result = lanes.select(is_large, large, small);
    lanes.with_sign(result, x)
}
