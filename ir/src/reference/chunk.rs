//! Cutting the outputs into chunks that fit the memory budget and keep the threads busy.
//!
//! Invariant: an axis that is reduced, scanned or gathered along anywhere is never cut, so a chunk holds all terms of its
//! sums and every element that an index may mean, and no result depends on the cut.

use super::program::Program;
use crate::base::{AxisId, AxisSet};
use crate::graph::{NodeId, Op};

/// Bytes that the held blocks of all chunks in work may take together.
const BYTES_MAX: u64 = 40 << 20;
/// Chunks below which an axis is cut for the threads' sake.
const CHUNKS_WANTED: u64 = 16;
/// Element operations below which a graph is one chunk.
const WORK_MIN: u64 = 1 << 14;

/// A box of coordinates: start and extent of every axis, by axis index.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) start: Vec<usize>,
    pub(super) len: Vec<usize>,
}

impl Region {
    pub(super) fn start(&self, axis: AxisId) -> usize {
        self.start[axis.index()]
    }

    pub(super) fn len(&self, axis: AxisId) -> usize {
        self.len[axis.index()]
    }

    pub(super) fn volume(&self, axes: &[AxisId]) -> usize {
        axes.iter().map(|&axis| self.len(axis)).product()
    }
}

/// How the axes are cut: the largest extent of a chunk along each axis, by axis index.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    extents: Vec<usize>,
    sizes: Vec<usize>,
    /// The axes that are cut into more than one piece.
    pub(super) axes: AxisSet,
}

impl Cut {
    /// Cuts a program for a number of threads.
    pub(super) fn new(program: &Program<'_>, threads: u64, element_bytes: u64) -> Self {
        let axes = &program.graph.axes;
        let extents: Vec<usize> = axes.ids().map(|axis| axes.extent(axis) as usize).collect();
        let mut cut = Self { sizes: extents.clone(), extents, axes: AxisSet::EMPTY };
        let candidates = candidates(program);
        let wanted = if work(program) < WORK_MIN { 1 } else { CHUNKS_WANTED };
        for floor in [32, 1] {
            for (position, &axis) in candidates.iter().enumerate() {
                // Outer axes may be cut to single elements at once; the last two keep whole tiles if they can.
                let floor = if position + 2 < candidates.len() { 1 } else { floor };
                while cut.sizes[axis.index()] > floor
                    && (cut.bytes(program, threads, element_bytes) > BYTES_MAX
                        || (cut.chunks() < wanted && floor > 1)
                        || (cut.chunks() < wanted && position + 2 < candidates.len()))
                {
                    cut.halve(axis);
                }
            }
        }
        cut
    }

    fn halve(&mut self, axis: AxisId) {
        let size = &mut self.sizes[axis.index()];
        *size = size.div_ceil(2);
        self.axes |= AxisSet::one(axis);
    }

    fn chunks(&self) -> u64 {
        self.extents.iter().zip(&self.sizes).map(|(&n, &s)| n.div_ceil(s.max(1)) as u64).product()
    }

    /// The elements of a chunk's block over these axes.
    pub(super) fn elements(&self, axes: AxisSet) -> u64 {
        axes.iter().fold(1, |n: u64, axis| n.saturating_mul(self.sizes[axis.index()] as u64))
    }

    fn bytes(&self, program: &Program<'_>, threads: u64, element_bytes: u64) -> u64 {
        held(program).fold(0, |sum: u64, node| {
            let axes = program.graph.node(node).axes;
            let copies = if axes.is_disjoint(self.axes) { 1 } else { threads };
            let scratch = if program.contractions[node.index()].is_some() { 2 } else { 1 };
            sum.saturating_add(
                self.elements(axes).saturating_mul(element_bytes).saturating_mul(copies * scratch),
            )
        })
    }

    /// All chunks in row-major order.
    pub(super) fn regions(&self) -> Vec<Region> {
        let mut regions = vec![Region { start: vec![], len: vec![] }];
        for (&extent, &size) in self.extents.iter().zip(&self.sizes) {
            let starts = (0..extent.max(1)).step_by(size.max(1));
            regions = (regions.iter())
                .flat_map(|region| {
                    starts.clone().map(move |start| {
                        let mut next = region.clone();
                        next.start.push(start);
                        next.len.push(size.min(extent - start.min(extent)));
                        next
                    })
                })
                .collect();
        }
        regions
    }

    /// The whole box, for nodes that lie across no cut.
    pub(super) fn whole(&self) -> Region {
        Region { start: vec![0; self.extents.len()], len: self.extents.clone() }
    }
}

fn held<'a>(program: &'a Program<'_>) -> impl Iterator<Item = NodeId> + 'a {
    program.graph.ids().filter(|node| program.held[node.index()])
}

fn work(program: &Program<'_>) -> u64 {
    held(program).fold(0, |sum: u64, node| {
        sum.saturating_add(program.graph.axes.volume(program.space(node)))
    })
}

/// The axes that may be cut, those first whose cut makes least work to be done again in each chunk.
fn candidates(program: &Program<'_>) -> Vec<AxisId> {
    let graph = program.graph;
    let reduced = graph.nodes.iter().fold(AxisSet::EMPTY, |set, node| match node.op {
        Op::Reduce(_, axes, _) => set | axes,
        Op::Scan(_, axis, _) => set.with(axis),
        Op::Gather(_, picks) => set | picks.axes(),
        _ => set,
    });
    let in_all = graph
        .outputs
        .iter()
        .fold(AxisSet::default(), |set, output| set | output.tensor.axes.iter().copied().collect());
    let in_all =
        graph.outputs.iter().fold(in_all, |set, output| set & graph.node(output.node).axes);
    let again = |axis: AxisId| {
        held(program)
            .filter(|&node| !program.space(node).contains(axis))
            .fold(0, |sum: u64, node| sum.saturating_add(graph.axes.volume(program.space(node))))
    };
    let mut axes = program.sorted(in_all - reduced);
    axes.sort_by_key(|&axis| again(axis));
    axes
}
