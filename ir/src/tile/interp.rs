//! The meaning of a tile program in f64.

use super::TileProgram;
use crate::reference::HostTensor;

/// Runs a tile program in f64 without rounding: one value list for each output, row-major.
pub fn interpret(program: &TileProgram, inputs: &[HostTensor]) -> Vec<Vec<f64>> {
    let _ = (program, inputs);
    todo!()
}
