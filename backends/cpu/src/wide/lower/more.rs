//! What a loop over products of tiles fetches for later, a few lines in each step.
//!
//! The sums of a register tile take thousands of cycles, and the processor looks ahead less than one of its steps. So while
//! they are added, the rows of the first operand that the next register tiles read come into the second cache, some rows for
//! each tile of columns, and the rows of the target into the first one.
//! Invariant: only addresses are touched here, never what lies there.

use super::memory::LINE_BYTES;
use super::nest::NestLowering;
use super::part::{Kind, Part};
use super::tiling::Tiling;
use crate::machine::Base;
use crate::wide::program::{Op, Scalar};

/// Rows of the first operand that are fetched while one register tile is computed, at most.
const ROWS_MAX: u64 = 4;

/// Pointers that move with the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// The first of so many rows of the first operand.
    rows: Option<(Scalar, u64)>,
    /// A row of the target.
    target: Scalar,
}

impl NestLowering<'_> {
    /// What is fetched while a register tile is computed.
    pub(super) fn begin_ahead(&mut self, tiling: Tiling, part: Part) -> Option<Ahead> {
        let target = self.places.len() - 1;
        if self.nest.reduce.len() > 1 || part.kind != Kind::Whole || !self.are_neighbours(target) {
            return None;
        }
        let pointer = *self.pointers.last().expect("the target is the last place");
        let target = self.code.moved(pointer);
        Some(Ahead { rows: self.next_rows(tiling), target })
    }

    /// The share of the next register tile's rows that belongs to the current columns.
    fn next_rows(&mut self, tiling: Tiling) -> Option<(Scalar, u64)> {
        let place = self.places[tiling.x()];
        let vector = self.nest.micro.vector?;
        let far = tiling.in_rows && tiling.passes_y && matches!(place.base, Base::Argument(_));
        let index = self.indices.get(&vector).copied().filter(|_| far)?;
        let columns = self.tile_of(vector);
        let most = self.block(vector).lengths().max().unwrap_or(columns);
        let count = tiling.tile.div_ceil((most / columns).max(1)).min(ROWS_MAX);
        let number = self.code.divide(index, columns);
        let before = self.code.times(number, place.offset_bytes(tiling.rows, count));
        let first = self.code.add(self.pointers[tiling.x()], before);
        let first = self.code.add_constant(first, place.offset_bytes(tiling.rows, tiling.tile));
        Some((self.code.moved(first), count))
    }

    /// Fetches what belongs to one step, and goes on.
    pub(super) fn fetch_more(&mut self, tiling: Tiling) {
        let Some(Ahead { rows, target }) = self.ahead else { return };
        if let Some((first, count)) = rows {
            let place = self.places[tiling.x()];
            for row in 0..count {
                let at = self.code.address(first, place.offset_bytes(tiling.rows, row));
                self.code.op(Op::Prefetch { at, level: 2 });
            }
            self.code.op(Op::AddConstant { to: first, x: first, value: LINE_BYTES });
        }
        let place = &self.nest.target;
        let columns = self.nest.micro.vector.map_or(1, |axis| self.tile_of(axis));
        let lines = (columns * place.dtype.bytes()).div_ceil(LINE_BYTES.cast_unsigned());
        for line in 0..lines.cast_signed() {
            let at = self.code.address(target, line * LINE_BYTES);
            self.code.op(Op::Prefetch { at, level: 1 });
        }
        let value = place.offset_bytes(tiling.rows, 1);
        self.code.op(Op::AddConstant { to: target, x: target, value });
    }
}
