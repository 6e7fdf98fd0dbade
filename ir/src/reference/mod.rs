//! The reference: what a kernel's numbers are, in f64 (double-double for f64 kernels), each with its allowance.
//!
//! `evaluate` runs a bound graph by the rules of the error bound (`rules`), `compare` judges a result by it, `draw`
//! makes the inputs, `shuffle` a fresh case from an old one. An allowance is 0 where every honest computation gets
//! the value exactly and infinite where the element hangs on a comparison that rounding may decide.
//! Invariant: the numbers depend on graph and inputs alone, to the bit, whatever the threads and the chunks.

mod chunk;
mod contract;
mod execute;
mod freedom;
mod gather;
mod indices;
mod inputs;
mod judge;
mod masked;
mod memory;
pub mod naive;
mod pivots;
mod program;
mod real;
mod reduce;
mod rows;
mod rules;
pub(crate) mod scalar;
mod scan;
mod shuffle;
mod steps;
mod tensor;
mod twofold;
mod vanishing;
mod yardstick;

pub use inputs::{
    Family, SCALES, barred_places, draw, integers_are_exact, scaled, scaled_places, special_places,
};
pub use judge::{InterpreterShare, UNDECIDED_MAX, Verdict, Wrong, compare, compare_exact};
pub use memory::{can_lie, collect, memory, memory_of, spread};
pub use shuffle::{Order, Shuffle, permutable_axes, permute, shuffle};
pub use tensor::{half_ulp, integer_range, round_to, wrap_integer, wrap_number};
pub use yardstick::Yardstick;

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// The values, row-major (the high part for f64 kernels).
    pub values: Vec<f64>,
    /// The low parts of the values; empty unless the kernel is judged in double-double.
    pub low: Vec<f64>,
    /// The allowances e, without the half ulp of the output's type; infinite where the element is undecided.
    pub allowances: Vec<f64>,
    /// Elements whose comparison sides are closer than their allowances.
    pub undecided: u64,
}

impl Expected {
    /// Whether more of its elements are undecided than a case that is judged may have.
    pub fn too_undecided(&self) -> bool {
        self.undecided as f64 > UNDECIDED_MAX * self.values.len() as f64
    }
}

/// Evaluates a bound graph: one `Expected` for each output. `inputs` are in signature order and have the types and
/// shapes of the graph's input tensors.
///
/// # Panics
/// When an extent is not bound or an input has another shape than its tensor.
pub fn evaluate(graph: &Graph, inputs: &[HostTensor]) -> Vec<Expected> {
    assert_eq!(graph.inputs.len(), inputs.len(), "one host tensor per input");
    for (tensor, data) in graph.inputs.iter().zip(inputs) {
        let shape: Vec<u64> = tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
        assert_eq!((tensor.dtype, &shape), (data.dtype, &data.shape), "input `{}`", tensor.name);
    }
    if program::Program::needs_twofold(graph) {
        execute::evaluate::<twofold::Twofold>(graph, inputs)
    } else {
        execute::evaluate::<f64>(graph, inputs)
    }
}
