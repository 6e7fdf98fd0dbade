//! The words every level shares: element types, axes, typed indices and the operator tables.
//!
//! Invariant: an operator exists in exactly one table here; text names, semantics and error constants are its row.

mod affine;
mod axis;
mod chain;
mod dtype;
mod expr;
mod hash;
mod name;
mod op;

pub use affine::Affine;
pub use axis::{Axis, AxisId, AxisSet, AxisTable, Sizes};
pub use chain::{Row, additions_max};
pub use dtype::DType;
pub use expr::{Expr, ExprRef, Literal, Visit};
pub use hash::{StableHash, hash_bytes, hash_text};
pub use name::Namer;
pub use op::{BinaryOp, CompareOp, ReduceOp, UnaryOp};

/// Index of a buffer in its program's buffer list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u32);

/// Index of a named local value in its program's local list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u32);

impl BufferId {
    /// The position in the buffer list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl LocalId {
    /// The position in the local list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
