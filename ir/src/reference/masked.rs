//! Products of which one factor may be a zero made by a mask.
//!
//! A traversal need not visit what a mask on indices removes (`where(j <= i, p, 0) * v`), so what an infinity or NaN of
//! `v` there would make of the sum is undecided: NaN in the text, nothing where the block is left out.
//! Invariant: only products below a reduction over an axis that the mask compares count, so that every other `0 * inf`
//! stays NaN, and those of a kernel that is `@exact` as well.

use crate::base::{AxisSet, BinaryOp};
use crate::graph::{Graph, NodeId, Op};
use crate::rewrite::RuleClass;

/// By node: for a product, whether its first and its second factor are such.
pub(super) fn masked_products(graph: &Graph) -> Vec<[bool; 2]> {
    let mut masked = vec![[false; 2]; graph.nodes.len()];
    if graph.permits == RuleClass::Exact {
        return masked;
    }
    let (masks, reduced) = (masks(graph), reduced(graph));
    for id in graph.ids() {
        let node = graph.node(id);
        if let Op::Binary(BinaryOp::Mul, x, y) = node.op
            && node.dtype.is_float()
        {
            let is_masked =
                |factor: NodeId| !masks[factor.index()].is_disjoint(reduced[id.index()]);
            masked[id.index()] = [is_masked(x), is_masked(y)];
        }
    }
    masked
}

/// By node: the axes whose indices are compared in what its element depends on, not counting reductions.
fn masks(graph: &Graph) -> Vec<AxisSet> {
    let mut masks: Vec<AxisSet> = vec![];
    let mut positions: Vec<Option<AxisSet>> = vec![];
    for id in graph.ids() {
        let op = graph.node(id).op;
        let position = |x: NodeId| positions[x.index()];
        let both = |x, y| Some(position(x)? | position(y)?);
        let compared = match op {
            Op::Compare(_, x, y) => both(x, y).unwrap_or_default(),
            _ => AxisSet::EMPTY,
        };
        let elementwise = !op.is_traversal() && !matches!(op, Op::Gather(..));
        let operands = op.operands().filter(|_| elementwise);
        masks.push(operands.fold(compared, |set, x| set | masks[x.index()]));
        let made = match op {
            Op::Index(axis) => Some(AxisSet::one(axis)),
            Op::Len(_) | Op::Literal(_) => Some(AxisSet::EMPTY),
            Op::Unary(_, x) | Op::Cast(x) | Op::Wrap(x) => position(x),
            Op::Binary(_, x, y) => both(x, y),
            _ => None,
        };
        positions.push(made);
    }
    masks
}

/// By node: the axes of the reductions whose terms it is a part of.
fn reduced(graph: &Graph) -> Vec<AxisSet> {
    let mut reduced = vec![AxisSet::EMPTY; graph.nodes.len()];
    for id in graph.ids().rev() {
        let op = graph.node(id).op;
        let handed = match op {
            Op::Reduce(_, axes, _) => axes,
            Op::Scan(..) | Op::Gather(..) => AxisSet::EMPTY,
            _ => reduced[id.index()],
        };
        op.operands().for_each(|x| reduced[x.index()] |= handed);
    }
    reduced
}
