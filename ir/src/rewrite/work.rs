//! What the operations of a form take, for ranking forms.
//!
//! Invariant: what an operator takes is said in `estimate::cycles` alone.

use crate::estimate::cycles;
use crate::graph::Op;

/// Cycles in a nanosecond, for the scale only.
pub(super) const CYCLES_PER_NS: f64 = 3.0;
/// Cycles from which on a value is kept for its next reader rather than computed again.
const COSTLY_CYCLES: f64 = 5.0;

/// Cycles of one vector of results.
pub(super) fn op_cycles(op: Op) -> f64 {
    match op {
        Op::Unary(op, _) => cycles::unary(op),
        Op::Binary(op, ..) => cycles::binary(op),
        Op::Gather(..) => 4.0,
        Op::Index(_) | Op::Len(_) => 0.0,
        _ => cycles::OTHER,
    }
}

/// Whether a value is worth keeping.
pub(super) fn is_costly(op: Op) -> bool {
    op_cycles(op) >= COSTLY_CYCLES
}
