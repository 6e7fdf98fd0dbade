//! From a syntax tree to a tensor graph: names, axes, types, library functions.

use crate::base::Sizes;
use crate::diag::Diagnostic;
use crate::graph::Graph;

/// A checked file: its kernels in text order, each with its named size sets.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// The kernels.
    pub kernels: Vec<CheckedKernel>,
}

/// A checked kernel.
#[derive(Clone, Debug)]
pub struct CheckedKernel {
    /// The operations.
    pub graph: Graph,
    /// The `sizes` sets that follow the kernel, in text order: name and extents.
    pub size_sets: Vec<(String, Sizes)>,
}

/// Parses and checks a kernel file.
///
/// # Errors
/// Every fault of the file that can be seen, in text order.
pub fn check(source: &str) -> Result<CheckedFile, Vec<Diagnostic>> {
    let _ = source;
    todo!()
}
