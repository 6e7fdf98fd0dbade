//! Single elements: what each operation does to the bits of a lane.
//!
//! Invariant: bits in, bits out; a lane of four bytes has zeros above.

use super::super::program::{Condition, Dyad, Element, Lane, Monad, Narrow, Shift};

/// The bytes of a vector register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value([u8; 128]);

impl Default for Value {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl Value {
    pub(super) fn get(&self, lane: usize, bytes: u64) -> u64 {
        let bytes = bytes as usize;
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.0[lane * bytes..(lane + 1) * bytes]);
        u64::from_le_bytes(word)
    }

    pub(super) fn bits(&self, at: usize, lane: Lane) -> u64 {
        self.get(at, lane.bytes())
    }

    pub(super) fn set(&mut self, lane: usize, bytes: u64, bits: u64) {
        let bytes = bytes as usize;
        let to = &mut self.0[lane * bytes..(lane + 1) * bytes];
        to.copy_from_slice(&bits.to_le_bytes()[..bytes]);
    }

    /// An address moved by an I32 lane.
    pub(super) fn added(&self, lane: usize, at: u64) -> u64 {
        at.wrapping_add_signed(i64::from(self.get(lane, 4) as u32 as i32))
    }
}

fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn double(bits: u64) -> f64 {
    f64::from_bits(bits)
}

fn of_single(value: f32) -> u64 {
    u64::from(value.to_bits())
}

fn integer(bits: u64) -> i32 {
    bits as u32 as i32
}

fn of_integer(value: i32) -> u64 {
    u64::from(value as u32)
}

/// A float rounded to nearest even bf16; a subnormal number, before or after, is zero. A NaN keeps its upper bits.
pub(super) fn bf16_half(x: u64) -> u64 {
    let bits = (x & 0xffff_ffff) as u32;
    let sign = bits & 0x8000_0000;
    let rounded = match single(x) {
        x if x.is_nan() => bits | 0x0040_0000,
        x if x.abs() < f32::MIN_POSITIVE => sign,
        _ => bits + 0x7fff + (bits >> 16 & 1),
    };
    u64::from(rounded >> 16)
}

pub(super) fn dyad(op: Dyad, lane: Lane, x: u64, y: u64) -> u64 {
    match op {
        Dyad::And => return x & y,
        Dyad::Or => return x | y,
        Dyad::Xor => return x ^ y,
        Dyad::AndNot => return !x & y,
        Dyad::Add | Dyad::Sub | Dyad::Mul | Dyad::Div | Dyad::Min | Dyad::Max => {}
    }
    match lane {
        Lane::F32 => of_single(single_dyad(op, single(x), single(y))),
        Lane::F64 => double_dyad(op, double(x), double(y)).to_bits(),
        Lane::I32 => of_integer(integer_dyad(op, integer(x), integer(y))),
        Lane::I64 if op == Dyad::Sub => x.wrapping_sub(y),
        Lane::I64 => x.wrapping_add(y),
    }
}

fn single_dyad(op: Dyad, x: f32, y: f32) -> f32 {
    match op {
        Dyad::Sub => x - y,
        Dyad::Mul => x * y,
        Dyad::Div => x / y,
        Dyad::Min => {
            if x < y {
                x
            } else {
                y
            }
        }
        Dyad::Max => {
            if x > y {
                x
            } else {
                y
            }
        }
        _ => x + y,
    }
}

fn double_dyad(op: Dyad, x: f64, y: f64) -> f64 {
    match op {
        Dyad::Sub => x - y,
        Dyad::Mul => x * y,
        Dyad::Div => x / y,
        Dyad::Min => {
            if x < y {
                x
            } else {
                y
            }
        }
        Dyad::Max => {
            if x > y {
                x
            } else {
                y
            }
        }
        _ => x + y,
    }
}

fn integer_dyad(op: Dyad, x: i32, y: i32) -> i32 {
    match op {
        Dyad::Sub => x.wrapping_sub(y),
        Dyad::Mul => x.wrapping_mul(y),
        Dyad::Min => x.min(y),
        Dyad::Max => x.max(y),
        _ => x.wrapping_add(y),
    }
}

/// Bytes of the lanes that an operation assigns.
pub(super) fn monad_bytes(op: Monad, lane: Lane) -> u64 {
    match op {
        Monad::DoubleOfInteger | Monad::DoubleOfFloat | Monad::Extend => 8,
        Monad::IntegerOfDouble | Monad::FloatOfDouble | Monad::LowHalf => 4,
        _ => lane.bytes(),
    }
}

pub(super) fn monad(op: Monad, lane: Lane, x: u64) -> u64 {
    let float = |single_of: fn(f32) -> f32, double_of: fn(f64) -> f64| match lane {
        Lane::F64 => double_of(double(x)).to_bits(),
        _ => of_single(single_of(single(x))),
    };
    match op {
        Monad::Sqrt => float(f32::sqrt, f64::sqrt),
        Monad::RoundEven => float(f32::round_ties_even, f64::round_ties_even),
        Monad::Floor => float(f32::floor, f64::floor),
        Monad::Abs => of_integer(integer(x).wrapping_abs()),
        Monad::FloatOfInteger => of_single(integer(x) as f32),
        Monad::IntegerOfFloat => of_integer(truncated(f64::from(single(x)))),
        Monad::DoubleOfInteger => f64::from(integer(x)).to_bits(),
        Monad::IntegerOfDouble => of_integer(truncated(double(x))),
        Monad::DoubleOfFloat => f64::from(single(x)).to_bits(),
        Monad::FloatOfDouble => of_single(double(x) as f32),
        Monad::LowHalf => x & 0xffff_ffff,
        Monad::Extend => i64::from(integer(x)) as u64,
        Monad::RoundToF16 => of_single(f16_value(f16_bits(single(x)))),
    }
}

/// Towards zero; the least integer where that does not fit.
fn truncated(value: f64) -> i32 {
    let whole = value.trunc();
    if (-2_147_483_648.0..2_147_483_648.0).contains(&whole) { whole as i32 } else { i32::MIN }
}

pub(super) fn shift(op: Shift, lane: Lane, x: u64, count: u8) -> u64 {
    let bits = 8 * lane.bytes();
    let count = u64::from(count);
    match op {
        Shift::RightArithmetic => of_integer(integer(x) >> count.min(31)),
        Shift::Left | Shift::RightLogical if count >= bits => 0,
        Shift::Left if bits == 32 => (x << count) & 0xffff_ffff,
        Shift::Left => x << count,
        Shift::RightLogical => x >> count,
    }
}

pub(super) fn multiply_add(lane: Lane, x: u64, y: u64, z: u64) -> u64 {
    match lane {
        Lane::F64 => double(x).mul_add(double(y), double(z)).to_bits(),
        _ => of_single(single(x).mul_add(single(y), single(z))),
    }
}

/// One lane of sums of products of narrow elements; of bf16 the upper product is added first.
pub(super) fn dot(of: Narrow, x: u32, y: u32, z: u32) -> u32 {
    let sum = |products: &mut dyn Iterator<Item = i32>| {
        products.fold(z, |sum, product| sum.wrapping_add(product.cast_unsigned()))
    };
    match of {
        Narrow::Bytes => {
            let factors = x.to_le_bytes().into_iter().zip(y.to_le_bytes());
            sum(&mut factors.map(|(x, y)| i32::from(x) * i32::from(y.cast_signed())))
        }
        Narrow::Words => {
            let halves = |of: u32| [of as u16, (of >> 16) as u16].map(u16::cast_signed);
            let factors = halves(x).into_iter().zip(halves(y));
            sum(&mut factors.map(|(x, y)| i32::from(x) * i32::from(y)))
        }
        Narrow::Bf16 => {
            let flushed = |x: f32| if x.is_subnormal() { 0.0_f32.copysign(x) } else { x };
            let halves = |of: u32| [of & 0xffff_0000, of << 16].map(|x| flushed(f32::from_bits(x)));
            let factors = halves(x).into_iter().zip(halves(y));
            let start = flushed(f32::from_bits(z));
            factors.fold(start, |sum, (x, y)| flushed(x.mul_add(y, sum))).to_bits()
        }
    }
}

/// `x * 2^floor(y)`, rounded once. Powers beyond the exponents of f64 are split, the least part first: that product is
/// exact unless it is so small that the next one vanishes. A quiet NaN gives way to an infinite y.
pub(super) fn scale(lane: Lane, x_bits: u64, y_bits: u64) -> u64 {
    let (x, y, single_lane) = match lane {
        Lane::F64 => (double(x_bits), double(y_bits), false),
        _ => (f64::from(single(x_bits)), f64::from(single(y_bits)), true),
    };
    let quiet = match lane {
        Lane::F64 => x_bits >> 51 & 1 == 1,
        _ => x_bits >> 22 & 1 == 1,
    };
    if x.is_nan() && quiet && y.is_infinite() {
        let limit: f64 = if y > 0.0 { f64::INFINITY } else { 0.0 };
        return if single_lane { of_single(limit as f32) } else { limit.to_bits() };
    }
    let power = y.floor();
    let scaled = if y.is_nan() || y.is_infinite() {
        x * power.exp2()
    } else {
        let mut left = power.clamp(-5000.0, 5000.0) as i32;
        let mut value = x * f64::from(left % 1000).exp2();
        left -= left % 1000;
        while left != 0 {
            value *= f64::from(1000 * left.signum()).exp2();
            left -= 1000 * left.signum();
        }
        value
    };
    if single_lane { of_single(scaled as f32) } else { scaled.to_bits() }
}

pub(super) fn condition(op: Condition, lane: Lane, x: u64, y: u64) -> bool {
    let floats = match lane {
        Lane::F32 => Some((f64::from(single(x)), f64::from(single(y)))),
        Lane::F64 => Some((double(x), double(y))),
        Lane::I32 | Lane::I64 => None,
    };
    if let Some((x, y)) = floats {
        return match op {
            Condition::Equal => x == y,
            Condition::NotEqual => x != y,
            Condition::Less => x < y,
            Condition::LessEqual => x <= y,
            Condition::NotLess => x >= y || x.is_nan() || y.is_nan(),
            Condition::Unordered => x.is_nan() || y.is_nan(),
        };
    }
    let signed = |bits: u64| match lane {
        Lane::I64 => bits as i64,
        _ => i64::from(integer(bits)),
    };
    match op {
        Condition::Equal => x == y,
        Condition::NotEqual => x != y,
        Condition::Less => signed(x) < signed(y),
        Condition::LessEqual => signed(x) <= signed(y),
        Condition::Unordered | Condition::NotLess => false,
    }
}

/// The lane that an element of memory becomes.
pub(super) fn widen(element: Element, bits: u64) -> u64 {
    match element {
        Element::Word | Element::Double | Element::U16 | Element::U8 => bits,
        Element::F16 => of_single(f16_value(bits as u16)),
        Element::I16 => of_integer(i32::from(bits as u16 as i16)),
        Element::I8 => of_integer(i32::from(bits as u8 as i8)),
    }
}

/// The element of memory that a lane becomes; bits beyond its bytes mean nothing.
pub(super) fn narrow(element: Element, bits: u64) -> u64 {
    match element {
        Element::F16 => u64::from(f16_bits(single(bits))),
        _ => bits,
    }
}

/// An f16 as f32. A signalling NaN becomes a quiet one.
fn f16_value(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (bits >> 10 & 31, u32::from(bits & 1023));
    let magnitude = match exponent {
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        31 if fraction == 0 => f32::INFINITY.to_bits(),
        31 => 0x7fc0_0000 | fraction << 13,
        _ => (u32::from(exponent) + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// An f32 as f16, to the nearest, ties to even. Where a subnormal rounds up to the least normal, the bits run over
/// into the exponent, and where a fraction does, likewise.
fn f16_bits(value: f32) -> u16 {
    let sign = (value.to_bits() >> 16) as u16 & 0x8000;
    let bits = value.to_bits() & 0x7fff_ffff;
    let magnitude = if value.is_nan() {
        0x7e00 | (bits >> 13 & 0x1ff) as u16
    } else if bits >= 0x477f_f000 {
        0x7c00
    } else if bits < 0x3880_0000 {
        (value.abs() * 2f32.powi(24)).round_ties_even() as u16
    } else {
        ((bits - 0x3800_0000 + 0xfff + (bits >> 13 & 1)) >> 13) as u16
    };
    sign | magnitude
}
