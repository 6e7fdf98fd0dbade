//! Operators on single elements in f64, for the interpreters of plans and tile programs.
//!
//! Integers wrap at their width, their division truncates and gives 0 by 0; floats stay f64 whatever their type.
//! Invariant: the values are the reference's own, so that an interpreter never differs from it by an operator.

use super::real::{self, Real as _};
use super::tensor::wrap_number;
use super::twofold::Twofold;
use crate::base::{BinaryOp, DType, UnaryOp};

/// An operator of one operand of a type.
pub(crate) fn unary(op: UnaryOp, dtype: DType, x: f64) -> f64 {
    match op {
        // The series in f64 is off by more than a kernel in f64 may be.
        UnaryOp::Erf => real::unary(op, dtype, Twofold::of(x)).high(),
        _ => real::unary(op, dtype, x),
    }
}

/// An operator of two operands of a type.
pub(crate) fn binary(op: BinaryOp, dtype: DType, x: f64, y: f64) -> f64 {
    real::binary(op, dtype, x, y)
}

/// A conversion between types; one to a float type does nothing, integers saturate.
pub(crate) fn cast(to: DType, x: f64) -> f64 {
    real::cast(to, x)
}

/// A conversion to an integer type that keeps the low bits.
pub(crate) fn wrap(to: DType, x: f64) -> f64 {
    wrap_number(to, x)
}
