//! Writes one pass as a loop nest inside the grid of its phase.
//!
//! ```text
//! for n by 256 {                       one loop for each blocked axis of the result outside of the grid
//!   for k by 256 carry c .. {          the stream
//!     b = stage ..
//!     yield c = mma[k](a, b, c)
//!   }
//!   store ..
//! }
//! ```
//!
//! A `let` is written once for each place that needs it, right before its use.
//! Invariant: each result is stored once for each element, after the stream or by the carry itself.

use super::place::Placer;
use super::skip::{self, Lets};
use super::stream::Stream;
use super::{chunk, contraction, micro, parts};
use crate::base::{
    AxisId, BinaryOp, BufferId, Expr, Literal, LocalId, ReduceOp, Row, additions_max,
};
use crate::plan::{Let, Pass, PassProgram, State, start_value};
use crate::schedule::{Pack, PassConfig, PhaseConfig, next_block};
use crate::target::Target;
use crate::tile::{Carry, For, Micro, Place, Scan, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// An epilogue with more parts than this is not repeated inside a carry's `last`.
const LAST_PARTS_MAX: usize = 200;
/// Terms that a running sum adds in a row before it hands them on: short enough for the bound of every prefix.
const SCAN_BLOCK: u64 = 16;
/// Operations on vectors that take longer than a line from memory, several times over.
const AHEAD_OPERATIONS: u64 = 1024;
/// Chains inside of a block are multiples of this, so that unrolled steps fit.
const CHAIN_UNIT: u64 = 8;

/// A pass, its choices and its loops.
pub(super) struct Nest<'a> {
    pub(super) plan: &'a PassProgram,
    lets: &'a Lets<'a>,
    position: usize,
    pub(super) pass: &'a Pass,
    pub(super) config: &'a PassConfig,
    pub(super) phase: &'a PhaseConfig,
    pub(super) target: &'a Target,
    /// The loops over the result's axes, outermost first.
    pub(super) loops: Vec<(AxisId, u64)>,
    /// The loop over the stream; empty for a map.
    pub(super) stream: Vec<(AxisId, u64)>,
    /// What the pass knows of the group that it is a member of.
    pub(super) member: Member,
}

/// A pass's place in its group; empty outside of groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The locals of the tile program that hold the values of the group's states.
    pub(super) names: BTreeMap<LocalId, LocalId>,
    /// The buffers of the plan that hold a block of the group's stream.
    pub(super) blocks: BTreeSet<BufferId>,
}

impl<'a> Nest<'a> {
    pub(super) fn new(
        lets: &'a Lets<'a>,
        position: usize,
        config: &'a PassConfig,
        phase: &'a PhaseConfig,
        target: &'a Target,
    ) -> Self {
        let plan = lets.plan;
        let pass = &plan.passes[position];
        let in_grid = |axis: AxisId| phase.grid.iter().any(|(of, _)| *of == axis);
        let step = |axis: AxisId| (axis, config.block[&axis].max(1));
        let outside = config.order.iter().copied();
        let outside = outside.filter(|&axis| !in_grid(axis) && pass.scan != Some(axis)).map(step);
        let loops = outside.filter(|&(axis, step)| step < plan.axes.extent(axis)).collect();
        let stream = pass.stream.iter().copied().map(step).collect();
        let member = Member::default();
        Self { plan, lets, position, pass, config, phase, target, loops, stream, member }
    }

    /// A member of a group. The loop over the group's stream is its stream, or stands around it.
    pub(super) fn of_member(
        (lets, position): (&'a Lets<'a>, usize),
        config: &'a PassConfig,
        phase: &'a PhaseConfig,
        target: &'a Target,
        member: Member,
    ) -> Self {
        let plan = lets.plan;
        let pass = &plan.passes[position];
        let streams = phase.streams.iter().find(|(of, _)| Some(*of) == pass.group);
        let shared = streams.map(|(_, steps)| steps.clone()).unwrap_or_default();
        let own = pass.stream.iter().map(|&axis| (axis, config.block[&axis].max(1))).collect();
        let (loops, stream) =
            if plan.is_streaming(pass) { (vec![], shared) } else { (shared, own) };
        Self { plan, lets, position, pass, config, phase, target, loops, stream, member }
    }

    /// Writes what a member computes in each block: what is the same in all of them to `outside`.
    pub(super) fn write_within(
        &self,
        placer: &mut Placer<'_>,
        outside: &mut Vec<Stmt>,
        inside: &mut Vec<Stmt>,
    ) {
        let mut levels = if self.pass.stream.is_empty() {
            let mut levels = vec![vec![]; self.loops.len() + 1];
            let mut names = self.member.names.clone();
            self.store_results(placer, &mut names, &mut levels[self.loops.len()]);
            levels
        } else {
            self.write_stream(placer)
        };
        inside.extend(levels.split_off(1).into_iter().flatten());
        outside.extend(levels.into_iter().flatten());
    }

    pub(super) fn write(&self, placer: &mut Placer<'_>, body: &mut Vec<Stmt>) {
        let mut levels = if let Some(axis) = self.pass.scan {
            self.write_scan(axis, placer)
        } else if self.pass.stream.is_empty() {
            let mut levels = vec![vec![]; self.loops.len() + 1];
            self.store_results(placer, &mut BTreeMap::new(), &mut levels[self.loops.len()]);
            levels
        } else {
            self.write_stream(placer)
        };
        let mut inner = levels.pop().expect("there is a level outside of all loops");
        for (&(axis, step), mut level) in self.loops.iter().zip(levels).rev() {
            level.push(Stmt::For(For::over(vec![(axis, step)], inner)));
            inner = level;
        }
        body.extend(inner);
        self.copy_results(placer, body);
    }

    /// The scan, inside of the loops over the other axes.
    fn write_scan(&self, axis: AxisId, placer: &mut Placer<'_>) -> Vec<Vec<Stmt>> {
        let mut levels = vec![vec![]; self.loops.len() + 1];
        let inner = &mut levels[self.loops.len()];
        let (state, result) = (&self.pass.states[0], &self.pass.results[0]);
        let body = std::slice::from_ref(&state.body);
        let lets = &self.pass.body_lets;
        let exprs = self.instantiate(placer, lets, &mut BTreeMap::new(), body, inner);
        let dtype = self.plan.locals[state.local.index()].dtype;
        let rounds = dtype.is_float() && state.op == ReduceOp::Sum;
        let whole = self.plan.axes.extent(axis).max(1);
        let block = if rounds { SCAN_BLOCK.min(whole) } else { whole };
        let micro = micro::of_scan(&self.pass.axes, axis, self.config);
        let (buffer, op) = (placer.at(result.buffer), state.op);
        inner.extend(
            exprs.into_iter().map(|expr| {
                Stmt::Scan(Scan { buffer, op, axis, block, expr, micro: micro.clone() })
            }),
        );
        levels
    }

    /// The loop over the stream, its stages at their levels, and the stores after it.
    fn write_stream(&self, placer: &mut Placer<'_>) -> Vec<Vec<Stmt>> {
        let mut names = self.member.names.clone();
        for state in &self.pass.states {
            let like = &self.plan.locals[state.local.index()];
            names.insert(state.local, placer.local(&like.name, like.dtype, like.axes));
        }
        let direct = self.direct_result(placer, &names);
        let once = self.single_result().filter(|_| direct.is_none());
        let mut stream = Stream::new(self, placer, names.clone());
        let held = |state: &State| match once {
            Some(_) => Expr::Literal(self.start(state)),
            None => Expr::Local(names[&state.local]),
        };
        let mut next: Vec<Expr> =
            self.pass.states.iter().map(|state| stream.next(state, held(state))).collect();
        let mut levels = stream.levels;
        if let Some((result, value)) = once {
            let body = levels.pop().expect("the last level is inside of the stream");
            let outer = levels.last_mut().expect("the stream is inside of the grid");
            outer.extend(body);
            let held = Expr::Local(names[&self.pass.states[0].local]);
            let sum = next.pop().expect("a pass with one result of one block has one state");
            let expr = replaced(&placer.translate(&value, &names), &held, &sum);
            let buffer = placer.at(result);
            outer.push(Stmt::Store { buffer, expr, micro: self.carry_micro() });
            return levels;
        }
        let carries = self.pass.states.iter().zip(next);
        let carries =
            carries.map(|(state, next)| self.carry(state, names[&state.local], next, &direct));
        let (axes, carries) = (self.stream.clone(), carries.collect());
        let body = levels.pop().expect("the last level is inside of the stream");
        let outer = levels.last_mut().expect("the stream is inside of the grid");
        let mut bounds = skip::bounds(self.lets, &[self.position], &self.pass.stream);
        if !self.plan.is_within(self.pass) {
            chunk::restrict(self.plan, self.pass, (self.phase, &axes), &mut bounds);
        }
        outer.push(Stmt::For(For { axes, bounds, carries, body }));
        if direct.is_none() {
            self.store_results(placer, &mut names, outer);
        }
        levels
    }

    pub(super) fn carry(
        &self,
        state: &State,
        local: LocalId,
        next: Expr,
        direct: &Option<(BufferId, Option<Expr>)>,
    ) -> Carry {
        let (place, last) = match direct {
            Some((buffer, last)) => (Place::Out(*buffer), last.clone()),
            None => (Place::Group, None),
        };
        Carry {
            local,
            axes: self.pass.axes.clone(),
            start: self.start(state),
            place,
            next,
            micro: self.carry_micro(),
            last,
        }
    }

    fn start(&self, state: &State) -> Literal {
        start_value(state.op, self.plan.locals[state.local.index()].dtype)
    }

    fn carry_micro(&self) -> Micro {
        Micro {
            chain: self.chain(),
            ahead: self.ahead(),
            rising: self.rises(),
            ..micro::of_carry(&self.pass.axes, self.config)
        }
    }

    /// Whether a block of a contraction in parts has so many terms that the lesser products have to be added before the others.
    fn rises(&self) -> bool {
        let steps = |of: &dyn Fn(AxisId) -> bool| {
            let own = self.stream.iter().filter(|(axis, _)| of(*axis));
            own.fold(1, |all: u64, &(axis, step)| {
                all.saturating_mul(step.min(self.plan.axes.extent(axis)))
            })
        };
        let contractions = self
            .pass
            .states
            .iter()
            .filter_map(|state| contraction(self.plan, self.pass, state, self.config.vector));
        let mut found = contractions.filter_map(|of| parts(self.plan, self.pass, &of, self.target));
        self.config.pack_b == Pack::Parts
            && found.any(|found| {
                let others = steps(&|axis| axis != found.depth.0);
                let block = steps(&|axis| axis == found.depth.0);
                found.additions(block, others, false) > self.additions_max()
            })
    }

    /// The most additions in a block that a term may pass through: each block behind it adds one more.
    fn additions_max(&self) -> u64 {
        let terms = self.plan.axes.volume(self.pass.stream.iter().copied().collect());
        let chunks: Vec<_> =
            chunk::looped(self.plan, self.pass, (self.phase, &self.stream)).collect();
        let blocks = self.stream.iter().map(|&(axis, step)| {
            let chunk = chunks.iter().find(|chunk| chunk.of == axis).map(|chunk| chunk.length);
            let extent = self.plan.axes.extent(axis);
            chunk.unwrap_or(extent).min(extent).div_ceil(step.clamp(1, extent.max(1)))
        });
        let behind = blocks.fold(1, u64::saturating_mul).saturating_sub(1);
        // What adds chunks up takes as few additions as there can be: the terms of chunks have been through others.
        if self.pass.stream.iter().all(|&axis| self.plan.chunk(axis).is_some()) {
            let row = Row::new(self.pass.stream.iter().map(|&axis| self.plan.axes.extent(axis)));
            return row.additions_min().min(additions_max(terms)).saturating_sub(behind);
        }
        additions_max(terms).saturating_sub(behind)
    }

    /// The result and its value where all of the stream is one block and the sum is in tile registers: then it is made of the
    /// sum, which need not be kept.
    fn single_result(&self) -> Option<(BufferId, Expr)> {
        let ([state], [result]) = (&self.pass.states[..], &self.pass.results[..]) else {
            return None;
        };
        let whole = |&(axis, step): &(AxisId, u64)| step >= self.plan.axes.extent(axis);
        let is_block = self.stream.iter().all(whole) && self.pass.group.is_none();
        let mut bounds = skip::bounds(self.lets, &[self.position], &self.pass.stream);
        chunk::restrict(self.plan, self.pass, (self.phase, &self.stream), &mut bounds);
        let in_tiles = matches!(self.config.pack_b, Pack::Tiles | Pack::Parts);
        if !is_block || !bounds.is_empty() || !in_tiles {
            return None;
        }
        let mut parts = LAST_PARTS_MAX;
        let value = expand(&result.value, &self.pass.result_lets, &mut parts)?;
        let mut uses = 0;
        value.walk(&mut |part: &Expr| uses += usize::from(*part == Expr::Local(state.local)));
        let axes = &self.plan.values[result.buffer.index()].axes;
        (uses == 1 && *axes == self.pass.axes).then_some((result.buffer, value))
    }

    /// The axis and the step to what the pass fetches, if it does: what the next iteration of the grid reads, and in a
    /// contraction, which reads much for each vector of its result, the next register tile.
    fn ahead(&self) -> Option<(AxisId, u64)> {
        let contracts = |axis: &AxisId| {
            let states = self.pass.states.iter();
            let mut found =
                states.filter_map(|of| contraction(self.plan, self.pass, of, Some(*axis)));
            self.pass.axes.contains(axis) && found.next().is_some()
        };
        let next = match self.config.vector.filter(contracts) {
            Some(axis) => Some((axis, self.tile_ahead(axis))),
            None => next_block(self.plan, self.phase),
        };
        next.filter(|_| self.config.ahead)
    }

    /// Elements to the register tile whose turn comes when what is fetched now has arrived.
    fn tile_ahead(&self, vector: AxisId) -> u64 {
        let tile = self.config.micro.get(&vector).copied().unwrap_or(1).max(1);
        let rows = self.pass.axes.iter().filter(|&&axis| axis != vector).map(|&axis| {
            let grid = self.phase.grid.iter().find(|(of, _)| *of == axis).map(|&(_, step)| step);
            grid.unwrap_or(self.config.block[&axis]).min(self.plan.axes.extent(axis))
        });
        let terms = self.stream.iter().map(|&(axis, step)| step.min(self.plan.axes.extent(axis)));
        let lanes = self.target.lanes(4);
        let operations = rows.chain(terms).fold(tile.div_ceil(lanes), u64::saturating_mul);
        tile.saturating_mul(AHEAD_OPERATIONS.div_ceil(operations.max(1)))
    }

    /// How many terms of a block are added in a row, where the block has too many.
    pub(super) fn chain(&self) -> u64 {
        let is_sum = |state: &State| {
            let dtype = self.plan.locals[state.local.index()].dtype;
            dtype.is_float() && state.op.fold() == Some(BinaryOp::Add)
        };
        if !self.pass.states.iter().any(is_sum) {
            return 0;
        }
        let bytes =
            self.pass.states.iter().map(|of| self.plan.locals[of.local.index()].dtype.bytes());
        let lanes = self.target.lanes(bytes.max().unwrap_or(8));
        let row = self.config.row(&self.stream, lanes, &self.plan.axes);
        match self.config.pack_b {
            // Sums in tile registers are not cut.
            Pack::Tiles if row.additions(0) > self.additions_max() => self.additions_max(),
            // Nor are those of parts, but blocks with far elements are: both come to the same.
            Pack::Parts => row.chain_within(self.additions_max(), 1),
            _ => row.chain_within(self.additions_max(), CHAIN_UNIT),
        }
    }

    /// The buffer and epilogue of a carry that lives in the result itself, where that is possible.
    pub(super) fn direct_result(
        &self,
        placer: &Placer<'_>,
        names: &BTreeMap<LocalId, LocalId>,
    ) -> Option<(BufferId, Option<Expr>)> {
        let ([state], [result]) = (&self.pass.states[..], &self.pass.results[..]) else {
            return None;
        };
        let value = &self.plan.values[result.buffer.index()];
        let local = &self.plan.locals[state.local.index()];
        if value.dtype != local.dtype || value.axes != self.pass.axes {
            return None;
        }
        let mut parts = LAST_PARTS_MAX;
        let last = expand(&result.value, &self.pass.result_lets, &mut parts)?;
        let buffer = placer.at(result.buffer);
        // Behind the loop of a group its members leave their results one after the other.
        let mut early = false;
        last.walk(&mut |part: &Expr| {
            let writer = part.read_buffer().and_then(|buffer| self.lets.producer(buffer));
            let group = writer.map(|writer| self.plan.passes[writer].group);
            early |= self.pass.group.is_some() && group == Some(self.pass.group);
        });
        if early {
            return None;
        }
        let keeps = last == Expr::Local(state.local);
        Some((buffer, (!keeps).then(|| placer.translate(&last, names))))
    }

    pub(super) fn store_results(
        &self,
        placer: &mut Placer<'_>,
        names: &mut BTreeMap<LocalId, LocalId>,
        out: &mut Vec<Stmt>,
    ) {
        for result in &self.pass.results {
            let value = std::slice::from_ref(&result.value);
            let exprs = self.instantiate(placer, &self.pass.result_lets, names, value, out);
            let ahead = self.ahead().filter(|_| self.pass.stream.is_empty());
            let micro = micro::of_store(&self.plan.values[result.buffer.index()].axes, self.config);
            let micro = Micro { ahead, ..micro };
            let buffer = placer.at(result.buffer);
            out.extend(exprs.into_iter().map(|expr| Stmt::Store {
                buffer,
                expr,
                micro: micro.clone(),
            }));
        }
    }

    /// Copies results that are read both here and in later phases to their device buffers.
    pub(super) fn copy_results(&self, placer: &Placer<'_>, body: &mut Vec<Stmt>) {
        for result in &self.pass.results {
            if let Some(buffer) = placer.copy_of(result.buffer) {
                let expr = Expr::Load(placer.at(result.buffer));
                let whole = &placer.program.buffers[buffer.index()];
                let micro = micro::of_copy(whole, None, self.config, self.target);
                body.push(Stmt::Store { buffer, expr, micro });
            }
        }
    }

    /// Writes the lets that `exprs` need and gives the expressions in names of the tile program. `names` holds the
    /// locals that are defined already and takes the new ones.
    pub(super) fn instantiate(
        &self,
        placer: &mut Placer<'_>,
        lets: &[Let],
        names: &mut BTreeMap<LocalId, LocalId>,
        exprs: &[Expr],
        out: &mut Vec<Stmt>,
    ) -> Vec<Expr> {
        for item in needed(lets, exprs) {
            if names.contains_key(&item.local) {
                continue;
            }
            let expr = placer.translate(&item.expr, names);
            let like = &self.plan.locals[item.local.index()];
            let local = placer.local(&like.name, like.dtype, like.axes);
            names.insert(item.local, local);
            out.push(Stmt::Let { local, expr });
        }
        exprs.iter().map(|expr| placer.translate(expr, names)).collect()
    }
}

/// The lets that some expressions read, directly or through each other, in order.
fn needed<'a>(lets: &'a [Let], exprs: &[Expr]) -> Vec<&'a Let> {
    let mut wanted = std::collections::BTreeSet::new();
    let note = |expr: &Expr, wanted: &mut std::collections::BTreeSet<LocalId>| {
        expr.walk(&mut |part: &Expr| {
            if let Expr::Local(local) = part {
                wanted.insert(*local);
            }
        });
    };
    exprs.iter().for_each(|expr| note(expr, &mut wanted));
    let mut needed = vec![];
    for item in lets.iter().rev() {
        if wanted.contains(&item.local) {
            note(&item.expr, &mut wanted);
            needed.push(item);
        }
    }
    needed.reverse();
    needed
}

/// An expression with one of its parts replaced.
fn replaced(expr: &Expr, part: &Expr, by: &Expr) -> Expr {
    match expr == part {
        true => by.clone(),
        false => expr.map_children(|child| replaced(child, part, by)),
    }
}

/// The expression with every let written out, unless that takes more than `parts` parts.
fn expand(expr: &Expr, lets: &[Let], parts: &mut usize) -> Option<Expr> {
    *parts = parts.checked_sub(1)?;
    if let Expr::Local(local) = expr
        && let Some(item) = lets.iter().find(|item| item.local == *local)
    {
        return expand(&item.expr, lets, parts);
    }
    let mut fits = true;
    let expanded = expr.map_children(|child| match expand(child, lets, parts) {
        Some(child) => child,
        None => {
            fits = false;
            child.clone()
        }
    });
    fits.then_some(expanded)
}
