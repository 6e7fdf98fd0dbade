//! Restricts the streams of passes to chunks where no loop does.
//!
//! Where the numbers of the chunks are blocks of one index of a grid, the loops over the stream visit one chunk. Anywhere
//! else the terms outside of a chunk are made those that change nothing.
//! Invariant: a stream is restricted either by its loop or by its terms.

use crate::base::{Affine, AxisId, BinaryOp, CompareOp, DType, Expr};
use crate::plan::{Chunk, Pass, PassProgram, start_value};
use crate::schedule::{Config, PhaseConfig};
use crate::tile::Bounds;
use std::collections::BTreeMap;

/// The plan with a condition at every term that a loop may visit though it is outside of the chunk.
pub(super) fn mask(mut plan: PassProgram, config: &Config) -> PassProgram {
    let mut masked = vec![];
    for phase in config.phases(&plan) {
        for &position in &phase.passes {
            let pass = &plan.passes[position];
            if pass.stream.is_empty() || plan.is_within(pass) {
                continue;
            }
            let step = |axis| match phase.stream_step(pass.group, axis) {
                Some(step) => step,
                None => config.passes[position].block[&axis].max(1),
            };
            let outside = |chunk: &Chunk| !is_looped(&phase, chunk, step(chunk.of));
            let chunks = plan.chunks_of(pass).filter(outside);
            masked.extend(chunks.map(|chunk| (position, chunk)));
        }
    }
    for (position, chunk) in masked {
        let inside = inside(&chunk);
        for state in &mut plan.passes[position].states {
            let nothing = start_value(state.op, plan.locals[state.local.index()].dtype);
            let nothing = Expr::Literal(nothing);
            state.body = Expr::select(inside.clone(), state.body.clone(), nothing);
        }
    }
    plan
}

/// Whether each iteration of the grid has one chunk, and a loop of this step over the axis whole blocks of it.
fn is_looped(phase: &PhaseConfig, chunk: &Chunk, step: u64) -> bool {
    phase.grid.contains(&(chunk.axis, 1)) && chunk.length.is_multiple_of(step)
}

/// The chunks of a pass that loops of these steps are restricted to.
pub(super) fn looped<'a>(
    plan: &'a PassProgram,
    pass: &'a Pass,
    (phase, steps): (&'a PhaseConfig, &'a [(AxisId, u64)]),
) -> impl Iterator<Item = Chunk> + 'a {
    plan.chunks_of(pass).filter(move |chunk| {
        let step = steps.iter().find(|(of, _)| *of == chunk.of);
        step.is_some_and(|&(_, step)| is_looped(phase, chunk, step))
    })
}

/// Restricts the parts of axes that a loop over the stream of a pass visits to its chunk, where the grid has the number of
/// the chunk.
pub(super) fn restrict(
    plan: &PassProgram,
    pass: &Pass,
    (phase, steps): (&PhaseConfig, &[(AxisId, u64)]),
    bounds: &mut BTreeMap<AxisId, Bounds>,
) {
    for chunk in looped(plan, pass, (phase, steps)) {
        let length = i64::try_from(chunk.length).unwrap_or(i64::MAX);
        let start = Affine { constant: 0, factors: [(chunk.axis, length)].into() };
        let end = Affine { constant: length, ..start.clone() };
        let part = bounds.entry(chunk.of).or_default();
        part.from.push(start);
        part.to.push(end);
    }
}

/// That an index is in the chunk.
fn inside(chunk: &Chunk) -> Expr {
    let length = || Expr::literal(chunk.length as f64, DType::I32);
    let first = || Expr::binary(BinaryOp::Mul, Expr::Index(chunk.axis), length());
    let index = || Expr::Index(chunk.of);
    let behind = Expr::binary(BinaryOp::Add, first(), length());
    let from = Expr::compare(CompareOp::Ge, index(), first());
    let to = Expr::compare(CompareOp::Lt, index(), behind);
    Expr::binary(BinaryOp::And, from, to)
}
