//! Machine code for one kernel at one size with one schedule, ready to be called.
//!
//! Invariant: buffers reach the code only after every type, shape and stride has been checked.

use super::bound::Origin;
use super::bound_call::{self, BoundCall, Operand};
use super::call::{self, Signature, Strided};
use crate::error::{CallError, Error};
use crate::tensor::{Tensor, TensorMut};

use tilewright_cpu::{Input, Loaded, View};
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
    /// What is checked first, in a few nanoseconds.
    signature: Signature,
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
        let signature = Signature::of(&graph);
        Ok(Self { graph, schedule, origin, strided, signature, loaded })
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
        if self.signature.fits(inputs, outputs) {
            let read = inputs.iter().map(Tensor::view_dense);
            let written = outputs.iter_mut().map(|output| {
                output.bytes_mut().expect("an array that fits lies in row-major order")
            });
            return Ok(self.loaded.call_with(read, written)?);
        }
        call::check(&self.graph, inputs, outputs, self.strided)?;
        let copies = inputs.iter().enumerate().map(|(position, array)| self.copy(position, array));
        let copies = copies.collect::<Result<Vec<_>, _>>()?;
        let read = inputs.iter().zip(&copies).map(|(array, copy)| match copy {
            Some(bytes) => View::bytes(bytes),
            None => array.view(),
        });
        // A strided output is computed beside and written afterwards.
        let mut beside: Vec<Vec<u8>> = outputs.iter().map(beside).collect();
        let written = outputs.iter_mut().zip(&mut beside);
        let written = written.map(|(output, beside)| output.bytes_mut().unwrap_or(beside));
        self.loaded.call_with(read, written)?;
        for (output, beside) in outputs.iter_mut().zip(&beside) {
            if !output.is_row_major() {
                output.assign(beside);
            }
        }
        Ok(())
    }

    /// Checks the arrays once and binds the code to them. The bound call has a workspace of its own; it may outlive this
    /// kernel, and is the quickest way to call it again and again: a few nanoseconds beyond the work.
    ///
    /// ```
    /// # use ndarray::array;
    /// # use tilewright::Kernel;
    /// # let kernel = Kernel::parse("kernel scaled(x: f32[i], s: f32[i]) -> y: f32[i] { x * s }")?;
    /// let bound = kernel.bind([("i", 2)])?;
    /// let (mut x, s, mut y) = (array![1.0f32, 2.0], array![3.0f32, 3.0], array![0.0f32, 0.0]);
    /// let mut call = bound.compiled()?.bind([(&mut x).into(), (&s).into()], [(&mut y).into()])?;
    /// call.call();
    /// call.input_mut::<f32>(0).unwrap()[0] = 5.0;
    /// call.call();
    /// assert_eq!(call.output::<f32>(0).unwrap().as_slice(), Some(&[15.0, 6.0][..]));
    /// # Ok::<(), tilewright::Error>(())
    /// ```
    ///
    /// # Errors
    /// A wrong count, element type, shape or stride: arrays are never copied here, whatever `Kernel::strided` says.
    pub fn bind<'a>(
        &self,
        inputs: impl IntoIterator<Item = Operand<'a>>,
        outputs: impl IntoIterator<Item = TensorMut<'a>>,
    ) -> Result<BoundCall<'a>, Error> {
        let (inputs, outputs) = (inputs.into_iter().collect(), outputs.into_iter().collect());
        bound_call::bind((&self.graph, &self.loaded), inputs, outputs)
    }

    /// As `bind`, on memory as `call_bytes` takes it.
    ///
    /// # Errors
    /// When a number of buffers or a byte length differs from the signature.
    pub fn bind_bytes<'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a [u8]>,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<BoundCall<'a>, Error> {
        let inputs = inputs.into_iter().map(|bytes| Input::Shared(View::bytes(bytes))).collect();
        let outputs = outputs.into_iter().collect();
        Ok(bound_call::of_buffers((&self.graph, &self.loaded), inputs, outputs)?)
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
