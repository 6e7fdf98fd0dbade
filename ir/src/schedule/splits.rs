//! Which streams can be cut into chunks, which a default schedule cuts, and what a cut makes of plan and choices.
//!
//! The passes that combine the chunks have no choices of their own: they read little, and get what a default schedule
//! gives them. Invariant: with those of the parts, which the schedule decides, their choices are legal.

use super::constraint::sites;
use super::defaults::{guess_pass, naive_pass};
use super::grids::guess_grid;
use super::shape::Shape;
use super::{Config, PassConfig, chains, streams};
use crate::base::{AxisId, AxisSet};
use crate::lower::{Cut, Origin, Split, split};
use crate::plan::{Pass, PassProgram};
use crate::target::Target;

/// Chunks of one axis, where the target has few threads.
const CHUNKS_MAX: u64 = 64;
/// Elements that a chunk of a default schedule reads at least: some microseconds.
const CHUNK_WORK: u64 = 1 << 16;

/// The most chunks of one axis.
pub(super) fn chunks_max(target: &Target) -> u64 {
    CHUNKS_MAX.max(target.threads.saturating_mul(2).min(1 << 16).next_power_of_two())
}

/// The axes that a pass says the chunks of: those of its stream, or of the group's whose blocks it decides.
pub(super) fn axes(plan: &PassProgram, position: usize) -> Vec<AxisId> {
    // Every cut takes an axis for the numbers of its chunks.
    let streamed: usize = plan.passes.iter().map(|pass| pass.stream.len()).sum();
    if plan.axes.len() + streamed > AxisSet::CAPACITY {
        return vec![];
    }
    let pass = &plan.passes[position];
    let stream = pass.group.map_or(&pass.stream, |group| &plan.groups[group]).iter().copied();
    let whole =
        |axis: &AxisId| plan.chunks.iter().all(|chunk| chunk.of != *axis && chunk.axis != *axis);
    let decides = |axis: &AxisId| plan.stepper(position, *axis) == position;
    stream.filter(|axis| plan.axes.extent(*axis) > 1 && whole(axis) && decides(axis)).collect()
}

/// Halves the largest number of chunks; `false` where nothing is cut.
pub(super) fn merge(config: &mut Config) -> bool {
    let counts = config.passes.iter_mut().flat_map(|pass| pass.split.values_mut());
    match counts.max_by_key(|count| **count) {
        Some(count) if *count > 1 => {
            *count /= 2;
            true
        }
        _ => false,
    }
}

/// Cuts what has fewer blocks than threads and enough to read, and everything that runs along a seed. Says whether it
/// found something.
pub(super) fn guess(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
    seeds: AxisSet,
) -> bool {
    let mut found = false;
    for phase in config.phases(plan) {
        let blocks = |&(axis, step): &(AxisId, u64)| plan.axes.extent(axis).div_ceil(step.max(1));
        let tasks = phase.grid.iter().map(blocks).fold(1, u64::saturating_mul).max(1);
        let same = |a: &usize, b: &usize| {
            plan.passes[*a].group.is_some() && plan.passes[*a].group == plan.passes[*b].group
        };
        for run in phase.passes.chunk_by(same) {
            let axes: Vec<(usize, AxisId)> = run
                .iter()
                .flat_map(|&position| {
                    axes(plan, position).into_iter().map(move |axis| (position, axis))
                })
                .collect();
            let seeded = axes.iter().copied().find(|(_, axis)| seeds.contains(*axis));
            let longest = axes.iter().copied().max_by_key(|(_, axis)| plan.axes.extent(*axis));
            let (chosen, count) = match seeded {
                Some(chosen) => (chosen, target.threads.next_power_of_two().max(2)),
                None => {
                    let Some(chosen) = longest.filter(|_| tasks < target.threads) else { continue };
                    let wanted = target.threads.saturating_mul(2).div_ceil(tasks);
                    let most = work(plan, run) / CHUNK_WORK;
                    (chosen, wanted.next_power_of_two().min(floor_power(most)))
                }
            };
            let shape = &shapes[chosen.0];
            let terms = plan.axes.volume(shape.stream.iter().copied().collect());
            let extent = plan.axes.extent(chosen.1);
            let mut most = chunks_max(target).min(floor_power(extent));
            while most > 1 && shape.rounds && !chains::may_split(terms, extent, most) {
                most /= 2;
            }
            found |= cut(plan, shapes, config, chosen, count.min(most));
        }
    }
    found
}

/// The largest power of two up to a number; 1 for 0.
fn floor_power(most: u64) -> u64 {
    1 << most.max(1).ilog2()
}

/// Elements that a run of passes goes through.
fn work(plan: &PassProgram, run: &[usize]) -> u64 {
    let volume = |&position: &usize| {
        let pass = &plan.passes[position];
        let stream = pass.group.filter(|_| plan.is_streaming(pass));
        let stream = stream.map_or(&pass.stream, |group| &plan.groups[group]);
        plan.axes.volume(pass.axes.iter().chain(stream).copied().collect())
    };
    run.iter().map(volume).fold(0, u64::saturating_add)
}

/// Cuts an axis of the stream of a pass, in shorter blocks where there are too few. Says whether there is a cut.
fn cut(
    plan: &PassProgram,
    shapes: &[Shape],
    config: &mut Config,
    (position, axis): (usize, AxisId),
    count: u64,
) -> bool {
    if count < 2 {
        return false;
    }
    let extent = plan.axes.extent(axis);
    let step = |config: &Config| config.passes[position].block[&axis].max(1);
    if extent.div_ceil(step(config)) < count {
        streams::shorten_to(plan, shapes, config, (position, axis), extent / count);
    }
    let count = count.min(floor_power(extent.div_ceil(step(config))));
    let split = config.passes[position].split.entry(axis).or_insert(1);
    *split = count.max(*split);
    *split > 1
}

/// The plan and the choices with every cut made.
pub(crate) fn apply(plan: PassProgram, config: Config, target: &Target) -> (PassProgram, Config) {
    let cuts: Vec<Vec<Cut>> =
        (0..plan.passes.len()).map(|position| config.cuts(&plan, position)).collect();
    if cuts.iter().all(Vec::is_empty) {
        return (plan, config);
    }
    let Split { plan, origins } = split(&plan, &cuts);
    let shapes = Shape::all(&plan, target);
    let passes = (0..origins.len()).map(|position| {
        let before = position.checked_sub(1).map(|before| origins[before]);
        let shape = &shapes[position];
        let (choices, fused) = match origins[position] {
            Origin::Kept(of) => (
                config.passes[of].clone(),
                config.passes[of].fused && before != Some(Origin::Combine),
            ),
            Origin::Part(of) => {
                let joins = matches!(before, Some(Origin::Part(_)));
                (of_part(&config.passes[of], &plan, &plan.passes[position]), joins)
            }
            Origin::Spread => (naive_pass(&plan, shape), true),
            Origin::Combine => {
                let joins = before == Some(Origin::Combine);
                (guess_pass(&plan, position, shape, target), joins)
            }
        };
        PassConfig { fused, ..choices }
    });
    let mut split =
        Config { form: config.form.clone(), threads: config.threads, passes: passes.collect() };
    guess_combines(&plan, &origins, &shapes, target, &mut split);
    (plan, split)
}

/// The choices of a pass that is restricted to chunks: their numbers are outermost in the grid.
fn of_part(choices: &PassConfig, plan: &PassProgram, part: &Pass) -> PassConfig {
    let mut choices = PassConfig { split: [].into(), ..choices.clone() };
    let numbers = part.axes.iter().copied().filter(|axis| plan.chunk(*axis).is_some());
    let numbers: Vec<AxisId> = numbers.filter(|axis| !choices.grid.contains_key(axis)).collect();
    for &number in &numbers {
        choices.grid.insert(number, 1);
        choices.block.insert(number, 1);
        choices.micro.insert(number, 1);
    }
    choices.grid_order.splice(0..0, numbers.iter().copied());
    choices.order.splice(0..0, numbers);
    choices
}

/// Grids and blocks of the phases that combine; scalar loops where a guess breaks a rule.
fn guess_combines(
    plan: &PassProgram,
    origins: &[Origin],
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
) {
    for phase in config.phases(plan) {
        if origins[phase.head] != Origin::Combine {
            continue;
        }
        let group = plan.passes[phase.head].group;
        let settle = |config: &mut Config| {
            if let Some(group) = group {
                streams::settle_one(plan, shapes, config, (group, u64::MAX));
            }
        };
        settle(config);
        guess_grid(plan, shapes, target, config, &phase);
        let snapshot = config.clone();
        // The steps of the streams are settled now.
        let phases = config.phases(plan);
        let settled: Vec<_> = phases.into_iter().filter(|of| of.head == phase.head).collect();
        let legal = sites(plan, shapes, target, &snapshot, &settled);
        if legal.iter().all(|site| site.faults().is_empty()) {
            continue;
        }
        for &position in &phase.passes {
            let fused = config.passes[position].fused;
            config.passes[position] = PassConfig { fused, ..naive_pass(plan, &shapes[position]) };
        }
        settle(config);
    }
}
