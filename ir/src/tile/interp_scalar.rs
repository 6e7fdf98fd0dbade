//! Operators on single elements for the interpreter, and the elements of its inputs.
//!
//! Integers wrap at their width; their division truncates and gives 0 by 0. Floats are f64 whatever their type: a
//! conversion to a float type does nothing, one to an integer rounds to nearest and saturates.

use crate::base::{BinaryOp, DType, UnaryOp};
use crate::reference::HostTensor;

/// An operator of one operand of a type.
pub(super) fn unary(op: UnaryOp, dtype: DType, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => wrap(dtype, -x),
        UnaryOp::Abs => wrap(dtype, x.abs()),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Exp => x.exp(),
        UnaryOp::Exp2 => x.exp2(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log2 => x.log2(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Not => f64::from(u8::from(x == 0.0)),
    }
}

/// An operator of two operands of a type.
pub(super) fn binary(op: BinaryOp, dtype: DType, x: f64, y: f64) -> f64 {
    match op {
        BinaryOp::Div if dtype.is_integer() && y == 0.0 => 0.0,
        BinaryOp::Div if dtype.is_integer() => wrap(dtype, (x / y).trunc()),
        BinaryOp::Mul if dtype.is_integer() => wrap_integer(dtype, x as i128 * y as i128),
        _ => wrap(dtype, op.apply(x, y)),
    }
}

/// A conversion between types.
pub(super) fn cast(from: DType, to: DType, x: f64) -> f64 {
    match to {
        DType::Bool => f64::from(u8::from(x != 0.0)),
        _ if to.is_float() => x,
        _ if from.is_integer() => wrap(to, x),
        _ if x.is_nan() => 0.0,
        _ => {
            let (low, high) = range(to);
            x.round_ties_even().clamp(low, high)
        }
    }
}

fn range(dtype: DType) -> (f64, f64) {
    let low = if dtype == DType::U8 { 0.0 } else { -dtype.max_finite() - 1.0 };
    (low, dtype.max_finite())
}

/// An integer result as its width holds it; other types are left alone.
fn wrap(dtype: DType, value: f64) -> f64 {
    if dtype.is_integer() && value.is_finite() { wrap_integer(dtype, value as i128) } else { value }
}

fn wrap_integer(dtype: DType, value: i128) -> f64 {
    let (low, high) = range(dtype);
    let modulus = (high - low) as i128 + 1;
    ((value - low as i128).rem_euclid(modulus) + low as i128) as f64
}

/// erf x = 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 5 .. (2n+1)), whose terms have one sign.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > sum.abs() * f64::EPSILON / 4.0 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The elements of a tensor, row-major.
pub(super) fn elements(tensor: &HostTensor) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| decode(chunk)).collect()
    }
    let bytes = &tensor.bytes;
    match tensor.dtype {
        DType::F64 => each(bytes, f64::from_le_bytes),
        DType::F32 => each(bytes, |chunk| f64::from(f32::from_le_bytes(chunk))),
        DType::F16 => each(bytes, |chunk| half(u16::from_le_bytes(chunk))),
        DType::Bf16 => each(bytes, |[low, high]| f64::from(f32::from_le_bytes([0, 0, low, high]))),
        DType::I32 => each(bytes, |chunk| f64::from(i32::from_le_bytes(chunk))),
        DType::I16 => each(bytes, |chunk| f64::from(i16::from_le_bytes(chunk))),
        DType::I8 => each(bytes, |chunk| f64::from(i8::from_le_bytes(chunk))),
        DType::U8 => each(bytes, |[byte]| f64::from(byte)),
        DType::Bool => each(bytes, |[byte]| f64::from(u8::from(byte != 0))),
        DType::I4 => {
            let nibble = |nibble: u8| f64::from((nibble << 4) as i8 >> 4);
            bytes.iter().flat_map(|&byte| [nibble(byte), nibble(byte >> 4)]).collect()
        }
    }
}

fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * (-24_f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * f64::from(exponent - 25).exp2(),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}
