//! Elementary functions as expansions into primitive lane operations.
//!
//! Every function is written once, generic over [`Lanes`], and serves each register width and code
//! generator: Cranelift vectors ([`clif`]), an assembler, and plain Rust ([`scalar`]) for
//! exhaustive accuracy tests.
//!
//! Invariant: an expansion is straight-line code without calls, loads or branches, and gives the
//! same bits through every implementation of [`Lanes`] that is fused and looks up alike (the payload
//! and sign of a NaN excepted). It covers the whole range of its argument: IEEE answers at NaN, infinities and
//! zeros, gradual underflow in and out. The number tables are printed by `coefficients.py`; the
//! tests next door measure the errors.

pub mod clif;
mod erf;
mod exact;
mod exp;
mod log;
mod pow;
pub mod scalar;
mod tables;
mod tanh;
#[cfg(test)]
mod tests;
mod trigonometric;

use tilewright_ir::base::UnaryOp;

/// Layout and constants of one float format.
#[derive(Debug)]
pub struct Format {
    /// Bits of the stored significand: 23 or 52.
    pub mantissa_bits: u32,
    /// What is added to the exponent in memory: 127 or 1023.
    pub bias: i32,
    /// Bits of everything but the sign.
    pub magnitude: u64,
    /// Bits of the stored significand.
    pub mantissa: u64,
    /// Bits of 1.0.
    pub one: u64,
    /// Bits of the number next to the square root of one half.
    pub root_half: u64,
    /// Smallest normal number.
    pub smallest_normal: f64,
    /// ln 2 with enough trailing zeros that any exponent times it is exact (Cody and Waite, 1980).
    pub ln2_high: f64,
    /// ln 2 minus `ln2_high`.
    pub ln2_low: f64,
}

static SINGLE: Format = Format {
    mantissa_bits: 23,
    bias: 127,
    magnitude: 0x7FFF_FFFF,
    mantissa: 0x007F_FFFF,
    one: 0x3F80_0000,
    root_half: 0x3F35_04F3,
    smallest_normal: 1.1754943508222875e-38,
    ln2_high: 0.693359375,
    ln2_low: -2.1219444e-4,
};

static DOUBLE: Format = Format {
    mantissa_bits: 52,
    bias: 1023,
    magnitude: 0x7FFF_FFFF_FFFF_FFFF,
    mantissa: 0x000F_FFFF_FFFF_FFFF,
    one: 0x3FF0_0000_0000_0000,
    root_half: 0x3FE6_A09E_667F_3BCD,
    smallest_normal: f64::MIN_POSITIVE,
    ln2_high: 6.931_471_803_691_238e-1,
    ln2_low: 1.908_214_929_270_587_7e-10,
};

/// Primitive operations on one register of floats, all lanes f32 or all f64.
///
/// An implementation emits (or computes) one instruction per required method. The provided methods
/// are made of the required ones; override them where the target has the instruction, with the same
/// results.
pub trait Lanes {
    /// A register of floats.
    type F: Copy;
    /// A register of integers as wide as the floats.
    type I: Copy;
    /// A truth value per lane.
    type M: Copy;

    /// Whether the lanes are f64.
    fn double(&self) -> bool;

    /// Whether [`Lanes::fma`] rounds once.
    fn fused(&self) -> bool;

    /// The value, rounded to the lane type, in every lane.
    fn float(&mut self, value: f64) -> Self::F;
    /// The low bits of the value in every lane.
    fn int(&mut self, value: u64) -> Self::I;

    /// `a + b`.
    fn add(&mut self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`.
    fn sub(&mut self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b`.
    fn mul(&mut self, a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    fn div(&mut self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once if [`Lanes::fused`], else twice.
    fn fma(&mut self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The square root, correctly rounded.
    fn sqrt(&mut self, a: Self::F) -> Self::F;

    /// `a < b`; false with NaN.
    fn lt(&mut self, a: Self::F, b: Self::F) -> Self::M;
    /// `a == b`; false with NaN.
    fn eq(&mut self, a: Self::F, b: Self::F) -> Self::M;
    /// Per lane `a` where the mask holds, else `b`. Cheapest when the mask is one comparison.
    fn select(&mut self, mask: Self::M, a: Self::F, b: Self::F) -> Self::F;

    /// The bits of floats as integers.
    fn bits(&mut self, a: Self::F) -> Self::I;
    /// The floats of these bits.
    fn as_float(&mut self, a: Self::I) -> Self::F;
    /// Wrapping sum.
    fn iadd(&mut self, a: Self::I, b: Self::I) -> Self::I;
    /// Wrapping difference.
    fn isub(&mut self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise and.
    fn iand(&mut self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise or.
    fn ior(&mut self, a: Self::I, b: Self::I) -> Self::I;
    /// Bitwise exclusive or.
    fn ixor(&mut self, a: Self::I, b: Self::I) -> Self::I;
    /// Shift towards the high bits, zeros in.
    fn shl(&mut self, a: Self::I, count: u32) -> Self::I;
    /// Logical shift towards the low bits.
    fn shr(&mut self, a: Self::I, count: u32) -> Self::I;

    /// Layout and constants of the lane type.
    fn format(&self) -> &'static Format {
        if self.double() { &DOUBLE } else { &SINGLE }
    }

    /// `a` if `a < b`, else `b`, as `minps` does: an unordered pair gives the second operand, so
    /// that `min(constant, x)` keeps a NaN in `x`.
    fn min(&mut self, a: Self::F, b: Self::F) -> Self::F {
        let less = self.lt(a, b);
        self.select(less, a, b)
    }

    /// `a` if `b < a`, else `b`, as `maxps` does; see [`Lanes::min`].
    fn max(&mut self, a: Self::F, b: Self::F) -> Self::F {
        let less = self.lt(b, a);
        self.select(less, a, b)
    }

    /// Whether one instruction does [`Lanes::times_power`].
    fn has_times_power(&self) -> bool {
        false
    }

    /// Whether one instruction does [`Lanes::looked_up`].
    fn looks_up(&self) -> bool {
        false
    }

    /// The number of the table whose place is the low four bits of `at`. Asked for only where there is an instruction
    /// for it.
    fn looked_up(&mut self, _table: &'static [f64; 16], at: Self::F) -> Self::F {
        at
    }

    /// `a` times two to the power of the largest integer in `count`, a number or NaN, rounded once. Asked for only where
    /// there is an instruction for it.
    fn times_power(&mut self, a: Self::F, _count: Self::F) -> Self::F {
        a
    }

    /// As [`Lanes::times_power`], and 0, without the work of finding out that it is too small, where `count < least`.
    fn times_power_from(&mut self, a: Self::F, count: Self::F, least: Self::F) -> Self::F {
        let power = self.times_power(a, count);
        let none = self.lt(count, least);
        let zero = self.float(0.0);
        self.select(none, zero, power)
    }

    /// `a` with its sign changed, also of NaN and zero.
    fn neg(&mut self, a: Self::F) -> Self::F {
        let sign = self.int(self.format().magnitude + 1);
        let bits = self.bits(a);
        let bits = self.ixor(bits, sign);
        self.as_float(bits)
    }

    /// `a` without its sign.
    fn abs(&mut self, a: Self::F) -> Self::F {
        let magnitude = self.int(self.format().magnitude);
        let bits = self.bits(a);
        let bits = self.iand(bits, magnitude);
        self.as_float(bits)
    }

    /// `magnitude`, which must have a clear sign bit, with the sign of `sign`.
    fn with_sign(&mut self, magnitude: Self::F, sign: Self::F) -> Self::F {
        let mask = self.int(self.format().magnitude + 1);
        let sign = self.bits(sign);
        let sign = self.iand(sign, mask);
        let bits = self.bits(magnitude);
        let bits = self.ior(bits, sign);
        self.as_float(bits)
    }

    /// The nearest integer, ties to even.
    fn round_even(&mut self, a: Self::F) -> Self::F
    where
        Self: Sized,
    {
        round_by_addition(self, a)
    }

    /// The largest integer not above `a`.
    fn floor(&mut self, a: Self::F) -> Self::F
    where
        Self: Sized,
    {
        floor_by_rounding(self, a)
    }

    /// `rare(x)` where the mask holds, else `usual`. Only here may code branch: over `rare` if no
    /// lane needs it.
    fn unlikely(
        &mut self,
        mask: Self::M,
        x: Self::F,
        usual: Self::F,
        rare: fn(&mut Self, Self::F) -> Self::F,
    ) -> Self::F {
        let value = rare(self, x);
        self.select(mask, value, usual)
    }
}

/// [`Lanes::round_even`] without an instruction for it.
fn round_by_addition<L: Lanes>(lanes: &mut L, a: L::F) -> L::F {
    // From 2^mantissa_bits on all numbers are integers; below, adding it makes the hardware round.
    let limit = lanes.float(power_of_two(lanes.format().mantissa_bits));
    let magnitude = lanes.abs(a);
    let raised = lanes.add(magnitude, limit);
    let rounded = lanes.sub(raised, limit);
    let inside = lanes.lt(magnitude, limit);
    let rounded = lanes.select(inside, rounded, magnitude);
    lanes.with_sign(rounded, a)
}

/// [`Lanes::floor`] without an instruction for it.
fn floor_by_rounding<L: Lanes>(lanes: &mut L, a: L::F) -> L::F {
    let rounded = round_by_addition(lanes, a);
    let above = lanes.lt(a, rounded);
    let one = lanes.float(1.0);
    let zero = lanes.float(0.0);
    let excess = lanes.select(above, one, zero);
    lanes.sub(rounded, excess)
}

/// The function `op` of `x`, lane by lane; `None` if floats have no such function (`Not`).
pub fn unary<L: Lanes>(lanes: &mut L, op: UnaryOp, x: L::F) -> Option<L::F> {
    Some(match op {
        UnaryOp::Neg => lanes.neg(x),
        UnaryOp::Abs => lanes.abs(x),
        UnaryOp::Recip => {
            let one = lanes.float(1.0);
            lanes.div(one, x)
        }
        UnaryOp::Exp => exp::exp(lanes, x),
        UnaryOp::Exp2 => exp::exp2(lanes, x),
        UnaryOp::Log => log::log(lanes, x),
        UnaryOp::Log2 => log::log2(lanes, x),
        UnaryOp::Sqrt => lanes.sqrt(x),
        UnaryOp::Rsqrt => {
            let one = lanes.float(1.0);
            let root = lanes.sqrt(x);
            lanes.div(one, root)
        }
        UnaryOp::Tanh => tanh::tanh(lanes, x),
        UnaryOp::Erf => erf::erf(lanes, x),
        UnaryOp::Sin => trigonometric::sin(lanes, x),
        UnaryOp::Cos => trigonometric::cos(lanes, x),
        UnaryOp::Floor => lanes.floor(x),
        UnaryOp::Round => lanes.round_even(x),
        UnaryOp::Not => return None,
    })
}

/// x to the power of y, lane by lane, with the special cases of IEEE 754: NaN for negative x with a
/// fractional y, 1 for y = 0 and for x = 1 whatever the other is.
pub fn power<L: Lanes>(lanes: &mut L, x: L::F, y: L::F) -> L::F {
    pow::pow(lanes, x, y)
}

/// c0 + x (c1 + x (c2 + ..)), by Horner's rule.
fn polynomial<L: Lanes>(lanes: &mut L, coefficients: &[f64], x: L::F) -> L::F {
    let (last, rest) = coefficients.split_last().expect("no table of coefficients is empty");
    let mut sum = lanes.float(*last);
    for coefficient in rest.iter().rev() {
        let coefficient = lanes.float(*coefficient);
        sum = lanes.fma(sum, x, coefficient);
    }
    sum
}

/// 2^exponent.
fn power_of_two(exponent: u32) -> f64 {
    f64::from_bits(u64::from(exponent + 1023) << 52)
}
