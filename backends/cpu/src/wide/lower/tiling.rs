//! Which nests add products of narrow elements in tile registers.
//!
//! Such a nest has one sum of products of two widened loads, or of sums of a few such products. The first factor lies in tiles of 16 rows of the result by 64
//! bytes along the innermost reduced axis, in the thread's own memory, or in rows anywhere. The second one lies in the thread's
//! own memory, in groups of neighbours along that axis, those of neighbouring lanes side by side.
//! Invariant: there are tile registers for all sums of the register tile and for factors, and no chain is too long.

use super::nest::NestLowering;
use crate::machine::{Base, Node, NodeId, Place};
use crate::wide::tiles::{TILE_ROW_BYTES, TILE_ROWS, TILES, Tile, TileProduct};
use std::ops::Range;
use tilewright_ir::base::Row;
use tilewright_ir::target::tile_additions;
use tilewright_ir::{AxisId, BinaryOp, DType, ReduceOp};

/// Bytes of a group: those of a lane.
pub(super) const GROUP_BYTES: i64 = 4;
/// Lanes of a row of a sum.
const LANES: u64 = TILE_ROW_BYTES / 4;
/// Products of a term.
pub(super) const PRODUCTS_MAX: usize = 6;

/// The places of both factors of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) x: usize,
    pub(super) y: usize,
}

/// A nest that adds products of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) of: TileProduct,
    /// The axis along which groups lie.
    pub(super) axis: AxisId,
    /// The axis of the rows.
    pub(super) rows: AxisId,
    /// Rows in one register tile: whole tiles.
    pub(super) tile: u64,
    /// The places of the products' factors: first factors lie alike, and so do second ones.
    products: [Product; PRODUCTS_MAX],
    /// How many there are.
    count: usize,
    /// Terms of a row of a tile.
    pub(super) terms: u64,
    /// Whether the first factor lies in rows, not in tiles.
    pub(super) in_rows: bool,
    /// Whether the second factor is the one that the innermost loop passes by.
    pub(super) passes_y: bool,
}

impl Tiling {
    /// The products of a term, in order.
    pub(super) fn products(&self) -> &[Product] {
        &self.products[..self.count]
    }

    /// The same with the products of a range.
    pub(super) fn part(mut self, range: Range<usize>) -> Self {
        self.count = range.len();
        self.products.copy_within(range, 0);
        self
    }

    /// The places of one product.
    pub(super) fn x(&self) -> usize {
        self.products[0].x
    }

    fn y(&self) -> usize {
        self.products[0].y
    }
}

/// Tiles of a register tile.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub(super) down: u64,
    pub(super) across: u64,
    /// Rows that are some.
    pub(super) rows: u64,
}

impl Counts {
    fn fit(self) -> bool {
        let fewer = self.down.min(self.across);
        self.down * self.across + fewer < TILES as u64
    }

    pub(super) fn sum(self, row: u64, column: u64) -> Tile {
        tile(row * self.across + column)
    }

    /// Rows of a tile that are some.
    pub(super) fn rows_of(self, row: u64) -> u64 {
        self.rows.saturating_sub(row * TILE_ROWS).min(TILE_ROWS)
    }
}

pub(super) fn tile(number: u64) -> Tile {
    Tile(u8::try_from(number).expect("tile registers are few"))
}

impl NestLowering<'_> {
    /// Whether the nest's sum is one of products of tiles.
    pub(super) fn find_tiling(&self) -> Option<Tiling> {
        let [accumulator] = self.nest.accumulators[..] else { return None };
        let &axis = self.nest.reduce.last()?;
        let has = self.around.isa.has_tiles() && self.lanes == LANES;
        if !has || accumulator.op != ReduceOp::Sum || self.vector_is_reduced() {
            return None;
        }
        let (products, count) = self.tile_products(accumulator.term)?;
        let Product { x, y } = products[0];
        let sum = self.nest.dag.dtype(accumulator.term);
        let of = product_of(self.places[x].dtype, self.places[y].dtype, sum)?;
        let terms = TILE_ROW_BYTES / self.places[x].dtype.bytes();
        let in_rows = self.places[x].depth.is_none();
        let rows = match in_rows {
            true => self.rows_apart(self.places[x], self.places[y], axis)?,
            false => self.rows_of(self.places[x], (axis, terms))?,
        };
        let tile = self.rows_in_tile(rows)?;
        let position = |of: AxisId| self.nest.outer.iter().position(|&axis| axis == of);
        let passes_y = position(self.nest.micro.vector?) > position(rows);
        let found = Tiling { of, axis, rows, tile, products, count, terms, in_rows, passes_y };
        (self.has_columns(found) && self.fits(found) && self.is_short(found)).then_some(found)
    }

    /// The products that a term is the sum of, and how many; those that are none repeat the first.
    fn tile_products(&self, term: NodeId) -> Option<([Product; PRODUCTS_MAX], usize)> {
        let (mut found, mut sums) = (vec![], vec![term]);
        while let Some(id) = sums.pop() {
            match self.nest.dag.node(id) {
                _ if sums.len() + found.len() >= PRODUCTS_MAX => return None,
                Node::Binary(BinaryOp::Add, x, y) => sums.extend([y, x]),
                Node::Binary(BinaryOp::Mul, x, y) => found.push(self.tile_product(x, y)?),
                _ => return None,
            }
        }
        let &first = found.first()?;
        let like = |place: usize, other: usize| {
            let (place, other) = (self.places[place], self.places[other]);
            let is_own = |place: &Place| matches!(place.base, Base::Scratch(_));
            place.dtype == other.dtype
                && is_own(place) == is_own(other)
                && place.picks == other.picks
                && place.packed == other.packed
                && place.terms == other.terms
                && place.panels == other.panels
                && place.depth == other.depth
        };
        let alike = |of: &Product| like(of.x, first.x) && like(of.y, first.y);
        let mut products = [first; PRODUCTS_MAX];
        products.get_mut(..found.len())?.copy_from_slice(&found);
        found.iter().all(alike).then_some((products, found.len()))
    }

    /// The places of a product, the factor that is the same in all lanes first.
    fn tile_product(&self, x: NodeId, y: NodeId) -> Option<Product> {
        let (x, y) = (self.tile_factor(x)?, self.tile_factor(y)?);
        let is_x = self.vector_stride_of(x) == 0;
        Some(if is_x { Product { x, y } } else { Product { x: y, y: x } })
    }

    /// The place that a factor widens.
    fn tile_factor(&self, id: NodeId) -> Option<usize> {
        let Node::Cast(narrow) = self.nest.dag.node(id) else { return None };
        let Node::Load(place) = self.nest.dag.node(narrow) else { return None };
        Some(place as usize)
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
        let is_own = matches!(place.base, Base::Scratch(_));
        rows.filter(|_| place.depth == Some(depth) && is_own)
    }

    /// The axis of the result along which a place has rows whose terms lie side by side; the other factor is the same in
    /// all of them.
    fn rows_apart(&self, place: &Place, other: &Place, axis: AxisId) -> Option<AxisId> {
        let bytes = place.dtype.bytes().cast_signed();
        let near = place.term(axis).is_some_and(|term| term.stride_bytes == bytes);
        let plain = place.panels.is_empty() && place.picks.is_empty() && !place.packed;
        let is_row = |of: &AxisId| place.term(*of).is_some() && other.term(*of).is_none();
        let rows = self.nest.outer.iter().copied().filter(is_row);
        let rows = rows.max_by_key(|&of| (self.tile_of(of), self.block(of).lengths().max()));
        rows.filter(|_| near && plain)
    }

    /// Whether the second factor has its groups side by side.
    fn has_columns(&self, found: Tiling) -> bool {
        let place = self.places[found.y()];
        let count = found.of.count();
        let in_groups = place.panel_of(found.axis).is_some_and(|panel| panel.width == count);
        matches!(place.base, Base::Scratch(_))
            && place.depth == Some((found.axis, count))
            && self.vector_stride_of(found.y()) == GROUP_BYTES
            && place.term(found.rows).is_none()
            && in_groups
    }

    /// Rows of the register tile in whole tiles. Rests of several lengths are done by one tile, as long as the longest, which
    /// must not read behind a copy in tiles: then it is the shortest.
    fn rows_in_tile(&self, rows: AxisId) -> Option<u64> {
        let tile = self.tile_of(rows);
        let most = self.block(rows).lengths().max().unwrap_or(0);
        match tile.is_multiple_of(TILE_ROWS) {
            true if self.rests(rows, tile).len() > 1 => Some(TILE_ROWS),
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
        let counts = Counts { down: found.tile / TILE_ROWS, across, rows: found.tile };
        let terms = self.rests(found.axis, found.terms);
        // Rows that are none, and parts of groups, must not be read where nothing is behind them.
        let whole = terms.iter().all(|rest| rest.is_multiple_of(found.of.count()));
        let exact = whole && self.rests(found.rows, found.tile).len() <= 1;
        let fits = single && self.nest.outer.contains(&vector) && counts.fit();
        fits && terms.len() <= 1 && (exact || !found.in_rows)
    }

    /// What steps leave of the blocks of an axis.
    fn rests(&self, axis: AxisId, step: u64) -> Vec<u64> {
        let lengths = self.block(axis).lengths();
        let mut rests: Vec<u64> = lengths.map(|length| length % step).collect();
        rests.retain(|&rest| rest != 0);
        rests.dedup();
        rests
    }

    /// Whether the last product is added behind all others.
    pub(super) fn rises(&self, found: Tiling) -> bool {
        self.nest.micro.rising && found.count > 1
    }

    /// Whether no sum has more additions in a row than it may: each product of tiles adds one to those inside of it.
    fn is_short(&self, found: Tiling) -> bool {
        let longest = |axis: AxisId| self.block(axis).lengths().max().unwrap_or(0);
        let steps = self.nest.reduce.iter().map(|&axis| match axis == found.axis {
            true => longest(axis).div_ceil(found.terms),
            false => longest(axis),
        });
        let steps = steps.fold(1, u64::saturating_mul);
        let additions = tile_additions(steps, found.count as u64, self.rises(found));
        // As many as where a chain of vectors is cut.
        let row = Row::new(self.nest.reduce.iter().map(|&axis| longest(axis)));
        let chain = self.nest.micro.chain;
        chain == 0 || additions <= row.additions(chain)
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
