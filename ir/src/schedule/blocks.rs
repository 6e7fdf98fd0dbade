//! Blocks of contractions that are added in parts.
//!
//! Copies, sums that are read and stored once for each block of terms, and threads that wait all cost time, and what is copied
//! has to stay in the second cache. So steps are compared by a model of the time, in parts of what one product of parts of one
//! term takes, measured on one core.
//! Invariant: the steps hold whole register tiles, or the whole axis.

use super::domain::steps;
use super::shape::contractions;
use super::{Config, Pack, PhaseConfig};
use crate::base::{AxisId, additions_max};
use crate::lower::{Parts, parts};
use crate::plan::PassProgram;
use crate::target::Target;

/// What copying an element takes, of the first and of the second operand, and what adding to a sum takes.
const COPY: (u64, u64) = (800, 500);
const ADD: u64 = 200;
/// What products take of which the lesser come first, in hundredths of the others.
const RISING: u64 = 105;

/// Steps along the rows, the columns and the terms.
#[derive(Clone, Copy)]
struct Blocks {
    rows: u64,
    columns: u64,
    terms: u64,
}

/// Chooses the steps of a phase that is one contraction in parts; whether it is one.
pub(super) fn guess_blocks(
    plan: &PassProgram,
    target: &Target,
    config: &mut Config,
    phase: &PhaseConfig,
) -> bool {
    let (&[position], Some(vector)) = (&phase.passes[..], config.passes[phase.head].vector) else {
        return false;
    };
    let (pass, own) = (&plan.passes[position], &config.passes[position]);
    let found = contractions(plan, pass, Some(vector));
    let found = found.first().and_then(|of| parts(plan, pass, of, target));
    let Some(found) = found.filter(|_| own.pack_b == Pack::Parts) else { return false };
    let (axis, _) = found.depth;
    let volume = plan.axes.volume(pass.stream.iter().copied().collect());
    let others = pass.stream.iter().filter(|&&of| of != axis);
    let inside = others.clone().fold(1, |all: u64, of| all.saturating_mul(own.block[of]));
    let around = others.clone().map(|&of| plan.axes.extent(of).div_ceil(own.block[&of]));
    let around = (inside, around.fold(1, u64::saturating_mul));
    let limit = additions_max(volume);
    let most =
        [false, true].map(|rises| found.block_max(plan.axes.extent(axis), around, limit, rises));
    let most = most.into_iter().flatten().max().unwrap_or(0);
    let of = |axis: AxisId| (axis, plan.axes.extent(axis));
    let [rows, columns] = [of(found.rows), of(vector)].map(|(axis, extent)| {
        let tile = own.micro[&axis];
        let whole = move |step: &u64| step.is_multiple_of(tile) || *step >= extent;
        steps(extent).into_iter().filter(whole).collect::<Vec<u64>>()
    });
    let extent = plan.axes.extent(axis);
    let whole = (extent <= most).then_some(extent);
    let is_legal = |step: u64, rises| {
        let behind = extent.div_ceil(step).saturating_mul(around.1).saturating_sub(1);
        found.additions(step, inside, rises) + behind <= limit
    };
    let few = |step: &u64| *step < extent && is_legal(*step, true);
    let terms: Vec<u64> = (1..=most / found.terms)
        .map(|count| count * found.terms)
        .filter(few)
        .chain(whole)
        .collect();
    let apart = phase.grid.iter().filter(|(of, _)| *of != found.rows && *of != vector);
    let apart = apart.fold(1, |all: u64, (of, _)| all.saturating_mul(plan.axes.extent(*of)));
    let all = rows.iter().flat_map(|&rows| columns.iter().map(move |&columns| (rows, columns)));
    let all = all.flat_map(|(rows, columns)| {
        terms.iter().map(move |&terms| Blocks { rows, columns, terms })
    });
    let extents = Blocks { rows: of(found.rows).1, columns: of(vector).1, terms: extent };
    let near = target.memory_bytes("L2").max(1 << 18) / 4 * 3;
    // The parts of a register tile's rows and columns are read again with every other one: they stay in the nearest cache
    // (measured: with few rows a fifth of the time).
    let nearest = target.memory_bytes("L1").max(1 << 15);
    let tile = (own.micro[&found.rows], own.micro[&vector]);
    let bytes = |(rows, columns), blocks: &Blocks| {
        found.bytes(rows, columns).saturating_mul(blocks.terms).saturating_mul(inside)
    };
    let fits = |blocks: &Blocks| {
        bytes((blocks.rows, blocks.columns), blocks) <= near
            && (blocks.terms <= found.terms || bytes(tile, blocks) <= nearest)
    };
    let time = |blocks: &Blocks| {
        let rises = !is_legal(blocks.terms, false);
        time(&found, *blocks, extents, (apart, target.threads), rises)
    };
    let Some(best) = all.filter(fits).min_by_key(|blocks| (time(blocks), blocks.terms)) else {
        return true;
    };
    let own = &mut config.passes[position];
    own.block.insert(axis, best.terms);
    for &(of, _) in &phase.grid {
        let step = match of {
            of if of == found.rows => best.rows,
            of if of == vector => best.columns,
            _ => 1,
        };
        own.grid.insert(of, step);
    }
    true
}

/// The time of the thread that has most to do.
fn time(
    found: &Parts,
    blocks: Blocks,
    extents: Blocks,
    (apart, threads): (u64, u64),
    rises: bool,
) -> u64 {
    let count = extents.rows.div_ceil(blocks.rows) * extents.columns.div_ceil(blocks.columns);
    let turns = count.saturating_mul(apart).div_ceil(threads.max(1));
    let (rows, columns) = (blocks.rows.min(extents.rows), blocks.columns.min(extents.columns));
    let sums = rows.saturating_mul(columns);
    let products = sums.saturating_mul(extents.terms).saturating_mul(found.products() as u64);
    // In parts of 100 beforehand, so that no product overflows for its sake.
    let products = if rises { (products / 100).saturating_mul(RISING) } else { products };
    let copies = (rows * COPY.0 + columns * COPY.1).saturating_mul(extents.terms);
    let adds = sums.saturating_mul(ADD).saturating_mul(extents.terms.div_ceil(blocks.terms));
    turns.saturating_mul(products.saturating_add(copies).saturating_add(adds))
}
