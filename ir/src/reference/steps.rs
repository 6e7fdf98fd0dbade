//! The steps of a kernel: the operations between held blocks and inputs below one node, operands first.
//!
//! Invariant: nothing here recurses, since a chain of operations may be tens of thousands long.

use super::freedom::Freedom;
use super::gather::Gather;
use super::real::Real;
use super::rows::Block;
use super::{HostTensor, tensor};
use crate::base::{AxisId, DType};
use crate::graph::{Graph, NodeId, Op};

/// What a kernel may read.
pub(super) trait Values<R> {
    /// The inputs of the graph.
    fn input(&self, input: usize) -> &HostTensor;
    /// The block of a held node that is computed already.
    fn block(&self, node: NodeId) -> Option<&Block<R>>;
}

/// Where a step of a kernel takes its row from.
#[derive(Debug)]
pub(super) enum Source<'a, R> {
    Block(&'a Block<R>),
    Input(&'a HostTensor, Vec<(AxisId, usize)>),
    Splat(f64),
    Index(AxisId),
    Gather(Gather<'a, R>),
    Compute(Op, [usize; 3]),
}

/// One operation, or a reading.
#[derive(Debug)]
pub(super) struct Step<'a, R> {
    pub(super) source: Source<'a, R>,
    pub(super) dtype: DType,
    /// The type of the first operand.
    pub(super) from: DType,
    /// Whether the judge allows for the rounding of this conversion.
    pub(super) last_rounding: bool,
    /// Which factors of a product may be zeros made by a mask.
    pub(super) masked: [bool; 2],
    /// Whether it is an exponential that other forms take about a pivot.
    pub(super) unpivoted: bool,
    /// What other forms may do to it.
    pub(super) freedom: Freedom,
    /// Whether it is a choice that may mask an exponential about a pivot.
    pub(super) masks_pivot: bool,
}

/// The values whose rows the operation of a node reads: of a gather only the indices.
fn read_by(op: Op) -> Vec<NodeId> {
    match op {
        Op::Gather(_, picks) => picks.iter().map(|(_, index)| index).collect(),
        op => op.operands().collect(),
    }
}

/// The nodes that a kernel computes or reads, operands first.
pub(super) fn needed<R>(graph: &Graph, values: &impl Values<R>, root: NodeId) -> Vec<NodeId> {
    let mut marked = vec![false; root.index() + 1];
    marked[root.index()] = true;
    let upto: Vec<NodeId> = graph.ids().take(root.index() + 1).collect();
    for &id in upto.iter().rev() {
        if marked[id.index()] && values.block(id).is_none() {
            for operand in read_by(graph.node(id).op) {
                marked[operand.index()] = true;
            }
        }
    }
    upto.into_iter().filter(|id| marked[id.index()]).collect()
}

/// Where a node's rows come from, and the type of its first operand.
pub(super) fn source<'a, R: Real>(
    graph: &Graph,
    values: &'a impl Values<R>,
    id: NodeId,
    slots: &[Option<usize>],
) -> (Source<'a, R>, DType) {
    let node = graph.node(id);
    let slot = |id: NodeId| slots[id.index()].expect("operands come first");
    let source = match (values.block(id), node.op) {
        (Some(block), _) => Source::Block(block),
        (None, Op::Input(input)) => {
            let data = values.input(input);
            let axes = graph.inputs[input].axes.iter().copied();
            Source::Input(data, axes.zip(data.strides()).collect())
        }
        (None, Op::Literal(value)) => Source::Splat(tensor::round_to(node.dtype, value)),
        (None, Op::Len(axis)) => Source::Splat(graph.axes.extent(axis) as f64),
        (None, Op::Index(axis)) => Source::Index(axis),
        (None, Op::Gather(x, picks)) => {
            let picks: Vec<_> = picks.iter().map(|(axis, index)| (axis, slot(index))).collect();
            Source::Gather(Gather::new(graph, values, x, &picks))
        }
        (None, op) => {
            let mut operands = [0; 3];
            for (place, operand) in operands.iter_mut().zip(op.operands()) {
                *place = slot(operand);
            }
            let from = op.operands().next().map_or(node.dtype, |x| graph.node(x).dtype);
            return (Source::Compute(op, operands), from);
        }
    };
    (source, node.dtype)
}
