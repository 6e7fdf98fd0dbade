//! Machine code for one kernel at one size with one schedule, ready to be called.
//!
//! Invariant: buffers reach the code only after every type, shape and stride has been checked.

use super::bound::Origin;
use super::call::{self, Strided};
use crate::error::{CallError, Error};
use crate::tensor::{Tensor, TensorMut};

use tilewright_cpu::{Loaded, View};
use tilewright_ir::backend::Artifact;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{self, HostTensor};
use tilewright_ir::schedule::Schedule;

/// A compiled kernel. Calls from several threads run side by side; one of them has the threads of the process, the
/// others run on their own thread.
#[derive(Debug)]
pub struct CompiledKernel {
    graph: Graph,
    schedule: Option<Schedule>,
    origin: Origin,
    strided: Strided,
    loaded: Loaded,
}

impl CompiledKernel {
    pub(super) fn new(
        graph: Graph,
        schedule: Option<Schedule>,
        origin: Origin,
        artifact: &Artifact,
        strided: Strided,
    ) -> Result<Self, Error> {
        let loaded = Loaded::new(artifact)?;
        Ok(Self { graph, schedule, origin, strided, loaded })
    }

    /// The schedule it was compiled with; `None` for a tile program written by hand.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// Where that schedule comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Computes the outputs from the inputs, both in signature order.
    ///
    /// # Errors
    /// A wrong count, element type, shape or stride; nothing is written then.
    pub fn call(&self, inputs: &[Tensor<'_>], outputs: &mut [TensorMut<'_>]) -> Result<(), Error> {
        call::check(&self.graph, inputs, outputs, self.strided)?;
        let copies = inputs.iter().enumerate().map(|(position, array)| self.copy(position, array));
        let copies = copies.collect::<Result<Vec<_>, _>>()?;
        let read = inputs.iter().zip(&copies).map(|(array, copy)| match copy {
            Some(bytes) => View::bytes(bytes),
            None => array.view(),
        });
        let read: Vec<View<'_>> = read.collect();
        // A strided output is computed beside and written afterwards.
        let mut beside: Vec<Vec<u8>> = outputs.iter().map(beside).collect();
        let mut written: Vec<&mut [u8]> = vec![];
        for (output, beside) in outputs.iter_mut().zip(&mut beside) {
            written.push(output.bytes_mut().unwrap_or(beside));
        }

        self.loaded.call_views(&read, &mut written)?;
        for (output, beside) in outputs.iter_mut().zip(&beside) {
            if !output.is_row_major() {
                output.assign(beside);
            }
        }
        Ok(())
    }

    /// An input in the memory that the signature describes, unless it lies so already.
    fn copy(&self, position: usize, array: &Tensor<'_>) -> Result<Option<Vec<u8>>, CallError> {
        let tensor = &self.graph.inputs[position];
        if call::fits(&self.graph, tensor, array) {
            return Ok(None);
        }
        let shape = tensor.axes.iter().map(|&axis| self.graph.axes.extent(axis)).collect();
        let dense = HostTensor { dtype: tensor.dtype, shape, bytes: array.to_bytes() };
        if !reference::can_lie(&self.graph, tensor, &dense) {
            return Err(call::strides_fault(&self.graph, tensor, array));
        }
        Ok(Some(reference::memory_of(&self.graph, tensor, &dense).into_owned()))
    }

    /// As `call`, on memory: each input from its lowest element to its highest (dense row-major elements, unless the
    /// signature states strides), outputs dense and row-major.
    ///
    /// # Errors
    /// When a number of buffers or a byte length differs from the signature; nothing is written then.
    pub fn call_bytes(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), Error> {
        Ok(self.loaded.call(inputs, outputs)?)
    }
}

fn beside(output: &TensorMut<'_>) -> Vec<u8> {
    if output.is_row_major() {
        return vec![];
    }
    let elements: usize = output.shape().iter().product();
    let bytes = output.dtype().bytes_of(elements as u64);
    vec![0; usize::try_from(bytes).expect("an array in memory has fewer than 2^64 bytes")]
}
