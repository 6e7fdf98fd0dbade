//! Where numbers end, what other forms of a kernel may have instead.
//!
//! Over the reals every form of a kernel is equal to it. Beyond them it is not: a form may divide by a factor before or
//! after a sum, take a pivot off an exponential or cancel a term of two exponents. So one rule says what is undecided.
//! Products, quotients, sums and exponentials that read each other are a *group*. Where a kernel permits other forms of a
//! group, a NaN that the group makes of numbers and infinities, an infinity that its regrouped sums have, and a
//! reciprocal out of range are undecided, and so is what a term makes of the exponent that it may leave.
//! Invariant: NaN that comes in stays NaN, but for such a term; kernels that are `@exact` have no freedom, nor has a
//! group that no rule acts on.

use super::vanishing::vanishing;
use crate::base::{AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use crate::rewrite::RuleClass;

/// What other forms may do to one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Freedom {
    /// A sum of products that other forms group in another way: with another sum as a factor, or with a factor that
    /// does not vary along the sum.
    pub(super) regrouped: bool,
    /// An operation of a group that has other forms: a NaN made here may be a number there.
    pub(super) grouped: bool,
    /// By operand: which power of its reciprocal a form may have as a factor; 0 if none.
    pub(super) inverted: [i32; 2],
    /// By operand: whether a form may lack it, since it is a term that leaves an exponent.
    pub(super) vanishes: [bool; 2],
}

/// By node: its freedom.
pub(super) fn freedoms(graph: &Graph) -> Vec<Freedom> {
    let mut freedoms = vec![Freedom::default(); graph.nodes.len()];
    if graph.permits == RuleClass::Exact {
        return freedoms;
    }
    for node in graph.ids() {
        freedoms[node.index()].regrouped = is_regrouped(graph, node);
    }
    let groups = groups(graph);
    let kinds = kinds(graph, &groups, &freedoms);
    let (divisors, powers) = (divisors(graph), powers(graph));
    for node in graph.ids() {
        let kind = kinds[groups[node.index()]];
        let freedom = &mut freedoms[node.index()];
        freedom.grouped = kind.has_forms(graph.permits);
        if freedom.grouped || kind.nested_quotients {
            freedom.inverted = inverted(graph, node, divisors[node.index()], powers[node.index()]);
        }
    }
    if graph.permits >= RuleClass::Range {
        for (node, side) in vanishing(graph) {
            freedoms[node.index()].vanishes[side] = true;
        }
    }
    freedoms
}

/// By operand of a node: which power of its reciprocal may be a factor.
fn inverted(graph: &Graph, node: NodeId, divides: bool, power: i32) -> [i32; 2] {
    let inner = if divides { power } else { 0 };
    match graph.node(node).op {
        Op::Binary(BinaryOp::Mul, ..) => [inner; 2],
        Op::Binary(BinaryOp::Div, ..) => [inner, power],
        Op::Unary(UnaryOp::Recip, _) => [power, 0],
        _ => [0; 2],
    }
}

/// What is in a group.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    exponentials: u32,
    /// Sums, logarithms and quotients, all of which an exponential goes through.
    passages: u32,
    regrouped_sum: bool,
    /// A quotient by a quotient or a product.
    nested_quotients: bool,
}

impl Kind {
    fn has_forms(self, permits: RuleClass) -> bool {
        let moves = self.exponentials > 1 || self.exponentials == 1 && self.passages > 0;
        self.regrouped_sum || permits >= RuleClass::Range && moves
    }
}

/// By group, that is by the first node of it: what is in it.
fn kinds(graph: &Graph, groups: &[usize], freedoms: &[Freedom]) -> Vec<Kind> {
    let mut kinds = vec![Kind::default(); graph.nodes.len()];
    for id in graph.ids() {
        let kind = &mut kinds[groups[id.index()]];
        match graph.node(id).op {
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, _) => kind.exponentials += 1,
            Op::Unary(UnaryOp::Log | UnaryOp::Log2, _) => kind.passages += 1,
            Op::Reduce(ReduceOp::Sum, ..) => {
                kind.passages += 1;
                kind.regrouped_sum |= freedoms[id.index()].regrouped;
            }
            Op::Binary(BinaryOp::Div, _, y) | Op::Unary(UnaryOp::Recip, y) => {
                kind.passages += 1;
                kind.nested_quotients |= is_product(graph, y);
            }
            _ => {}
        }
    }
    kinds
}

fn is_product(graph: &Graph, id: NodeId) -> bool {
    matches!(
        graph.node(id).op,
        Op::Binary(BinaryOp::Mul | BinaryOp::Div, ..) | Op::Unary(UnaryOp::Recip, _)
    )
}

/// By node: the first node of its group.
fn groups(graph: &Graph) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..graph.nodes.len()).collect();
    for id in graph.ids() {
        for operand in linked(graph, id) {
            let (x, y) = (find(&mut groups, id.index()), find(&mut groups, operand.index()));
            groups[x.max(y)] = x.min(y);
        }
    }
    (0..groups.len()).map(|index| find(&mut groups, index)).collect()
}

fn find(groups: &mut [usize], mut index: usize) -> usize {
    while groups[index] != index {
        groups[index] = groups[groups[index]];
        index = groups[index];
    }
    index
}

/// The operands of a node that are in its group.
fn linked(graph: &Graph, id: NodeId) -> impl Iterator<Item = NodeId> {
    let op = graph.node(id).op;
    let is_log = matches!(op, Op::Unary(UnaryOp::Log | UnaryOp::Log2, _));
    let links = is_part(graph, id) || is_log && is_spelled(graph, id);
    let operands = op.operands().filter(move |&operand| {
        let inner = graph.node(operand).op;
        let is_exponential = matches!(inner, Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, _));
        links && (is_part(graph, operand) || is_exponential && is_spelled(graph, operand))
    });
    operands.collect::<Vec<_>>().into_iter()
}

/// Whether products go through a node.
fn is_part(graph: &Graph, id: NodeId) -> bool {
    let is_part = matches!(
        graph.node(id).op,
        Op::Binary(BinaryOp::Mul | BinaryOp::Div, ..)
            | Op::Unary(UnaryOp::Neg | UnaryOp::Recip, _)
            | Op::Reduce(ReduceOp::Sum, ..)
            | Op::Select(..)
            | Op::Cast(_)
    );
    is_part && is_spelled(graph, id)
}

/// Whether the rewriter takes arithmetic in the node's type apart.
pub(super) fn is_spelled(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id).dtype, DType::F32 | DType::F64)
}

/// By node: whether something is divided by it, or by a product that it is a factor of.
fn divisors(graph: &Graph) -> Vec<bool> {
    let mut divisors = vec![false; graph.nodes.len()];
    for id in graph.ids().rev() {
        let divides = divisors[id.index()];
        match graph.node(id).op {
            Op::Binary(BinaryOp::Div, x, y) => {
                divisors[x.index()] |= divides;
                divisors[y.index()] = true;
            }
            Op::Binary(BinaryOp::Mul, x, y) | Op::Select(_, x, y) => {
                divisors[x.index()] |= divides;
                divisors[y.index()] |= divides;
            }
            Op::Unary(UnaryOp::Recip, x) => divisors[x.index()] = true,
            Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) => divisors[x.index()] |= divides,
            _ => {}
        }
    }
    divisors
}

/// By node: how often at most it is a factor of a product that reads it.
fn powers(graph: &Graph) -> Vec<i32> {
    let mut powers = vec![1; graph.nodes.len()];
    for id in graph.ids().rev() {
        let power: i32 = powers[id.index()];
        let mut raise = |x: NodeId, times: i32| {
            let raised = power.saturating_mul(times);
            powers[x.index()] = powers[x.index()].max(raised);
        };
        let is_two = |y: NodeId| graph.node(y).op == Op::Literal(2.0);
        match graph.node(id).op {
            Op::Binary(BinaryOp::Mul, x, y) if x == y => raise(x, 2),
            Op::Binary(BinaryOp::Pow, x, y) if is_two(y) => raise(x, 2),
            Op::Binary(BinaryOp::Mul | BinaryOp::Div, x, y) | Op::Select(_, x, y) => {
                raise(x, 1);
                raise(y, 1);
            }
            Op::Unary(UnaryOp::Neg | UnaryOp::Recip, x) | Op::Cast(x) => raise(x, 1),
            _ => {}
        }
    }
    powers
}

/// Whether a node is a sum of sums, or of products that have, through products alone, another sum as a factor, or one that
/// is the same along the sum and not a number of the text, or a sum of two parts with different axes, each of which may be
/// summed by itself.
fn is_regrouped(graph: &Graph, node: NodeId) -> bool {
    let Op::Reduce(ReduceOp::Sum, axes, term) = graph.node(node).op else { return false };
    let mut stack = vec![(term, false)];
    while let Some((id, within)) = stack.pop() {
        let is_sum = matches!(graph.node(id).op, Op::Reduce(ReduceOp::Sum, ..));
        if (within || is_sum) && leaves_sum(graph, id, axes) {
            return true;
        }
        match graph.node(id).op {
            Op::Binary(BinaryOp::Mul | BinaryOp::Div, x, y) => {
                stack.extend([(x, true), (y, true)]);
            }
            Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) => stack.push((x, within)),
            _ => {}
        }
    }
    false
}

/// Whether a factor may stand before the sum, or be summed apart.
fn leaves_sum(graph: &Graph, id: NodeId, axes: AxisSet) -> bool {
    let part = graph.node(id);
    let constant = matches!(part.op, Op::Literal(_) | Op::Len(_));
    let differ = |x: NodeId, y: NodeId| graph.node(x).axes != graph.node(y).axes;
    match part.op {
        _ if part.axes.is_disjoint(axes) && !constant && part.dtype.is_float() => true,
        Op::Binary(BinaryOp::Add | BinaryOp::Sub, x, y) => differ(x, y),
        Op::Reduce(ReduceOp::Sum, ..) => part.dtype.is_float(),
        _ => false,
    }
}
