//! Sums of products that tile registers add.
//!
//! A product of tiles takes its cycles whatever the tiles hold, so what does not fill them is paid for; so does a load of a
//! tile, row by row. Invariant: only what the target multiplies in tiles is counted so.

use super::instructions::{TILE_START_CYCLES, Tally, narrow, terms};
use crate::base::{AxisId, AxisSet, BinaryOp, Expr, ReduceOp};
use crate::target::{TILE_ROW_BYTES, TILE_ROWS};

/// Cycles of a product of tiles, and until its sum is ready for the next one.
const PRODUCT_CYCLES: f64 = 16.0;
const SUM_LATENCY: f64 = 26.0;

impl<'a> Tally<'_, 'a> {
    /// A sum of products that tile registers add; `false` if it is none.
    pub(super) fn tiles(&mut self, x: &'a Expr, folded: AxisSet, inside: AxisSet) -> bool {
        let terms = terms(ReduceOp::Sum, x);
        let pairs: Option<Vec<_>> = terms.iter().map(|term| self.tile_pair(term)).collect();
        let Some(pairs) = pairs else { return false };
        let Some(units) = self.tile_units(&pairs, folded, inside) else { return false };
        let nest = self.nest;
        let mut read: Vec<&Expr> = vec![];
        for &(a, b) in &pairs {
            let axes = nest.axes_of(a) | nest.axes_of(b);
            self.busy.arithmetic += nest.count(axes, inside, &units) * PRODUCT_CYCLES;
            for operand in [a, b] {
                if !read.contains(&operand) {
                    read.push(operand);
                    let count = nest.count(nest.axes_of(operand), inside, &units);
                    self.busy.loads += count * TILE_ROWS as f64;
                }
            }
        }
        let axes: AxisSet = nest.axes.iter().copied().collect();
        let products = nest.count(axes | inside, inside, &units) * pairs.len() as f64;
        let accumulators = nest.accumulators(inside, &units).max(1.0);
        self.busy.waiting += products / accumulators * SUM_LATENCY;
        // The sums of a block go through memory, as rows, and are added to those before.
        let rows = nest.count(axes, AxisSet::EMPTY, &units) * TILE_ROWS as f64;
        self.busy.loads += 2.0 * rows;
        self.busy.stores += 2.0 * rows;
        let tiles: f64 = nest.axes.iter().map(|&axis| nest.tiles(axis)).product();
        self.busy.alone += rows + tiles * TILE_START_CYCLES;
        true
    }

    /// What a tile has along the axis of its rows, along lanes, and along the longest axis that is summed over.
    fn tile_units(
        &self,
        pairs: &[(&Expr, &Expr)],
        folded: AxisSet,
        inside: AxisSet,
    ) -> Option<[(AxisId, u64); 3]> {
        let (nest, (a, _)) = (self.nest, pairs.first()?);
        let lanes = nest.micro.vector?;
        let is_row = |(axis, tile): &&(AxisId, u64)| {
            *axis != lanes && *tile >= TILE_ROWS && !inside.contains(*axis)
        };
        let (rows, _) = nest.micro.tile.iter().find(is_row)?;
        let longer =
            |one: &AxisId, other: &AxisId| nest.elements(*one).total_cmp(&nest.elements(*other));
        let depth = folded.iter().max_by(longer)?;
        let row = TILE_ROW_BYTES / a.dtype(nest.program).bytes().max(1);
        Some([(*rows, TILE_ROWS), (lanes, TILE_ROWS), (depth, row)])
    }

    /// Both operands of a product of tiles.
    fn tile_pair(&self, term: &'a Expr) -> Option<(&'a Expr, &'a Expr)> {
        let Expr::Binary(BinaryOp::Mul, a, b) = term else { return None };
        let sum = a.dtype(self.nest.program);
        let (a, b) = (narrow(a)?, narrow(b)?);
        let of = |x: &Expr| x.dtype(self.nest.program);
        let product = self.machine.target.tile_product(of(a), of(b), sum);
        product.map(|_| (a, b))
    }
}
