//! The typing rules: which type an intermediate has, and which numbers a type holds.
//!
//! Numbers, extents and indices are weak and are not handled here (`value`); these rules are about stated types.
//! Invariant: no rule gives arithmetic in a float type narrower than `f32`; such values occur only as casts.

use crate::base::{DType, ReduceOp};
use crate::reference::integer_range;

/// The type in which an operation on a value is computed: `f32` for narrower floats, else the value's own.
pub(super) fn intermediate(dtype: DType) -> DType {
    if dtype.is_float() && dtype.bits() < 32 { DType::F32 } else { dtype }
}

/// The type of a function that has fractions for values: `f32` for integers and narrower floats.
pub(super) fn fractional(dtype: DType) -> DType {
    if dtype.is_float() { intermediate(dtype) } else { DType::F32 }
}

/// The type in which two values meet: the widest of the two. A float and an integer meet in the float, two integers of
/// which neither holds the other in the next wider one. `None` if only one of them is a truth value.
pub(super) fn join(x: DType, y: DType) -> Option<DType> {
    if x == DType::Bool || y == DType::Bool {
        return (x == y).then_some(x);
    }
    let (x, y) = (intermediate(x), intermediate(y));
    Some(match (x.is_float(), y.is_float()) {
        (true, false) => x,
        (false, true) => y,
        _ if x == y => x,
        (false, false) if x.bits().max(y.bits()) == 8 && (x == DType::U8 || y == DType::U8) => {
            DType::I16
        }
        _ if x.bits() > y.bits() => x,
        _ => y,
    })
}

/// Whether products of values of this type are `i32`: products of 8-bit integers are made to be summed.
pub(super) fn is_short(dtype: DType) -> bool {
    dtype.is_integer() && dtype.bits() <= 8
}

/// The accumulator of a reduction that states none. Sums of integers below 32 bits are `i32`, which holds them.
pub(crate) fn accumulator(op: ReduceOp, dtype: DType) -> DType {
    match op {
        ReduceOp::Sum | ReduceOp::Product if dtype.is_integer() => DType::I32,
        ReduceOp::Sum | ReduceOp::Product => intermediate(dtype),
        ReduceOp::Max | ReduceOp::Min | ReduceOp::All | ReduceOp::Any => intermediate(dtype),
        ReduceOp::Argmax | ReduceOp::Argmin => intermediate(dtype),
    }
}

/// Whether the first is an integer type with numbers that the second, an integer type too, lacks.
pub(super) fn loses_integers(from: DType, to: DType) -> bool {
    let ((low, high), (least, most)) = (integer_range(to), integer_range(from));
    from.is_integer() && to.is_integer() && (least < low || most > high)
}

/// The number nearest to `value` that the type holds. `None` if it is out of range, vanishes, or is a fraction in an
/// integer type.
pub(super) fn literal(value: f64, dtype: DType) -> Option<f64> {
    if dtype == DType::Bool {
        return None;
    }
    if dtype.is_integer() {
        let low = if dtype == DType::U8 { 0.0 } else { -dtype.max_finite() - 1.0 };
        return (value.fract() == 0.0 && (low..=dtype.max_finite()).contains(&value))
            .then_some(value + 0.0);
    }
    if !value.is_finite() || value == 0.0 {
        return Some(value);
    }
    let rounded = round(value, dtype);
    (rounded != 0.0 && rounded.abs() <= dtype.max_finite()).then_some(rounded)
}

/// Rounds to a float type, ties to even; beyond the largest number as if the exponent had no end.
fn round(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F32 => f64::from(value as f32),
        _ => {
            let ulp = dtype.ulp(value);
            (value / ulp).round_ties_even() * ulp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_are_symmetric_and_hold_both() {
        for x in DType::all() {
            for y in DType::all() {
                assert_eq!(join(x, y), join(y, x), "{x} {y}");
            }
        }
        assert_eq!(join(DType::Bf16, DType::F16), Some(DType::F32));
        assert_eq!(join(DType::Bf16, DType::F64), Some(DType::F64));
        assert_eq!(join(DType::I8, DType::Bf16), Some(DType::F32));
        assert_eq!(join(DType::U8, DType::I8), Some(DType::I16));
        assert_eq!(join(DType::I4, DType::I8), Some(DType::I8));
        assert_eq!(join(DType::U8, DType::I32), Some(DType::I32));
        assert_eq!(join(DType::Bool, DType::I32), None);
    }

    #[test]
    fn numbers_are_rounded_or_refused() {
        assert_eq!(literal(0.1, DType::F32), Some(f64::from(0.1_f32)));
        assert_eq!(literal(65519.0, DType::F16), Some(65504.0));
        assert_eq!(literal(65520.0, DType::F16), None);
        assert_eq!(literal(1e39, DType::F32), None);
        assert_eq!(literal(1e-60, DType::F32), None);
        assert_eq!(literal(f64::NEG_INFINITY, DType::Bf16), Some(f64::NEG_INFINITY));
        assert_eq!(literal(-8.0, DType::I4), Some(-8.0));
        assert_eq!(literal(-1.0, DType::U8), None);
        assert_eq!(literal(2.5, DType::I32), None);
    }
}
