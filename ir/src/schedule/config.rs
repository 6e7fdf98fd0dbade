//! A schedule with every choice decided, in terms of the plan instead of names.
//!
//! Invariant: a `Config` has one `PassConfig` for each pass of the plan, with a step for each of its axes; which of them
//! matter follows from `stored`, `fused` and the phases (`Config::phases`).

use crate::base::{AxisId, AxisSet};
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
    /// The order of the loops over the result's axes.
    pub order: Vec<AxisId>,
    /// The axis along vector lanes.
    pub vector: Option<AxisId>,
    /// The register tile.
    pub micro: BTreeMap<AxisId, u64>,
    /// Copies of the innermost step.
    pub unroll: u64,
    /// How the first operand of a contraction is packed.
    pub pack_a: Pack,
    /// How the second operand of a contraction is packed.
    pub pack_b: Pack,
}

/// All choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many threads share the grid of a phase.
    pub threads: u64,
    /// One for each pass of the plan.
    pub passes: Vec<PassConfig>,
}

/// A run of fused passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseConfig {
    /// Positions of its stored passes in the plan; the first is the head.
    pub passes: Vec<usize>,
    /// The grid axes and steps, outermost first.
    pub grid: Vec<(AxisId, u64)>,
}

impl Config {
    /// The phases: runs of stored passes that are fused with each other.
    pub fn phases(&self, plan: &PassProgram) -> Vec<PhaseConfig> {
        let mut runs: Vec<Vec<usize>> = vec![];
        for (position, pass) in self.passes.iter().enumerate().filter(|(_, pass)| pass.stored) {
            match runs.last_mut() {
                Some(run) if pass.fused => run.push(position),
                _ => runs.push(vec![position]),
            }
        }
        runs.into_iter().map(|passes| self.phase(plan, passes)).collect()
    }

    fn phase(&self, plan: &PassProgram, passes: Vec<usize>) -> PhaseConfig {
        let shared = grid_axes(plan, &passes);
        let head = &self.passes[passes[0]];
        let order = head.grid_order.iter().filter(|&&axis| shared.contains(axis));
        let grid = order.map(|&axis| (axis, head.grid[&axis])).collect();
        PhaseConfig { passes, grid }
    }
}

/// The axes that every one of these passes has and none scans: those a common grid can run over.
pub(crate) fn grid_axes(plan: &PassProgram, passes: &[usize]) -> AxisSet {
    let axes = |&position: &usize| {
        let pass = &plan.passes[position];
        let axes = pass.axes.iter().copied();
        axes.filter(|&axis| pass.scan != Some(axis)).collect::<AxisSet>()
    };
    passes.iter().map(axes).reduce(|shared, axes| shared & axes).unwrap_or_default()
}
