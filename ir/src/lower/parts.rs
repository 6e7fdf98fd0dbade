//! Contractions of floats that the target multiplies as sums of bf16 numbers.
//!
//! Each operand is a sum of parts, each the rest of those before it rounded to bf16: three for f32, two for f16. Products of
//! parts are added in tiles:
//!
//! ```text
//! a b = (a0 + a1 + a2) (b0 + b1 + b2) = a0 b0 + a0 b1 + a1 b0 + a1 b1 + a0 b2 + a2 b0 + ..
//! ```
//!
//! The parts of f32 are 24 = 8 + 8 + 8 bits, so their sum is the number. What is left out, a1 b2 + a2 b1 + a2 b2, is less
//! than 2^-24 |a b|: |a1| <= 2^-8 |a|, |a2| <= 2^-17 |a|, and so of b. That is what a rounded product may be off by, so other
//! groupings are all that such a contraction needs the kernel to allow.
//!
//! Products that f32 holds are exact: something is left out only where a1 and b2 are not 0, or a2 and b1. Then one factor
//! has more than 8 bits, the other more than 16, and the product of numbers of p and q bits has at least p + q - 1.
//!
//! That holds as long as no part and no product leaves the normal numbers. So what is far from 1 is counted as it is copied,
//! and a block with such an element, an infinity or a NaN is multiplied as it is.
//! Invariant: what is not far has parts whose sum it is, and sums of their products neither overflow where those of the
//! elements do not, nor lose more than 2^-28 of a product to underflow.

use super::contraction::Contraction;
use super::stream::{Packing, Stream, neighbours, stage_order};
use super::{is_costly, micro};
use crate::base::{AxisId, AxisSet, BinaryOp, BufferId, CompareOp, DType, Expr, ReduceOp, UnaryOp};
use crate::plan::{Pass, PassProgram};
use crate::schedule::Pack;
use crate::target::{TILE_ROW_BYTES, Target, tile_additions};
use crate::tile::{Micro, Stmt};

/// The smallest and the largest magnitude that is not far from 1. The last part of the smallest is a multiple of 2^-71. Of the
/// least product, 2^-96, an instruction that takes subnormal numbers for zero loses less than 2^-29 of it. The largest
/// products are 2^100, so that 2^26 of them may be added.
const NEAR: (f64, f64) = (1.0 / (1_u64 << 48) as f64, (1_u64 << 50) as f64);
/// Rows that a copy in tiles fetches ahead: each is a line of another page.
const ROWS_AHEAD: u64 = 8;
/// The products of parts, by their numbers: neighbours in this list share one. The sum of both numbers is at most 2. The last
/// one is 2^7 times as large as all others together.
const PRODUCTS: [(usize, usize); 6] = [(2, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)];

/// A contraction in parts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    a: Operand,
    b: Operand,
    /// The axis of the result whose rows a tile of the first operand has.
    pub(crate) rows: AxisId,
    /// The streamed axis of the groups, and their length.
    pub(crate) depth: (AxisId, u64),
    /// Terms of a row of a tile.
    pub(crate) terms: u64,
}

/// An operand as f32, the type it is a conversion of, and its parts.
#[derive(Clone, Debug, PartialEq)]
struct Operand {
    wide: Expr,
    narrow: DType,
    count: usize,
}

/// How a contraction is added in parts, if the target can. Their rows are those of the longest axis that the first operand
/// alone varies along.
pub(crate) fn parts(
    plan: &PassProgram,
    pass: &Pass,
    found: &Contraction,
    target: &Target,
) -> Option<Parts> {
    let product = target.tile_product(DType::Bf16, DType::Bf16, DType::F32)?;
    let (a, b) = (operand(plan, &found.a)?, operand(plan, &found.b)?);
    let stream: AxisSet = pass.stream.iter().copied().collect();
    let (of_a, of_b) = (found.a.axes(plan), found.b.axes(plan));
    let rows = pass.axes.iter().copied().filter(|&axis| (of_a - of_b).contains(axis));
    let rows = rows.max_by_key(|&axis| plan.axes.extent(axis))?;
    let shared = (of_a & of_b).contains_all(stream);
    // One part each is what tiles are for.
    let several = a.count.max(b.count) > 1;
    let alone = pass.states.len() == 1;
    if !shared || !several || !alone || plan.exact {
        return None;
    }
    let axis = pass.stream.iter().copied().max_by_key(|&axis| plan.axes.extent(axis))?;
    let terms = TILE_ROW_BYTES / DType::Bf16.bytes();
    Some(Parts { a, b, rows, depth: (axis, product.count), terms })
}

fn operand(plan: &PassProgram, wide: &Expr) -> Option<Operand> {
    let narrow = match wide {
        Expr::Cast(_, narrow) => narrow.dtype(plan),
        _ => wide.dtype(plan),
    };
    let count = match narrow {
        DType::F32 => 3,
        DType::F16 => 2,
        DType::Bf16 | DType::I8 | DType::U8 => 1,
        _ => return None,
    };
    (wide.dtype(plan) == DType::F32).then(|| Operand { wide: wide.clone(), narrow, count })
}

impl Parts {
    /// The products that are added, by the numbers of the parts.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        PRODUCTS.into_iter().filter(|&(a, b)| a < self.a.count && b < self.b.count)
    }

    /// How many products are added.
    pub(crate) fn products(&self) -> usize {
        self.pairs().count()
    }

    /// Bytes of the copies of one term of so many rows and columns.
    pub(crate) fn bytes(&self, rows: u64, columns: u64) -> u64 {
        let parts = |operand: &Operand| operand.count as u64 * DType::Bf16.bytes();
        rows.saturating_mul(parts(&self.a)).saturating_add(columns.saturating_mul(parts(&self.b)))
    }

    /// Additions that a term passes through in a block of so many terms along the axis of groups, and of `inside` along the
    /// other axes: where the products of a term are added together, or the lesser products of all terms before the others.
    pub(crate) fn additions(&self, block: u64, inside: u64, rises: bool) -> u64 {
        let rows = block.div_ceil(self.terms).saturating_mul(inside.max(1));
        tile_additions(rows, self.products() as u64, rises)
    }

    /// The longest block along the axis of groups such that no term passes through more than `most` additions in it and in
    /// all blocks, in whole rows of tiles or the whole axis; `None` where there is none. Along the other axes a block has
    /// `inside` terms, and there are `around` blocks.
    pub(crate) fn block_max(
        &self,
        extent: u64,
        (inside, around): (u64, u64),
        most: u64,
        rises: bool,
    ) -> Option<u64> {
        let fits = |&block: &u64| {
            let blocks = extent.div_ceil(block.max(1)).saturating_mul(around);
            let behind = blocks.saturating_sub(1);
            self.additions(block, inside, rises).saturating_add(behind) <= most
        };
        let counts = (1..=most.min(extent / self.terms)).rev();
        let shorter = counts.map(|count| count * self.terms).find(fits);
        Some(extent).filter(fits).or(shorter)
    }
}

impl Operand {
    /// Whether an element is far from 1: not a sum of its parts, or too large or small for products of them.
    fn is_far(&self, x: &Expr) -> Option<Expr> {
        let number = |value| Expr::literal(value, DType::F32);
        let (least, most) = match self.narrow {
            DType::I8 | DType::U8 => return None,
            DType::F16 => (0.0, DType::F16.max_finite()),
            _ => NEAR,
        };
        let size = || Expr::unary(UnaryOp::Abs, x.clone());
        let mut near = Expr::compare(CompareOp::Le, size(), number(most));
        if least > 0.0 {
            let large = Expr::compare(CompareOp::Ge, size(), number(least));
            let zero = Expr::compare(CompareOp::Eq, x.clone(), number(0.0));
            near = Expr::binary(BinaryOp::And, near, Expr::binary(BinaryOp::Or, large, zero));
        }
        let count = |count| Expr::literal(count, DType::I32);
        Some(Expr::select(near, count(0.0), count(1.0)))
    }

    /// The parts of an element.
    fn parts(&self, x: &Expr) -> Vec<Expr> {
        let mut rest = x.clone();
        let mut parts = vec![];
        for _ in 0..self.count {
            let part = Expr::cast(DType::Bf16, rest.clone());
            rest = Expr::binary(BinaryOp::Sub, rest, Expr::cast(DType::F32, part.clone()));
            parts.push(part);
        }
        parts
    }
}

impl Stream<'_, '_, '_> {
    /// A contraction in parts, added to what there is so far.
    pub(super) fn in_parts(&mut self, parts: &Parts, stream: AxisSet, so_far: Expr) -> Expr {
        let in_rows = Packing {
            pack: Pack::Tiles,
            depth: Some((parts.depth.0, parts.terms)),
            rows: Some(parts.rows),
        };
        let in_columns = Packing { pack: Pack::Panel, depth: Some(parts.depth), rows: None };
        let (a, a_parts, a_far) = self.copy_parts(&parts.a, in_rows, "a");
        let (b, b_parts, b_far) = self.copy_parts(&parts.b, in_columns, "b");
        let wide = |part: BufferId| Expr::cast(DType::F32, Expr::Load(part));
        let products = parts.pairs();
        let terms = products.map(|(of_a, of_b)| {
            Expr::binary(BinaryOp::Mul, wide(a_parts[of_a]), wide(b_parts[of_b]))
        });
        let term = terms.reduce(|sum, term| Expr::binary(BinaryOp::Add, sum, term));
        let term = term.expect("the first parts of both operands make a product");
        let sum = Expr::reduce(ReduceOp::Sum, stream, term);
        let sum = Expr::binary(BinaryOp::Add, so_far.clone(), sum);
        let far = [a_far, b_far].into_iter().flatten().map(Expr::Load);
        let far = far.reduce(|all, far| Expr::binary(BinaryOp::Add, all, far));
        match far {
            None => sum,
            Some(far) => {
                let none = Expr::literal(0.0, DType::I32);
                let near = Expr::compare(CompareOp::Eq, far, none);
                Expr::select(near, sum, Expr::mma(stream, a, b, so_far))
            }
        }
    }

    /// Copies the parts of the current block of an operand: its elements as they are, the copies, and the count of what is far.
    fn copy_parts(
        &mut self,
        operand: &Operand,
        packing: Packing,
        suffix: &str,
    ) -> (Expr, Vec<BufferId>, Option<BufferId>) {
        let axes = operand.wide.axes(self.nest.plan);
        let level = self.level_of(&operand.wide, axes);
        // What is computed is computed once.
        let rows = Packing { pack: Pack::Rows, depth: None, rows: None };
        let is_read = match &operand.wide {
            Expr::Cast(_, narrow) => matches!(**narrow, Expr::Load(_)),
            wide => matches!(wide, Expr::Load(_)),
        };
        let costly = !is_read || is_costly(&operand.wide, &self.nest.pass.body_lets);
        let plain = match costly {
            true => Expr::Load(self.stage(&operand.wide, rows, &format!("{suffix}_wide"))),
            false => self.plain(&operand.wide),
        };
        let near = neighbours(self.nest, &operand.wide).filter(|&axis| axes.contains(axis));
        let mut copies = vec![];
        for (number, part) in operand.parts(&plain).into_iter().enumerate() {
            let base = format!("{}_{suffix}{number}", self.name_of(&operand.wide));
            let buffer = self.scratch((&base, DType::Bf16), axes, Some(level), packing);
            let copy = &self.placer.program.buffers[buffer.index()];
            let micro = micro::of_copy(copy, near, self.nest.config, self.nest.target);
            let ahead = packing.rows.filter(|_| near.is_some() && micro.vector == near);
            let micro = Micro { ahead: ahead.map(|axis| (axis, ROWS_AHEAD)), ..micro };
            self.levels[level].push(Stmt::Stage { buffer, expr: part, micro });
            copies.push(buffer);
        }
        let far = operand.is_far(&plain).map(|far| {
            let base = format!("{}_{suffix}_far", self.name_of(&operand.wide));
            let buffer = self.scratch((&base, DType::I32), AxisSet::EMPTY, Some(level), rows);
            let expr = Expr::reduce(ReduceOp::Sum, axes, far);
            let vector = near.or_else(|| stage_order(self.nest, axes).last().copied());
            let lanes = self.nest.target.lanes(DType::I32.bytes());
            let tile = vector.map(|axis| (axis, lanes)).into_iter().collect();
            let micro = Micro { tile, vector, ..Micro::default() };
            self.levels[level].push(Stmt::Stage { buffer, expr, micro });
            buffer
        });
        (plain, copies, far)
    }
}
