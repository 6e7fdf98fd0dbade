//! Sums of products: S = sum x y and A = sum |x y|, and where x or y has allowances E = sum of those of the terms,
//! all in one pass over packed panels.
//!
//! Invariant: the terms of an element are added in blocks of `BLOCK` in axis order, each block from 0, then the
//! blocks one after the other; tiles and chunks do not change that.

use super::HostTensor;
use super::chunk::Region;
use super::program::{Contraction, Program};
use super::real::Real;
use super::reduce::finish_sum;
use super::rows::Block;
use super::rules::{self, UNDECIDED};
use super::steps::Values;
use crate::base::{AxisId, AxisSet, BinaryOp, DType};
use crate::graph::{NodeId, Op};

/// Terms added before their sum goes to the total.
const BLOCK: usize = 256;
/// Rows and columns of the tile of sums that is kept in registers.
const TILE_M: usize = 2;
const TILE_N: usize = 4;

/// An operand: where its elements are.
struct Operand<'a, R> {
    block: Option<&'a Block<R>>,
    input: Option<&'a HostTensor>,
    exact: bool,
    /// Whether it is an input whose subnormal numbers may be flushed as they are widened.
    flushes: bool,
    /// Axis, start of the block along it, stride.
    places: Vec<(AxisId, usize, usize)>,
}

impl<'a, R: Real> Operand<'a, R> {
    fn new(program: &Program<'_>, values: &'a impl Values<R>, node: NodeId) -> Self {
        let block = values.block(node);
        if let Some(block) = block {
            let places = block.axes.iter().zip(&block.start).zip(&block.strides);
            let places = places.map(|((&axis, &start), &stride)| (axis, start, stride)).collect();
            let exact = block.allowances.is_empty();
            return Self { block: Some(block), input: None, exact, flushes: false, places };
        }
        let Op::Input(input) = program.graph.node(node).op else {
            unreachable!("an operand of a contraction is held or an input")
        };
        let data = values.input(input);
        let axes = program.graph.inputs[input].axes.iter();
        let places = axes.zip(data.strides()).map(|(&axis, stride)| (axis, 0, stride)).collect();
        let flushes = program.graph.inputs[input].dtype == DType::Bf16;
        Self { block: None, input: Some(data), exact: true, flushes, places }
    }

    /// Offsets of all coordinates of some axes in a region, row-major in the order given.
    fn offsets(&self, axes: &[AxisId], region: &Region) -> Vec<usize> {
        axes.iter().fold(vec![0], |bases, &axis| {
            let place = self.places.iter().find(|place| place.0 == axis);
            let (start, stride) = place.map_or((region.start(axis), 0), |place| (place.1, place.2));
            let first = (region.start(axis) - start) * stride;
            let range = 0..region.len(axis);
            bases
                .iter()
                .flat_map(|base| range.clone().map(move |index| base + first + index * stride))
                .collect()
        })
    }

    fn get(&self, position: usize) -> (R, f64) {
        match (self.block, self.input) {
            (Some(block), _) => (block.values[position], block.allowance(position)),
            (None, Some(input)) => {
                let value = input.get(position);
                (R::of(value), if self.flushes { rules::flushed(DType::Bf16, value) } else { 0.0 })
            }
            (None, None) => unreachable!("an operand has a source"),
        }
    }

    /// Packs `width` lines of a range of terms term by term into panels, missing lines as zeros.
    fn pack(
        &self,
        base: usize,
        lines: &[usize],
        terms: &[usize],
        width: usize,
        to: &mut Packed<R>,
    ) {
        let panels = lines.len().div_ceil(width);
        to.values.clear();
        to.values.resize(panels * width * terms.len(), R::default());
        to.allowances.clear();
        if !self.exact {
            to.allowances.resize(to.values.len(), 0.0);
        }
        let contiguous = terms.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let mut buffer = [0.0; BLOCK];
        for (line, &offset) in lines.iter().enumerate() {
            let place = (line / width) * width * terms.len() + line % width;
            let slots = to.values[place..].iter_mut().step_by(width).zip(terms);
            match (self.block, self.input) {
                (Some(block), _) => {
                    slots.for_each(|(slot, term)| *slot = block.values[base + offset + term]);
                }
                (None, Some(input)) if contiguous => {
                    input.read(base + offset + terms[0], 1, &mut buffer[..terms.len()]);
                    slots.zip(&buffer).for_each(|((slot, _), &value)| *slot = R::of(value));
                }
                (None, Some(input)) => {
                    slots.for_each(|(slot, term)| *slot = R::of(input.get(base + offset + term)));
                }
                (None, None) => {}
            }
            if let Some(block) = self.block.filter(|_| !self.exact) {
                let slots = to.allowances[place..].iter_mut().step_by(width).zip(terms);
                slots.for_each(|(slot, term)| *slot = block.allowances[base + offset + term]);
            }
        }
        if self.flushes {
            let flushed = |value: &R| rules::flushed(DType::Bf16, value.high());
            if to.values.iter().any(|value| flushed(value) > 0.0) {
                to.allowances.extend(to.values.iter().map(flushed));
            }
        }
    }

    /// Whether no factor may be something else.
    fn is_certain(&self) -> bool {
        self.exact && !self.flushes
    }
}

/// Panels of an operand: for each panel, for each term, its lines.
#[derive(Default)]
struct Packed<R> {
    values: Vec<R>,
    allowances: Vec<f64>,
}

/// Sums under way of a tile.
struct Tile<R> {
    sums: [[R; TILE_N]; TILE_M],
    magnitudes: [[f64; TILE_N]; TILE_M],
    allowances: [[f64; TILE_N]; TILE_M],
}

/// Totals of all elements of one batch, row-major.
struct Totals<R> {
    sums: Vec<R>,
    magnitudes: Vec<f64>,
    allowances: Vec<f64>,
    columns: usize,
}

/// The offsets of one contraction in a region.
struct Plan<'a, R> {
    left: Operand<'a, R>,
    right: Operand<'a, R>,
    left_lines: Vec<usize>,
    right_lines: Vec<usize>,
    left_terms: Vec<usize>,
    right_terms: Vec<usize>,
    product: DType,
    /// Which factors may be zeros made by a mask.
    masked: [bool; 2],
    /// Whether other forms may have a number where infinities make this sum NaN.
    grouped: bool,
}

/// Computes a contraction over a region.
pub(super) fn contract<R: Real>(
    program: &Program<'_>,
    values: &impl Values<R>,
    contraction: Contraction,
    node: NodeId,
    region: &Region,
) -> Block<R> {
    let graph = program.graph;
    let axes_of = |node: NodeId| graph.node(node).axes;
    let (a, b) = (axes_of(contraction.left), axes_of(contraction.right));
    let sorted = |axes: AxisSet| program.sorted(axes);
    let (batch, rows, columns) =
        (sorted((a & b) - contraction.inner), sorted(a - b), sorted(b - a));
    let inner = sorted(contraction.inner);
    let left = Operand::new(program, values, contraction.left);
    let right = Operand::new(program, values, contraction.right);
    let plan = Plan {
        left_lines: left.offsets(&rows, region),
        right_lines: right.offsets(&columns, region),
        left_terms: left.offsets(&inner, region),
        right_terms: right.offsets(&inner, region),
        product: graph.node(contraction.product).dtype,
        masked: program.masked[contraction.product.index()],
        grouped: program.freedoms[node.index()].grouped,
        left,
        right,
    };
    let mut result = Block::new(sorted(axes_of(node)), region);
    let places = |axes: &[AxisId]| -> Vec<usize> {
        axes.iter().fold(vec![0], |bases, &axis| {
            let (stride, range) = (result.stride(axis), 0..region.len(axis));
            bases.iter().flat_map(|base| range.clone().map(move |i| base + i * stride)).collect()
        })
    };
    let (to_batch, to_row, to_column) = (places(&batch), places(&rows), places(&columns));
    let left_batch = plan.left.offsets(&batch, region);
    let right_batch = plan.right.offsets(&batch, region);
    let dtype = graph.node(node).dtype;
    for (index, &to) in to_batch.iter().enumerate() {
        let totals = plan.totals(left_batch[index], right_batch[index]);
        for (m, row) in to_row.iter().enumerate() {
            for (n, column) in to_column.iter().enumerate() {
                let (value, e) =
                    plan.finish(&totals, (m, n), (left_batch[index], right_batch[index]), dtype);
                let e = program.allow(node, value.high(), e);
                result.put(to + row + column, dtype, value, e);
            }
        }
    }
    result
}

impl<R: Real> Block<R> {
    fn put(&mut self, position: usize, dtype: DType, value: R, allowance: f64) {
        self.values[position] = value;
        if allowance != 0.0 {
            if self.allowances.is_empty() {
                self.allowances.resize(self.values.len(), 0.0);
            }
            self.allowances[position] = allowance;
        }
        self.overflow |= dtype.is_float() && rules::overflows(dtype, value.high(), allowance);
    }
}

impl<R: Real> Plan<'_, R> {
    fn totals(&self, left_base: usize, right_base: usize) -> Totals<R> {
        let (rows, columns) = (self.left_lines.len(), self.right_lines.len());
        let count = rows * columns;
        let inexact = !self.left.is_certain() || !self.right.is_certain();
        let mut totals = Totals {
            sums: vec![R::default(); count],
            magnitudes: vec![0.0; count],
            allowances: vec![0.0; if inexact { count } else { 0 }],
            columns,
        };
        let (mut left, mut right) = (Packed::default(), Packed::default());
        let blocks = self.left_terms.chunks(BLOCK).zip(self.right_terms.chunks(BLOCK));
        for (left_terms, right_terms) in blocks {
            self.left.pack(left_base, &self.left_lines, left_terms, TILE_M, &mut left);
            self.right.pack(right_base, &self.right_lines, right_terms, TILE_N, &mut right);
            let terms = left_terms.len();
            for n in 0..columns.div_ceil(TILE_N) {
                for m in 0..rows.div_ceil(TILE_M) {
                    let tile =
                        multiply(&left, m * TILE_M * terms, &right, n * TILE_N * terms, terms);
                    totals.add(&tile, m * TILE_M, n * TILE_N, rows);
                }
            }
        }
        totals
    }

    /// Value and allowance of an element, the products' own rounding u |x y| included.
    fn finish(
        &self,
        totals: &Totals<R>,
        (m, n): (usize, usize),
        bases: (usize, usize),
        dtype: DType,
    ) -> (R, f64) {
        let position = m * totals.columns + n;
        let sum = totals.sums[position];
        let magnitude = totals.magnitudes[position];
        let handed = totals.allowances.get(position).copied().unwrap_or(0.0);
        let terms = self.left_terms.len() as f64;
        if !sum.is_finite() {
            let doubt = self.doubt(sum, bases, (m, n));
            let meets = || sum.high().is_infinite() && self.finite_overflow(bases, (m, n), dtype);
            return (sum, if doubt == 0.0 && meets() { UNDECIDED } else { doubt });
        }
        if self.meets_overflow(bases, (m, n)) {
            return (sum, UNDECIDED);
        }
        let handed = if handed.is_nan() { UNDECIDED } else { handed };
        let product = self.product;
        let rounding = if product.is_float() && (magnitude > 0.0 || handed > 0.0) {
            product.unit_roundoff() * magnitude + terms * product.min_normal()
        } else {
            0.0
        };
        finish_sum(dtype, terms, sum, magnitude, handed + rounding)
    }

    /// Whether a factor of some term is beyond its type, so that an honest computation has an infinity in its place.
    fn meets_overflow(&self, bases: (usize, usize), (m, n): (usize, usize)) -> bool {
        let overflow = |operand: &Operand<'_, R>, base: usize, terms: &[usize]| {
            let beyond = |&term: &usize| {
                let (value, e) = operand.get(base + term);
                rules::overflows(self.product, value.high(), e)
            };
            operand.block.is_some_and(|block| block.overflow) && terms.iter().any(beyond)
        };
        overflow(&self.left, bases.0 + self.left_lines[m], &self.left_terms)
            || overflow(&self.right, bases.1 + self.right_lines[n], &self.right_terms)
    }

    /// Whether the finite terms of an infinite sum overflow: they may make another infinity, of the other sign.
    fn finite_overflow(&self, bases: (usize, usize), (m, n): (usize, usize), dtype: DType) -> bool {
        let (left, right) = (bases.0 + self.left_lines[m], bases.1 + self.right_lines[n]);
        let sizes = self.left_terms.iter().zip(&self.right_terms).map(|(&i, &j)| {
            let ((x, ex), (y, ey)) = (self.left.get(left + i), self.right.get(right + j));
            (x.high().abs() + ex) * (y.high().abs() + ey)
        });
        let finite: f64 = sizes.filter(|size| size.is_finite()).sum();
        finite > self.product.max_finite().min(dtype.max_finite())
    }

    /// Whether a sum that is not finite could be something else: the terms one by one.
    fn doubt(&self, sum: R, bases: (usize, usize), (m, n): (usize, usize)) -> f64 {
        let made = sum.high().is_nan() && (self.grouped || self.product == DType::F64);
        if self.left.is_certain() && self.right.is_certain() && !made && self.masked == [false; 2] {
            return 0.0;
        }
        let (left, right) = (bases.0 + self.left_lines[m], bases.1 + self.right_lines[n]);
        let mut undecided = false;
        for (&i, &j) in self.left_terms.iter().zip(&self.right_terms) {
            let ((x, ex), (y, ey)) = (self.left.get(left + i), self.right.get(right + j));
            let (x, y) = (x.high(), y.high());
            if rules::masked(self.masked, (x, ex), (y, ey)) == UNDECIDED {
                undecided = true;
                continue;
            }
            if x.is_nan() && ex == 0.0 || y.is_nan() && ey == 0.0 {
                // Whatever the other terms are, the sum is not a number.
                return 0.0;
            }
            undecided |= rules::binary(BinaryOp::Mul, (x, ex), (y, ey), x * y) == UNDECIDED;
        }
        // What infinities make is undecided in f64, see `rules::made_nan`, and in another grouping.
        if undecided || made { UNDECIDED } else { 0.0 }
    }
}

impl<R: Real> Totals<R> {
    fn add(&mut self, tile: &Tile<R>, m: usize, n: usize, rows: usize) {
        let width = TILE_N.min(self.columns - n);
        for row in 0..TILE_M.min(rows - m) {
            let range = (m + row) * self.columns + n..(m + row) * self.columns + n + width;
            let sums = self.sums[range.clone()].iter_mut().zip(tile.sums[row]);
            sums.for_each(|(total, part)| *total = *total + part);
            let magnitudes = self.magnitudes[range.clone()].iter_mut().zip(tile.magnitudes[row]);
            magnitudes.for_each(|(total, part)| *total += part);
            if !self.allowances.is_empty() {
                let allowances = self.allowances[range].iter_mut().zip(tile.allowances[row]);
                allowances.for_each(|(total, part)| *total += part);
            }
        }
    }
}

fn multiply<R: Real>(
    left: &Packed<R>,
    left_at: usize,
    right: &Packed<R>,
    right_at: usize,
    terms: usize,
) -> Tile<R> {
    let mut tile = Tile {
        sums: [[R::default(); TILE_N]; TILE_M],
        magnitudes: [[0.0; TILE_N]; TILE_M],
        allowances: [[0.0; TILE_N]; TILE_M],
    };
    let (lefts, _) = left.values[left_at..][..terms * TILE_M].as_chunks::<TILE_M>();
    let (rights, _) = right.values[right_at..][..terms * TILE_N].as_chunks::<TILE_N>();
    let left_e = left.allowances.get(left_at..left_at + terms * TILE_M);
    let right_e = right.allowances.get(right_at..right_at + terms * TILE_N);
    let left_e = left_e.map(|slice| slice.as_chunks::<TILE_M>().0);
    let right_e = right_e.map(|slice| slice.as_chunks::<TILE_N>().0);
    match (left_e, right_e) {
        (None, None) => accumulate(&mut tile, lefts, rights),
        (Some(e), None) => accumulate_left(&mut tile, lefts, e, rights),
        (None, Some(e)) => accumulate_right(&mut tile, lefts, rights, e),
        (Some(e), Some(f)) => accumulate_both(&mut tile, (lefts, e), (rights, f)),
    }
    tile
}

fn accumulate<R: Real>(tile: &mut Tile<R>, lefts: &[[R; TILE_M]], rights: &[[R; TILE_N]]) {
    let (mut sums, mut magnitudes) = (tile.sums, tile.magnitudes);
    for (x, y) in lefts.iter().zip(rights) {
        for m in 0..TILE_M {
            for n in 0..TILE_N {
                let product = x[m] * y[n];
                sums[m][n] = sums[m][n] + product;
                magnitudes[m][n] += product.high().abs();
            }
        }
    }
    tile.sums = sums;
    tile.magnitudes = magnitudes;
}

/// `E += |y| e_x`.
fn accumulate_left<R: Real>(
    tile: &mut Tile<R>,
    lefts: &[[R; TILE_M]],
    left_e: &[[f64; TILE_M]],
    rights: &[[R; TILE_N]],
) {
    let (mut sums, mut magnitudes, mut allowances) = (tile.sums, tile.magnitudes, tile.allowances);
    for ((x, e), y) in lefts.iter().zip(left_e).zip(rights) {
        for m in 0..TILE_M {
            for n in 0..TILE_N {
                let product = x[m] * y[n];
                sums[m][n] = sums[m][n] + product;
                magnitudes[m][n] += product.high().abs();
                allowances[m][n] += (e[m] * y[n].high()).abs();
            }
        }
    }
    *tile = Tile { sums, magnitudes, allowances };
}

/// `E += |x| e_y`.
fn accumulate_right<R: Real>(
    tile: &mut Tile<R>,
    lefts: &[[R; TILE_M]],
    rights: &[[R; TILE_N]],
    right_e: &[[f64; TILE_N]],
) {
    let (mut sums, mut magnitudes, mut allowances) = (tile.sums, tile.magnitudes, tile.allowances);
    for ((y, e), x) in rights.iter().zip(right_e).zip(lefts) {
        for m in 0..TILE_M {
            for n in 0..TILE_N {
                let product = x[m] * y[n];
                sums[m][n] = sums[m][n] + product;
                magnitudes[m][n] += product.high().abs();
                allowances[m][n] += (e[n] * x[m].high()).abs();
            }
        }
    }
    *tile = Tile { sums, magnitudes, allowances };
}

/// `E += (|x| + e_x) e_y + |y| e_x`.
fn accumulate_both<R: Real>(
    tile: &mut Tile<R>,
    (lefts, left_e): (&[[R; TILE_M]], &[[f64; TILE_M]]),
    (rights, right_e): (&[[R; TILE_N]], &[[f64; TILE_N]]),
) {
    let (mut sums, mut magnitudes, mut allowances) = (tile.sums, tile.magnitudes, tile.allowances);
    for ((x, e), (y, f)) in lefts.iter().zip(left_e).zip(rights.iter().zip(right_e)) {
        for m in 0..TILE_M {
            for n in 0..TILE_N {
                let product = x[m] * y[n];
                sums[m][n] = sums[m][n] + product;
                magnitudes[m][n] += product.high().abs();
                let reach = x[m].high().abs() + e[m];
                allowances[m][n] += reach * f[n] + (e[m] * y[n].high()).abs();
            }
        }
    }
    *tile = Tile { sums, magnitudes, allowances };
}
