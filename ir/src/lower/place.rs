//! Places the buffers of a plan and keeps the tile program while it is written.
//!
//! A result read in a later phase is a device buffer, one read in its own phase a group buffer, one read in both is
//! both: it is written to the group and copied to the device. Outputs are only written.
//! Invariant: names are unique in the tile program, whatever is cloned.

use crate::base::{AxisId, AxisSet, BufferId, DType, Expr, LocalId, Namer};
use crate::plan::{PassProgram, ValueKind};
use crate::schedule::PhaseConfig;
use crate::tile::{Buffer, Layout, Local, Scope, Span, TileProgram};
use std::collections::BTreeMap;

/// The tile program under construction.
pub(super) struct Placer<'a> {
    plan: &'a PassProgram,
    pub(super) program: TileProgram,
    /// How many threads share the grid of a phase.
    pub(super) threads: u64,
    namer: Namer,
    /// Arguments and device buffers, by plan buffer.
    global: BTreeMap<BufferId, BufferId>,
    /// Group buffers of the current phase, by plan buffer.
    group: BTreeMap<BufferId, BufferId>,
    /// The phases that read a plan buffer.
    readers: BTreeMap<BufferId, Vec<usize>>,
    /// The phase that writes each plan buffer.
    writers: Vec<Option<usize>>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(plan: &'a PassProgram, threads: u64, phases: &[PhaseConfig]) -> Self {
        let mut namer = Namer::new(&plan.axes);
        plan.values.iter().for_each(|value| namer.reserve(&value.name));
        let mut phase_of = vec![0; plan.passes.len()];
        for (position, phase) in phases.iter().enumerate() {
            phase.passes.iter().for_each(|&pass| phase_of[pass] = position);
        }
        let writers = plan.producers().into_iter().map(|pass| pass.map(|pass| phase_of[pass]));
        let mut placer = Self {
            plan,
            program: TileProgram {
                name: plan.name.clone(),
                axes: plan.axes.clone(),
                buffers: vec![],
                locals: vec![],
                choices: vec![],
                phases: vec![],
            },
            threads,
            namer,
            global: BTreeMap::new(),
            group: BTreeMap::new(),
            readers: readers(plan, &phase_of),
            writers: writers.collect(),
        };
        placer.place_global();
        placer
    }

    /// Places arguments and whatever is read in a later phase than the one that writes it.
    fn place_global(&mut self) {
        for (index, value) in self.plan.values.iter().enumerate() {
            let plan_buffer = BufferId(u32::try_from(index).expect("fewer than 2^32 buffers"));
            let scope = match value.kind {
                ValueKind::Input => Scope::Input,
                ValueKind::Output => Scope::Output,
                ValueKind::Intermediate if self.is_read_later(plan_buffer) => Scope::Device,
                ValueKind::Intermediate => continue,
            };
            let spans = vec![Span::Whole; value.axes.len()];
            let name = value.name.clone();
            let buffer = self.buffer(name, scope, value.dtype, &value.axes, spans);
            if let Some(strides) = &value.strides {
                self.program.buffers[buffer.index()].layout = Layout::Strides(strides.clone());
            }
            self.global.insert(plan_buffer, buffer);
        }
    }

    fn phase_of_writer(&self, buffer: BufferId) -> Option<usize> {
        self.writers[buffer.index()]
    }

    fn is_read_later(&self, buffer: BufferId) -> bool {
        let writer = self.phase_of_writer(buffer);
        let readers = self.readers.get(&buffer);
        readers.is_some_and(|readers| readers.iter().any(|&reader| Some(reader) != writer))
    }

    fn is_read_at_once(&self, buffer: BufferId) -> bool {
        let readers = self.readers.get(&buffer);
        let writer = self.phase_of_writer(buffer);
        readers.is_some_and(|readers| readers.iter().any(|&reader| Some(reader) == writer))
    }

    /// Begins a phase: the group buffers at its head. Some results wait in outputs.
    pub(super) fn open(
        &mut self,
        phase: &PhaseConfig,
        kept: &[(BufferId, BufferId)],
    ) -> Vec<BufferId> {
        self.group.clear();
        let mut group = vec![];
        for (result, output) in kept {
            self.group.insert(*result, self.global[output]);
        }
        for &pass in &phase.passes {
            for result in &self.plan.passes[pass].results {
                let value = &self.plan.values[result.buffer.index()];
                let local = value.kind == ValueKind::Intermediate
                    && (self.is_read_at_once(result.buffer) || !self.is_read_later(result.buffer));
                if local && !self.group.contains_key(&result.buffer) {
                    let block = self.plan.passes[pass].group;
                    let block = block.filter(|_| self.plan.is_within(&self.plan.passes[pass]));
                    let span = |&axis: &AxisId| match phase.stream_step(block, axis) {
                        Some(step) => Span::Block(step),
                        None => grid_span(axis, phase),
                    };
                    let spans = value.axes.iter().map(span).collect();
                    let base = match self.global.contains_key(&result.buffer) {
                        true => self.namer.fresh(&value.name),
                        false => value.name.clone(),
                    };
                    let scope = Scope::Group;
                    let buffer = self.buffer(base, scope, value.dtype, &value.axes, spans);
                    self.group.insert(result.buffer, buffer);
                    group.push(buffer);
                }
            }
        }
        group
    }

    /// The buffer that holds a plan buffer's value in this phase.
    pub(super) fn at(&self, buffer: BufferId) -> BufferId {
        let place = self.group.get(&buffer).or_else(|| self.global.get(&buffer));
        *place.expect("every buffer that a pass reads or writes is placed")
    }

    /// The device buffer that a result written to the group has to be copied to.
    pub(super) fn copy_of(&self, buffer: BufferId) -> Option<BufferId> {
        let also = self.group.contains_key(&buffer);
        self.global.get(&buffer).copied().filter(|_| also)
    }

    pub(super) fn buffer(
        &mut self,
        name: String,
        scope: Scope,
        dtype: DType,
        axes: &[AxisId],
        spans: Vec<Span>,
    ) -> BufferId {
        let id = u32::try_from(self.program.buffers.len()).expect("fewer than 2^32 buffers");
        let (axes, layout) = (axes.to_vec(), Layout::Rows);
        self.program.buffers.push(Buffer { name, scope, dtype, axes, spans, layout });
        BufferId(id)
    }

    pub(super) fn fresh_name(&mut self, base: &str) -> String {
        self.namer.fresh(base)
    }

    /// A local of the tile program.
    pub(super) fn local(&mut self, base: &str, dtype: DType, axes: AxisSet) -> LocalId {
        let id = u32::try_from(self.program.locals.len()).expect("fewer than 2^32 locals");
        let name = self.namer.fresh(base);
        self.program.locals.push(Local { name, dtype, axes });
        LocalId(id)
    }

    /// An expression of the plan in the names of the tile program.
    pub(super) fn translate(&self, expr: &Expr, locals: &BTreeMap<LocalId, LocalId>) -> Expr {
        match expr {
            Expr::Local(local) => Expr::Local(locals[local]),
            Expr::Load(buffer) => Expr::Load(self.at(*buffer)),
            Expr::At(buffer, picks) => {
                let pick = |(axis, index): &(AxisId, Expr)| (*axis, self.translate(index, locals));
                Expr::At(self.at(*buffer), picks.iter().map(pick).collect())
            }
            other => other.map_children(|child| self.translate(child, locals)),
        }
    }

    pub(super) fn finish(self) -> TileProgram {
        self.program.canonical()
    }
}

/// What a group buffer at the head of a phase holds along an axis.
pub(super) fn grid_span(axis: AxisId, phase: &PhaseConfig) -> Span {
    let step = phase.grid.iter().find(|(of, _)| *of == axis);
    step.map_or(Span::Whole, |&(_, step)| Span::Block(step))
}

/// The phases that read each buffer.
fn readers(plan: &PassProgram, phase_of: &[usize]) -> BTreeMap<BufferId, Vec<usize>> {
    let mut readers: BTreeMap<BufferId, Vec<usize>> = BTreeMap::new();
    for (pass, &phase) in plan.passes.iter().zip(phase_of) {
        let mut note = |expr: &Expr| {
            if let Some(buffer) = expr.read_buffer() {
                readers.entry(buffer).or_default().push(phase);
            }
        };
        pass.exprs().for_each(|expr| expr.walk(&mut note));
    }
    readers
}
