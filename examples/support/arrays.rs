//! The arrays of a kernel for the examples that call it: random inputs, outputs of zeros.
//!
//! Invariant: both are in signature order, and equal from run to run.

use crate::memory::Buffer;
use std::io;
use tilewright::BoundKernel;
use tilewright::ir::reference::{Family, draw};

/// The seed of the inputs.
const SEED: u64 = 1;

/// Inputs and outputs.
///
/// # Errors
/// When there is no memory.
pub(crate) fn arrays(bound: &BoundKernel) -> io::Result<(Vec<Buffer>, Vec<Buffer>)> {
    let graph = bound.graph();
    let drawn = draw(graph, Family::Normal, SEED);
    let inputs = drawn.iter().map(|tensor| Buffer::of(&tensor.bytes)).collect::<io::Result<_>>()?;
    let zeros = graph.outputs.iter().map(|output| {
        let count: u64 = output.tensor.shape(&graph.axes).iter().product();
        Buffer::new(output.tensor.dtype.bytes_of(count) as usize)
    });
    Ok((inputs, zeros.collect::<io::Result<_>>()?))
}
