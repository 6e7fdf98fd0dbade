//! Exponentials under a sum that another form of the kernel may take about a pivot.
//!
//! Where a text sums `exp(x)` of an x without a bound, an honest form subtracts the largest x first, and rounds that
//! difference. It is at most as large as the exponents of the type go, else the exponential vanishes; so the exponent is
//! off by that much in units of roundoff, whatever x is. An exponential that has a maximum taken off already is rounded
//! where the text rounds it.
//!
//! A form that carries the maximum meets every element of it, also those that the sum masks: where the text takes 0 for
//! a masked exponential that is not finite, as `exp(inf - inf)` is not, the form may have NaN.
//! Invariant: none in a kernel that is `@exact` or permits no more than other groupings.

use crate::base::{AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use crate::rewrite::RuleClass;

/// By node: whether it is such an exponential.
pub(super) fn unpivoted(graph: &Graph) -> Vec<bool> {
    let mut found = vec![false; graph.nodes.len()];
    if graph.permits < RuleClass::Range {
        return found;
    }
    for id in graph.ids() {
        if let Op::Reduce(ReduceOp::Sum, axes, term) = graph.node(id).op {
            mark(graph, axes, term, &mut found);
        }
    }
    found
}

/// Marks the exponentials among the factors of a sum's term.
fn mark(graph: &Graph, axes: AxisSet, term: NodeId, found: &mut [bool]) {
    let mut open = vec![term];
    while let Some(id) = open.pop() {
        let node = graph.node(id);
        match node.op {
            Op::Binary(BinaryOp::Mul | BinaryOp::Div, x, y) | Op::Select(_, x, y) => {
                open.extend([x, y]);
            }
            Op::Unary(UnaryOp::Neg | UnaryOp::Recip, x) | Op::Cast(x) => open.push(x),
            // The rewriter does not take narrower arithmetic apart.
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x)
                if matches!(node.dtype, DType::F32 | DType::F64)
                    && !node.axes.is_disjoint(axes) =>
            {
                found[id.index()] = !has_pivot(graph, x);
            }
            _ => {}
        }
    }
}

/// By node: whether it is a choice below a sum, with an exponential about a pivot in a branch.
pub(super) fn masked_pivots(graph: &Graph) -> Vec<bool> {
    let mut found = vec![false; graph.nodes.len()];
    if graph.permits < RuleClass::Range {
        return found;
    }
    for id in graph.ids() {
        let Op::Reduce(ReduceOp::Sum, _, term) = graph.node(id).op else { continue };
        let mut open = vec![term];
        while let Some(id) = open.pop() {
            match graph.node(id).op {
                Op::Binary(BinaryOp::Mul | BinaryOp::Div, x, y) => open.extend([x, y]),
                Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) => open.push(x),
                Op::Select(c, x, y) => {
                    let masks = |&branch: &NodeId| {
                        is_about_pivot(graph, branch) && !is_share(graph, c, branch)
                    };
                    found[id.index()] = [x, y].iter().any(masks);
                    open.extend([x, y]);
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether a branch is a quotient by what the condition compares with 0, as the share of an empty softmax is: the choice
/// then masks `0 / 0` of a row without anything in it, which no form has.
fn is_share(graph: &Graph, condition: NodeId, branch: NodeId) -> bool {
    let Op::Binary(BinaryOp::Div, _, divisor) = graph.node(branch).op else { return false };
    let Op::Compare(CompareOp::Eq | CompareOp::Ne, x, y) = graph.node(condition).op else {
        return false;
    };
    let zero = |id: NodeId| matches!(graph.node(id).op, Op::Literal(value) if value == 0.0);
    x == divisor && zero(y) || y == divisor && zero(x)
}

/// Whether a value has an exponential of a difference to a maximum as a factor.
fn is_about_pivot(graph: &Graph, value: NodeId) -> bool {
    let mut open = vec![value];
    while let Some(id) = open.pop() {
        match graph.node(id).op {
            Op::Binary(BinaryOp::Mul | BinaryOp::Div, x, y) | Op::Select(_, x, y) => {
                open.extend([x, y]);
            }
            Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) => open.push(x),
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x) if has_pivot(graph, x) => return true,
            _ => {}
        }
    }
    false
}

/// Whether an exponent has a maximum or minimum in it.
fn has_pivot(graph: &Graph, exponent: NodeId) -> bool {
    let mut open = vec![exponent];
    while let Some(id) = open.pop() {
        match graph.node(id).op {
            Op::Reduce(ReduceOp::Max | ReduceOp::Min, ..) => return true,
            op if op.is_traversal() => {}
            op => open.extend(op.operands()),
        }
    }
    false
}

/// What the exponent of such an exponential may be off by.
pub(super) fn exponent_error(op: UnaryOp, dtype: DType) -> f64 {
    let largest = dtype.max_finite();
    let range = if op == UnaryOp::Exp2 { largest.log2() } else { largest.ln() };
    range * dtype.unit_roundoff()
}
