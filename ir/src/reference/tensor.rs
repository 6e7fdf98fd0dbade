//! Host tensors: making, reading and rounding elements of every type.
//!
//! Invariant: `round_to` rounds once, to nearest with ties to even, straight from f64; what is written by
//! `from_f64` reads back as `round_to` of what was given.

use super::HostTensor;
use crate::base::DType;

/// The value of `dtype` nearest to `value`, ties to even. Floats overflow to infinity, integers saturate and take
/// NaN to 0, `bool` is whether the value is not 0.
pub fn round_to(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F32 => f64::from(value as f32),
        DType::F16 => round_float(value, 11, -14, dtype.max_finite()),
        DType::Bf16 => round_float(value, 8, -126, dtype.max_finite()),
        DType::Bool => f64::from(u8::from(value != 0.0)),
        _ if value.is_nan() => 0.0,
        _ => {
            let (low, high) = integer_range(dtype);
            // An integer zero has no sign.
            value.round_ties_even().clamp(low, high) + 0.0
        }
    }
}

/// Smallest and largest number of an integer type.
pub fn integer_range(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::U8 | DType::Bool => (0.0, dtype.max_finite()),
        _ => (-dtype.max_finite() - 1.0, dtype.max_finite()),
    }
}

/// The integer congruent to `value` that an integer type of that many bits holds, as machine arithmetic wraps.
pub fn wrap_integer(dtype: DType, value: i128) -> f64 {
    let (low, high) = integer_range(dtype);
    let modulus = (high - low) as i128 + 1;
    ((value - low as i128).rem_euclid(modulus) + low as i128) as f64
}

/// A number rounded to an integer, ties to even, modulo two to the bits of an integer type; 0 for what is no number.
pub fn wrap_number(dtype: DType, value: f64) -> f64 {
    let rounded = value.round_ties_even();
    // The remainder of a division by a power of two is exact.
    let rest = rounded % f64::from(dtype.bits()).exp2();
    if rest.is_finite() { wrap_integer(dtype, rest as i128) } else { 0.0 }
}

fn round_float(value: f64, mantissa: i32, exponent_min: i32, max: f64) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let exponent = exponent_of(value).max(exponent_min);
    let quantum = power_of_two(exponent - (mantissa - 1));
    let rounded = (value / quantum).round_ties_even() * quantum;
    if rounded.abs() > max { f64::INFINITY.copysign(value) } else { rounded }
}

/// floor(log2 |value|) of a normal number; -1023 below.
pub(super) fn exponent_of(value: f64) -> i32 {
    ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// Two to an integer power within the normal numbers.
pub(super) fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent.clamp(-1022, 1023) + 1023) as u64) << 52)
}

/// Half of the distance between the two numbers of `dtype` around `value`; 0 for integers.
pub fn half_ulp(dtype: DType, value: f64) -> f64 {
    if !dtype.is_float() {
        return 0.0;
    }
    let magnitude = value.abs().clamp(dtype.min_normal(), dtype.max_finite());
    power_of_two(exponent_of(magnitude)) * dtype.unit_roundoff()
}

/// The 16 bits of a number that is already rounded to f16.
fn f16_bits(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let magnitude = value.abs();
    let rest = if value.is_nan() {
        0x7e00
    } else if magnitude.is_infinite() {
        0x7c00
    } else if magnitude < DType::F16.min_normal() {
        (magnitude * power_of_two(24)) as u16
    } else {
        let exponent = exponent_of(magnitude);
        let fraction = (magnitude / power_of_two(exponent) - 1.0) * 1024.0;
        ((exponent + 15) as u16) << 10 | fraction as u16
    };
    sign | rest
}

fn f16_value(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * power_of_two(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * power_of_two(exponent - 15),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

fn i4_value(byte: u8, high: bool) -> f64 {
    let nibble = if high { byte >> 4 } else { byte & 15 };
    f64::from(((nibble << 4) as i8) >> 4)
}

impl HostTensor {
    /// A tensor of zeros.
    pub fn zeros(dtype: DType, shape: &[u64]) -> Self {
        let count = shape.iter().product();
        Self { dtype, shape: shape.to_vec(), bytes: vec![0; dtype.bytes_of(count) as usize] }
    }

    /// A tensor of the given values in row-major order, each rounded to the type; missing ones are 0.
    pub fn from_f64(dtype: DType, shape: &[u64], values: impl IntoIterator<Item = f64>) -> Self {
        let mut tensor = Self::zeros(dtype, shape);
        let count = tensor.len();
        for (index, value) in values.into_iter().take(count).enumerate() {
            tensor.set(index, value);
        }
        tensor
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product::<u64>() as usize
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The distance in elements between neighbours along each axis.
    pub fn strides(&self) -> Vec<usize> {
        strides_of(&self.shape)
    }

    /// Rounds a value to the type and stores it at a row-major position.
    pub fn set(&mut self, index: usize, value: f64) {
        let value = round_to(self.dtype, value);
        let bytes = &mut self.bytes;
        match self.dtype {
            DType::F64 => put(bytes, index, value.to_le_bytes()),
            DType::F32 => put(bytes, index, (value as f32).to_le_bytes()),
            DType::F16 => put(bytes, index, f16_bits(value).to_le_bytes()),
            DType::Bf16 => {
                put(bytes, index, (((value as f32).to_bits() >> 16) as u16).to_le_bytes());
            }
            DType::I32 => put(bytes, index, (value as i32).to_le_bytes()),
            DType::I16 => put(bytes, index, (value as i16).to_le_bytes()),
            DType::I8 => put(bytes, index, (value as i8).to_le_bytes()),
            DType::U8 | DType::Bool => put(bytes, index, [value as u8]),
            DType::I4 => {
                let nibble = value as i8 as u8 & 15;
                let byte = &mut bytes[index / 2];
                *byte = if index.is_multiple_of(2) {
                    *byte & 0xf0 | nibble
                } else {
                    *byte & 15 | nibble << 4
                };
            }
        }
    }

    /// The element at a row-major position.
    pub fn get(&self, index: usize) -> f64 {
        let mut value = [0.0];
        self.read(index, 1, &mut value);
        value[0]
    }

    /// All elements in row-major order.
    pub fn to_f64(&self) -> Vec<f64> {
        let mut values = vec![0.0; self.len()];
        self.read(0, 1, &mut values);
        values
    }

    /// Reads `out.len()` elements from `start` on, `step` elements apart.
    pub fn read(&self, start: usize, step: usize, out: &mut [f64]) {
        let bytes = &self.bytes;
        match self.dtype {
            DType::F64 => fill(bytes, start, step, out, f64::from_le_bytes),
            DType::F32 => fill(bytes, start, step, out, |b| f64::from(f32::from_le_bytes(b))),
            DType::F16 => fill(bytes, start, step, out, |b| f16_value(u16::from_le_bytes(b))),
            DType::Bf16 => fill(bytes, start, step, out, |b| {
                f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            }),
            DType::I32 => fill(bytes, start, step, out, |b| f64::from(i32::from_le_bytes(b))),
            DType::I16 => fill(bytes, start, step, out, |b| f64::from(i16::from_le_bytes(b))),
            DType::I8 => fill(bytes, start, step, out, |b| f64::from(i8::from_le_bytes(b))),
            DType::U8 => fill(bytes, start, step, out, |b: [u8; 1]| f64::from(b[0])),
            DType::Bool => {
                fill(bytes, start, step, out, |b: [u8; 1]| f64::from(u8::from(b[0] != 0)));
            }
            DType::I4 => {
                for (index, value) in out.iter_mut().enumerate() {
                    let position = start + index * step;
                    *value = i4_value(bytes[position / 2], position % 2 == 1);
                }
            }
        }
    }
}

/// Row-major strides of a shape, in elements.
pub(super) fn strides_of(shape: &[u64]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as usize;
    }
    strides
}

fn put<const N: usize>(bytes: &mut [u8], index: usize, element: [u8; N]) {
    bytes[index * N..(index + 1) * N].copy_from_slice(&element);
}

fn fill<const N: usize>(
    bytes: &[u8],
    start: usize,
    step: usize,
    out: &mut [f64],
    decode: impl Fn([u8; N]) -> f64,
) {
    let (elements, _) = bytes.as_chunks::<N>();
    if step == 1 {
        for (value, &element) in out.iter_mut().zip(&elements[start..]) {
            *value = decode(element);
        }
    } else {
        for (index, value) in out.iter_mut().enumerate() {
            *value = decode(elements[start + index * step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sixteen_bit_float_survives_a_round_trip() {
        for dtype in [DType::F16, DType::Bf16] {
            for bits in 0..=u16::MAX {
                let bytes = bits.to_le_bytes().to_vec();
                let tensor = HostTensor { dtype, shape: vec![1], bytes };
                let value = tensor.get(0);
                if value.is_nan() {
                    continue;
                }
                let again = HostTensor::from_f64(dtype, &[1], [value]);
                assert_eq!(tensor, again, "{dtype} {bits:#x}");
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_and_single() {
        assert_eq!(round_to(DType::Bf16, 1.0 + 1.0 / 256.0), 1.0);
        assert_eq!(round_to(DType::Bf16, 1.0 + 1.0 / 256.0 + 1e-12), 1.0 + 1.0 / 128.0);
        assert_eq!(round_to(DType::F16, 65519.9), 65504.0);
        assert_eq!(round_to(DType::F16, 65520.0), f64::INFINITY);
        assert_eq!(round_to(DType::F16, 2f64.powi(-25) * 1.01), 2f64.powi(-24));
        assert_eq!(round_to(DType::I8, -200.0), -128.0);
        assert_eq!(wrap_integer(DType::I8, 130), -126.0);
        assert_eq!(wrap_integer(DType::U8, -1), 255.0);
    }

    #[test]
    fn packed_nibbles_are_signed_low_half_first() {
        let values = [-8.0, 7.0, -1.0];
        let tensor = HostTensor::from_f64(DType::I4, &[3], values);
        assert_eq!(tensor.bytes, [0x78, 0x0f]);
        assert_eq!(tensor.to_f64(), values);
    }
}
