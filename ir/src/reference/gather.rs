//! Elements at computed places: the reference's gather, a row at a time.
//!
//! An index outside of its axis means the nearest element, and an empty axis means 0. An index with an allowance may be
//! another one in an honest computation, so the element is undecided.
//! Invariant: the value read from is whole along every replaced axis, since no such axis is ever cut.

use super::HostTensor;
use super::real::Real;
use super::rows::{Block, Row};
use super::rules::UNDECIDED;
use super::steps::Values;
use crate::base::AxisId;
use crate::graph::{Graph, NodeId, Op};

/// Where the elements lie.
#[derive(Debug)]
enum Table<'a, R> {
    Block(&'a Block<R>),
    Input(&'a HostTensor),
}

/// An axis that stays: its stride and the coordinate of its first element.
#[derive(Debug)]
struct Kept {
    axis: AxisId,
    stride: usize,
    start: usize,
}

/// A replaced axis: the row of its indices, its stride and its extent.
#[derive(Debug)]
struct Pick {
    slot: usize,
    stride: usize,
    extent: usize,
}

/// A value read at computed places.
#[derive(Debug)]
pub(super) struct Gather<'a, R> {
    table: Table<'a, R>,
    kept: Vec<Kept>,
    picks: Vec<Pick>,
}

impl<'a, R: Real> Gather<'a, R> {
    /// The gather from `x`, which is an input or held, with the rows of the indices by axis.
    pub(super) fn new(
        graph: &Graph,
        values: &'a impl Values<R>,
        x: NodeId,
        slots: &[(AxisId, usize)],
    ) -> Self {
        let (table, axes): (_, Vec<(AxisId, usize, usize)>) =
            match (values.block(x), graph.node(x).op) {
                (Some(block), _) => {
                    let places = block.axes.iter().zip(&block.strides).zip(&block.start);
                    let axes = places.map(|((&axis, &stride), &start)| (axis, stride, start));
                    (Table::Block(block), axes.collect())
                }
                (None, Op::Input(input)) => {
                    let data = values.input(input);
                    let axes = graph.inputs[input].axes.iter().copied().zip(data.strides());
                    (Table::Input(data), axes.map(|(axis, stride)| (axis, stride, 0)).collect())
                }
                _ => unreachable!("what is gathered from is an input or held"),
            };
        let mut gather = Self { table, kept: vec![], picks: vec![] };
        for (axis, stride, start) in axes {
            match slots.iter().find(|slot| slot.0 == axis) {
                Some(&(_, slot)) => {
                    let extent = graph.axes.extent(axis) as usize;
                    gather.picks.push(Pick { slot, stride, extent });
                }
                None => gather.kept.push(Kept { axis, stride, start }),
            }
        }
        gather
    }

    /// Fills a row from the coordinates `at` on along the row axis.
    pub(super) fn fill(
        &self,
        rows: &[Row<R>],
        (at, row_axis): (&[usize], Option<AxisId>),
        row: &mut Row<R>,
        count: usize,
    ) {
        row.overflow = false;
        row.exact = true;
        if self.picks.iter().any(|pick| pick.extent == 0) {
            return row.values[..count].fill(R::default());
        }
        let place = |kept: &Kept| (at[kept.axis.index()] - kept.start) * kept.stride;
        let base: usize = self.kept.iter().map(place).sum();
        let along = self.kept.iter().find(|kept| Some(kept.axis) == row_axis);
        let along = along.map_or(0, |kept| kept.stride);
        for index in 0..count {
            let mut place = base + index * along;
            let mut doubt = false;
            for pick in &self.picks {
                let row = &rows[pick.slot];
                let found = row.values[index].high().clamp(0.0, (pick.extent - 1) as f64);
                place += found as usize * pick.stride;
                doubt |= row.allowance(index) > 0.0;
            }
            let (value, allowance) = match self.table {
                Table::Input(data) => (R::of(data.get(place)), 0.0),
                Table::Block(block) => (block.values[place], block.allowance(place)),
            };
            row.values[index] = value;
            row.allowances[index] = if doubt { UNDECIDED } else { allowance };
            row.exact &= row.allowances[index] == 0.0;
        }
        if let Table::Block(block) = self.table {
            row.overflow = block.overflow;
        }
    }
}
