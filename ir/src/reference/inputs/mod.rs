//! Seeded inputs: families of numbers that show different faults.
//!
//! Zero-mean data shows lost precision, one-signed data bias, wide integers every lost bit, equal terms the drift of
//! long chains, small terms behind a large one the length of every chain, mixed magnitudes lost small terms, rows of their own
//! magnitudes lost ranges and constants, a mean far from zero what cancels, special values lost rules, rows of -inf the rules of
//! empty rows, any magnitude at all what was thought never to come.
//! Invariant: graph, family and seed give the same bytes on every machine.

mod marks;

use super::tensor::{integer_range, power_of_two, round_to};
use super::{HostTensor, indices};
use crate::base::{AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, Op, Tensor};
use marks::{bar, draw_behind, offset, scale_along, sprinkle, sprinkle_not_finite};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A family of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Standard normal.
    Normal,
    /// One sign: uniform in [0, 1].
    Uniform,
    /// Integers as wide as the types hold exactly through the longest reduction.
    Integers,
    /// Every element of a tensor is the same number.
    Equal,
    /// Magnitudes over many powers of two.
    Wide,
    /// Normal with NaN, infinities, zeros of both signs and subnormals sprinkled in; integers with the ends of their
    /// range.
    Specials,
    /// Around a few centres, apart by the last bits only: ties, near ties, and steps of `floor` and `round`.
    Close,
    /// In one tensor 1 at the first index of an axis, and behind it terms so small that adding one to 1 rounds; 1 elsewhere.
    Behind,
    /// Each index of one axis has a power of two of its own, from far below 1 to far above, or zeros.
    Scaled,
    /// Standard normal around a number far from zero, another one for each tensor.
    Offset,
    /// Standard normal; at one index of an axis of one input all elements are -inf, at another one nearly all.
    Barred,
    /// Any magnitude that the type has, one as often as another: for kernels that only move numbers.
    Extreme,
}

impl Family {
    /// The families on which every form of a kernel gives what the text gives. On `Extreme` it need not: what one order of
    /// operations makes of such numbers overflows in another.
    pub const ALL: &'static [Self] = &[
        Self::Normal,
        Self::Uniform,
        Self::Integers,
        Self::Equal,
        Self::Wide,
        Self::Specials,
        Self::Close,
        Self::Behind,
        Self::Scaled,
        Self::Offset,
        Self::Barred,
    ];

    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Uniform => "uniform",
            Self::Integers => "integers",
            Self::Equal => "equal",
            Self::Wide => "wide",
            Self::Specials => "specials",
            Self::Close => "close",
            Self::Behind => "behind",
            Self::Scaled => "scaled",
            Self::Offset => "offset",
            Self::Barred => "barred",
            Self::Extreme => "extreme",
        }
    }

    /// The family of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let extreme = std::iter::once(Self::Extreme);
        Self::ALL.iter().copied().chain(extreme).find(|family| family.name() == name)
    }
}

/// Remainders of seeds by which `Family::Specials` of a graph chooses the input that is not finite: each gets NaN once
/// and infinities once, and once all are finite. Were it all of them at once, most results would be NaN and hide each
/// other's faults.
pub fn special_places(graph: &Graph) -> u64 {
    2 * graph.inputs.len() as u64 + 1
}

/// Remainders of seeds by which `Family::Scaled` of a graph chooses the axis, counted from the outermost of each input: what
/// hurts a row that is small as a whole does not show where every row has large elements.
pub fn scaled_places(graph: &Graph) -> u64 {
    graph.inputs.iter().map(|tensor| tensor.axes.len() as u64).max().unwrap_or(1).max(1)
}

/// Remainders of seeds by which `Family::Barred` of a graph chooses the axis, and then the input: a maximum, or a sum of
/// exponentials, has a rule of its own where nothing is left.
pub fn barred_places(graph: &Graph) -> u64 {
    scaled_places(graph) * (graph.inputs.len() as u64).max(1)
}

/// Draws the inputs of a bound graph, in signature order.
pub fn draw(graph: &Graph, family: Family, seed: u64) -> Vec<HostTensor> {
    let magnitudes = integer_magnitudes(graph, seed);
    let lengths = indices::lengths(graph);
    let tensors = graph.inputs.iter().enumerate();
    tensors
        .map(|(position, tensor)| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(position as u64 * 16 + family as u64 + 1);
            let mut result = match lengths[position] {
                Some(length) => draw_indices(graph, tensor, family, length, &mut random),
                None => draw_tensor(graph, tensor, family, magnitudes[position], &mut random),
            };
            let place = seed % special_places(graph);
            if family == Family::Specials && place / 2 == position as u64 {
                sprinkle_not_finite(&mut result, place.is_multiple_of(2), &mut random);
            }
            let (axis, input) = (seed % scaled_places(graph), seed / scaled_places(graph));
            if family == Family::Barred
                && lengths[position].is_none()
                && input % graph.inputs.len() as u64 == position as u64
            {
                bar(&mut result, axis, &mut random);
            }
            if family == Family::Scaled && lengths[position].is_none() {
                scale_along(&mut result, seed % scaled_places(graph), &mut random);
            }
            if family == Family::Behind && lengths[position].is_none() {
                let is_chosen = seed % graph.inputs.len() as u64 == position as u64;
                draw_behind(&mut result, is_chosen, &mut random);
            }
            super::memory::settle(&graph.axes, tensor, &mut result);
            result
        })
        .collect()
}

/// Draws of a case before it is left as it is, and for each the power of two that its numbers are multiplied with: long sums
/// of standard normal numbers are large, and what exponentials make of them may overflow in one form and not in another.
pub const SCALES: [i32; 8] = [0, 0, -2, -2, -4, -6, -8, -10];

/// The inputs with every number of a floating-point type multiplied by a power of two, which moves no digit but where it
/// falls below the normal numbers. Indices stay.
pub fn scaled(graph: &Graph, mut inputs: Vec<HostTensor>, power: i32) -> Vec<HostTensor> {
    if power == 0 {
        return inputs;
    }
    let lengths = indices::lengths(graph);
    for (tensor, length) in inputs.iter_mut().zip(lengths) {
        if !tensor.dtype.is_float() || length.is_some() {
            continue;
        }
        for index in 0..tensor.len() {
            tensor.set(index, tensor.get(index) * power_of_two(power));
        }
    }
    inputs
}

fn shape_of(graph: &Graph, tensor: &Tensor) -> Vec<u64> {
    tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect()
}

/// A tensor of indices; the special ones are as far outside as the type goes.
fn draw_indices(
    graph: &Graph,
    tensor: &Tensor,
    family: Family,
    length: u64,
    random: &mut ChaCha8Rng,
) -> HostTensor {
    let dtype = tensor.dtype;
    let mut result = HostTensor::zeros(dtype, &shape_of(graph, tensor));
    let equal = indices::draw(length, dtype, random);
    for position in 0..result.len() {
        let index = indices::draw(length, dtype, random);
        result.set(position, if family == Family::Equal { equal } else { index });
    }
    if family == Family::Specials && !result.is_empty() {
        let (low, high) = integer_range(dtype);
        for _ in 0..result.len().div_ceil(16) {
            let extreme = if random.random() { low } else { high };
            result.set(random.random_range(0..result.len()), extreme);
        }
    }
    result
}

fn draw_tensor(
    graph: &Graph,
    tensor: &Tensor,
    family: Family,
    integer: f64,
    random: &mut ChaCha8Rng,
) -> HostTensor {
    let dtype = tensor.dtype;
    let mut result = HostTensor::zeros(dtype, &shape_of(graph, tensor));
    if family == Family::Close && dtype != DType::Bool {
        draw_close(&mut result, random);
        return result;
    }
    let equal = element(dtype, Family::Uniform, integer, random).abs() * 0.5 + 0.5;
    for index in 0..result.len() {
        let value = match family {
            Family::Equal if dtype.is_float() => equal,
            Family::Equal => (equal * 2.0).round_ties_even(),
            _ => element(dtype, family, integer, random),
        };
        result.set(index, value);
    }
    match family {
        Family::Specials if dtype != DType::Bool => sprinkle(&mut result, random),
        Family::Offset if dtype.is_float() => offset(&mut result, random),
        _ => {}
    }
    result
}

/// Values a few units in the last place from centres that all tensors share: whole numbers, halves and others, of both
/// signs; for integers, powers of two up to the ends of the range.
fn draw_close(tensor: &mut HostTensor, random: &mut ChaCha8Rng) {
    const CENTRES: [f64; 8] = [1.0, 2.0, 2.5, 0.3, -1.0, -3.5, -0.7, 6.0];
    let dtype = tensor.dtype;
    let (low, high) = integer_range(dtype);
    for index in 0..tensor.len() {
        let step = f64::from(random.random_range(-2..=2_i8));
        let value = if dtype.is_float() {
            let centre = round_to(dtype, CENTRES[random.random_range(0..CENTRES.len())]);
            centre + step * dtype.ulp(centre)
        } else {
            let sign = if random.random() { 1.0 } else { -1.0 };
            (sign * power_of_two(random.random_range(0..dtype.bits() as i32)) + step)
                .clamp(low, high)
        };
        tensor.set(index, value);
    }
}

fn element(dtype: DType, family: Family, integer: f64, random: &mut ChaCha8Rng) -> f64 {
    if family == Family::Integers {
        let bound = integer.min(integer_range(dtype).1) as i64;
        return random.random_range(-bound..=bound).max(integer_low(dtype)) as f64;
    }
    if matches!(family, Family::Wide | Family::Extreme) && dtype.is_integer() {
        return wide_integer(dtype, random);
    }
    if !dtype.is_float() {
        let (low, high) = integer_range(dtype);
        // Wide integers stay small enough that a product of two fits.
        let low = if family == Family::Uniform { 0.0 } else { low.max(-30000.0) };
        return random.random_range(low as i64..=high.min(30000.0) as i64) as f64;
    }
    match family {
        Family::Normal
        | Family::Specials
        | Family::Close
        | Family::Scaled
        | Family::Offset
        | Family::Barred => random.sample(StandardNormal),
        Family::Extreme => {
            let most = dtype.max_finite().log2() as i32;
            let least = dtype.min_normal().log2() as i32;
            let sign = if random.random() { 1.0 } else { -1.0 };
            let exponent = random.random_range(least..=most);
            sign * (1.0 + 0.99 * random.random::<f64>()) * power_of_two(exponent)
        }
        Family::Uniform | Family::Equal | Family::Integers | Family::Behind => random.random(),
        Family::Wide => {
            let (low, high) = if dtype == DType::F16 { (-14, 4) } else { (-24, 12) };
            let exponent = random.random_range(low..=high);
            let sign = if random.random() { 1.0 } else { -1.0 };
            sign * (1.0 + random.random::<f64>()) * power_of_two(exponent)
        }
    }
}

/// Half of them anywhere in the range of the type, half of any length as often as of any other.
fn wide_integer(dtype: DType, random: &mut ChaCha8Rng) -> f64 {
    let (low, high) = integer_range(dtype);
    if random.random() {
        return random.random_range(low as i64..=high as i64) as f64;
    }
    let size = power_of_two(random.random_range(0..dtype.bits() as i32)) * random.random::<f64>();
    let sign = if random.random() { 1.0 } else { -1.0 };
    (sign * size).floor().clamp(low, high)
}

fn integer_low(dtype: DType) -> i64 {
    if dtype.is_float() { i64::MIN } else { integer_range(dtype).0 as i64 }
}

/// The number of terms of the longest chain of reductions.
fn longest_sum(graph: &Graph) -> f64 {
    let reduced = graph.nodes.iter().fold(AxisSet::EMPTY, |set, node| match node.op {
        Op::Reduce(ReduceOp::Sum, axes, _) => set | axes,
        Op::Scan(ReduceOp::Sum, axis, _) => set.with(axis),
        _ => set,
    });
    graph.axes.volume(reduced) as f64
}

/// By input: the largest magnitude of the integers drawn. One input, chosen by the seed, is as wide as its type and the
/// narrowest sum allow; the others are at most 1, so that products stay exact.
fn integer_magnitudes(graph: &Graph, seed: u64) -> Vec<f64> {
    let digits = |dtype: DType| {
        if dtype.is_float() { -dtype.unit_roundoff().log2() } else { f64::from(dtype.bits()) - 1.0 }
    };
    let is_sum = |op| matches!(op, Op::Reduce(ReduceOp::Sum, ..) | Op::Scan(ReduceOp::Sum, ..));
    let sums = graph.nodes.iter().filter(|node| is_sum(node.op));
    let accumulator = sums.map(|node| digits(node.dtype)).fold(53.0, f64::min);
    let room = (accumulator.exp2() / longest_sum(graph).max(1.0)).floor();
    let lengths = indices::lengths(graph);
    let floats: Vec<usize> =
        (0..graph.inputs.len()).filter(|&input| lengths[input].is_none()).collect();
    let wide = floats.get((seed % floats.len().max(1) as u64) as usize).copied();
    (graph.inputs.iter().enumerate())
        .map(|(position, tensor)| {
            if let Some(length) = lengths[position] {
                return indices::magnitude(length, tensor.dtype);
            }
            let own = digits(tensor.dtype).exp2() - if tensor.dtype.is_float() { 0.0 } else { 1.0 };
            if Some(position) == wide { own.min(room / 4.0).max(1.0).floor() } else { 1.0 }
        })
        .collect()
}

/// Whether every honest computation of the graph is exact on `Family::Integers` of a seed, up to a final rounding to
/// an output's type: only sums, differences, products and choices of integers that stay within the types.
pub fn integers_are_exact(graph: &Graph, seed: u64) -> bool {
    let magnitudes = integer_magnitudes(graph, seed);
    let mut bounds: Vec<Option<f64>> = vec![];
    for node in &graph.nodes {
        let of = |x: crate::graph::NodeId| bounds[x.index()];
        let bound = match node.op {
            Op::Input(input) => Some(magnitudes[input]),
            Op::Literal(value) if value == value.trunc() => Some(value.abs()),
            Op::Index(axis) | Op::Len(axis) => Some(graph.axes.extent(axis) as f64),
            Op::Compare(..) => Some(1.0),
            Op::Unary(UnaryOp::Neg | UnaryOp::Abs, x) | Op::Cast(x) | Op::Gather(x, _) => of(x),
            Op::Binary(BinaryOp::Mul, x, y) => of(x).zip(of(y)).map(|(x, y)| x * y),
            Op::Binary(BinaryOp::Add | BinaryOp::Sub, x, y) => of(x).zip(of(y)).map(|(x, y)| x + y),
            Op::Binary(BinaryOp::Min | BinaryOp::Max, x, y) | Op::Select(_, x, y) => {
                of(x).zip(of(y)).map(|(x, y)| x.max(y))
            }
            Op::Reduce(ReduceOp::Max | ReduceOp::Min, _, x)
            | Op::Scan(ReduceOp::Max | ReduceOp::Min, _, x) => of(x),
            Op::Scan(ReduceOp::Sum, axis, x) => of(x).map(|x| x * graph.axes.extent(axis) as f64),
            Op::Reduce(ReduceOp::Sum, axes, x) => of(x).map(|x| x * graph.axes.volume(axes) as f64),
            _ => None,
        };
        bounds.push(bound);
    }
    graph.ids().all(|id| {
        let (node, bound) = (graph.node(id), bounds[id.index()]);
        let last = graph.outputs.iter().any(|output| output.node == id)
            && !graph.nodes.iter().any(|user| user.op.operands().any(|operand| operand == id));
        let exact = if node.dtype.is_float() {
            1.0 / node.dtype.unit_roundoff()
        } else {
            node.dtype.max_finite()
        };
        let rounded_last = last && matches!(node.op, Op::Cast(_)) && node.dtype.is_float();
        bound.is_some_and(|bound| {
            bound <= exact || (rounded_last && bound <= node.dtype.max_finite())
        })
    })
}
