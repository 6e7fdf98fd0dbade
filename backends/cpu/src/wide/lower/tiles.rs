//! Sums of products of narrow elements in tile registers.
//!
//! Sums stay in registers until all terms are added; then they go to the target, if they are what is stored, or to the
//! memory of partial results, from where each row is read as vectors just before it is used.
//! Invariant: what is no term is zero in both factors. Rows and columns that are none are computed and never stored. A
//! byte is read only if it belongs to the place, padding of copies included.

use super::Word;
use super::nest::{Mode, NestLowering};
use super::part::{Kind, Part, Stretch};
use super::tiling::{Counts, GROUP_BYTES, Product, Tiling, tile};
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
        let last = tiling.products().len() - 1;
        if self.rises(tiling) {
            self.tile_loops(0, tiling.part(0..last), counts)?;
            self.ahead = None;
            self.tile_loops(0, tiling.part(last..last + 1), counts)?;
        } else {
            self.tile_loops(0, tiling, counts)?;
            self.ahead = None;
        }
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
            let rest = Some(part.step).filter(|&step| step != tiling.terms);
            lowering.step((tiling, rest), counts);
            Ok(())
        })
    }

    /// The products of one row of terms: a whole one, or so many terms as are left.
    fn step(&mut self, (tiling, rest): (Tiling, Option<u64>), counts: Counts) {
        if let &[product] = tiling.products() {
            let xs = self.x_tiles((tiling, rest), product.x, counts);
            let ys = self.y_tiles((tiling, rest), product.y, counts);
            self.products(tiling, counts, (&xs, &ys));
        } else {
            self.all_products((tiling, rest), counts);
        }
        if rest.is_none() {
            self.fetch_more(tiling);
        }
    }

    /// The tiles of a first factor. Of rows that are read where they lie, a tile that lacks some is copied.
    fn x_tiles(
        &mut self,
        (tiling, rest): (Tiling, Option<u64>),
        place: usize,
        counts: Counts,
    ) -> Vec<Rows> {
        let rest = rest.filter(|_| !self.filled.x);
        let one = |row| {
            let rows = counts.rows_of(row);
            let to = self.copied(row);
            match rest {
                Some(terms) if tiling.in_rows => {
                    self.copy_rows((tiling, place), (row, rows), (to.at, terms));
                }
                Some(terms) => self.copy_tile((tiling, place), row, (to.at, terms)),
                None if tiling.in_rows && rows < TILE_ROWS => {
                    for number in 0..rows {
                        let at = self.x_row((tiling, place), row, number);
                        let x = self.load_row(at, Span::Whole);
                        self.store_row(to.at, number, x);
                    }
                }
                None => return self.x_rows((tiling, place), row),
            }
            to
        };
        (0..counts.down).map(one).collect()
    }

    /// The tiles of a second factor. Copies lie behind those of the first one.
    fn y_tiles(
        &mut self,
        (tiling, rest): (Tiling, Option<u64>),
        place: usize,
        counts: Counts,
    ) -> Vec<Rows> {
        let rest = rest.filter(|_| !self.filled.y);
        let one = |column| {
            let Some(terms) = rest else { return self.y_rows((tiling, place), column) };
            let to = self.copied(counts.down + column);
            self.copy_y((tiling, place), column, (to.at, terms));
            to
        };
        (0..counts.across).map(one).collect()
    }

    fn x_rows(&mut self, (tiling, place): (Tiling, usize), row: u64) -> Rows {
        let at = self.x_row((tiling, place), row, 0);
        let bytes = match tiling.in_rows {
            true => self.places[place].offset_bytes(tiling.rows, 1),
            false => TILE_ROW_BYTES.cast_signed(),
        };
        Rows { at, stride: self.code.number(bytes), once: !tiling.passes_y }
    }

    /// A row of a tile of a first factor.
    fn x_row(&mut self, (tiling, place): (Tiling, usize), row: u64, number: u64) -> Address {
        let of = self.places[place];
        let bytes = of.offset_bytes(tiling.rows, row * TILE_ROWS + number);
        self.code.address(self.pointers[place], bytes)
    }

    fn y_rows(&mut self, (tiling, place): (Tiling, usize), column: u64) -> Rows {
        let of = self.places[place];
        let bytes = of.offset_bytes(self.vector_axis(), column * self.lanes);
        let at = self.code.address(self.pointers[place], bytes);
        let stride = self.code.number(of.offset_bytes(tiling.axis, tiling.of.count()));
        Rows { at, stride, once: tiling.passes_y }
    }

    /// Memory for a copy of a tile.
    fn copied(&mut self, number: u64) -> Rows {
        let partials = self.word(Word::Partials);
        let at = self.code.address(partials, (number * TILE_BYTES).cast_signed());
        let stride = self.code.number(TILE_ROW_BYTES.cast_signed());
        Rows { at, stride, once: false }
    }

    /// All products of a term. Where registers hold both factors of one, only what differs in the next one is loaded.
    fn all_products(&mut self, (tiling, rest): (Tiling, Option<u64>), counts: Counts) {
        let Counts { down, across, .. } = counts;
        let first = down * across;
        let holds_both = first + down + across <= TILES as u64;
        let (x_of, y_of) = (|row| tile(first + row), |column| tile(first + down + column));
        let mut held: Option<Product> = None;
        for &product in tiling.products() {
            let (x_is_held, y_is_held) =
                held.map_or((false, false), |held| (held.x == product.x, held.y == product.y));
            if !holds_both {
                let xs = self.x_tiles((tiling, rest), product.x, counts);
                let ys = self.y_tiles((tiling, rest), product.y, counts);
                self.products(tiling, counts, (&xs, &ys));
                continue;
            }
            if !x_is_held {
                let xs = self.x_tiles((tiling, rest), product.x, counts);
                (0..).zip(xs).for_each(|(row, rows)| self.load_tile(x_of(row), rows));
            }
            let ys = match y_is_held {
                true => vec![],
                false => self.y_tiles((tiling, rest), product.y, counts),
            };
            let mut ys = ys.into_iter();
            for column in 0..across {
                let loaded = ys.next();
                loaded.into_iter().for_each(|rows| self.load_tile(y_of(column), rows));
                for row in 0..down {
                    let (to, x, y) = (counts.sum(row, column), x_of(row), y_of(column));
                    self.code.op(Op::Tile(TileOp::Add { of: tiling.of, to, x, y }));
                }
            }
            held = Some(product);
        }
    }

    pub(super) fn vector_axis(&self) -> AxisId {
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

    /// Rows where they lie, of which nothing behind the last term is read.
    fn copy_rows(
        &mut self,
        (tiling, place): (Tiling, usize),
        (row, rows): (u64, u64),
        (to, terms): (Address, u64),
    ) {
        let groups = terms.div_ceil(tiling.of.count());
        let count = self.code.set(groups.cast_signed());
        let mask = self.code.predicate();
        self.code.op(Op::FirstLanes { to: mask, count });
        for number in 0..rows {
            let at = self.x_row((tiling, place), row, number);
            let x = self.load_row(at, Span::Where(mask));
            self.store_row(to, number, x);
        }
    }

    fn copy_tile(
        &mut self,
        (tiling, place): (Tiling, usize),
        row: u64,
        (to, terms): (Address, u64),
    ) {
        let bytes = terms * self.places[place].dtype.bytes();
        let kept = self.code.words(std::array::from_fn(|word| {
            low_bytes(bytes.saturating_sub(word as u64 * GROUP_BYTES.cast_unsigned()))
        }));
        for number in 0..TILE_ROWS {
            let at = self.x_row((tiling, place), row, number);
            let x = self.load_row(at, Span::Whole);
            let x = self.code.dyad(Dyad::And, Lane::I32, x, kept);
            self.store_row(to, number, x);
        }
    }

    fn copy_y(
        &mut self,
        (tiling, place): (Tiling, usize),
        column: u64,
        (to, terms): (Address, u64),
    ) {
        let (of, count) = (self.places[place], tiling.of.count());
        let columns = of.offset_bytes(self.vector_axis(), column * self.lanes);
        for row in 0..TILE_ROWS {
            let left = terms.saturating_sub(row * count);
            let mut y = self.code.integer(0);
            if left > 0 {
                let bytes = columns + of.offset_bytes(tiling.axis, row * count);
                let at = self.code.address(self.pointers[place], bytes);
                y = self.load_row(at, Span::Whole);
            }
            if (1..count).contains(&left) {
                let kept = self.code.integer(low_bytes(left * of.dtype.bytes()).cast_signed());
                y = self.code.dyad(Dyad::And, Lane::I32, y, kept);
            }
            self.store_row(to, row, y);
        }
    }

    pub(super) fn load_row(&mut self, at: Address, span: Span) -> Vector {
        let to = self.code.vector();
        self.code.op(Op::Load { element: Element::Word, to, at, span });
        to
    }

    pub(super) fn store_row(&mut self, to: Address, row: u64, from: Vector) {
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
pub(super) fn low_bytes(bytes: u64) -> u32 {
    let bits = BYTE_BITS * bytes.min(GROUP_BYTES.cast_unsigned());
    u32::try_from((1_u64 << bits) - 1).expect("a group is a word")
}
