//! The printer of the tile text.

use super::TileProgram;

/// The canonical text; `parse(print(p)) == p`.
pub fn print(program: &TileProgram) -> String {
    let _ = program;
    todo!()
}
