//! Values that shift exponents and cancel: the pivots of softmax and its kin, however they are written.
//!
//! A softmax subtracts the maximum only to keep exponentials small. If the maximum were larger by c, every exponential
//! would be `exp(-c)` times as large, and so would their sum: the quotient stays. What every output keeps under such
//! a shift has the gradient 0, and none is passed. This is shown by following the shift through the operations: a value
//! is shifted by a multiple of c, or scaled by the exponential of one, or stays.
//! Invariant: a value counts as a pivot only if every output provably stays; the answer depends on the graph alone.

use crate::base::{AxisSet, BinaryOp, CompareOp, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// A sum of products of powers of values, each with a number.
type Slope = BTreeMap<Vec<(NodeId, i32)>, f64>;

/// What becomes of a value when the pivot becomes larger by c.
#[derive(Clone, Debug, PartialEq)]
enum Response {
    Stays,
    /// It grows by the slope times c.
    Shifted(Slope),
    /// It grows by the factor `exp(slope * c)`.
    Scaled(Slope),
    Unknown,
}

use Response::{Scaled, Shifted, Stays, Unknown};

/// The nodes of a graph whose gradient is 0 because their shift cancels.
pub(super) fn pivots(graph: &Graph) -> BTreeSet<NodeId> {
    let extreme =
        |id: NodeId| matches!(graph.node(id).op, Op::Reduce(ReduceOp::Max | ReduceOp::Min, ..));
    let literal = |id: NodeId| matches!(graph.node(id).op, Op::Literal(_));
    let candidate = |&id: &NodeId| match graph.node(id).op {
        // The guard of a maximum over nothing: `where(m == -inf, 0, m)`.
        Op::Select(_, x, y) => extreme(x) && literal(y) || literal(x) && extreme(y),
        _ => extreme(id),
    };
    let floats = |id: &NodeId| graph.node(*id).dtype.is_float();
    graph.ids().filter(candidate).filter(floats).filter(|&id| cancels(graph, id)).collect()
}

fn cancels(graph: &Graph, pivot: NodeId) -> bool {
    let mut shift = Shift { graph, pivot, responses: vec![] };
    for id in graph.ids() {
        let response = if id == pivot { one() } else { shift.response(id) };
        shift.responses.push(response);
    }
    graph.outputs.iter().all(|output| *shift.of(output.node) == Stays)
}

struct Shift<'g> {
    graph: &'g Graph,
    pivot: NodeId,
    responses: Vec<Response>,
}

fn one() -> Response {
    Shifted([(vec![], 1.0)].into())
}

impl Response {
    /// With a slope of 0 a value stays.
    fn settled(self) -> Self {
        match self {
            Shifted(slope) | Scaled(slope) if slope.is_empty() => Stays,
            other => other,
        }
    }

    fn scaled(self, factor: f64) -> Self {
        let scale = |slope: Slope| slope.into_iter().map(|(key, x)| (key, x * factor)).collect();
        match self {
            Shifted(slope) => Shifted(scale(slope)),
            Scaled(slope) => Scaled(scale(slope)),
            other => other,
        }
    }
}

/// The sum of two slopes, the second times a number.
fn plus(x: &Slope, y: &Slope, times: f64) -> Slope {
    let mut sum = x.clone();
    for (key, value) in y {
        let own = sum.entry(key.clone()).or_insert(0.0);
        let larger = own.abs().max(value.abs());
        *own += times * value;
        // What is left of logarithms of 2 is rounding.
        if own.abs() < larger * 1e-9 {
            *own = 0.0;
        }
    }
    sum.retain(|_, value| *value != 0.0);
    sum
}

/// A slope times a power of a value that stays.
fn times(slope: &Slope, node: NodeId, power: i32) -> Slope {
    let scale = |(key, value): (&Vec<(NodeId, i32)>, &f64)| {
        let mut powers: BTreeMap<NodeId, i32> = key.iter().copied().collect();
        *powers.entry(node).or_insert(0) += power;
        powers.retain(|_, power| *power != 0);
        (powers.into_iter().collect(), *value)
    };
    slope.iter().map(scale).collect()
}

impl Shift<'_> {
    fn of(&self, id: NodeId) -> &Response {
        &self.responses[id.index()]
    }

    fn literal(&self, id: NodeId) -> Option<f64> {
        match self.graph.node(id).op {
            Op::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn response(&self, id: NodeId) -> Response {
        let op = self.graph.node(id).op;
        if op.operands().all(|x| *self.of(x) == Stays) {
            return Stays;
        }
        let response = match op {
            Op::Unary(op, x) => self.unary(op, x),
            Op::Binary(op, x, y) => self.binary(op, x, y),
            Op::Compare(op, x, y) => self.compare(op, x, y),
            Op::Select(c, x, y) if *self.of(c) == Stays => self.either(x, y),
            Op::Cast(x) if self.graph.node(id).dtype.is_float() => self.of(x).clone(),
            Op::Reduce(op, axes, x) => self.reduce(op, axes, x),
            Op::Gather(x, picks) => {
                let still = picks.iter().all(|(_, index)| *self.of(index) == Stays);
                match still && self.is_even(x, picks.axes()) {
                    true => self.of(x).clone(),
                    false => Unknown,
                }
            }
            _ => Unknown,
        };
        response.settled()
    }

    fn unary(&self, op: UnaryOp, x: NodeId) -> Response {
        let ln_2 = std::f64::consts::LN_2;
        match (op, self.of(x).clone()) {
            (UnaryOp::Neg, x) => match x {
                Shifted(_) => x.scaled(-1.0),
                other => other,
            },
            (UnaryOp::Exp, Shifted(slope)) => Scaled(slope),
            (UnaryOp::Exp2, Shifted(slope)) => Scaled(slope).scaled(ln_2),
            (UnaryOp::Log, Scaled(slope)) => Shifted(slope),
            (UnaryOp::Log2, Scaled(slope)) => Shifted(slope).scaled(1.0 / ln_2),
            (UnaryOp::Recip, x @ Scaled(_)) => x.scaled(-1.0),
            (UnaryOp::Sqrt, x @ Scaled(_)) => x.scaled(0.5),
            (UnaryOp::Rsqrt, x @ Scaled(_)) => x.scaled(-0.5),
            (UnaryOp::Abs, x @ Scaled(_)) => x,
            _ => Unknown,
        }
    }

    fn binary(&self, op: BinaryOp, x: NodeId, y: NodeId) -> Response {
        let sign = if matches!(op, BinaryOp::Sub | BinaryOp::Div) { -1.0 } else { 1.0 };
        match (op, self.of(x), self.of(y)) {
            (BinaryOp::Add | BinaryOp::Sub, left, right) => match (left, right) {
                (Shifted(a), Shifted(b)) => Shifted(plus(a, b, sign)),
                (Shifted(_), Stays) => left.clone(),
                (Stays, Shifted(_)) => right.clone().scaled(sign),
                (Scaled(_), Scaled(_)) if left == right => left.clone(),
                _ => Unknown,
            },
            (BinaryOp::Mul | BinaryOp::Div, Scaled(a), Scaled(b)) => Scaled(plus(a, b, sign)),
            (BinaryOp::Mul | BinaryOp::Div, left @ Scaled(_), Stays) => left.clone(),
            (BinaryOp::Mul | BinaryOp::Div, Stays, right @ Scaled(_)) => right.clone().scaled(sign),
            (BinaryOp::Mul, Shifted(slope), Stays) => Shifted(self.multiple(slope, y, 1)),
            (BinaryOp::Mul, Stays, Shifted(slope)) => Shifted(self.multiple(slope, x, 1)),
            (BinaryOp::Div, Shifted(slope), Stays) => Shifted(self.multiple(slope, y, -1)),
            (BinaryOp::Max | BinaryOp::Min, ..) => self.either(x, y),
            _ => Unknown,
        }
    }

    /// A slope times a value that stays, or divided by it.
    fn multiple(&self, slope: &Slope, by: NodeId, power: i32) -> Slope {
        match self.literal(by) {
            Some(value) => {
                let factor = if power < 0 { 1.0 / value } else { value };
                let scaled = slope.iter().map(|(key, x)| (key.clone(), x * factor));
                scaled.filter(|(_, x)| *x != 0.0).collect()
            }
            None => times(slope, by, power),
        }
    }

    /// What is one of two values, or the larger of them. Zeros may be scaled and infinities shifted as one likes.
    fn either(&self, x: NodeId, y: NodeId) -> Response {
        let free = |literal: NodeId, other: &Response| match (self.literal(literal), other) {
            (Some(value), Scaled(_)) => value == 0.0 || value.is_infinite(),
            (Some(value), Shifted(_)) => value.is_infinite(),
            _ => false,
        };
        let (left, right) = (self.of(x), self.of(y));
        match () {
            () if left == right => left.clone(),
            () if free(x, right) => right.clone(),
            () if free(y, left) => left.clone(),
            () => Unknown,
        }
    }

    /// A comparison keeps its truth value if both sides move alike, or one moves towards a bound that it never reaches.
    fn compare(&self, _: CompareOp, x: NodeId, y: NodeId) -> Response {
        match self.either(x, y) {
            Unknown => Unknown,
            _ => Stays,
        }
    }

    fn reduce(&self, op: ReduceOp, axes: AxisSet, x: NodeId) -> Response {
        match (op, self.of(x)) {
            (ReduceOp::Sum, response @ Scaled(_)) if self.is_even(x, axes) => response.clone(),
            (ReduceOp::Max | ReduceOp::Min, response) if self.is_even(x, axes) => response.clone(),
            _ => Unknown,
        }
    }

    /// Whether the response of a value is the same along some axes.
    fn is_even(&self, x: NodeId, axes: AxisSet) -> bool {
        let varies = |id: NodeId| !self.graph.node(id).axes.is_disjoint(axes);
        match self.of(x) {
            Stays => true,
            Unknown => false,
            Shifted(slope) | Scaled(slope) => {
                let mut parts = slope.keys().flatten();
                !varies(self.pivot) && !parts.any(|&(id, _)| varies(id))
            }
        }
    }
}
