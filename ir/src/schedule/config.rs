//! A schedule with every choice decided, in terms of the plan instead of names.
//!
//! Invariant: a `Config` has one `PassConfig` for each pass of the plan, with a step for each of its axes; which of them
//! matter follows from `stored`, `fused` and the phases (`Config::phases`).

use crate::base::{AxisId, AxisSet, AxisTable, Row};
use crate::lower::Cut;
use crate::plan::PassProgram;
use std::collections::BTreeMap;

/// How an operand of a contraction is copied before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pack {
    /// Not at all.
    No,
    /// Row-major.
    Rows,
    /// In panels as wide as the register tile.
    Panel,
    /// In panels with groups of summed neighbours, whose products are added together; the other operand in rows of them.
    Dots,
    /// As `Dots`, for products of whole tiles; the other operand in tiles.
    Tiles,
    /// Both operands as sums of bf16 numbers, in tiles; products of their parts are added.
    Parts,
    /// Read where it lies and joined to such groups in registers; the other operand in rows of them.
    Join,
}

impl Pack {
    /// Whether the operand is copied.
    pub fn copies(self) -> bool {
        !matches!(self, Self::No | Self::Join)
    }

    /// Whether products are added in groups.
    pub fn is_grouped(self) -> bool {
        matches!(self, Self::Dots | Self::Tiles | Self::Parts | Self::Join)
    }
}

/// The choices of one pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassConfig {
    /// Whether the pass is stored; `false` only for optional maps.
    pub stored: bool,
    /// Whether the pass joins the phase of the stored pass before it.
    pub fused: bool,
    /// Grid steps, for the phase that the pass heads.
    pub grid: BTreeMap<AxisId, u64>,
    /// The order of the grid axes.
    pub grid_order: Vec<AxisId>,
    /// Steps of the loops over the axes outside of the grid.
    pub block: BTreeMap<AxisId, u64>,
    /// Chunks of each streamed axis whose states are computed apart.
    pub split: BTreeMap<AxisId, u64>,
    /// The order of the loops over the result's axes.
    pub order: Vec<AxisId>,
    /// The axis along vector lanes.
    pub vector: Option<AxisId>,
    /// The register tile.
    pub micro: BTreeMap<AxisId, u64>,
    /// Copies of the innermost step.
    pub unroll: u64,
    /// Steps of the innermost loop over the stream that vectors are fetched ahead of their use; 0: not at all.
    pub fetch: u64,
    /// Whether the pass fetches what the next grid iteration reads of the tensors that it reads.
    pub ahead: bool,
    /// Whether the result waits for its reader in the output that is made of it, not in scratch.
    pub in_output: bool,
    /// Whether results go past the caches.
    pub streaming: bool,
    /// How the first operand of a contraction is packed.
    pub pack_a: Pack,
    /// How the second operand of a contraction is packed.
    pub pack_b: Pack,
    /// Whether that copy is made once, of the whole operand, in a phase of its own.
    pub once_b: bool,
}

impl PassConfig {
    /// Terms along a streamed axis that are added side by side: the vectors of the register tile, each lane for itself.
    pub fn side_by_side(&self, axis: AxisId, lanes: u64) -> u64 {
        let tile = self.micro.get(&axis).copied().unwrap_or(1);
        if self.vector == Some(axis) { tile.max(lanes).max(1) } else { 1 }
    }

    /// What one accumulator adds in a block of these steps, where vectors have at least so many lanes.
    pub(crate) fn row(&self, stream: &[(AxisId, u64)], lanes: u64, axes: &AxisTable) -> Row {
        let length = |axis, step: u64| step.min(axes.extent(axis));
        let row = Row::new(
            stream
                .iter()
                .map(|&(axis, step)| length(axis, step).div_ceil(self.side_by_side(axis, lanes))),
        );
        let vector = stream.iter().find(|(axis, _)| self.vector == Some(*axis));
        vector.map_or(row, |&(axis, step)| {
            row.beside(self.side_by_side(axis, lanes).min(length(axis, step)), lanes)
        })
    }
}

/// All choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The form of the kernel that the plan is of; `None`: as written.
    pub form: Option<String>,
    /// How many threads share the grid of a phase.
    pub threads: u64,
    /// One for each pass of the plan.
    pub passes: Vec<PassConfig>,
}

/// A run of fused passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseConfig {
    /// Positions of its stored passes in the plan.
    pub passes: Vec<usize>,
    /// The one whose choices say how the grid is cut: the first that no iteration computes for itself.
    pub head: usize,
    /// The grid axes and steps, outermost first.
    pub grid: Vec<(AxisId, u64)>,
    /// The groups among the passes, with the loops over their streams.
    pub streams: Vec<(usize, Vec<(AxisId, u64)>)>,
}

impl Config {
    /// The phases: runs of stored passes that are fused with each other.
    pub fn phases(&self, plan: &PassProgram) -> Vec<PhaseConfig> {
        let mut runs: Vec<Vec<usize>> = vec![];
        for (position, pass) in self.passes.iter().enumerate().filter(|(_, pass)| pass.stored) {
            let joins = |run: &[usize]| {
                let apart = |position| !self.cuts(plan, position).is_empty();
                is_same_group(plan, run, position)
                    || pass.fused && !apart(position) && !run.last().copied().is_some_and(apart)
            };
            match runs.last_mut() {
                Some(run) if joins(run) => run.push(position),
                _ => runs.push(vec![position]),
            }
        }
        runs.into_iter().map(|passes| self.phase(plan, passes)).collect()
    }

    /// How the stream of a pass, or of its group, is cut. What is cut has a phase of its own.
    pub(crate) fn cuts(&self, plan: &PassProgram, position: usize) -> Vec<Cut> {
        let pass = &plan.passes[position];
        let stream = pass.group.map_or(&pass.stream, |group| &plan.groups[group]);
        let cut = |&of: &AxisId| {
            let stepper = &self.passes[plan.stepper(position, of)];
            let count = stepper.split.get(&of).copied().filter(|&count| count > 1)?;
            let step = stepper.block.get(&of).copied().unwrap_or(1).max(1);
            let blocks = plan.axes.extent(of).div_ceil(step).div_ceil(count).max(1);
            Some(Cut { of, count, length: blocks.saturating_mul(step) })
        };
        stream.iter().filter_map(cut).collect()
    }

    fn phase(&self, plan: &PassProgram, passes: Vec<usize>) -> PhaseConfig {
        let shared = grid_axes(plan, &passes);
        let first = passes.iter().copied().find(|&pass| !is_repeated(plan, &passes, pass));
        let first = first.unwrap_or(passes[0]);
        let head = &self.passes[first];
        let order = head.grid_order.iter().filter(|&&axis| shared.contains(axis));
        let grid = order.map(|&axis| (axis, head.grid[&axis])).collect();
        let mut streams: Vec<(usize, Vec<(AxisId, u64)>)> = vec![];
        for &position in &passes {
            let group = plan.passes[position].group;
            let known = |group: usize| streams.iter().any(|(of, _)| *of == group);
            if let Some(group) = group.filter(|&group| !known(group)) {
                streams.push((group, self.stream_steps(plan, position, group)));
            }
        }
        PhaseConfig { passes, head: first, grid, streams }
    }

    /// The loops over the stream of a group that a pass is a member of.
    fn stream_steps(
        &self,
        plan: &PassProgram,
        position: usize,
        group: usize,
    ) -> Vec<(AxisId, u64)> {
        let step = |&axis: &AxisId| {
            let step = self.passes[plan.stepper(position, axis)].block.get(&axis);
            (axis, step.copied().unwrap_or(1).max(1))
        };
        plan.groups[group].iter().map(step).collect()
    }
}

/// Whether a pass is of the group of the last of a run: the members of a group share its loop.
fn is_same_group(plan: &PassProgram, run: &[usize], position: usize) -> bool {
    let group = plan.passes[position].group;
    group.is_some() && run.last().is_some_and(|&last| plan.passes[last].group == group)
}

impl PhaseConfig {
    /// The step of the loop over an axis of a group's stream.
    pub(crate) fn stream_step(&self, group: Option<usize>, axis: AxisId) -> Option<u64> {
        let stream = self.streams.iter().find(|(of, _)| Some(*of) == group)?;
        stream.1.iter().find(|(of, _)| *of == axis).map(|&(_, step)| step)
    }
}

/// The axes that every one of these passes has and none scans: those a common grid can run over. A member of a group
/// that only other members need is computed again in each iteration, unless it is as long as the group's stream.
pub(crate) fn grid_axes(plan: &PassProgram, passes: &[usize]) -> AxisSet {
    let axes = |&position: &usize| {
        let pass = &plan.passes[position];
        let axes = pass.axes.iter().copied();
        axes.filter(|&axis| pass.scan != Some(axis)).collect::<AxisSet>()
    };
    let counts = |&&position: &&usize| !is_repeated(plan, passes, position);
    let shared = passes.iter().filter(counts).map(axes).reduce(|shared, axes| shared & axes);
    // A group traverses its stream whole in each iteration.
    let groups = passes.iter().filter_map(|&position| plan.passes[position].group);
    let streamed = groups.flat_map(|group| plan.groups[group].iter().copied());
    shared.unwrap_or_default() - streamed.collect::<AxisSet>()
}

/// Whether each iteration of a grid may compute the pass for itself.
fn is_repeated(plan: &PassProgram, passes: &[usize], position: usize) -> bool {
    let pass = &plan.passes[position];
    let Some(group) = pass.group else { return false };
    match plan.is_within(pass) {
        true => !plan.groups[group].iter().all(|axis| pass.axes.contains(axis)),
        false => !pass.results.iter().any(|result| plan.is_read_outside(result.buffer, passes)),
    }
}
