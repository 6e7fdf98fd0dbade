//! A second evaluator that is too simple to be wrong in the same way: every node in full, element by element.
//!
//! It shares no code with the first but the operator tables. `Arithmetic` lets a test say how results are rounded and
//! sums are ordered, so it also plays honest and dishonest implementations.
//! Invariant: with `Arithmetic::exact` nothing is rounded but integers, and sums are trees over row-major order, so that
//! they are honest in f64, too.

use super::HostTensor;
use crate::base::{AxisId, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, Node, NodeId, Op, Picks};
use crate::plan::start_value;
use std::sync::LazyLock;

/// How an implementation computes.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    /// What is stored of a result of an operation in a type.
    pub round: fn(DType, f64) -> f64,
    /// The sum of terms in a type.
    pub sum: fn(DType, &[f64]) -> f64,
}

impl Arithmetic {
    /// f64 throughout.
    pub fn exact() -> Self {
        Self { round: |_, value| value, sum: |_, terms| pairwise(terms) }
    }
}

/// One long chain of additions in f64 would not be honest.
fn pairwise(terms: &[f64]) -> f64 {
    match terms.len() {
        // From 0 on: `Iterator::sum` begins with -0.
        0..=8 => terms.iter().fold(0.0, |sum, term| sum + term),
        count => {
            let (first, second) = terms.split_at(count / 2);
            pairwise(first) + pairwise(second)
        }
    }
}

/// The values of every output, row-major.
pub fn evaluate(graph: &Graph, inputs: &[HostTensor], arithmetic: Arithmetic) -> Vec<Vec<f64>> {
    let mut run = Run { graph, inputs, arithmetic, values: vec![] };
    for node in graph.ids() {
        let values = run.node(graph.node(node));
        run.values.push(values);
    }
    let outputs = graph.outputs.iter();
    outputs
        .map(|output| {
            let axes = &output.tensor.axes;
            over(graph, axes, &vec![0; graph.axes.len()], |at| run.at(output.node, at))
        })
        .collect()
}

struct Run<'a> {
    graph: &'a Graph,
    inputs: &'a [HostTensor],
    arithmetic: Arithmetic,
    values: Vec<Vec<f64>>,
}

/// The values of `f` at every coordinate of some axes, row-major. A coordinate has a place for each axis of the graph;
/// those of other axes are as in `from`.
fn over(graph: &Graph, axes: &[AxisId], from: &[usize], f: impl Fn(&[usize]) -> f64) -> Vec<f64> {
    let extent = |axis: AxisId| graph.axes.extent(axis) as usize;
    let count = axes.iter().map(|&axis| extent(axis)).product();
    let mut at = from.to_vec();
    let mut values = Vec::with_capacity(count);
    for number in 0..count {
        let mut rest = number;
        for &axis in axes.iter().rev() {
            at[axis.index()] = rest % extent(axis);
            rest /= extent(axis);
        }
        values.push(f(&at));
    }
    values
}

fn position(graph: &Graph, axes: impl IntoIterator<Item = AxisId>, at: &[usize]) -> usize {
    axes.into_iter()
        .fold(0, |position, axis| position * graph.axes.extent(axis) as usize + at[axis.index()])
}

impl Run<'_> {
    /// The value of a node at a coordinate.
    fn at(&self, node: NodeId, at: &[usize]) -> f64 {
        self.values[node.index()][position(self.graph, self.graph.node(node).axes.iter(), at)]
    }

    fn node(&self, node: &Node) -> Vec<f64> {
        let axes: Vec<AxisId> = node.axes.iter().collect();
        let origin = vec![0; self.graph.axes.len()];
        over(self.graph, &axes, &origin, |at| self.element(node, at))
    }

    fn element(&self, node: &Node, at: &[usize]) -> f64 {
        let graph = self.graph;
        let round = |value| (self.arithmetic.round)(node.dtype, value);
        match node.op {
            Op::Input(input) => {
                let axes = graph.inputs[input].axes.iter().copied();
                self.inputs[input].get(position(graph, axes, at))
            }
            Op::Literal(value) if node.dtype == DType::F32 => f64::from(value as f32),
            Op::Literal(value) => value,
            Op::Index(axis) => at[axis.index()] as f64,
            Op::Len(axis) => graph.axes.extent(axis) as f64,
            Op::Unary(op, x) => round(integer(node.dtype, unary(op, self.at(x, at)))),
            Op::Binary(BinaryOp::Div, x, y) if node.dtype.is_integer() => {
                let (x, y) = (self.at(x, at), self.at(y, at));
                if y == 0.0 { 0.0 } else { integer(node.dtype, (x / y).trunc()) }
            }
            Op::Binary(op, x, y) => round(apply(op, node.dtype, self.at(x, at), self.at(y, at))),
            Op::Compare(op, x, y) => f64::from(u8::from(op.apply(self.at(x, at), self.at(y, at)))),
            Op::Select(c, x, y) => self.at(if self.at(c, at) != 0.0 { x } else { y }, at),
            Op::Cast(x) => round(saturate(node.dtype, self.at(x, at))),
            Op::Wrap(x) => wrap(node.dtype, self.at(x, at)),
            Op::Gather(x, picks) => self.gathered(x, picks, at),
            Op::Scan(op, axis, x) => {
                let mut inner = at.to_vec();
                let terms: Vec<f64> = (0..=at[axis.index()])
                    .map(|index| {
                        inner[axis.index()] = index;
                        self.at(x, &inner)
                    })
                    .collect();
                self.reduce(op, node.dtype, &terms)
            }
            Op::Reduce(op, axes, x) => {
                let axes: Vec<AxisId> = axes.iter().collect();
                let terms = over(graph, &axes, at, |at| self.at(x, at));
                self.reduce(op, node.dtype, &terms)
            }
            Op::Roll(..) | Op::Before(_) | Op::After(_) | Op::Held => {
                unreachable!("the reference runs what the text says, which has no rolls")
            }
        }
    }

    /// The element at a coordinate in which some axes are replaced by the nearest index; 0 where one is empty.
    fn gathered(&self, x: NodeId, picks: Picks, at: &[usize]) -> f64 {
        let mut place = at.to_vec();
        for (axis, index) in picks.iter() {
            let extent = self.graph.axes.extent(axis);
            if extent == 0 {
                return 0.0;
            }
            let index = self.at(index, at) as i64;
            place[axis.index()] = index.clamp(0, extent as i64 - 1) as usize;
        }
        self.at(x, &place)
    }

    fn reduce(&self, op: ReduceOp, dtype: DType, terms: &[f64]) -> f64 {
        match op.fold() {
            Some(BinaryOp::Add) => integer(dtype, (self.arithmetic.sum)(dtype, terms)),
            Some(fold) => terms.iter().fold(start_value(op, dtype).value, |value, &term| {
                (self.arithmetic.round)(dtype, apply(fold, dtype, value, term))
            }),
            None => {
                let mut best: Option<usize> = None;
                for (index, &term) in terms.iter().enumerate() {
                    let wins = best.is_none_or(|best: usize| {
                        let value = terms[best];
                        let beats =
                            if op == ReduceOp::Argmax { term > value } else { term < value };
                        !value.is_nan() && (term.is_nan() || beats)
                    });
                    if wins {
                        best = Some(index);
                    }
                }
                best.map_or(-1.0, |index| index as f64)
            }
        }
    }
}

/// An operator in a type. Products of wide integers have more digits than an f64.
fn apply(op: BinaryOp, dtype: DType, x: f64, y: f64) -> f64 {
    if op == BinaryOp::Mul && dtype.is_integer() {
        return integer(dtype, f64::from((x as i64).wrapping_mul(y as i64) as i32));
    }
    integer(dtype, op.apply(x, y))
}

/// Wraps to the width of an integer type; other types keep the value.
fn integer(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::I32 => f64::from(value as i64 as i32),
        DType::I16 => f64::from(value as i64 as i16),
        DType::I8 => f64::from(value as i64 as i8),
        DType::U8 => f64::from(value as i64 as u8),
        DType::I4 => f64::from(((value as i64 as i8) << 4) >> 4),
        DType::Bool => f64::from(u8::from(value != 0.0)),
        DType::F64 | DType::F32 | DType::F16 | DType::Bf16 => value,
    }
}

/// The low bits of a number rounded to an integer: what is left after whole turns of the type's range.
fn wrap(dtype: DType, value: f64) -> f64 {
    let turn = 2f64.powi(dtype.bits() as i32);
    let rest = value.round_ties_even().rem_euclid(turn);
    if rest.is_nan() { 0.0 } else { integer(dtype, rest) }
}

/// A number as another type: integers are rounded to nearest even and saturate.
fn saturate(dtype: DType, value: f64) -> f64 {
    let value = if dtype.is_integer() { value.round_ties_even() } else { value };
    match dtype {
        DType::I32 => f64::from(value as i32),
        DType::I16 => f64::from(value as i16),
        DType::I8 => f64::from(value as i8),
        DType::U8 => f64::from(value as u8),
        DType::I4 => f64::from((value as i8).clamp(-8, 7)),
        DType::Bool => f64::from(u8::from(value != 0.0)),
        DType::F64 | DType::F32 | DType::F16 | DType::Bf16 => value,
    }
}

/// An operation on one number, in f64.
pub(crate) fn unary(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Recip => x.recip(),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Exp2 => x.exp2(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log2 => x.log2(),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => x.sqrt().recip(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Not => f64::from(u8::from(x == 0.0)),
    }
}

/// Nodes and weights of Gauss's rule of 16 points on [-1, 1], the positive half: roots of the Legendre polynomial by
/// Newton's method, and 2 / ((1 - x^2) P'(x)^2).
static GAUSS: LazyLock<[(f64, f64); 8]> = LazyLock::new(|| {
    std::array::from_fn(|index| {
        let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / 16.5).cos();
        let mut slope = 1.0;
        for _ in 0..10 {
            let (mut last, mut value) = (1.0, x);
            for degree in 2..=16_u32 {
                let n = f64::from(degree);
                (last, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * last) / n);
            }
            slope = 16.0 * (x * value - last) / (x * x - 1.0);
            x -= value / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
});

/// Gauss's rule on 2 / sqrt(pi) exp(-t^2) from 0 to x, in panels no wider than a half.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 7.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let panels = (2.0 * x.abs()).ceil().max(1.0);
    let half = x / panels / 2.0;
    let point = |t: f64| (-t * t).exp();
    let panel = |number: u32| -> f64 {
        let middle = half * (2.0 * f64::from(number) + 1.0);
        let both = |&(node, weight): &(f64, f64)| {
            weight * (point(middle - half * node) + point(middle + half * node))
        };
        GAUSS.iter().map(both).sum()
    };
    // The smallest panels first.
    let sum: f64 = (0..panels as u32).rev().map(panel).sum();
    sum * half * std::f64::consts::FRAC_2_SQRT_PI
}
