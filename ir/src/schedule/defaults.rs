//! The two schedules that need no search: the naive loop nest and a good guess.
//!
//! The guess is what a careful author writes first: whole vectors along a contiguous axis, a register tile that fills
//! the registers, blocks that fit the caches, fused passes while what lies between them does.
//! Invariant: both are legal wherever any schedule is; a guess that breaks a rule falls back to smaller choices.

use super::constraint::sites;
use super::domain::steps;
use super::fusion::fuse;
use super::grids::{fill_cache, guess_grids};
use super::shape::{Shape, Touch, contractions, set, stores_output, touched_at};
use super::tiles::{guess_tile, is_thin, packed_rows};
use super::{Config, Pack, PassConfig, ahead, chains, groups, keep, limits, splits, streams};
use crate::base::{AxisId, AxisSet, BufferId, Expr, ExprRef};
use crate::lower::is_costly;
use crate::plan::{Pass, PassProgram};
use crate::target::Target;
use std::collections::BTreeMap;

/// Terms of a contraction in one block.
const CONTRACTION_BLOCK: u64 = 256;
/// Elements of a result outside of the grid that one loop iteration computes.
const INNER_BLOCK: u64 = 512;
/// Rows from which on the transposition of the second operand pays.
const FEW_ROWS: u64 = 16;
/// Bytes of a result, and halves of the last cache, from which on it goes past the caches.
const STREAMED_BYTES: u64 = 8 << 20;
/// Terms of a block of so few rows that nothing is copied.
const THIN_BLOCK: u64 = 64;
/// Terms of a block of one row whose factors come from far: so many rows of them are read side by side, each in its order.
const LONE_BLOCK: u64 = 32;
/// Powers of two up to which the sum of one row is cut in chunks, so that its blocks may be short.
const CHUNK_POWERS_MAX: u32 = 4;
/// Rows that are read side by side without a copy.
const ROWS_APART: u64 = 12;
/// Columns from which on packing the rows of a contraction pays.
const PACKED_COLUMNS: u64 = 128;
/// Elements of a group's stream in one block: its scores stay in the caches while a register tile still has terms to add.
const GROUP_BLOCK: u64 = 192;
/// As `GROUP_BLOCK` where a mask leaves blocks out: shorter ones leave out more.
const MASKED_BLOCK: u64 = 96;
/// As `MASKED_BLOCK` where products take less of the time.
const EAGER_MASKED_BLOCK: u64 = 64;
/// As `GROUP_BLOCK` where what is computed for each block is copied in parts, and with a mask where anything is.
const PARTS_BLOCK: u64 = 128;
/// As `GROUP_BLOCK` with few rows.
const FEW_ROWS_BLOCK: u64 = 1024;
/// As `GROUP_BLOCK` without rows.
const LONE_ROW_BLOCK: u64 = 128;
/// As `GROUP_BLOCK` in a group that contracts nothing: a row that fits the nearest cache is one block.
const GROUP_ROW: u64 = 4096;

/// The scalar loop nest that a C programmer writes: one thread, no tiles, fused while the scratch allows.
pub(super) fn naive(plan: &PassProgram, shapes: &[Shape], target: &Target) -> Config {
    let passes = shapes.iter().map(|shape| naive_pass(plan, shape)).collect();
    let mut config = Config { form: None, threads: 1, passes };
    streams::settle(plan, shapes, &mut config, |_, _| u64::MAX);
    fuse(plan, shapes, target, &mut config, |_, _| true);
    config
}

pub(super) fn naive_pass(plan: &PassProgram, shape: &Shape) -> PassConfig {
    let one = |axis: AxisId| (axis, 1);
    let whole = |axis: AxisId| (axis, plan.axes.extent(axis).max(1));
    let block: BTreeMap<AxisId, u64> = shape.all_axes().map(whole).collect();
    let mut config = PassConfig {
        stored: true,
        fused: false,
        grid: shape.axes.iter().copied().map(one).collect(),
        grid_order: shape.axes.clone(),
        block,
        split: shape.stream.iter().copied().map(one).collect(),
        order: shape.axes.clone(),
        vector: None,
        micro: shape.all_axes().map(one).collect(),
        unroll: 1,
        fetch: 0,
        ahead: false,
        in_output: false,
        streaming: false,
        pack_a: Pack::No,
        pack_b: Pack::No,
        once_b: false,
    };
    let most = chains::additions_max(plan, shape);
    shorten_chain(plan, shape, &mut config.block, (&|_| 1, most));
    chains::cut(plan, shape, &mut config);
    config
}

/// Reduces the steps of the stream until at most `most` terms are added in a row, the outermost first; so many along
/// each axis are added side by side.
fn shorten_chain(
    plan: &PassProgram,
    shape: &Shape,
    block: &mut BTreeMap<AxisId, u64>,
    (side_by_side, most): (&dyn Fn(AxisId) -> u64, u64),
) {
    if !shape.rounds {
        return;
    }
    let row = |axis, step: u64| step.div_ceil(side_by_side(axis));
    for &axis in &shape.stream {
        let rest: u64 = shape
            .stream
            .iter()
            .filter(|&&other| other != axis)
            .fold(1, |all: u64, &other| all.saturating_mul(row(other, block[&other])));
        if rest.saturating_mul(row(axis, block[&axis])) > most {
            let allowed = steps(plan.axes.extent(axis)).into_iter().rev();
            let fits = |&step: &u64| rest.saturating_mul(row(axis, step)) <= most;
            let step = allowed.into_iter().find(fits);
            block.insert(axis, step.unwrap_or(1));
        }
    }
}

/// A good guess. What runs along a seed is cut into chunks.
pub(super) fn default(
    plan: &PassProgram,
    shapes: &[Shape],
    target: &Target,
    (naive, seeds): (&Config, AxisSet),
) -> Config {
    let mut config = Config { form: None, threads: target.threads.max(1), passes: vec![] };
    for (position, shape) in shapes.iter().enumerate() {
        config.passes.push(guess_pass(plan, position, shape, target));
    }
    streams::settle(plan, shapes, &mut config, |group, config| {
        let contracts = plan.members(group).any(|position| {
            rows(plan, &plan.passes[position], config.passes[position].vector).is_some()
        });
        let rows = plan.members(group).filter_map(|position| {
            let axis = rows(plan, &plan.passes[position], config.passes[position].vector)?;
            Some(plan.axes.extent(axis))
        });
        let in_parts = |counts: &dyn Fn(usize) -> bool| {
            let mut members = plan.members(group).filter(|&position| counts(position));
            members.any(|position| config.passes[position].pack_b == Pack::Parts)
        };
        match rows.max() {
            Some(rows) if rows < FEW_ROWS => FEW_ROWS_BLOCK,
            Some(_) if plan.members(group).any(|position| shapes[position].skips) => {
                match in_parts(&|_| true) {
                    true => PARTS_BLOCK,
                    false if target.is_eager() => EAGER_MASKED_BLOCK,
                    false => MASKED_BLOCK,
                }
            }
            Some(_) if in_parts(&|position| plan.is_streaming(&plan.passes[position])) => {
                PARTS_BLOCK
            }
            Some(_) => GROUP_BLOCK,
            None if contracts => LONE_ROW_BLOCK,
            None => GROUP_ROW,
        }
    });
    let half = target.memory_bytes("L2").max(1 << 18) / 2;
    fuse(plan, shapes, target, &mut config, |plan_bytes, parallel| plan_bytes <= half && parallel);
    guess_grids(plan, shapes, target, &mut config);
    fill_cache(plan, shapes, target, &mut config, half);
    let mut cut = config.clone();
    copy_once(plan, shapes, target, &mut config);
    keep::guess(plan, &mut config);
    if splits::guess(plan, shapes, target, &mut cut, seeds) {
        guess_grids(plan, shapes, target, &mut cut);
        fill_cache(plan, shapes, target, &mut cut, half);
        copy_once(plan, shapes, target, &mut cut);
        keep::guess(plan, &mut cut);
        if fits(plan, shapes, target, &cut) {
            ahead::guess(plan, shapes, target, &mut cut);
            return cut;
        }
    }
    if !fits(plan, shapes, target, &config) {
        return fallback(plan, shapes, target, naive);
    }
    ahead::guess(plan, shapes, target, &mut config);
    config
}

/// Copies the second operand once where several iterations of the grid would copy the same part for one product of a group.
/// A copy of a whole product's operand gains nothing: it takes as long to read again.
fn copy_once(plan: &PassProgram, shapes: &[Shape], target: &Target, config: &mut Config) {
    let phases = config.phases(plan);
    let mut chosen = vec![];
    for site in sites(plan, shapes, target, config, &phases) {
        let pass = &plan.passes[site.position];
        let rows = rows(plan, pass, site.config.vector).filter(|_| pass.group.is_some());
        let again = rows.is_some_and(|axis| site.step(axis) < plan.axes.extent(axis));
        if again && site.config.pack_b.copies() && site.is_copied_whole() {
            chosen.push(site.position);
        }
    }
    chosen.into_iter().for_each(|position| config.passes[position].once_b = true);
}

/// Unfused scalar loops where the guess does not fit; the naive nest where those do not fit either.
fn fallback(plan: &PassProgram, shapes: &[Shape], target: &Target, naive: &Config) -> Config {
    let mut config = naive.clone();
    config.passes.iter_mut().for_each(|pass| pass.fused = false);
    let config = Config { threads: target.threads.max(1), ..config };
    if fits(plan, shapes, target, &config) { config } else { naive.clone() }
}

fn fits(plan: &PassProgram, shapes: &[Shape], target: &Target, config: &Config) -> bool {
    let phases = config.phases(plan);
    let sites = sites(plan, shapes, target, config, &phases);
    sites.iter().all(|site| site.faults().is_empty())
        && limits::exceeded(&crate::lower::write(plan, config, target), target).is_none()
}

pub(super) fn guess_pass(
    plan: &PassProgram,
    position: usize,
    shape: &Shape,
    target: &Target,
) -> PassConfig {
    let pass = &plan.passes[position];
    let mut config = naive_pass(plan, shape);
    config.vector = guess_vector(plan, pass, shape, target);
    config.unroll = match rows(plan, pass, config.vector) {
        Some(_) if target.is_eager() => 4,
        Some(_) => 2,
        None if !contractions(plan, pass, config.vector).is_empty() => 1,
        None => 4,
    };
    guess_tile(plan, pass, shape, target, &mut config);
    guess_blocks(plan, pass, shape, target, &mut config);
    guess_packs(plan, pass, target, &mut config);
    groups::guess_groups(plan, pass, shape, target, &mut config);
    guess_order(plan, pass, &mut config);
    let bytes = |result: &crate::plan::PassResult| {
        let value = &plan.values[result.buffer.index()];
        value.dtype.bytes_of(plan.axes.volume(value.axes.iter().copied().collect()))
    };
    let bytes = pass.results.iter().map(bytes).max().unwrap_or(0);
    config.streaming =
        stores_output(plan, pass) && bytes >= STREAMED_BYTES.max(target.memory_bytes("L3") / 2);
    config
}

/// For a contraction with rows to reuse, the contiguous axis of the result; else the axis along which most buffers are
/// contiguous.
fn guess_vector(plan: &PassProgram, pass: &Pass, shape: &Shape, target: &Target) -> Option<AxisId> {
    // A rest of a vector is masked where vectors are wide; then even two lanes at once are better than one.
    let fewest = |axis: &AxisId| match shape.stream.contains(axis) {
        false if target.vector_bytes > 16 => 2,
        _ => shape.lanes.min(4),
    };
    let wide = |axis: &AxisId| plan.axes.extent(*axis) >= fewest(axis);
    let mut buffers: Vec<BufferId> = pass.results.iter().map(|result| result.buffer).collect();
    let mut gathered = vec![];
    let mut note = |expr: &Expr| match expr {
        Expr::Load(buffer) => buffers.push(*buffer),
        Expr::At(..) => gathered.push(touched_at(plan, pass, expr)),
        _ => {}
    };
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    // What a member of a group reads once for each block of its stream counts little.
    let stream = set(&shape.stream);
    if plan.is_streaming(pass) {
        buffers.retain(|&buffer| !plan.buffer(buffer).1.is_disjoint(stream));
        if buffers.is_empty() && gathered.is_empty() {
            return shape.stream.last().copied().filter(wide);
        }
    }
    let near = |axis: AxisId| gathered.iter().all(|touch| !touch.scattered.contains(axis));
    if let Some(&axis) = shape.axes.last().filter(|axis| wide(axis) && near(**axis))
        && let Some(rows) = rows(plan, pass, Some(axis))
    {
        let summed = summed_neighbours(plan, pass, axis).filter(wide);
        let few = plan.axes.extent(rows) < FEW_ROWS;
        return Some(summed.filter(|_| few).unwrap_or(axis));
    }
    let score = |axis: AxisId| {
        let of = |buffer: &BufferId| {
            let axes = &plan.values[buffer.index()].axes;
            match axes.iter().position(|&of| of == axis) {
                Some(place) if place + 1 == axes.len() => 1_i64,
                Some(_) => -1,
                None => 0,
            }
        };
        let at = |touch: &Touch| match touch.adjacent == Some(axis) {
            true => 1_i64,
            false => -i64::from(touch.axes.contains(axis)),
        };
        buffers.iter().map(of).sum::<i64>() + gathered.iter().map(at).sum::<i64>()
    };
    shape
        .free_axes()
        .filter(wide)
        .max_by_key(|&axis| (score(axis), axis))
        .filter(|&axis| score(axis) > 0)
}

/// The summed axis along which the elements of the second operand of a contraction lie side by side.
fn summed_neighbours(plan: &PassProgram, pass: &Pass, vector: AxisId) -> Option<AxisId> {
    let found = contractions(plan, pass, Some(vector));
    let Expr::Load(buffer) = found.first()?.b else { return None };
    let last = plan.values[buffer.index()].axes.last().copied();
    last.filter(|axis| pass.stream.contains(axis))
}

/// The axis of the result with the largest extent along which the first operand of a contraction varies and the second
/// does not: the rows that reuse a vector.
pub(super) fn rows(plan: &PassProgram, pass: &Pass, vector: Option<AxisId>) -> Option<AxisId> {
    let vector = vector.filter(|axis| pass.axes.contains(axis))?;
    let found = contractions(plan, pass, Some(vector));
    let found = found.first()?;
    let only_a = found.a.axes(plan) - found.b.axes(plan);
    let rows = pass.axes.iter().copied().filter(|&axis| only_a.contains(axis));
    rows.filter(|&axis| plan.axes.extent(axis) > 1).max_by_key(|&axis| plan.axes.extent(axis))
}

fn guess_blocks(
    plan: &PassProgram,
    pass: &Pass,
    shape: &Shape,
    target: &Target,
    config: &mut PassConfig,
) {
    for &axis in &shape.stream {
        config.block.insert(axis, plan.axes.extent(axis).max(1));
    }
    let contracts = !contractions(plan, pass, config.vector).is_empty();
    let wide = config.vector.is_some_and(|axis| shape.stream.contains(&axis));
    let chain = chains::additions_max(plan, shape);
    let thin = rows(plan, pass, config.vector)
        .is_some_and(|rows| is_thin(plan, pass, (config.vector, rows), shape, target));
    let far = target.memory_bytes("L2").max(1 << 18);
    let is_far = ahead::is_far(plan, pass, config.vector, far);
    let lone = rows(plan, pass, config.vector).is_none() && pass.group.is_none();
    let most = match contracts && !wide {
        // What is near already stays there, whatever its rows.
        true if thin && (is_far || !target.is_eager()) => THIN_BLOCK.min(chain),
        true if lone && is_far => LONE_BLOCK,
        true => CONTRACTION_BLOCK,
        false => chain,
    };
    let tiles = config.clone();
    let side_by_side = |axis| tiles.side_by_side(axis, shape.lanes);
    shorten_chain(plan, shape, &mut config.block, (&side_by_side, most));
    if lone && is_far && contracts {
        cut_in_chunks(plan, shape, config);
    }
    chains::cut(plan, shape, config);
    if let Some(vector) = config.vector.filter(|axis| shape.stream.contains(axis)) {
        let (step, extent) = (config.block[&vector], plan.axes.extent(vector));
        if step < extent && !step.is_multiple_of(shape.lanes) {
            config.block.insert(vector, shape.lanes);
        }
    }
    for &axis in &shape.axes {
        if plan.axes.extent(axis) > INNER_BLOCK && contracts {
            let tile = config.micro[&axis];
            let step = if INNER_BLOCK.is_multiple_of(tile) { INNER_BLOCK } else { 336 };
            config.block.insert(axis, step);
        }
    }
    for &axis in &shape.stream {
        let fits = config.micro[&axis] <= config.block[&axis].div_ceil(shape.lanes) * shape.lanes;
        if config.vector == Some(axis) && !fits {
            config.micro.insert(axis, shape.lanes);
        }
    }
}

/// Chunks of the longest axis of the stream, so many that short blocks are legal, if they can be.
fn cut_in_chunks(plan: &PassProgram, shape: &Shape, config: &mut PassConfig) {
    let Some(&axis) = shape.stream.iter().max_by_key(|axis| plan.axes.extent(**axis)) else {
        return;
    };
    let fits = |&count: &u64| {
        let mut tried = config.clone();
        tried.split.insert(axis, count);
        let stream = chains::stream_of(shape, |axis| tried.block[&axis], |_| &tried);
        chains::is_cut_well(plan, shape, &stream, &tried)
    };
    if let Some(count) = (0..=CHUNK_POWERS_MAX).map(|power| 1 << power).find(fits) {
        config.split.insert(axis, count);
    }
}

fn guess_packs(plan: &PassProgram, pass: &Pass, target: &Target, config: &mut PassConfig) {
    let found = contractions(plan, pass, config.vector);
    let panel = |operand: &Expr, config: &PassConfig| {
        crate::lower::panel(&pass.axes, operand.axes(plan), config).is_some()
    };
    for found in &found {
        let rows = rows(plan, pass, config.vector).map_or(1, |axis| plan.axes.extent(axis));
        let reused = rows >= packed_rows(plan, pass, config.vector, target);
        // A member of a group copies its operand anew for each block of rows; rows that lie as vectors need it read alone.
        let lies_well = |expr: &Expr| match expr {
            Expr::Load(buffer) => plan.values[buffer.index()].axes.last().copied() == config.vector,
            _ => false,
        };
        let reused_here = reused && !(pass.group.is_some() && lies_well(&found.b));
        if panel(&found.b, config) && (reused_here || is_costly(&found.b, &pass.body_lets)) {
            config.pack_b = Pack::Panel;
        } else if is_costly(&found.b, &pass.body_lets) {
            config.pack_b = Pack::Rows;
        }
        // Fewer rows than a cache has lines at one place need no copy, however far apart they lie.
        let tall = rows_of_tile(config) > ROWS_APART;
        let columns = config.vector.map_or(1, |axis| plan.axes.extent(axis));
        if is_costly(&found.a, &pass.body_lets) {
            config.pack_a = Pack::Rows;
        } else if reused && columns >= PACKED_COLUMNS && matches!(found.a, Expr::Cast(..)) {
            // Converted once instead of for every register tile along the columns.
            config.pack_a = Pack::Rows;
        } else if reused && columns >= PACKED_COLUMNS && tall && panel(&found.a, config) {
            config.pack_a = Pack::Panel;
        }
    }
}

/// Where the second operand is read where it lies, all rows of a strip of it before the next strip.
fn guess_order(plan: &PassProgram, pass: &Pass, config: &mut PassConfig) {
    let streams = pass.group.is_none() && !config.pack_b.copies();
    if let Some(rows) = rows(plan, pass, config.vector).filter(|_| streams) {
        config.order.retain(|&axis| axis != rows);
        config.order.push(rows);
    }
}

/// Rows of the register tile.
fn rows_of_tile(config: &PassConfig) -> u64 {
    let others = config.micro.iter().filter(|(axis, _)| config.vector != Some(**axis));
    others.map(|(_, &tile)| tile).max().unwrap_or(1)
}
