//! What single operations take, for ranking forms.
//!
//! Invariant: one row for each kind of operation; whoever weighs work reads it here.

use crate::base::{BinaryOp, UnaryOp};
use crate::graph::Op;

/// Cycles in a nanosecond, for the scale only.
pub(super) const CYCLES_PER_NS: f64 = 3.0;
/// Cycles from which on a value is kept for its next reader rather than computed again.
const COSTLY_CYCLES: f64 = 5.0;

/// Cycles of one vector of results.
pub(super) fn op_cycles(op: Op) -> f64 {
    match op {
        Op::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _) => 0.5,
        Op::Unary(UnaryOp::Floor | UnaryOp::Round, _) => 1.0,
        Op::Unary(UnaryOp::Recip | UnaryOp::Sqrt | UnaryOp::Rsqrt, _) => 5.0,
        Op::Unary(UnaryOp::Sin | UnaryOp::Cos, _) => 90.0,
        Op::Unary(UnaryOp::Log | UnaryOp::Log2, _) => 30.0,
        // Nine multiply-adds, and what runs beside them.
        Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, _) => 9.0,
        Op::Unary(..) => 15.0,
        Op::Binary(BinaryOp::Div, ..) => 5.0,
        Op::Binary(BinaryOp::Pow, ..) => 40.0,
        Op::Gather(..) => 4.0,
        Op::Index(_) | Op::Len(_) => 0.0,
        _ => 0.5,
    }
}

/// Whether a value is worth keeping.
pub(super) fn is_costly(op: Op) -> bool {
    op_cycles(op) >= COSTLY_CYCLES
}
