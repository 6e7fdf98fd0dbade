//! What a form keeps in memory, and what its traversals make again instead.
//!
//! A reduction that only groups of rolls read, each along its stream, is made block by block in each of them. Any other is
//! stored whole. One that is then larger than the chip's memory, and than all tensors of the call together, would decide
//! how long the axes may be.
//! Invariant: as the planner does (`plan::build`), up to what a schedule still chooses.

use super::cost::{Cone, Traversal};
use crate::base::AxisSet;
use crate::graph::{Graph, NodeId, Op, Rolls};
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet};

/// The reductions that are made again by each of the traversals that read them, and by how many.
pub(super) fn times_made(
    graph: &Graph,
    cones: &BTreeMap<Traversal, Cone>,
) -> BTreeMap<NodeId, usize> {
    let rolls = Rolls::of(graph);
    let mut made: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut stored: BTreeSet<NodeId> = BTreeSet::new();
    for ((_, is_map, stream), cone) in cones {
        let rolled = cone.heads.iter().all(|head| rolls.member[head.index()].is_some());
        for &read in &cone.reads {
            let node = graph.node(read);
            let apart = rolls.member[read.index()].is_none();
            let inside = !is_map && rolled && node.axes.contains_all(*stream);
            match apart && inside && matches!(node.op, Op::Reduce(..)) {
                true => *made.entry(read).or_default() += 1,
                false => _ = stored.insert(read),
            }
        }
    }
    made.retain(|id, _| !stored.contains(id));
    made
}

/// How many reductions are stored whole and larger than anything else.
pub(super) fn large(graph: &Graph, target: &Target, made: &BTreeMap<NodeId, usize>) -> u32 {
    let bytes = |axes: AxisSet, bits: u32| -> f64 {
        let volume: f64 = axes.iter().map(|axis| graph.axes.extent(axis) as f64).product();
        volume * f64::from(bits) / 8.0
    };
    let outputs = graph.outputs.iter().map(|output| &output.tensor);
    let tensors: f64 = graph
        .inputs
        .iter()
        .chain(outputs)
        .map(|tensor| bytes(tensor.axes.iter().copied().collect(), tensor.dtype.bits()))
        .sum();
    let on_chip = ["L1", "L2", "L3"].map(|name| target.memory_bytes(name) as f64);
    let most = on_chip.into_iter().fold(tensors, f64::max);
    let is_large = |id: &NodeId| {
        let node = graph.node(*id);
        let reduces = matches!(node.op, Op::Reduce(..) | Op::Roll(..) | Op::Scan(..));
        reduces && bytes(node.axes, node.dtype.bits()) > most && !made.contains_key(id)
    };
    u32::try_from(graph.ids().filter(is_large).count()).unwrap_or(u32::MAX)
}
