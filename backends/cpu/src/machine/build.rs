//! From the phases of a tile program to machine phases.
//!
//! Statements become nests one by one; a reduction that is not the whole of its statement becomes a nest of its own
//! into scratch. Scratch offsets are given out in program order.
//! Invariant: the order of nests keeps every read after the write it depends on, and all `next` values of a loop see
//! the carries as they were before the block.

use super::dag::{Dag, Node, NodeId};
use super::place::{Base, Place, Term};
use super::{Accumulator, Loop, MachinePhase, Nest, SCRATCH_HEADER_BYTES, Step};
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Expr;
use tilewright_ir::tile::{
    Carry, For, Micro, Phase, Place as CarryPlace, Scope, Stmt, TileProgram,
};
use tilewright_ir::{AxisId, AxisSet, BinaryOp, BufferId, DType, LocalId, ReduceOp};

/// Builds the machine phases of a verified tile program.
///
/// # Errors
/// `Unsupported` names the construct.
pub fn build(program: &TileProgram) -> Result<Vec<MachinePhase>, Unsupported> {
    program.phases.iter().map(|phase| Builder::new(program, phase).run(phase)).collect()
}

/// What a local's name means at this point.
#[derive(Clone)]
enum Binding {
    /// An expression, evaluated where it is used.
    Expr(Expr),
    /// Elements in memory.
    Memory(Place),
    /// The carry that the nest being built updates in place.
    OwnCarry(DType, AxisSet),
    /// The result of the nest being built, in its epilogue.
    OwnResult(DType, AxisSet),
}

struct Builder<'p> {
    program: &'p TileProgram,
    phase: String,
    scratch_bytes: u64,
    places: BTreeMap<BufferId, Place>,
    bindings: BTreeMap<LocalId, Binding>,
    /// The block length of each bound axis.
    bound: BTreeMap<AxisId, u64>,
}

/// What to compute into a target.
struct Task<'t> {
    name: &'t str,
    target: &'t Place,
    expr: &'t Expr,
    micro: &'t Micro,
    /// The carry that the target holds: its local, start value and epilogue.
    carry: Option<(&'t Carry, bool)>,
}

impl<'p> Builder<'p> {
    fn new(program: &'p TileProgram, phase: &Phase) -> Self {
        let mut builder = Self {
            program,
            phase: phase.name.clone(),
            scratch_bytes: SCRATCH_HEADER_BYTES,
            places: BTreeMap::new(),
            bindings: BTreeMap::new(),
            bound: phase.grid.axes.iter().copied().collect(),
        };
        builder.bind_arguments(phase);
        builder
    }

    fn bind_arguments(&mut self, phase: &Phase) {
        let written = written_buffers(&phase.body);
        let buffers = &self.program.buffers;
        let mut ids = Vec::new();
        for scope in [Scope::Input, Scope::Output, Scope::Device] {
            ids.extend((0..buffers.len()).filter(|&index| buffers[index].scope == scope));
        }
        for (position, index) in ids.into_iter().enumerate() {
            let id = buffer_id(index);
            let buffer = &buffers[index];
            let constant = !written.contains(&id);
            let place =
                Place::of_buffer(buffer, &self.program.axes, Base::Argument(position), constant);
            self.places.insert(id, place);
        }
    }

    fn run(mut self, phase: &Phase) -> Result<MachinePhase, Unsupported> {
        for &buffer in &phase.group {
            self.allocate_buffer(buffer);
        }
        let body = self.statements(&phase.body)?;
        Ok(MachinePhase {
            name: phase.name.clone(),
            grid: phase.grid.axes.clone(),
            threads: phase.grid.threads.max(1),
            scratch_bytes: self.scratch_bytes,
            body,
        })
    }

    fn allocate(&mut self, bytes: u64) -> Base {
        let start = self.scratch_bytes;
        self.scratch_bytes = start + bytes.next_multiple_of(64);
        Base::Scratch(start)
    }

    fn allocate_buffer(&mut self, id: BufferId) -> Place {
        let buffer = &self.program.buffers[id.index()];
        let bytes = buffer.dtype.bytes_of(buffer.volume(&self.program.axes));
        let base = self.allocate(bytes);
        let place = Place::of_buffer(buffer, &self.program.axes, base, false);
        self.places.insert(id, place.clone());
        place
    }

    /// Scratch for the current block of a value over `axes`, the last innermost.
    fn allocate_value(&mut self, name: &str, dtype: DType, axes: &[AxisId]) -> Place {
        let mut stride = dtype.bytes();
        let mut terms = Vec::with_capacity(axes.len());
        for &axis in axes.iter().rev() {
            let extent = self.program.axes.extent(axis);
            let relative = self.bound.contains_key(&axis);
            let span = self.bound.get(&axis).map_or(extent, |&step| step.min(extent));
            let stride_bytes = i64::try_from(stride).unwrap_or(i64::MAX);
            terms.push(Term { axis, stride_bytes, relative });
            stride = stride.saturating_mul(span.max(1));
        }
        terms.reverse();
        let base = self.allocate(stride);
        Place { name: name.to_string(), base, dtype, terms, panel: None, constant: false }
    }

    fn statements(&mut self, statements: &[Stmt]) -> Result<Vec<Step>, Unsupported> {
        let mut steps = Vec::new();
        for statement in statements {
            self.statement(statement, &mut steps)?;
        }
        Ok(steps)
    }

    fn statement(&mut self, statement: &Stmt, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
        match statement {
            Stmt::Let { local, expr } if contains_reduction(expr) => {
                let info = &self.program.locals[local.index()];
                let axes: Vec<AxisId> = info.axes.iter().collect();
                let target = self.allocate_value(&info.name, info.dtype, &axes);
                let micro = Micro::default();
                let task =
                    Task { name: &info.name, target: &target, expr, micro: &micro, carry: None };
                self.nest(&task, steps)?;
                self.bindings.insert(*local, Binding::Memory(target));
            }
            Stmt::Let { local, expr } => {
                self.bindings.insert(*local, Binding::Expr(expr.clone()));
            }
            Stmt::Stage { buffer, expr, micro } => {
                let target = self.allocate_buffer(*buffer);
                let task = Task { name: &target.name, target: &target, expr, micro, carry: None };
                self.nest(&task, steps)?;
            }
            Stmt::Store { buffer, expr, micro } => {
                let target = self.places[buffer].clone();
                let task = Task { name: &target.name, target: &target, expr, micro, carry: None };
                self.nest(&task, steps)?;
            }
            Stmt::For(statement) => self.for_loop(statement, steps)?,
        }
        Ok(())
    }

    fn for_loop(&mut self, statement: &For, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
        let targets: Vec<Place> =
            statement.carries.iter().map(|carry| self.carry_place(carry)).collect();
        if statement.axes.iter().any(|&(axis, _)| self.program.axes.extent(axis) == 0) {
            for (carry, target) in statement.carries.iter().zip(&targets) {
                self.store_start(carry, target, carry.last.as_ref(), steps)?;
                self.bindings.insert(carry.local, Binding::Memory(target.clone()));
            }
            return Ok(());
        }
        let in_place: Vec<bool> =
            (0..statement.carries.len()).map(|index| is_own_only(statement, index)).collect();
        for ((carry, target), &in_place) in statement.carries.iter().zip(&targets).zip(&in_place) {
            if !in_place {
                self.store_start(carry, target, None, steps)?;
            }
            self.bindings.insert(carry.local, Binding::Memory(target.clone()));
        }
        self.bound.extend(statement.axes.iter().copied());
        let mut body = self.statements(&statement.body)?;
        self.updates(statement, &targets, &in_place, &mut body)?;
        for (axis, _) in &statement.axes {
            self.bound.remove(axis);
        }
        for (carry, target) in statement.carries.iter().zip(targets) {
            self.bindings.insert(carry.local, Binding::Memory(target));
        }
        steps.push(Step::Loop(Loop { axes: statement.axes.clone(), body }));
        Ok(())
    }

    /// The nests that give each carry its next value. A carry that another one reads goes through a shadow.
    fn updates(
        &mut self,
        statement: &For,
        targets: &[Place],
        in_place: &[bool],
        steps: &mut Vec<Step>,
    ) -> Result<(), Unsupported> {
        let mut copies = Vec::new();
        for (index, carry) in statement.carries.iter().enumerate() {
            let target = &targets[index];
            let shadow = (!in_place[index])
                .then(|| self.allocate_value(&target.name, target.dtype, &carry.axes));
            let name = &self.program.locals[carry.local.index()].name;
            let task = Task {
                name,
                target: shadow.as_ref().unwrap_or(target),
                expr: &carry.next,
                micro: &carry.micro,
                carry: Some((carry, in_place[index])),
            };
            self.nest(&task, steps)?;
            self.bindings.insert(carry.local, Binding::Memory(target.clone()));
            if let Some(shadow) = shadow {
                copies.push(copy_nest(&shadow, target, &carry.micro));
            }
        }
        steps.extend(copies);
        Ok(())
    }

    fn carry_place(&mut self, carry: &Carry) -> Place {
        match carry.place {
            CarryPlace::Out(buffer) => self.places[&buffer].clone(),
            CarryPlace::Group => {
                let local = &self.program.locals[carry.local.index()];
                self.allocate_value(&local.name.clone(), local.dtype, &carry.axes)
            }
        }
    }

    fn store_start(
        &mut self,
        carry: &Carry,
        target: &Place,
        last: Option<&Expr>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Unsupported> {
        self.bindings.insert(carry.local, Binding::Expr(Expr::Literal(carry.start)));
        let start = Expr::Literal(carry.start);
        let expr = last.unwrap_or(&start);
        let task = Task { name: &target.name, target, expr, micro: &carry.micro, carry: None };
        self.nest(&task, steps)
    }

    fn nest(&mut self, task: &Task<'_>, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
        let mut conversion = Conversion::new(self, task, steps);
        if let Some((carry, in_place)) = task.carry.filter(|carry| carry.1) {
            debug_assert!(in_place);
            let binding = Binding::OwnCarry(carry.start.dtype, task.target.axes());
            conversion.builder.bindings.insert(carry.local, binding);
        }
        let result = conversion.convert(task.expr, true)?;
        let mut last = None;
        if let Some((carry, epilogue)) =
            task.carry.and_then(|(carry, _)| Some((carry, carry.last.as_ref()?)))
        {
            let binding = Binding::OwnResult(carry.start.dtype, task.target.axes());
            conversion.builder.bindings.insert(carry.local, binding);
            conversion.locals.clear();
            last = Some(conversion.convert(epilogue, false)?);
        }
        let nest = conversion.finish(result, last, task);
        steps.push(Step::Nest(Box::new(nest)));
        Ok(())
    }

    fn unsupported(&self, what: impl Into<String>, name: &str) -> Unsupported {
        Unsupported { what: what.into(), place: format!("`{name}` of phase `{}`", self.phase) }
    }
}

/// The conversion of one statement's expression into a nest.
struct Conversion<'c, 'p> {
    builder: &'c mut Builder<'p>,
    steps: &'c mut Vec<Step>,
    name: String,
    outer: AxisSet,
    micro: Micro,
    dag: Dag,
    accumulators: Vec<Accumulator>,
    reduce: AxisSet,
    locals: BTreeMap<LocalId, NodeId>,
}

impl<'c, 'p> Conversion<'c, 'p> {
    fn new(builder: &'c mut Builder<'p>, task: &Task<'_>, steps: &'c mut Vec<Step>) -> Self {
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
    fn convert(&mut self, expr: &Expr, top: bool) -> Result<NodeId, Unsupported> {
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
            | Expr::Cast(..) => self.elementwise(expr, top),
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
            Expr::Cast(dtype, _) if *dtype == first => return Ok(operands[0]),
            Expr::Cast(dtype, _) => (Node::Cast(operands[0]), *dtype),
            Expr::Literal(_)
            | Expr::Local(_)
            | Expr::Load(_)
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
        let micro = Micro { vector, unroll: 1, ..Micro::default() };
        let task = Task { name: &name, target: &target, expr: &expr, micro: &micro, carry: None };
        self.builder.nest(&task, self.steps)?;
        Ok(self.dag.load(&target))
    }

    fn finish(self, result: NodeId, last: Option<NodeId>, task: &Task<'_>) -> Nest {
        let carried = task.carry.filter(|carry| carry.1).map(|(carry, _)| carry.start);
        Nest {
            name: self.name,
            outer: loop_order(task.target, &self.micro),
            reduce: reduce_order(self.reduce, &self.micro),
            dag: self.dag,
            accumulators: self.accumulators,
            result,
            carried,
            last,
            target: task.target.clone(),
            micro: self.micro,
        }
    }
}

/// The target's axes: those the schedule orders first, then the rest as in memory.
fn loop_order(target: &Place, micro: &Micro) -> Vec<AxisId> {
    let axes = target.axes();
    let rest = target.terms.iter().map(|term| term.axis).filter(|axis| !micro.order.contains(axis));
    let ordered: Vec<AxisId> =
        micro.order.iter().copied().filter(|&axis| axes.contains(axis)).collect();
    ordered.into_iter().chain(rest).collect()
}

/// The reduced axes; the vector axis is innermost.
fn reduce_order(reduce: AxisSet, micro: &Micro) -> Vec<AxisId> {
    let mut axes: Vec<AxisId> = reduce.iter().collect();
    axes.sort_by_key(|&axis| micro.vector == Some(axis));
    axes
}

fn copy_nest(from: &Place, to: &Place, micro: &Micro) -> Step {
    let mut dag = Dag::default();
    let result = dag.load(from);
    Step::Nest(Box::new(Nest {
        name: to.name.clone(),
        outer: loop_order(to, micro),
        reduce: Vec::new(),
        dag,
        accumulators: Vec::new(),
        result,
        carried: None,
        last: None,
        target: to.clone(),
        micro: Micro {
            vector: micro.vector.filter(|&axis| to.axes().contains(axis)),
            ..micro.clone()
        },
    }))
}

fn contains_reduction(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part: &Expr| found |= matches!(part, Expr::Reduce(..) | Expr::Mma(..)));
    found
}

/// Whether only a carry's own `next` reads it, each element at its own position, so it may be updated in place.
fn is_own_only(statement: &For, index: usize) -> bool {
    let local = statement.carries[index].local;
    let lets = lets_of(&statement.body);
    let reads = |expr: &Expr| reads_local(expr, local, &lets);
    let own = &statement.carries[index].next;
    let others = statement.carries.iter().enumerate().filter(|&(other, _)| other != index);
    let read_by_others = others
        .map(|(_, carry)| carry)
        .any(|carry| reads(&carry.next) || carry.last.as_ref().is_some_and(&reads));
    let mut read_in_reduction = false;
    own.walk(&mut |part: &Expr| {
        if let Expr::Reduce(_, _, body) = part {
            read_in_reduction |= reads(body);
        }
        if let Expr::Mma(_, a, b, _) = part {
            read_in_reduction |= reads(a) || reads(b);
        }
    });
    !read_by_others && !read_in_reduction && !body_reads(&statement.body, local, &lets)
}

fn lets_of(statements: &[Stmt]) -> BTreeMap<LocalId, &Expr> {
    let mut lets = BTreeMap::new();
    for statement in statements {
        if let Stmt::Let { local, expr } = statement {
            lets.insert(*local, expr);
        }
    }
    lets
}

fn reads_local(expr: &Expr, local: LocalId, lets: &BTreeMap<LocalId, &Expr>) -> bool {
    let mut pending = vec![expr];
    let mut seen = std::collections::BTreeSet::new();
    let mut found = false;
    while let Some(expr) = pending.pop() {
        expr.walk(&mut |part: &Expr| {
            if let Expr::Local(name) = part {
                found |= *name == local;
                if seen.insert(*name) {
                    pending.extend(lets.get(name));
                }
            }
        });
    }
    found
}

fn body_reads(statements: &[Stmt], local: LocalId, lets: &BTreeMap<LocalId, &Expr>) -> bool {
    statements.iter().any(|statement| match statement {
        Stmt::Let { expr, .. } => contains_reduction(expr) && reads_local(expr, local, lets),
        Stmt::Stage { expr, .. } | Stmt::Store { expr, .. } => reads_local(expr, local, lets),
        Stmt::For(inner) => {
            inner.carries.iter().any(|carry| {
                reads_local(&carry.next, local, lets)
                    || carry.last.as_ref().is_some_and(|last| reads_local(last, local, lets))
            }) || body_reads(&inner.body, local, lets)
        }
    })
}

fn written_buffers(statements: &[Stmt]) -> Vec<BufferId> {
    let mut written = Vec::new();
    for statement in statements {
        match statement {
            Stmt::Let { .. } => {}
            Stmt::Stage { buffer, .. } | Stmt::Store { buffer, .. } => written.push(*buffer),
            Stmt::For(inner) => {
                written.extend(written_buffers(&inner.body));
                written.extend(inner.carries.iter().filter_map(|carry| match carry.place {
                    CarryPlace::Out(buffer) => Some(buffer),
                    CarryPlace::Group => None,
                }));
            }
        }
    }
    written
}

fn buffer_id(index: usize) -> BufferId {
    BufferId(u32::try_from(index).expect("a program has fewer than 2^32 buffers"))
}
