//! Good guesses for contractions whose products the target adds in groups.
//!
//! With many rows the second operand is copied in groups once. Few rows do not pay for the copy: they join groups in
//! registers, as often as there are register tiles along the rows, while the operand streams from memory.
//! Invariant: nothing is grouped unless every contraction of the pass can be, by an instruction that is faster.

use super::defaults::rows;
use super::shape::{Shape, contractions};
use super::{Pack, PassConfig, chains};
use crate::base::Expr;
use crate::lower::{dots, parts, tiled};
use crate::plan::{Pass, PassProgram};
use crate::target::{TILE_ROW_BYTES, TILE_ROWS, Target, tile_additions};

/// Rows times elements of a group up to which joining costs less than a copy (measured: 24 rows of pairs, 8 of fours).
const JOINED_MAX: u64 = 48;
/// Rows of a register tile, vectors of one that copies, and accumulators of one that joins.
const ROWS: u64 = 8;
const VECTORS: u64 = 3;
const JOINED_ACCUMULATORS: u64 = 16;
/// Groups of a block, copied and joined.
const GROUPS: u64 = 128;
const JOINED_GROUPS: u64 = 64;

/// Rows from which on tiles pay.
const TILED_ROWS_MIN: u64 = 4;
/// Bytes of a row of the first operand in one block: those of two tiles of columns fill most of the nearest cache.
const TILED_BYTES: u64 = 1024;
/// Rows up to which it counts more that the result is stored once (measured).
const WHOLE_BYTES: u64 = 4096;
/// As `TILED_BYTES` for the rows of one tile: what is copied is used once, so it should not leave the nearest cache (measured).
const THIN_BYTES: u64 = 128;

/// Hundredths of the time of a product of parts: what a product of vectors takes, less what pays for the trouble, and what the
/// copies for each row and column and the sums of each block of terms take (measured from 64 x 64 x 64 to 2048 x 2048 x 2048).
const PLAIN: u64 = 1280;
const COPIES: (u64, u64) = (50_000, 80_000);
const SUMS: u64 = 10_000;
/// Terms from which on parts pay in a group, and in one with a mask (measured at 64 and 128).
const GROUP_TERMS: (u64, u64) = (64, 128);

/// Chooses groups where they pay.
pub(super) fn guess_groups(
    plan: &PassProgram,
    pass: &Pass,
    shape: &Shape,
    target: &Target,
    config: &mut PassConfig,
) {
    let (Some(vector), Some(rows)) = (config.vector, rows(plan, pass, config.vector)) else {
        return;
    };
    let tiled = guess_tiles(plan, pass, shape, target, config);
    if tiled || guess_parts(plan, pass, shape, target, config) {
        return;
    }
    let found = contractions(plan, pass, config.vector);
    let all: Option<Vec<_>> = found.iter().map(|of| dots(plan, pass, of, target)).collect();
    let Some(first) = all.as_ref().and_then(|all| all.first()) else { return };
    if all.iter().flatten().any(|dots| !dots.is_fast(target, plan)) {
        return;
    }
    let (axis, count) = first.depth;
    let (extent, terms) = (plan.axes.extent(rows), plan.axes.extent(axis));
    // What is computed is computed once.
    let is_read = matches!(first.b, Expr::Load(_));
    let joins = is_read && extent.saturating_mul(count) <= JOINED_MAX;
    let block = count * if joins { JOINED_GROUPS } else { GROUPS };
    if config.block.get(&axis).is_some_and(|&step| step > block || step < terms) {
        config.block.insert(axis, block.min(terms));
    }
    let most = plan.axes.extent(vector).div_ceil(shape.lanes).max(1);
    let tile = extent.div_ceil(extent.div_ceil(ROWS));
    if joins {
        config.pack_b = Pack::Join;
        config.pack_a = Pack::No;
        let vectors = (JOINED_ACCUMULATORS / tile).clamp(2, 4);
        config.micro.insert(rows, tile);
        config.micro.insert(vector, vectors.min(most) * shape.lanes);
        return;
    }
    config.pack_b = Pack::Dots;
    if !shape.rounds {
        // Sums that need no totals beside them.
        config.micro.insert(rows, tile);
        config.micro.insert(vector, VECTORS.min(most) * shape.lanes);
    }
}

/// Chooses tiles where they pay; whether it does.
fn guess_tiles(
    plan: &PassProgram,
    pass: &Pass,
    shape: &Shape,
    target: &Target,
    config: &mut PassConfig,
) -> bool {
    let found = contractions(plan, pass, config.vector);
    let all: Option<Vec<_>> = found.iter().map(|of| tiled(plan, pass, of, target)).collect();
    let all = all.unwrap_or_default();
    let (Some(vector), Some(first)) = (config.vector, all.first()) else { return false };
    let (Some((rows, _)), (axis, _)) = (first.tiles, first.depth) else { return false };
    let (extent, columns) = (plan.axes.extent(rows), plan.axes.extent(vector));
    if !pass.axes.contains(&vector) || columns <= shape.lanes / 2 || extent < TILED_ROWS_MIN {
        return false;
    }
    let terms = plan.axes.extent(axis);
    let bytes = first.a.dtype(plan).bytes();
    let mut block = match extent > TILE_ROWS {
        true if terms * bytes <= WHOLE_BYTES => terms,
        true => TILED_BYTES / bytes,
        false => THIN_BYTES / bytes,
    };
    // Each block adds once more, as does each row of tiles in it.
    let most = chains::additions_max(plan, shape);
    let additions = |block: u64| {
        let rows = block.min(terms).div_ceil(TILE_ROW_BYTES / bytes);
        tile_additions(rows, 1, false)
            .saturating_add(terms.div_ceil(block.max(1)).saturating_sub(1))
    };
    if shape.rounds && additions(block) > most {
        let whole =
            (0..=terms.max(1).ilog2()).map(|power| 1 << power).filter(|&of| of >= first.depth.1);
        let nearest = |step: &u64| (additions(*step).max(most), step.abs_diff(block));
        block = whole.min_by_key(nearest).unwrap_or(terms);
    }
    config.block.insert(axis, block.min(terms).max(1));
    let rows_of_tile = if extent > TILE_ROWS { 2 * TILE_ROWS } else { extent };
    let vectors = if extent > TILE_ROWS { 2 } else { 3 };
    config.micro.insert(rows, rows_of_tile);
    config.micro.insert(vector, columns.div_ceil(shape.lanes).clamp(1, vectors) * shape.lanes);
    config.pack_a = Pack::No;
    config.pack_b = Pack::Tiles;
    true
}

/// Chooses parts where they pay; whether it does.
fn guess_parts(
    plan: &PassProgram,
    pass: &Pass,
    shape: &Shape,
    target: &Target,
    config: &mut PassConfig,
) -> bool {
    let found = contractions(plan, pass, config.vector);
    let found = found.first().and_then(|of| parts(plan, pass, of, target));
    let (Some(vector), Some(found)) = (config.vector, found) else { return false };
    let (rows, columns) = (plan.axes.extent(found.rows), plan.axes.extent(vector));
    let (axis, _) = found.depth;
    let terms = plan.axes.volume(pass.stream.iter().copied().collect());
    let others = pass.stream.iter().filter(|&&of| of != axis);
    let steps = others.fold(1, |all: u64, of| all.saturating_mul(config.block[of]));
    let mut around = chains::stream_of(shape, |of| config.block[&of], |_| config);
    around.retain(|&(of, ..)| of != axis);
    let around = (steps, chains::blocks(plan, &around));
    let most = chains::additions_max(plan, shape);
    // A group's blocks are few, and each adds to all of its scores once more.
    let block = found.block_max(plan.axes.extent(axis), around, most, pass.group.is_some());
    let block = block.unwrap_or(0);
    if !pass.axes.contains(&vector) || block < found.terms || rows < TILE_ROWS {
        return false;
    }
    // What a group computes for each block is copied for each block. The shorter blocks of a mask have more to copy.
    let fewest = if shape.skips { GROUP_TERMS.1 } else { GROUP_TERMS.0 };
    let (streams, wide) = (plan.is_streaming(pass), columns >= GROUP_TERMS.1 && !shape.skips);
    if pass.group.is_some() && (terms < fewest || streams && !wide) {
        return false;
    }
    let time = found.products() as u64 * 100 + COPIES.0 / rows + COPIES.1 / columns + SUMS / block;
    if time > PLAIN {
        return false;
    }
    config.block.insert(axis, block);
    config.micro.insert(found.rows, 2 * TILE_ROWS);
    config.micro.insert(vector, 2 * shape.lanes);
    config.pack_a = Pack::No;
    config.pack_b = Pack::Parts;
    true
}
