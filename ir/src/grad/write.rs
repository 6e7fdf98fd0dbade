//! The backward kernel as a graph of its own, and as text.
//!
//! It keeps the inputs that the gradients need, the axes of what is left, and of the `where` clause and the size sets what
//! speaks of these axes. Invariant: the axes stand in the table in the order in which the new signature names them, so
//! that the checker makes the same graph of the text.

use crate::base::{AxisId, AxisSet, AxisTable, CompareOp};
use crate::check::{CheckedKernel, Limit};
use crate::graph::{Extent, Graph, GraphBuilder, Node, NodeId, Op, Output, Split, Tensor};
use crate::rewrite::RuleClass;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The graph with the inputs and axes that it needs.
pub(super) fn pruned(graph: &Graph) -> Graph {
    let kept = kept_inputs(graph);
    let inputs: Vec<&Tensor> = kept.iter().map(|&position| &graph.inputs[position]).collect();
    let outputs = graph.outputs.iter().map(|output| &output.tensor);
    let tensors: Vec<&Tensor> = inputs.iter().copied().chain(outputs).collect();
    let whole = whole_splits(graph, &tensors);
    let order = order(graph, &whole, &tensors);
    let mut table = AxisTable::new();
    let mut places: BTreeMap<AxisId, AxisId> = BTreeMap::new();
    for &axis in &order {
        let new = table.intern(graph.axes.name(axis)).expect("there were no fewer axes before");
        if let (true, Some(extent)) = (graph.axes.is_fixed(axis), graph.axes.extent_if_bound(axis))
        {
            table.fix(new, extent);
        }
        places.insert(axis, new);
    }
    let map = Renaming { places };
    let mut builder = GraphBuilder::new(&graph.name);
    *builder.axes_mut() = table;
    for split in whole {
        builder.split(Split { axes: map.list(&split.axes), ..split.clone() });
    }
    let mut reads = BTreeMap::new();
    for &position in &kept {
        reads.insert(position, builder.declare(map.tensor(&graph.inputs[position])));
    }
    let mut copies: Vec<NodeId> = vec![];
    for id in graph.ids() {
        let node = graph.node(id);
        let copy = match node.op {
            Op::Input(position) => reads[&position],
            op => {
                let node = Node { op: map.op(op), axes: map.set(node.axes), ..*node };
                builder.copy(&node, |operand| copies[operand.index()])
            }
        };
        if let Some(name) = &graph.names[id.index()] {
            builder.name(copy, name);
        }
        copies.push(copy);
    }
    let output = |output: &Output| Output {
        tensor: map.tensor(&output.tensor),
        node: copies[output.node.index()],
    };
    let outputs = graph.outputs.iter().map(output).collect();
    Graph { permits: graph.permits, split: AxisSet::EMPTY, ..builder.finish(outputs) }
}

/// The inputs that the operations read, and those without which an axis of an operation would be in no tensor.
fn kept_inputs(graph: &Graph) -> Vec<usize> {
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    let mut needed = AxisSet::EMPTY;
    for node in &graph.nodes {
        needed |= node.axes;
        match node.op {
            Op::Input(position) => _ = kept.insert(position),
            Op::Len(axis) => needed = needed.with(axis),
            _ => {}
        }
    }
    let strides = |tensor: &Tensor| -> Vec<AxisId> {
        let terms = tensor.strides.iter().flatten().flat_map(|stride| stride.terms());
        terms.flat_map(|(axes, _)| axes.to_vec()).collect()
    };
    for &position in &kept {
        needed |= strides(&graph.inputs[position]).into_iter().collect();
    }
    let axes = |tensor: &Tensor| tensor.axes.iter().copied().collect::<AxisSet>();
    let outputs = graph.outputs.iter().map(|output| axes(&output.tensor));
    let mut present = outputs.fold(AxisSet::EMPTY, |all, axes| all | axes);
    present = kept.iter().fold(present, |all, &position| all | axes(&graph.inputs[position]));
    // A split stands with all of its parts, since sizes may name any of them.
    for split in graph.splits.iter().rev().chain(&graph.splits) {
        let parts: AxisSet = split.axes.iter().copied().collect();
        if !parts.is_disjoint(present | needed) {
            needed |= parts;
        }
    }
    for (position, input) in graph.inputs.iter().enumerate() {
        let missing = needed - present;
        let in_split = |axis| graph.splits.iter().any(|split| split.axes.contains(&axis));
        let free = missing.iter().filter(|&axis| !graph.axes.is_fixed(axis) || in_split(axis));
        if free.into_iter().any(|axis| input.axes.contains(&axis)) && kept.insert(position) {
            present |= axes(input);
        }
    }
    kept.into_iter().collect()
}

/// The splits whose parts all stand in tensors. Others had a part in a tensor that has no gradient.
fn whole_splits<'g>(graph: &'g Graph, tensors: &[&Tensor]) -> Vec<&'g Split> {
    let present = |axis: &AxisId| tensors.iter().any(|tensor| tensor.axes.contains(axis));
    graph.splits.iter().filter(|split| split.axes.iter().all(present)).collect()
}

/// The axes of tensors in the order in which the checker meets them, the parts of a split together; then those whose
/// extents the `where` clause states.
fn order(graph: &Graph, splits: &[&Split], tensors: &[&Tensor]) -> Vec<AxisId> {
    let mut order: Vec<AxisId> = vec![];
    let mut add = |axis: AxisId| {
        // A split that is no part of another has the most axes.
        let whole = splits.iter().filter(|split| split.axes.contains(&axis));
        let whole = whole.max_by_key(|split| split.axes.len());
        let family = whole.map_or(vec![axis], |split| split.axes.clone());
        for axis in family {
            if !order.contains(&axis) {
                order.push(axis);
            }
        }
    };
    for tensor in tensors {
        tensor.axes.iter().for_each(|&axis| add(axis));
    }
    let used = |&axis: &AxisId| {
        graph.nodes.iter().any(|node| node.axes.contains(axis) || node.op == Op::Len(axis))
    };
    graph.axes.ids().filter(|&axis| graph.axes.is_fixed(axis)).filter(used).for_each(add);
    order
}

/// The axes in another table.
struct Renaming {
    places: BTreeMap<AxisId, AxisId>,
}

impl Renaming {
    fn axis(&self, axis: AxisId) -> AxisId {
        self.places[&axis]
    }

    fn list(&self, axes: &[AxisId]) -> Vec<AxisId> {
        axes.iter().map(|&axis| self.axis(axis)).collect()
    }

    fn set(&self, axes: AxisSet) -> AxisSet {
        axes.iter().map(|axis| self.axis(axis)).collect()
    }

    fn tensor(&self, tensor: &Tensor) -> Tensor {
        let strides = tensor.strides.as_ref().map(|list| {
            let stride = |stride: &Extent| stride.map_axes(|axis| self.axis(axis));
            list.iter().map(stride).collect()
        });
        Tensor { axes: self.list(&tensor.axes), strides, ..tensor.clone() }
    }

    fn op(&self, op: Op) -> Op {
        match op {
            Op::Index(axis) => Op::Index(self.axis(axis)),
            Op::Len(axis) => Op::Len(self.axis(axis)),
            Op::Reduce(op, axes, x) => Op::Reduce(op, self.set(axes), x),
            Op::Scan(op, axis, x) => Op::Scan(op, self.axis(axis), x),
            Op::Roll(op, axes, x, y) => Op::Roll(op, self.set(axes), x, y),
            Op::Gather(x, picks) => Op::Gather(x, picks.map_axes(|axis| self.axis(axis))),
            other => other,
        }
    }
}

/// The canonical text of a file with the kernel, its limits and the sizes of the forward kernel.
pub(super) fn text(graph: &Graph, forward: &CheckedKernel, comment: &str) -> String {
    let kernel = graph.print();
    let limits: Vec<String> =
        forward.limits.iter().filter_map(|limit| condition(graph, forward, limit)).collect();
    let kernel = match (limits.is_empty(), kernel.contains(" where ")) {
        (true, _) => kernel,
        (false, _) => with_limits(&kernel, &limits.join(", ")),
    };
    let mut text = format!("{comment}{kernel}");
    for (name, sizes) in &forward.size_sets {
        let known = sizes.iter().filter(|(axis, _)| graph.axes_of(axis).is_some());
        let sizes: Vec<_> = known.map(|(axis, extent)| format!("{axis}={extent}")).collect();
        let _ = writeln!(text, "sizes {name} {{ {} }}", sizes.join(", "));
    }
    crate::syntax::print(&crate::syntax::parse(&text).file)
}

/// A limit of the forward kernel, if the new one has its axes. One that fixes an axis is in the text already.
fn condition(graph: &Graph, forward: &CheckedKernel, limit: &Limit) -> Option<String> {
    let axes = graph.axes_of(&limit.axis)?;
    let fixed = axes.iter().all(|&axis| graph.axes.is_fixed(axis));
    if fixed && limit.op == CompareOp::Eq {
        return None;
    }
    let table = &forward.graph.axes;
    let known = |axis: &AxisId| graph.axes.find(table.name(*axis)).is_some();
    let all = limit.bound.terms().all(|(axes, _)| axes.iter().all(known));
    all.then(|| format!("{} {} {}", limit.axis, limit.op, limit.bound.show(table)))
}

/// The text of a printed kernel with more conditions before its body.
fn with_limits(kernel: &str, limits: &str) -> String {
    let (head, body) = kernel.split_once(" {\n").expect("a printed kernel has a body");
    let joint = if head.contains(" where ") { ", " } else { " where " };
    format!("{head}{joint}{limits} {{\n{body}")
}

/// The attributes of the forward kernel hold for its gradient.
pub(super) fn permits(forward: &CheckedKernel) -> RuleClass {
    forward.attributes.permits()
}
