//! Whole numbers that depend on extents: strides, and the bounds of a `where` clause.
//!
//! They are sums and products of numbers, constants and `len(axis)`. Extents that the text fixes are numbers.
//! Invariant: a fault of an expression is given once; what depends on a fault that is known is `None`.

use super::constant::Constants;
use crate::base::{AxisId, AxisTable, BinaryOp};
use crate::diag::{Diagnostic, Faults};
use crate::graph::Extent;
use crate::syntax::ast::{Expr, ExprKind, Infix, Prefix};
use std::collections::BTreeSet;

/// What a name stands for inside `len(..)`.
pub(super) enum Named {
    /// An axis, or those of a split.
    Axes(Vec<AxisId>),
    /// Something whose fault is known.
    Faulty,
    Unknown,
}

/// What the number is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Stride,
    Limit,
}

/// Reads such expressions.
pub(super) struct ExtentReader<'r> {
    pub(super) constants: &'r Constants<'r>,
    pub(super) axes: &'r AxisTable,
    pub(super) named: &'r dyn Fn(&str) -> Named,
    /// The names that `named` knows, for messages.
    pub(super) names: Vec<&'r str>,
    pub(super) purpose: Purpose,
}

type Read = Result<Option<Extent>, Box<Diagnostic>>;

/// Whether an expression depends on an extent: on a `len(..)`, or on one of the axes.
pub(super) fn has_extent(expr: &Expr, axes: &BTreeSet<&str>) -> bool {
    match &expr.kind {
        ExprKind::Name(name) => axes.contains(name.as_str()),
        ExprKind::Paren(x) | ExprKind::Prefix(_, x) => has_extent(x, axes),
        ExprKind::Infix(_, x, y) => has_extent(x, axes) || has_extent(y, axes),
        ExprKind::Call(call) => {
            is_len(expr) || call.arguments.iter().any(|argument| has_extent(argument, axes))
        }
        _ => false,
    }
}

fn is_len(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(call) if call.name.text == "len" && call.axes.is_none())
}

impl ExtentReader<'_> {
    /// The number that an expression is in whatever extents. `Ok(None)` after a fault that is known.
    pub(super) fn read(&self, expr: &Expr) -> Read {
        let combine = |op: BinaryOp, x: Extent, y: Extent| match op {
            BinaryOp::Add => x.plus(&y),
            BinaryOp::Sub => x.plus(&Extent::number(-1).times(&y)?),
            _ => x.times(&y),
        };
        match &expr.kind {
            ExprKind::Faulty => Ok(None),
            ExprKind::Paren(x) => self.read(x),
            ExprKind::Prefix(Prefix::Neg, x) => {
                let negated =
                    |x: Extent| Extent::number(-1).times(&x).ok_or_else(|| self.huge(expr));
                self.read(x)?.map(negated).transpose()
            }
            ExprKind::Infix(
                Infix::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul)),
                x,
                y,
            ) => match (self.read(x)?, self.read(y)?) {
                (Some(x), Some(y)) => combine(*op, x, y).map(Some).ok_or_else(|| self.huge(expr)),
                _ => Ok(None),
            },
            ExprKind::Call(call) if is_len(expr) => self.len(&call.arguments, expr),
            _ => self.number(expr),
        }
    }

    fn len(&self, arguments: &[Expr], expr: &Expr) -> Read {
        let named = match arguments {
            [Expr { kind: ExprKind::Name(name), .. }] => (self.named)(name),
            _ => Named::Unknown,
        };
        match named {
            Named::Faulty => Ok(None),
            Named::Axes(axes) => self.product(axes, expr),
            Named::Unknown => {
                let fault = Diagnostic::new("TW0210", "`len` takes the name of an axis");
                let expected = format!("one of {}", self.names.join(", "));
                Err(Box::new(fault.at(expr.span).expected(expected)))
            }
        }
    }

    fn product(&self, axes: Vec<AxisId>, expr: &Expr) -> Read {
        let product = axes.into_iter().try_fold(Extent::number(1), |product, axis| {
            let known = self.axes.extent_if_bound(axis);
            let extent = known.map_or(Some(Extent::len(axis)), |extent| {
                Some(Extent::number(i64::try_from(extent).ok()?))
            });
            product.times(&extent?)
        });
        product.map(Some).ok_or_else(|| self.huge(expr))
    }

    fn number(&self, expr: &Expr) -> Read {
        if let ExprKind::Name(name) = &expr.kind
            && self.constants.find(name).is_none()
        {
            return self.name(name, expr);
        }
        let mut faults = Faults::default();
        let number = self.constants.number(expr, &mut faults);
        if let Some(fault) = faults.into_vec().pop() {
            return Err(Box::new(fault));
        }
        let Some(number) = number else { return Ok(None) };
        let exact = number.value.fract() == 0.0 && number.value.abs() < (1_u64 << 53) as f64;
        if exact { Ok(Some(Extent::number(number.value as i64))) } else { Err(self.huge(expr)) }
    }

    /// In a `where` clause the name of an axis is its extent, on both sides of a comparison.
    fn name(&self, name: &str, expr: &Expr) -> Read {
        match ((self.named)(name), self.purpose) {
            (Named::Axes(axes), Purpose::Limit) => return self.product(axes, expr),
            (Named::Faulty, _) => return Ok(None),
            _ => {}
        }
        let fault = self.fault(expr, "is known before the kernel runs").found(format!("`{name}`"));
        let expected = "sums and products of numbers, constants and `len(axis)`";
        Err(Box::new(fault.expected(expected)))
    }

    fn fault(&self, expr: &Expr, what: &str) -> Diagnostic {
        let (code, subject) = match self.purpose {
            Purpose::Stride => ("TW0219", "a stride"),
            Purpose::Limit => ("TW0216", "a limit"),
        };
        Diagnostic::new(code, format!("{subject} {what}")).at(expr.span)
    }

    fn huge(&self, expr: &Expr) -> Box<Diagnostic> {
        let fault = self.fault(
            expr,
            match self.purpose {
                Purpose::Stride => "is a whole number of elements",
                Purpose::Limit => "is a whole number",
            },
        );
        Box::new(fault.expected("a whole number below 2^53 in magnitude"))
    }
}
