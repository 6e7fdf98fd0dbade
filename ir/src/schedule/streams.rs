//! How the stream of a group is cut: one list of steps for all members.
//!
//! Invariant: the steps chosen here make whole vectors for every member that has them along the stream, and keep the
//! chain of additions over the blocks short. Inside of a block the code cuts it.

use super::defaults::rows;
use super::domain::steps;
use super::shape::Shape;
use super::{Config, chains};
use crate::base::AxisId;
use crate::plan::PassProgram;

/// Combinations of steps that are looked through.
const COMBINATIONS_MAX: usize = 1 << 14;

/// Gives every group the longest legal blocks of at most `most` elements each, or the shortest there are.
pub(super) fn settle(
    plan: &PassProgram,
    shapes: &[Shape],
    config: &mut Config,
    most: impl Fn(usize, &Config) -> u64,
) {
    for group in 0..plan.groups.len() {
        let most = most(group, config);
        settle_one(plan, shapes, config, (group, most));
    }
}

/// As `settle`, for one group.
pub(super) fn settle_one(
    plan: &PassProgram,
    shapes: &[Shape],
    config: &mut Config,
    (group, most): (usize, u64),
) {
    let legal = legal(plan, shapes, config, group);
    let full: Vec<Vec<u64>> =
        legal.iter().filter(|list| fills_tiles(plan, config, group, list)).cloned().collect();
    let half = |list: &&Vec<u64>| volume(list) * 2 >= most;
    let full = longest(&full, most).filter(half);
    let best = full
        .or_else(|| longest(&legal, most))
        .or_else(|| legal.iter().min_by_key(|list| volume(list)));
    if let Some(best) = best.cloned() {
        set(plan, config, group, &best);
        fit_tiles(plan, shapes, config, group);
    }
}

/// Makes the blocks of a pass or of its group along an axis as short as `most`, if there are legal ones.
pub(super) fn shorten_to(
    plan: &PassProgram,
    shapes: &[Shape],
    config: &mut Config,
    (position, axis): (usize, AxisId),
    most: u64,
) {
    let Some(group) = plan.passes[position].group else {
        let (pass, lanes) = (&mut config.passes[position], shapes[position].lanes);
        let unit = if pass.vector == Some(axis) { lanes } else { 1 };
        let legal = steps(plan.axes.extent(axis)).into_iter();
        let step = legal.filter(|step| step.is_multiple_of(unit) && *step <= most).max();
        if let (Some(step), Some(tile)) = (step, pass.micro.get_mut(&axis)) {
            *tile = (*tile).min(step);
            pass.block.insert(axis, step);
        }
        return;
    };
    let others = current(plan, config, group).into_iter().zip(&plan.groups[group]);
    let others = others.filter(|&(_, of)| *of != axis).map(|(step, _)| step);
    let most = others.fold(most, u64::saturating_mul);
    let legal = legal(plan, shapes, config, group);
    if longest(&legal, most).is_some() {
        settle_one(plan, shapes, config, (group, most));
    }
}

/// Replaces illegal steps by the nearest legal ones.
pub(super) fn repair(plan: &PassProgram, shapes: &[Shape], config: &mut Config) {
    for group in 0..plan.groups.len() {
        let now = current(plan, config, group);
        let legal = legal(plan, shapes, config, group);
        if legal.contains(&now) {
            continue;
        }
        let shorter = longest(&legal, volume(&now));
        let best = shorter.or_else(|| legal.iter().min_by_key(|list| volume(list)));
        if let Some(best) = best.cloned() {
            set(plan, config, group, &best);
        }
    }
}

/// Whether the register tiles of a group's contractions leave no rest of its blocks, or there is one block.
fn fills_tiles(plan: &PassProgram, config: &Config, group: usize, list: &[u64]) -> bool {
    plan.groups[group].iter().zip(list).all(|(axis, &step)| {
        let mut members = plan.members(group).map(|position| (position, &config.passes[position]));
        members.all(|(position, pass)| {
            let rests = rows(plan, &plan.passes[position], pass.vector).is_some()
                && !step.is_multiple_of(pass.micro.get(axis).copied().unwrap_or(1).max(1));
            pass.vector != Some(*axis) || !rests || step >= plan.axes.extent(*axis)
        })
    })
}

/// Halves the blocks of a group; `false` where none has shorter ones.
pub(super) fn shorten(plan: &PassProgram, shapes: &[Shape], config: &mut Config) -> bool {
    for group in 0..plan.groups.len() {
        let now = volume(&current(plan, config, group));
        let legal = legal(plan, shapes, config, group);
        let half = longest(&legal, now / 2).cloned();
        if let Some(best) = half.filter(|list| volume(list) < now) {
            set(plan, config, group, &best);
            return true;
        }
    }
    false
}

/// The longest blocks of at most `most` elements.
fn longest(legal: &[Vec<u64>], most: u64) -> Option<&Vec<u64>> {
    legal.iter().filter(|list| volume(list) <= most).max_by_key(|list| volume(list))
}

fn volume(list: &[u64]) -> u64 {
    list.iter().copied().fold(1, u64::saturating_mul)
}

/// The pass that has the choice of the steps of a group.
fn stepper(plan: &PassProgram, group: usize) -> usize {
    let first = plan.members(group).next().unwrap_or(0);
    plan.stepper(first, plan.groups[group][0])
}

fn current(plan: &PassProgram, config: &Config, group: usize) -> Vec<u64> {
    let block = &config.passes[stepper(plan, group)].block;
    plan.groups[group].iter().map(|axis| block.get(axis).copied().unwrap_or(1)).collect()
}

fn set(plan: &PassProgram, config: &mut Config, group: usize, list: &[u64]) {
    let block = &mut config.passes[stepper(plan, group)].block;
    block.extend(plan.groups[group].iter().copied().zip(list.iter().copied()));
}

/// Register tiles along the stream no longer than its steps.
fn fit_tiles(plan: &PassProgram, shapes: &[Shape], config: &mut Config, group: usize) {
    let steps = current(plan, config, group);
    for position in plan.members(group) {
        let pass = &mut config.passes[position];
        for (&axis, &step) in plan.groups[group].iter().zip(&steps) {
            let unit = if pass.vector == Some(axis) { shapes[position].lanes } else { 1 };
            let most = step.min(plan.axes.extent(axis).max(1)).div_ceil(unit) * unit;
            if let Some(tile) = pass.micro.get_mut(&axis) {
                *tile = (*tile).min(most);
            }
        }
    }
}

/// All legal steps of a group.
fn legal(plan: &PassProgram, shapes: &[Shape], config: &Config, group: usize) -> Vec<Vec<u64>> {
    let mut lists: Vec<Vec<u64>> = vec![vec![]];
    for &axis in &plan.groups[group] {
        let steps = steps(plan.axes.extent(axis));
        let longer = lists.iter().flat_map(|list| {
            steps.iter().map(move |&step| list.iter().copied().chain([step]).collect())
        });
        lists = longer.take(COMBINATIONS_MAX).collect();
    }
    lists.retain(|list| {
        let steps: Vec<(AxisId, u64)> =
            plan.groups[group].iter().copied().zip(list.iter().copied()).collect();
        let mut members = plan.members(group).filter(|&position| config.passes[position].stored);
        members.all(|position| suits(plan, &shapes[position], config, position, &steps))
    });
    lists
}

/// Whether a member can have these steps.
fn suits(
    plan: &PassProgram,
    shape: &Shape,
    config: &Config,
    position: usize,
    steps: &[(AxisId, u64)],
) -> bool {
    let vector = config.passes[position].vector;
    let extent = |axis| plan.axes.extent(axis);
    let whole = |&(axis, step): &(AxisId, u64)| {
        vector != Some(axis) || step.is_multiple_of(shape.lanes) || step >= extent(axis)
    };
    if !steps.iter().all(whole) {
        return false;
    }
    if !plan.is_streaming(&plan.passes[position]) {
        return true;
    }
    let of = |axis: AxisId| steps.iter().find(|(own, _)| *own == axis).map_or(1, |&(_, step)| step);
    let own = chains::stream_of(shape, of, |axis| &config.passes[plan.stepper(position, axis)]);
    chains::is_cut_well(plan, shape, &own, &config.passes[position])
}
