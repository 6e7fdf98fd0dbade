//! Sums of products of narrow elements in tile registers.
//!
//! Sums stay in registers until all terms are added; then they go to the target, if they are what is stored, or to the
//! memory of partial results, from where each row is read as vectors just before it is used.
//! Invariant: what is no term is zero in both factors. Rows and columns that are none are computed and never stored. A
//! byte is read only if it belongs to the place, padding of copies included.

use super::Word;
use super::nest::{Mode, NestLowering};
use super::part::{Kind, Part, Stretch};
use super::tiling::{Counts, GROUP_BYTES, Tiling, tile};
use super::value::Value;
use crate::machine::Node;
use crate::wide::program::{
    Address, Dyad, Element, Lane, Limit, Node as Control, Op, Scalar, Span, Vector,
};
use crate::wide::tiles::{TILE_ROW_BYTES, TILE_ROWS, TILES, Tile, TileOp};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, BinaryOp, DType};

/// Bytes of a tile whose rows lie behind each other.
const TILE_BYTES: u64 = TILE_ROWS * TILE_ROW_BYTES;
/// Bits of a byte.
const BYTE_BITS: u64 = 8;

/// Where the rows of a tile are.
#[derive(Clone, Copy)]
struct Rows {
    at: Address,
    stride: Scalar,
    /// Whether the innermost loop comes back to them.
    once: bool,
}

impl NestLowering<'_> {
    /// The parts of the axis of rows: whole register tiles, and a rest of any length.
    pub(super) fn row_parts(&self, tiling: Tiling, stretch: &Stretch) -> Vec<Part> {
        let step = tiling.tile;
        let mut parts = vec![];
        if stretch.lengths.iter().any(|&length| length >= step) {
            parts.push(Part { step, count: step, kind: Kind::Whole });
        }
        let mut rests: Vec<u64> = stretch.lengths.iter().map(|length| length % step).collect();
        rests.retain(|&rest| rest != 0);
        rests.dedup();
        match rests[..] {
            [] => {}
            [rest] => parts.push(Part { step: rest, count: rest, kind: Kind::Rest(0) }),
            _ => parts.push(Part { step, count: step, kind: Kind::Tail }),
        }
        parts
    }

    /// Computes one register tile of tile registers, and stores it.
    pub(super) fn tile_of_tiles(&mut self, tiling: Tiling, part: Part) -> Result<(), Unsupported> {
        let across = self.counts.iter().find(|entry| self.is_vector(entry.0));
        let across = across.map_or(1, |entry| entry.1);
        let counts = Counts { down: part.count.div_ceil(TILE_ROWS), across, rows: part.count };
        let plain = self.plain_sums(tiling, part);
        self.begin_sums(tiling, counts, plain);
        self.ahead = self.begin_ahead(tiling, part);
        self.tile_loops(0, tiling, counts)?;
        self.ahead = None;
        if plain.is_some() {
            self.each_sum(tiling, counts, |from, Rows { at, stride, .. }| TileOp::Store {
                from,
                at,
                stride,
            });
            return Ok(());
        }
        let partials = self.word(Word::Partials);
        let row_bytes = across * TILE_ROW_BYTES;
        let stride = self.code.number(row_bytes.cast_signed());
        for row in 0..counts.down {
            for column in 0..across {
                let bytes = row * TILE_ROWS * row_bytes + column * TILE_ROW_BYTES;
                let at = self.code.address(partials, bytes.cast_signed());
                let from = counts.sum(row, column);
                self.code.op(Op::Tile(TileOp::Store { from, at, stride }));
            }
        }
        self.store_rows(tiling, part, (partials, row_bytes.cast_signed()))
    }

    /// Zeros, or what the target holds, where whole sums go there.
    fn begin_sums(&mut self, tiling: Tiling, counts: Counts, plain: Option<bool>) {
        let zeros: Vec<Op> = (0..counts.down * counts.across)
            .map(|number| Op::Tile(TileOp::Zero { to: tile(number) }))
            .collect();
        if plain != Some(true) {
            return zeros.into_iter().for_each(|op| self.code.op(op));
        }
        let condition = self.word(Word::First);
        let outer = self.code.open();
        zeros.into_iter().for_each(|op| self.code.op(op));
        let then = self.code.close(outer);
        let outer = self.code.open();
        self.each_sum(tiling, counts, |to, Rows { at, stride, once }| TileOp::Load {
            to,
            at,
            stride,
            once,
        });
        let otherwise = self.code.close(outer);
        self.code.node(Control::If { condition, then, otherwise });
    }

    /// An operation for each sum and its place in the target.
    fn each_sum(&mut self, tiling: Tiling, counts: Counts, op: impl Fn(Tile, Rows) -> TileOp) {
        let pointer = *self.pointers.last().expect("the target is the last place");
        let place = &self.nest.target;
        let stride = self.code.number(place.offset_bytes(tiling.rows, 1));
        for row in 0..counts.down {
            for column in 0..counts.across {
                let bytes = place.offset_bytes(tiling.rows, row * TILE_ROWS)
                    + place.offset_bytes(self.vector_axis(), column * self.lanes);
                let at = self.code.address(pointer, bytes);
                let of = op(counts.sum(row, column), Rows { at, stride, once: false });
                self.code.op(Op::Tile(of));
            }
        }
    }

    /// Whether the sums themselves are stored, whole tiles of them, and if so whether they are added to what the target
    /// holds. Floats are not: that would make their chains longer.
    fn plain_sums(&self, tiling: Tiling, part: Part) -> Option<bool> {
        let (target, dag) = (&self.nest.target, &self.nest.dag);
        let sum = self.nest.accumulators[0].term;
        let vector = target.term(self.vector_axis());
        let whole = target.panel_of(tiling.rows).is_none_or(|panel| panel.width % TILE_ROWS == 0);
        let fits = self.mode == Mode::Whole
            && part.kind != Kind::Tail
            && part.count.is_multiple_of(TILE_ROWS)
            && self.nest.last.is_none()
            && !self.streaming
            && target.dtype == dag.dtype(sum)
            && vector.is_some_and(|term| term.stride_bytes == GROUP_BYTES)
            && target.term(tiling.rows).is_some()
            && whole;
        let is_sum = |id| matches!(dag.node(id), Node::Accumulator(_));
        let is_held = |id| dag.node(id) == Node::Carried;
        let from_0 = self.nest.carried.is_some_and(|start| start.value.to_bits() == 0);
        let carries = match dag.node(self.nest.result) {
            Node::Accumulator(_) => false,
            Node::Binary(BinaryOp::Add, x, y) => {
                let added = is_held(x) && is_sum(y) || is_sum(x) && is_held(y);
                let exact = target.dtype == DType::I32 || self.around.always_first;
                if !(added && exact && from_0) {
                    return None;
                }
                !self.around.always_first
            }
            _ => return None,
        };
        fits.then_some(carries)
    }

    /// The loops over the reduced axes, from one of them on.
    fn tile_loops(
        &mut self,
        level: usize,
        tiling: Tiling,
        counts: Counts,
    ) -> Result<(), Unsupported> {
        let axis = self.nest.reduce[level];
        let stretch = self.whole(axis);
        if stretch.lengths.iter().all(|&length| length == 0) {
            return Ok(());
        }
        if axis != tiling.axis {
            let parts = self.parts(axis, &stretch, 1);
            return self.cut(axis, &stretch, &parts, false, |lowering, _| {
                lowering.tile_loops(level + 1, tiling, counts)
            });
        }
        let parts = self.parts(axis, &stretch, tiling.terms);
        self.cut(axis, &stretch, &parts, false, |lowering, part| {
            match part.step == tiling.terms {
                true => lowering.whole_step(tiling, counts),
                false => lowering.rest_step(tiling, counts, part.step),
            }
            Ok(())
        })
    }

    /// The products of whole rows. Of rows that are read where they lie, a tile that lacks some is copied.
    fn whole_step(&mut self, tiling: Tiling, counts: Counts) {
        let xs: Vec<Rows> = (0..counts.down)
            .map(|row| {
                let from = self.x_rows(tiling, row);
                let lacks = tiling.in_rows && counts.rows_of(row) < TILE_ROWS;
                if !lacks {
                    return from;
                }
                let to = self.copied(row);
                for number in 0..counts.rows_of(row) {
                    let at = self.x_row(tiling, row, number);
                    let x = self.load_row(at, Span::Whole);
                    self.store_row(to.at, number, x);
                }
                to
            })
            .collect();
        let ys: Vec<Rows> = (0..counts.across).map(|column| self.y_rows(tiling, column)).collect();
        self.products(tiling, counts, (&xs, &ys));
        self.fetch_more(tiling);
    }

    fn x_rows(&mut self, tiling: Tiling, row: u64) -> Rows {
        let at = self.x_row(tiling, row, 0);
        let bytes = match tiling.in_rows {
            true => self.places[tiling.x].offset_bytes(tiling.rows, 1),
            false => TILE_ROW_BYTES.cast_signed(),
        };
        Rows { at, stride: self.code.number(bytes), once: !tiling.passes_y }
    }

    /// A row of a tile of the first factor.
    fn x_row(&mut self, tiling: Tiling, row: u64, number: u64) -> Address {
        let place = self.places[tiling.x];
        let bytes = place.offset_bytes(tiling.rows, row * TILE_ROWS + number);
        self.code.address(self.pointers[tiling.x], bytes)
    }

    fn y_rows(&mut self, tiling: Tiling, column: u64) -> Rows {
        let place = self.places[tiling.y];
        let bytes = place.offset_bytes(self.vector_axis(), column * self.lanes);
        let at = self.code.address(self.pointers[tiling.y], bytes);
        let stride = self.code.number(place.offset_bytes(tiling.axis, tiling.of.count()));
        Rows { at, stride, once: tiling.passes_y }
    }

    /// Memory for a copy of a tile.
    fn copied(&mut self, number: u64) -> Rows {
        let partials = self.word(Word::Partials);
        let at = self.code.address(partials, (number * TILE_BYTES).cast_signed());
        let stride = self.code.number(TILE_ROW_BYTES.cast_signed());
        Rows { at, stride, once: false }
    }

    fn vector_axis(&self) -> AxisId {
        self.nest.micro.vector.expect("tiles have a vector axis")
    }

    /// The products of all tiles of both factors. The factor that has fewer is held, the other one passes by.
    fn products(&mut self, tiling: Tiling, counts: Counts, (xs, ys): (&[Rows], &[Rows])) {
        let sums = counts.down * counts.across;
        let holds_x = counts.down <= counts.across;
        let (held, passing) = if holds_x { (xs, ys) } else { (ys, xs) };
        let first = sums + held.len() as u64;
        let free = TILES as u64 - first;
        for (number, &rows) in passing.iter().enumerate() {
            let other = tile(first + number as u64 % free);
            self.load_tile(other, rows);
            for (place, &rows) in held.iter().enumerate() {
                let own = tile(sums + place as u64);
                if number == 0 {
                    self.load_tile(own, rows);
                }
                let (row, column) = if holds_x { (place, number) } else { (number, place) };
                let (x, y) = if holds_x { (own, other) } else { (other, own) };
                let to = counts.sum(row as u64, column as u64);
                self.code.op(Op::Tile(TileOp::Add { of: tiling.of, to, x, y }));
            }
        }
    }

    fn load_tile(&mut self, to: Tile, Rows { at, stride, once }: Rows) {
        self.code.op(Op::Tile(TileOp::Load { to, at, stride, once }));
    }

    /// The products of what is left of the rows: both factors are copied with zeros behind them.
    fn rest_step(&mut self, tiling: Tiling, counts: Counts, terms: u64) {
        let number = counts.down + counts.across;
        let copies: Vec<Rows> = (0..number).map(|copy| self.copied(copy)).collect();
        let (xs, ys) = copies.split_at(counts.down as usize);
        for (row, to) in (0..counts.down).zip(xs) {
            match tiling.in_rows {
                true => self.copy_rows(tiling, (row, counts.rows_of(row)), (to.at, terms)),
                false => self.copy_tile(tiling, row, (to.at, terms)),
            }
        }
        for (column, to) in (0..counts.across).zip(ys) {
            self.copy_y(tiling, column, (to.at, terms));
        }
        self.products(tiling, counts, (xs, ys));
    }

    /// Rows where they lie, of which nothing behind the last term is read.
    fn copy_rows(&mut self, tiling: Tiling, (row, rows): (u64, u64), (to, terms): (Address, u64)) {
        let groups = terms.div_ceil(tiling.of.count());
        let count = self.code.set(groups.cast_signed());
        let mask = self.code.predicate();
        self.code.op(Op::FirstLanes { to: mask, count });
        for number in 0..rows {
            let at = self.x_row(tiling, row, number);
            let x = self.load_row(at, Span::Where(mask));
            self.store_row(to, number, x);
        }
    }

    fn copy_tile(&mut self, tiling: Tiling, row: u64, (to, terms): (Address, u64)) {
        let bytes = terms * self.places[tiling.x].dtype.bytes();
        let kept = self.code.words(std::array::from_fn(|word| {
            low_bytes(bytes.saturating_sub(word as u64 * GROUP_BYTES.cast_unsigned()))
        }));
        for number in 0..TILE_ROWS {
            let at = self.x_row(tiling, row, number);
            let x = self.load_row(at, Span::Whole);
            let x = self.code.dyad(Dyad::And, Lane::I32, x, kept);
            self.store_row(to, number, x);
        }
    }

    fn copy_y(&mut self, tiling: Tiling, column: u64, (to, terms): (Address, u64)) {
        let (place, count) = (self.places[tiling.y], tiling.of.count());
        let columns = place.offset_bytes(self.vector_axis(), column * self.lanes);
        for row in 0..TILE_ROWS {
            let left = terms.saturating_sub(row * count);
            let mut y = self.code.integer(0);
            if left > 0 {
                let bytes = columns + place.offset_bytes(tiling.axis, row * count);
                let at = self.code.address(self.pointers[tiling.y], bytes);
                y = self.load_row(at, Span::Whole);
            }
            if (1..count).contains(&left) {
                let kept = self.code.integer(low_bytes(left * place.dtype.bytes()).cast_signed());
                y = self.code.dyad(Dyad::And, Lane::I32, y, kept);
            }
            self.store_row(to, row, y);
        }
    }

    fn load_row(&mut self, at: Address, span: Span) -> Vector {
        let to = self.code.vector();
        self.code.op(Op::Load { element: Element::Word, to, at, span });
        to
    }

    fn store_row(&mut self, to: Address, row: u64, from: Vector) {
        let displacement = to.displacement + (row * TILE_ROW_BYTES) as i32;
        let at = Address { displacement, ..to };
        let (element, span) = (Element::Word, Span::Whole);
        self.code.op(Op::Store { element, from, at, span, streaming: false });
    }

    /// Computes and stores the results of all rows, whose sums are in memory.
    fn store_rows(
        &mut self,
        tiling: Tiling,
        part: Part,
        (partials, row_bytes): (Scalar, i64),
    ) -> Result<(), Unsupported> {
        let start = self.indices.get(&tiling.rows).copied();
        let stretch = match (part.kind, start) {
            (Kind::Tail, _) => {
                Stretch { start, end: self.whole(tiling.rows).end, lengths: vec![1, part.step - 1] }
            }
            (_, Some(start)) => {
                let end = self.code.add_constant(start, part.step.cast_signed());
                let lengths = vec![part.step];
                Stretch { start: Some(start), end: Limit::Scalar(end), lengths }
            }
            (_, None) => {
                let end = Limit::Constant(part.step.cast_signed());
                Stretch { start, end, lengths: vec![part.step] }
            }
        };
        let counts = std::mem::take(&mut self.counts);
        self.counts = counts.iter().copied().filter(|entry| entry.0 != tiling.rows).collect();
        let positions = self.positions();
        self.carried_values(&positions)?;
        let pointer = self.code.moved(partials);
        let row = Part { step: 1, count: 1, kind: Kind::Whole };
        let outcome = self.cut(tiling.rows, &stretch, &[row], true, |lowering, _| {
            for (number, position) in positions.iter().enumerate() {
                let displacement = (number as u64 * TILE_ROW_BYTES) as i32;
                let at = Address { base: pointer, displacement };
                let sum = lowering.load_row(at, Span::Whole);
                lowering.memo.set_accumulator(0, position, Value::Lanes(sum));
            }
            lowering.store_tile(&positions)?;
            lowering.code.op(Op::AddConstant { to: pointer, x: pointer, value: row_bytes });
            Ok(())
        });
        self.counts = counts;
        outcome
    }
}

/// A word whose lowest bytes, at most four, are ones.
fn low_bytes(bytes: u64) -> u32 {
    let bits = BYTE_BITS * bytes.min(GROUP_BYTES.cast_unsigned());
    u32::try_from((1_u64 << bits) - 1).expect("a group is a word")
}
