//! Exact values, and errors in units of the last place.
//!
//! Invariant: for f32 the exact value comes from f64 functions; for f64 from pairs of f64, except
//! for sin and cos, where it is the standard library's (its own error, below 0.6 units, counts
//! against us).

use tilewright_ir::base::UnaryOp;

use super::pairs::{LN_2, Pair};

/// op(x) in f64.
pub(super) fn exact_single(op: UnaryOp, x: f32) -> f64 {
    rough(op, f64::from(x))
}

/// op(x) with an error of few units of f64.
fn rough(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Exp => x.exp(),
        UnaryOp::Exp2 => x.exp2(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log2 => x.log2(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sqrt | UnaryOp::Not => panic!("{op} is not tested"),
    }
}

/// The series of [`Pair::erf`] in plain f64.
fn erf(x: f64) -> f64 {
    let square = x * x;
    if square >= 36.0 {
        return 1f64.copysign(x);
    }
    let (mut term, mut sum, mut n) = (x, x, 3.0);
    while term.abs() > sum.abs() * 1e-17 {
        term *= 2.0 * square / n;
        sum += term;
        n += 2.0;
    }
    if square.is_nan() { x } else { sum * (-square).exp() * std::f64::consts::FRAC_2_SQRT_PI }
}

/// The distance from the exact number in units in the last place of f32.
pub(super) fn single_error(got: f32, exact: f64) -> f64 {
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    // Infinity stands for the number after the largest, as in rounding.
    let limit = power_of_two(128);
    let got = if got.is_infinite() { limit.copysign(got.into()) } else { got.into() };
    let largest = f64::from(f32::MAX);
    let unit = unit(exact.clamp(-largest, largest), 23, -149);
    (got - exact.clamp(-limit, limit)).abs() / unit
}

/// The unit in the last place of a format with so many stored bits and this least exponent.
fn unit(exact: f64, mantissa_bits: i32, least: i32) -> f64 {
    let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
    power_of_two((exponent - mantissa_bits).max(least))
}

/// Two to a power, also a subnormal one, for which `powi` gives 0.
fn power_of_two(exponent: i32) -> f64 {
    let (normal, rest) = (exponent.clamp(-1022, 1023), exponent - exponent.clamp(-1022, 1023));
    2f64.powi(normal) * 2f64.powi(rest)
}

/// The error of an f64 result.
pub(super) fn double_error(op: UnaryOp, got: f64, x: f64) -> f64 {
    let rough = rough(op, x);
    if got.is_nan() || rough.is_nan() {
        return if got.is_nan() && rough.is_nan() { 0.0 } else { f64::INFINITY };
    }
    match exact_double(op, x) {
        // m is near 1, so that both sides scaled by 2^-k are ordinary numbers.
        Some((exact, k)) => distance(got, exact, k),
        None => double_distance(got, rough),
    }
}

/// The distance of two f64 in units in the last place.
pub(super) fn double_distance(got: f64, want: f64) -> f64 {
    if got == want || got.is_nan() && want.is_nan() {
        return 0.0;
    }
    (got - want).abs() / unit(want, 52, -1074)
}

/// (m, k): op(x) = m 2^k; `None` where the rough value will do.
fn exact_double(op: UnaryOp, x: f64) -> Option<(Pair, i32)> {
    let size = x.abs();
    let signed = |pair: Pair| if x < 0.0 { pair.negate() } else { pair };
    let positive = x > 0.0 && x < f64::INFINITY;
    match op {
        UnaryOp::Exp if size < 800.0 => Some(Pair::new(x).exp()),
        UnaryOp::Exp2 if size < 1100.0 => {
            let (power, k) = Pair::new(x - x.round()).mul(LN_2).exp();
            Some((power, k + x.round() as i32))
        }
        UnaryOp::Log if positive => Some((logarithm(x), 0)),
        UnaryOp::Log2 if positive => Some((logarithm(x).div(LN_2), 0)),
        UnaryOp::Rsqrt if 1e-250 < x && x < 1e250 => {
            // One Newton step in pairs from the rounded root.
            let root = Pair::new(1.0 / x.sqrt());
            let excess = root.mul(Pair::new(x)).mul(root).add(Pair::new(-1.0));
            Some((root.add(root.mul(excess).scale(-1).negate()), 0))
        }
        UnaryOp::Tanh if 1e-100 < size && size < 30.0 => Some((signed(Pair::new(size).tanh()), 0)),
        UnaryOp::Erf if 1e-100 < size && size < 6.0 => Some((signed(Pair::new(size).erf()), 0)),
        _ => None,
    }
}

fn logarithm(x: f64) -> Pair {
    if x >= f64::MIN_POSITIVE {
        return Pair::new(x).ln();
    }
    Pair::new(x * 2f64.powi(60)).ln().add(LN_2.mul(Pair::new(-60.0)))
}

/// |got - exact 2^k| in units of the last place of f64.
fn distance(got: f64, exact: Pair, k: i32) -> f64 {
    let overflow = Pair::new(2f64.powi(1024 - k.clamp(1, 1100)));
    if k > 1000 && exact.high >= overflow.high {
        return if got == f64::INFINITY { 0.0 } else { f64::INFINITY };
    }
    // Infinity stands for the number after the largest, as in rounding.
    let got = if got.is_infinite() {
        overflow
    } else {
        Pair::new(got * power_of_two(-k / 2) * power_of_two(-k - (-k / 2)))
    };
    got.add(exact.negate()).high.abs() / unit(exact.high, 52, -1074 - k)
}
