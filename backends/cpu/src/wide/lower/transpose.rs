//! Loads and stores whose neighbours lie along another axis than the vector: whole squares, transposed in registers.
//!
//! Where the elements of a place lie apart along the vector axis, but side by side along another axis of the register
//! tile, one row is loaded for each lane and a network of shuffles makes the vectors: pairs, then pairs of pairs, then
//! pieces of 16 bytes. Four instructions for each vector take the place of a gather, whose cost is one load a lane.
//! Invariant: a row is loaded as far as the tile goes, and no row behind the last lane is touched.

use super::memory::element_of;
use super::nest::{Mode, NestLowering};
use super::value::{Value, lane_of};
use crate::machine::{Node, NodeId, Offsets, Place, key};
use crate::wide::program::{Element, Lane, Op, Span, Vector};
use tilewright_ir::AxisId;
use tilewright_ir::backend::Unsupported;

/// A square of a place.
#[derive(Clone, Copy, Debug)]
struct Square {
    /// The axis along which neighbours lie.
    axis: AxisId,
    /// How many of them belong to the tile.
    count: u64,
    /// Bytes from one lane to the next.
    stride_bytes: i64,
    /// How many lanes are elements.
    rows: u64,
}

impl NestLowering<'_> {
    /// Loads the vectors of a place for all offsets along the axis of its neighbours, remembers them, and gives the one
    /// at a position; `None` where the place has no such axis.
    pub(super) fn transposed(
        &mut self,
        id: NodeId,
        position: usize,
        at: &Offsets,
    ) -> Result<Option<Value>, Unsupported> {
        debug_assert!(matches!(self.nest.dag.node(id), Node::Load(_)));
        let place = self.places[position];
        let Some(square) = self.square(place, at) else { return Ok(None) };
        let Some(own) = at.iter().position(|entry| entry.0 == square.axis) else { return Ok(None) };
        let mut first = at.clone();
        first[own].1 = 0;
        let rows = self.rows(position, &first, square)?;
        let columns = self.columns(lane_of(place.dtype), rows);
        let mut found = None;
        for (offset, column) in (0..square.count).zip(columns) {
            let value = self.read_as(place.dtype, column);
            let mut there = at.clone();
            there[own].1 = offset;
            self.memo.set(key(&self.nest.dag, id, true, &there), value);
            if offset == at[own].1 {
                found = Some(value);
            }
        }
        Ok(found)
    }

    /// The square around a position, if the place is to be read as one.
    fn square(&self, place: &Place, at: &Offsets) -> Option<Square> {
        let vector = self.nest.micro.vector.filter(|_| self.mode != Mode::One)?;
        let stride_bytes = place.term(vector)?.stride_bytes;
        let bytes = place.dtype.bytes().cast_signed();
        let near = |&(axis, count): &(AxisId, u64)| {
            let beside = place.term(axis).is_some_and(|term| term.stride_bytes == bytes);
            axis != vector && count > 1 && count <= self.lanes && beside
        };
        let apart = stride_bytes != 0 && stride_bytes != bytes;
        let panel = !place.panels.is_empty() || place.packed;
        let &(axis, count) =
            self.counts.iter().find(|entry| near(entry)).filter(|_| apart && !panel)?;
        let rows = match self.mode {
            Mode::Tail { known, .. } if self.mask_at(at).is_some() => known?,
            _ => self.lanes,
        };
        let squares = matches!(self.lanes, 4 | 8 | 16) && self.lanes >= self.row_lanes(place);
        squares.then_some(Square { axis, count, stride_bytes, rows })
    }

    /// Lanes of 16 bytes.
    fn row_lanes(&self, place: &Place) -> u64 {
        16 / lane_of(place.dtype).bytes()
    }

    /// One row of neighbours for each lane.
    fn rows(
        &mut self,
        position: usize,
        first: &Offsets,
        square: Square,
    ) -> Result<Vec<Vector>, Unsupported> {
        let place = self.places[position];
        let element = element_of(place.dtype);
        let span = self.row_span(square.count);
        let start = self.displacement(place, first);
        let zero = self.code.float(lane_of(place.dtype), 0.0);
        let mut rows = vec![];
        for row in 0..self.lanes {
            if row >= square.rows {
                rows.push(zero);
                continue;
            }
            let displacement = start + square.stride_bytes * row.cast_signed();
            let at = self.code.address(self.pointers[position], displacement);
            let to = self.code.vector();
            self.code.op(Op::Load { element, to, at, span });
            rows.push(to);
        }
        Ok(rows)
    }

    fn row_span(&mut self, count: u64) -> Span {
        if count == self.lanes {
            return Span::Whole;
        }
        let count = self.code.set(count.cast_signed());
        let mask = self.code.predicate();
        self.code.op(Op::FirstLanes { to: mask, count });
        Span::Where(mask)
    }

    /// The columns of a square of rows.
    pub(super) fn columns(&mut self, lane: Lane, rows: Vec<Vector>) -> Vec<Vector> {
        let piece = (16 / lane.bytes()) as usize;
        let mut blocks = rows;
        let mut unit = 1;
        // After each round, `2 * unit` rows lie in a piece, and the vectors of a block are its columns in turns.
        while unit < piece {
            blocks = self.zipped(lane, &blocks, unit);
            unit *= 2;
        }
        let groups = blocks.len() / piece;
        let mut columns = vec![Vector(0); blocks.len()];
        for column in 0..piece {
            let of: Vec<Vector> = (0..groups).map(|group| blocks[group * piece + column]).collect();
            for (number, vector) in self.turned(lane, &of).into_iter().enumerate() {
                columns[number * piece + column] = vector;
            }
        }
        columns
    }

    /// One round of zips: of the vectors of two neighbouring blocks of `unit` rows.
    fn zipped(&mut self, lane: Lane, rows: &[Vector], unit: usize) -> Vec<Vector> {
        let mut zipped = vec![];
        for pair in rows.chunks(2 * unit) {
            let (upper, lower) = pair.split_at(unit);
            for (&x, &y) in upper.iter().zip(lower) {
                for high in [false, true] {
                    let to = self.code.vector();
                    let unit = u8::try_from(unit).expect("a piece has few lanes");
                    self.code.op(Op::Zip { lane, unit, high, to, x, y });
                    zipped.push(to);
                }
            }
        }
        zipped
    }

    /// The transposition of a square of pieces: 1, 2 or 4 vectors of as many.
    fn turned(&mut self, lane: Lane, of: &[Vector]) -> Vec<Vector> {
        match *of {
            [x, y] => vec![self.shuffled(lane, x, y, 0b00), self.shuffled(lane, x, y, 0b11)],
            [a, b, c, d] => {
                let (even, odd) = (0x88, 0xdd);
                let (low, high) =
                    (self.shuffled(lane, a, b, even), self.shuffled(lane, c, d, even));
                let (first, third) =
                    (self.shuffled(lane, low, high, even), self.shuffled(lane, low, high, odd));
                let (low, high) = (self.shuffled(lane, a, b, odd), self.shuffled(lane, c, d, odd));
                let (second, fourth) =
                    (self.shuffled(lane, low, high, even), self.shuffled(lane, low, high, odd));
                vec![first, second, third, fourth]
            }
            _ => of.to_vec(),
        }
    }

    fn shuffled(&mut self, lane: Lane, x: Vector, y: Vector, pick: u8) -> Vector {
        let to = self.code.vector();
        self.code.op(Op::Pieces { lane, to, x, y, pick });
        to
    }

    /// Stores the values of a tile as rows, where the target's neighbours lie along another axis than the vector;
    /// `false` where they do not, and nothing is stored.
    pub(super) fn store_transposed(
        &mut self,
        positions: &[Offsets],
        value: impl Fn(&mut Self, &Offsets) -> Result<Value, Unsupported>,
    ) -> Result<bool, Unsupported> {
        let position = self.places.len() - 1;
        let place = self.places[position];
        let is_word = matches!(element_of(place.dtype), Element::Word | Element::Double);
        let Some(square) =
            positions.first().and_then(|at| self.square(place, at)).filter(|_| is_word)
        else {
            return Ok(false);
        };
        let own = |at: &Offsets| at.iter().position(|entry| entry.0 == square.axis);
        for at in positions.iter().filter(|at| own(at).is_some_and(|own| at[own].1 == 0)) {
            // The last vector may have fewer lanes than the others.
            let Some(square) = self.square(place, at) else {
                return Err(self.refused("a ragged square"));
            };
            let own = own(at).expect("the position has the axis");
            let mut columns = vec![];
            for offset in 0..self.lanes {
                let mut there = at.clone();
                there[own].1 = offset.min(square.count - 1);
                columns.push(value(self, &there)?.lanes());
            }
            let span = self.row_span(square.count);
            let start = self.displacement(place, at);
            let rows = self.columns(lane_of(place.dtype), columns);
            for (row, from) in (0..square.rows).zip(rows) {
                let displacement = start + square.stride_bytes * row.cast_signed();
                let at = self.code.address(self.pointers[position], displacement);
                let element = element_of(place.dtype);
                self.code.op(Op::Store { element, from, at, span, streaming: false });
            }
        }
        Ok(true)
    }
}
