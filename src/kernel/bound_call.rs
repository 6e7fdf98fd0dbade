//! Code bound to arrays: the arrays are checked once, then a call only runs.
//!
//! A bound call holds its arrays while it lives. Outputs, and inputs that were given to be written, can be reached through
//! it between calls.
//! Invariant: every array fits the signature and lies where the code reads or writes it.

use super::call::{self, Strided};
use crate::error::{CallError, Error};
use crate::tensor::{Element, Tensor, TensorMut};
use ndarray::{ArrayBase, ArrayViewD, ArrayViewMutD, Data, DataMut, Dimension};
use std::fmt;
use tilewright_cpu::{Bound, Input, LoadError, Loaded};
use tilewright_ir::DType;
use tilewright_ir::graph::{Graph, Tensor as Declared};
use zerocopy::FromBytes as _;

/// An array that a bound call reads.
#[derive(Debug)]
pub enum Operand<'a> {
    /// It stays as it is.
    Shared(Tensor<'a>),
    /// It can be written between calls, through the bound call.
    Own(TensorMut<'a>),
}

impl<'a> From<Tensor<'a>> for Operand<'a> {
    fn from(array: Tensor<'a>) -> Self {
        Self::Shared(array)
    }
}

impl<'a> From<TensorMut<'a>> for Operand<'a> {
    fn from(array: TensorMut<'a>) -> Self {
        Self::Own(array)
    }
}

impl<'a, A: Element, S: Data<Elem = A>, D: Dimension> From<&'a ArrayBase<S, D>> for Operand<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        Self::Shared(array.into())
    }
}

impl<'a, A: Element, S: DataMut<Elem = A>, D: Dimension> From<&'a mut ArrayBase<S, D>>
    for Operand<'a>
{
    fn from(array: &'a mut ArrayBase<S, D>) -> Self {
        Self::Own(array.into())
    }
}

/// A compiled kernel with the arrays that it reads and writes, ready to be called again and again.
pub struct BoundCall<'a> {
    bound: Bound<'a>,
    inputs: usize,
    /// Element type and shape of each argument, inputs before outputs.
    arguments: Vec<(DType, Vec<usize>)>,
}

impl fmt::Debug for BoundCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundCall").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

impl BoundCall<'_> {
    /// Computes the outputs from the inputs. Nothing is checked, since everything was when the arrays were bound.
    #[inline]
    pub fn call(&mut self) {
        self.bound.call();
    }

    /// An output, by its position in the signature; `None` if there is no such output of this element type (memory that
    /// was bound as bytes has to be aligned for it).
    pub fn output<A: Element>(&self, position: usize) -> Option<ArrayViewD<'_, A>> {
        let (dtype, shape) = self.arguments.get(self.inputs + position)?;
        let bytes = self.bound.bytes(self.inputs + position).filter(|_| *dtype == A::DTYPE)?;
        let elements = <[A]>::ref_from_bytes(bytes).ok()?;
        ArrayViewD::from_shape(shape.as_slice(), elements).ok()
    }

    /// An input that was given to be written, by its position in the signature; `None` if there is no such input of this
    /// element type.
    pub fn input_mut<A: Element>(&mut self, position: usize) -> Option<ArrayViewMutD<'_, A>> {
        let (dtype, shape) = self.arguments[..self.inputs].get(position)?;
        let bytes = self.bound.bytes_mut(position).filter(|_| *dtype == A::DTYPE)?;
        let elements = <[A]>::mut_from_bytes(bytes).ok()?;
        ArrayViewMutD::from_shape(shape.as_slice(), elements).ok()
    }

    /// The bytes of an output, dense and row-major.
    pub fn output_bytes(&self, position: usize) -> Option<&[u8]> {
        self.bound.bytes(self.inputs + position)
    }

    /// The bytes of an input that was given to be written.
    pub fn input_bytes_mut(&mut self, position: usize) -> Option<&mut [u8]> {
        if position < self.inputs { self.bound.bytes_mut(position) } else { None }
    }
}

/// Binds code to arrays.
pub(super) fn bind<'a>(
    (graph, loaded): (&Graph, &Loaded),
    inputs: Vec<Operand<'a>>,
    outputs: Vec<TensorMut<'a>>,
) -> Result<BoundCall<'a>, Error> {
    let read: Vec<Tensor<'_>> = inputs.iter().map(Operand::tensor).collect();
    call::check(graph, &read, &outputs, Strided::Refuse)?;
    drop(read);
    let bytes = |array: TensorMut<'a>, tensor: &Declared, role| {
        let found = array.strides().to_vec();
        array.into_bytes().ok_or_else(|| {
            let (name, expected) = (tensor.name.clone(), row_major(graph, tensor));
            CallError::Strides { role, name, expected, found }
        })
    };
    let inputs = graph.inputs.iter().zip(inputs).map(|(tensor, input)| match input {
        Operand::Shared(array) => Ok(Input::Shared(array.view())),
        Operand::Own(array) => bytes(array, tensor, "input").map(Input::Own),
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let outputs = graph.outputs.iter().zip(outputs);
    let outputs = outputs.map(|(output, array)| bytes(array, &output.tensor, "output"));
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    Ok(of_buffers((graph, loaded), inputs, outputs)?)
}

/// As `bind`, on memory.
pub(super) fn of_buffers<'a>(
    (graph, loaded): (&Graph, &Loaded),
    inputs: Vec<Input<'a>>,
    outputs: Vec<&'a mut [u8]>,
) -> Result<BoundCall<'a>, LoadError> {
    let bound = loaded.bind(inputs, outputs)?;
    let tensors = graph.inputs.iter().chain(graph.outputs.iter().map(|output| &output.tensor));
    let arguments = tensors.map(|tensor| (tensor.dtype, shape(graph, tensor)));
    Ok(BoundCall { bound, inputs: graph.inputs.len(), arguments: arguments.collect() })
}

impl Operand<'_> {
    fn tensor(&self) -> Tensor<'_> {
        match self {
            Self::Shared(array) => array.reborrow(),
            Self::Own(array) => array.read(),
        }
    }
}

fn shape(graph: &Graph, tensor: &Declared) -> Vec<usize> {
    tensor.shape(&graph.axes).iter().map(|&extent| extent as usize).collect()
}

fn row_major(graph: &Graph, tensor: &Declared) -> Vec<isize> {
    let shape = shape(graph, tensor);
    let behind = |axis: usize| shape[axis + 1..].iter().product::<usize>().cast_signed();
    (0..shape.len()).map(behind).collect()
}
