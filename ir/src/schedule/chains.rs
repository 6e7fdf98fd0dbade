//! How the streams of sums are cut: a term passes through few additions, in its block and in all blocks together.
//!
//! Inside of a block the code cuts the sum again, so neither the longest nor the shortest blocks are legal where a sum is
//! long; about the fourth part of a stream always is.
//! Invariant: `cut` ends with legal steps wherever there are any.

use super::domain::steps;
use super::shape::Shape;
use super::{Pack, PassConfig};
use crate::base::{self, AxisId, Row};
use crate::plan::PassProgram;
use crate::target::tile_additions;

/// Blocks of the stream that one state may pass through.
pub(super) const BLOCKS_MAX: u64 = 1 << 20;

/// Axes of the stream of a pass, each with its step and the number of its chunks.
pub(super) type Steps = [(AxisId, u64, u64)];

/// The stream of a pass whose steps and chunks `step` and `stepper` say.
pub(super) fn stream_of<'a>(
    shape: &Shape,
    step: impl Fn(AxisId) -> u64,
    stepper: impl Fn(AxisId) -> &'a PassConfig,
) -> Vec<(AxisId, u64, u64)> {
    let chunks = |axis| stepper(axis).split.get(&axis).copied().unwrap_or(1).max(1);
    shape.stream.iter().map(|&axis| (axis, step(axis), chunks(axis))).collect()
}

/// The most additions that a term of the stream's sums may pass through.
pub(super) fn additions_max(plan: &PassProgram, shape: &Shape) -> u64 {
    base::additions_max(plan.axes.volume(shape.stream.iter().copied().collect()))
}

/// The number of blocks, of each chunk where there are several.
pub(super) fn blocks(plan: &PassProgram, stream: &Steps) -> u64 {
    let blocks = stream
        .iter()
        .map(|&(axis, step, chunks)| plan.axes.extent(axis).div_ceil(step.max(1)).div_ceil(chunks));
    blocks.fold(1, u64::saturating_mul)
}

/// Blocks behind the first: each adds once more. Chunks of a stream add side by side, and are added up in the end, by a sum
/// of their own.
pub(super) fn behind(plan: &PassProgram, stream: &Steps) -> u64 {
    let chunks = combining(stream.iter().map(|&(_, _, chunks)| chunks));
    blocks(plan, stream).saturating_sub(1).saturating_add(chunks)
}

/// Additions that a term passes through where chunks are added up: the pass that does so cuts its sum as well as it can.
fn combining(chunks: impl Iterator<Item = u64> + Clone) -> u64 {
    match chunks.clone().all(|count| count == 1) {
        true => 0,
        false => {
            let all = chunks.clone().fold(1, u64::saturating_mul);
            Row::new(chunks).additions_min().min(base::additions_max(all))
        }
    }
}

/// Whether a stream of so many terms may have so many chunks, where sums round.
pub(super) fn may_split(terms: u64, extent: u64, chunks: u64) -> bool {
    let chunk = (terms / extent.max(1)).saturating_mul(extent.div_ceil(chunks));
    let blocks = (0..63).map(|power| 1 << power).take_while(|&count| count <= chunk);
    let inside = blocks.map(|count| Row::new([chunk.div_ceil(count)]).additions_min() + count - 1);
    let fewest = inside.min().unwrap_or(0);
    chunks == 1
        || fewest.saturating_add(combining([chunks].into_iter())) <= base::additions_max(terms)
}

/// The fewest additions that a term can pass through in these blocks.
pub(super) fn additions(
    plan: &PassProgram,
    shape: &Shape,
    stream: &Steps,
    config: &PassConfig,
) -> u64 {
    let tiled = shape.tiled.filter(|_| config.pack_b == Pack::Tiles);
    let inside = match tiled {
        Some((depth, terms)) => {
            let counts = stream.iter().map(|&(axis, step, _)| {
                let length = step.min(plan.axes.extent(axis));
                if axis == depth { length.div_ceil(terms) } else { length }
            });
            tile_additions(counts.fold(1, u64::saturating_mul), 1, false)
        }
        None => {
            let steps: Vec<(AxisId, u64)> = stream.iter().map(|of| (of.0, of.1)).collect();
            config.row(&steps, shape.lanes, &plan.axes).additions_min()
        }
    };
    inside.saturating_add(behind(plan, stream))
}

/// Whether blocks are few enough, and neither so long nor so many that additions are too many.
pub(super) fn is_cut_well(
    plan: &PassProgram,
    shape: &Shape,
    stream: &Steps,
    config: &PassConfig,
) -> bool {
    match shape.rounds {
        true => additions(plan, shape, stream, config) <= additions_max(plan, shape),
        false => blocks(plan, stream) <= BLOCKS_MAX,
    }
}

/// The legal steps along the first axis of the stream, the others as they are.
pub(super) fn steps_cut_well(
    plan: &PassProgram,
    shape: &Shape,
    stream: &Steps,
    config: &PassConfig,
) -> Vec<u64> {
    let Some(&(axis, _, chunks)) = stream.first() else { return vec![] };
    let suits = |step: &u64| {
        let tried = [&[(axis, *step, chunks)], &stream[1..]].concat();
        is_cut_well(plan, shape, &tried, config)
    };
    steps(plan.axes.extent(axis)).into_iter().filter(suits).collect()
}

/// Replaces steps of a pass's own stream by the nearest legal ones, the outermost first.
pub(super) fn cut(plan: &PassProgram, shape: &Shape, config: &mut PassConfig) {
    let stream = |config: &PassConfig| stream_of(shape, |axis| config.block[&axis], |_| config);
    for &axis in &shape.stream {
        if is_cut_well(plan, shape, &stream(config), config) {
            return;
        }
        let now = config.block[&axis].max(1);
        let rank = |&step: &u64| {
            let mut tried = config.clone();
            tried.block.insert(axis, step);
            let stream = stream(&tried);
            match is_cut_well(plan, shape, &stream, &tried) {
                true => (0, now.max(step) / now.min(step)),
                false if shape.rounds => (1, additions(plan, shape, &stream, &tried)),
                false => (1, blocks(plan, &stream)),
            }
        };
        if let Some(step) = steps(plan.axes.extent(axis)).into_iter().min_by_key(rank) {
            config.block.insert(axis, step);
        }
    }
}
