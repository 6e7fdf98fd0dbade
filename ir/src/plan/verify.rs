//! The rules a pass program obeys.

use super::PassProgram;

/// Checks the invariants of a pass program.
///
/// # Errors
/// One message for each broken rule.
pub fn verify(program: &PassProgram) -> Result<(), Vec<String>> {
    let _ = program;
    todo!()
}
