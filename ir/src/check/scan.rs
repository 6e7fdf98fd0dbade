//! Reductions and scans of one operand: which type they accumulate in, and which axes a scan or a search may name.
//!
//! A scan runs along one axis. A search (`argmax`, `argmin`) over several axes gives the row-major position in the
//! order in which the text names them, which has to be the kernel's.
//! Invariant: the operand of the node that is built has the accumulator's type.

use super::context::Context;
use super::types;
use super::value::Value;
use crate::base::{AxisSet, DType, ReduceOp};
use crate::diag::Diagnostic;
use crate::graph::NodeId;
use crate::syntax::ast::{Call, Expr};

impl Context<'_> {
    /// `sum[axes](x)` and the like; `stated` is the accumulator that the text names.
    pub(super) fn reduce(
        &mut self,
        op: ReduceOp,
        axes: AxisSet,
        (value, argument): (Value, &Expr),
        stated: Option<DType>,
    ) -> Value {
        let folds = op.fold().is_some() && !matches!(op, ReduceOp::All | ReduceOp::Any);
        if let (Value::Weak(weak), None, true) = (value, stated, folds) {
            return Value::Weak(self.weak.reduce(op, axes, weak));
        }
        match self.accumulated(op, op.name(), (value, argument), stated) {
            Some(operand) => Value::Node(self.builder.reduce(op, axes, operand)),
            None => Value::Faulty,
        }
    }

    /// `cumsum[axis](x)` and the like.
    pub(super) fn scan(
        &mut self,
        op: ReduceOp,
        axes: AxisSet,
        call: &Call,
        value: Value,
        stated: Option<DType>,
    ) -> Value {
        let name = call.name.text.as_str();
        let mut list = axes.iter();
        let (Some(axis), None) = (list.next(), list.next()) else {
            let names = self.axis_names(axes);
            let fault = Diagnostic::new("TW0203", format!("`{name}` runs along one axis"));
            let fault = fault.at(call.name.span).found(names).expected("one axis");
            let nested = axes.iter().fold("x".to_string(), |inner, axis| {
                format!("{name}[{}]({inner})", self.builder.axes().name(axis))
            });
            return self.fault(fault.help(format!("run along one after the other: `{nested}`")));
        };
        match self.accumulated(op, name, (value, &call.arguments[0]), stated) {
            Some(operand) => Value::Node(self.builder.scan(op, axis, operand)),
            None => Value::Faulty,
        }
    }

    /// The operand in the type in which it is accumulated; what cannot be is reported.
    fn accumulated(
        &mut self,
        op: ReduceOp,
        name: &str,
        (value, argument): (Value, &Expr),
        stated: Option<DType>,
    ) -> Option<NodeId> {
        let node = match (value, stated) {
            (Value::Weak(weak), Some(dtype)) => {
                let whole = dtype.is_integer() && !self.weak.get(weak).fractional;
                self.settle(weak, if whole { DType::I32 } else { dtype }, argument.span)
            }
            _ => self.node(value, argument.span),
        };
        let node = node?;
        let dtype = self.dtype(node);
        let logical = matches!(op, ReduceOp::All | ReduceOp::Any);
        if logical != (dtype == DType::Bool) {
            let wanted = if logical { "`bool`" } else { "a number" };
            self.wrong_operand(name, dtype, wanted, argument);
            return None;
        }
        let accumulator = stated.unwrap_or_else(|| types::accumulator(op, dtype));
        if accumulator == DType::Bool && !logical || dtype.is_float() && !accumulator.is_float() {
            let fault =
                Diagnostic::new("TW0205", format!("`{accumulator}` cannot accumulate `{dtype}`"));
            let fault = fault.at(argument.span).found(format!("`{dtype}`"));
            let fault = fault.expected("an accumulator of the operand's kind");
            self.fault(fault.help("cast the operand first"));
            return None;
        }
        // Arithmetic in an integer type wraps, so a sum in a narrow one is the low bits of the sum.
        let sums = matches!(op, ReduceOp::Sum | ReduceOp::Product);
        let wraps = sums && types::loses_integers(dtype, accumulator);
        Some(match wraps {
            true => self.builder.wrap(accumulator, node),
            false => self.builder.cast(accumulator, node),
        })
    }

    /// Refuses a search whose axes stand in another order than the kernel's.
    pub(super) fn is_search_in_order(
        &mut self,
        op: ReduceOp,
        list: &[AxisSet],
        call: &Call,
    ) -> bool {
        let search = matches!(op, ReduceOp::Argmax | ReduceOp::Argmin);
        let order: Vec<_> = list.iter().flat_map(|axes| axes.iter()).collect();
        if !search || order.is_sorted() {
            return true;
        }
        let axes = list.iter().fold(AxisSet::EMPTY, |all, &axes| all | axes);
        let expected = format!("`{op}[{}]`", self.builder.axes().names(axes.iter()));
        let message = format!("the axes of `{op}` stand in another order than in the kernel");
        let found: Vec<_> = order.iter().map(|&axis| self.builder.axes().name(axis)).collect();
        let found = format!("`{op}[{}]`", found.join(", "));
        let fault = Diagnostic::new("TW0203", message).at(call.name.span).found(found);
        let help = "the result is the row-major position among the axes in this order";
        self.fault(fault.expected(expected).help(help));
        false
    }
}
