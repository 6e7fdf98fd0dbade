//! Builds a graph node by node, hash-consing as it goes.
//!
//! The builder infers type and axes of each node and folds nothing except a cast to the type a value already has.
//! Invariant: `finish` gives nodes in the depth-first order of the outputs, so two builders that describe the same
//! operations give equal graphs whatever the order of the calls; names are unique and clash with no tensor or axis.

use super::{Extent, Graph, Node, NodeId, Op, Output, Picks, Split, Tensor};
use crate::base::{AxisId, AxisSet, AxisTable, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::rewrite::RuleClass;
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// Builds a graph.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    name: String,
    permits: RuleClass,
    split: AxisSet,
    axes: AxisTable,
    splits: Vec<Split>,
    inputs: Vec<Tensor>,
    nodes: Vec<Node>,
    names: Vec<Option<String>>,
    known: IndexMap<Key, NodeId>,
}

/// An operation with its number as bits, so that it can be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    dtype: DType,
    operands: [Option<NodeId>; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Input(usize),
    Literal(u64),
    Index(AxisId),
    Len(AxisId),
    Unary(UnaryOp),
    Binary(BinaryOp),
    Compare(CompareOp),
    Select,
    Cast,
    Gather(Picks),
    Wrap,
    Reduce(ReduceOp, AxisSet),
    Scan(ReduceOp, AxisId),
    Roll(ReduceOp, AxisSet),
    Before,
    After,
    Held(AxisSet),
}

impl Key {
    fn of(op: Op, dtype: DType, axes: AxisSet) -> Self {
        let kind = match op {
            Op::Input(input) => Kind::Input(input),
            Op::Literal(value) => Kind::Literal(value.to_bits()),
            Op::Index(axis) => Kind::Index(axis),
            Op::Len(axis) => Kind::Len(axis),
            Op::Unary(op, _) => Kind::Unary(op),
            Op::Binary(op, ..) => Kind::Binary(op),
            Op::Compare(op, ..) => Kind::Compare(op),
            Op::Select(..) => Kind::Select,
            Op::Cast(_) => Kind::Cast,
            Op::Gather(_, picks) => Kind::Gather(picks),
            Op::Wrap(_) => Kind::Wrap,
            Op::Reduce(op, axes, _) => Kind::Reduce(op, axes),
            Op::Scan(op, axis, _) => Kind::Scan(op, axis),
            Op::Roll(op, axes, ..) => Kind::Roll(op, axes),
            Op::Before(_) => Kind::Before,
            Op::After(_) => Kind::After,
            Op::Held => Kind::Held(axes),
        };
        let mut operands = [None; 3];
        // The indices of a gather are in its kind already.
        operands.iter_mut().zip(op.operands()).for_each(|(slot, operand)| *slot = Some(operand));
        Self { kind, dtype, operands }
    }
}

impl GraphBuilder {
    /// A builder of a kernel of that name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_string(), ..Self::default() }
    }

    /// A builder with the name, the axes (and their extents) and the inputs of a graph, without its operations.
    pub fn like(graph: &Graph) -> Self {
        let mut builder = Self::new(&graph.name);
        builder.permits = graph.permits;
        builder.split = graph.split;
        builder.axes = graph.axes.clone();
        builder.splits = graph.splits.clone();
        builder.inputs = graph.inputs.clone();
        builder
    }

    /// Adds an axis, or finds it when the name is known.
    ///
    /// # Panics
    /// When the table is full; the checker and the rewriter count first.
    pub fn axis(&mut self, name: &str) -> AxisId {
        self.axes.intern(name).expect("a program has at most AxisSet::CAPACITY axes")
    }

    /// The axes so far.
    pub fn axes(&self) -> &AxisTable {
        &self.axes
    }

    /// Whether an operation so far depends on an axis or its extent.
    pub(crate) fn has_axis(&self, axis: AxisId) -> bool {
        let uses = |node: &Node| node.axes.contains(axis) || node.op == Op::Len(axis);
        self.nodes.iter().any(uses)
    }

    /// Declares the next input, row-major in the order of `axes`, and gives the node that reads it.
    pub fn input(&mut self, name: &str, dtype: DType, axes: &[AxisId]) -> NodeId {
        self.declare(Tensor::new(name, dtype, axes))
    }

    /// Declares the next input and gives the node that reads it.
    pub fn declare(&mut self, tensor: Tensor) -> NodeId {
        self.inputs.push(tensor);
        self.read(self.inputs.len() - 1)
    }

    /// Gives the input of that name, if it is declared, strides: one for each of its dimensions.
    pub fn set_strides(&mut self, input: &str, strides: Vec<Extent>) {
        if let Some(tensor) = self.inputs.iter_mut().find(|tensor| tensor.name == input) {
            tensor.strides = Some(strides);
        }
    }

    /// Adds a name for several axes, which are in the table in this order.
    pub fn split(&mut self, split: Split) {
        self.splits.push(split);
    }

    /// The axes, to fix extents.
    pub fn axes_mut(&mut self) -> &mut AxisTable {
        &mut self.axes
    }

    /// The names for several axes so far.
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// The node that reads the input at a position.
    pub fn read(&mut self, input: usize) -> NodeId {
        let tensor = &self.inputs[input];
        let (dtype, axes) = (tensor.dtype, tensor.axes.iter().copied().collect());
        self.push(Op::Input(input), dtype, axes)
    }

    /// A number, which must be exact in the type.
    pub fn literal(&mut self, value: f64, dtype: DType) -> NodeId {
        self.push(Op::Literal(value), dtype, AxisSet::EMPTY)
    }

    /// The index along an axis.
    pub fn index(&mut self, axis: AxisId) -> NodeId {
        self.push(Op::Index(axis), DType::I32, AxisSet::one(axis))
    }

    /// The extent of an axis.
    pub fn len(&mut self, axis: AxisId) -> NodeId {
        self.push(Op::Len(axis), DType::I32, AxisSet::EMPTY)
    }

    /// An operator of one operand, in the operand's type.
    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        let Node { dtype, axes, .. } = *self.node(x);
        self.push(Op::Unary(op, x), dtype, axes)
    }

    /// An operator of two operands of one type.
    pub fn binary(&mut self, op: BinaryOp, x: NodeId, y: NodeId) -> NodeId {
        let (dtype, axes) = self.joined(x, y);
        self.push(Op::Binary(op, x, y), dtype, axes)
    }

    /// A comparison of two operands of one type.
    pub fn compare(&mut self, op: CompareOp, x: NodeId, y: NodeId) -> NodeId {
        let (_, axes) = self.joined(x, y);
        self.push(Op::Compare(op, x, y), DType::Bool, axes)
    }

    /// `x` where the `bool` `c` holds, else `y`.
    pub fn select(&mut self, c: NodeId, x: NodeId, y: NodeId) -> NodeId {
        assert_eq!(self.node(c).dtype, DType::Bool, "a select is decided by a bool");
        let (dtype, axes) = self.joined(x, y);
        self.push(Op::Select(c, x, y), dtype, axes | self.node(c).axes)
    }

    /// A conversion; the value itself where it has the type already.
    pub fn cast(&mut self, dtype: DType, x: NodeId) -> NodeId {
        if self.node(x).dtype == dtype {
            return x;
        }
        let axes = self.node(x).axes;
        self.push(Op::Cast(x), dtype, axes)
    }

    /// A value with some of its axes replaced by `i32` indices, at most `PICKS_MAX` of them. The index along an axis in
    /// the place of the axis is left out; an index of an index is computed.
    pub fn gather(&mut self, x: NodeId, picks: &[(AxisId, NodeId)]) -> NodeId {
        let moved = |&&(axis, index): &&(AxisId, NodeId)| self.node(index).op != Op::Index(axis);
        let picks: Vec<_> = picks.iter().filter(moved).copied().collect();
        match (picks.first(), self.node(x).op) {
            (None, _) => x,
            (Some(&(axis, index)), Op::Index(_)) => self.clamped_index(index, axis),
            (Some(_), _) => self.gather_new(x, &picks),
        }
    }

    fn gather_new(&mut self, x: NodeId, picks: &[(AxisId, NodeId)]) -> NodeId {
        let Node { dtype, axes, .. } = *self.node(x);
        let list = Picks::new(picks).expect("the checker counts the subscripts");
        assert!(axes.contains_all(list.axes()), "a gather replaces axes that its operand has");
        let indices = list.iter().map(|(_, index)| self.node(index));
        let axes = indices.fold(axes - list.axes(), |axes, index| axes | index.axes);
        self.push(Op::Gather(x, list), dtype, axes)
    }

    /// The nearest index of an axis; 0 where it is empty.
    pub(crate) fn clamped_index(&mut self, index: NodeId, axis: AxisId) -> NodeId {
        let (len, one) = (self.len(axis), self.literal(1.0, DType::I32));
        let last = self.binary(BinaryOp::Sub, len, one);
        let below = self.binary(BinaryOp::Min, index, last);
        let zero = self.literal(0.0, DType::I32);
        self.binary(BinaryOp::Max, below, zero)
    }

    /// A conversion to an integer type that keeps the low bits; the value itself where it has the type already.
    pub fn wrap(&mut self, dtype: DType, x: NodeId) -> NodeId {
        assert!(dtype.is_integer(), "only integers wrap");
        if self.node(x).dtype == dtype {
            return x;
        }
        let axes = self.node(x).axes;
        self.push(Op::Wrap(x), dtype, axes)
    }

    /// A reduction, accumulated in the operand's type (`argmax` and `argmin` give an `i32`). To accumulate in another
    /// type, cast the operand first. The operand varies over every one of `axes`.
    pub fn reduce(&mut self, op: ReduceOp, axes: AxisSet, x: NodeId) -> NodeId {
        let node = *self.node(x);
        assert!(node.axes.contains_all(axes), "a reduction removes axes that its operand has");
        let dtype = match op {
            ReduceOp::Argmax | ReduceOp::Argmin => DType::I32,
            ReduceOp::Sum | ReduceOp::Product | ReduceOp::Max | ReduceOp::Min => node.dtype,
            ReduceOp::All | ReduceOp::Any => node.dtype,
        };
        self.push(Op::Reduce(op, axes, x), dtype, node.axes - axes)
    }

    /// The running value of a reduction along an axis of the operand, accumulated in the operand's type.
    pub fn scan(&mut self, op: ReduceOp, axis: AxisId, x: NodeId) -> NodeId {
        let node = *self.node(x);
        assert!(node.axes.contains(axis), "a scan runs along an axis that its operand has");
        assert!(op.scan_name().is_some(), "only sum, product, max and min have scans");
        self.push(Op::Scan(op, axis, x), node.dtype, node.axes)
    }

    /// A rolled reduction of `term` over axes that it has, where `update` makes of the value before a block what the
    /// block is folded into. Both have one type; the update varies over none of the reduced axes.
    pub fn roll(&mut self, op: ReduceOp, axes: AxisSet, term: NodeId, update: NodeId) -> NodeId {
        let (of_term, of_update) = (*self.node(term), *self.node(update));
        assert!(of_term.axes.contains_all(axes), "a roll removes axes that its term has");
        assert!(of_update.axes.is_disjoint(axes), "an update stands between blocks");
        assert_eq!(of_term.dtype, of_update.dtype, "term and update of a roll have one type");
        assert!(op.fold().is_some(), "a roll folds");
        let kept = (of_term.axes | of_update.axes) - axes;
        self.push(Op::Roll(op, axes, term, update), of_term.dtype, kept)
    }

    /// The value of a reduction or roll before the current block of the roll that this is used in.
    pub fn before(&mut self, x: NodeId) -> NodeId {
        let Node { dtype, axes, .. } = *self.node(x);
        self.push(Op::Before(x), dtype, axes)
    }

    /// The value of a reduction or roll after the current block of the roll that this is used in.
    pub fn after(&mut self, x: NodeId) -> NodeId {
        let Node { dtype, axes, .. } = *self.node(x);
        self.push(Op::After(x), dtype, axes)
    }

    /// The value before a block of the roll in whose update this is used: that roll's type and axes.
    pub fn held(&mut self, dtype: DType, axes: AxisSet) -> NodeId {
        self.push(Op::Held, dtype, axes)
    }

    /// A node of another graph with the same axes and inputs, whose operands have other numbers here.
    pub fn copy(&mut self, node: &Node, renumber: impl Fn(NodeId) -> NodeId) -> NodeId {
        self.push(node.op.map_operands(renumber), node.dtype, node.axes)
    }

    /// Names a node. The last name given stays; reads of inputs, numbers, indices and extents take none.
    pub fn name(&mut self, node: NodeId, name: &str) {
        if self.node(node).op.operands().next().is_some() {
            self.names[node.index()] = Some(name.to_string());
        }
    }

    /// The axes of a value in the order of its subscripts, as `Graph::dimensions`.
    pub fn dimensions(&self, node: NodeId) -> Vec<AxisId> {
        match self.node(node).op {
            Op::Input(input) => self.inputs[input].axes.clone(),
            _ => self.node(node).axes.iter().collect(),
        }
    }

    /// The tensor of the signature that a node reads.
    pub fn input_tensor(&self, node: NodeId) -> Option<&Tensor> {
        match self.node(node).op {
            Op::Input(input) => Some(&self.inputs[input]),
            _ => None,
        }
    }

    /// The node of an operation of two operands, if there is one so far.
    pub(crate) fn find_binary(&self, op: BinaryOp, x: NodeId, y: NodeId) -> Option<NodeId> {
        let (dtype, axes) = (self.node(x).dtype, self.node(x).axes | self.node(y).axes);
        self.known.get(&Key::of(Op::Binary(op, x, y), dtype, axes)).copied()
    }

    /// The node that is `x` where a condition has a truth value, and else 0, if there is one so far.
    pub(crate) fn find_masked(&self, c: NodeId, holds: bool, x: NodeId) -> Option<NodeId> {
        let (dtype, axes) = (self.node(x).dtype, self.node(x).axes | self.node(c).axes);
        let zero = Key::of(Op::Literal(0.0), dtype, AxisSet::EMPTY);
        let zero = self.known.get(&zero).copied()?;
        let op = if holds { Op::Select(c, x, zero) } else { Op::Select(c, zero, x) };
        self.known.get(&Key::of(op, dtype, axes)).copied()
    }

    /// Whether a node has a name.
    pub fn is_named(&self, node: NodeId) -> bool {
        self.names[node.index()].is_some()
    }

    /// A node built so far.
    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    /// The graph of everything the outputs need. Each output's node has the tensor's type and no axis that the tensor
    /// lacks (it may lack some of the tensor's: it is repeated along them).
    pub fn finish(self, outputs: Vec<Output>) -> Graph {
        let order = depth_first(&self.nodes, &outputs);
        let mut new_ids = vec![None; self.nodes.len()];
        for (position, old) in order.iter().enumerate() {
            new_ids[old.index()] = Some(node_id(position));
        }
        let renumber =
            |old: NodeId| new_ids[old.index()].expect("operands are reached before their users");
        let nodes = order.iter().map(|old| {
            let node = self.nodes[old.index()];
            Node { op: node.op.map_operands(renumber), ..node }
        });
        let mut graph = Graph {
            nodes: nodes.collect(),
            names: order.iter().map(|old| self.names[old.index()].clone()).collect(),
            outputs: outputs
                .into_iter()
                .map(|output| Output { node: renumber(output.node), ..output })
                .collect(),
            name: self.name,
            permits: self.permits,
            split: self.split,
            axes: self.axes,
            splits: self.splits,
            inputs: self.inputs,
        };
        make_names_unique(&mut graph);
        graph
    }

    fn joined(&self, x: NodeId, y: NodeId) -> (DType, AxisSet) {
        let (left, right) = (self.node(x), self.node(y));
        assert_eq!(left.dtype, right.dtype, "operands of an operator have one type");
        (left.dtype, left.axes | right.axes)
    }

    fn push(&mut self, op: Op, dtype: DType, axes: AxisSet) -> NodeId {
        let next = node_id(self.nodes.len());
        let node = *self.known.entry(Key::of(op, dtype, axes)).or_insert(next);
        if node == next {
            self.nodes.push(Node { op, dtype, axes });
            self.names.push(None);
        }
        node
    }
}

fn node_id(position: usize) -> NodeId {
    NodeId(u32::try_from(position).expect("a graph has fewer than 2^32 nodes"))
}

/// Operands before users, in the order in which the outputs first need them. No recursion: chains may be long.
fn depth_first(nodes: &[Node], outputs: &[Output]) -> Vec<NodeId> {
    let mut order = vec![];
    let mut entered = vec![false; nodes.len()];
    let mut stack: Vec<(NodeId, bool)> = vec![];
    stack.extend(outputs.iter().rev().map(|output| (output.node, false)));
    while let Some((node, operands_done)) = stack.pop() {
        if operands_done {
            order.push(node);
        } else if !entered[node.index()] {
            entered[node.index()] = true;
            stack.push((node, true));
            let operands: Vec<_> = nodes[node.index()].op.operands().collect();
            let unseen = operands.into_iter().rev().filter(|operand| !entered[operand.index()]);
            stack.extend(unseen.map(|operand| (operand, false)));
        }
    }
    order
}

/// `p`, `p_2`, `p_3`, ..: in node order, apart from the names of tensors and axes.
fn make_names_unique(graph: &mut Graph) {
    let tensors = graph.inputs.iter().chain(graph.outputs.iter().map(|output| &output.tensor));
    let mut taken: BTreeSet<String> = tensors.map(|tensor| tensor.name.clone()).collect();
    taken.extend(graph.axes.ids().map(|axis| graph.axes.name(axis).to_string()));
    taken.extend(graph.splits.iter().map(|split| split.name.clone()));
    for name in graph.names.iter_mut().flatten() {
        if !taken.insert(name.clone()) {
            *name = free_name(name, &taken);
            taken.insert(name.clone());
        }
    }
}

fn free_name(wanted: &str, taken: &BTreeSet<String>) -> String {
    (2..)
        .map(|number| format!("{wanted}_{number}"))
        .find(|name| !taken.contains(name))
        .expect("there are more numbers than names")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str, builder: &GraphBuilder, axes: &[AxisId], node: NodeId) -> Output {
        let dtype = builder.node(node).dtype;
        Output { tensor: Tensor::new(name, dtype, axes), node }
    }

    #[test]
    fn equal_operations_are_one_node_and_dead_ones_go() {
        let mut builder = GraphBuilder::new("f");
        let i = builder.axis("i");
        let x = builder.input("x", DType::F32, &[i]);
        let dead = builder.unary(UnaryOp::Exp, x);
        assert_eq!(dead, builder.unary(UnaryOp::Exp, x));
        let two = builder.binary(BinaryOp::Add, x, x);
        let outputs = vec![output("y", &builder, &[i], two)];
        let graph = builder.finish(outputs);
        assert_eq!(graph.nodes.len(), 2);
        assert_eq!(graph.node(NodeId(1)).op, Op::Binary(BinaryOp::Add, NodeId(0), NodeId(0)));
    }

    #[test]
    fn the_order_of_calls_does_not_matter() {
        let build = |swap: bool| {
            let mut builder = GraphBuilder::new("f");
            let i = builder.axis("i");
            let x = builder.input("x", DType::F32, &[i]);
            let mut parts = [UnaryOp::Exp, UnaryOp::Sin];
            if swap {
                parts.reverse();
            }
            for op in parts {
                builder.unary(op, x);
            }
            let (e, s) = (builder.unary(UnaryOp::Exp, x), builder.unary(UnaryOp::Sin, x));
            let sum = builder.binary(BinaryOp::Add, e, s);
            builder.name(sum, "x");
            let outputs = vec![output("y", &builder, &[i], sum)];
            builder.finish(outputs)
        };
        assert_eq!(build(false), build(true));
        assert_eq!(build(false).names.last(), Some(&Some("x_2".to_string())));
    }

    #[test]
    fn a_literal_keeps_the_sign_of_zero() {
        let mut builder = GraphBuilder::new("f");
        assert_ne!(builder.literal(0.0, DType::F32), builder.literal(-0.0, DType::F32));
        assert_eq!(builder.literal(1.0, DType::F32), builder.literal(1.0, DType::F32));
    }
}
