//! The register tile of a default schedule.
//!
//! A tile fills the registers with accumulators, and beside them the totals that cut sums need, where that costs less than
//! what a smaller tile loads. Invariant: a tile is one of the space; whether it fits its blocks is settled later.

use super::PassConfig;
use super::ahead::is_far;
use super::defaults::rows;
use super::domain::tiles;
use super::shape::{Shape, contractions, set};
use crate::base::{AxisId, Expr, additions_max};
use crate::plan::{Pass, PassProgram};
use crate::target::Target;

/// Dot products that run side by side.
const DOT_PRODUCTS: u64 = 4;
/// Vectors of a register tile without rows: so much of a row is read at once.
const ROW_VECTORS: u64 = 8;
/// Rows from which on packing the second operand of a contraction pays.
const PACKED_ROWS: u64 = 32;
/// As `PACKED_ROWS` where the operand stays in the second cache (measured: 96 to 256 rows take 4 to 10 % less without a copy).
const PACKED_NEAR_ROWS: u64 = 512;
/// The register tile of fewer rows.
const THIN_VECTORS: u64 = 6;
const THIN_ROWS: u64 = 4;
/// Rows of a tile of three vectors that fills the registers.
const EAGER_TILE_ROWS: u64 = 8;
/// Rows of a scalar scan that run side by side.
const SCAN_ROWS: u64 = 4;

/// Two vectors by as many rows as the registers hold; without rows, up to four vectors.
pub(super) fn guess_tile(
    plan: &PassProgram,
    pass: &Pass,
    shape: &Shape,
    target: &Target,
    config: &mut PassConfig,
) {
    let Some(vector) = config.vector else {
        return scan_rows(plan, shape, config);
    };
    let lanes = shape.lanes;
    if shape.stream.contains(&vector)
        && !contractions(plan, pass, config.vector).is_empty()
        && let Some(&axis) = shape.axes.last()
    {
        config.micro.insert(vector, shape.lanes);
        config.micro.insert(axis, DOT_PRODUCTS.min(plan.axes.extent(axis)).max(1));
        return;
    }
    let rows = rows(plan, pass, config.vector);
    let is_thin = |rows| is_thin(plan, pass, (Some(vector), rows), shape, target);
    let vectors = match rows {
        Some(rows)
            if is_thin(rows) && target.is_eager() && plan.axes.extent(rows) < PACKED_ROWS =>
        {
            let rows = plan.axes.extent(rows).min(EAGER_TILE_ROWS);
            (eager_accumulators(target) / rows).min(THIN_VECTORS)
        }
        Some(rows) if is_thin(rows) && !target.is_eager() => THIN_VECTORS,
        Some(_) if has_totals(plan, shape, target) => {
            row_vectors(plan.axes.extent(vector), lanes, target)
        }
        Some(_) => 2,
        None if !contractions(plan, pass, config.vector).is_empty() => ROW_VECTORS,
        // One value a row: more of them only make the blocks of rows larger, which have to stay in a cache.
        None if is_of_rows(plan, pass) => 1,
        None => 4,
    };
    let count = (1..=vectors).rev().find(|&count| {
        count == 1
            || (count * lanes <= plan.axes.extent(vector)
                && (count * (shape.states + 1)) < target.vector_registers)
    });
    let count = count.unwrap_or(1);
    config.micro.insert(vector, count * lanes);
    if let Some(rows) = rows {
        // Where a multiply-add overwrites a factor, and a loop moves its accumulators, half of the registers hold
        // accumulators without spills (measured). Else all do but for the vectors of a row and one broadcast.
        let most = match target.accumulates_in_place {
            // Each accumulator has a total beside it.
            true if has_totals(plan, shape, target) && target.is_eager() => {
                eager_accumulators(target) - epilogue_registers(shape) / 2
            }
            true if is_thin(rows) => THIN_ROWS * count,
            true if has_totals(plan, shape, target) => (target.vector_registers - count - 1) / 2,
            true => target.vector_registers.saturating_sub(count + 1 + epilogue_registers(shape)),
            false => target.vector_registers / 2,
        };
        let fits = |&tile: &u64| tile * count * shape.states <= most;
        let even = |&tile: &u64| tile < 5 || tile.is_multiple_of(2) || target.is_eager();
        let values = tiles(plan.axes.extent(rows), lanes, true);
        let best = values.into_iter().filter(fits).filter(even).filter(|&tile| tile <= 16).max();
        config.micro.insert(rows, best.unwrap_or(1));
    }
}

/// Whether a map of a group has one value for all of its stream.
fn is_of_rows(plan: &PassProgram, pass: &Pass) -> bool {
    let apart = |group: usize| set(&plan.groups[group]).is_disjoint(set(&pass.axes));
    pass.stream.is_empty() && pass.group.is_some_and(apart)
}

/// Rows from which on packing the second operand of a contraction pays: where multiply-adds are fast, a copy is dear,
/// unless it spares a conversion or the operand lies across the vectors.
pub(super) fn packed_rows(
    plan: &PassProgram,
    pass: &Pass,
    vector: Option<AxisId>,
    target: &Target,
) -> u64 {
    let found = contractions(plan, pass, vector);
    let is_plain = found.iter().all(|found| match found.b {
        Expr::Load(buffer) => plan.values[buffer.index()].axes.last().copied() == vector,
        _ => false,
    });
    let near = target.memory_bytes("L2") / 2;
    match target.is_eager() && is_plain {
        true if !is_far(plan, pass, vector, near) => PACKED_NEAR_ROWS,
        true => 2 * PACKED_ROWS,
        false => PACKED_ROWS,
    }
}

/// Whether so few rows share the second operand that it is read where it lies: then much of a row at once counts more
/// than totals in registers, and blocks are as short as a chain may be.
pub(super) fn is_thin(
    plan: &PassProgram,
    pass: &Pass,
    (vector, rows): (Option<AxisId>, AxisId),
    shape: &Shape,
    target: &Target,
) -> bool {
    plan.axes.extent(rows) < packed_rows(plan, pass, vector, target)
        && has_totals(plan, shape, target)
}

/// Whether the sums of a tile are so long that they are cut, and registers are so many that partial results stand in them.
fn has_totals(plan: &PassProgram, shape: &Shape, target: &Target) -> bool {
    let terms = plan.axes.volume(shape.stream.iter().copied().collect());
    shape.rounds && target.vector_registers >= 32 && terms > additions_max(terms)
}

/// Accumulators of a tile whose totals stand in memory: what a cut costs is less than what a small tile loads where two
/// multiply-adds begin in a cycle (measured: 8 x 48 takes 0.85 of the time of 4 x 48).
fn eager_accumulators(target: &Target) -> u64 {
    target.vector_registers * 3 / 4
}

/// Vectors of a register tile of few rows: three load least, two leave less of a short row. With more accumulators all
/// load as little, and what is left of a row counts.
fn row_vectors(extent: u64, lanes: u64, target: &Target) -> u64 {
    let vectors = extent.div_ceil(lanes.max(1));
    match target.is_eager() {
        true => [4, 3].into_iter().find(|&count| vectors.is_multiple_of(count)).unwrap_or(2),
        false if vectors >= 12 || vectors.is_multiple_of(3) => 3,
        false => 2,
    }
}

/// Registers for what is computed of a sum: masks, scales and numbers of its functions.
fn epilogue_registers(shape: &Shape) -> u64 {
    let operations = shape.parts.iter().flat_map(|part| part.operations.iter());
    if operations.map(|(_, count)| count).sum::<u64>() > 3 { 8 } else { 0 }
}

/// A scan waits for every addition, so several rows run side by side where no vector does.
fn scan_rows(plan: &PassProgram, shape: &Shape, config: &mut PassConfig) {
    let rows = shape.free_axes().filter(|&axis| plan.axes.extent(axis) > 1);
    if let (Some(rows), Some(_)) = (rows.last(), shape.scan) {
        config.micro.insert(rows, SCAN_ROWS.min(plan.axes.extent(rows)));
    }
}
