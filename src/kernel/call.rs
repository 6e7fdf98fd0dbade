//! The check of a call: do the caller's arrays fit the signature?
//!
//! Invariant: everything is checked before anything is written, and a mismatch names both sides.

use crate::error::CallError;
use crate::tensor::{Tensor, TensorMut};
use tilewright_ir::DType;
use tilewright_ir::base::Sizes;
use tilewright_ir::graph::{Graph, Tensor as Declared};

/// What a call does with an array whose elements do not lie as the signature says, which is row-major if unsaid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strided {
    /// The call fails and says so.
    #[default]
    Refuse,
    /// Inputs are copied before the kernel runs, outputs after it.
    Copy,
    /// The kernel is compiled again for the strides of the inputs, and that code is kept beside the other. Outputs are
    /// copied after the call, as with `Copy`.
    Specialise,
}

/// What most calls give: dense arrays of the types and shapes of the signature.
#[derive(Debug)]
pub(super) struct Signature {
    inputs: Vec<Dense>,
    outputs: Vec<Dense>,
}

#[derive(Debug)]
struct Dense {
    dtype: DType,
    shape: Vec<usize>,
    /// Whether the signature wants row-major order.
    row_major: bool,
}

impl Signature {
    pub(super) fn of(graph: &Graph) -> Self {
        let dense = |tensor: &Declared| Dense {
            dtype: tensor.dtype,
            shape: tensor.shape(&graph.axes).into_iter().map(|extent| extent as usize).collect(),
            row_major: tensor.strides_if_strided(&graph.axes).is_none(),
        };
        let outputs = graph.outputs.iter().map(|output| dense(&output.tensor)).collect();
        Self { inputs: graph.inputs.iter().map(dense).collect(), outputs }
    }

    /// Whether every array is what the signature says and lies in row-major order. If not, `check` tells more.
    pub(super) fn fits(&self, inputs: &[Tensor<'_>], outputs: &[TensorMut<'_>]) -> bool {
        let fits = |dense: &Dense, dtype, shape: &[usize]| {
            dense.row_major && dense.dtype == dtype && dense.shape == shape
        };
        self.inputs.len() == inputs.len()
            && self.outputs.len() == outputs.len()
            && self.inputs.iter().zip(inputs).all(|(dense, array)| {
                fits(dense, array.dtype(), array.shape()) && array.bytes().is_some()
            })
            && self.outputs.iter().zip(outputs).all(|(dense, array)| {
                fits(dense, array.dtype(), array.shape()) && array.is_row_major()
            })
    }
}

/// An array of a call as the check sees it.
struct Given<'a> {
    dtype: DType,
    shape: &'a [usize],
    strides: &'a [isize],
    /// Whether it needs no other look: an output without gaps.
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
        row_major: false,
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
    let expected = declared.dimension_strides(axes).unwrap_or_default();
    if strided == Strided::Refuse
        && !given.row_major
        && !lies(given.shape, given.strides, &expected)
    {
        let expected = expected.into_iter().map(|stride| stride as isize).collect();
        return Err(CallError::Strides {
            role,
            name: name(),
            expected,
            found: given.strides.to_vec(),
        });
    }
    Ok(())
}

/// Whether elements with these strides lie as expected; the stride of an axis of one element says nothing.
fn lies(shape: &[usize], found: &[isize], expected: &[i64]) -> bool {
    let differs = |position: usize| {
        shape[position] > 1 && expected.get(position) != Some(&(found[position] as i64))
    };
    shape.contains(&0) || !(0..shape.len()).any(differs)
}

/// Whether an input lies as the signature says.
pub(super) fn fits(graph: &Graph, declared: &Declared, array: &Tensor<'_>) -> bool {
    let expected = declared.dimension_strides(&graph.axes).unwrap_or_default();
    lies(array.shape(), array.strides(), &expected)
}

/// The fault of an input whose elements cannot lie as the signature says.
pub(super) fn strides_fault(graph: &Graph, declared: &Declared, array: &Tensor<'_>) -> CallError {
    let expected = declared.dimension_strides(&graph.axes).unwrap_or_default();
    CallError::Strides {
        role: "input",
        name: declared.name.clone(),
        expected: expected.into_iter().map(|stride| stride as isize).collect(),
        found: array.strides().to_vec(),
    }
}

/// The strides for which a call is compiled again: of each input that lies elsewhere than the signature says.
pub(super) fn other_strides(graph: &Graph, inputs: &[Tensor<'_>]) -> Vec<Option<Vec<i64>>> {
    let pairs = graph.inputs.iter().zip(inputs);
    pairs
        .map(|(declared, array)| {
            let steps = array.shape().iter().zip(array.strides());
            let strides =
                steps.map(|(&extent, &stride)| if extent > 1 { stride as i64 } else { 0 });
            (!fits(graph, declared, array)).then(|| strides.collect())
        })
        .collect()
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
