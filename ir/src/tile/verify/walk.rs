//! The program in the order of its execution: loops, scopes of names, memory written so far, results stored once.
//!
//! Why a written buffer may be read: a store covers, along each axis, the block of the loop around it, or everything
//! once that loop has ended; a later load is inside the same loops or behind them. Buffers that hold a block of a loop
//! are forgotten at the block's end. Invariant: a result is stored by one statement, whose loops and grid all run over
//! axes of the result, so that no element is left out and no two iterations store the same one; statements behind it in the
//! same loops may replace what they load of it.

use super::super::{Bounds, Carry, For, Phase, Place, Scope, Span, Stmt, TileProgram};
use super::value::{Facts, loops_in, written_in};
use super::{Report, code};
use crate::base::{AxisId, AxisSet, BufferId, LocalId};
use crate::target::Target;
use std::collections::BTreeSet;

/// Blocks that one carry may pass through.
const BLOCKS_MAX: u64 = 1 << 20;
/// The reach of a bound: far from where sums of 64 bits overflow.
const BOUND_MAX: i64 = 1 << 40;
/// Workspace of a program.
const DEVICE_BYTES_MAX: u64 = 512 << 20;
/// Scratch of a thread on a machine with a small L2.
const GROUP_BYTES_FLOOR: u64 = 8 << 20;

/// What is known of a local at the current place.
#[derive(Clone)]
pub(super) enum Known {
    /// It has no value.
    Nothing,
    /// A `let`.
    Let(Facts),
    /// A carry, running or final.
    Carry,
}

/// What is known of a buffer at the current place.
#[derive(Clone, Default)]
pub(super) struct State {
    /// Whether a group buffer is in scope.
    pub(super) visible: bool,
    /// Whether a group buffer's current part has been written.
    pub(super) written: bool,
    /// How often it may have been written.
    pub(super) version: u32,
    /// The phase that stores an output or a device buffer.
    pub(super) phase: Option<usize>,
    /// The loops around the statement that stores it, of those that have not ended.
    pub(super) loops: Vec<(AxisId, u64)>,
}

pub(super) struct Walker<'a> {
    pub(super) program: &'a TileProgram,
    pub(super) target: &'a Target,
    pub(super) report: &'a mut Report,
    pub(super) phase: usize,
    pub(super) locals: Vec<Known>,
    pub(super) buffers: Vec<State>,
    loops: Vec<(AxisId, u64)>,
    /// How many of the loops leave blocks out.
    bounded: usize,
    /// Blocks that bounded loops around the current place visit of an axis, at most.
    pub(super) visited: Vec<(AxisId, u64)>,
    group_bytes: u64,
}

/// Checks everything that depends on the order of execution.
pub(super) fn check(program: &TileProgram, target: &Target, report: &mut Report) {
    let mut walker = Walker {
        program,
        target,
        report,
        phase: 0,
        locals: vec![Known::Nothing; program.locals.len()],
        buffers: vec![State::default(); program.buffers.len()],
        loops: vec![],
        bounded: 0,
        visited: vec![],
        group_bytes: 0,
    };
    for (index, phase) in program.phases.iter().enumerate() {
        walker.phase = index;
        walker.phase(phase);
    }
    walker.report.place.clear();
    walker.results();
}

impl Walker<'_> {
    pub(super) fn fault(&mut self, code: &'static str, what: &str, help: &str) {
        self.report.fault(code, what, help);
    }

    /// The axes that loops around the current place bind.
    pub(super) fn bound(&self) -> AxisSet {
        self.loops.iter().map(|&(axis, _)| axis).collect()
    }

    /// The step of the loop that binds an axis.
    pub(super) fn step(&self, axis: AxisId) -> Option<u64> {
        self.loops.iter().find(|(bound, _)| *bound == axis).map(|&(_, step)| step)
    }

    fn place(&mut self, what: &str) {
        let phase = &self.program.phases[self.phase].name;
        self.report.place = format!("phase `{phase}`, {what}");
    }

    fn results(&mut self) {
        let program = self.program;
        let mut bytes: u64 = 0;
        for (buffer, state) in program.buffers.iter().zip(self.buffers.clone()) {
            if buffer.scope == Scope::Output && state.phase.is_none() {
                let what = format!("the output `{}` is never stored", buffer.name);
                self.fault(code::STORES, &what, "store it in one phase");
            }
            if buffer.scope == Scope::Device {
                bytes = bytes.saturating_add(buffer.dtype.bytes_of(buffer.volume(&program.axes)));
            }
        }
        if bytes > DEVICE_BYTES_MAX {
            let what = format!("the device buffers have {bytes} bytes, above {DEVICE_BYTES_MAX}");
            self.fault(code::CAPACITY, &what, "stream the axis instead of storing the result");
        }
    }

    fn phase(&mut self, phase: &Phase) {
        self.place("grid");
        self.group_bytes = 0;
        self.bind(&phase.grid.axes);
        let mut inside = vec![];
        loops_in(&phase.body, &mut inside);
        for &buffer in &phase.group {
            self.place(&format!("group `{}`", self.program.buffers[buffer.index()].name));
            self.spans_among(buffer, &inside);
            self.declare(buffer);
        }
        self.body(&phase.body);
        for &buffer in &phase.group {
            self.buffers[buffer.index()].visible = false;
        }
        self.loops.clear();
        self.place("group memory");
        let limit = GROUP_BYTES_FLOOR.max(self.target.memory_bytes("L2").saturating_mul(4));
        if self.group_bytes > limit {
            let what = format!("a grid iteration needs {} bytes, above {limit}", self.group_bytes);
            self.fault(code::CAPACITY, &what, "use smaller steps, or hold blocks of an axis");
        }
    }

    fn bind(&mut self, axes: &[(AxisId, u64)]) {
        for &(axis, step) in axes {
            let name = self.program.axes.name(axis);
            if self.step(axis).is_some() {
                let what = format!("the axis `{name}` is looped over twice");
                self.fault(code::LOOPS, &what, "loop over it once, with the smaller step");
            }
            if step == 0 {
                let what = format!("the step of `{name}` is 0");
                self.fault(code::LOOPS, &what, "step by at least 1");
            }
            self.loops.push((axis, step));
        }
    }

    /// Notes how many blocks the bounded loops of a statement visit.
    fn visit(&mut self, inner: &For) {
        for &(axis, step) in &inner.axes {
            let Some(bounds) = inner.bounds.get(&axis) else { continue };
            let around = |axis: AxisId| self.step(axis).unwrap_or(u64::MAX);
            let blocks = bounds.blocks_max(step, &around).unwrap_or(u64::MAX);
            self.visited.push((axis, blocks.min(self.blocks(axis, step))));
        }
    }

    /// The number of blocks of an axis.
    pub(super) fn blocks(&self, axis: AxisId, step: u64) -> u64 {
        self.program.axes.extent(axis).div_ceil(step.max(1))
    }

    /// A group buffer comes into scope.
    fn declare(&mut self, buffer: BufferId) {
        let declared = &self.program.buffers[buffer.index()];
        let bytes = declared.dtype.bytes_of(declared.volume(&self.program.axes));
        self.group_bytes = self.group_bytes.saturating_add(bytes);
        let version = self.buffers[buffer.index()].version;
        self.buffers[buffer.index()] = State { visible: true, version, ..State::default() };
    }

    /// A block of statements.
    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
        self.leave(body);
    }

    /// What a block declares ends with it.
    fn leave(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { local, .. } => self.locals[local.index()] = Known::Nothing,
                Stmt::Stage { buffer, .. } => self.buffers[buffer.index()].visible = false,
                Stmt::Store { .. } | Stmt::Scan(_) => {}
                Stmt::For(inner) => self.forget(inner),
            }
        }
    }

    fn forget(&mut self, inner: &For) {
        for carry in &inner.carries {
            self.locals[carry.local.index()] = Known::Nothing;
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let program = self.program;
        match stmt {
            Stmt::Let { local, expr } => {
                let declared = &program.locals[local.index()];
                self.place(&format!("`let {}`", declared.name));
                let mut facts = self.value(expr, declared.axes, declared.dtype);
                facts.bound = self.bound();
                self.locals[local.index()] = Known::Let(facts);
            }
            Stmt::Stage { buffer, expr, micro } => {
                let declared = &program.buffers[buffer.index()];
                self.place(&format!("`stage {}`", declared.name));
                let axes = declared.axes.iter().copied().collect();
                self.stored_value(expr, axes, declared.dtype, Some(micro));
                self.spans(*buffer);
                self.declare(*buffer);
                self.write(*buffer);
            }
            Stmt::Store { buffer, expr, micro } => {
                let declared = &program.buffers[buffer.index()];
                self.place(&format!("`store {}`", declared.name));
                let axes = declared.axes.iter().copied().collect();
                let facts = self.stored_value(expr, axes, declared.dtype, Some(micro));
                match facts.loads.contains_key(buffer) && declared.scope == Scope::Output {
                    true => self.replace(*buffer, facts.reduced),
                    false => self.write(*buffer),
                }
            }
            Stmt::Scan(scan) => {
                self.place(&format!("`scan {}`", program.buffers[scan.buffer.index()].name));
                self.scan(scan);
                self.write(scan.buffer);
            }
            Stmt::For(inner) => self.r#for(inner),
        }
    }

    /// A store into a buffer at the current place.
    fn write(&mut self, buffer: BufferId) {
        let declared = &self.program.buffers[buffer.index()];
        self.buffers[buffer.index()].version += 1;
        match declared.scope {
            Scope::Input => {
                let what = format!("`{}` is an input", declared.name);
                self.fault(code::STORES, &what, "store into an output, device or group buffer");
            }
            Scope::Group => {
                if !self.buffers[buffer.index()].visible {
                    let what = format!("`{}` does not exist here", declared.name);
                    self.fault(code::UNWRITTEN, &what, "declare it at the head of the phase");
                }
                self.spans(buffer);
                self.buffers[buffer.index()].written = true;
            }
            Scope::Output | Scope::Device => self.write_result(buffer),
        }
    }

    /// Whether the same iteration of all loops around the current place has stored what it may load of a result here.
    pub(super) fn is_own(&self, buffer: BufferId) -> bool {
        let state = &self.buffers[buffer.index()];
        state.phase == Some(self.phase) && self.loops.starts_with(&state.loops)
    }

    /// A store of a result's elements that are made of what they were.
    fn replace(&mut self, buffer: BufferId, reduced: AxisSet) {
        let name = &self.program.buffers[buffer.index()].name;
        // Blocks that are left out would keep what they were, and other axes would replace again.
        let axes = &self.program.buffers[buffer.index()].axes;
        let once = self
            .loops
            .iter()
            .all(|&(axis, step)| axes.contains(&axis) || self.blocks(axis, step) == 1);
        if !self.is_own(buffer) || !reduced.is_empty() || self.bounded > 0 || !once {
            let what = format!("`{name}` is replaced by more than its own elements");
            let help = "replace it in the loops that store it, without reductions";
            return self.fault(code::STORES, &what, help);
        }
        self.buffers[buffer.index()].version += 1;
    }

    fn write_result(&mut self, buffer: BufferId) {
        let declared = &self.program.buffers[buffer.index()];
        if self.buffers[buffer.index()].phase.is_some() {
            let what = format!("`{}` is stored by a second statement", declared.name);
            self.fault(code::STORES, &what, "store it once, or use a group buffer on the way");
        }
        self.buffers[buffer.index()].phase = Some(self.phase);
        self.buffers[buffer.index()].loops.clone_from(&self.loops);
        if self.bounded > 0 {
            let what = format!("a loop that leaves blocks out stores `{}`", declared.name);
            self.fault(code::STORES, &what, "carry it, or let the loop visit all blocks");
        }
        for (axis, step) in self.loops.clone() {
            let blocks = self.blocks(axis, step);
            if !declared.axes.contains(&axis) && blocks != 1 {
                let axis = self.program.axes.name(axis);
                let what = format!(
                    "`{}` lacks the axis `{axis}`, so {blocks} blocks store each element",
                    declared.name
                );
                self.fault(code::STORES, &what, "store it outside the loop, or carry it");
            }
        }
    }

    fn r#for(&mut self, inner: &For) {
        let place = format!("`for {}`", self.program.axes.names(inner.axes.iter().map(|a| a.0)));
        self.place(&place);
        if inner.axes.is_empty() {
            self.fault(code::LOOPS, "a loop over no axis", "name an axis and a step");
        }
        self.bounds(inner);
        inner.carries.iter().for_each(|carry| self.carry(inner, carry));
        let mut changing = BTreeSet::new();
        written_in(&inner.body, &mut changing);
        self.occupy(inner, &mut changing);
        for buffer in &changing {
            self.buffers[buffer.index()].version += 1;
        }
        let before = self.buffers.clone();
        let outside = self.loops.len();
        self.place(&place);
        self.bind(&inner.axes);
        for carry in &inner.carries {
            self.locals[carry.local.index()] = Known::Carry;
        }
        self.bounded += usize::from(inner.is_bounded());
        let visited = self.visited.len();
        self.visit(inner);
        self.body_and_next(inner);
        self.visited.truncate(visited);
        self.bounded -= usize::from(inner.is_bounded());
        self.loops.truncate(outside);
        self.buffers.iter_mut().for_each(|state| state.loops.truncate(outside));
        self.after_blocks(inner, &before);
        self.epilogues(inner);
        for carry in &inner.carries {
            self.locals[carry.local.index()] = Known::Carry;
            if let Place::Out(buffer) = carry.place {
                self.place(&format!("carry `{}`", self.name(carry.local)));
                self.write(buffer);
            }
        }
    }

    /// The bounds of a loop depend on other axes only, and every sum in them fits.
    fn bounds(&mut self, inner: &For) {
        let axes = &self.program.axes;
        let looped: AxisSet = inner.axes.iter().map(|&(axis, _)| axis).collect();
        let mut own = AxisSet::EMPTY;
        let mut far = false;
        for bound in inner.bounds.values().flat_map(Bounds::affine) {
            own |= looped & bound.factors.keys().copied().collect();
            let (low, high) = bound.range(axes);
            far |= low < -BOUND_MAX || high > BOUND_MAX;
        }
        if !own.is_empty() {
            let what = format!("bounds by {}, which the loop itself binds", axes.names(own.iter()));
            self.fault(code::LOOPS, &what, "bound it by axes of the grid and of loops around it");
        }
        if far {
            self.fault(code::LOOPS, "a bound beyond 2^40", "no axis is as long; leave it out");
        }
    }

    /// While a carry lives in a group buffer, nothing else reads or writes it.
    fn occupy(&mut self, inner: &For, changing: &mut BTreeSet<BufferId>) {
        for carry in &inner.carries {
            let Place::Out(buffer) = carry.place else { continue };
            if !changing.insert(buffer) {
                self.place(&format!("carry `{}`", self.name(carry.local)));
                let buffer = &self.program.buffers[buffer.index()].name;
                let what = format!("`{buffer}` is also written inside the loop");
                self.fault(code::CARRIES, &what, "give each of them a buffer of its own");
            }
            self.buffers[buffer.index()].written = false;
        }
    }

    fn name(&self, local: LocalId) -> &str {
        &self.program.locals[local.index()].name
    }

    /// What can be said of a carry before its loop: types, axes, place, memory.
    fn carry(&mut self, inner: &For, carry: &Carry) {
        let program = self.program;
        let local = &program.locals[carry.local.index()];
        self.place(&format!("carry `{}`", local.name));
        let axes: AxisSet = carry.axes.iter().copied().collect();
        let looped: AxisSet = inner.axes.iter().map(|&(axis, _)| axis).collect();
        if axes != local.axes || carry.start.dtype != local.dtype {
            let what = "the start value or the axes are not those of the carry";
            self.fault(code::CARRIES, what, "give the start value the carry's type: 0f64");
        }
        if !axes.is_disjoint(looped) {
            let names = program.axes.names((axes & looped).iter());
            let what = format!("the carry varies over {names}, which its own loop binds");
            self.fault(code::CARRIES, &what, "carry only axes that the loop leaves alone");
        }
        let blocks = inner
            .axes
            .iter()
            .fold(1, |product: u64, &(axis, step)| product.saturating_mul(self.blocks(axis, step)));
        if blocks > BLOCKS_MAX {
            let what = format!("the carry passes through {blocks} blocks, above {BLOCKS_MAX}");
            self.fault(code::CHAINS, &what, "use larger steps");
        }
        match carry.place {
            Place::Group => {
                let volume = carry.axes.iter().map(|&axis| self.block(axis));
                let volume = volume.fold(1, u64::saturating_mul);
                let bytes = local.dtype.bytes_of(volume);
                self.group_bytes = self.group_bytes.saturating_add(bytes);
            }
            Place::Out(buffer) => {
                let out = &program.buffers[buffer.index()];
                let fits = out.scope != Scope::Input;
                if !fits || out.axes != carry.axes || out.dtype != local.dtype {
                    let what = format!("the carry does not fit in place of `{}`", out.name);
                    let help =
                        "an output, device or group buffer of the same type and axes, or @group";
                    self.fault(code::CARRIES, &what, help);
                }
            }
        }
    }

    fn body_and_next(&mut self, inner: &For) {
        for stmt in &inner.body {
            self.stmt(stmt);
        }
        for carry in &inner.carries {
            self.place(&format!("`yield {}`", self.name(carry.local)));
            let local = &self.program.locals[carry.local.index()];
            self.stored_value(&carry.next, local.axes, local.dtype, Some(&carry.micro));
        }
        self.leave(&inner.body);
    }

    /// What of the memory written in a loop holds behind it.
    fn after_blocks(&mut self, inner: &For, before: &[State]) {
        let never = inner.axes.iter().any(|&(axis, _)| self.program.axes.extent(axis) == 0);
        let some = inner.is_bounded();
        for (index, buffer) in self.program.buffers.iter().enumerate() {
            if buffer.scope != Scope::Group {
                continue;
            }
            let of_block = buffer.axes.iter().zip(&buffer.spans).any(|(axis, span)| {
                *span != Span::Whole && inner.axes.iter().any(|(looped, _)| looped == axis)
            });
            let empty = buffer.axes.iter().any(|&axis| self.program.axes.extent(axis) == 0);
            if of_block {
                self.buffers[index].written = false;
            } else if (never || some) && !empty {
                self.buffers[index].written = before[index].written;
            }
        }
    }

    /// Each epilogue sees what is in scope outside the loop, and its own carry.
    fn epilogues(&mut self, inner: &For) {
        self.forget(inner);
        let looped: AxisSet = inner.axes.iter().map(|&(axis, _)| axis).collect();
        for carry in &inner.carries {
            let Some(last) = &carry.last else { continue };
            self.place(&format!("`last {}`", self.name(carry.local)));
            self.locals[carry.local.index()] = Known::Carry;
            let local = &self.program.locals[carry.local.index()];
            let reduced = self.stored_value(last, local.axes, local.dtype, None).reduced;
            if !reduced.is_disjoint(looped) {
                let names = self.program.axes.names((reduced & looped).iter());
                let what = format!("the epilogue reduces {names}, which the loop binds");
                self.fault(code::CARRIES, &what, "reduce it in a loop or phase of its own");
            }
            self.locals[carry.local.index()] = Known::Nothing;
        }
    }
}
