//! The way back: the gradient of every value from the gradients of what uses it.
//!
//! The forward operations are copied first, so that gradients can use their values. Then the nodes are visited from the
//! outputs to the inputs; where one is reached, all gradients that flow into it are known and added up.
//! Invariant: only values that depend on a wanted input by a differentiable path have gradients; the gradient of a value
//! varies over none but its own axes.

use super::pivot::pivots;
use super::rules;
use super::term::{Tape, Term, computed};
use crate::base::{AxisId, AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, GraphBuilder, NodeId, Op, Tensor};
use std::collections::BTreeMap;

/// An operation on the way that cannot be differentiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// The node of the forward graph.
    pub(super) node: NodeId,
    /// What it is, for a message.
    pub(super) what: String,
    /// The word to look for in the text.
    pub(super) word: &'static str,
    /// One way out.
    pub(super) help: &'static str,
}

/// The gradients of the inputs, in a graph that begins with the forward operations.
pub(super) struct Gradients {
    pub(super) tape: Tape,
    /// The gradient of each wanted input, by position; none for one that no output depends on.
    pub(super) of_inputs: BTreeMap<usize, NodeId>,
}

/// The state of one differentiation.
pub(super) struct Reverse<'g> {
    pub(super) graph: &'g Graph,
    /// Axes that the text makes equally long.
    equal: &'g [(AxisId, AxisId)],
    pub(super) tape: Tape,
    /// The copies of the forward nodes.
    pub(super) copies: Vec<NodeId>,
    /// Whether a node depends on a wanted input.
    active: Vec<bool>,
    /// What has flowed into each node so far.
    flows: Vec<Vec<Term>>,
    pub(super) obstacles: Vec<Obstacle>,
}

/// Differentiates a graph in the inputs at these positions. `seed` gives the tensor of each output's gradient.
pub(super) fn reverse(
    graph: &Graph,
    equal: &[(AxisId, AxisId)],
    wanted: &[usize],
    seeds: &[Option<Tensor>],
) -> Result<Gradients, Vec<Obstacle>> {
    let mut builder = GraphBuilder::like(graph);
    let mut copies: Vec<NodeId> = vec![];
    for id in graph.ids() {
        let copy = builder.copy(graph.node(id), |operand| copies[operand.index()]);
        if let Some(name) = &graph.names[id.index()] {
            builder.name(copy, name);
        }
        copies.push(copy);
    }
    let mut reverse = Reverse {
        graph,
        equal,
        tape: Tape { builder },
        copies,
        active: active(graph, wanted),
        flows: vec![vec![]; graph.nodes.len()],
        obstacles: vec![],
    };
    for (output, seed) in graph.outputs.iter().zip(seeds) {
        let Some(seed) = seed else { continue };
        let read = reverse.tape.builder.declare(seed.clone());
        let dtype = computed(seed.dtype);
        let read = reverse.tape.cast(read, dtype);
        let axes: AxisSet = seed.axes.iter().copied().collect();
        reverse.flow_from(output.node, Term::of(read, dtype), axes);
    }
    for id in graph.ids().rev() {
        reverse.visit(id);
    }
    if !reverse.obstacles.is_empty() {
        return Err(reverse.obstacles);
    }
    Ok(reverse.finish(wanted))
}

/// The nodes that depend on a wanted input, but for pivots, whose gradient is 0.
fn active(graph: &Graph, wanted: &[usize]) -> Vec<bool> {
    let pivots = pivots(graph);
    let mut active: Vec<bool> = vec![];
    for id in graph.ids() {
        let node = graph.node(id);
        let depends = |x: NodeId| active[x.index()];
        let own = match node.op {
            Op::Input(position) => wanted.contains(&position),
            Op::Unary(UnaryOp::Floor | UnaryOp::Round | UnaryOp::Not, _) => false,
            Op::Select(_, x, y) => depends(x) || depends(y),
            Op::Gather(x, _) | Op::Cast(x) => depends(x),
            Op::Compare(..) | Op::Wrap(_) => false,
            op => op.operands().any(depends),
        };
        active.push(own && node.dtype.is_float() && !pivots.contains(&id));
    }
    active
}

impl Reverse<'_> {
    /// Whether two axes have one extent at all sizes.
    pub(super) fn are_equal(&self, x: AxisId, y: AxisId) -> bool {
        let extent = |axis| self.graph.axes.extent_if_bound(axis);
        let mut same = AxisSet::one(x);
        for _ in self.equal {
            for &(a, b) in self.equal {
                if same.contains(a) || same.contains(b) {
                    same = same.with(a).with(b);
                }
            }
        }
        same.contains(y) || extent(x).is_some() && extent(x) == extent(y)
    }

    /// The forward value of a node.
    pub(super) fn value(&self, id: NodeId) -> NodeId {
        self.copies[id.index()]
    }

    /// The forward value of a node as a factor of a gradient.
    pub(super) fn factor(&mut self, id: NodeId, dtype: DType) -> NodeId {
        let copy = self.value(id);
        self.tape.cast(copy, dtype)
    }

    pub(super) fn is_active(&self, id: NodeId) -> bool {
        self.active[id.index()]
    }

    /// Adds a gradient to a node: a term over some axes, of which those that the node lacks are summed.
    pub(super) fn flow_from(&mut self, to: NodeId, term: Term, axes: AxisSet) {
        if !self.is_active(to) {
            return;
        }
        let node = *self.graph.node(to);
        if let Some(term) = self.tape.sum(term, axes - node.axes) {
            let term = self.tape.in_type(term, computed(node.dtype));
            self.flows[to.index()].push(term);
        }
    }

    /// Sends the gradient of a node to its operands.
    fn visit(&mut self, id: NodeId) {
        let flows = std::mem::take(&mut self.flows[id.index()]);
        let Some(term) = self.tape.total(flows) else { return };
        self.name(id, &term);
        let node = *self.graph.node(id);
        match node.op {
            Op::Input(_) => self.flows[id.index()].push(term),
            Op::Unary(op, x) => rules::unary(self, op, (id, x), term),
            Op::Binary(op, x, y) => rules::binary(self, op, id, (x, y), term),
            Op::Select(c, x, y) => {
                let condition = self.value(c);
                for (operand, holds) in [(x, true), (y, false)] {
                    let term = term.clone().where_is(condition, holds);
                    self.flow_from(operand, term, node.axes);
                }
            }
            Op::Cast(x) => self.flow_from(x, term, node.axes),
            Op::Gather(x, picks) => rules::gather(self, id, (x, picks), term),
            Op::Reduce(op, axes, x) => self.reduction(op, axes, (id, x), term),
            Op::Scan(op, axis, x) => rules::scan(self, op, axis, (id, x), term),
            Op::Literal(_) | Op::Index(_) | Op::Len(_) | Op::Compare(..) | Op::Wrap(_) => {}
            // A checked kernel has no rolls.
            Op::Roll(..) | Op::Before(_) | Op::After(_) | Op::Held => {}
        }
    }

    /// Names the gradient of a named value, where that is one product.
    fn name(&mut self, id: NodeId, term: &Term) {
        let name = match self.graph.node(id).op {
            Op::Input(_) => return,
            _ => self.graph.names[id.index()].clone(),
        };
        let Some(name) = name.filter(|_| term.divisors.is_empty() && term.masks.is_empty()) else {
            return;
        };
        let plain = Term { number: 1.0, ..term.clone() };
        let value = self.tape.node(&plain);
        if !self.tape.builder.is_named(value) {
            self.tape.builder.name(value, &format!("d_{name}"));
        }
    }

    fn reduction(&mut self, op: ReduceOp, axes: AxisSet, (id, x): (NodeId, NodeId), term: Term) {
        let of_operand = self.graph.node(x).axes;
        let dtype = term.dtype;
        match op {
            ReduceOp::Sum => self.flow_from(x, term, of_operand),
            ReduceOp::Max | ReduceOp::Min => {
                let (value, result) = (self.value(x), self.value(id));
                let wins = self.tape.equal(value, result);
                let (one, zero) = (self.tape.literal(1.0, dtype), self.tape.literal(0.0, dtype));
                let each = self.tape.builder.select(wins, one, zero);
                let count = self.tape.builder.reduce(ReduceOp::Sum, axes, each);
                self.flow_from(x, term.over(count).where_is(wins, true), of_operand);
            }
            ReduceOp::Product => {
                let others = self.others(axes, (id, x), dtype);
                self.flow_from(x, term.times(others), of_operand);
            }
            // Truth values and positions.
            ReduceOp::All | ReduceOp::Any | ReduceOp::Argmax | ReduceOp::Argmin => {}
        }
    }

    /// The product of all elements but one: the quotient, and where an element is 0, which only matters if it is the
    /// only one, the product of those that are not.
    fn others(&mut self, axes: AxisSet, (id, x): (NodeId, NodeId), dtype: DType) -> NodeId {
        let (value, result) = (self.factor(x, dtype), self.factor(id, dtype));
        let tape = &mut self.tape;
        let (one, zero) = (tape.literal(1.0, dtype), tape.literal(0.0, dtype));
        let is_zero = tape.equal(value, zero);
        let quotient = tape.builder.binary(BinaryOp::Div, result, value);
        let each = tape.builder.select(is_zero, one, zero);
        let zeros = tape.builder.reduce(ReduceOp::Sum, axes, each);
        let rest = tape.builder.select(is_zero, one, value);
        let rest = tape.builder.reduce(ReduceOp::Product, axes, rest);
        let alone = tape.equal(zeros, one);
        let at_zero = tape.builder.select(alone, rest, zero);
        tape.builder.select(is_zero, at_zero, quotient)
    }

    fn finish(mut self, wanted: &[usize]) -> Gradients {
        let mut of_inputs = BTreeMap::new();
        for id in self.graph.ids() {
            let Op::Input(position) = self.graph.node(id).op else { continue };
            let flow = std::mem::take(&mut self.flows[id.index()]).pop();
            if let Some(term) = flow.filter(|_| wanted.contains(&position)) {
                let value = self.tape.node(&term);
                let value = self.tape.cast(value, self.graph.inputs[position].dtype);
                of_inputs.insert(position, value);
            }
        }
        Gradients { tape: self.tape, of_inputs }
    }
}
