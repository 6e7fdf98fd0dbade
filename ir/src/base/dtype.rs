//! Element types and the numbers the error bound needs of them.
//!
//! Invariant: one row per type; everything a level asks about a type is a column.

use std::fmt;

/// The element type of a tensor, an intermediate or an accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DType {
    /// IEEE binary64.
    F64,
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 4-bit integer, two to a byte, low half first.
    I4,
    /// A truth value, one byte in memory.
    Bool,
}

/// name, bits, mantissa bits with the hidden one (0: not a float), largest and smallest normal finite number.
struct Row(DType, &'static str, u32, u32, f64, f64);

const ROWS: [Row; 10] = [
    Row(DType::F64, "f64", 64, 53, f64::MAX, f64::MIN_POSITIVE),
    Row(DType::F32, "f32", 32, 24, f32::MAX as f64, f32::MIN_POSITIVE as f64),
    Row(DType::F16, "f16", 16, 11, 65504.0, 6.103_515_625e-5),
    Row(DType::Bf16, "bf16", 16, 8, 3.389_531_389_251_535_5e38, f32::MIN_POSITIVE as f64),
    Row(DType::I32, "i32", 32, 0, i32::MAX as f64, 1.0),
    Row(DType::I16, "i16", 16, 0, i16::MAX as f64, 1.0),
    Row(DType::I8, "i8", 8, 0, i8::MAX as f64, 1.0),
    Row(DType::U8, "u8", 8, 0, u8::MAX as f64, 1.0),
    Row(DType::I4, "i4", 4, 0, 7.0, 1.0),
    Row(DType::Bool, "bool", 8, 0, 1.0, 1.0),
];

impl DType {
    /// Every type, widest first.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.0)
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The type of that name in a text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|dtype| dtype.name() == name)
    }

    /// The name in a text.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Bits of one element.
    pub fn bits(self) -> u32 {
        self.row().2
    }

    /// Bytes of `count` elements, rounded up.
    pub fn bytes_of(self, count: u64) -> u64 {
        (u128::from(count) * u128::from(self.bits())).div_ceil(8).try_into().unwrap_or(u64::MAX)
    }

    /// Bytes of one element in memory (a packed `i4` counts as one).
    pub fn bytes(self) -> u64 {
        self.bytes_of(1)
    }

    /// Whether the type is a floating-point type.
    pub fn is_float(self) -> bool {
        self.row().3 > 0
    }

    /// Whether the type is an integer (not `bool`).
    pub fn is_integer(self) -> bool {
        !self.is_float() && self != Self::Bool
    }

    /// The unit roundoff u: half an ulp of 1. Zero for integers.
    pub fn unit_roundoff(self) -> f64 {
        match self.row().3 {
            0 => 0.0,
            // A power of two by its exponent: the judge asks for each element.
            mantissa => f64::from_bits(u64::from(1023 - mantissa) << 52),
        }
    }

    /// The largest finite number.
    pub fn max_finite(self) -> f64 {
        self.row().4
    }

    /// The smallest positive normal number (1 for integers).
    pub fn min_normal(self) -> f64 {
        self.row().5
    }

    /// The smallest positive subnormal number (0 for integers).
    pub fn min_subnormal(self) -> f64 {
        if self.is_float() { self.min_normal() * 2.0 * self.unit_roundoff() } else { 0.0 }
    }

    /// The distance between the two numbers of this type around `value`: one ulp. Zero for integers.
    pub fn ulp(self, value: f64) -> f64 {
        if !self.is_float() {
            return 0.0;
        }
        let magnitude = value.abs().min(self.max_finite()).max(self.min_normal());
        let exponent = magnitude.log2().floor();
        let power = exponent.exp2();
        let power = if power > magnitude { power / 2.0 } else { power };
        power * 2.0 * self.unit_roundoff()
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    #[test]
    fn rows_are_in_declaration_order() {
        for (index, dtype) in DType::all().enumerate() {
            assert_eq!(dtype as usize, index, "{dtype}");
            assert_eq!(DType::parse(dtype.name()), Some(dtype));
        }
    }

    #[test]
    fn float_constants_match_the_machine() {
        assert_eq!(DType::F32.unit_roundoff() * 2.0, f64::from(f32::EPSILON));
        assert_eq!(DType::F64.unit_roundoff() * 2.0, f64::EPSILON);
        assert_eq!(DType::F32.min_subnormal(), f64::from(f32::from_bits(1)));
        assert_eq!(DType::F32.ulp(1.0), f64::from(f32::EPSILON));
        assert_eq!(DType::F32.ulp(0.75), f64::from(f32::EPSILON) / 2.0);
        assert_eq!(DType::F32.ulp(0.0), DType::F32.min_subnormal());
        assert_eq!(DType::I4.bytes_of(3), 2);
    }
}
