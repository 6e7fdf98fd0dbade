//! tanh.
//!
//! tanh(a) = E / (E + 2) with E = e^(2a) - 1, for a = |x|. E = 2^n D + (2^n - 1) with D = e^r - 1,
//! a polynomial without constant term: for n = 0 this keeps the relative accuracy down to the
//! smallest subnormal, so one form serves the whole range and nothing is selected (fdlibm's
//! `s_tanh.c` uses the same identity by cases).

use super::{Lanes, exp, polynomial};

/// The hyperbolic tangent.
pub(super) fn tanh<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let magnitude = lanes.abs(x);
    // From here on the result rounds to 1.
    let high = lanes.float(if lanes.double() { 20.0 } else { 10.0 });
    let clamped = lanes.min(high, magnitude);
    let doubled = lanes.add(clamped, clamped);
    let grown = expm1_within(lanes, doubled);
    let two = lanes.float(2.0);
    let denominator = lanes.add(grown, two);
    let quotient = lanes.div(grown, denominator);
    lanes.with_sign(quotient, x)
}

/// e^x - 1 for 0 <= x <= 40, or NaN.
fn expm1_within<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let exp::Reduced { rest, raised, .. } = exp::reduce(lanes, x, lanes.format().bias);
    let scale = exp::exponent_field(lanes, raised);
    let tail = polynomial(lanes, exp::exp_tail(lanes), rest);
    let tail = lanes.mul(tail, rest);
    let sum = lanes.fma(tail, rest, rest);
    let one = lanes.float(1.0);
    let less_one = lanes.sub(scale, one);
    lanes.fma(sum, scale, less_one)
}
