//! Operators on single elements in f64, for the interpreters of plans and tile programs.
//!
//! Integers wrap at their width, their division truncates and gives 0 by 0; floats stay f64 whatever their type.
//! Invariant: the values are the reference's own, so that an interpreter never differs from it by an operator.

use super::real::{self, Real as _};
use super::tensor::wrap_number;
use super::twofold::Twofold;
use crate::base::{BinaryOp, DType, UnaryOp};

/// A reduction under way. A sum keeps what each addition in f64 loses: an interpreter adds all terms in one chain, which
/// the error bound of a kernel in f64 does not allow for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    op: BinaryOp,
    dtype: DType,
    value: f64,
    lost: f64,
}

impl Fold {
    /// A reduction in a type from a start value on.
    pub(crate) fn new(op: BinaryOp, dtype: DType, start: f64) -> Self {
        Self { op, dtype, value: start, lost: 0.0 }
    }

    /// The reduction with one more term.
    pub(crate) fn with(self, term: f64) -> Self {
        let value = binary(self.op, self.dtype, self.value, term);
        let mut lost = self.lost;
        if self.op == BinaryOp::Add && self.dtype.is_float() {
            let added = value - self.value;
            lost += (self.value - (value - added)) + (term - added);
        }
        Self { value, lost, ..self }
    }

    /// What the terms so far make.
    pub(crate) fn value(&self) -> f64 {
        // Infinities and NaN lose nothing that counts; without a loss a zero keeps its sign.
        let counts = self.lost.is_finite() && self.lost != 0.0;
        if counts { self.value + self.lost } else { self.value }
    }
}

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
