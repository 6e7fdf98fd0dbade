//! Rewrites operations that the plan does not have into those that it has.
//!
//! `argmax[axes](x)` is the smallest position at which x equals its maximum or is NaN. The maximum is NaN where any
//! x is, and a NaN equals nothing, so the first NaN wins, and else the first of the largest. Over nothing no position
//! is found, and the result is -1. `argmin` is the same with the minimum.
//! Invariant: the result has the outputs' types and axes, and the same values; a graph without such operations is
//! returned as it is.

use super::{Graph, GraphBuilder, NodeId, Op, Output};
use crate::base::{AxisSet, BinaryOp, CompareOp, DType, ReduceOp};

/// The graph without `argmax` and `argmin`.
pub fn legalise(graph: &Graph) -> Graph {
    let searches = graph.nodes.iter().any(|node| is_search(node.op));
    if !searches {
        return graph.clone();
    }
    let mut builder = GraphBuilder::like(graph);
    let mut new_ids: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let node = graph.node(id);
        let new = match node.op {
            Op::Reduce(op @ (ReduceOp::Argmax | ReduceOp::Argmin), axes, x) => {
                search(&mut builder, op, axes, new_ids[x.index()])
            }
            _ => builder.copy(node, |operand| new_ids[operand.index()]),
        };
        if let Some(name) = &graph.names[id.index()] {
            builder.name(new, name);
        }
        new_ids.push(new);
    }
    let output = |output: &Output| Output { node: new_ids[output.node.index()], ..output.clone() };
    builder.finish(graph.outputs.iter().map(output).collect())
}

fn is_search(op: Op) -> bool {
    matches!(op, Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, ..))
}

fn search(builder: &mut GraphBuilder, op: ReduceOp, axes: AxisSet, x: NodeId) -> NodeId {
    let extreme = if op == ReduceOp::Argmax { ReduceOp::Max } else { ReduceOp::Min };
    let best = builder.reduce(extreme, axes, x);
    let mut wins = builder.compare(CompareOp::Eq, x, best);
    if builder.node(x).dtype.is_float() {
        let is_nan = builder.compare(CompareOp::Ne, x, x);
        wins = builder.binary(BinaryOp::Or, wins, is_nan);
    }
    let position = position(builder, axes);
    let none = builder.literal(f64::from(i32::MAX), DType::I32);
    let candidate = builder.select(wins, position, none);
    let first = builder.reduce(ReduceOp::Min, axes, candidate);
    let empty = builder.compare(CompareOp::Eq, first, none);
    let minus_one = builder.literal(-1.0, DType::I32);
    builder.select(empty, minus_one, first)
}

/// The row-major position among some axes. `Graph::bind` has seen to it that an `i32` holds it.
fn position(builder: &mut GraphBuilder, axes: AxisSet) -> NodeId {
    let mut axes = axes.iter();
    let first = axes.next().expect("a reduction names an axis");
    let mut position = builder.index(first);
    for axis in axes {
        let (len, index) = (builder.len(axis), builder.index(axis));
        let before = builder.binary(BinaryOp::Mul, position, len);
        position = builder.binary(BinaryOp::Add, before, index);
    }
    position
}
