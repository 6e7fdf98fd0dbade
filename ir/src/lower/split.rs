//! Cuts the streams of passes into chunks whose states are kept, and combines those.
//!
//! A pass that is cut becomes two: one that has the number of the chunk among its axes and stores its states as they are,
//! and one that reduces those along the chunks and has the results of the first. The partial state of a group belongs to
//! the running values that its chunk ended with; its update says what becomes of it under others. So what a chunk adds
//! is the update with the chunk's own values in the place of those before a block:
//!
//! ```text
//! update l = l_before * exp(m_before - m_after)
//! state l = sum(load l_part * exp(load m_part - m_after)) before l_before after l_after
//! ```
//!
//! Invariants: the plan that comes out passes `plan::verify`; buffers and locals keep their numbers. The common grid of
//! a group that is cut has the axes of the one that was not, and the chunks.

use super::rename::Renamed;
use crate::base::{AxisId, AxisSet, BufferId, DType, Expr, LocalId, Namer};
use crate::plan::{Chunk, Let, Pass, PassProgram, PassResult, Running, State, Value, ValueKind};
use crate::schedule::grid_axes;
use std::collections::{BTreeMap, BTreeSet};

/// How the stream of a pass or a group is cut along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The axis that is cut.
    pub(crate) of: AxisId,
    /// The number of chunks.
    pub(crate) count: u64,
    /// Elements of a chunk.
    pub(crate) length: u64,
}

/// What a pass of a split plan is, in terms of the plan before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The pass at this position.
    Kept(usize),
    /// The pass at this position, restricted to a chunk.
    Part(usize),
    /// Gives the states of a part the axes of the grid that they lack, in the part's phase.
    Spread,
    /// Combines the states of parts.
    Combine,
}

/// A plan whose streams are cut, and where each of its passes comes from.
pub(crate) struct Split {
    pub(crate) plan: PassProgram,
    pub(crate) origins: Vec<Origin>,
}

/// Cuts the streams of a plan: `cuts` has a list for each pass, the same for all members of a group.
pub(crate) fn split(plan: &PassProgram, cuts: &[Vec<Cut>]) -> Split {
    let mut namer = Namer::new(&plan.axes);
    plan.values.iter().for_each(|value| namer.reserve(&value.name));
    plan.locals.iter().for_each(|local| namer.reserve(&local.name));
    plan.passes.iter().for_each(|pass| namer.reserve(&pass.name));
    let program = PassProgram { passes: vec![], groups: vec![], ..plan.clone() };
    let mut splitter = Splitter { plan, program, namer, origins: vec![] };
    let positions: Vec<usize> = (0..plan.passes.len()).collect();
    let group = |position: usize| plan.passes[position].group;
    for run in positions.chunk_by(|&a, &b| group(a).is_some() && group(a) == group(b)) {
        splitter.run(run, &cuts[run[0]]);
    }
    Split { plan: splitter.program, origins: splitter.origins }
}

struct Splitter<'a> {
    plan: &'a PassProgram,
    /// What is written: its buffers and locals begin with those of the plan.
    program: PassProgram,
    namer: Namer,
    origins: Vec<Origin>,
}

/// A pass or a group that is cut.
struct Run<'a> {
    positions: &'a [usize],
    /// The axes that number its chunks.
    numbers: Vec<AxisId>,
    /// The axes of its grid.
    grid: Vec<AxisId>,
    /// Where the state of each chunk is kept.
    parts: BTreeMap<LocalId, BufferId>,
}

impl Splitter<'_> {
    fn run(&mut self, positions: &[usize], cuts: &[Cut]) {
        let group = self.plan.passes[positions[0]].group;
        if cuts.is_empty() {
            let group = group.map(|group| self.group(self.plan.groups[group].clone()));
            for &position in positions {
                let pass = Pass { group, ..self.plan.passes[position].clone() };
                self.push(pass, Origin::Kept(position));
            }
            return;
        }
        let numbers = cuts.iter().filter_map(|cut| self.number(cut)).collect();
        let grid: AxisSet = match group {
            Some(_) => grid_axes(self.plan, positions),
            None => self.plan.passes[positions[0]].axes.iter().copied().collect(),
        };
        let grid = grid.iter().collect();
        let mut run = Run { positions, numbers, grid, parts: BTreeMap::new() };
        self.parts(&mut run);
        match group {
            Some(_) => self.combine_group(&run),
            None => self.combine_pass(&run),
        }
    }

    fn push(&mut self, pass: Pass, origin: Origin) {
        self.program.passes.push(pass);
        self.origins.push(origin);
    }

    fn group(&mut self, stream: Vec<AxisId>) -> usize {
        self.program.groups.push(stream);
        self.program.groups.len() - 1
    }

    /// The axis that numbers the chunks of a cut.
    fn number(&mut self, cut: &Cut) -> Option<AxisId> {
        let name = self.namer.fresh("c");
        let axis = self.program.axes.intern(&name)?;
        self.program.axes.bind(axis, cut.count);
        self.program.chunks.push(Chunk { axis, of: cut.of, length: cut.length });
        Some(axis)
    }

    /// Writes the passes of a run restricted to chunks.
    fn parts(&mut self, run: &mut Run<'_>) {
        let plan = self.plan;
        let group = plan.passes[run.positions[0]].group;
        let group = group.map(|group| self.group(plan.groups[group].clone()));
        let mut spreads = vec![];
        for &position in run.positions {
            let pass = &plan.passes[position];
            let mut part = Pass { group, ..pass.clone() };
            part.axes = run.numbers.iter().chain(&pass.axes).copied().collect();
            if plan.is_within(pass) {
                for result in &part.results {
                    self.program.values[result.buffer.index()].axes.clone_from(&part.axes);
                }
                for state in &part.states {
                    let axes = part.axes.iter().copied().collect();
                    self.program.locals[state.local.index()].axes = axes;
                }
            } else {
                part.name = self.namer.fresh(&format!("{}_part", pass.name));
                self.keep_states(&mut part, run, &mut spreads);
            }
            self.retag(&part);
            self.push(part, Origin::Part(position));
        }
        for spread in spreads {
            self.push(spread, Origin::Spread);
        }
    }

    /// Makes the states of a part its results.
    fn keep_states(&mut self, part: &mut Pass, run: &mut Run<'_>, spreads: &mut Vec<Pass>) {
        let axes: AxisSet = part.axes.iter().copied().collect();
        part.result_lets.clear();
        part.results.clear();
        for state in &mut part.states {
            let old = state.local;
            state.local = self.local_like(old);
            let running = state.running.iter().flat_map(|own| [own.before, own.after]);
            for local in running.chain([state.local]) {
                self.program.locals[local.index()].axes = axes;
            }
            let name = format!("{}_part", self.program.locals[old.index()].name);
            let dtype = self.program.locals[old.index()].dtype;
            let buffer = self.value(&name, dtype, part.axes.clone());
            part.results.push(PassResult { buffer, value: Expr::Local(state.local) });
            let missing = run.grid.iter().copied().filter(|&axis| !axes.contains(axis));
            let missing: Vec<AxisId> = missing.collect();
            run.parts.insert(old, buffer);
            if !missing.is_empty() {
                let wide: Vec<AxisId> = part.axes.iter().copied().chain(missing).collect();
                let spread = self.value(&name, dtype, wide.clone());
                run.parts.insert(old, spread);
                spreads.push(self.spread(buffer, spread, wide));
            }
        }
    }

    /// A map that repeats a buffer along more axes.
    fn spread(&mut self, from: BufferId, to: BufferId, axes: Vec<AxisId>) -> Pass {
        let name = self.program.values[to.index()].name.clone();
        let results = vec![PassResult { buffer: to, value: Expr::Load(from) }];
        Pass { name, axes, results, ..Pass::default() }
    }

    fn value(&mut self, name: &str, dtype: DType, axes: Vec<AxisId>) -> BufferId {
        let name = self.namer.fresh(name);
        let id = u32::try_from(self.program.values.len()).expect("fewer than 2^32 buffers");
        let kind = ValueKind::Intermediate;
        self.program.values.push(Value { name, kind, dtype, axes, strides: None });
        BufferId(id)
    }

    fn local_like(&mut self, like: LocalId) -> LocalId {
        let mut local = self.program.locals[like.index()].clone();
        local.name = self.namer.fresh(&local.name);
        let id = u32::try_from(self.program.locals.len()).expect("fewer than 2^32 locals");
        self.program.locals.push(local);
        LocalId(id)
    }

    /// Gives the lets of a pass the axes that their values have now.
    fn retag(&mut self, pass: &Pass) {
        let lets = pass.body_lets.iter().chain(&pass.update_lets).chain(&pass.result_lets);
        for item in lets {
            let axes = item.expr.axes(&self.program);
            self.program.locals[item.local.index()].axes = axes;
        }
    }

    /// Combines the chunks of a pass that is in no group.
    fn combine_pass(&mut self, run: &Run<'_>) {
        let mut pass = self.plan.passes[run.positions[0]].clone();
        pass.name = self.namer.fresh("combine");
        pass.stream.clone_from(&run.numbers);
        pass.body_lets.clear();
        for state in &mut pass.states {
            state.body = Expr::Load(run.parts[&state.local]);
        }
        self.push(pass, Origin::Combine);
    }

    /// Combines the chunks of a group: a group along the chunks.
    fn combine_group(&mut self, run: &Run<'_>) {
        let group = self.group(run.numbers.clone());
        let wanted = self.read_by_updates(run);
        let (mut now, mut then) = (Renamed::default(), Renamed::default());
        let mut name = Some(self.namer.fresh("combine"));
        for &position in run.positions {
            let pass = &self.plan.passes[position];
            if !self.plan.is_within(pass) {
                let mut combined = self.combine_member(pass, run, &mut now, &mut then);
                combined.group = Some(group);
                combined.name = name.take().unwrap_or(combined.name);
                self.push(combined, Origin::Combine);
            } else if wanted.contains(&position) {
                let axes = self.wide(pass, run);
                let mut copies = vec![self.copy(pass, axes.clone(), &mut now)];
                let axes = axes.into_iter().chain(run.numbers.iter().copied()).collect();
                copies.push(self.copy(pass, axes, &mut then));
                for mut copy in copies {
                    copy.group = Some(group);
                    copy.name = name.take().unwrap_or(copy.name);
                    self.push(copy, Origin::Combine);
                }
            }
        }
    }

    /// The members that compute something for the updates of a run, directly or through each other.
    fn read_by_updates(&self, run: &Run<'_>) -> BTreeSet<usize> {
        let mut loaded = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for &position in run.positions.iter().rev() {
            let pass = &self.plan.passes[position];
            let mut note = |expr: &Expr| loaded.extend(expr.read_buffer());
            if !self.plan.is_within(pass) {
                pass.update_lets.iter().for_each(|item| item.expr.walk(&mut note));
                let running = pass.states.iter().filter_map(|state| state.running.as_ref());
                running.for_each(|running| running.update.walk(&mut note));
            } else if pass.results.iter().any(|result| loaded.contains(&result.buffer)) {
                let mut note = |expr: &Expr| loaded.extend(expr.read_buffer());
                pass.exprs().for_each(|expr| expr.walk(&mut note));
                wanted.insert(position);
            }
        }
        wanted
    }

    /// The axes of a pass, and those of the grid that it lacks.
    fn wide(&self, pass: &Pass, run: &Run<'_>) -> Vec<AxisId> {
        let missing = run.grid.iter().filter(|axis| !pass.axes.contains(axis));
        pass.axes.iter().chain(missing).copied().collect()
    }

    /// A streaming member of a group, along the chunks.
    fn combine_member(
        &mut self,
        pass: &Pass,
        run: &Run<'_>,
        now: &mut Renamed,
        then: &mut Renamed,
    ) -> Pass {
        let axes = self.wide(pass, run);
        let set: AxisSet = axes.iter().copied().collect();
        let mut combined = Pass { axes, ..pass.clone() };
        combined.stream.clone_from(&run.numbers);
        for state in &pass.states {
            self.program.locals[state.local.index()].axes = set;
            let Some(running) = &state.running else { continue };
            let (before, after) = (self.local_like(running.before), self.local_like(running.after));
            for local in [before, after] {
                self.program.locals[local.index()].axes = set;
            }
            now.insert(running.before, Expr::Local(before));
            now.insert(running.after, Expr::Local(after));
            then.insert(running.before, Expr::Load(run.parts[&state.local]));
            then.insert(running.after, Expr::Local(after));
        }
        combined.update_lets = self.lets(&pass.update_lets, now);
        combined.body_lets = self.lets(&pass.update_lets, then);
        combined.states =
            pass.states.iter().map(|state| combined_state(state, now, then)).collect();
        for result in &pass.results {
            let value = &mut self.program.values[result.buffer.index()];
            let missing = set - value.axes.iter().copied().collect();
            value.axes.extend(missing.iter());
        }
        self.retag(&combined);
        combined
    }

    /// A copy of a member that computes something for the others, over `axes`, in other names.
    fn copy(&mut self, pass: &Pass, axes: Vec<AxisId>, names: &mut Renamed) -> Pass {
        let set: AxisSet = axes.iter().copied().collect();
        let mut copy = Pass { axes, optional: false, ..pass.clone() };
        copy.body_lets = self.lets(&pass.body_lets, names);
        for state in &mut copy.states {
            let local = self.local_like(state.local);
            self.program.locals[local.index()].axes = set;
            state.body = names.apply(&state.body);
            names.insert(state.local, Expr::Local(local));
            state.local = local;
        }
        copy.result_lets = self.lets(&pass.result_lets, names);
        for result in &mut copy.results {
            result.value = names.apply(&result.value);
            let value = &self.program.values[result.buffer.index()];
            let (name, dtype) = (value.name.clone(), value.dtype);
            let buffer = self.value(&name, dtype, copy.axes.clone());
            names.insert_buffer(result.buffer, buffer);
            result.buffer = buffer;
        }
        copy.name = self.program.values[copy.results[0].buffer.index()].name.clone();
        self.retag(&copy);
        copy
    }

    /// Copies of lets in other names.
    fn lets(&mut self, lets: &[Let], names: &mut Renamed) -> Vec<Let> {
        let copy = |item: &Let| {
            let expr = names.apply(&item.expr);
            let local = self.local_like(item.local);
            self.program.locals[local.index()].axes = expr.axes(&self.program);
            names.insert(item.local, Expr::Local(local));
            Let { local, expr }
        };
        lets.iter().map(copy).collect()
    }
}

/// A state along the chunks: a chunk adds what the update makes of its own state.
fn combined_state(state: &State, now: &Renamed, then: &Renamed) -> State {
    let Some(running) = &state.running else { return state.clone() };
    let renamed = |local: LocalId| match now.apply(&Expr::Local(local)) {
        Expr::Local(local) => local,
        _ => local,
    };
    State {
        local: state.local,
        op: state.op,
        body: then.apply(&running.update),
        running: Some(Running {
            before: renamed(running.before),
            after: renamed(running.after),
            update: now.apply(&running.update),
        }),
    }
}
