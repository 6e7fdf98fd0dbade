//! Scans over rows: every prefix along an axis is finished as the reduction that it is.
//!
//! The scanned axis is never cut into chunks, so a row starts with nothing folded.
//! Invariant: the allowance of a prefix of K elements is that of a reduction of these K elements.

use super::chunk::Region;
use super::execute::{Store, each, each_row};
use super::program::Program;
use super::real::Real;
use super::reduce::State;
use super::rows::{Block, Kernel, Row};
use crate::base::{AxisId, ReduceOp};
use crate::graph::NodeId;

/// Computes a scan of `x` over a region.
pub(super) fn scan<R: Real>(
    program: &Program<'_>,
    store: &Store<'_, R>,
    node: NodeId,
    (op, axis, x): (ReduceOp, AxisId, NodeId),
    region: &Region,
) -> Block<R> {
    let row_axis = program.row_axis(x, !program.held[x.index()]);
    let axes = program.sorted(program.graph.node(node).axes);
    let others: Vec<AxisId> =
        axes.iter().copied().filter(|&of| of != axis && Some(of) != row_axis).collect();
    let result = Block::new(axes, region);
    let mut scan = Scan {
        kernel: Kernel::new(program, store, x, row_axis),
        state: State::new(op, program.types(x, node), region.len(axis)),
        result,
        row: Row::new(),
        axis,
    };
    let mut at = region.start.clone();
    each(&others, region, &mut at, &mut |at| {
        if row_axis == Some(axis) {
            scan.along_rows(region, at);
        } else {
            each_row(row_axis, region, at, &mut |at, count| {
                scan.across_rows(row_axis, region, at, count);
            });
        }
    });
    scan.result
}

struct Scan<'a, R> {
    kernel: Kernel<'a, R>,
    state: State<R>,
    result: Block<R>,
    row: Row<R>,
    axis: AxisId,
}

impl<R: Real> Scan<'_, R> {
    /// The rows lie along the scanned axis: one running value.
    fn along_rows(&mut self, region: &Region, at: &mut [usize]) {
        self.state.clear();
        let stride = self.result.stride(self.axis);
        let dtype = self.state.dtype();
        each_row(Some(self.axis), region, at, &mut |at, count| {
            let before = at[self.axis.index()] - region.start(self.axis);
            let terms = self.kernel.run(at, count);
            let mut finished = Vec::with_capacity(count);
            for index in 0..count {
                self.state.step(0, terms, index, 0.0);
                finished.push(self.state.finish_of(0, before + index + 1));
            }
            self.row.fill_from(dtype, count, |index| finished[index]);
            self.result.store(self.result.position(at), stride, &self.row, count);
        });
    }

    /// The rows lie along another axis: a running value in each lane.
    fn across_rows(
        &mut self,
        row_axis: Option<AxisId>,
        region: &Region,
        at: &mut [usize],
        count: usize,
    ) {
        self.state.clear();
        let stride = row_axis.map_or(0, |axis| self.result.stride(axis));
        let (start, dtype) = (region.start(self.axis), self.state.dtype());
        for index in 0..region.len(self.axis) {
            at[self.axis.index()] = start + index;
            let terms = self.kernel.run(at, count);
            (0..count).for_each(|lane| self.state.step(lane, terms, lane, 0.0));
            let state = &self.state;
            self.row.fill_from(dtype, count, |lane| state.finish_of(lane, index + 1));
            self.result.store(self.result.position(at), stride, &self.row, count);
        }
        at[self.axis.index()] = start;
    }
}
