//! What of a graph is held in memory, what is computed in passing, and in which order elements are visited.
//!
//! A node is held when it is an output, a reduction, or would be computed more than once; everything else is
//! evaluated row by row inside the node that uses it, so no product inside a sum is ever materialised.
//! Invariant: every choice here depends on the bound graph alone, never on threads or chunks, and the order in which
//! an element's terms are added is one of these choices.

use super::freedom::{Freedom, freedoms};
use super::masked::masked_products;
use super::pivots::{masked_pivots, unpivoted};
use super::rules::{UNDECIDED, is_exact_cast};
use crate::base::{AxisId, AxisSet, BinaryOp, DType, ReduceOp};
use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// Elements that a multiply used element-wise node may have per chunk and still be held.
pub(super) const HELD_ELEMENTS_MAX: u64 = 1 << 20;

/// A sum of products whose operands each have an axis that the other lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contraction {
    pub(super) product: NodeId,
    pub(super) left: NodeId,
    pub(super) right: NodeId,
    /// The axes summed over.
    pub(super) inner: AxisSet,
}

/// A graph with the choices of the evaluator.
#[derive(Debug)]
pub(super) struct Program<'g> {
    pub(super) graph: &'g Graph,
    /// All axes, outermost first: the order of every held block.
    pub(super) order: Vec<AxisId>,
    /// By node: whether its block is held.
    pub(super) held: Vec<bool>,
    /// By node: the contraction it is.
    pub(super) contractions: Vec<Option<Contraction>>,
    /// By node: whether it is the last rounding of a result, which the judge allows for.
    pub(super) last_roundings: Vec<bool>,
    /// By node: what other forms may do to it.
    pub(super) freedoms: Vec<Freedom>,
    /// By node: for a product, which of its factors may be a zero made by a mask.
    pub(super) masked: Vec<[bool; 2]>,
    /// By node: whether it is an exponential that other forms take about a pivot.
    pub(super) unpivoted: Vec<bool>,
    /// By node: whether it is a choice that may mask an exponential about a pivot.
    pub(super) masked_pivots: Vec<bool>,
}

impl<'g> Program<'g> {
    /// Chooses for a bound graph.
    pub(super) fn new(graph: &'g Graph) -> Self {
        let mut program = Self {
            graph,
            order: axis_order(graph),
            held: vec![false; graph.nodes.len()],
            contractions: vec![None; graph.nodes.len()],
            last_roundings: last_roundings(graph),
            freedoms: freedoms(graph),
            masked: masked_products(graph),
            unpivoted: unpivoted(graph),
            masked_pivots: masked_pivots(graph),
        };
        program.choose_held();
        for node in graph.ids() {
            program.contractions[node.index()] = program.as_contraction(node);
        }
        program
    }

    /// The allowance of an element of a node in the light of its value. An infinity that a regrouped sum has, from the
    /// inputs or by overflow, meets other infinities or zeros in another grouping; and a zero has either sign.
    pub(super) fn allow(&self, node: NodeId, value: f64, allowance: f64) -> f64 {
        if !self.freedoms[node.index()].regrouped {
            return allowance;
        }
        let dtype = self.graph.node(node).dtype;
        match value {
            _ if value.is_infinite() => UNDECIDED,
            0.0 => allowance.max(dtype.min_normal()),
            _ => allowance,
        }
    }

    fn choose_held(&mut self) {
        let graph = self.graph;
        let mut uses = vec![0; graph.nodes.len()];
        for node in graph.ids() {
            for operand in graph.node(node).op.operands() {
                uses[operand.index()] += 1;
                let space = self.space(node);
                if !self.is_leaf(operand) && graph.node(operand).axes != space {
                    self.held[operand.index()] = true;
                }
            }
            match graph.node(node).op {
                op if op.is_traversal() => self.held[node.index()] = true,
                Op::Gather(x, _) if !self.is_input(x) => self.held[x.index()] = true,
                _ => {}
            }
        }
        for node in graph.ids() {
            let repeated = uses[node.index()] > 1 && !self.is_leaf(node);
            self.held[node.index()] |= repeated;
        }
        for output in &graph.outputs {
            self.held[output.node.index()] = true;
        }
    }

    /// Stops holding element-wise nodes whose blocks of that many elements are too large; they are computed again.
    pub(super) fn release_large(&mut self, elements: impl Fn(AxisSet) -> u64) {
        for node in self.graph.ids() {
            let axes = self.graph.node(node).axes;
            let needed = self.graph.node(node).op.is_traversal()
                || self
                    .graph
                    .nodes
                    .iter()
                    .any(|user| matches!(user.op, Op::Gather(x, _) if x == node))
                || self.graph.outputs.iter().any(|output| output.node == node);
            if self.held[node.index()] && !needed && elements(axes) > HELD_ELEMENTS_MAX {
                let shares = self.graph.ids().all(|user| {
                    !self.graph.node(user).op.operands().any(|operand| operand == node)
                        || self.space(user) == axes
                });
                self.held[node.index()] = !shares;
            }
        }
    }

    fn is_input(&self, node: NodeId) -> bool {
        matches!(self.graph.node(node).op, Op::Input(_))
    }

    /// Whether a node is cheap enough to be read again wherever it is used.
    fn is_leaf(&self, node: NodeId) -> bool {
        match self.graph.node(node).op {
            Op::Input(_) | Op::Literal(_) | Op::Len(_) | Op::Index(_) => true,
            Op::Cast(x) => matches!(self.graph.node(x).op, Op::Input(_)) && self.widens(node, x),
            _ => false,
        }
    }

    fn widens(&self, node: NodeId, x: NodeId) -> bool {
        is_exact_cast(self.graph.node(x).dtype, self.graph.node(node).dtype)
    }

    /// The axes a node's operation runs over.
    pub(super) fn space(&self, node: NodeId) -> AxisSet {
        match self.graph.node(node).op {
            Op::Reduce(_, _, x) => self.graph.node(x).axes,
            _ => self.graph.node(node).axes,
        }
    }

    fn as_contraction(&self, node: NodeId) -> Option<Contraction> {
        let Op::Reduce(ReduceOp::Sum, inner, product) = self.graph.node(node).op else {
            return None;
        };
        let Op::Binary(BinaryOp::Mul, x, y) = self.graph.node(product).op else { return None };
        let dtype = self.graph.node(product).dtype;
        let (left, right) = (self.peel(x), self.peel(y));
        let readable =
            |x: NodeId| self.held[x.index()] || matches!(self.graph.node(x).op, Op::Input(_));
        let narrow = |x: NodeId| dtype.is_float() || self.graph.node(x).dtype.bits() <= 16;
        let (a, b) = (self.graph.node(left).axes, self.graph.node(right).axes);
        let fits = !self.held[product.index()]
            && readable(left)
            && readable(right)
            && narrow(left)
            && narrow(right)
            && (a & b).contains_all(inner)
            && !(a - b).is_empty()
            && !(b - a).is_empty();
        fits.then_some(Contraction { product, left, right, inner })
    }

    /// The input below an exact conversion, else the node itself.
    fn peel(&self, node: NodeId) -> NodeId {
        match self.graph.node(node).op {
            Op::Cast(x) if !self.held[node.index()] && self.is_leaf(node) => x,
            _ => node,
        }
    }

    /// The types of an operand and of its result.
    pub(super) fn types(&self, x: NodeId, result: NodeId) -> (DType, DType) {
        (self.graph.node(x).dtype, self.graph.node(result).dtype)
    }

    /// Axes in block order.
    pub(super) fn sorted(&self, axes: AxisSet) -> Vec<AxisId> {
        self.order.iter().copied().filter(|&axis| axes.contains(axis)).collect()
    }

    /// The axis along which the rows of a space run: the innermost one in memory of the largest value read, unless
    /// it is short.
    pub(super) fn row_axis(&self, root: NodeId, computes_root: bool) -> Option<AxisId> {
        let axes = self.graph.node(root).axes;
        let extent = |axis: AxisId| self.graph.axes.extent(axis);
        let mut best: Option<(u64, AxisId)> = None;
        self.visit_reads(root, computes_root, &mut |node| {
            let inner = match self.graph.node(node).op {
                Op::Input(input) => self.graph.inputs[input].axes.last().copied(),
                _ => self.sorted(self.graph.node(node).axes).last().copied(),
            };
            let volume = self.graph.axes.volume(self.graph.node(node).axes);
            if let Some(axis) = inner
                && best.is_none_or(|(largest, _)| volume > largest)
            {
                best = Some((volume, axis));
            }
        });
        let longest = axes.iter().max_by_key(|&axis| (extent(axis), std::cmp::Reverse(axis)));
        best.map(|(_, axis)| axis).filter(|&axis| extent(axis) >= 16).or(longest)
    }

    /// Visits what a kernel reads, each once, in depth-first order. No recursion: chains may be long.
    fn visit_reads(&self, root: NodeId, expand_root: bool, visit: &mut impl FnMut(NodeId)) {
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node.index()], true) {
                continue;
            }
            let op = self.graph.node(node).op;
            let expand = expand_root && node == root;
            if matches!(op, Op::Input(_)) || (self.held[node.index()] && !expand) {
                visit(node);
                continue;
            }
            if matches!(op, Op::Gather(..)) {
                visit(node);
            }
            // What a gather reads lies along other axes.
            let elsewhere = |operand: NodeId| matches!(op, Op::Gather(x, picks) if x == operand && picks.iter().all(|pick| pick.1 != x));
            let operands: Vec<_> = op.operands().filter(|&operand| !elsewhere(operand)).collect();
            open.extend(operands.into_iter().rev());
        }
    }

    /// Whether any value is computed in f64, so that f64 is not precise enough to judge it.
    pub(super) fn needs_twofold(graph: &Graph) -> bool {
        graph.nodes.iter().any(|node| node.dtype == DType::F64)
    }
}

/// The conversions to a float type whose values are outputs and nothing else.
fn last_roundings(graph: &Graph) -> Vec<bool> {
    let operands: BTreeSet<NodeId> = graph.nodes.iter().flat_map(|n| n.op.operands()).collect();
    let is_last = |id: NodeId| {
        let node = graph.node(id);
        let stored = graph.outputs.iter().any(|output| output.node == id);
        matches!(node.op, Op::Cast(_)) && node.dtype.is_float() && stored && !operands.contains(&id)
    };
    graph.ids().map(is_last).collect()
}

/// The first output's axes in memory order, then the others.
fn axis_order(graph: &Graph) -> Vec<AxisId> {
    let mut order: Vec<AxisId> = vec![];
    let tensors = graph.outputs.iter().map(|output| &output.tensor).chain(&graph.inputs);
    for axis in tensors.flat_map(|tensor| tensor.axes.iter().copied()).chain(graph.axes.ids()) {
        if !order.contains(&axis) {
            order.push(axis);
        }
    }
    order
}
