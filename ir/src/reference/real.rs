//! The numbers the reference computes with: f64, or double-double for kernels that compute in f64.
//!
//! Invariant: the evaluator is written once over `Real`; operators mean here what `base::op` says.

use crate::base::{BinaryOp, DType, UnaryOp};
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::tensor::{round_to, wrap_integer, wrap_number};

/// A number of the reference.
pub(super) trait Real:
    Copy
    + Default
    + Debug
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// Half of the relative distance between neighbours: when a series has converged.
    const ROUNDOFF: f64;
    /// Beyond this magnitude `erf` is 1 to the last bit.
    const ERF_ONE: f64;
    fn of(value: f64) -> Self;
    fn high(self) -> f64;
    fn low(self) -> f64;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    fn ln(self) -> Self;
    fn log2(self) -> Self;
    fn tanh(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn floor(self) -> Self;
    fn round_ties_even(self) -> Self;
    fn pow(self, exponent: Self) -> Self;
    /// 2 / sqrt(pi).
    fn two_over_sqrt_pi() -> Self;
    fn abs(self) -> Self {
        if self.high().is_sign_negative() { -self } else { self }
    }
    fn is_finite(self) -> bool {
        self.high().is_finite()
    }
}

impl Real for f64 {
    const ROUNDOFF: f64 = f64::EPSILON / 2.0;
    const ERF_ONE: f64 = 6.0;
    #[inline]
    fn of(value: f64) -> Self {
        value
    }
    #[inline]
    fn high(self) -> f64 {
        self
    }
    fn low(self) -> f64 {
        0.0
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn exp2(self) -> Self {
        self.exp2()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn log2(self) -> Self {
        self.log2()
    }
    fn tanh(self) -> Self {
        self.tanh()
    }
    fn sin(self) -> Self {
        self.sin()
    }
    fn cos(self) -> Self {
        self.cos()
    }
    fn floor(self) -> Self {
        self.floor()
    }
    fn round_ties_even(self) -> Self {
        self.round_ties_even()
    }
    fn pow(self, exponent: Self) -> Self {
        self.powf(exponent)
    }
    fn two_over_sqrt_pi() -> Self {
        std::f64::consts::FRAC_2_SQRT_PI
    }
    #[inline]
    fn abs(self) -> Self {
        self.abs()
    }
}

/// The error function by erf x = 2/sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (1 3 5 .. (2n+1)), whose terms
/// have one sign (Abramowitz and Stegun 7.1.6).
pub(super) fn erf<R: Real>(x: R) -> R {
    if x.high().is_nan() || x.high().abs() >= R::ERF_ONE {
        return if x.high().is_nan() { x } else { R::of(1f64.copysign(x.high())) };
    }
    let square = x * x;
    let mut term = x;
    let mut sum = x;
    let mut odd = 1.0;
    while term.high().abs() > sum.high().abs() * R::ROUNDOFF / 4.0 {
        odd += 2.0;
        term = term * (square * R::of(2.0)) / R::of(odd);
        sum = sum + term;
    }
    R::two_over_sqrt_pi() * (-square).exp() * sum
}

/// The value of an operator of one operand in a type.
pub(super) fn unary<R: Real>(op: UnaryOp, dtype: DType, x: R) -> R {
    match op {
        UnaryOp::Neg if dtype.is_integer() => R::of(wrap_integer(dtype, -(x.high() as i128))),
        UnaryOp::Abs if dtype.is_integer() => R::of(wrap_integer(dtype, x.high().abs() as i128)),
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Recip => R::of(1.0) / x,
        UnaryOp::Exp => x.exp(),
        UnaryOp::Exp2 => x.exp2(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log2 => x.log2(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => R::of(1.0) / x.sqrt(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Not => R::of(f64::from(u8::from(x.high() == 0.0))),
    }
}

/// The value of an operator of two operands in a type. Integers wrap; integer division truncates, by 0 it is 0.
pub(super) fn binary<R: Real>(op: BinaryOp, dtype: DType, x: R, y: R) -> R {
    if dtype.is_integer() {
        return R::of(integer_binary(op, dtype, x.high(), y.high()));
    }
    match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div => x / y,
        BinaryOp::Pow => x.pow(y),
        BinaryOp::And | BinaryOp::Or => R::of(op.apply(x.high(), y.high())),
        BinaryOp::Min | BinaryOp::Max => {
            if x.high().is_nan() || y.high().is_nan() {
                R::of(f64::NAN)
            } else if (op == BinaryOp::Max) == (x > y) {
                x
            } else {
                y
            }
        }
    }
}

fn integer_binary(op: BinaryOp, dtype: DType, x: f64, y: f64) -> f64 {
    let (i, j) = (x as i128, y as i128);
    match op {
        BinaryOp::Add => wrap_integer(dtype, i + j),
        BinaryOp::Sub => wrap_integer(dtype, i - j),
        BinaryOp::Mul => wrap_integer(dtype, i * j),
        BinaryOp::Div => wrap_integer(dtype, i.checked_div(j).unwrap_or(0)),
        BinaryOp::Pow => round_to(dtype, x.powf(y)),
        BinaryOp::Min | BinaryOp::Max | BinaryOp::And | BinaryOp::Or => op.apply(x, y),
    }
}

/// The value of a conversion: floats are kept (their rounding is in the allowance), others are rounded and saturate.
pub(super) fn cast<R: Real>(to: DType, x: R) -> R {
    match to {
        DType::Bool => R::of(round_to(to, x.high())),
        _ if to.is_float() => x,
        _ => R::of(round_to(to, x.round_ties_even().high())),
    }
}

/// The value of a conversion that keeps the low bits.
pub(super) fn wrap<R: Real>(to: DType, x: R) -> R {
    R::of(wrap_number(to, x.round_ties_even().high()))
}
