//! Contractions of narrow elements that the target adds in groups, a group with one instruction.
//!
//! Both operands are conversions of narrow values to the type of the sum. They are copied in groups along one streamed
//! axis. Where the target multiplies unsigned bytes by signed ones only and both are signed, the second is copied plus 128,
//! and 128 times the sum of the first is taken off:
//!
//! ```text
//! sum a b = sum a (b + 128) - 128 sum a
//! ```
//!
//! Invariant: the value is that of the contraction; integers wrap, so the identity holds for every sum.

use super::contraction::Contraction;
use crate::base::{AxisId, AxisSet, BinaryOp, DType, Expr, Literal, ReduceOp};
use crate::plan::{Pass, PassProgram};
use crate::target::{DotProduct, TILE_ROW_BYTES, Target};

/// What makes unsigned bytes of signed ones.
const BIAS: f64 = 128.0;

/// A contraction in groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dots {
    /// The narrow first operand.
    pub(crate) a: Expr,
    /// The narrow second operand.
    pub(crate) b: Expr,
    /// The streamed axis of the groups, and their length.
    pub(crate) depth: (AxisId, u64),
    /// The axis of the result whose rows a tile of the first operand has, and the terms of a row; `None` without tiles.
    pub(crate) tiles: Option<(AxisId, u64)>,
    product: DotProduct,
}

/// How a contraction is added in groups, if the target can.
pub(crate) fn dots(
    plan: &PassProgram,
    pass: &Pass,
    found: &Contraction,
    target: &Target,
) -> Option<Dots> {
    grouped(plan, pass, found, |a, b, sum| target.dot_product(a, b, sum))
}

/// How a contraction is added in tiles, if the target can. Their rows are those of the longest axis that the first operand
/// alone varies along.
pub(crate) fn tiled(
    plan: &PassProgram,
    pass: &Pass,
    found: &Contraction,
    target: &Target,
) -> Option<Dots> {
    let found = grouped(plan, pass, found, |a, b, sum| target.tile_product(a, b, sum))?;
    let only_a = found.a.axes(plan) - found.b.axes(plan);
    let rows = pass.axes.iter().copied().filter(|&axis| only_a.contains(axis));
    let rows = rows.max_by_key(|&axis| plan.axes.extent(axis))?;
    let terms = TILE_ROW_BYTES / found.a.dtype(plan).bytes();
    Some(Dots { tiles: Some((rows, terms)), ..found })
}

fn grouped(
    plan: &PassProgram,
    pass: &Pass,
    found: &Contraction,
    product: impl Fn(DType, DType, DType) -> Option<DotProduct>,
) -> Option<Dots> {
    let (Expr::Cast(sum, a), Expr::Cast(of_b, b)) = (&found.a, &found.b) else { return None };
    let product = product(a.dtype(plan), b.dtype(plan), *sum)?;
    let stream: AxisSet = pass.stream.iter().copied().collect();
    let shared = a.axes(plan) & b.axes(plan);
    let rows = a.axes(plan) - stream;
    if sum != of_b || !shared.contains_all(stream) || rows.is_empty() {
        return None;
    }
    let axis = pass.stream.iter().copied().max_by_key(|&axis| plan.axes.extent(axis))?;
    let (a, b) = (a.as_ref().clone(), b.as_ref().clone());
    Some(Dots { a, b, depth: (axis, product.count), tiles: None, product })
}

impl Dots {
    /// Whether rows of tiles can be read where they lie: terms of the first operand side by side, in whole groups.
    pub(crate) fn has_rows(&self, plan: &PassProgram) -> bool {
        let Expr::Load(buffer) = self.a else { return false };
        let value = &plan.values[buffer.index()];
        let (axis, count) = self.depth;
        let near = value.strides.as_ref().is_none_or(|strides| strides.last() == Some(&1));
        near && value.axes.last() == Some(&axis) && plan.axes.extent(axis).is_multiple_of(count)
    }

    /// The type of the sum.
    fn sum(&self) -> DType {
        self.product.sum
    }

    /// Whether the instruction is faster than what it replaces.
    pub(crate) fn is_fast(&self, target: &Target, plan: &PassProgram) -> bool {
        let (a, b) = (self.a.dtype(plan), self.b.dtype(plan));
        target.fast_dot_product(a, b, self.sum()).is_some()
    }

    /// The second operand, with the bias.
    pub(crate) fn unsigned_b(&self) -> Expr {
        if !self.product.biased {
            return self.b.clone();
        }
        let wide = Expr::cast(self.sum(), self.b.clone());
        let sum = Expr::binary(BinaryOp::Add, wide, self.bias());
        Expr::Wrap(DType::U8, Box::new(sum))
    }

    /// An operand as the contraction reads it.
    pub(crate) fn widened(&self, operand: Expr) -> Expr {
        Expr::cast(self.sum(), operand)
    }

    /// What is taken off the sum for the bias, of the copied first operand; `None` without one.
    pub(crate) fn excess(&self, a: Expr, stream: AxisSet) -> Option<Expr> {
        let sum = Expr::reduce(ReduceOp::Sum, stream, self.widened(a));
        self.product.biased.then(|| Expr::binary(BinaryOp::Mul, sum, self.bias()))
    }

    fn bias(&self) -> Expr {
        Expr::Literal(Literal { value: BIAS, dtype: self.sum() })
    }
}
