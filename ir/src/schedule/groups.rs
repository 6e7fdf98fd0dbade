//! Good guesses for contractions whose products the target adds in groups.
//!
//! With many rows the second operand is copied in groups once. Few rows do not pay for the copy: they join groups in
//! registers, as often as there are register tiles along the rows, while the operand streams from memory.
//! Invariant: nothing is grouped unless every contraction of the pass can be, by an instruction that is faster.

use super::defaults::rows;
use super::shape::{Shape, contractions};
use super::{Pack, PassConfig};
use crate::base::Expr;
use crate::lower::dots;
use crate::plan::{Pass, PassProgram};
use crate::target::Target;

/// Rows times elements of a group up to which joining costs less than a copy (measured: 24 rows of pairs, 8 of fours).
const JOINED_MAX: u64 = 48;
/// Rows of a register tile, vectors of one that copies, and accumulators of one that joins.
const ROWS: u64 = 8;
const VECTORS: u64 = 3;
const JOINED_ACCUMULATORS: u64 = 16;
/// Groups of a block, copied and joined.
const GROUPS: u64 = 128;
const JOINED_GROUPS: u64 = 64;

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
