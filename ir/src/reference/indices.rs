//! Which inputs are indices, and numbers for them.
//!
//! An integer input that ends up as a subscript is drawn mostly inside of the axis, sometimes at its ends and a little
//! beyond, where the nearest element is meant. One that is compared with a position is drawn around the positions.
//! Invariant: this only chooses numbers that are worth drawing; any number is a legal index.

use super::tensor::integer_range;
use crate::base::{BinaryOp, DType};
use crate::graph::{Graph, NodeId, Op};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How far beyond the ends an index is drawn.
const BEYOND: i64 = 3;

/// By input: the length of what it is an index of, where it is one.
pub(super) fn lengths(graph: &Graph) -> Vec<Option<u64>> {
    let mut limits: Vec<Option<u64>> = vec![None; graph.nodes.len()];
    let bounds = bounds(graph);
    let lower = |slot: &mut Option<u64>, limit: u64| {
        *slot = Some(slot.map_or(limit, |known| known.min(limit)));
    };
    for id in graph.ids().rev() {
        match graph.node(id).op {
            Op::Gather(_, picks) => {
                for (axis, index) in picks.iter() {
                    lower(&mut limits[index.index()], graph.axes.extent(axis));
                }
            }
            Op::Compare(_, x, y) => {
                for (x, y) in [(x, y), (y, x)] {
                    let varies = !graph.node(y).axes.is_empty();
                    if let Some(high) = bounds[y.index()].filter(|_| varies) {
                        lower(&mut limits[x.index()], high.saturating_add(1));
                    }
                }
            }
            _ => {}
        }
        if let Some(limit) = limits[id.index()] {
            for (operand, limit) in handed(graph, id, limit) {
                lower(&mut limits[operand.index()], limit);
            }
        }
    }
    let mut lengths = vec![None; graph.inputs.len()];
    for id in graph.ids() {
        if let Op::Input(input) = graph.node(id).op
            && graph.node(id).dtype.is_integer()
        {
            lengths[input] = limits[id.index()];
        }
    }
    lengths
}

/// The operands that make up an index below `limit`, each with a limit of its own.
fn handed(graph: &Graph, id: NodeId, limit: u64) -> Vec<(NodeId, u64)> {
    let number = |node: NodeId| match graph.node(node).op {
        Op::Literal(value) if value >= 1.0 => Some(value as u64),
        Op::Len(axis) => Some(graph.axes.extent(axis).max(1)),
        _ => None,
    };
    match graph.node(id).op {
        Op::Cast(x) | Op::Gather(x, _) | Op::Reduce(_, _, x) => vec![(x, limit)],
        Op::Select(_, x, y) => vec![(x, limit), (y, limit)],
        Op::Binary(op, x, y) => match (op, number(x), number(y)) {
            (BinaryOp::Mul, _, Some(factor)) => vec![(x, limit.div_ceil(factor))],
            (BinaryOp::Mul, Some(factor), _) => vec![(y, limit.div_ceil(factor))],
            (BinaryOp::Div, _, Some(divisor)) => vec![(x, limit.saturating_mul(divisor))],
            (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Min | BinaryOp::Max, ..) => {
                vec![(x, limit), (y, limit)]
            }
            _ => vec![],
        },
        _ => vec![],
    }
}

/// By node: one more than its largest value, roughly, where it depends on positions, extents and numbers alone.
fn bounds(graph: &Graph) -> Vec<Option<u64>> {
    let mut bounds: Vec<Option<u64>> = vec![];
    for node in &graph.nodes {
        let of = |x: NodeId| bounds[x.index()];
        let bound = match node.op {
            Op::Literal(value) if value >= 0.0 => Some(value as u64),
            Op::Index(axis) | Op::Len(axis) => Some(graph.axes.extent(axis)),
            Op::Cast(x) => of(x),
            Op::Binary(op, x, y) => of(x).zip(of(y)).and_then(|(x, y)| match op {
                BinaryOp::Add => Some(x.saturating_add(y)),
                BinaryOp::Mul => Some(x.saturating_mul(y)),
                BinaryOp::Max => Some(x.max(y)),
                BinaryOp::Min => Some(x.min(y)),
                BinaryOp::Sub => Some(x),
                _ => None,
            }),
            _ => None,
        };
        bounds.push(bound);
    }
    bounds
}

/// The largest magnitude that `draw` gives.
pub(super) fn magnitude(length: u64, dtype: DType) -> f64 {
    let (low, high) = integer_range(dtype);
    (length as f64 + BEYOND as f64).min(high.max(-low))
}

/// An index of an axis of some length.
pub(super) fn draw(length: u64, dtype: DType, random: &mut ChaCha8Rng) -> f64 {
    let (low, high) = integer_range(dtype);
    let last = i64::try_from(length).unwrap_or(i64::MAX >> 1) - 1;
    let index = match random.random_range(0..32_u8) {
        0 => -random.random_range(1..=BEYOND),
        1 => last + random.random_range(1..=BEYOND),
        2 => 0,
        3 => last,
        _ => random.random_range(0..=last.max(0)),
    };
    (index as f64).clamp(low, high)
}
