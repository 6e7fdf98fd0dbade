//! Strides of the signature: `A: f32[m,k] strides(1, len(m))`.
//!
//! Strides count elements, one for each dimension; they are sums and products of numbers, constants and extents and may
//! be 0 or negative. Only inputs have them: outputs are row-major.

use super::context::Context;
use crate::base::BinaryOp;
use crate::diag::{Diagnostic, Faults};
use crate::graph::Extent;
use crate::syntax::ast::{Expr, ExprKind, Infix, Kernel, Prefix, TensorDecl};

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
        match self.extent(expr) {
            Ok(extent) => extent,
            Err(fault) => {
                self.fault(*fault);
                None
            }
        }
    }

    /// `Ok(None)` after a fault that is known.
    fn extent(&self, expr: &Expr) -> Result<Option<Extent>, Box<Diagnostic>> {
        let combine = |op: BinaryOp, x: Extent, y: Extent| match op {
            BinaryOp::Add => x.plus(&y),
            BinaryOp::Sub => x.plus(&Extent::number(-1).times(&y)?),
            _ => x.times(&y),
        };
        match &expr.kind {
            ExprKind::Faulty => Ok(None),
            ExprKind::Paren(x) => self.extent(x),
            ExprKind::Prefix(Prefix::Neg, x) => {
                let negated = |x: Extent| Extent::number(-1).times(&x).ok_or_else(|| huge(expr));
                self.extent(x)?.map(negated).transpose()
            }
            ExprKind::Infix(
                Infix::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)),
                x,
                y,
            ) => match (self.extent(x)?, self.extent(y)?) {
                (Some(x), Some(y)) => combine(*op, x, y).map(Some).ok_or_else(|| huge(expr)),
                _ => Ok(None),
            },
            ExprKind::Call(call) if call.name.text == "len" && call.axes.is_none() => {
                self.len_extent(&call.arguments, expr)
            }
            _ => self.number_extent(expr),
        }
    }

    fn len_extent(
        &self,
        arguments: &[Expr],
        expr: &Expr,
    ) -> Result<Option<Extent>, Box<Diagnostic>> {
        let name = match arguments {
            [Expr { kind: ExprKind::Name(name), .. }] => Some(name.as_str()),
            _ => None,
        };
        if let Some(axes) = name.and_then(|name| self.scope.axes.get(name)) {
            let product = axes.iter().try_fold(Extent::number(1), |product, axis| {
                let known = self.builder.axes().extent_if_bound(axis);
                let extent = known.map_or(Some(Extent::len(axis)), |extent| {
                    Some(Extent::number(i64::try_from(extent).ok()?))
                });
                product.times(&extent?)
            });
            return product.map(Some).ok_or_else(|| huge(expr));
        }
        if name.is_some_and(|name| self.split_axes.faulty(name)) {
            return Ok(None);
        }
        let names: Vec<_> = self.scope.axes.keys().copied().collect();
        let fault = Diagnostic::new("TW0210", "`len` takes the name of an axis").at(expr.span);
        Err(Box::new(fault.expected(format!("one of {}", names.join(", ")))))
    }

    fn number_extent(&self, expr: &Expr) -> Result<Option<Extent>, Box<Diagnostic>> {
        if let ExprKind::Name(name) = &expr.kind
            && self.constant(name).is_none()
        {
            let fault = Diagnostic::new("TW0219", "a stride is known before the kernel runs");
            let expected = "sums and products of numbers, constants and `len(axis)`";
            return Err(Box::new(
                fault.at(expr.span).found(format!("`{name}`")).expected(expected),
            ));
        }
        let mut faults = Faults::default();
        let number = self.functions.constants.number(expr, &mut faults);
        if let Some(fault) = faults.into_vec().pop() {
            return Err(Box::new(fault));
        }
        let Some(number) = number else { return Ok(None) };
        let exact = number.value.fract() == 0.0 && number.value.abs() < (1_u64 << 53) as f64;
        if exact { Ok(Some(Extent::number(number.value as i64))) } else { Err(huge(expr)) }
    }
}

fn huge(expr: &Expr) -> Box<Diagnostic> {
    let fault = Diagnostic::new("TW0219", "a stride is a whole number of elements");
    Box::new(fault.at(expr.span).expected("a whole number below 2^53 in magnitude"))
}
