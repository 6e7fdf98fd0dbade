//! The rules a tile program obeys.

use super::TileProgram;
use crate::diag::Diagnostic;
use crate::target::Target;

/// Proves the program legal on the target, or says why not.
///
/// # Errors
/// One diagnostic for each rule that is broken or cannot be proved.
pub fn verify(program: &TileProgram, target: &Target) -> Result<(), Vec<Diagnostic>> {
    let _ = (program, target);
    todo!()
}
