//! sin and cos.
//!
//! |x| = n pi/2 + r, |r| <= pi/4, and two short polynomials in r^2, of which the quadrant n picks
//! one. Up to [`near_limit`] n pi/2 is subtracted in parts (Cody and Waite, 1980), chosen so that
//! every cancelling step is exact. Larger arguments are rare and take a branch: there x is an
//! integer multiple of a power of two, and the table holds 2/pi times that power modulo 4 in
//! several floats (Payne and Hanek, 1983), so that x 2/pi modulo 4 is a sum of exact products.

use super::exact::{two_product, two_sum};
use super::{Lanes, exp, polynomial, power_of_two, tables};

/// An angle in [-pi/4, pi/4] and the number of right angles taken off, in the low two bits.
struct Reduced<L: Lanes> {
    rest: L::F,
    quadrant: L::I,
}

/// The sine.
pub(super) fn sin<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let magnitude = lanes.abs(x);
    let result = sine_of_magnitude::<L, 0>(lanes, magnitude);
    // sin(-x) = -sin(x), and the sign of zero stays.
    let sign = lanes.int(lanes.format().magnitude + 1);
    let bits = lanes.bits(x);
    let sign = lanes.iand(bits, sign);
    let bits = lanes.bits(result);
    let bits = lanes.ixor(bits, sign);
    lanes.as_float(bits)
}

/// The cosine.
pub(super) fn cos<L: Lanes>(lanes: &mut L, x: L::F) -> L::F {
    let magnitude = lanes.abs(x);
    sine_of_magnitude::<L, 1>(lanes, magnitude)
}

/// sin(x + TURN pi/2) for x >= 0.
fn sine_of_magnitude<L: Lanes, const TURN: u64>(lanes: &mut L, x: L::F) -> L::F {
    let near = reduce_near(lanes, x);
    let usual = evaluate(lanes, &near, TURN);
    let limit = lanes.float(power_of_two(near_limit(lanes)));
    let is_far = lanes.lt(limit, x);
    lanes.unlikely(is_far, x, usual, sine_of_far::<L, TURN>)
}

fn sine_of_far<L: Lanes, const TURN: u64>(lanes: &mut L, x: L::F) -> L::F {
    let far = reduce_far(lanes, x);
    evaluate(lanes, &far, TURN)
}

/// Up to two to this power the subtraction in parts is accurate.
fn near_limit<L: Lanes>(lanes: &L) -> u32 {
    if lanes.double() { 30 } else { 16 }
}

fn reduce_near<L: Lanes>(lanes: &mut L, x: L::F) -> Reduced<L> {
    let inverse = lanes.float(std::f64::consts::FRAC_2_PI);
    let magic = exp::magic(lanes, 0);
    let raised = lanes.fma(x, inverse, magic);
    let count = lanes.sub(raised, magic);
    let parts: &[f64] = match (lanes.double(), lanes.fused()) {
        (false, true) => &tables::RIGHT_ANGLE_F32,
        (true, true) => &tables::RIGHT_ANGLE_F64,
        (false, false) => &tables::RIGHT_ANGLE_SHORT_F32,
        (true, false) => &tables::RIGHT_ANGLE_SHORT_F64,
    };
    let mut rest = x;
    for part in parts {
        let part = lanes.float(-part);
        rest = lanes.fma(count, part, rest);
    }
    Reduced { rest, quadrant: lanes.bits(raised) }
}

/// sin(rest + (quadrant + turn) pi/2).
fn evaluate<L: Lanes>(lanes: &mut L, angle: &Reduced<L>, turn: u64) -> L::F {
    let format = lanes.format();
    let rest = angle.rest;
    let square = lanes.mul(rest, rest);
    let (sine, cosine): (&[f64], &[f64]) = if lanes.double() {
        (&tables::SIN_F64, &tables::COS_F64)
    } else {
        (&tables::SIN_F32, &tables::COS_F32)
    };
    let sine = polynomial(lanes, sine, square);
    let sine = lanes.mul(sine, square);
    let sine = lanes.fma(sine, rest, rest);
    let cosine = polynomial(lanes, cosine, square);
    let cosine = lanes.mul(cosine, square);
    let minus_half = lanes.float(-0.5);
    let cosine = lanes.add(cosine, minus_half);
    let one = lanes.float(1.0);
    let cosine = lanes.fma(cosine, square, one);

    let mut quadrant = angle.quadrant;
    if turn != 0 {
        let turn = lanes.int(turn);
        quadrant = lanes.iadd(quadrant, turn);
    }
    // The odd bit as an exponent makes a number that is zero or not.
    let one = lanes.int(1);
    let odd = lanes.iand(quadrant, one);
    let odd = lanes.shl(odd, format.mantissa_bits);
    let odd = lanes.as_float(odd);
    let zero = lanes.float(0.0);
    let even = lanes.eq(odd, zero);
    let result = lanes.select(even, sine, cosine);
    let sign_shift = if lanes.double() { 62 } else { 30 };
    let two = lanes.int(2);
    let sign = lanes.iand(quadrant, two);
    let sign = lanes.shl(sign, sign_shift);
    let bits = lanes.bits(result);
    let bits = lanes.ixor(bits, sign);
    lanes.as_float(bits)
}

fn reduce_far<L: Lanes>(lanes: &mut L, x: L::F) -> Reduced<L> {
    let mut terms = far_terms(lanes, x);
    // Any multiple of 4 right angles may go. Differences of a float and a nearby multiple of 4 are
    // exact.
    for term in &mut terms {
        let quarter = lanes.float(0.25);
        let turns = lanes.mul(*term, quarter);
        let turns = lanes.round_even(turns);
        let four = lanes.float(4.0);
        let turns = lanes.mul(turns, four);
        *term = lanes.sub(*term, turns);
    }
    distill(lanes, &mut terms);
    let count = lanes.round_even(terms[0]);
    terms[0] = lanes.sub(terms[0], count);
    distill(lanes, &mut terms);
    distill(lanes, &mut terms);
    let mut sum = terms[terms.len() - 1];
    for term in terms.iter().rev().skip(1) {
        sum = lanes.add(*term, sum);
    }
    let right_angle = lanes.float(std::f64::consts::FRAC_PI_2);
    let rest = lanes.mul(sum, right_angle);
    let magic = exp::magic(lanes, 0);
    let raised = lanes.add(count, magic);
    Reduced { rest, quadrant: lanes.bits(raised) }
}

/// Floats whose sum is x 2/pi modulo 4; NaN among them if x is infinite.
fn far_terms<L: Lanes>(lanes: &mut L, x: L::F) -> Vec<L::F> {
    let (rows, width): (Vec<&[f64]>, u32) = if lanes.double() {
        (tables::FAR_F64.iter().map(|row| &row[..]).collect(), 143)
    } else {
        (tables::FAR_F32.iter().map(|row| &row[..]).collect(), 40)
    };
    let least = near_limit(lanes);
    let mut row = rows[0].iter().map(|piece| lanes.float(*piece)).collect::<Vec<_>>();
    // The scaled x is an integer of at least all its bits, so reducing the table modulo 4 is right.
    let mut scale = lanes.float(power_of_two(lanes.format().mantissa_bits - least));
    for (index, pieces) in (0..).zip(&rows).skip(1) {
        let exponent = least + width * index;
        let bound = lanes.float(power_of_two(exponent));
        let beyond = lanes.lt(bound, x);
        let next = lanes.float(1.0 / power_of_two(exponent - lanes.format().mantissa_bits));
        scale = lanes.select(beyond, next, scale);
        for (piece, value) in row.iter_mut().zip(*pieces) {
            let value = lanes.float(*value);
            *piece = lanes.select(beyond, value, *piece);
        }
    }
    let integer = lanes.mul(x, scale);
    let mut terms = Vec::new();
    for piece in row {
        let (product, error) = two_product(lanes, integer, piece);
        terms.extend([product, error]);
    }
    terms
}

/// One error-free pass of sums from the last term to the first (Ogita, Rump and Oishi, 2005): the
/// total stays, and moves up.
fn distill<L: Lanes>(lanes: &mut L, terms: &mut [L::F]) {
    for index in (1..terms.len()).rev() {
        let (sum, error) = two_sum(lanes, terms[index - 1], terms[index]);
        terms[index - 1] = sum;
        terms[index] = error;
    }
}
