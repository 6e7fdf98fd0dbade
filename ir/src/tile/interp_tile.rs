//! Blocks of values for the interpreter: f64 over a list of axes, combined by axis with broadcasting.
//!
//! Invariant: the axes of a block ascend by index, `values` is row-major over them, and an axis has the same number
//! of elements in all blocks that are combined, because all are evaluated at one position of the loops.

use crate::base::{AxisId, AxisSet, BinaryOp, DType, ReduceOp};
use crate::plan::start_value;
use crate::reference::scalar::{self, Fold};

/// Elements of the current block of every axis, and where the block begins.
#[derive(Clone, Debug)]
pub(super) struct Ranges(pub(super) Vec<(u64, u64)>);

impl Ranges {
    /// The first position of the current block.
    pub(super) fn start(&self, axis: AxisId) -> u64 {
        self.0[axis.index()].0
    }

    /// The number of elements of the current block.
    pub(super) fn count(&self, axis: AxisId) -> usize {
        let (start, end) = self.0[axis.index()];
        usize::try_from(end - start).expect("a block that is interpreted fits in memory")
    }
}

/// Values over some axes.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) axes: Vec<AxisId>,
    pub(super) values: Vec<f64>,
}

impl Block {
    /// One value without axes.
    pub(super) fn scalar(value: f64) -> Self {
        Self { axes: vec![], values: vec![value] }
    }

    /// A block over a set of axes, every element the same.
    pub(super) fn filled(axes: AxisSet, ranges: &Ranges, value: f64) -> Self {
        let axes: Vec<_> = axes.iter().collect();
        let count = axes.iter().map(|&axis| ranges.count(axis)).product();
        Self { axes, values: vec![value; count] }
    }

    fn set(&self) -> AxisSet {
        self.axes.iter().copied().collect()
    }

    /// The distance of neighbours along each of the `axes`; 0 along those that the block lacks.
    fn strides(&self, axes: &[AxisId], ranges: &Ranges) -> Vec<usize> {
        axes.iter()
            .map(|axis| match self.axes.iter().position(|own| own == axis) {
                Some(position) => {
                    self.axes[position + 1..].iter().map(|&inner| ranges.count(inner)).product()
                }
                None => 0,
            })
            .collect()
    }

    /// The block over more axes.
    pub(super) fn spread(self, axes: AxisSet, ranges: &Ranges) -> Self {
        if self.set() == axes { self } else { map(axes, ranges, [&self], |[x]| x) }
    }

    /// The values in another order of the axes, which contain all of this block's.
    pub(super) fn in_order(&self, axes: &[AxisId], ranges: &Ranges) -> Vec<f64> {
        let mut out = vec![];
        walk(axes, ranges, [self], |[x]| out.push(self.values[x]));
        out
    }

    /// The reduction over some axes; positions for `argmax` count from the start of the axis.
    pub(super) fn reduce(
        self,
        (op, dtype): (ReduceOp, DType),
        axes: AxisSet,
        ranges: &Ranges,
    ) -> Self {
        let kept = self.set() - axes;
        let x = self.spread(kept | axes, ranges);
        let mut out = Self::filled(kept, ranges, op.identity());
        let order: Vec<_> = kept.iter().chain(axes.iter()).collect();
        let steps: usize = axes.iter().map(|axis| ranges.count(axis)).product();
        let mut values = x.in_order(&order, ranges).into_iter();
        let first = axes.iter().next().map_or(0, |axis| ranges.start(axis));
        for result in &mut out.values {
            let terms = values.by_ref().take(steps);
            *result = match op.fold() {
                Some(fold) => {
                    let start = Fold::new(fold, dtype, start_value(op, dtype).value);
                    terms.fold(start, Fold::with).value()
                }
                None => best(op, first, terms),
            };
        }
        out
    }

    /// The running reduction along one of the block's axes.
    pub(super) fn scan(
        mut self,
        (op, dtype): (ReduceOp, DType),
        axis: AxisId,
        ranges: &Ranges,
    ) -> Self {
        let Some(fold) = op.fold() else { return self };
        let stride = self.strides(&[axis], ranges)[0];
        let count = ranges.count(axis);
        let start = Fold::new(fold, dtype, start_value(op, dtype).value);
        let mut lanes = vec![start; self.values.len() / count.max(1)];
        for (position, value) in self.values.iter_mut().enumerate() {
            let lane = &mut lanes[position / (stride * count) * stride + position % stride];
            *lane = lane.with(*value);
            *value = lane.value();
        }
        self
    }
}

/// The first position of the largest or smallest; a NaN wins over every number.
fn best(op: ReduceOp, first: u64, terms: impl Iterator<Item = f64>) -> f64 {
    let mut found: Option<(usize, f64)> = None;
    for (position, term) in terms.enumerate() {
        let wins = match found {
            None => true,
            Some((_, old)) if old.is_nan() => false,
            Some((_, old)) if op == ReduceOp::Argmin => term.is_nan() || term < old,
            Some((_, old)) => term.is_nan() || term > old,
        };
        if wins {
            found = Some((position, term));
        }
    }
    found.map_or(op.identity(), |(position, _)| first as f64 + position as f64)
}

/// Combines blocks element by element over `axes`, which contain all of theirs.
pub(super) fn map<const N: usize>(
    axes: AxisSet,
    ranges: &Ranges,
    blocks: [&Block; N],
    f: impl Fn([f64; N]) -> f64,
) -> Block {
    let order: Vec<_> = axes.iter().collect();
    let mut values = vec![];
    walk(&order, ranges, blocks, |at| {
        values.push(f(std::array::from_fn(|index| blocks[index].values[at[index]])));
    });
    Block { axes: order, values }
}

/// Combines two blocks over the union of their axes.
pub(super) fn zip(x: &Block, y: &Block, ranges: &Ranges, f: impl Fn(f64, f64) -> f64) -> Block {
    map(x.set() | y.set(), ranges, [x, y], |[x, y]| f(x, y))
}

/// `c + sum over axes of a * b` in the type of c, in which integers wrap.
pub(super) fn contract(
    (axes, dtype): (AxisSet, DType),
    [a, b, c]: [&Block; 3],
    ranges: &Ranges,
) -> Block {
    let kept = ((a.set() | b.set()) - axes) | c.set();
    let outer: Vec<_> = kept.iter().collect();
    let inner: Vec<_> = axes.iter().collect();
    let steps: Vec<usize> = inner.iter().map(|&axis| ranges.count(axis)).collect();
    let (a_steps, b_steps) = (a.strides(&inner, ranges), b.strides(&inner, ranges));
    let mut pairs = vec![];
    odometer(&steps, [&a_steps, &b_steps], |at| pairs.push(at));
    let mut values = vec![];
    walk(&outer, ranges, [a, b, c], |[a_at, b_at, c_at]| {
        let term = |[i, j]: &[usize; 2]| {
            scalar::binary(BinaryOp::Mul, dtype, a.values[a_at + i], b.values[b_at + j])
        };
        let start = Fold::new(BinaryOp::Add, dtype, 0.0);
        let sum = pairs.iter().map(term).fold(start, Fold::with).value();
        values.push(scalar::binary(BinaryOp::Add, dtype, c.values[c_at], sum));
    });
    Block { axes: outer, values }
}

/// Visits every position over `axes`, the last fastest, with each block's offset there.
fn walk<const N: usize>(
    axes: &[AxisId],
    ranges: &Ranges,
    blocks: [&Block; N],
    visit: impl FnMut([usize; N]),
) {
    let counts: Vec<usize> = axes.iter().map(|&axis| ranges.count(axis)).collect();
    let strides = blocks.map(|block| block.strides(axes, ranges));
    odometer(&counts, strides.each_ref().map(Vec::as_slice), visit);
}

/// Visits every position of a box, the last digit fastest, with the offsets under each list of strides.
pub(super) fn odometer<const N: usize>(
    counts: &[usize],
    strides: [&[usize]; N],
    mut visit: impl FnMut([usize; N]),
) {
    if counts.contains(&0) {
        return;
    }
    let mut digits = vec![0; counts.len()];
    let mut offsets = [0; N];
    loop {
        visit(offsets);
        let mut position = counts.len();
        loop {
            if position == 0 {
                return;
            }
            position -= 1;
            digits[position] += 1;
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset += strides[position];
            }
            if digits[position] < counts[position] {
                break;
            }
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset -= strides[position] * counts[position];
            }
            digits[position] = 0;
        }
    }
}
