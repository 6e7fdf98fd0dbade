//! Writes the loop over a pass's stream: the carried reductions and the operands packed for them.
//!
//! A stage stands at the outermost level at which the blocks of all its axes are fixed; an axis whose step covers
//! the extent is fixed everywhere. Invariant: equal operands packed alike are staged once.

use super::dots::Dots;
use super::nest::Nest;
use super::parts::{Parts, parts};
use super::place::{Placer, grid_span};
use super::{Contraction, contraction, dots, micro, tiled};
use crate::base::{AxisId, AxisSet, BinaryOp, BufferId, DType, Expr, LocalId};
use crate::plan::State;
use crate::schedule::{Pack, PassConfig};
use crate::target::TILE_ROWS;
use crate::tile::{Grid, Layout, Micro, Phase, Scope, Span, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// Columns and summed rows of one piece of an operand that is copied whole: long stretches are read, and pieces stay near.
const COPIED_COLUMNS: u64 = 512;
const COPIED_TERMS: u64 = 128;

/// The stream of one pass while it is written.
pub(super) struct Stream<'s, 'a, 'p> {
    pub(super) nest: &'s Nest<'a>,
    pub(super) placer: &'s mut Placer<'p>,
    /// Statements by level: inside the grid, then inside each loop; the last is inside the stream.
    pub(super) levels: Vec<Vec<Stmt>>,
    /// Locals that are defined at the innermost level.
    pub(super) names: BTreeMap<LocalId, LocalId>,
    staged: Vec<(Expr, Packing, BufferId)>,
    excesses: Vec<(Expr, BufferId)>,
}

/// How an operand is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) pack: Pack,
    /// The axis whose neighbours lie in groups, and how many.
    pub(super) depth: Option<(AxisId, u64)>,
    /// The axis of the rows of its tiles.
    pub(super) rows: Option<AxisId>,
}

impl<'s, 'a, 'p> Stream<'s, 'a, 'p> {
    pub(super) fn new(
        nest: &'s Nest<'a>,
        placer: &'s mut Placer<'p>,
        names: BTreeMap<LocalId, LocalId>,
    ) -> Self {
        let levels = vec![vec![]; nest.loops.len() + 2];
        Self { nest, placer, levels, names, staged: vec![], excesses: vec![] }
    }

    /// The next value of a state after a block, which is folded into `so_far`.
    pub(super) fn next(&mut self, state: &State, so_far: Expr) -> Expr {
        let stream: AxisSet = self.nest.pass.stream.iter().copied().collect();
        let config = self.nest.config;
        match contraction(self.nest.plan, self.nest.pass, state, config.vector) {
            Some(found) => {
                if let Some(dots) = self.dots(&found) {
                    return self.grouped(&dots, stream, so_far);
                }
                if let Some(parts) = self.parts(&found) {
                    return self.in_parts(&parts, stream, so_far);
                }
                let pack = |pack: Pack| Packing { pack, depth: None, rows: None };
                let a = self.operand(&found.a, pack(config.pack_a), "a");
                let b = self.operand(&found.b, pack(config.pack_b), "b");
                Expr::mma(stream, a, b, so_far)
            }
            None => {
                let fold = state.op.fold().expect("a plan has no argmax and no argmin");
                let body = self.plain(&state.body);
                Expr::binary(fold, so_far, Expr::reduce(state.op, stream, body))
            }
        }
    }

    /// What the next block is folded into: the state of a group before it, as changed by the block.
    pub(super) fn update(&mut self, state: &State) -> Expr {
        let Some(running) = &state.running else { return Expr::Local(self.names[&state.local]) };
        let inner = self.levels.last_mut().expect("there is a level inside of the stream");
        let lets = &self.nest.pass.update_lets;
        let exprs = std::slice::from_ref(&running.update);
        let mut exprs = self.nest.instantiate(self.placer, lets, &mut self.names, exprs, inner);
        exprs.pop().expect("one expression in, one out")
    }

    /// The groups of a contraction, if it is to be added in groups.
    fn dots(&self, found: &Contraction) -> Option<Dots> {
        let (plan, pass, target) = (self.nest.plan, self.nest.pass, self.nest.target);
        match self.nest.config.pack_b {
            Pack::Tiles => tiled(plan, pass, found, target),
            Pack::Dots | Pack::Join => dots(plan, pass, found, target),
            Pack::No | Pack::Rows | Pack::Panel | Pack::Parts => None,
        }
    }

    /// The parts of a contraction's operands, if it is to be added in parts.
    fn parts(&self, found: &Contraction) -> Option<Parts> {
        let in_parts = self.nest.config.pack_b == Pack::Parts;
        let found = parts(self.nest.plan, self.nest.pass, found, self.nest.target);
        found.filter(|_| in_parts)
    }

    /// A contraction in groups, added to what there is so far.
    fn grouped(&mut self, dots: &Dots, stream: AxisSet, so_far: Expr) -> Expr {
        let depth = Some(dots.depth);
        let packing = match dots.tiles {
            Some(_) if !self.nest.config.pack_a.copies() && dots.has_rows(self.nest.plan) => {
                Packing { pack: Pack::No, depth, rows: None }
            }
            Some((rows, terms)) => {
                Packing { pack: Pack::Tiles, depth: Some((dots.depth.0, terms)), rows: Some(rows) }
            }
            None => Packing { pack: Pack::Rows, depth, rows: None },
        };
        let a = self.operand(&dots.a, packing, "a");
        let pack = match self.nest.config.pack_b {
            Pack::Join => Pack::No,
            Pack::No | Pack::Rows | Pack::Panel | Pack::Dots | Pack::Tiles | Pack::Parts => {
                Pack::Panel
            }
        };
        let b = self.operand(&dots.unsigned_b(), Packing { pack, depth, rows: None }, "b");
        let start = match dots.excess(a.clone(), stream) {
            None => so_far,
            Some(excess) => {
                let excess = self.excess(&excess, a.axes(&self.placer.program) - stream, dots);
                Expr::binary(BinaryOp::Sub, so_far, Expr::Load(excess))
            }
        };
        Expr::mma(stream, dots.widened(a), dots.widened(b), start)
    }

    /// A sum over the current block of the stream, which stands beside the copy that it reads.
    fn excess(&mut self, expr: &Expr, axes: AxisSet, dots: &Dots) -> BufferId {
        let stream: AxisSet = self.nest.pass.stream.iter().copied().collect();
        let level = self.level_of(&dots.a, axes | stream);
        let known = self.excesses.iter().find(|(of, _)| of == expr).map(|(_, buffer)| *buffer);
        if let Some(buffer) = known {
            return buffer;
        }
        let order = stage_order(self.nest, axes);
        let spans = order.iter().map(|&axis| self.span(axis, level)).collect();
        let name = self.placer.fresh_name(&format!("{}_excess", self.nest.pass.name));
        let dtype = expr.dtype(&self.placer.program);
        let buffer = self.placer.buffer(name, Scope::Group, dtype, &order, spans);
        let (axis, _) = dots.depth;
        let lanes = self.nest.target.lanes(dtype.bytes());
        let micro = Micro { tile: vec![(axis, lanes)], vector: Some(axis), ..Micro::default() };
        self.levels[level].push(Stmt::Stage { buffer, expr: expr.clone(), micro });
        self.excesses.push((expr.clone(), buffer));
        buffer
    }

    fn operand(&mut self, expr: &Expr, packing: Packing, suffix: &str) -> Expr {
        if packing.pack == Pack::No {
            return self.plain(expr);
        }
        let known = self.staged.iter().find(|(of, how, _)| of == expr && *how == packing);
        let known = known.map(|(.., buffer)| *buffer);
        Expr::Load(known.unwrap_or_else(|| self.stage(expr, packing, suffix)))
    }

    pub(super) fn plain(&mut self, expr: &Expr) -> Expr {
        let inner = self.levels.last_mut().expect("there is a level inside of the stream");
        let lets = &self.nest.pass.body_lets;
        let exprs = std::slice::from_ref(expr);
        let mut exprs = self.nest.instantiate(self.placer, lets, &mut self.names, exprs, inner);
        exprs.pop().expect("one expression in, one out")
    }

    pub(super) fn stage(&mut self, expr: &Expr, packing: Packing, suffix: &str) -> BufferId {
        let axes = expr.axes(self.nest.plan);
        let dtype = expr.dtype(self.nest.plan);
        let whole = suffix == "b" && self.nest.config.once_b;
        let level = self.level_of(expr, axes);
        let base = format!("{}_{suffix}", self.name_of(expr));
        let level_of_copy = Some(level).filter(|_| !whole);
        let buffer = self.scratch((&base, dtype), axes, level_of_copy, packing);
        let copy = &self.placer.program.buffers[buffer.index()];
        let near = neighbours(self.nest, expr).filter(|&axis| axes.contains(axis));
        let micro = micro::of_copy(copy, near, self.nest.config, self.nest.target);
        let mut before = vec![];
        let out = if whole { &mut before } else { &mut self.levels[level] };
        let (exprs, lets) = (std::slice::from_ref(expr), &self.nest.pass.body_lets);
        let mut names = self.nest.member.names.clone();
        let mut exprs = self.nest.instantiate(self.placer, lets, &mut names, exprs, out);
        let copied = exprs.pop().expect("one expression in, one out");
        if whole {
            before.push(Stmt::Store { buffer, expr: copied, micro });
            self.copy_before(buffer, before);
        } else {
            out.push(Stmt::Stage { buffer, expr: copied, micro });
        }
        self.staged.push((expr.clone(), packing, buffer));
        buffer
    }

    /// Adds the phase that copies a whole operand, before that of the pass.
    fn copy_before(&mut self, buffer: BufferId, body: Vec<Stmt>) {
        let copied = &self.placer.program.buffers[buffer.index()];
        let extent = |axis: AxisId| self.nest.plan.axes.extent(axis).max(1);
        let panel = match copied.layout {
            Layout::Panel { axis, width, .. } => Some((axis, width)),
            Layout::Rows | Layout::Strides(_) => None,
        };
        let step = |&axis: &AxisId| {
            let step = match panel {
                Some((of, width)) if of == axis => width * COPIED_COLUMNS.div_ceil(width),
                _ if self.nest.pass.stream.contains(&axis) => COPIED_TERMS,
                _ if panel.is_none() && copied.axes.last() == Some(&axis) => COPIED_COLUMNS,
                _ => 1,
            };
            (axis, step.min(extent(axis)))
        };
        let axes = copied.axes.iter().map(step).collect();
        let name = copied.name.clone();
        let grid = Grid { axes, threads: self.placer.threads };
        self.placer.program.phases.push(Phase { name, grid, group: vec![], body });
    }

    /// What an expression is called: as what it reads, or as the pass.
    pub(super) fn name_of(&self, expr: &Expr) -> String {
        match expr {
            Expr::Load(buffer) => self.nest.plan.values[buffer.index()].name.clone(),
            Expr::Local(local) => self.nest.plan.locals[local.index()].name.clone(),
            _ => self.nest.pass.name.clone(),
        }
    }

    /// A buffer for some axes: for the current block at a level, or for all of them before the pass.
    pub(super) fn scratch(
        &mut self,
        (base, dtype): (&str, DType),
        axes: AxisSet,
        level: Option<usize>,
        packing: Packing,
    ) -> BufferId {
        let order = stage_order(self.nest, axes);
        let span = |&axis: &AxisId| level.map_or(Span::Whole, |level| self.span(axis, level));
        let spans = order.iter().map(span).collect();
        let scope = if level.is_some() { Scope::Group } else { Scope::Device };
        let name = self.placer.fresh_name(base);
        let buffer = self.placer.buffer(name, scope, dtype, &order, spans);
        let layout = self.layout(axes, &order, packing);
        self.placer.program.buffers[buffer.index()].layout = layout;
        buffer
    }

    /// The order of a copy over some axes. Rows in groups are panels of one row. The groups that tiles multiply have whole
    /// tiles of rows.
    fn layout(&self, axes: AxisSet, order: &[AxisId], packing: Packing) -> Layout {
        let depth = packing.depth;
        if let Some(axis) = packing.rows {
            return Layout::Panel { axis, width: TILE_ROWS, depth, groups: 1 };
        }
        match (packing.pack, depth) {
            (Pack::Panel | Pack::Dots | Pack::Tiles | Pack::Parts | Pack::Join, _) => {
                let (axis, width) = panel(&self.nest.pass.axes, axes, self.nest.config)
                    .expect("a panel is only offered for an operand with a register tile");
                let in_tiles = matches!(self.nest.config.pack_b, Pack::Tiles | Pack::Parts);
                let groups = if in_tiles && depth.is_some() { TILE_ROWS } else { 1 };
                Layout::Panel { axis, width, depth, groups }
            }
            (Pack::Rows | Pack::No, Some((along, _))) => {
                let row = order.iter().copied().find(|&axis| axis != along);
                let axis = row.expect("an operand in groups has an axis besides");
                Layout::Panel { axis, width: 1, depth, groups: 1 }
            }
            (Pack::Rows | Pack::No, None) => Layout::Rows,
        }
    }

    /// The outermost level at which the blocks of all these axes are fixed.
    fn level(&self, axes: AxisSet) -> usize {
        let extent = |axis: AxisId| self.nest.plan.axes.extent(axis);
        let moving = |&(axis, step): &(AxisId, u64)| axes.contains(axis) && step < extent(axis);
        if self.nest.stream.iter().any(moving) {
            return self.nest.loops.len() + 1;
        }
        self.nest.loops.iter().rposition(moving).map_or(0, |position| position + 1)
    }

    /// As `level`, but a value that is the same in all blocks of the pass's group stands whole before them, and one
    /// that changes with them inside of their loop.
    pub(super) fn level_of(&self, expr: &Expr, axes: AxisSet) -> usize {
        let looped = |&(axis, _): &(AxisId, u64)| axes.contains(axis);
        let within = self.nest.plan.is_within(self.nest.pass);
        match self.is_moving(expr) {
            true => self.level(axes).max(self.nest.loops.len().max(1)),
            false if within && !self.nest.loops.iter().any(looped) => 0,
            false => self.level(axes),
        }
    }

    /// Whether a value changes with the blocks of the pass's group.
    fn is_moving(&self, expr: &Expr) -> bool {
        let member = &self.nest.member;
        let mut todo = vec![expr];
        let mut seen = BTreeSet::new();
        let mut moving = false;
        while let Some(expr) = todo.pop() {
            expr.walk(&mut |part: &Expr| match part {
                Expr::Local(local) => {
                    moving |= member.names.contains_key(local);
                    let lets = self.nest.pass.body_lets.iter();
                    let found = lets.filter(|item| item.local == *local && seen.insert(*local));
                    todo.extend(found.map(|item| &item.expr));
                }
                Expr::Load(buffer) => moving |= member.blocks.contains(buffer),
                _ => {}
            });
        }
        moving
    }

    fn span(&self, axis: AxisId, level: usize) -> Span {
        let outside = self.nest.loops.iter().take(level);
        let stream = self.nest.stream.iter().filter(|_| level > self.nest.loops.len());
        match outside.chain(stream).find(|(of, _)| *of == axis) {
            Some(&(_, step)) => Span::Block(step),
            None => grid_span(axis, self.nest.phase),
        }
    }
}

/// The axis along which the elements of what an expression reads lie side by side, if all of it agrees.
pub(super) fn neighbours(nest: &Nest<'_>, expr: &Expr) -> Option<AxisId> {
    let mut last = vec![];
    expr.walk(&mut |part: &Expr| {
        if let Expr::Load(buffer) = part {
            last.push(nest.plan.values[buffer.index()].axes.last().copied());
        }
    });
    let &first = last.first()?;
    first.filter(|_| last.iter().all(|&other| other == first))
}

/// Result axes, then streamed axes, the vector axis innermost.
pub(super) fn stage_order(nest: &Nest<'_>, axes: AxisSet) -> Vec<AxisId> {
    let all = nest.pass.axes.iter().chain(&nest.pass.stream).copied();
    let (mut order, vector): (Vec<AxisId>, Vec<AxisId>) =
        all.filter(|&axis| axes.contains(axis)).partition(|&axis| nest.config.vector != Some(axis));
    order.extend(vector);
    order
}

/// The axis along which an operand is cut into panels, and their width: the vector axis if the operand has it, else
/// the axis of the result with the widest register tile.
pub(crate) fn panel(
    result: &[AxisId],
    operand: AxisSet,
    config: &PassConfig,
) -> Option<(AxisId, u64)> {
    let width = |axis: AxisId| config.micro.get(&axis).copied().unwrap_or(1);
    let of_operand = || result.iter().copied().filter(|&axis| operand.contains(axis));
    if let Some(vector) = of_operand().find(|&axis| config.vector == Some(axis)) {
        return Some((vector, width(vector)));
    }
    let widest = of_operand().filter(|&axis| width(axis) > 1).max_by_key(|&axis| width(axis));
    widest.map(|axis| (axis, width(axis)))
}
