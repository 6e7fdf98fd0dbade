//! What single operations take, for ranking forms and schedules.
//!
//! Invariant: one row for each kind of operation; whoever weighs work reads it here.

use crate::base::{BinaryOp, UnaryOp};

/// Cycles of a vector of what has no row.
pub(crate) const OTHER: f64 = 0.5;

/// Cycles of one vector of results.
pub(crate) fn unary(op: UnaryOp) -> f64 {
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not => OTHER,
        UnaryOp::Floor | UnaryOp::Round => 1.0,
        UnaryOp::Recip | UnaryOp::Sqrt | UnaryOp::Rsqrt => 5.0,
        UnaryOp::Sin | UnaryOp::Cos => 90.0,
        UnaryOp::Log | UnaryOp::Log2 => 30.0,
        // Nine multiply-adds, and what runs beside them.
        UnaryOp::Exp | UnaryOp::Exp2 => 9.0,
        _ => 15.0,
    }
}

/// As `unary`, of an operator of two operands.
pub(crate) fn binary(op: BinaryOp) -> f64 {
    match op {
        BinaryOp::Div => 5.0,
        BinaryOp::Pow => 40.0,
        _ => OTHER,
    }
}
