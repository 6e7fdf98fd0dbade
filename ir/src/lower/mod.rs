//! From a pass program and a schedule to a tile program.
//!
//! The steps, each in its own file: decide the choices (`schedule`), drop the updates of groups that are one block
//! (`whole`), inline the maps that are not stored (`inline`), cut streams into chunks (`split`, `rename`, `chunk`), place
//! the buffers (`place`), write each pass as a loop nest (`nest`) with packed operands (`stream`), or a group of passes
//! as one loop (`group`), and leave out the blocks of their streams that cannot change anything (`skip`).
//! Invariant: the schedule changes the order and the place of the work, never what is computed.

mod chunk;
mod contraction;
mod dots;
mod group;
mod inline;
mod micro;
mod nest;
mod parts;
mod place;
mod rename;
mod skip;
mod split;
mod stream;
mod whole;

pub(crate) use contraction::{Contraction, contraction, is_costly};
pub(crate) use dots::{dots, tiled};
pub(crate) use inline::inline;
pub(crate) use parts::{Parts, parts};
pub(crate) use split::{Cut, Origin, Split, split};
pub(crate) use stream::panel;

use crate::diag::Diagnostic;
use crate::plan::PassProgram;
use crate::schedule::{Config, Schedule, Space, apply_splits, kept};
use crate::target::Target;
use crate::tile::{Phase, TileProgram};
use nest::Nest;
use place::Placer;
use skip::Lets;
pub(crate) use skip::leaves_out;

/// Applies a schedule. A caller with many schedules for one plan keeps the `Space` and uses `lower_in`.
///
/// # Errors
/// The schedule's faults: unknown names, illegal values, broken constraints.
pub fn lower(
    plan: &PassProgram,
    schedule: &Schedule,
    target: &Target,
) -> Result<TileProgram, Vec<Diagnostic>> {
    lower_in(&Space::new(plan, target), schedule)
}

/// Applies a schedule of a space.
///
/// # Errors
/// As `lower`.
pub fn lower_in(space: &Space, schedule: &Schedule) -> Result<TileProgram, Vec<Diagnostic>> {
    let mut program = space.realise(schedule)?;
    let settings = space.canonical(schedule).settings.into_iter();
    program.choices = settings.map(|setting| (setting.name, setting.value.to_string())).collect();
    Ok(program)
}

/// The passes that a schedule of a space makes of its plan: without the maps that are not stored, with every stream cut
/// as chosen.
///
/// # Errors
/// As `lower`.
pub fn passes_in(space: &Space, schedule: &Schedule) -> Result<PassProgram, Vec<Diagnostic>> {
    space.check(schedule)?;
    Ok(space.passes(schedule))
}

/// The plan of the stored passes with every stream cut as chosen, and the choices of those passes.
pub(crate) fn prepared(
    plan: &PassProgram,
    config: &Config,
    target: &Target,
) -> (PassProgram, Config) {
    let (plan, config) = decided(plan, config);
    apply_splits(plan, config, target)
}

/// The passes that are left to write, and their choices. What a group of one block does not need is dropped, unless the
/// space, which counts phases without that, would count others.
fn decided(plan: &PassProgram, config: &Config) -> (PassProgram, Config) {
    let kept_of = |plan: &PassProgram, stored: &[bool]| {
        let (plan, kept) = inline(plan, stored);
        let passes = kept.iter().map(|&pass| config.passes[pass].clone()).collect();
        (plan, Config { form: config.form.clone(), threads: config.threads, passes })
    };
    let given: Vec<bool> = config.passes.iter().map(|pass| pass.stored).collect();
    let (whole, stored) = whole::settle(plan, config);
    let left = kept_of(&whole, &stored);
    if stored == given {
        return left;
    }
    let all = kept_of(&whole, &given);
    if left.1.phases(&left.0).len() == all.1.phases(&all.0).len() { left } else { all }
}

/// The whole lowering on one page: writes the tile program of a decided, legal configuration. The choices are not
/// recorded in it.
pub(crate) fn write(plan: &PassProgram, config: &Config, target: &Target) -> TileProgram {
    let (plan, config) = prepared(plan, config, target);
    let plan = chunk::mask(plan, &config);
    let phases = config.phases(&plan);
    let mut placer = Placer::new(&plan, config.threads, &phases);
    let lets = Lets::new(&plan);
    for phase in &phases {
        let group = placer.open(phase, &kept(&plan, &config, phase));
        let mut body = vec![];
        let same = |a: &usize, b: &usize| {
            let group = plan.passes[*a].group;
            group.is_some() && group == plan.passes[*b].group
        };
        for run in phase.passes.chunk_by(same) {
            if plan.passes[run[0]].group.is_some() {
                group::write((&lets, run), &config, phase, target, (&mut placer, &mut body));
                continue;
            }
            let nest = Nest::new(&lets, run[0], &config.passes[run[0]], phase, target);
            nest.write(&mut placer, &mut body);
        }
        let name = plan.passes[phase.passes[0]].name.clone();
        let grid = crate::tile::Grid { axes: phase.grid.clone(), threads: config.threads };
        placer.program.phases.push(Phase { name, grid, group, body });
    }
    placer.finish()
}
