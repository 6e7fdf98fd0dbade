//! Sums of products of narrow elements in tile registers.
//!
//! Such a nest has one sum of products of two widened loads, both from the thread's own memory: the first factor in tiles
//! of 16 rows of the result by 64 bytes along the innermost reduced axis, the second in groups of neighbours along that
//! axis, those of neighbouring lanes side by side. Sums stay in registers until all terms are added; then they go to the
//! memory of partial results, and each row is read from there as vectors just before it is used.
//! Invariant: what is no term is zero in both factors. Rows and columns that are none are computed and never stored.

use super::Word;
use super::nest::NestLowering;
use super::part::{Kind, Part, Stretch};
use super::value::Value;
use crate::machine::{Base, Node, NodeId, Place};
use crate::wide::program::{Address, Dyad, Element, Lane, Limit, Op, Scalar, Span, Vector};
use crate::wide::tiles::{TILE_ROW_BYTES, TILE_ROWS, TILES, Tile, TileOp, TileProduct};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::target::TILE_CHAIN;
use tilewright_ir::{AxisId, BinaryOp, DType, ReduceOp};

/// Bytes of a group: those of a lane.
const GROUP_BYTES: i64 = 4;
/// Bytes of a tile whose rows lie behind each other.
const TILE_BYTES: u64 = TILE_ROWS * TILE_ROW_BYTES;
/// Lanes of a row of a sum.
const LANES: u64 = TILE_ROW_BYTES / 4;
/// Bits of a byte.
const BYTE_BITS: u64 = 8;

/// A nest that adds products of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    of: TileProduct,
    /// The axis along which groups lie.
    axis: AxisId,
    /// The axis of the rows.
    pub(super) rows: AxisId,
    /// Rows in one register tile: whole tiles.
    tile: u64,
    /// The places of both factors.
    x: usize,
    y: usize,
    /// Terms of a row of a tile.
    terms: u64,
}

/// Tiles of a register tile.
#[derive(Clone, Copy)]
struct Counts {
    down: u64,
    across: u64,
}

impl Counts {
    fn fit(self) -> bool {
        let fewer = self.down.min(self.across);
        self.down * self.across + fewer < TILES as u64
    }

    fn sum(self, row: u64, column: u64) -> Tile {
        tile(row * self.across + column)
    }
}

fn tile(number: u64) -> Tile {
    Tile(u8::try_from(number).expect("tile registers are few"))
}

/// Where the rows of a tile are.
type Rows = (Address, Scalar);

impl NestLowering<'_> {
    /// Whether the nest's sum is one of products of tiles.
    pub(super) fn find_tiling(&self) -> Option<Tiling> {
        let [accumulator] = self.nest.accumulators[..] else { return None };
        let &axis = self.nest.reduce.last()?;
        let product = self.nest.dag.node(accumulator.term);
        let Node::Binary(BinaryOp::Mul, x, y) = product else { return None };
        let has = self.around.isa.has_tiles() && self.lanes == LANES;
        if !has || accumulator.op != ReduceOp::Sum || self.vector_is_reduced() {
            return None;
        }
        let (x, y) = (self.tile_factor(x)?, self.tile_factor(y)?);
        let is_x = |place: usize| self.vector_stride_of(place) == 0;
        let (x, y) = if is_x(x) { (x, y) } else { (y, x) };
        let sum = self.nest.dag.dtype(accumulator.term);
        let of = product_of(self.places[x].dtype, self.places[y].dtype, sum)?;
        let terms = TILE_ROW_BYTES / self.places[x].dtype.bytes();
        let rows = self.rows_of(self.places[x], (axis, terms))?;
        let tile = self.rows_in_tile(rows)?;
        let found = Tiling { of, axis, rows, tile, x, y, terms };
        (self.has_columns(found) && self.fits(found) && self.is_short(found)).then_some(found)
    }

    /// The place that a factor widens.
    fn tile_factor(&self, id: NodeId) -> Option<usize> {
        let Node::Cast(narrow) = self.nest.dag.node(id) else { return None };
        let Node::Load(place) = self.nest.dag.node(narrow) else { return None };
        let place = place as usize;
        matches!(self.places[place].base, Base::Scratch(_)).then_some(place)
    }

    fn vector_stride_of(&self, place: usize) -> i64 {
        let vector = self.nest.micro.vector.and_then(|axis| self.places[place].term(axis));
        vector.map_or(0, |term| term.stride_bytes)
    }

    /// The axis of the result along which a place has rows of tiles.
    fn rows_of(&self, place: &Place, depth: (AxisId, u64)) -> Option<AxisId> {
        let bytes = TILE_ROW_BYTES.cast_signed();
        let is_row = |axis: AxisId| {
            let near = place.term(axis).is_some_and(|term| term.stride_bytes == bytes);
            near && place.panel_of(axis).is_none_or(|panel| panel.width == TILE_ROWS)
        };
        let rows = self.nest.outer.iter().copied().find(|&axis| is_row(axis));
        rows.filter(|_| place.depth == Some(depth))
    }

    /// Whether the second factor has its groups side by side.
    fn has_columns(&self, found: Tiling) -> bool {
        let place = self.places[found.y];
        let count = found.of.count();
        let in_groups = place.panel_of(found.axis).is_some_and(|panel| panel.width == count);
        place.depth == Some((found.axis, count))
            && self.vector_stride_of(found.y) == GROUP_BYTES
            && place.term(found.rows).is_none()
            && in_groups
    }

    /// Rows of the register tile in whole tiles.
    fn rows_in_tile(&self, rows: AxisId) -> Option<u64> {
        let tile = self.tile_of(rows);
        let most = self.block(rows).lengths().max().unwrap_or(0);
        match tile.is_multiple_of(TILE_ROWS) {
            true => Some(tile.min(most.next_multiple_of(TILE_ROWS)).max(TILE_ROWS)),
            false => (most <= TILE_ROWS).then_some(TILE_ROWS),
        }
    }

    /// Whether there are registers for it, and rests along the sum are of one length.
    fn fits(&self, found: Tiling) -> bool {
        let Some(vector) = self.nest.micro.vector else { return false };
        let other = |&axis: &AxisId| axis != vector && axis != found.rows;
        let single = self.nest.outer.iter().copied().filter(other).all(|of| self.tile_of(of) == 1);
        let across = self.tile_of(vector) / self.lanes;
        let counts = Counts { down: found.tile / TILE_ROWS, across };
        let lengths = self.block(found.axis).lengths();
        let mut rests: Vec<u64> = lengths.map(|length| length % found.terms).collect();
        rests.retain(|&rest| rest != 0);
        rests.dedup();
        single && self.nest.outer.contains(&vector) && counts.fit() && rests.len() <= 1
    }

    /// Whether no sum has more additions in a row than it may: each product of tiles adds one to those inside of it.
    fn is_short(&self, found: Tiling) -> bool {
        let longest = |axis: AxisId| self.block(axis).lengths().max().unwrap_or(0);
        let products = self.nest.reduce.iter().map(|&axis| match axis == found.axis {
            true => longest(axis).div_ceil(found.terms),
            false => longest(axis),
        });
        let additions = products.fold(1, u64::saturating_mul).saturating_add(TILE_CHAIN);
        self.nest.micro.chain == 0 || additions <= self.nest.micro.chain
    }

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

    /// Computes one register tile of tile registers, and stores it row by row.
    pub(super) fn tile_of_tiles(&mut self, tiling: Tiling, part: Part) -> Result<(), Unsupported> {
        let across = self.counts.iter().find(|entry| self.is_vector(entry.0));
        let across = across.map_or(1, |entry| entry.1);
        let counts = Counts { down: part.count.div_ceil(TILE_ROWS), across };
        let sums = (0..counts.down * across).map(tile);
        sums.for_each(|to| self.code.op(Op::Tile(TileOp::Zero { to })));
        self.tile_loops(0, tiling, counts)?;
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

    /// The products of whole rows.
    fn whole_step(&mut self, tiling: Tiling, counts: Counts) {
        let xs = (0..counts.down).map(|row| self.x_rows(tiling, row)).collect::<Vec<_>>();
        let ys = (0..counts.across).map(|column| self.y_rows(tiling, column)).collect::<Vec<_>>();
        self.products(tiling, counts, (&xs, &ys));
    }

    fn x_rows(&mut self, tiling: Tiling, row: u64) -> Rows {
        let place = self.places[tiling.x];
        let bytes = place.offset_bytes(tiling.rows, row * TILE_ROWS);
        let at = self.code.address(self.pointers[tiling.x], bytes);
        (at, self.code.number(TILE_ROW_BYTES.cast_signed()))
    }

    fn y_rows(&mut self, tiling: Tiling, column: u64) -> Rows {
        let place = self.places[tiling.y];
        let bytes = place.offset_bytes(self.vector_axis(), column * self.lanes);
        let at = self.code.address(self.pointers[tiling.y], bytes);
        (at, self.code.number(place.offset_bytes(tiling.axis, tiling.of.count())))
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

    fn load_tile(&mut self, to: Tile, (at, stride): Rows) {
        self.code.op(Op::Tile(TileOp::Load { to, at, stride }));
    }

    /// The products of what is left of the rows: both factors are copied with zeros behind them.
    fn rest_step(&mut self, tiling: Tiling, counts: Counts, terms: u64) {
        let partials = self.word(Word::Partials);
        let near = self.code.number(TILE_ROW_BYTES.cast_signed());
        let number = counts.down + counts.across;
        let copies: Vec<Rows> = (0..number)
            .map(|copy| (self.code.address(partials, (copy * TILE_BYTES).cast_signed()), near))
            .collect();
        let (xs, ys) = copies.split_at(counts.down as usize);
        for (row, &(to, _)) in xs.iter().enumerate() {
            self.copy_x(tiling, row as u64, (to, terms));
        }
        for (column, &(to, _)) in ys.iter().enumerate() {
            self.copy_y(tiling, column as u64, (to, terms));
        }
        self.products(tiling, counts, (xs, ys));
    }

    fn copy_x(&mut self, tiling: Tiling, row: u64, (to, terms): (Address, u64)) {
        let (from, _) = self.x_rows(tiling, row);
        let bytes = terms * self.places[tiling.x].dtype.bytes();
        let kept = self.code.words(std::array::from_fn(|word| {
            low_bytes(bytes.saturating_sub(word as u64 * GROUP_BYTES.cast_unsigned()))
        }));
        for row in 0..TILE_ROWS {
            let x = self.load_row(from, row * TILE_ROW_BYTES);
            let x = self.code.dyad(Dyad::And, Lane::I32, x, kept);
            self.store_row(to, row, x);
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
                y = self.load_row(at, 0);
            }
            if (1..count).contains(&left) {
                let kept = self.code.integer(low_bytes(left * place.dtype.bytes()).cast_signed());
                y = self.code.dyad(Dyad::And, Lane::I32, y, kept);
            }
            self.store_row(to, row, y);
        }
    }

    fn load_row(&mut self, from: Address, bytes: u64) -> Vector {
        let to = self.code.vector();
        let at = Address { displacement: from.displacement + bytes as i32, ..from };
        self.code.op(Op::Load { element: Element::Word, to, at, span: Span::Whole });
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
                let at = Address { base: pointer, displacement: 0 };
                let sum = lowering.load_row(at, number as u64 * TILE_ROW_BYTES);
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

/// What both factors and the sum are, as a product.
fn product_of(x: DType, y: DType, sum: DType) -> Option<TileProduct> {
    let signed = |dtype| match dtype {
        DType::I8 => Some(true),
        DType::U8 => Some(false),
        _ => None,
    };
    match (x, y, sum) {
        (DType::Bf16, DType::Bf16, DType::F32) => Some(TileProduct::Bf16),
        (_, _, DType::I32) => {
            Some(TileProduct::Bytes { x_signed: signed(x)?, y_signed: signed(y)? })
        }
        _ => None,
    }
}

/// A word whose lowest bytes, at most four, are ones.
fn low_bytes(bytes: u64) -> u32 {
    let bits = BYTE_BITS * bytes.min(GROUP_BYTES.cast_unsigned());
    u32::try_from((1_u64 << bits) - 1).expect("a group is a word")
}
