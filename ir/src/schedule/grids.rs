//! Default steps of the grids: blocks that fill the caches and keep every thread busy.
//!
//! Invariant: a step holds whole vectors of every pass of its phase, or the whole axis; register tiles fit their steps.

use super::ahead::is_far;
use super::blocks::guess_blocks;
use super::constraint::{Site, sites};
use super::defaults::rows;
use super::domain::steps;
use super::shape::{Shape, contractions};
use super::{Config, Pack, PassConfig, PhaseConfig, limits};
use crate::base::{AxisId, AxisSet, Expr};
use crate::plan::PassProgram;
use crate::target::Target;
use std::collections::BTreeMap;

/// Hundredths of the least time that are good enough.
const BALANCED: u64 = 105;

/// Elements that one grid iteration of a map or a plain reduction touches, at least.
const GRID_WORK: u64 = 8192;
/// Rows and columns of a contraction in one grid iteration: large, so that packing pays.
const GRID_ROWS: u64 = 1024;
const GRID_COLUMNS: u64 = 2048;
/// Columns where the second operand is read where it lies, row by row: long stretches are what the hardware fetches ahead.
const ROW_COLUMNS: u64 = 8192;
/// Rows where passes are fused, whose intermediates have to stay in the caches.
const FUSED_ROWS: u64 = 96;
/// Rows of a group that visits all of its stream. One with a mask wastes half a block of rows and of the stream for each row.
const GROUP_ROWS: u64 = 192;
/// As `GROUP_ROWS` where a block is done so fast that what it streams anew for each block of rows counts.
const EAGER_ROWS: u64 = 256;
/// As `EAGER_ROWS` where no near cache holds the stream.
const FAR_ROWS: u64 = 336;
/// As `EAGER_ROWS` with a mask.
const MASKED_ROWS: u64 = 64;
/// As `EAGER_ROWS` and `MASKED_ROWS` where products are added in parts, which are copied for each block of rows.
const PARTS_ROWS: (u64, u64) = (512, 256);
/// Bytes above a round number that scratch has besides what is packed.
const PACK_SLACK: u64 = 64 << 10;

/// Steps for the grids: blocks that fill the caches, halved while there are too few of them for the threads.
pub(super) fn guess_grids(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
) {
    for phase in config.phases(plan) {
        guess_grid(plan, shapes, target, config, &phase);
    }
}

/// As `guess_grids`, for one phase.
pub(super) fn guess_grid(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
    phase: &PhaseConfig,
) {
    if guess_blocks(plan, target, config, phase) {
        return clip_tiles(plan, shapes, config, phase);
    }
    let head = phase.head;
    let mut grid = config.passes[head].grid.clone();
    for &(axis, _) in &phase.grid {
        grid.insert(axis, 1);
    }
    let run = sites(plan, shapes, target, config, std::slice::from_ref(phase));
    let mut work = 1_u64;
    for &(axis, _) in phase.grid.iter().rev() {
        let step = grid_step(&run, axis, target, work);
        work = work.saturating_mul(step);
        grid.insert(axis, step);
    }
    share(plan, &run, target, &mut grid, &phase.grid);
    config.passes[head].grid = grid;
    clip_tiles(plan, shapes, config, phase);
}

/// Halves grid steps while the scratch of a phase is above `most` bytes, down to the register tiles.
pub(super) fn fill_cache(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    config: &mut Config,
    most: u64,
) {
    let phases = config.phases(plan);
    // The axes of each phase that may still be cut. The scratch of a phase depends on its own steps only, so all of
    // them are cut side by side, and the program is lowered once for each round instead of once for each phase.
    let order = |phase: &PhaseConfig| {
        let packs = |&&pass: &&usize| config.passes[pass].pack_b.copies();
        let packed = phase.passes.iter().find(packs).and_then(|&pass| config.passes[pass].vector);
        packed_first(&phase.grid, packed)
    };
    let orders: Vec<Vec<(AxisId, u64)>> = phases.iter().map(order).collect();
    let mut open: Vec<&[(AxisId, u64)]> = orders.iter().map(|axes| &axes[..]).collect();
    // The last cut of each phase: the step before, and the scratch then.
    let mut last: Vec<Option<(AxisId, u64, u64)>> = vec![None; phases.len()];
    while open.iter().any(|axes| !axes.is_empty()) {
        let program = crate::lower::write(plan, config, target);
        let mut index = 0;
        for ((phase, axes), last) in phases.iter().zip(&mut open).zip(&mut last) {
            // What one contraction packs may lie one cache further: it is read in order.
            let contracts = |&pass: &usize| {
                !contractions(plan, &plan.passes[pass], config.passes[pass].vector).is_empty()
            };
            let adds_parts = |&pass: &usize| config.passes[pass].pack_b == Pack::Parts;
            let pack = config.passes[phase.head].pack_b;
            let tiled = pack == Pack::Tiles;
            let most = match (phase.passes.len(), phase.passes.iter().any(contracts)) {
                (1, _) if pack == Pack::Parts => u64::MAX,
                // Tile registers take so much in a cycle that it has to be near.
                (1, _) if tiled => most + PACK_SLACK,
                (1, _) if target.is_eager() => most + PACK_SLACK,
                (1, _) => most.saturating_mul(4) + PACK_SLACK,
                // Copies of parts for each block of rows cost more than a block that fills the cache.
                (_, true) if phase.passes.iter().any(adds_parts) => most.saturating_mul(2),
                (_, true) => most,
                // Short work on a row: what lies between stays in the nearest cache.
                (_, false) => most.min(target.memory_bytes("L1").max(1 << 15) / 2),
            };
            let bytes = match phase.passes[..] {
                [pass] if target.is_eager() && !tiled && is_narrow(plan, phase) => {
                    copied_bytes(plan, phase, &config.passes[pass])
                }
                _ => limits::group_bytes(&program, &program.phases[index]),
            };
            let grid = &mut config.passes[phase.head].grid;
            if let Some((axis, step, before)) = last.take()
                && bytes >= before
            {
                grid.insert(axis, step);
                *axes = axes.get(1..).unwrap_or_default();
            }
            if bytes <= most {
                *axes = &[];
            }
            // A phase that combines chunks follows that which makes them.
            index += 1 + usize::from(!config.cuts(plan, phase.passes[0]).is_empty());
            while let Some((&(axis, _), rest)) = axes.split_first() {
                let run = sites(plan, shapes, target, config, std::slice::from_ref(phase));
                let step = config.passes[phase.head].grid[&axis];
                let tile = run.iter().map(|site| site.tile(axis)).max().unwrap_or(1);
                let smaller = nearest(plan.axes.extent(axis), step / 2, unit(&run, axis));
                if smaller < step && smaller >= tile {
                    config.passes[phase.head].grid.insert(axis, smaller);
                    *last = Some((axis, step, bytes));
                    break;
                }
                *axes = rest;
            }
        }
    }
}

/// Bytes of a block of the second operand, copied as f32.
fn copied_bytes(plan: &PassProgram, phase: &PhaseConfig, config: &PassConfig) -> u64 {
    let columns = phase.grid.iter().find(|&&(axis, _)| config.vector == Some(axis));
    let columns = columns.map_or(1, |&(axis, _)| config.grid[&axis].min(plan.axes.extent(axis)));
    let stream = &plan.passes[phase.head].stream;
    stream
        .iter()
        .map(|axis| config.block[axis])
        .fold(columns.saturating_mul(4), u64::saturating_mul)
}

/// Whether a phase stores results of fewer bytes than its sums have: then the sums of a block are part of the scratch, and
/// read only once in a block of terms.
fn is_narrow(plan: &PassProgram, phase: &PhaseConfig) -> bool {
    let results = phase.passes.iter().flat_map(|&pass| &plan.passes[pass].results);
    results.map(|of| plan.values[of.buffer.index()].dtype).any(|dtype| dtype.bytes() < 4)
}

/// The step of one grid axis before the threads are counted. `work` elements are in the block already.
fn grid_step(run: &[Site<'_>], axis: AxisId, target: &Target, work: u64) -> u64 {
    let extent = run.first().map_or(1, |site| site.plan.axes.extent(axis));
    let reuses = |site: &&Site<'_>| {
        rows(site.plan, &site.plan.passes[site.position], site.config.vector).is_some()
    };
    let contracts = run.iter().any(|site| reuses(&site));
    let vector = run.iter().filter(reuses).any(|site| site.config.vector == Some(axis));
    let tile = run.iter().map(|site| site.config.micro.get(&axis).copied().unwrap_or(1)).max();
    let tile = tile.unwrap_or(1);
    let reads_rows = |site: &Site<'_>| {
        site.config.vector == Some(axis) && !site.shape.stream.is_empty() && site.is_contraction()
    };
    let reads_in_place = |site: &Site<'_>| !site.config.pack_b.copies();
    let adds_parts = |site: &Site<'_>| site.config.pack_b == Pack::Parts;
    let wanted = match (contracts, vector) {
        (false, _) if run.iter().any(reads_rows) => ROW_COLUMNS,
        (true, true) if run.len() == 1 && run.iter().all(reads_in_place) => ROW_COLUMNS,
        (true, true) => GRID_COLUMNS,
        (true, false) if tile > 1 && run.len() > 1 && run.iter().any(adds_parts) => {
            if run.iter().any(skips) { PARTS_ROWS.1 } else { PARTS_ROWS.0 }
        }
        (true, false) if tile > 1 && target.is_eager() && run.iter().any(skips) => MASKED_ROWS,
        (true, false) if tile > 1 && streams_far(run, target) => FAR_ROWS,
        (true, false) if tile > 1 && run.iter().any(visits_all) => match target.is_eager() {
            true => EAGER_ROWS,
            false => GROUP_ROWS,
        },
        (true, false) if tile > 1 && run.len() > 1 => FUSED_ROWS,
        (true, false) if tile > 1 => GRID_ROWS,
        (true, false) => 1,
        (false, _) => {
            let inner = run.iter().map(|site| streamed(site)).max().unwrap_or(1);
            GRID_WORK.div_ceil(work.saturating_mul(inner).max(1))
        }
    };
    nearest(extent, wanted.max(tile), unit(run, axis))
}

/// Whether the operands that a group streams past each block of rows do not stay in a near cache from one block to the
/// next, on a core that would wait for them.
fn streams_far(run: &[Site<'_>], target: &Target) -> bool {
    let grid: AxisSet =
        run.iter().flat_map(|site| site.phase.grid.iter().map(|&(axis, _)| axis)).collect();
    let bytes = |site: &Site<'_>| {
        let (plan, pass) = (site.plan, &site.plan.passes[site.position]);
        let found = contractions(plan, pass, site.config.vector);
        let streamed = found.iter().filter_map(|found| match found.b {
            Expr::Load(buffer) if pass.group.is_some() => Some(&plan.values[buffer.index()]),
            _ => None,
        });
        let axes = |axes: &[AxisId]| axes.iter().copied().collect::<AxisSet>() - grid;
        streamed.map(|value| value.dtype.bytes_of(plan.axes.volume(axes(&value.axes)))).sum::<u64>()
    };
    target.is_eager() && run.iter().map(bytes).sum::<u64>() > target.memory_bytes("L2") / 2
}

/// Whether a pass is of a group that leaves out blocks of its stream.
fn skips(site: &Site<'_>) -> bool {
    site.plan.passes[site.position].group.is_some() && site.shape.skips
}

/// Whether a pass is of a group that visits all of its stream.
fn visits_all(site: &Site<'_>) -> bool {
    site.plan.passes[site.position].group.is_some() && !site.shape.skips
}

/// Elements that a pass touches for each element of its grid block.
fn streamed(site: &Site<'_>) -> u64 {
    let grid: AxisSet = site.phase.grid.iter().map(|&(axis, _)| axis).collect();
    let group = site.plan.passes[site.position].group;
    let in_group = |axis: &AxisId| site.phase.stream_step(group, *axis).is_some();
    let blocks: AxisSet = site.shape.all_axes().filter(in_group).collect();
    let whole = site.plan.axes.volume(site.shape.all_axes().collect::<AxisSet>() - grid - blocks);
    blocks.iter().fold(whole, |all, axis| all.saturating_mul(site.step(axis))).max(1)
}

/// What a step along the axis has to be a multiple of.
fn unit(run: &[Site<'_>], axis: AxisId) -> u64 {
    run.iter().map(|site| site.tile_unit(axis)).max().unwrap_or(1)
}

/// The largest legal step up to `wanted` that holds whole vectors, or the whole axis.
fn nearest(extent: u64, wanted: u64, unit: u64) -> u64 {
    let legal = |&step: &u64| step.is_multiple_of(unit) || step >= extent;
    let steps = steps(extent);
    let below = steps.iter().copied().filter(legal).filter(|&step| step <= wanted).max();
    below.or_else(|| steps.iter().copied().find(legal)).unwrap_or(1)
}

/// Makes blocks smaller until every thread has a few.
fn share(
    plan: &PassProgram,
    run: &[Site<'_>],
    target: &Target,
    grid: &mut BTreeMap<AxisId, u64>,
    axes: &[(AxisId, u64)],
) {
    let chunks = run.first().map_or(1, |site| {
        let cuts = site.all.cuts(plan, site.position);
        cuts.iter().map(|cut| cut.count).fold(1, u64::saturating_mul)
    });
    // Rows that are read where they lie come fastest in long stretches: a block for each thread, or one for two that
    // share its terms (`splits` cuts them) where the rows come from far.
    let in_place = |site: &Site<'_>| !site.config.pack_b.copies() && site.is_contraction();
    let far = target.memory_bytes("L2").max(1 << 18);
    let is_far = |site: &Site<'_>| {
        is_far(site.plan, &site.plan.passes[site.position], site.config.vector, far)
    };
    let wanted = match target.threads {
        ..=1 => 1,
        threads if run.len() == 1 && run.iter().all(in_place) && run.iter().all(is_far) => {
            if target.is_eager() { threads.div_ceil(2) } else { threads }
        }
        threads if run.len() == 1 && run.iter().all(in_place) => threads,
        threads => threads.saturating_mul(2),
    };
    let wanted = wanted.div_ceil(chunks);
    let packs = |site: &&Site<'_>| site.config.pack_b.copies() || run.len() == 1 && in_place(site);
    let packed = run.iter().find(packs).and_then(|site| site.config.vector);
    let axes = &packed_first(axes, packed)[..];
    for &(axis, _) in axes {
        let extent = plan.axes.extent(axis);
        let tile = run.iter().map(|site| site.config.micro.get(&axis).copied().unwrap_or(1));
        let floor = tile.max().unwrap_or(1).max(unit(run, axis));
        loop {
            let blocks = |(axis, _): &(AxisId, u64)| plan.axes.extent(*axis).div_ceil(grid[axis]);
            let count = axes.iter().map(blocks).fold(1, u64::saturating_mul);
            let step = grid[&axis];
            let smaller = nearest(extent, step / 2, unit(run, axis));
            if count >= wanted || smaller >= step || smaller < floor {
                break;
            }
            grid.insert(axis, smaller);
        }
        if target.threads > 1 && grid[&axis] < extent {
            let others = axes.iter().filter(|(of, _)| *of != axis).map(blocks_of(plan, grid));
            let others = others.fold(chunks, u64::saturating_mul);
            let limits = (floor, unit(run, axis));
            let step = balanced((extent, grid[&axis]), others, target.threads, limits);
            grid.insert(axis, step);
        }
    }
}

/// Blocks of an axis of a grid.
fn blocks_of<'a>(
    plan: &'a PassProgram,
    grid: &'a BTreeMap<AxisId, u64>,
) -> impl Fn(&(AxisId, u64)) -> u64 + 'a {
    |(axis, _)| plan.axes.extent(*axis).div_ceil(grid[axis])
}

/// A step near another one whose blocks all threads finish together: 1000 elements are four blocks of 256 for two threads
/// rather than seven of 144. A step that leaves little over stays; where several others are as good, the largest.
fn balanced(
    (extent, step): (u64, u64),
    others: u64,
    threads: u64,
    (floor, unit): (u64, u64),
) -> u64 {
    let legal = |&next: &u64| {
        next >= floor
            && next.is_multiple_of(unit)
            && next > step / 2
            && next < step.saturating_mul(2)
    };
    // Hundredths of the time that as many threads would take if nothing were left over.
    let time = |step: u64| {
        let blocks = extent.div_ceil(step).saturating_mul(others);
        let turns = blocks.div_ceil(threads).saturating_mul(threads);
        turns.saturating_mul(step).saturating_mul(100) / extent.saturating_mul(others).max(1)
    };
    if time(step) <= BALANCED {
        return step;
    }
    let enough = |&next: &u64| extent.div_ceil(next).saturating_mul(others) >= threads;
    let near = steps(extent).into_iter().filter(legal).filter(enough);
    near.min_by_key(|&next| (time(next) / 3, u64::MAX - next)).unwrap_or(step)
}

/// Axes in the order in which they are cut. Blocks that share what is packed would pack it again, so the axis along
/// which it varies comes first.
fn packed_first(axes: &[(AxisId, u64)], packed: Option<AxisId>) -> Vec<(AxisId, u64)> {
    let mut axes = axes.to_vec();
    axes.sort_by_key(|&(axis, _)| packed != Some(axis));
    axes
}

/// Register tiles no larger than the grid steps of the phase.
fn clip_tiles(plan: &PassProgram, shapes: &[Shape], config: &mut Config, phase: &PhaseConfig) {
    for &pass in &phase.passes {
        for &(axis, _) in phase.grid.iter().filter(|(axis, _)| shapes[pass].axes.contains(axis)) {
            let step = config.passes[phase.head].grid[&axis].min(plan.axes.extent(axis)).max(1);
            let choice = &mut config.passes[pass];
            let unit = if choice.vector == Some(axis) { shapes[pass].lanes } else { 1 };
            let most = step.div_ceil(unit) * unit;
            if choice.micro[&axis] > most {
                choice.micro.insert(axis, most);
            }
        }
    }
}
