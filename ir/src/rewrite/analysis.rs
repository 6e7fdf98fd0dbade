//! What is known of every class: free axes, type, value if constant, bounds, and whose running values it reads.
//!
//! Equal values have equal facts, so a class keeps the strongest of its forms: the fewest axes, the narrowest bounds.
//! Bounds are those of the real value on finite inputs; an infinite bound means "no bound known". Relations between
//! values (`x <= max of x`) bound differences that intervals alone cannot.
//! Invariant: facts only grow stronger, so the analysis ends.

use super::key::{Key, key};
use super::language::{Math, Number};
use crate::base::{AxisSet, DType, UnaryOp};
use crate::graph::Op;
use egg::{Analysis, DidMerge, EGraph, Id, Symbol};
use indexmap::IndexMap;

/// How deep a proof of `a <= b` looks.
const PROOF_DEPTH: u32 = 4;

/// The e-graph.
pub(super) type Graphs = EGraph<Math, Facts>;

/// An operation that the rules leave alone; its operands are those of the e-graph's node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opaque {
    pub(super) op: Op,
    pub(super) dtype: DType,
    /// The axes of an input.
    pub(super) axes: AxisSet,
}

/// The analysis, with the table of the opaque operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) opaque: IndexMap<Symbol, Opaque>,
    /// No rule is applied once there are more nodes; `None`: no limit.
    pub(super) nodes_max: Option<usize>,
    /// Whether a rule was not applied for that reason.
    pub(super) is_full: bool,
}

impl Facts {
    /// Whether there is no room for what one more application of a rule would add. Notes it.
    pub(super) fn refuse(graphs: &mut Graphs) -> bool {
        let full = graphs.analysis.nodes_max.is_some_and(|most| graphs.total_size() > most);
        graphs.analysis.is_full |= full;
        full
    }
}

/// The facts of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Data {
    /// The axes that the value varies over.
    pub(super) axes: AxisSet,
    pub(super) dtype: DType,
    pub(super) constant: Option<f64>,
    pub(super) low: f64,
    pub(super) high: f64,
    /// The streams whose running values the class reads outside of a roll over them.
    pub(super) running: AxisSet,
    /// For the first operand of a reduction.
    pub(super) named: Option<AxisSet>,
    /// Of the flattest term met so far.
    pub(super) key: Key,
}

impl Analysis<Math> for Facts {
    type Data = Data;

    fn make(graphs: &mut Graphs, node: &Math, _: Id) -> Data {
        facts(graphs, node)
    }

    fn merge(&mut self, to: &mut Data, from: Data) -> DidMerge {
        let old = *to;
        to.axes = to.axes & from.axes;
        to.constant = to.constant.or(from.constant);
        to.low = to.low.max(from.low);
        to.high = to.high.min(from.high);
        to.running = to.running & from.running;
        to.key = to.key.min(from.key);
        DidMerge(*to != old, *to != from)
    }
}

/// The facts of one node from its operands'.
fn facts(graphs: &Graphs, node: &Math) -> Data {
    let of = |id: &Id| graphs[*id].data;
    let operands = || egg::Language::children(node).iter().map(of);
    let running = operands().fold(AxisSet::EMPTY, |all, data| all | data.running);
    let axes = operands().fold(AxisSet::EMPTY, |all, data| all | data.axes);
    let dtype = operands().next_back().map_or(DType::Bool, |data| data.dtype);
    let (low, high) = bounds(graphs, node);
    let key = key(node, |id| graphs[id].data.key);
    let data = Data { axes, dtype, constant: None, low, high, running, named: None, key };
    let named = |id: &Id| of(id).named.unwrap_or(AxisSet::EMPTY);
    match node {
        Math::Number(number) => {
            Data { dtype: number.dtype, constant: Some(number.value()), ..data }
        }
        Math::Axes(axes) => Data { named: Some(axes.0), ..data },
        Math::Sum([j, _]) | Math::MaxOf([j, _]) | Math::MinOf([j, _]) => {
            Data { axes: axes - named(j), ..data }
        }
        Math::Roll([j, ..]) => Data { axes: axes - named(j), running: running - named(j), ..data },
        Math::AfterSum([j, _])
        | Math::AfterMax([j, _])
        | Math::BeforeSum([j, _])
        | Math::BeforeMax([j, _]) => {
            Data { axes: axes - named(j), running: running | named(j), ..data }
        }
        Math::Ones([j, _]) => Data { axes: named(j), ..data },
        Math::Equal(_) => Data { dtype: DType::Bool, ..data },
        Math::Other(name, operands) => {
            let opaque = &graphs.analysis.opaque[name];
            let operands = operands.iter().map(|id| of(id).axes).collect::<Vec<_>>();
            Data { axes: opaque_axes(opaque, &operands), dtype: opaque.dtype, ..data }
        }
        _ => data,
    }
}

fn multiplied(x: f64, y: f64) -> f64 {
    if x == 0.0 || y == 0.0 { 0.0 } else { x * y }
}

/// The bounds of one node's value from its operands' bounds and what relates them.
pub(super) fn bounds(graphs: &Graphs, node: &Math) -> (f64, f64) {
    let of = |id: &Id| (graphs[*id].data.low, graphs[*id].data.high);
    let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
    match node {
        Math::Number(number) if number.value().is_nan() => unbounded,
        Math::Number(number) => (number.value(), number.value()),
        Math::Axes(_) => unbounded,
        Math::Add([x, y]) => {
            let sum = ordered(of(x).0 + of(y).0, of(x).1 + of(y).1);
            difference(graphs, (*x, *y), None, sum)
        }
        Math::Mul([x, y]) if graphs.find(*x) == graphs.find(*y) => square(of(x)),
        Math::Mul([x, y]) if is_share(graphs, *x, *y) || is_share(graphs, *y, *x) => (0.0, 1.0),
        Math::Mul([x, y]) => product(of(x), of(y)),
        Math::Neg([x]) => (-of(x).1, -of(x).0),
        Math::Recip([x]) => match of(x) {
            (low, high) if low > 0.0 || high < 0.0 => (1.0 / high, 1.0 / low),
            (low, _) if low >= 0.0 => (0.0, f64::INFINITY),
            _ => unbounded,
        },
        Math::Exp([x]) => (of(x).0.exp(), of(x).1.exp()),
        Math::Exp2([x]) => (of(x).0.exp2(), of(x).1.exp2()),
        Math::Log([x]) => logarithm(f64::ln, of(x)),
        Math::Log2([x]) => logarithm(f64::log2, of(x)),
        Math::Sqrt([x]) => (of(x).0.max(0.0).sqrt(), of(x).1.max(0.0).sqrt()),
        Math::Max([x, y]) => (of(x).0.max(of(y).0), of(x).1.max(of(y).1)),
        Math::Min([x, y]) => (of(x).0.min(of(y).0), of(x).1.min(of(y).1)),
        Math::Where([c, x, y]) => {
            let kept = assumed(graphs, *x, *c);
            (kept.0.min(of(y).0), kept.1.max(of(y).1))
        }
        Math::Guard([x]) | Math::Finite([x]) => (of(x).0.min(0.0), of(x).1.max(0.0)),
        Math::MaxOf([_, x]) | Math::MinOf([_, x]) => of(x),
        Math::AfterMax([_, x]) | Math::BeforeMax([_, x]) => of(x),
        // Extents are not known here, so only the sign of a sum is.
        Math::Sum([_, x]) | Math::AfterSum([_, x]) | Math::BeforeSum([_, x]) => signed(of(x)),
        Math::Roll([_, term, scale, shift]) => rolled(of(term), of(scale), of(shift)),
        Math::Ones(_) => (1.0, 1.0),
        Math::Equal(_) => (0.0, 1.0),
        Math::Other(name, operands) => {
            let opaque = &graphs.analysis.opaque[name];
            opaque_bounds(opaque, operands.first().map(of))
        }
    }
}

/// Whether y is the reciprocal of a sum of x, an x that is never negative, or 0 in its place.
fn is_share(graphs: &Graphs, x: Id, y: Id) -> bool {
    let is_sum =
        |node: &Math| matches!(node, Math::Sum([_, z]) if graphs.find(*z) == graphs.find(x));
    let is_recip = |id: Id| {
        graphs[id].nodes.iter().any(|node| match node {
            Math::Recip([sum]) => graphs[*sum].nodes.iter().any(is_sum),
            _ => false,
        })
    };
    let zero = |id: Id| graphs[id].data.constant == Some(0.0);
    let of_node = |node: &Math| match node {
        Math::Where([_, z, w]) => zero(*z) && is_recip(*w) || zero(*w) && is_recip(*z),
        _ => false,
    };
    graphs[x].data.low >= 0.0 && (is_recip(y) || graphs[y].nodes.iter().any(of_node))
}

/// The axes of an opaque value from its operands'.
fn opaque_axes(opaque: &Opaque, operands: &[AxisSet]) -> AxisSet {
    let all = operands.iter().fold(AxisSet::EMPTY, |all, &axes| all | axes);
    match opaque.op {
        Op::Input(_) => opaque.axes,
        Op::Index(axis) => AxisSet::one(axis),
        Op::Reduce(_, axes, _) => all - axes,
        Op::Gather(_, picks) => {
            let indices = operands[1..].iter().fold(AxisSet::EMPTY, |all, &axes| all | axes);
            (operands[0] - picks.axes()) | indices
        }
        _ => all,
    }
}

/// Bounds of an opaque value, that of its first operand given.
fn opaque_bounds(opaque: &Opaque, operand: Option<(f64, f64)>) -> (f64, f64) {
    match opaque.op {
        Op::Unary(UnaryOp::Tanh | UnaryOp::Erf | UnaryOp::Sin | UnaryOp::Cos, _) => (-1.0, 1.0),
        Op::Unary(UnaryOp::Abs, _) => (0.0, f64::INFINITY),
        Op::Index(_) | Op::Len(_) => (0.0, f64::from(i32::MAX)),
        Op::Cast(_) if opaque.dtype.is_float() => {
            operand.unwrap_or((f64::NEG_INFINITY, f64::INFINITY))
        }
        _ if opaque.dtype == DType::Bool => (0.0, 1.0),
        Op::Input(_) if opaque.dtype.is_integer() => crate::reference::integer_range(opaque.dtype),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

fn logarithm(log: fn(f64) -> f64, (low, high): (f64, f64)) -> (f64, f64) {
    let low = if low > 0.0 { log(low) } else { f64::NEG_INFINITY };
    (low, if high > 0.0 { log(high) } else { f64::INFINITY })
}

fn ordered(low: f64, high: f64) -> (f64, f64) {
    let low = if low.is_nan() { f64::NEG_INFINITY } else { low };
    (low, if high.is_nan() { f64::INFINITY } else { high })
}

fn square((low, high): (f64, f64)) -> (f64, f64) {
    let (near, far) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    let near = if low <= 0.0 && high >= 0.0 { 0.0 } else { near };
    (near * near, far * far)
}

fn product(x: (f64, f64), y: (f64, f64)) -> (f64, f64) {
    let corners = [(x.0, y.0), (x.0, y.1), (x.1, y.0), (x.1, y.1)].map(|(x, y)| multiplied(x, y));
    let low = corners.iter().copied().fold(f64::INFINITY, f64::min);
    (low, corners.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

fn signed((low, high): (f64, f64)) -> (f64, f64) {
    let low = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    (low, if high <= 0.0 { 0.0 } else { f64::INFINITY })
}

fn rolled(term: (f64, f64), scale: (f64, f64), shift: (f64, f64)) -> (f64, f64) {
    let positive = term.0 >= 0.0 && scale.0 >= 0.0 && shift.0 >= 0.0;
    (if positive { 0.0 } else { f64::NEG_INFINITY }, f64::INFINITY)
}

/// The bounds of a value where a condition holds.
fn assumed(graphs: &Graphs, id: Id, condition: Id) -> (f64, f64) {
    let data = graphs[id].data;
    let sums = graphs[id].nodes.iter().filter_map(|node| match node {
        Math::Add([x, y]) => Some((*x, *y)),
        _ => None,
    });
    sums.fold((data.low, data.high), |bounds, sum| {
        difference(graphs, sum, Some(graphs.find(condition)), bounds)
    })
}

/// Whether `x <= y` is known of two classes.
pub(super) fn is_at_most(graphs: &Graphs, x: Id, y: Id) -> bool {
    Order { graphs, condition: None }.at_most(x, y, PROOF_DEPTH)
}

/// Sharpens the bounds of `x + y` where one of them is minus something that the other is known not to exceed.
fn difference(
    graphs: &Graphs,
    (x, y): (Id, Id),
    condition: Option<Id>,
    (low, high): (f64, f64),
) -> (f64, f64) {
    let (mut low, mut high) = (low, high);
    let order = Order { graphs, condition };
    for (x, y) in [(x, y), (y, x)] {
        for node in &graphs[y].nodes {
            if let Math::Neg([z]) = node {
                high = if high > 0.0 && order.at_most(x, *z, PROOF_DEPTH) { 0.0 } else { high };
                low = if low < 0.0 && order.at_most(*z, x, PROOF_DEPTH) { 0.0 } else { low };
            }
        }
    }
    (low, high)
}

/// What is known of the order of values, where a condition holds.
struct Order<'g> {
    graphs: &'g Graphs,
    condition: Option<Id>,
}

impl Order<'_> {
    /// Whether `x <= y` follows from what they are made of: an element is at most its maximum, also the running one that
    /// includes it, and the guard of a maximum is at least that.
    fn at_most(&self, x: Id, y: Id, depth: u32) -> bool {
        let graphs = self.graphs;
        let (x, y) = (graphs.find(x), graphs.find(y));
        if x == y || graphs[x].data.high <= graphs[y].data.low {
            return true;
        }
        if depth == 0 {
            return false;
        }
        let holds = |c: &Id| self.condition == Some(graphs.find(*c));
        let below = |node: &Math| match node {
            Math::MaxOf([_, z]) | Math::Guard([z]) | Math::Finite([z]) => {
                self.at_most(x, *z, depth - 1)
            }
            Math::AfterMax([_, z]) => is_before(graphs, x, *z) || self.at_most(x, *z, depth - 1),
            Math::Max([z, w]) => [z, w].iter().any(|z| self.at_most(x, **z, depth - 1)),
            Math::Neg([z]) => negated(graphs, x).any(|w| self.at_most(*z, w, depth - 1)),
            Math::Where([c, z, _]) if holds(c) => self.at_most(x, *z, depth - 1),
            _ => false,
        };
        let above = |node: &Math| match node {
            Math::MinOf([_, z]) => self.at_most(*z, y, depth - 1),
            Math::Max([z, w]) => [z, w].iter().all(|z| self.at_most(**z, y, depth - 1)),
            Math::Min([z, w]) => [z, w].iter().any(|z| self.at_most(**z, y, depth - 1)),
            Math::Where([c, z, _]) if holds(c) => self.at_most(*z, y, depth - 1),
            _ => false,
        };
        graphs[y].nodes.iter().any(below) || graphs[x].nodes.iter().any(above)
    }
}

/// Whether the class is the running maximum of `of` before a block.
fn is_before(graphs: &Graphs, id: Id, of: Id) -> bool {
    let before =
        |node: &Math| matches!(node, Math::BeforeMax([_, z]) if graphs.find(*z) == graphs.find(of));
    graphs[id].nodes.iter().any(before)
}

/// The values whose negative is in the class.
fn negated(graphs: &Graphs, id: Id) -> impl Iterator<Item = Id> {
    graphs[id].nodes.iter().filter_map(|node| match node {
        Math::Neg([x]) => Some(*x),
        _ => None,
    })
}

/// A number's node.
pub(super) fn number(graphs: &mut Graphs, value: f64, dtype: DType) -> Id {
    graphs.add(Math::Number(Number::new(value, dtype)))
}

/// Looks at relations again: bounds of a node may have become provable since it was made.
pub(super) fn refresh(graphs: &mut Graphs) {
    let ids: Vec<Id> = graphs.classes().map(|class| class.id).collect();
    for id in ids {
        let class = &graphs[id];
        let old = class.data;
        let mut new = old;
        for node in &class.nodes {
            let (low, high) = bounds(graphs, node);
            new.low = new.low.max(low);
            new.high = new.high.min(high);
        }
        if new != old {
            graphs.set_analysis_data(id, new);
        }
    }
}
