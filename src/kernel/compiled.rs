//! Machine code for one kernel at one size with one schedule, ready to be called.
//!
//! Invariant: buffers reach the code only after every type, shape and stride has been checked.

use super::bound::Origin;
use super::call::{self, Strided};
use crate::error::Error;
use crate::tensor::{Tensor, TensorMut};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use tilewright_cpu::Loaded;
use tilewright_ir::backend::Artifact;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::Schedule;

/// A compiled kernel. Calls from several threads take turns: the code has one workspace.
#[derive(Debug)]
pub struct CompiledKernel {
    graph: Graph,
    schedule: Option<Schedule>,
    origin: Origin,
    strided: Strided,
    loaded: Mutex<Loaded>,
}

impl CompiledKernel {
    pub(super) fn new(
        graph: Graph,
        schedule: Option<Schedule>,
        origin: Origin,
        artifact: &Artifact,
        strided: Strided,
    ) -> Result<Self, Error> {
        let loaded = Mutex::new(Loaded::new(artifact)?);
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
        let read: Vec<Cow<'_, [u8]>> = inputs.iter().map(row_major).collect();
        let read: Vec<&[u8]> = read.iter().map(AsRef::as_ref).collect();
        // A strided output is computed beside and written afterwards.
        let mut beside: Vec<Vec<u8>> = outputs.iter().map(beside).collect();
        let mut written: Vec<&mut [u8]> = vec![];
        for (output, beside) in outputs.iter_mut().zip(&mut beside) {
            written.push(output.bytes_mut().unwrap_or(beside));
        }
        self.call_bytes(&read, &mut written)?;
        for (output, beside) in outputs.iter_mut().zip(&beside) {
            if !output.is_row_major() {
                output.assign(beside);
            }
        }
        Ok(())
    }

    /// As `call`, on dense row-major elements.
    ///
    /// # Errors
    /// When a number of buffers or a byte length differs from the signature; nothing is written then.
    pub fn call_bytes(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), Error> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(loaded.call(inputs, outputs)?)
    }
}

fn row_major<'a>(array: &'a Tensor<'_>) -> Cow<'a, [u8]> {
    array.bytes().map_or_else(|| Cow::Owned(array.to_bytes()), Cow::Borrowed)
}

fn beside(output: &TensorMut<'_>) -> Vec<u8> {
    if output.is_row_major() {
        return vec![];
    }
    let elements: usize = output.shape().iter().product();
    let bytes = output.dtype().bytes_of(elements as u64);
    vec![0; usize::try_from(bytes).expect("an array in memory has fewer than 2^64 bytes")]
}
