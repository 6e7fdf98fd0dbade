//! Strides of the signature: `A: f32[m,k] strides(1, len(m))`.
//!
//! Strides count elements, one for each dimension; they are sums and products of numbers, constants and extents and may
//! be 0 or negative. Only inputs have them: outputs are row-major.

use super::context::Context;
use super::extent::{ExtentReader, Named, Purpose};
use crate::diag::Diagnostic;
use crate::graph::Extent;
use crate::syntax::ast::{Expr, Kernel, TensorDecl};

impl<'a> Context<'a> {
    /// Reads the strides of all tensors, once all axes are known.
    pub(super) fn strides(&mut self, kernel: &'a Kernel) {
        for output in &kernel.outputs {
            if output.strides.is_some() {
                let fault = Diagnostic::new("TW0219", "an output has no strides").at(output.span);
                let fault = fault.expected("an output without strides");
                self.fault(fault.help("outputs are row-major in the order of their axes"));
            }
        }
        for input in &kernel.inputs {
            if let (Some(strides), Some(name)) = (self.strides_of(input), &input.name) {
                self.builder.set_strides(&name.text, strides);
            }
        }
    }

    fn strides_of(&mut self, input: &'a TensorDecl) -> Option<Vec<Extent>> {
        let stated = input.strides.as_ref()?;
        if input.dtype.dtype.is_some_and(|dtype| dtype.bits() < 8) {
            let fault = Diagnostic::new("TW0219", "elements of half a byte have no strides");
            let fault = fault.at(input.span).expected("a tensor without strides");
            self.fault(fault.help("leave the strides out: the tensor is row-major"));
            return None;
        }
        if stated.len() != input.axes.len() {
            let plural = if input.axes.len() == 1 { "" } else { "s" };
            let expected = format!("{} stride{plural}, one for each axis", input.axes.len());
            let fault = Diagnostic::new("TW0219", "the strides do not match the axes");
            let fault = fault.at(input.span).found(stated.len().to_string()).expected(expected);
            self.fault(fault);
            return None;
        }
        let strides: Vec<Option<Extent>> = stated.iter().map(|expr| self.stride(expr)).collect();
        strides.into_iter().collect()
    }

    fn stride(&mut self, expr: &'a Expr) -> Option<Extent> {
        let named = |name: &str| match self.scope.axes.get(name) {
            Some(axes) => Named::Axes(axes.iter().collect()),
            None if self.split_axes.faulty(name) => Named::Faulty,
            None => Named::Unknown,
        };
        let reader = ExtentReader {
            constants: &self.functions.constants,
            axes: self.builder.axes(),
            named: &named,
            names: self.scope.axes.keys().copied().collect(),
            purpose: Purpose::Stride,
        };
        match reader.read(expr) {
            Ok(extent) => extent,
            Err(fault) => {
                self.fault(*fault);
                None
            }
        }
    }
}
