//! The check of a call: do the caller's arrays fit the signature?
//!
//! Invariant: everything is checked before anything is written, and a mismatch names both sides.

use crate::error::CallError;
use crate::tensor::{Tensor, TensorMut};
use tilewright_ir::DType;
use tilewright_ir::base::Sizes;
use tilewright_ir::graph::{Graph, Tensor as Declared};

/// What a call does with an array whose elements are not in row-major order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strided {
    /// The call fails and says so.
    #[default]
    Refuse,
    /// Inputs are copied before the kernel runs, outputs after it.
    Copy,
}

/// An array of a call as the check sees it.
struct Given<'a> {
    dtype: DType,
    shape: &'a [usize],
    strides: &'a [isize],
    row_major: bool,
}

/// One side of the signature with the arrays given for it.
struct Side<'a> {
    role: &'static str,
    declared: Vec<&'a Declared>,
    given: Vec<Given<'a>>,
}

fn sides<'a>(
    graph: &'a Graph,
    inputs: &'a [Tensor<'_>],
    outputs: &'a [TensorMut<'_>],
) -> [Side<'a>; 2] {
    let read = inputs.iter().map(|array| Given {
        dtype: array.dtype(),
        shape: array.shape(),
        strides: array.strides(),
        row_major: array.bytes().is_some(),
    });
    let written = outputs.iter().map(|array| Given {
        dtype: array.dtype(),
        shape: array.shape(),
        strides: array.strides(),
        row_major: array.is_row_major(),
    });
    [
        Side { role: "input", declared: graph.inputs.iter().collect(), given: read.collect() },
        Side {
            role: "output",
            declared: graph.outputs.iter().map(|output| &output.tensor).collect(),
            given: written.collect(),
        },
    ]
}

impl Side<'_> {
    fn check_count(&self, graph: &Graph) -> Result<(), CallError> {
        if self.declared.len() == self.given.len() {
            return Ok(());
        }
        let names: Vec<_> = self.declared.iter().map(|tensor| tensor.name.as_str()).collect();
        Err(CallError::Count {
            kernel: graph.name.clone(),
            role: self.role,
            expected: self.declared.len(),
            names: names.join(", "),
            found: self.given.len(),
        })
    }

    fn pairs(&self) -> impl Iterator<Item = (&Declared, &Given<'_>)> {
        self.declared.iter().copied().zip(&self.given)
    }
}

/// Fails unless every array fits the bound graph.
pub(super) fn check(
    graph: &Graph,
    inputs: &[Tensor<'_>],
    outputs: &[TensorMut<'_>],
    strided: Strided,
) -> Result<(), CallError> {
    for side in sides(graph, inputs, outputs) {
        side.check_count(graph)?;
        for (declared, given) in side.pairs() {
            check_array(graph, side.role, declared, given, strided)?;
        }
    }
    Ok(())
}

fn check_array(
    graph: &Graph,
    role: &'static str,
    declared: &Declared,
    given: &Given<'_>,
    strided: Strided,
) -> Result<(), CallError> {
    let (name, axes) = (|| declared.name.clone(), &graph.axes);
    if declared.dtype != given.dtype {
        let (expected, found) = (declared.dtype, given.dtype);
        return Err(CallError::DType { role, name: name(), expected, found });
    }
    if !declared.shape(axes).into_iter().eq(given.shape.iter().map(|&extent| extent as u64)) {
        let found = given.shape.to_vec();
        return Err(CallError::Shape {
            role,
            name: name(),
            expected: graph.show_shape(declared),
            found,
        });
    }
    if !given.row_major && strided == Strided::Refuse {
        let expected = row_major_strides(given.shape);
        return Err(CallError::Strides {
            role,
            name: name(),
            expected,
            found: given.strides.to_vec(),
        });
    }
    Ok(())
}

fn row_major_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * isize::try_from(shape[axis]).unwrap_or(isize::MAX);
    }
    strides
}

/// The extents that the arrays give the axes of an unbound graph.
pub(super) fn sizes_of(
    graph: &Graph,
    inputs: &[Tensor<'_>],
    outputs: &[TensorMut<'_>],
) -> Result<Sizes, CallError> {
    let mut seen = SeenAxes { graph, sizes: Sizes::new(), first: Vec::new() };
    for side in sides(graph, inputs, outputs) {
        side.check_count(graph)?;
        for (declared, given) in side.pairs() {
            seen.add(side.role, declared, given.shape)?;
        }
    }
    Ok(seen.sizes)
}

/// The extents so far, and which tensor gave each.
struct SeenAxes<'a> {
    graph: &'a Graph,
    sizes: Sizes,
    first: Vec<(String, String)>,
}

impl SeenAxes<'_> {
    fn add(
        &mut self,
        role: &'static str,
        declared: &Declared,
        shape_given: &[usize],
    ) -> Result<(), CallError> {
        if declared.dims.len() != shape_given.len() {
            return Err(CallError::Shape {
                role,
                name: declared.name.clone(),
                expected: self.graph.show_shape(declared),
                found: shape_given.to_vec(),
            });
        }
        for (axes, &found) in declared.dimensions().zip(shape_given) {
            let (axis, found) = (self.graph.name_of(axes).to_string(), found as u64);
            match self.sizes.get(&axis) {
                Some(&expected) if expected != found => {
                    let first = self.first.iter().find(|(known, _)| *known == axis);
                    let first = first.map(|(_, tensor)| tensor.clone()).unwrap_or_default();
                    let second = declared.name.clone();
                    return Err(CallError::Axis { axis, first, expected, second, found });
                }
                Some(_) => {}
                None => {
                    self.first.push((axis.clone(), declared.name.clone()));
                    self.sizes.insert(axis, found);
                }
            }
        }
        Ok(())
    }
}
