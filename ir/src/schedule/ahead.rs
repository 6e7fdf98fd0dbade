//! Which passes may fetch what the next grid iteration reads, and which do by default.
//!
//! The first pass of a phase that reads a tensor waits for memory, while those behind it find their block in a cache and
//! leave the memory idle. So a later one, the longest, fetches the next block (measured: a softmax of rows of 4096
//! elements takes 5.0 instead of 8.4 ms). A contraction of few rows reads its second operand once, a strip of each of its
//! rows for every register tile, and fetches the next strip (16 rows by 64 MiB: 5.0 instead of 8.4 ms).
//! Invariant: who may fetch depends on the plan and the target alone.

use super::defaults::rows;
use super::shape::{Shape, contractions, set};
use super::{Config, PassConfig, PhaseConfig};
use crate::base::{AxisId, BufferId, Expr};
use crate::plan::{Pass, PassProgram, ValueKind};
use crate::target::Target;

/// Whether a pass may fetch ahead: it contracts, or it reads a tensor that an earlier one has read.
pub(super) fn may_fetch(plan: &PassProgram, shapes: &[Shape], position: usize) -> bool {
    contracts(plan, shapes, position) || !again(plan, shapes, position).is_empty()
}

fn contracts(plan: &PassProgram, shapes: &[Shape], position: usize) -> bool {
    let vectors = shapes[position].all_axes().map(Some).chain([None]);
    let pass = &plan.passes[position];
    vectors.into_iter().any(|axis| !contractions(plan, pass, axis).is_empty())
}

/// The tensors that a pass reads, itself or by the maps that it may inline, and an earlier one has read.
fn again(plan: &PassProgram, shapes: &[Shape], position: usize) -> Vec<BufferId> {
    let pass = &plan.passes[position];
    if contracts(plan, shapes, position)
        || pass.group.is_some()
        || pass.scan.is_some()
        || shapes[position].alone
    {
        return vec![];
    }
    let earlier: Vec<BufferId> =
        plan.passes[..position].iter().flat_map(|pass| tensors(plan, pass)).collect();
    let mut own = read_by(plan, shapes, position);
    own.retain(|buffer| earlier.contains(buffer));
    own
}

/// The tensors that a pass reads, itself or by the maps that it may inline.
fn read_by(plan: &PassProgram, shapes: &[Shape], position: usize) -> Vec<BufferId> {
    let parts = shapes[position].parts.iter().map(|part| part.map.unwrap_or(position));
    parts.flat_map(|of| tensors(plan, &plan.passes[of])).collect()
}

/// The tensors of more than one axis that a pass itself loads.
fn tensors(plan: &PassProgram, pass: &Pass) -> Vec<BufferId> {
    let mut found = vec![];
    let mut note = |expr: &Expr| {
        if let Expr::Load(buffer) = expr
            && !found.contains(buffer)
        {
            let value = &plan.values[buffer.index()];
            if value.kind == ValueKind::Input && value.axes.len() > 1 {
                found.push(*buffer);
            }
        }
    };
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    found
}

/// Lets contractions of few rows fetch ahead, except of one row where a core begins two multiply-adds in a cycle: there the
/// hardware fetches whole rows in time, and more requests only delay its own (measured on two threads: a fifth to a half).
///
/// Lets the longest of the passes that read a tensor once more fetch its next block, in each phase and for each tensor
/// that no near cache holds.
pub(super) fn guess(plan: &PassProgram, shapes: &[Shape], target: &Target, config: &mut Config) {
    let far = target.memory_bytes("L2").max(1 << 18);
    for position in 0..plan.passes.len() {
        let pass = &mut config.passes[position];
        let waits = !target.is_eager() || rows(plan, &plan.passes[position], pass.vector).is_some();
        pass.ahead |= waits && reads_far(plan, position, pass, far);
    }
    for phase in config.phases(plan) {
        let Some((axis, _)) = next(plan, &phase) else { continue };
        let (first, rest) = phase.passes.split_first().expect("a phase has passes");
        for buffer in read_by(plan, shapes, *first) {
            let value = &plan.values[buffer.index()];
            let bytes = value.dtype.bytes_of(plan.axes.volume(set(&value.axes)));
            if bytes <= far || !value.axes.contains(&axis) {
                continue;
            }
            let readers = rest.iter().copied().filter(|&position| {
                let inlined = |of: &usize| *of == position || !config.passes[*of].stored;
                let parts = shapes[position].parts.iter().map(|part| part.map.unwrap_or(position));
                let reads = parts
                    .filter(inlined)
                    .any(|of| tensors(plan, &plan.passes[of]).contains(&buffer));
                reads && again(plan, shapes, position).contains(&buffer)
            });
            let longest = readers.max_by_key(|&position| (operations(&shapes[position]), position));
            if let Some(position) = longest {
                config.passes[position].ahead = true;
            }
        }
    }
}

/// Whether a contraction reads its second operand where it lies, and that is in no near cache.
fn reads_far(plan: &PassProgram, position: usize, config: &PassConfig, far: u64) -> bool {
    let pass = &plan.passes[position];
    let along_result = config.vector.is_some_and(|axis| pass.axes.contains(&axis));
    along_result
        && !config.pack_b.copies()
        && pass.group.is_none()
        && is_far(plan, pass, config.vector, far)
}

/// Whether a second operand of a contraction has more bytes than a near cache.
pub(super) fn is_far(plan: &PassProgram, pass: &Pass, vector: Option<AxisId>, far: u64) -> bool {
    let found = contractions(plan, pass, vector);
    let mut is_far = false;
    for operand in found.iter().map(|found| &found.b) {
        operand.walk(&mut |part: &Expr| {
            if let Expr::Load(buffer) = part {
                let value = &plan.values[buffer.index()];
                is_far |= value.dtype.bytes_of(plan.axes.volume(set(&value.axes))) > far;
            }
        });
    }
    is_far
}

/// Operations for an element of the pass, with those of the maps that it may inline.
fn operations(shape: &Shape) -> u64 {
    let operations = shape.parts.iter().flat_map(|part| part.operations.iter());
    operations.map(|(_, count)| count).sum()
}

/// The axis of the grid along which the next iteration lies, and its step.
pub(crate) fn next(plan: &PassProgram, phase: &PhaseConfig) -> Option<(AxisId, u64)> {
    let mut steps = phase.grid.iter().rev().copied();
    steps.find(|&(axis, step)| step < plan.axes.extent(axis))
}
