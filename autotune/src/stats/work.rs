//! The work that the semantics of a graph force, whatever the algorithm.
//!
//! Operations: for each node the number of elements it has (for a reduction, the elements it folds) times the cost
//! of its operation; a contraction of volume V is a product and a sum, 2 V. Elements that a mask which depends on
//! positions alone sends to the identity of what follows (`-inf` before a maximum or an exponential, 0 before a sum)
//! are not forced and not counted: causal attention counts the triangle. Bytes: every argument once, of what is only gathered
//! from at most the elements gathered.
//! Invariant: the count is a lower bound on what straightforward code does, so no honest time beats its roofline.

use super::forced::{Forced, positional};
use tilewright_ir::base::{BinaryOp, DType, UnaryOp};
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
    let forced = Forced::of(graph);
    let inputs = graph.inputs.iter().enumerate();
    let read: f64 = inputs.map(|(input, tensor)| read_bytes(graph, &forced, input, tensor)).sum();
    let written: f64 = graph.outputs.iter().map(|output| bytes(graph, &output.tensor)).sum();
    Work { flops: flops(graph, &forced), bytes: read + written }
}

/// What a call does that follows the text, masks and choices made last: what a reference costs.
pub fn work_of_text(graph: &Graph) -> Work {
    let outputs = graph.outputs.iter().map(|output| &output.tensor);
    let bytes = graph.inputs.iter().chain(outputs).map(|tensor| bytes(graph, tensor)).sum();
    let flops = graph.ids().map(|id| cost(graph, id)).map(|(cost, elements)| cost * elements);
    Work { flops: flops.sum(), bytes }
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

/// The bytes of an input that have to be read: its part that is forced; of one that is only gathered from, no more than the
/// elements gathered.
fn read_bytes(graph: &Graph, forced: &Forced<'_>, input: usize, tensor: &Tensor) -> f64 {
    let reads = |id: NodeId| matches!(graph.node(id).op, Op::Input(of) if of == input);
    let (mut gathered, mut direct) = (0.0, 0.0_f64);
    for id in graph.ids() {
        if let Op::Gather(x, _) = graph.node(id).op
            && reads(x)
        {
            let elements = graph.axes.volume(graph.node(id).axes);
            gathered += tensor.dtype.bytes_of(elements) as f64 * forced.fraction(id);
        }
        if reads(id) {
            direct = direct.max(forced.fraction(id));
        }
    }
    let whole = bytes(graph, tensor);
    (whole * direct).max(gathered.min(whole))
}

fn flops(graph: &Graph, forced: &Forced<'_>) -> f64 {
    let of = |id: NodeId| {
        let (cost, elements) = cost(graph, id);
        if cost * elements > 0.0 { cost * elements * forced.worked_on(id) } else { 0.0 }
    };
    graph.ids().map(of).sum()
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
