//! The syntax tree: what stands in the text, with spans, before any name has a meaning.
//!
//! Parentheses are nodes, so printing needs no precedences. Comments are not in the tree but in a list beside it; the
//! printer puts each one back by its place.
//! Invariant: no expression is higher than `HEIGHT_MAX`, so recursion over a tree is safe.

use crate::base::{BinaryOp, CompareOp, DType};
use crate::diag::Span;

/// A kernel file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Constants, functions, kernels and size sets in text order.
    pub items: Vec<Item>,
    /// All comments in text order.
    pub comments: Vec<Comment>,
}

/// A comment, from `#` to the end of its line.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The place.
    pub span: Span,
    /// The text with its `#`, without spaces at the end.
    pub text: String,
    /// Whether nothing else stands before it on its line.
    pub own_line: bool,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// A name and where it stands.
#[derive(Clone, Debug)]
pub struct Name {
    /// The name.
    pub text: String,
    /// The place.
    pub span: Span,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub enum Item {
    /// `fn`
    Function(Function),
    /// `kernel`
    Kernel(Kernel),
    /// `sizes`
    Sizes(SizeSet),
    /// `const`
    Constant(Constant),
    /// An item whose head could not be read, with its name as far as that is known; the fault has been reported.
    Faulty(Option<Name>, Span),
}

/// `fn name[axes](parameters) { body }`
#[derive(Clone, Debug)]
pub struct Function {
    /// The name.
    pub name: Name,
    /// The axis parameters.
    pub axes: Vec<Name>,
    /// The value parameters.
    pub parameters: Vec<Name>,
    /// The body.
    pub body: Body,
    /// From `fn` to the closing brace.
    pub span: Span,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// `const name = value`
#[derive(Clone, Debug)]
pub struct Constant {
    /// The name.
    pub name: Name,
    /// The value: an expression of numbers and constants before it.
    pub value: Expr,
    /// The place.
    pub span: Span,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// `kernel name(inputs) -> outputs where .. { body }`
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `@..` before the kernel.
    pub attributes: Vec<Attribute>,
    /// The name.
    pub name: Name,
    /// The inputs; each has a name.
    pub inputs: Vec<TensorDecl>,
    /// The outputs.
    pub outputs: Vec<TensorDecl>,
    /// The `where` clause.
    pub constraints: Vec<Constraint>,
    /// The body.
    pub body: Body,
    /// From the first attribute to the closing brace.
    pub span: Span,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// `@name`, `@name(key=value)` or `@name(axis)`
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name without `@`.
    pub name: Name,
    /// The arguments: a name, and a number as written where there is one.
    pub arguments: Vec<(Name, Option<Name>)>,
    /// The place.
    pub span: Span,
}

/// A tensor of the signature.
#[derive(Clone, Debug)]
pub struct TensorDecl {
    /// The name; an output may have none.
    pub name: Option<Name>,
    /// The element type.
    pub dtype: TypeName,
    /// The axes, outermost first.
    pub axes: Vec<Name>,
    /// `strides(..)`, if stated: elements from one index to the next, for each axis.
    pub strides: Option<Vec<Expr>>,
    /// The place.
    pub span: Span,
}

/// The name of an element type.
#[derive(Clone, Debug)]
pub struct TypeName {
    /// The type; `None` after a fault.
    pub dtype: Option<DType>,
    /// The place.
    pub span: Span,
}

/// A condition on the extents.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// The axis.
    pub axis: Name,
    /// What holds for it.
    pub kind: ConstraintKind,
    /// The place.
    pub span: Span,
}

/// What a `where` clause says of an axis.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    /// `in low..high`, both ends included.
    Range(Expr, Expr),
    /// `<= bound` and the other comparisons.
    Compare(CompareOp, Expr),
    /// `k = kg*128 + ki`: the axis is split.
    Split(Expr),
}

/// Statements and, last, the result.
#[derive(Clone, Debug)]
pub struct Body {
    /// The statements; exactly the last one has no name (unless the text is faulty).
    pub statements: Vec<Statement>,
    /// The place, braces included.
    pub span: Span,
}

/// `name = value`, or the result, which has no name.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The name defined.
    pub name: Option<Name>,
    /// The value.
    pub value: Expr,
    /// The place.
    pub span: Span,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// `sizes name for kernel { axis=extent, .. }`
#[derive(Clone, Debug)]
pub struct SizeSet {
    /// The name.
    pub name: Name,
    /// The kernel, if it is named; else the kernel before the set.
    pub kernel: Option<Name>,
    /// The extents.
    pub extents: Vec<(Name, Expr)>,
    /// The place.
    pub span: Span,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The place.
    pub span: Span,
    /// The height of the tree; a leaf has 1.
    pub height: u32,
}

/// A prefix operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `-x`
    Neg,
    /// `!x`
    Not,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Infix {
    /// Arithmetic and logic.
    Binary(BinaryOp),
    /// Comparisons.
    Compare(CompareOp),
}

/// The kinds of expression.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number as written.
    Number(String),
    /// A value, an axis, or a constant.
    Name(String),
    /// A prefix operator.
    Prefix(Prefix, Box<Expr>),
    /// An infix operator.
    Infix(Infix, Box<Expr>, Box<Expr>),
    /// `name(arguments)`, `name[axes](arguments)`
    Call(Call),
    /// `X[i, idx[j]]`: elements of a tensor at computed indices.
    Subscript(Name, Vec<Expr>),
    /// `x : f32`
    Typed(Box<Expr>, TypeName),
    /// `(x)`
    Paren(Box<Expr>),
    /// `(x, y)`
    Tuple(Vec<Expr>),
    /// What could not be parsed; its fault has been reported.
    Faulty,
}

/// A call of a reduction or a function.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub name: Name,
    /// The axes in brackets; `None` without brackets.
    pub axes: Option<Vec<Name>>,
    /// The arguments.
    pub arguments: Vec<Expr>,
}

impl Infix {
    /// The symbol in a text.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Binary(op) => op.name(),
            Self::Compare(op) => op.name(),
        }
    }

    /// How tightly the operator binds; more is tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Binary(BinaryOp::Or) => 1,
            Self::Binary(BinaryOp::And) => 2,
            Self::Compare(_) => 3,
            Self::Binary(BinaryOp::Add | BinaryOp::Sub) => 4,
            Self::Binary(
                BinaryOp::Mul | BinaryOp::Div | BinaryOp::Min | BinaryOp::Max | BinaryOp::Pow,
            ) => 5,
        }
    }
}

impl ExprKind {
    /// The height of the highest part; 0 for a leaf.
    pub fn parts_height(&self) -> u32 {
        match self {
            Self::Number(_) | Self::Name(_) | Self::Faulty => 0,
            Self::Prefix(_, x) | Self::Typed(x, _) | Self::Paren(x) => x.height,
            Self::Infix(_, x, y) => x.height.max(y.height),
            Self::Call(Call { arguments: parts, .. })
            | Self::Subscript(_, parts)
            | Self::Tuple(parts) => parts.iter().map(|part| part.height).max().unwrap_or(0),
        }
    }
}

impl Expr {
    /// The direct parts, in text order.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::Name(_) | ExprKind::Faulty => vec![],
            ExprKind::Prefix(_, x) | ExprKind::Typed(x, _) | ExprKind::Paren(x) => vec![x],
            ExprKind::Infix(_, x, y) => vec![x, y],
            ExprKind::Call(Call { arguments: parts, .. })
            | ExprKind::Subscript(_, parts)
            | ExprKind::Tuple(parts) => parts.iter().collect(),
        }
    }
}

impl Item {
    /// The place.
    pub fn span(&self) -> Span {
        match self {
            Self::Function(function) => function.span,
            Self::Kernel(kernel) => kernel.span,
            Self::Sizes(sizes) => sizes.span,
            Self::Constant(constant) => constant.span,
            Self::Faulty(_, span) => *span,
        }
    }

    /// Whether a blank line stands before it.
    pub fn blank_before(&self) -> bool {
        match self {
            Self::Function(function) => function.blank_before,
            Self::Kernel(kernel) => kernel.blank_before,
            Self::Sizes(sizes) => sizes.blank_before,
            Self::Constant(constant) => constant.blank_before,
            Self::Faulty(..) => false,
        }
    }
}
