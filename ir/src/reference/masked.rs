//! Products of which one factor may be a zero made by a mask.
//!
//! A traversal need not visit what a mask on indices removes (`where(j <= i, p, 0) * v`), so what an infinity or NaN of
//! `v` there would make of the sum is undecided: NaN in the text, nothing where the block is left out. A comparison need
//! not name an index of the sum: one that never holds at these sizes removes every element.
//! Invariant: only products below a reduction of which a factor hangs on a comparison of indices and extents count, so
//! that every other `0 * inf` stays NaN, and those of a kernel that is `@exact` as well.

use crate::base::{BinaryOp, ReduceOp};
use crate::graph::{Graph, NodeId, Op};
use crate::rewrite::RuleClass;

/// By node: whether its first and its second factor are such.
pub(super) fn masked_products(graph: &Graph) -> Vec<[bool; 2]> {
    let mut masked = vec![[false; 2]; graph.nodes.len()];
    if graph.permits == RuleClass::Exact {
        return masked;
    }
    let (masks, reduced) = (masks(graph), reduced(graph));
    for id in graph.ids().filter(|id| reduced[id.index()]) {
        let node = graph.node(id);
        if let Op::Binary(BinaryOp::Mul, x, y) = node.op
            && node.dtype.is_float()
        {
            masked[id.index()] = [masks[x.index()], masks[y.index()]];
        }
    }
    masked
}

/// By node: whether indices are compared in what its element depends on, by elements and sums: a sum may change places
/// with the products around it, which then meet its terms.
fn masks(graph: &Graph) -> Vec<bool> {
    let mut masks: Vec<bool> = vec![];
    let mut positions: Vec<bool> = vec![];
    for id in graph.ids() {
        let op = graph.node(id).op;
        let position = |x: NodeId| positions[x.index()];
        let compared = matches!(op, Op::Compare(_, x, y) if position(x) && position(y));
        let summed = matches!(op, Op::Reduce(ReduceOp::Sum, ..));
        let elementwise = summed || !op.is_traversal() && !matches!(op, Op::Gather(..));
        masks.push(compared || elementwise && op.operands().any(|x| masks[x.index()]));
        positions.push(match op {
            Op::Index(_) | Op::Len(_) | Op::Literal(_) => true,
            Op::Unary(_, x) | Op::Cast(x) | Op::Wrap(x) => position(x),
            Op::Binary(_, x, y) => position(x) && position(y),
            _ => false,
        });
    }
    masks
}

/// By node: whether it is a part of the terms of a reduction.
fn reduced(graph: &Graph) -> Vec<bool> {
    let mut reduced = vec![false; graph.nodes.len()];
    for id in graph.ids().rev() {
        let op = graph.node(id).op;
        let handed = match op {
            Op::Reduce(..) => true,
            Op::Scan(..) | Op::Gather(..) => false,
            _ => reduced[id.index()],
        };
        op.operands().for_each(|x| reduced[x.index()] |= handed);
    }
    reduced
}
