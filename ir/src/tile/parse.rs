//! The parser of the tile text.

use super::TileProgram;
use crate::diag::Diagnostic;

/// Parses a tile program. The result still has to be verified.
///
/// # Errors
/// Every fault that can be seen, with its place.
pub fn parse(source: &str) -> Result<TileProgram, Vec<Diagnostic>> {
    let _ = source;
    todo!()
}
