//! The work that the semantics of a graph force, whatever the algorithm.
//!
//! Operations: for each node the number of elements it has (for a reduction, the elements it folds) times the cost
//! of its operation; a contraction of volume V is a product and a sum, 2 V. Elements that a mask which depends on
//! positions alone sends to the identity of what follows (`-inf` before a maximum or an exponential, 0 before a sum)
//! are not forced and not counted: causal attention counts the triangle. Bytes: every argument once, of what is only gathered
//! from at most the elements gathered.
//! Invariant: the count is a lower bound on what straightforward code does, so no honest time beats its roofline.

use tilewright_ir::base::{AxisId, BinaryOp, CompareOp, DType, UnaryOp};
use tilewright_ir::graph::{Graph, NodeId, Op, Tensor};
use tilewright_ir::target::Target;

/// What one call of a kernel has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes of all inputs and outputs.
    pub bytes: f64,
}

/// The work of a bound graph.
pub fn work(graph: &Graph) -> Work {
    let inputs = graph.inputs.iter().enumerate();
    let read: f64 = inputs.map(|(input, tensor)| read_bytes(graph, input, tensor)).sum();
    let written: f64 = graph.outputs.iter().map(|output| bytes(graph, &output.tensor)).sum();
    Work { flops: flops(graph), bytes: read + written }
}

/// How many times the rate of multiply-adds of f32 in vectors the products of a kernel may reach on a machine, going by the
/// narrowest of its inputs: tile registers add 16 times as many products of bf16 and 32 times as many of bytes, and six
/// products of bf16 parts make one of f32, four one of f16.
pub fn over_lanes(graph: &Graph, target: &Target) -> f64 {
    let has = |name: &str| target.features.iter().any(|feature| feature == name);
    let is_fast = |name: &str| has(name) && !target.slow.iter().any(|slow| slow == name);
    let (tiles, byte_tiles) = (has("amx-bf16"), has("amx-int8"));
    let over = |tensor: &Tensor| match tensor.dtype {
        DType::I8 | DType::U8 | DType::I4 if byte_tiles => 32.0,
        DType::I8 | DType::U8 | DType::I4 => 4.0,
        DType::I16 => 2.0,
        DType::Bf16 if tiles => 16.0,
        DType::Bf16 if is_fast("avx512bf16") => 2.0,
        DType::F16 if tiles => 16.0 / 4.0,
        DType::F32 if tiles => 16.0 / 6.0,
        DType::Bf16 | DType::F16 | DType::F32 | DType::F64 | DType::I32 | DType::Bool => 1.0,
    };
    graph.inputs.iter().map(over).fold(1.0, f64::max)
}

fn bytes(graph: &Graph, tensor: &Tensor) -> f64 {
    let axes = tensor.axes.iter().copied().collect();
    let volume = graph.axes.volume(axes);
    let Some(strides) = tensor.strides_if_strided(&graph.axes) else {
        return tensor.dtype.bytes_of(volume) as f64;
    };
    // Elements at one place are read once: no more than the strides that are not 0 reach, or than lie in the span.
    let moving = tensor.axes.iter().zip(&strides).filter(|(_, stride)| **stride != 0);
    let apart = graph.axes.volume(moving.map(|(&axis, _)| axis).collect());
    let span = tensor.memory(&graph.axes).map_or(u64::MAX, |memory| memory.span);
    tensor.dtype.bytes_of(volume.min(apart).min(span)) as f64
}

/// The bytes of an input that have to be read: of one that is only gathered from, no more than the elements gathered.
fn read_bytes(graph: &Graph, input: usize, tensor: &Tensor) -> f64 {
    let whole = bytes(graph, tensor);
    let reads = |id: NodeId| matches!(graph.node(id).op, Op::Input(of) if of == input);
    let mut gathered = 0.0;
    for id in graph.ids() {
        let elements = graph.axes.volume(graph.node(id).axes);
        let mut operands = graph.node(id).op.operands();
        let direct = match graph.node(id).op {
            Op::Gather(x, picks) if reads(x) => {
                gathered += tensor.dtype.bytes_of(elements) as f64;
                picks.iter().any(|pick| reads(pick.1))
            }
            _ => operands.any(reads),
        };
        if direct || graph.outputs.iter().any(|output| output.node == id && reads(id)) {
            return whole;
        }
    }
    whole.min(gathered)
}

/// What the elements of a node are outside the live part of its positions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rest {
    /// The same as inside: every element is live.
    None,
    /// `-inf`.
    NegativeInfinity,
    /// 0.
    Zero,
}

/// The live part of a node: the fraction of its elements, and what the others are.
#[derive(Clone, Copy, Debug)]
struct Live {
    fraction: f64,
    rest: Rest,
}

const ALL: Live = Live { fraction: 1.0, rest: Rest::None };

fn flops(graph: &Graph) -> f64 {
    let live = live(graph);
    let demand = demand(graph, &live);
    graph
        .ids()
        .map(|id| {
            let (cost, elements) = cost(graph, id);
            let folded = match graph.node(id).op {
                Op::Reduce(_, _, x) => live[x.index()].fraction.min(demand[x.index()]),
                _ => live[id.index()].fraction.min(demand[id.index()]),
            };
            cost * elements * folded
        })
        .sum()
}

/// The cost of an operation for one element, and how many elements it is applied to.
fn cost(graph: &Graph, id: NodeId) -> (f64, f64) {
    let node = graph.node(id);
    let volume = |axes| graph.axes.volume(axes) as f64;
    match node.op {
        Op::Reduce(_, axes, x) => {
            let operand = graph.node(x).axes;
            (if axes.is_empty() { 0.0 } else { 1.0 }, volume(operand | axes))
        }
        Op::Roll(_, axes, term, _) => (1.0, volume(graph.node(term).axes | axes)),
        Op::Scan(..) => (1.0, volume(node.axes)),
        // Signs and logic are free of floating-point work.
        Op::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _)
        | Op::Binary(BinaryOp::And | BinaryOp::Or, _, _) => (0.0, 0.0),
        // What depends on positions alone can be computed before the kernel runs.
        Op::Unary(_, _) | Op::Binary(_, _, _) if positional(graph, id) => (0.0, 0.0),
        Op::Unary(_, _) | Op::Binary(_, _, _) => (1.0, volume(node.axes)),
        Op::Input(_)
        | Op::Literal(_)
        | Op::Index(_)
        | Op::Len(_)
        | Op::Compare(_, _, _)
        | Op::Select(_, _, _)
        | Op::Gather(_, _)
        | Op::Cast(_)
        | Op::Wrap(_)
        | Op::Before(_)
        | Op::After(_)
        | Op::Held => (0.0, 0.0),
    }
}

/// Whether a node depends on no input.
fn positional(graph: &Graph, id: NodeId) -> bool {
    match graph.node(id).op {
        Op::Input(_) => false,
        op => op.operands().all(|operand| positional(graph, operand)),
    }
}

/// Which part of each node is live, operands first.
fn live(graph: &Graph) -> Vec<Live> {
    let mut live: Vec<Live> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let of = |node: NodeId| live[node.index()];
        let next = match graph.node(id).op {
            Op::Select(c, _, z) => masked(graph, c, z),
            Op::Cast(x) => of(x),
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x) => match of(x) {
                Live { fraction, rest: Rest::NegativeInfinity } => {
                    Live { fraction, rest: Rest::Zero }
                }
                _ => ALL,
            },
            Op::Binary(BinaryOp::Sub, x, _) if of(x).rest == Rest::NegativeInfinity => of(x),
            Op::Binary(BinaryOp::Add, x, y) => either(of(x), of(y), Rest::NegativeInfinity),
            Op::Binary(BinaryOp::Mul, x, y) => either(of(x), of(y), Rest::Zero),
            Op::Binary(BinaryOp::Div, x, _) if of(x).rest == Rest::Zero => of(x),
            _ => ALL,
        };
        live.push(next);
    }
    live
}

/// The operand that absorbs the other one outside its live part.
fn either(x: Live, y: Live, rest: Rest) -> Live {
    [x, y]
        .into_iter()
        .filter(|live| live.rest == rest)
        .min_by(|one, other| one.fraction.total_cmp(&other.fraction))
        .unwrap_or(ALL)
}

/// The live part of `select(c, x, z)` where `c` depends on positions alone and `z` is `-inf` or 0.
fn masked(graph: &Graph, c: NodeId, z: NodeId) -> Live {
    let rest = match constant(graph, z) {
        Some(value) if value == f64::NEG_INFINITY => Rest::NegativeInfinity,
        Some(0.0) => Rest::Zero,
        _ => return ALL,
    };
    match fraction_true(graph, c) {
        Some(fraction) => Live { fraction, rest },
        None => ALL,
    }
}

fn constant(graph: &Graph, id: NodeId) -> Option<f64> {
    match graph.node(id).op {
        Op::Literal(value) => Some(value),
        Op::Cast(x) => constant(graph, x),
        Op::Unary(UnaryOp::Neg, x) => constant(graph, x).map(|value| -value),
        _ => None,
    }
}

/// The largest fraction of each node's elements that any of its users needs, users first.
fn demand(graph: &Graph, live: &[Live]) -> Vec<f64> {
    let mut demand = vec![0.0_f64; graph.nodes.len()];
    for output in &graph.outputs {
        demand[output.node.index()] = 1.0;
    }
    for id in graph.ids().rev() {
        let needed = demand[id.index()];
        let mut need = |node: NodeId, fraction: f64| {
            let axes = graph.node(node).axes;
            // A value that lacks an axis of its user is needed where any element of that user is.
            let fraction = if axes.contains_all(graph.node(id).axes) { fraction } else { 1.0 };
            let slot = &mut demand[node.index()];
            *slot = slot.max(fraction.min(1.0));
        };
        match graph.node(id).op {
            Op::Select(c, x, z) => {
                need(c, needed);
                need(x, needed.min(fraction_true(graph, c).unwrap_or(1.0)));
                need(z, needed);
            }
            op @ (Op::Binary(_, _, _) | Op::Unary(_, _) | Op::Cast(_) | Op::Wrap(_)) => {
                op.operands().for_each(|x| need(x, needed.min(live[id.index()].fraction)));
            }
            op @ Op::Reduce(_, _, x) => {
                op.operands().for_each(|y| need(y, needed.min(live[x.index()].fraction)));
            }
            // Any element may be the one that is meant.
            Op::Gather(x, picks) => {
                picks.iter().for_each(|(_, index)| need(index, needed));
                need(x, 1.0);
            }
            op => op.operands().for_each(|x| need(x, needed)),
        }
    }
    demand
}

/// Positions along each axis at which a mask is evaluated; larger extents are sampled evenly.
const SAMPLES_PER_AXIS: u64 = 256;

/// The fraction of positions at which a condition on positions alone holds; `None` if it depends on an input or on
/// more than two axes.
fn fraction_true(graph: &Graph, condition: NodeId) -> Option<f64> {
    let axes: Vec<AxisId> = graph.node(condition).axes.iter().collect();
    if !positional(graph, condition) || axes.len() > 2 {
        return None;
    }
    let points: Vec<Vec<f64>> =
        axes.iter().map(|&axis| sample_points(graph.axes.extent(axis))).collect();
    let first = points.first().map_or(&[0.0][..], |list| list);
    let second = points.get(1).map_or(&[0.0][..], |list| list);
    let (mut held, mut seen) = (0.0, 0.0);
    for &one in first {
        for &other in second {
            let at = |axis: AxisId| if axes.first() == Some(&axis) { one } else { other };
            held += value(graph, condition, &at)?;
            seen += 1.0;
        }
    }
    if seen > 0.0 { Some(held / seen) } else { None }
}

fn sample_points(extent: u64) -> Vec<f64> {
    let count = extent.min(SAMPLES_PER_AXIS);
    (0..count).map(|index| ((index * 2 + 1) * extent / (count * 2)) as f64).collect()
}

/// A node that depends on positions alone, at a position; reductions are not followed.
fn value(graph: &Graph, id: NodeId, at: &dyn Fn(AxisId) -> f64) -> Option<f64> {
    let of = |node| value(graph, node, at);
    Some(match graph.node(id).op {
        Op::Literal(value) => value,
        Op::Index(axis) => at(axis),
        Op::Len(axis) => graph.axes.extent(axis) as f64,
        Op::Cast(x) => of(x)?,
        Op::Unary(UnaryOp::Neg, x) => -of(x)?,
        Op::Unary(UnaryOp::Not, x) => 1.0 - of(x)?,
        Op::Binary(op, x, y) => op.apply(of(x)?, of(y)?),
        Op::Compare(op, x, y) => f64::from(u8::from(compare(op, of(x)?, of(y)?))),
        Op::Select(c, x, y) => {
            if of(c)? != 0.0 {
                of(x)?
            } else {
                of(y)?
            }
        }
        Op::Input(_)
        | Op::Unary(_, _)
        | Op::Wrap(_)
        | Op::Gather(_, _)
        | Op::Reduce(..)
        | Op::Scan(..)
        | Op::Roll(..)
        | Op::Before(_)
        | Op::After(_)
        | Op::Held => {
            return None;
        }
    })
}

fn compare(op: CompareOp, x: f64, y: f64) -> bool {
    op.apply(x, y)
}
