//! Which results wait for their reader in the output that is made of them.
//!
//! A map of exponentials, say, has the shape of the output that they become when they are divided. Kept in scratch, they are
//! stored to lines that are near, but then the output's lines have to come, which nothing is computed beside. Kept in the
//! output, its lines come while exponentials are computed (measured on a core with slow stores to the second cache: a softmax
//! of 256 by 1024 takes two thirds of the time). Outputs that go past the caches are no such place.
//! Invariant: the output's pass reads each element of the result at the place that it stores to, and nothing reads it later.

use super::{Config, PhaseConfig};
use crate::base::{BufferId, Expr};
use crate::plan::{Pass, PassProgram, ValueKind};

/// The pass and the output that a result of a pass may wait in.
pub(super) fn output_of(plan: &PassProgram, position: usize) -> Option<(usize, BufferId)> {
    let [result] = &plan.passes[position].results[..] else { return None };
    let value = &plan.values[result.buffer.index()];
    if value.kind != ValueKind::Intermediate || plan.passes[position].group.is_some() {
        return None;
    }
    let last =
        (0..plan.passes.len()).rfind(|&reader| reads(&plan.passes[reader], result.buffer))?;
    let pass = &plan.passes[last];
    let [output] = &pass.results[..] else { return None };
    let made = &plan.values[output.buffer.index()];
    let alike =
        made.kind == ValueKind::Output && made.dtype == value.dtype && made.axes == value.axes;
    let map = pass.stream.is_empty() && pass.scan.is_none() && pass.group.is_none();
    (alike && map && position < last && !gathers(pass, result.buffer))
        .then_some((last, output.buffer))
}

/// As `output_of`, in a phase that has both passes and does not store past the caches.
pub(super) fn place(
    plan: &PassProgram,
    config: &Config,
    phase: &PhaseConfig,
    position: usize,
) -> Option<BufferId> {
    let (last, output) = output_of(plan, position)?;
    let both = phase.passes.contains(&position) && phase.passes.contains(&last);
    let reader = &config.passes[last];
    let is_past = reader.streaming && reader.vector.is_some();
    (both && !is_past).then_some(output)
}

/// The results of a phase that wait in outputs.
pub(crate) fn kept(
    plan: &PassProgram,
    config: &Config,
    phase: &PhaseConfig,
) -> Vec<(BufferId, BufferId)> {
    let mut found: Vec<(BufferId, BufferId)> = vec![];
    for &position in phase.passes.iter().filter(|&&position| config.passes[position].in_output) {
        let Some(output) = place(plan, config, phase, position) else { continue };
        // One result to an output: two of them may be alive together.
        if found.iter().all(|(_, other)| *other != output) {
            found.push((plan.passes[position].results[0].buffer, output));
        }
    }
    found
}

/// Keeps in outputs whatever can be.
pub(super) fn guess(plan: &PassProgram, config: &mut Config) {
    for phase in config.phases(plan) {
        for &position in &phase.passes {
            let is_kept = place(plan, config, &phase, position).is_some();
            config.passes[position].in_output = is_kept;
        }
    }
}

fn reads(pass: &Pass, buffer: BufferId) -> bool {
    let mut found = false;
    let mut note = |expr: &Expr| found |= expr.read_buffer() == Some(buffer);
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    found
}

fn gathers(pass: &Pass, buffer: BufferId) -> bool {
    let mut found = false;
    let mut note = |expr: &Expr| found |= matches!(expr, Expr::At(of, _) if *of == buffer);
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    found
}
