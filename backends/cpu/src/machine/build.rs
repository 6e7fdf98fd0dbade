//! From the phases of a tile program to machine phases.
//!
//! Statements become nests one by one; a reduction that is not the whole of its statement becomes a nest of its own
//! into scratch. Scratch offsets are given out in program order.
//! Invariant: the order of nests keeps every read after the write it depends on, and all `next` values of a loop see
//! the carries as they were before the block.

use super::convert::{Conversion, loop_order};
use super::dag::Dag;
use super::place::{Base, Place, Term};
use super::reads::{buffer_id, contains_reduction, is_own_only, written_buffers};
use super::{Loop, MachinePhase, Nest, Pack, SCRATCH_HEADER_BYTES, ScanLoop, Step, order};
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Expr;
use tilewright_ir::tile::{
    Buffer, Carry, For, Micro, Phase, Place as CarryPlace, Scan, Scope, Stmt, TileProgram,
};
use tilewright_ir::{AxisId, AxisSet, BufferId, DType, LocalId};

/// Builds the machine phases of a verified tile program.
///
/// # Errors
/// `Unsupported` names the construct.
pub fn build(program: &TileProgram) -> Result<Vec<MachinePhase>, Unsupported> {
    let phases = program.phases.iter().map(|phase| Builder::new(program, phase).run(phase));
    phases.chain(pack_outputs(program).map(Ok)).collect()
}

/// Whether an output is computed with a byte for each element and packed at the end: two elements of one byte may be
/// the work of two threads.
fn is_packed_output(buffer: &Buffer) -> bool {
    buffer.scope == Scope::Output && buffer.dtype == DType::I4
}

/// The elements of each device buffer that the back end adds for a packed output, in order.
pub fn unpacked_outputs(program: &TileProgram) -> Vec<u64> {
    let packed = program.buffers.iter().filter(|buffer| is_packed_output(buffer));
    packed.map(|buffer| buffer.volume(&program.axes)).collect()
}

/// The phase that packs the outputs, if there is one to pack.
fn pack_outputs(program: &TileProgram) -> Option<MachinePhase> {
    let arguments = program.buffers.iter().filter(|buffer| buffer.scope != Scope::Group);
    let first = arguments.count();
    let inputs = program.inputs().count();
    let outputs = program.outputs().enumerate().filter(|(_, buffer)| is_packed_output(buffer));
    let body: Vec<Step> = outputs
        .zip(first..)
        .map(|((output, buffer), from)| {
            let elements = buffer.volume(&program.axes);
            Step::Pack(Pack { from, to: inputs + output, elements })
        })
        .collect();
    (!body.is_empty()).then(|| MachinePhase {
        name: "pack".to_string(),
        grid: Vec::new(),
        descending: false,
        threads: 1,
        scratch_bytes: SCRATCH_HEADER_BYTES,
        body,
    })
}

/// What a local's name means at this point.
#[derive(Clone)]
pub(super) enum Binding {
    /// An expression, evaluated where it is used.
    Expr(Expr),
    /// Elements in memory.
    Memory(Place),
    /// The carry that the nest being built updates in place.
    OwnCarry(DType, AxisSet),
    /// The result of the nest being built, in its epilogue.
    OwnResult(DType, AxisSet),
}

pub(super) struct Builder<'p> {
    pub(super) program: &'p TileProgram,
    phase: String,
    scratch_bytes: u64,
    pub(super) places: BTreeMap<BufferId, Place>,
    pub(super) bindings: BTreeMap<LocalId, Binding>,
    /// The block length of each bound axis.
    pub(super) bound: BTreeMap<AxisId, u64>,
}

/// What to compute into a target.
pub(super) struct Task<'t> {
    pub(super) name: &'t str,
    pub(super) target: &'t Place,
    pub(super) expr: &'t Expr,
    pub(super) micro: &'t Micro,
    /// The carry that the target holds: its local, start value and epilogue.
    pub(super) carry: Option<(&'t Carry, bool)>,
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
        let mut unpacked = ids.len();
        for (position, index) in ids.into_iter().enumerate() {
            let id = buffer_id(index);
            let buffer = &buffers[index];
            let constant = !written.contains(&id);
            let position = match is_packed_output(buffer) {
                true => unpacked,
                false => position,
            };
            unpacked += usize::from(is_packed_output(buffer));
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
            descending: order::is_descending(phase),
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

    pub(super) fn allocate_buffer(&mut self, id: BufferId) -> Place {
        let buffer = &self.program.buffers[id.index()];
        let bytes = buffer.volume(&self.program.axes).saturating_mul(buffer.dtype.bytes());
        let base = self.allocate(bytes);
        let place = Place::of_buffer(buffer, &self.program.axes, base, false);
        self.places.insert(id, place.clone());
        place
    }

    /// Scratch for the current block of a value over `axes`, the last innermost.
    pub(super) fn allocate_value(&mut self, name: &str, dtype: DType, axes: &[AxisId]) -> Place {
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
        Place {
            name: name.to_string(),
            base,
            dtype,
            terms,
            origin_bytes: 0,
            picks: vec![],
            panels: vec![],
            depth: None,
            padded: 1,
            constant: false,
            packed: false,
        }
    }

    fn statements(&mut self, statements: &[Stmt]) -> Result<Vec<Step>, Unsupported> {
        let mut steps = Vec::new();
        let mut rest = statements;
        while let Some((statement, behind)) = rest.split_first() {
            let alike = self.alike(rest);
            rest = match alike {
                1 => {
                    self.statement(statement, &mut steps)?;
                    behind
                }
                _ => {
                    self.stages(&rest[..alike], &mut steps)?;
                    &rest[alike..]
                }
            };
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
            Stmt::Scan(scan) => self.scan(scan, steps)?,
            Stmt::For(statement) => self.for_loop(statement, steps)?,
        }
        Ok(())
    }

    /// A scan: the loops of a store, but for the scanned axis.
    fn scan(&mut self, scan: &Scan, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
        let target = self.places[&scan.buffer].clone();
        let mut micro = scan.micro.clone();
        micro.vector = micro.vector.filter(|&axis| axis != scan.axis);
        micro.tile.retain(|&(axis, _)| axis != scan.axis);
        let task = Task {
            name: &target.name,
            target: &target,
            expr: &scan.expr,
            micro: &micro,
            carry: None,
        };
        let mut conversion = Conversion::new(self, &task, steps);
        let result = conversion.convert(task.expr, false)?;
        let mut nest = conversion.finish(result, None, &task);
        nest.outer.retain(|&axis| axis != scan.axis);
        nest.scan = Some(ScanLoop { axis: scan.axis, op: scan.op, block: scan.block });
        steps.push(Step::Nest(Box::new(nest)));
        Ok(())
    }

    fn for_loop(&mut self, statement: &For, steps: &mut Vec<Step>) -> Result<(), Unsupported> {
        let targets: Vec<Place> =
            statement.carries.iter().map(|carry| self.carry_place(carry)).collect();
        let none = match self.may_visit_nothing(statement) {
            true => Some(self.starts(statement, &targets)?),
            false => None,
        };
        if statement.axes.iter().any(|&(axis, _)| self.program.axes.extent(axis) == 0) {
            for (carry, target) in statement.carries.iter().zip(&targets) {
                self.bindings.insert(carry.local, Binding::Memory(target.clone()));
            }
            steps.extend(none.into_iter().flatten());
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
        let (axes, bounds) = (statement.axes.clone(), statement.bounds.clone());
        steps.push(Step::Loop(Loop { axes, bounds, body, none }));
        Ok(())
    }

    /// The steps that stand for a loop over no block.
    fn starts(&mut self, statement: &For, targets: &[Place]) -> Result<Vec<Step>, Unsupported> {
        let mut steps = Vec::new();
        for (carry, target) in statement.carries.iter().zip(targets) {
            self.store_start(carry, target, carry.last.as_ref(), &mut steps)?;
        }
        Ok(steps)
    }

    /// Whether there are places of the grid at which a loop runs over no block.
    fn may_visit_nothing(&self, statement: &For) -> bool {
        let axes = &self.program.axes;
        statement.axes.iter().any(|&(axis, _)| axes.extent(axis) == 0)
            || statement.bounds.iter().any(|(&axis, bounds)| !bounds.is_never_empty(axes, axis))
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

    pub(super) fn nest(
        &mut self,
        task: &Task<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Unsupported> {
        match self.chosen(task, steps)? {
            true => Ok(()),
            false => self.plain_nest(task, steps),
        }
    }

    /// A statement as one nest, whatever it chooses between.
    pub(super) fn plain_nest(
        &mut self,
        task: &Task<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Unsupported> {
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

    pub(super) fn unsupported(&self, what: impl Into<String>, name: &str) -> Unsupported {
        Unsupported { what: what.into(), place: format!("`{name}` of phase `{}`", self.phase) }
    }
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
        scan: None,
        carried: None,
        last: None,
        others: Vec::new(),
        target: to.clone(),
        micro: Micro {
            vector: micro.vector.filter(|&axis| to.axes().contains(axis)),
            ..micro.clone()
        },
    }))
}
