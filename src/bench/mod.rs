//! Kernels ready to be timed: compiled, with buffers of their own, filled with random numbers.
//!
//! `criterion` (a feature of that name) puts a kernel file into a criterion suite. What a call costs here includes no
//! first touch of its buffers: they are written before, and the first call is not timed.
//! Invariant: what is timed is a bound call; the buffers of two `Ready` are never the same.

#[cfg(feature = "criterion")]
pub mod criterion;

use crate::error::Error;
use crate::kernel::{BoundCall, BoundKernel, CompiledKernel};
use std::borrow::Cow;
use tilewright_autotune::stats;
use tilewright_ir::reference::{self, Family, HostTensor, draw};
use tilewright_ir::schedule::Schedule;

/// From so many operations for each byte on, a kernel's rate is told in operations.
const COMPUTES_FROM: f64 = 8.0;

/// A compiled kernel with buffers of its own.
#[derive(Debug)]
pub struct Ready {
    compiled: CompiledKernel,
    inputs: Vec<HostTensor>,
    memory: Vec<Vec<u8>>,
    outputs: Vec<HostTensor>,
}

/// What one call does, for a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// Floating-point operations.
    Operations(u64),
    /// Bytes read and written.
    Bytes(u64),
}

impl Ready {
    /// Compiles a kernel as its calls would: with the store's winner, else the default schedule.
    ///
    /// # Errors
    /// What `BoundKernel::schedule` and `BoundKernel::compile` say.
    pub fn new(bound: &BoundKernel) -> Result<Self, Error> {
        let (schedule, origin) = bound.schedule()?;
        Ok(Self::of(bound, bound.compile_from(schedule, origin)?))
    }

    /// As `new`, with a schedule.
    ///
    /// # Errors
    /// As `BoundKernel::compile`.
    pub fn with_schedule(bound: &BoundKernel, schedule: &Schedule) -> Result<Self, Error> {
        Ok(Self::of(bound, bound.compile(schedule)?))
    }

    /// Buffers for code that is there already.
    pub fn of(bound: &BoundKernel, compiled: CompiledKernel) -> Self {
        let graph = bound.graph();
        let inputs = draw(graph, Family::Normal, 1);
        let memory = reference::memory(graph, &inputs).into_iter().map(Cow::into_owned).collect();
        let outputs = graph.outputs.iter().map(|output| {
            HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&graph.axes))
        });
        Self { compiled, memory, outputs: outputs.collect(), inputs }
    }

    /// The code bound to the buffers; it has been called once, so that everything has been touched.
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn bound_call(&mut self) -> Result<BoundCall<'_>, Error> {
        let read = self.memory.iter().map(Vec::as_slice);
        let written = self.outputs.iter_mut().map(|output| output.bytes.as_mut_slice());
        let mut call = self.compiled.bind_bytes(read, written)?;
        call.call();
        Ok(call)
    }

    /// The values of the inputs.
    pub fn inputs(&self) -> &[HostTensor] {
        &self.inputs
    }

    /// The values of the outputs, once they are computed.
    pub fn outputs(&self) -> &[HostTensor] {
        &self.outputs
    }
}

impl Work {
    /// The work of one call: operations where they take the time, else bytes.
    pub fn of(bound: &BoundKernel) -> Self {
        let work = stats::work(bound.graph());
        if work.flops >= COMPUTES_FROM * work.bytes {
            Self::Operations(work.flops as u64)
        } else {
            Self::Bytes(work.bytes as u64)
        }
    }
}
