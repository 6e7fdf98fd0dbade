//! From chosen nodes of the e-graph back to a graph.
//!
//! What import spelled out is put together again: a sum with a negative is a difference, a product with a reciprocal a
//! quotient, the reciprocal of a root is `rsqrt`. Invariant: a class becomes one graph node, so what the choice shares,
//! the graph shares.

use super::analysis::Graphs;
use super::language::Math;
use crate::base::{AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, GraphBuilder, NodeId, Op, Output};
use egg::Id;
use std::collections::BTreeMap;

/// Which node stands for each class.
pub(super) type Choice = BTreeMap<Id, Math>;

/// The graph of the chosen nodes below the roots, one for each output of `like`. `None` if the choice has a cycle, or a
/// reduction over an axis that its operand, as chosen, does not have.
pub(super) fn export(
    graphs: &Graphs,
    choice: &Choice,
    roots: &[Id],
    names: &BTreeMap<Id, String>,
    like: &Graph,
) -> Option<Graph> {
    let builder = GraphBuilder::like(like);
    let mut exporter =
        Exporter { graphs, choice, names, builder, done: BTreeMap::new(), open: vec![] };
    let mut outputs = vec![];
    for (output, &root) in like.outputs.iter().zip(roots) {
        let node = exporter.class(root)?;
        outputs.push(Output { tensor: output.tensor.clone(), node });
    }
    Some(exporter.builder.finish(outputs))
}

struct Exporter<'e> {
    graphs: &'e Graphs,
    choice: &'e Choice,
    names: &'e BTreeMap<Id, String>,
    builder: GraphBuilder,
    done: BTreeMap<Id, NodeId>,
    /// The classes whose operands are being built.
    open: Vec<Id>,
}

impl Exporter<'_> {
    fn class(&mut self, id: Id) -> Option<NodeId> {
        let id = self.graphs.find(id);
        if let Some(&node) = self.done.get(&id) {
            return Some(node);
        }
        if self.open.contains(&id) {
            return None;
        }
        self.open.push(id);
        let node = self.node(&self.choice.get(&id)?.clone());
        self.open.pop();
        let node = node?;
        self.done.insert(id, node);
        if let Some(name) = self.names.get(&id)
            && !self.builder.is_named(node)
        {
            self.builder.name(node, name);
        }
        Some(node)
    }

    fn node(&mut self, math: &Math) -> Option<NodeId> {
        match math {
            Math::Number(number) => Some(self.builder.literal(number.value(), number.dtype)),
            Math::Axes(_) => None,
            Math::Add([x, y]) => self.sum(*x, *y),
            Math::Mul([x, y]) => self.product(*x, *y),
            Math::Neg([x]) => self.unary(UnaryOp::Neg, *x),
            Math::Recip([x]) => match self.chosen(*x) {
                Some(Math::Sqrt([y])) => self.unary(UnaryOp::Rsqrt, y),
                _ => self.unary(UnaryOp::Recip, *x),
            },
            Math::Exp([x]) => self.unary(UnaryOp::Exp, *x),
            Math::Exp2([x]) => self.unary(UnaryOp::Exp2, *x),
            Math::Log([x]) => self.unary(UnaryOp::Log, *x),
            Math::Log2([x]) => self.unary(UnaryOp::Log2, *x),
            Math::Sqrt([x]) => self.unary(UnaryOp::Sqrt, *x),
            Math::Max([x, y]) => self.binary(BinaryOp::Max, *x, *y),
            Math::Min([x, y]) => self.binary(BinaryOp::Min, *x, *y),
            Math::Equal([x, y]) => {
                let (x, y) = (self.class(*x)?, self.class(*y)?);
                Some(self.builder.compare(CompareOp::Eq, x, y))
            }
            Math::Where([c, x, y]) => {
                let (c, x, y) = (self.class(*c)?, self.class(*x)?, self.class(*y)?);
                Some(self.builder.select(c, x, y))
            }
            Math::Guard([x]) => self.guard(*x),
            Math::Finite([x]) => self.finite(*x),
            Math::Sum([j, x]) => self.reduce(ReduceOp::Sum, *j, *x),
            Math::MaxOf([j, x]) => self.reduce(ReduceOp::Max, *j, *x),
            Math::MinOf([j, x]) => self.reduce(ReduceOp::Min, *j, *x),
            Math::Roll([j, term, scale, shift]) => self.roll(*j, *term, *scale, *shift),
            Math::AfterSum([j, x]) => self.after(ReduceOp::Sum, *j, *x),
            Math::AfterMax([j, x]) => self.after(ReduceOp::Max, *j, *x),
            Math::BeforeSum([j, x]) => self.before(ReduceOp::Sum, *j, *x),
            Math::BeforeMax([j, x]) => self.before(ReduceOp::Max, *j, *x),
            Math::Ones([j, one]) => self.ones(*j, *one),
            Math::Other(name, operands) => {
                let opaque = self.graphs.analysis.opaque[name];
                let operands: Option<Vec<_>> = operands.iter().map(|&id| self.class(id)).collect();
                self.other(opaque.op, opaque.dtype, &operands?)
            }
        }
    }

    fn chosen(&self, id: Id) -> Option<Math> {
        self.choice.get(&self.graphs.find(id)).cloned()
    }

    fn unary(&mut self, op: UnaryOp, x: Id) -> Option<NodeId> {
        let x = self.class(x)?;
        Some(self.builder.unary(op, x))
    }

    fn binary(&mut self, op: BinaryOp, x: Id, y: Id) -> Option<NodeId> {
        let (x, y) = (self.class(x)?, self.class(y)?);
        Some(self.builder.binary(op, x, y))
    }

    fn sum(&mut self, x: Id, y: Id) -> Option<NodeId> {
        match (self.chosen(x), self.chosen(y)) {
            (_, Some(Math::Neg([y]))) => self.binary(BinaryOp::Sub, x, y),
            (Some(Math::Neg([x])), _) => self.binary(BinaryOp::Sub, y, x),
            _ => self.binary(BinaryOp::Add, x, y),
        }
    }

    fn product(&mut self, x: Id, y: Id) -> Option<NodeId> {
        let divisor = |math: Option<Math>| match math {
            Some(Math::Recip([x])) => Some(x),
            _ => None,
        };
        // A root is better divided by as a product with `rsqrt`.
        let is_root = |exporter: &Self, id: Id| matches!(exporter.chosen(id), Some(Math::Sqrt(_)));
        match (divisor(self.chosen(x)), divisor(self.chosen(y))) {
            (_, Some(y)) if !is_root(self, y) => self.binary(BinaryOp::Div, x, y),
            (Some(x), _) if !is_root(self, x) => self.binary(BinaryOp::Div, y, x),
            _ => self.binary(BinaryOp::Mul, x, y),
        }
    }

    fn guard(&mut self, x: Id) -> Option<NodeId> {
        let x = self.class(x)?;
        let dtype = self.builder.node(x).dtype;
        let lowest = self.builder.literal(f64::NEG_INFINITY, dtype);
        let zero = self.builder.literal(0.0, dtype);
        let unseen = self.builder.compare(CompareOp::Eq, x, lowest);
        Some(self.builder.select(unseen, zero, x))
    }

    fn finite(&mut self, x: Id) -> Option<NodeId> {
        let x = self.class(x)?;
        let dtype = self.builder.node(x).dtype;
        let size = self.builder.unary(UnaryOp::Abs, x);
        let (infinity, zero) =
            (self.builder.literal(f64::INFINITY, dtype), self.builder.literal(0.0, dtype));
        let infinite = self.builder.compare(CompareOp::Eq, size, infinity);
        Some(self.builder.select(infinite, zero, x))
    }

    fn axes(&self, j: Id) -> Option<AxisSet> {
        self.graphs[j].data.named
    }

    fn reduce(&mut self, op: ReduceOp, j: Id, x: Id) -> Option<NodeId> {
        let (axes, x) = (self.axes(j)?, self.class(x)?);
        let fits = self.builder.node(x).axes.contains_all(axes);
        fits.then(|| self.builder.reduce(op, axes, x))
    }

    fn after(&mut self, op: ReduceOp, j: Id, x: Id) -> Option<NodeId> {
        let reduction = self.reduce(op, j, x)?;
        Some(self.builder.after(reduction))
    }

    fn before(&mut self, op: ReduceOp, j: Id, x: Id) -> Option<NodeId> {
        let reduction = self.reduce(op, j, x)?;
        Some(self.builder.before(reduction))
    }

    fn roll(&mut self, j: Id, term: Id, scale: Id, shift: Id) -> Option<NodeId> {
        let axes = self.axes(j)?;
        let is = |id: Id, value: f64| self.graphs[id].data.constant == Some(value);
        let (unscaled, unshifted) = (is(scale, 1.0), is(shift, 0.0));
        let term = self.class(term)?;
        let (of_scale, of_shift) = (self.class(scale)?, self.class(shift)?);
        let read = |builder: &GraphBuilder, id: NodeId| builder.node(id).axes;
        let of_term = *self.builder.node(term);
        if !of_term.axes.contains_all(axes) {
            return None;
        }
        let kept = of_term.axes | read(&self.builder, of_scale) | read(&self.builder, of_shift);
        let mut update = self.builder.held(of_term.dtype, kept - axes);
        if !unscaled {
            update = self.builder.binary(BinaryOp::Mul, update, of_scale);
        }
        if !unshifted {
            update = self.builder.binary(BinaryOp::Add, update, of_shift);
        }
        Some(self.builder.roll(ReduceOp::Sum, axes, term, update))
    }

    /// 1 at every index of the axes.
    fn ones(&mut self, j: Id, one: Id) -> Option<NodeId> {
        let (axes, mut value) = (self.axes(j)?, self.class(one)?);
        let dtype = self.builder.node(value).dtype;
        for axis in axes.iter() {
            let (index, first) = (self.builder.index(axis), self.builder.literal(0.0, DType::I32));
            let inside = self.builder.compare(CompareOp::Ge, index, first);
            let zero = self.builder.literal(0.0, dtype);
            value = self.builder.select(inside, value, zero);
        }
        Some(value)
    }

    fn other(&mut self, op: Op, dtype: DType, operands: &[NodeId]) -> Option<NodeId> {
        let builder = &mut self.builder;
        let has = |builder: &GraphBuilder, axes| builder.node(operands[0]).axes.contains_all(axes);
        Some(match op {
            Op::Input(position) => builder.read(position),
            Op::Index(axis) => builder.index(axis),
            Op::Len(axis) => builder.len(axis),
            Op::Literal(value) => builder.literal(value, dtype),
            Op::Unary(op, _) => builder.unary(op, operands[0]),
            Op::Binary(op, ..) => builder.binary(op, operands[0], operands[1]),
            Op::Compare(op, ..) => builder.compare(op, operands[0], operands[1]),
            Op::Select(..) => builder.select(operands[0], operands[1], operands[2]),
            Op::Cast(_) => builder.cast(dtype, operands[0]),
            Op::Wrap(_) => builder.wrap(dtype, operands[0]),
            Op::Reduce(op, axes, _) if has(builder, axes) => builder.reduce(op, axes, operands[0]),
            Op::Scan(op, axis, _) if has(builder, AxisSet::one(axis)) => {
                builder.scan(op, axis, operands[0])
            }
            Op::Gather(_, picks) if has(builder, picks.axes()) => {
                let axes: Vec<_> = picks.iter().map(|(axis, _)| axis).collect();
                let list: Vec<_> = axes.into_iter().zip(operands[1..].iter().copied()).collect();
                builder.gather(operands[0], &list)
            }
            Op::Reduce(..) | Op::Scan(..) | Op::Gather(..) => return None,
            Op::Roll(..) | Op::Before(_) | Op::After(_) | Op::Held => return None,
        })
    }
}
