//! The reference: what a kernel's numbers are, in f64 (double-double for f64 kernels), each with its allowance.

use crate::base::DType;
use crate::graph::Graph;

/// A dense row-major host tensor of raw little-endian elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTensor {
    /// The element type.
    pub dtype: DType,
    /// The extent of each axis, outermost first.
    pub shape: Vec<u64>,
    /// The elements, row-major.
    pub bytes: Vec<u8>,
}

/// One output of the reference: element values and how far an honest result may be from them.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The values, row-major (the high part for f64 kernels).
    pub values: Vec<f64>,
    /// The low parts of the values; empty unless the kernel is judged in double-double.
    pub low: Vec<f64>,
    /// The allowances e, without the half ulp of the output's type.
    pub allowances: Vec<f64>,
    /// Elements whose comparison sides are closer than their allowances.
    pub undecided: u64,
}

/// Evaluates a bound graph: one `Expected` for each output.
pub fn evaluate(graph: &Graph, inputs: &[HostTensor]) -> Vec<Expected> {
    let _ = (graph, inputs);
    todo!()
}
