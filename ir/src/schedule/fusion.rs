//! Which passes a default schedule fuses into one phase.
//!
//! Invariant: the members of a group are fused with each other, whatever their bytes.

use super::shape::{Shape, set};
use super::{Config, grid_axes, limits};
use crate::base::{AxisId, AxisSet, BufferId, Expr, ExprRef};
use crate::plan::{Pass, PassProgram};
use crate::target::Target;

/// Plans with more passes are not searched for fusible ones.
const FUSED_PASSES_MAX: usize = 64;

/// Fuses passes with the phase before them where they read it and `accept` holds of the bytes between the passes (with
/// the smallest grid steps) and of whether the common grid still has work for all threads.
pub(super) fn fuse(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
    accept: impl Fn(u64, bool) -> bool,
) {
    let limit = limits::group_bytes_max(target) / 2;
    let mut run: Vec<usize> = vec![];
    let count = plan.passes.len().min(FUSED_PASSES_MAX);
    let mut first = 0;
    while first < count {
        let group = plan.passes[first].group;
        let unit: Vec<usize> = match group {
            Some(group) => plan.members(group).collect(),
            None => vec![first],
        };
        let longer: Vec<usize> = run.iter().chain(&unit).copied().collect();
        let reads = !shapes[first].alone
            && unit.iter().any(|&position| {
                run.iter().any(|&earlier| reads(&plan.passes[position], &plan.passes[earlier]))
            });
        let grid = grid_axes(plan, &longer);
        let bytes = between_bytes(plan, &longer, grid, config, shapes);
        let alone = match group {
            Some(_) => plan.axes.volume(grid_axes(plan, &unit)),
            None => plan.axes.volume(set(&shapes[first].axes)),
        };
        let parallel = plan.axes.volume(grid) >= alone.min(target.threads.saturating_mul(2));
        let joins = reads && bytes <= limit && accept(bytes, parallel);
        for &position in &unit {
            config.passes[position].fused = joins || position > first;
        }
        first += unit.len();
        run = if joins { longer } else { unit };
    }
}

fn reads(pass: &Pass, earlier: &Pass) -> bool {
    let written: Vec<BufferId> = earlier.results.iter().map(|result| result.buffer).collect();
    let mut found = false;
    let mut note = |expr: &Expr| {
        found |= expr.read_buffer().is_some_and(|buffer| written.contains(&buffer));
    };
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    found
}

/// Bytes of the results of a run of passes for one grid iteration of the smallest steps.
fn between_bytes(
    plan: &PassProgram,
    run: &[usize],
    grid: AxisSet,
    config: &Config,
    shapes: &[Shape],
) -> u64 {
    let mut bytes = 0_u64;
    for &position in run {
        let pass = &plan.passes[position];
        let step = |axis: AxisId| {
            let tile = run.iter().map(|&pass| config.passes[pass].micro.get(&axis).copied());
            let tile = tile.flatten().max().unwrap_or(1);
            let extent = plan.axes.extent(axis);
            let of_group = pass.group.is_some_and(|group| plan.groups[group].contains(&axis));
            let stepper = of_group.then(|| plan.stepper(position, axis));
            let step = stepper.map(|stepper| config.passes[stepper].block[&axis].min(extent));
            if grid.contains(axis) { tile.min(extent) } else { step.unwrap_or(extent) }
        };
        let volume =
            shapes[position].axes.iter().fold(1_u64, |all, &axis| all.saturating_mul(step(axis)));
        for result in &pass.results {
            bytes = bytes.saturating_add(plan.buffer(result.buffer).0.bytes_of(volume));
        }
    }
    bytes
}
