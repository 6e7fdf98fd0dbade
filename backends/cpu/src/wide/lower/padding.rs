//! Zeros behind the last terms of copies that tiles read, written once before the loops.
//!
//! Where the terms of a sum do not fill its last row of a tile, that row would have to be cut out for each register tile.
//! Copies have room for whole rows, so what is behind the last term is made zero instead, and the row is read as it is.
//! Invariant: nothing is written but the padding of the thread's own copies; terms keep their bits.

use super::Word;
use super::nest::NestLowering;
use super::tiles::low_bytes;
use super::tiling::{GROUP_BYTES, Tiling};
use crate::machine::{Base, Place};
use crate::wide::program::{Address, Dyad, Lane, Limit, Node, Op, Scalar, Span};
use crate::wide::tiles::{TILE_ROW_BYTES, TILE_ROWS};
use tilewright_ir::AxisId;

/// Which factors have zeros behind their last term, in all of their copies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filled {
    pub(super) x: bool,
    pub(super) y: bool,
}

/// The last row of terms of a block, where it is not whole.
#[derive(Clone, Copy)]
struct Last {
    /// The first term of the row.
    first: u64,
    /// Its terms.
    terms: u64,
}

impl NestLowering<'_> {
    /// Writes zeros behind the last terms of the copies, if a row of terms is not whole.
    pub(super) fn fill_padding(&mut self) {
        let Some(tiling) = self.tiling else { return };
        let mut lengths: Vec<u64> = self.whole(tiling.axis).lengths;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        lengths.retain(|length| !length.is_multiple_of(tiling.terms));
        let [length] = lengths[..] else { return };
        let terms = length % tiling.terms;
        let last = Last { first: length - terms, terms };
        let outer = self.code.open();
        self.filled =
            Filled { x: self.fill_rows(tiling, last), y: self.fill_columns(tiling, last) };
        let body = self.code.close(outer);
        if length == longest {
            return body.into_iter().for_each(|node| self.code.node(node));
        }
        // A shorter block than the longest: the loop comes once there, and not at all in any other.
        let length_now = self.word(Word::Length(tiling.axis));
        let index = self.code.moved(length_now);
        let (end, step) = (Limit::Constant(longest.cast_signed()), longest - length);
        self.code.node(Node::Loop { index, end, step: step.cast_signed(), entered: false, body });
    }

    /// The different places that `of` picks from the products, if they are copies over these two axes alone.
    fn copies(
        &self,
        tiling: Tiling,
        of: impl Fn(&super::tiling::Product) -> usize,
        across: AxisId,
    ) -> Option<Vec<usize>> {
        let mut places: Vec<usize> = tiling.products().iter().map(of).collect();
        places.sort_unstable();
        places.dedup();
        let suits = |&place: &usize| {
            let of: &Place = self.places[place];
            let (own, two) = (matches!(of.base, Base::Scratch(_)), of.terms.len() == 2);
            // Behind the terms of a copy of all blocks stand those of the next one.
            let moves = self.block(tiling.axis).moves;
            let apart = of.term(tiling.axis).is_some_and(|term| term.relative || !moves);
            own && two && apart && of.term(across).is_some() && of.padded == tiling.terms
        };
        places.iter().all(suits).then_some(places)
    }

    fn fill_rows(&mut self, tiling: Tiling, last: Last) -> bool {
        if tiling.in_rows {
            return false;
        }
        let Some(places) = self.copies(tiling, |product| product.x, tiling.rows) else {
            return false;
        };
        for place in places {
            let of = self.places[place];
            let bytes = last.terms * of.dtype.bytes();
            let kept = self.code.words(std::array::from_fn(|word| {
                low_bytes(bytes.saturating_sub(word as u64 * GROUP_BYTES.cast_unsigned()))
            }));
            let first = of.offset_bytes(tiling.axis, last.first);
            self.each_panel((place, tiling.rows), TILE_ROWS, |lowering, pointer| {
                for row in 0..TILE_ROWS {
                    let bytes = first + (row * TILE_ROW_BYTES).cast_signed();
                    let at = lowering.code.address(pointer, bytes);
                    let x = lowering.load_row(at, Span::Whole);
                    let x = lowering.code.dyad(Dyad::And, Lane::I32, x, kept);
                    lowering.store_row(at, 0, x);
                }
            });
        }
        true
    }

    fn fill_columns(&mut self, tiling: Tiling, last: Last) -> bool {
        let vector = self.vector_axis();
        let Some(places) = self.copies(tiling, |product| product.y, vector) else { return false };
        let Some(panel) = self.places[places[0]].panel_of(vector) else { return false };
        let (count, vectors) = (tiling.of.count(), panel.width / self.lanes);
        for place in places {
            let of = self.places[place];
            self.each_panel((place, vector), panel.width, |lowering, pointer| {
                for group in last.terms / count..tiling.terms / count {
                    let bytes = of.offset_bytes(tiling.axis, last.first + group * count);
                    let at = lowering.code.address(pointer, bytes);
                    let left = last.terms.saturating_sub(group * count) * of.dtype.bytes();
                    lowering.keep_bits(at, vectors, low_bytes(left));
                }
            });
        }
        true
    }

    /// Keeps these bits of each word of so many vectors.
    fn keep_bits(&mut self, at: Address, vectors: u64, bits: u32) {
        let kept = self.code.integer(bits.cast_signed());
        for vector in 0..vectors {
            let displacement = at.displacement + (vector * TILE_ROW_BYTES) as i32;
            let at = Address { displacement, ..at };
            let mut words = kept;
            if bits != 0 {
                let held = self.load_row(at, Span::Whole);
                words = self.code.dyad(Dyad::And, Lane::I32, held, kept);
            }
            self.store_row(at, 0, words);
        }
    }

    /// A loop over the panels of a place, in the current block of the axis that they cut.
    fn each_panel(
        &mut self,
        (place, axis): (usize, AxisId),
        width: u64,
        inner: impl Fn(&mut Self, Scalar),
    ) {
        let pointer = self.code.moved(self.pointers[place]);
        let index = self.code.set(0);
        let end = self.whole(axis).end;
        let outer = self.code.open();
        inner(self, pointer);
        let value = self.places[place].offset_bytes(axis, width);
        self.code.op(Op::AddConstant { to: pointer, x: pointer, value });
        let body = self.code.close(outer);
        self.code.node(Node::Loop { index, end, step: width.cast_signed(), entered: false, body });
    }
}
