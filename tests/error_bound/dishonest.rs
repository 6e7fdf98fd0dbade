//! Ways of being dishonest: a narrower type somewhere, a result that is not rounded to nearest, a term left out or
//! counted twice.
//!
//! Invariant: each way is applied to any graph; none knows which kernel it spoils.

use super::honest;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::{BinaryOp, CompareOp, DType, ReduceOp};
use tilewright::ir::graph::{Graph, GraphBuilder, NodeId, Op};
use tilewright::ir::reference::naive::Arithmetic;
use tilewright::ir::reference::{HostTensor, evaluate, round_to, wrap_integer};

/// A way of being dishonest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The inputs are rounded to the next narrower type; what follows is honest.
    Inputs,
    /// Every operation rounds to the next narrower type.
    Results,
    /// Sums are accumulated in the next narrower type.
    Accumulator,
    /// Results in f16 and bf16 are cut off, not rounded to nearest.
    Truncated,
    /// One term of a reduction is left out.
    Dropped,
    /// One term of a sum or product counts twice.
    Doubled,
    /// As `Dropped`, on exact integers.
    DroppedInteger,
    /// As `Doubled`, on exact integers.
    DoubledInteger,
}

impl Way {
    pub(crate) const ALL: [Self; 8] = [
        Self::Inputs,
        Self::Results,
        Self::Accumulator,
        Self::Truncated,
        Self::Dropped,
        Self::Doubled,
        Self::DroppedInteger,
        Self::DoubledInteger,
    ];

    /// The name in the record.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inputs => "narrow_inputs",
            Self::Results => "narrow_results",
            Self::Accumulator => "narrow_accumulator",
            Self::Truncated => "truncated",
            Self::Dropped => "dropped",
            Self::Doubled => "doubled",
            Self::DroppedInteger => "dropped_integer",
            Self::DoubledInteger => "doubled_integer",
        }
    }

    /// Whether it needs exact integers.
    pub(crate) fn on_integers(self) -> bool {
        matches!(self, Self::DroppedInteger | Self::DoubledInteger)
    }
}

/// The result of a way on these inputs, for each reduction or tensor it can be applied to; none if it does not apply.
pub(crate) fn results(
    way: Way,
    graph: &Graph,
    inputs: &[HostTensor],
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<HostTensor>> {
    let plain = |inputs: &[HostTensor], arithmetic| honest::plain(graph, inputs, arithmetic);
    match way {
        Way::Inputs if inputs.iter().any(|input| narrower(input.dtype).is_some()) => {
            let inputs: Vec<_> = inputs.iter().map(narrowed).collect();
            vec![plain(&inputs, honest::arithmetic(1))]
        }
        Way::Results if graph.nodes.iter().any(|node| is_rounded(node.op, node.dtype)) => {
            vec![plain(inputs, Arithmetic { round: round_narrow, sum: sum_narrow })]
        }
        Way::Accumulator if graph.nodes.iter().any(|node| is_sum(node.op)) => {
            vec![plain(inputs, Arithmetic { round: round_to, sum: sum_narrow })]
        }
        Way::Truncated if graph.outputs.iter().any(|output| is_short(output.tensor.dtype)) => {
            vec![truncated(graph, inputs)]
        }
        Way::Dropped | Way::DroppedInteger => {
            let nodes = reductions(graph);
            nodes.into_iter().map(|node| spoilt(graph, inputs, node, false, rng)).collect()
        }
        Way::Doubled | Way::DoubledInteger => {
            let nodes = accumulations(graph);
            nodes.into_iter().map(|node| spoilt(graph, inputs, node, true, rng)).collect()
        }
        Way::Inputs | Way::Results | Way::Accumulator | Way::Truncated => vec![],
    }
}

fn is_short(dtype: DType) -> bool {
    dtype.is_float() && dtype.bits() == 16
}

fn is_sum(op: Op) -> bool {
    matches!(op, Op::Reduce(ReduceOp::Sum, ..))
}

fn is_rounded(op: Op, dtype: DType) -> bool {
    op.operands().next().is_some() && narrower(dtype).is_some()
}

/// How many bits less: the mantissa of the next narrower type, or of one bit less where there is none.
enum Narrower {
    Mantissa(u32),
    Integer(DType),
}

fn narrower(dtype: DType) -> Option<Narrower> {
    match dtype {
        DType::F64 => Some(Narrower::Mantissa(24)),
        DType::F32 => Some(Narrower::Mantissa(11)),
        DType::F16 => Some(Narrower::Mantissa(10)),
        DType::Bf16 => Some(Narrower::Mantissa(7)),
        DType::I32 => Some(Narrower::Integer(DType::I16)),
        DType::I16 => Some(Narrower::Integer(DType::I8)),
        DType::I8 => Some(Narrower::Integer(DType::I4)),
        DType::U8 | DType::I4 | DType::Bool => None,
    }
}

/// Rounds to the mantissa of the narrower type, with the exponents of the wider one: the harder case to see.
fn round_narrow(dtype: DType, value: f64) -> f64 {
    let value = round_to(dtype, value);
    match narrower(dtype) {
        Some(Narrower::Mantissa(bits)) => {
            if value == 0.0 || !value.is_finite() {
                return value;
            }
            let drop = 53 - bits;
            let step = 1u64 << drop;
            let (kept, rest) = (value.to_bits() & !(step - 1), value.to_bits() & (step - 1));
            let odd = kept & step != 0;
            let up = rest > step / 2 || rest == step / 2 && odd;
            f64::from_bits(if up { kept + step } else { kept })
        }
        Some(Narrower::Integer(narrow)) => wrap_integer(narrow, value as i128),
        None => value,
    }
}

fn sum_narrow(dtype: DType, terms: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    for (index, &term) in terms.iter().enumerate() {
        sums[index % 4] = round_narrow(dtype, sums[index % 4] + term);
    }
    let pairs = [sums[0] + sums[1], sums[2] + sums[3]].map(|sum| round_narrow(dtype, sum));
    round_narrow(dtype, pairs[0] + pairs[1])
}

fn narrowed(input: &HostTensor) -> HostTensor {
    let values = input.to_f64().into_iter().map(|value| round_narrow(input.dtype, value));
    HostTensor::from_f64(input.dtype, &input.shape, values)
}

/// The exact values, cut off at the type of the result.
fn truncated(graph: &Graph, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let cut = |dtype: DType, value: f64| {
        let rounded = round_to(dtype, value);
        let below = rounded.abs() <= value.abs() || !value.is_finite();
        if !is_short(dtype) || below { rounded } else { rounded - dtype.ulp(value).copysign(value) }
    };
    let expected = evaluate(graph, inputs);
    honest::tensors(graph, expected.into_iter().map(|one| one.values), cut)
}

/// The reductions of which one term can be left out: accumulations, and searches that are the result itself. The
/// largest term of a softmax may be left out by honest code.
fn reductions(graph: &Graph) -> Vec<NodeId> {
    let is_output = |node| graph.outputs.iter().any(|output| output.node == node);
    let is_reduction =
        |&node: &NodeId| matches!(graph.node(node).op, Op::Reduce(..)) && is_output(node);
    let mut nodes = accumulations(graph);
    nodes.extend(
        graph.ids().filter(is_reduction).filter(|node| !accumulations(graph).contains(node)),
    );
    nodes
}

fn accumulations(graph: &Graph) -> Vec<NodeId> {
    let accumulates = |&node: &NodeId| {
        matches!(graph.node(node).op, Op::Reduce(ReduceOp::Sum | ReduceOp::Product, ..))
    };
    graph.ids().filter(accumulates).collect()
}

/// The exact result of the graph in which one reduction loses a term, or takes it twice.
fn spoilt(
    graph: &Graph,
    inputs: &[HostTensor],
    target: NodeId,
    doubled: bool,
    rng: &mut ChaCha8Rng,
) -> Vec<HostTensor> {
    let spoilt = spoil(graph, target, doubled, rng);
    let expected = evaluate(&spoilt, inputs);
    honest::tensors(graph, expected.into_iter().map(|one| one.values), round_to)
}

fn spoil(graph: &Graph, target: NodeId, doubled: bool, rng: &mut ChaCha8Rng) -> Graph {
    let mut builder = GraphBuilder::like(graph);
    let mut new: Vec<NodeId> = vec![];
    for id in graph.ids() {
        let node = graph.node(id);
        let mut replaced = None;
        if let Op::Reduce(op, axes, x) = node.op
            && id == target
        {
            let here = position(&mut builder, graph, axes, rng);
            let term = new[x.index()];
            let other = replacement(&mut builder, op, term, doubled);
            replaced = Some(builder.select(here, other, term));
        }
        let copy = builder.copy(node, |x| replaced.unwrap_or(new[x.index()]));
        new.push(copy);
    }
    let outputs = graph.outputs.iter().cloned().map(|mut output| {
        output.node = new[output.node.index()];
        output
    });
    builder.finish(outputs.collect())
}

/// Whether a random position along the axes is reached.
fn position(
    builder: &mut GraphBuilder,
    graph: &Graph,
    axes: tilewright::ir::AxisSet,
    rng: &mut ChaCha8Rng,
) -> NodeId {
    let mut here: Option<NodeId> = None;
    for axis in axes.iter() {
        let index = builder.index(axis);
        let at = rng.random_range(0..graph.axes.extent(axis));
        let at = builder.literal(at as f64, DType::I32);
        let equal = builder.compare(CompareOp::Eq, index, at);
        here = Some(here.map_or(equal, |known| builder.binary(BinaryOp::And, known, equal)));
    }
    here.expect("a reduction has an axis")
}

fn replacement(builder: &mut GraphBuilder, op: ReduceOp, term: NodeId, doubled: bool) -> NodeId {
    let dtype = builder.node(term).dtype;
    match (op.fold(), doubled) {
        (Some(fold), true) => builder.binary(fold, term, term),
        (_, true) => term,
        (_, false) => {
            let low = if dtype.is_float() { f64::NEG_INFINITY } else { -dtype.max_finite() - 1.0 };
            let value = match op {
                ReduceOp::Sum | ReduceOp::Any => 0.0,
                ReduceOp::Product | ReduceOp::All => 1.0,
                ReduceOp::Max | ReduceOp::Argmax => low,
                ReduceOp::Min | ReduceOp::Argmin if dtype.is_float() => -low,
                ReduceOp::Min | ReduceOp::Argmin => dtype.max_finite(),
            };
            builder.literal(value, dtype)
        }
    }
}
