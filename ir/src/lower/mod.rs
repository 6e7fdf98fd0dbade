//! From a pass program and a schedule to a tile program.

use crate::diag::Diagnostic;
use crate::plan::PassProgram;
use crate::schedule::Schedule;
use crate::target::Target;
use crate::tile::TileProgram;

/// Applies a schedule.
///
/// # Errors
/// The schedule's faults: unknown names, illegal values, broken constraints.
pub fn lower(
    plan: &PassProgram,
    schedule: &Schedule,
    target: &Target,
) -> Result<TileProgram, Vec<Diagnostic>> {
    let _ = (plan, schedule, target);
    todo!()
}
