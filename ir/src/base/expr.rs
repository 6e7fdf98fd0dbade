//! Expressions of the pass program and the tile program: trees over named values and buffers.
//!
//! Sharing is a statement (`let`), never a graph edge, so a text shows exactly what the structure is.
//! Invariant: the operands of an arithmetic operator or comparison have one type; conversions are explicit casts.

use super::{AxisId, AxisSet, BinaryOp, BufferId, CompareOp, DType, LocalId, ReduceOp, UnaryOp};

/// A number with its type. In plan and tile text a bare number is `f32`; other types are a suffix (`0.5f64`, `3i32`).
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    /// The value, exact in `dtype`.
    pub value: f64,
    /// Its type.
    pub dtype: DType,
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.value.to_bits() == other.value.to_bits()
    }
}

impl Eq for Literal {}

/// An expression. Its value is a tile over the axes that occur in it and are not reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Literal(Literal),
    /// A value named by a `let`, a carry or a state.
    Local(LocalId),
    /// The elements of a buffer at the current position of its axes.
    Load(BufferId),
    /// The elements of a buffer with some of its axes replaced by `i32` indices, ascending by axis. An index outside
    /// of the axis reads the nearest element; an empty axis gives 0.
    At(BufferId, Vec<(AxisId, Expr)>),
    /// The index along an axis, an `i32`.
    Index(AxisId),
    /// The extent of an axis, an `i32`.
    Len(AxisId),
    /// An operator of one operand.
    Unary(UnaryOp, Box<Expr>),
    /// An operator of two operands of one type.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// A comparison; its value is a `bool`.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// `select(c, x, y)`: x where c holds, else y.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A conversion, rounding to nearest even; integers saturate.
    Cast(DType, Box<Expr>),
    /// A conversion to an integer type that keeps the low bits of the number rounded to an integer.
    Wrap(DType, Box<Expr>),
    /// A reduction over the current block of the given axes, accumulated in the operand's type.
    Reduce(ReduceOp, AxisSet, Box<Expr>),
    /// `mma[axes](a, b, c)`: c + sum over the current block of the axes of a * b.
    Mma(AxisSet, Box<Expr>, Box<Expr>, Box<Expr>),
}

/// What an expression needs to know of the names in it.
pub trait ExprRef {
    /// Type and axes of a buffer.
    fn buffer(&self, buffer: BufferId) -> (DType, AxisSet);
    /// Type and axes of a local.
    fn local(&self, local: LocalId) -> (DType, AxisSet);
}

/// Visits an expression and its parts, parents first.
pub trait Visit {
    /// Called for each part.
    fn visit(&mut self, expr: &Expr);
}

impl<F: FnMut(&Expr)> Visit for F {
    fn visit(&mut self, expr: &Expr) {
        self(expr);
    }
}

impl Expr {
    /// A number of a type.
    pub fn literal(value: f64, dtype: DType) -> Self {
        Self::Literal(Literal { value, dtype })
    }

    /// An operator of one operand.
    pub fn unary(op: UnaryOp, x: Self) -> Self {
        Self::Unary(op, Box::new(x))
    }

    /// An operator of two operands.
    pub fn binary(op: BinaryOp, x: Self, y: Self) -> Self {
        Self::Binary(op, Box::new(x), Box::new(y))
    }

    /// A comparison.
    pub fn compare(op: CompareOp, x: Self, y: Self) -> Self {
        Self::Compare(op, Box::new(x), Box::new(y))
    }

    /// A choice between two values.
    pub fn select(c: Self, x: Self, y: Self) -> Self {
        Self::Select(Box::new(c), Box::new(x), Box::new(y))
    }

    /// A conversion.
    pub fn cast(dtype: DType, x: Self) -> Self {
        Self::Cast(dtype, Box::new(x))
    }

    /// A conversion to an integer type that keeps the low bits.
    pub fn wrap(dtype: DType, x: Self) -> Self {
        Self::Wrap(dtype, Box::new(x))
    }

    /// A reduction.
    pub fn reduce(op: ReduceOp, axes: AxisSet, x: Self) -> Self {
        Self::Reduce(op, axes, Box::new(x))
    }

    /// A contraction with an accumulator.
    pub fn mma(axes: AxisSet, a: Self, b: Self, c: Self) -> Self {
        Self::Mma(axes, Box::new(a), Box::new(b), Box::new(c))
    }

    /// The buffer that this part itself reads.
    pub fn read_buffer(&self) -> Option<BufferId> {
        match self {
            Self::Load(buffer) | Self::At(buffer, _) => Some(*buffer),
            _ => None,
        }
    }

    /// The direct parts, in text order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Literal(_) | Self::Local(_) | Self::Load(_) | Self::Index(_) | Self::Len(_) => {
                vec![]
            }
            Self::At(_, picks) => picks.iter().map(|(_, index)| index).collect(),
            Self::Unary(_, x) | Self::Cast(_, x) | Self::Wrap(_, x) | Self::Reduce(_, _, x) => {
                vec![x]
            }
            Self::Binary(_, x, y) | Self::Compare(_, x, y) => vec![x, y],
            Self::Select(x, y, z) | Self::Mma(_, x, y, z) => vec![x, y, z],
        }
    }

    /// Rebuilds the expression with each direct part replaced.
    #[must_use]
    pub fn map_children(&self, mut f: impl FnMut(&Expr) -> Expr) -> Expr {
        match self {
            Self::Literal(_) | Self::Local(_) | Self::Load(_) | Self::Index(_) | Self::Len(_) => {
                self.clone()
            }
            Self::At(buffer, picks) => {
                Self::At(*buffer, picks.iter().map(|(axis, index)| (*axis, f(index))).collect())
            }
            Self::Unary(op, x) => Self::unary(*op, f(x)),
            Self::Cast(dtype, x) => Self::cast(*dtype, f(x)),
            Self::Wrap(dtype, x) => Self::wrap(*dtype, f(x)),
            Self::Reduce(op, axes, x) => Self::reduce(*op, *axes, f(x)),
            Self::Binary(op, x, y) => Self::binary(*op, f(x), f(y)),
            Self::Compare(op, x, y) => Self::compare(*op, f(x), f(y)),
            Self::Select(x, y, z) => Self::select(f(x), f(y), f(z)),
            Self::Mma(axes, x, y, z) => Self::mma(*axes, f(x), f(y), f(z)),
        }
    }

    /// Visits this expression and all its parts, parents first.
    pub fn walk(&self, visitor: &mut impl Visit) {
        visitor.visit(self);
        for child in self.children() {
            child.walk(visitor);
        }
    }

    /// The element type of the value.
    pub fn dtype(&self, names: &impl ExprRef) -> DType {
        match self {
            Self::Literal(literal) => literal.dtype,
            Self::Local(local) => names.local(*local).0,
            Self::Load(buffer) | Self::At(buffer, _) => names.buffer(*buffer).0,
            Self::Index(_) | Self::Len(_) => DType::I32,
            Self::Compare(..) => DType::Bool,
            Self::Cast(dtype, _) | Self::Wrap(dtype, _) => *dtype,
            Self::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, _, _) => DType::I32,
            Self::Unary(_, x) | Self::Binary(_, x, _) | Self::Reduce(_, _, x) => x.dtype(names),
            Self::Select(_, x, _) => x.dtype(names),
            Self::Mma(_, _, _, c) => c.dtype(names),
        }
    }

    /// The axes the value varies over.
    pub fn axes(&self, names: &impl ExprRef) -> AxisSet {
        match self {
            Self::Literal(_) | Self::Len(_) => AxisSet::EMPTY,
            Self::Local(local) => names.local(*local).1,
            Self::Load(buffer) => names.buffer(*buffer).1,
            Self::At(buffer, picks) => {
                let kept = names.buffer(*buffer).1 - picks.iter().map(|pick| pick.0).collect();
                picks.iter().fold(kept, |set, (_, index)| set | index.axes(names))
            }
            Self::Index(axis) => AxisSet::one(*axis),
            Self::Reduce(_, axes, x) => x.axes(names) - *axes,
            Self::Mma(axes, a, b, c) => ((a.axes(names) | b.axes(names)) - *axes) | c.axes(names),
            Self::Unary(..)
            | Self::Binary(..)
            | Self::Compare(..)
            | Self::Select(..)
            | Self::Cast(..)
            | Self::Wrap(..) => {
                self.children().iter().fold(AxisSet::EMPTY, |set, x| set | x.axes(names))
            }
        }
    }
}
