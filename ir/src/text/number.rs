//! Numbers with types: `0.5`, `-inf`, `3i32`, `0.1bf16`, `true`.
//!
//! Invariant: `parse_literal(print_literal(x)) == x` for every number that its type holds exactly.

use crate::base::{DType, Literal};

/// ` strides(1, -8)`.
pub fn print_strides(strides: &[i64]) -> String {
    let strides: Vec<_> = strides.iter().map(i64::to_string).collect();
    format!(" strides({})", strides.join(", "))
}

/// Prints a number; the type is a suffix unless it is `f32` or `bool`.
pub fn print_literal(literal: Literal) -> String {
    let Literal { value, dtype } = literal;
    let suffix = if dtype == DType::F32 { "" } else { dtype.name() };
    if dtype == DType::Bool {
        return if value == 0.0 { "false" } else { "true" }.to_string();
    }
    if value.is_nan() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        return format!("{sign}nan{suffix}");
    }
    if value.is_infinite() {
        return format!("{}inf{suffix}", if value < 0.0 { "-" } else { "" });
    }
    let (plain, scientific) = if dtype == DType::F32 && f64::from(value as f32) == value {
        (format!("{}", value as f32), format!("{:e}", value as f32))
    } else {
        (format!("{value}"), format!("{value:e}"))
    };
    let digits = if scientific.len() < plain.len() { scientific } else { plain };
    format!("{digits}{suffix}")
}

/// The constants that are words: `inf`, `nan`, both with suffixes, `true`, `false`.
pub(super) fn constant(word: &str) -> Option<Literal> {
    match word {
        "true" => return Some(Literal { value: 1.0, dtype: DType::Bool }),
        "false" => return Some(Literal { value: 0.0, dtype: DType::Bool }),
        _ => {}
    }
    let (value, suffix) = if let Some(suffix) = word.strip_prefix("inf") {
        (f64::INFINITY, suffix)
    } else {
        (f64::NAN, word.strip_prefix("nan")?)
    };
    let dtype = if suffix.is_empty() { DType::F32 } else { DType::parse(suffix)? };
    dtype.is_float().then_some(Literal { value, dtype })
}

/// Parses a number without a sign, or a constant word.
///
/// # Errors
/// Why it is no number of its type.
pub fn parse_literal(text: &str, negative: bool) -> Result<Literal, String> {
    let mut literal = match constant(text) {
        Some(literal) => literal,
        None => digits(text)?,
    };
    if negative {
        if literal.dtype == DType::Bool {
            return Err("a truth value has no sign".to_string());
        }
        literal.value = -literal.value;
    }
    if holds(literal.dtype, literal.value) {
        Ok(literal)
    } else {
        Err(format!("{} does not hold this number", literal.dtype))
    }
}

fn digits(text: &str) -> Result<Literal, String> {
    let is_suffix = |char: char| char.is_ascii_alphabetic() && char != 'e' || char == '_';
    let (number, suffix) = text.split_at(text.find(is_suffix).unwrap_or(text.len()));
    let dtype = match suffix {
        "" => DType::F32,
        name => DType::parse(name)
            .filter(|&dtype| dtype != DType::Bool)
            .ok_or_else(|| format!("`{name}` is no type of a number"))?,
    };
    let malformed = |_| format!("`{number}` is no number");
    let value = if dtype == DType::F32 {
        f64::from(number.parse::<f32>().map_err(malformed)?)
    } else {
        round(dtype, number.parse().map_err(malformed)?)
    };
    // Decimal digits never mean an infinity: a number beyond the type's range is a mistake.
    if value.is_finite() {
        Ok(Literal { value, dtype })
    } else {
        Err(format!("{dtype} does not reach so far"))
    }
}

/// Rounds to a float type; leaves integers alone.
fn round(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 | DType::Bf16 if value.is_finite() => {
            let ulp = dtype.ulp(value);
            (value / ulp).round_ties_even() * ulp
        }
        _ => value,
    }
}

/// Whether the type holds the value exactly.
fn holds(dtype: DType, value: f64) -> bool {
    match dtype {
        DType::Bool => value == 0.0 || value == 1.0,
        _ if dtype.is_float() => {
            !value.is_finite()
                || (value.abs() <= dtype.max_finite() && round(dtype, value) == value)
        }
        _ => {
            let low = if dtype == DType::U8 { 0.0 } else { -dtype.max_finite() - 1.0 };
            value.fract() == 0.0 && (low..=dtype.max_finite()).contains(&value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_literal, print_literal};
    use crate::base::{DType, Literal};

    fn again(value: f64, dtype: DType) -> String {
        let text = print_literal(Literal { value, dtype });
        let (digits, negative) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text.as_str(), false),
        };
        let parsed = parse_literal(digits, negative).unwrap();
        assert_eq!((parsed.value.to_bits(), parsed.dtype), (value.to_bits(), dtype), "{text}");
        text
    }

    #[test]
    fn numbers_survive_the_round_trip() {
        assert_eq!(again(0.5, DType::F32), "0.5");
        assert_eq!(again(-0.0, DType::F32), "-0");
        assert_eq!(again(f64::from(0.1_f32), DType::F32), "0.1");
        assert_eq!(again(0.1, DType::F64), "0.1f64");
        assert_eq!(again(f64::MAX, DType::F64), "1.7976931348623157e308f64");
        assert_eq!(again(f64::from_bits(1), DType::F64), "5e-324f64");
        assert_eq!(again(f64::from(f32::from_bits(1)), DType::F32), "1e-45");
        assert_eq!(again(-2_147_483_648.0, DType::I32), "-2147483648i32");
        assert_eq!(again(f64::NEG_INFINITY, DType::Bf16), "-infbf16");
        assert_eq!(again(f64::NAN, DType::F32), "nan");
        assert_eq!(again(1.0, DType::Bool), "true");
        assert_eq!(again(65504.0, DType::F16), "65504f16");
        assert_eq!(again(DType::F16.min_subnormal(), DType::F16), "5.960464477539063e-8f16");
    }

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        for text in
            ["300i8", "1e39", "1e400f64", "3bool", "2.5i32", "7x", "65520f16", "1e", "infi32"]
        {
            assert!(parse_literal(text, false).is_err(), "{text}");
        }
        assert!(parse_literal("1u8", true).is_err());
    }
}
