//! One statement's expression as the graph of a nest.
//!
//! A reduction that has the nest's shape becomes one of its accumulators; any other becomes a nest of its own into
//! scratch, emitted before. Invariant: every local is converted once, so shared parts stay shared.

use super::build::{Binding, Builder, Task};
use super::dag::{Dag, Node, NodeId};
use super::place::Place;
use super::{Accumulator, Nest, Step};
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Expr;
use tilewright_ir::tile::Micro;
use tilewright_ir::{AxisId, AxisSet, BinaryOp, DType, LocalId, ReduceOp};

/// The conversion of one statement's expression into a nest.
pub(super) struct Conversion<'c, 'p> {
    pub(super) builder: &'c mut Builder<'p>,
    steps: &'c mut Vec<Step>,
    pub(super) name: String,
    outer: AxisSet,
    micro: Micro,
    pub(super) dag: Dag,
    accumulators: Vec<Accumulator>,
    reduce: AxisSet,
    pub(super) locals: BTreeMap<LocalId, NodeId>,
}

impl<'c, 'p> Conversion<'c, 'p> {
    pub(super) fn new(
        builder: &'c mut Builder<'p>,
        task: &Task<'_>,
        steps: &'c mut Vec<Step>,
    ) -> Self {
        Self {
            builder,
            steps,
            name: task.name.to_string(),
            outer: task.target.axes(),
            micro: task.micro.clone(),
            dag: Dag::default(),
            accumulators: Vec::new(),
            reduce: AxisSet::EMPTY,
            locals: BTreeMap::new(),
        }
    }

    /// Converts an expression; `top` says that a reduction met here may be one of the nest's own.
    pub(super) fn convert(&mut self, expr: &Expr, top: bool) -> Result<NodeId, Unsupported> {
        match expr {
            Expr::Literal(literal) => Ok(self.dag.literal(literal.value, literal.dtype)),
            Expr::Local(local) => self.convert_local(*local, top),
            Expr::Load(buffer) => {
                let place = self.builder.places[buffer].clone();
                Ok(self.dag.load(&place))
            }
            Expr::Index(axis) => {
                Ok(self.dag.add(Node::Index(*axis), DType::I32, AxisSet::one(*axis)))
            }
            Expr::At(buffer, picks) => self.gather(*buffer, picks),
            Expr::Len(axis) => {
                let extent = self.builder.program.axes.extent(*axis);
                Ok(self.dag.literal(extent as f64, DType::I32))
            }
            Expr::Reduce(op, axes, body) => self.reduction(*op, *axes, body, top),
            Expr::Mma(axes, a, b, c) => self.contraction(*axes, a, b, c, top),
            Expr::Unary(..)
            | Expr::Binary(..)
            | Expr::Compare(..)
            | Expr::Select(..)
            | Expr::Cast(..)
            | Expr::Wrap(..) => self.elementwise(expr, top),
        }
    }

    fn elementwise(&mut self, expr: &Expr, top: bool) -> Result<NodeId, Unsupported> {
        let mut operands = Vec::with_capacity(3);
        for child in expr.children() {
            operands.push(self.convert(child, top)?);
        }
        let first = self.dag.dtype(operands[0]);
        let (node, dtype) = match expr {
            Expr::Unary(op, _) => (Node::Unary(*op, operands[0]), first),
            Expr::Binary(op, _, _) => (Node::Binary(*op, operands[0], operands[1]), first),
            Expr::Compare(op, _, _) => (Node::Compare(*op, operands[0], operands[1]), DType::Bool),
            Expr::Select(..) => {
                (Node::Select(operands[0], operands[1], operands[2]), self.dag.dtype(operands[1]))
            }
            Expr::Cast(dtype, _) | Expr::Wrap(dtype, _) if *dtype == first => {
                return Ok(operands[0]);
            }
            Expr::Cast(dtype, _) => (Node::Cast(operands[0]), *dtype),
            Expr::Wrap(dtype, _) => (Node::Wrap(operands[0]), *dtype),
            Expr::Literal(_)
            | Expr::Local(_)
            | Expr::Load(_)
            | Expr::At(..)
            | Expr::Index(_)
            | Expr::Len(_)
            | Expr::Reduce(..)
            | Expr::Mma(..) => {
                return Err(self
                    .builder
                    .unsupported("a leaf where an operator stands", &self.name));
            }
        };
        Ok(self.dag.add(node, dtype, AxisSet::EMPTY))
    }

    fn convert_local(&mut self, local: LocalId, top: bool) -> Result<NodeId, Unsupported> {
        if let Some(&node) = self.locals.get(&local) {
            return Ok(node);
        }
        let name = self.builder.program.locals[local.index()].name.clone();
        let binding = self.builder.bindings.get(&local).cloned();
        let node = match binding {
            Some(Binding::Expr(expr)) => self.convert(&expr, top)?,
            Some(Binding::Memory(place)) => self.dag.load(&place),
            Some(Binding::OwnCarry(dtype, axes)) => self.dag.add(Node::Carried, dtype, axes),
            Some(Binding::OwnResult(dtype, axes)) => self.dag.add(Node::Result, dtype, axes),
            None => {
                return Err(self
                    .builder
                    .unsupported(format!("a use of `{name}` before its definition"), &self.name));
            }
        };
        self.locals.insert(local, node);
        Ok(node)
    }

    fn contraction(
        &mut self,
        axes: AxisSet,
        a: &Expr,
        b: &Expr,
        c: &Expr,
        top: bool,
    ) -> Result<NodeId, Unsupported> {
        let product = Expr::binary(BinaryOp::Mul, a.clone(), b.clone());
        let sum = self.reduction(ReduceOp::Sum, axes, &product, top)?;
        let start = self.convert(c, top)?;
        let dtype = self.dag.dtype(sum);
        Ok(self.dag.add(Node::Binary(BinaryOp::Add, start, sum), dtype, AxisSet::EMPTY))
    }

    /// A reduction of this nest if it has the nest's shape, else a nest of its own into scratch.
    fn reduction(
        &mut self,
        op: ReduceOp,
        axes: AxisSet,
        body: &Expr,
        top: bool,
    ) -> Result<NodeId, Unsupported> {
        if op.fold().is_none() {
            return Err(self.builder.unsupported(format!("`{op}`"), &self.name));
        }
        let program = self.builder.program;
        let free = body.axes(program) - axes;
        let fits = top
            && axes.is_disjoint(self.outer)
            && self.same_elements(free)
            && (self.accumulators.is_empty() || self.reduce == axes);
        if !fits {
            return self.hoist(op, axes, body, free);
        }
        let term = self.convert(body, false)?;
        let dtype = self.dag.dtype(term);
        self.reduce = axes;
        let position = u32::try_from(self.accumulators.len()).expect("a nest has few reductions");
        self.accumulators.push(Accumulator { op, term });
        Ok(self.dag.add(Node::Accumulator(position), dtype, free))
    }

    /// Whether a value over `free` has as many elements as the target in every block.
    fn same_elements(&self, free: AxisSet) -> bool {
        let axes = &self.builder.program.axes;
        (self.outer - free).iter().all(|axis| {
            axes.extent(axis) == 1 || self.builder.bound.get(&axis).is_some_and(|&step| step == 1)
        }) && self.outer.contains_all(free)
    }

    fn hoist(
        &mut self,
        op: ReduceOp,
        axes: AxisSet,
        body: &Expr,
        free: AxisSet,
    ) -> Result<NodeId, Unsupported> {
        let dtype = body.dtype(self.builder.program);
        let name = format!("{} of {}", op.name(), self.name);
        let free: Vec<AxisId> = free.iter().collect();
        let target = self.builder.allocate_value(&name, dtype, &free);
        let expr = Expr::reduce(op, axes, body.clone());
        let vector = self.micro.vector.filter(|&axis| axes.contains(axis) || free.contains(&axis));
        let micro = Micro { vector, chain: self.micro.chain, ..Micro::default() };
        let task = Task { name: &name, target: &target, expr: &expr, micro: &micro, carry: None };
        self.builder.nest(&task, self.steps)?;
        Ok(self.dag.load(&target))
    }

    pub(super) fn finish(self, result: NodeId, last: Option<NodeId>, task: &Task<'_>) -> Nest {
        let carried = task.carry.filter(|carry| carry.1).map(|(carry, _)| carry.start);
        Nest {
            name: self.name,
            outer: loop_order(task.target, &self.micro),
            reduce: reduce_order(self.reduce, &self.micro, &self.dag),
            dag: self.dag,
            accumulators: self.accumulators,
            result,
            scan: None,
            carried,
            last,
            others: Vec::new(),
            target: task.target.clone(),
            micro: self.micro,
        }
    }
}

/// The target's axes: those the schedule orders first, then the rest as in memory.
pub(super) fn loop_order(target: &Place, micro: &Micro) -> Vec<AxisId> {
    let axes = target.axes();
    let rest = target.terms.iter().map(|term| term.axis).filter(|axis| !micro.order.contains(axis));
    let ordered: Vec<AxisId> =
        micro.order.iter().copied().filter(|&axis| axes.contains(axis)).collect();
    ordered.into_iter().chain(rest).collect()
}

/// The reduced axes; innermost one along which elements lie in groups, or the vector axis.
fn reduce_order(reduce: AxisSet, micro: &Micro, dag: &Dag) -> Vec<AxisId> {
    let mut axes: Vec<AxisId> = reduce.iter().collect();
    let grouped = |axis| dag.places.iter().any(|place| place.depth.is_some_and(|of| of.0 == axis));
    axes.sort_by_key(|&axis| (micro.vector == Some(axis), grouped(axis)));
    axes
}
