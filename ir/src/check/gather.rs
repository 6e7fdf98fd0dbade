//! Subscripts: `X[e, f]` reads the elements of a value at computed places.
//!
//! There is one subscript for each axis of the value. An axis's own name leaves it as it is; any other whole number
//! replaces it, and all replacements happen at once. Invariant: an index in the graph is an `i32`.

use super::context::Context;
use super::value::{Value, WeakOp};
use crate::base::{AxisId, DType};
use crate::diag::{Diagnostic, Span};
use crate::graph::{NodeId, PICKS_MAX};
use crate::syntax::ast::{Expr, Name};

impl<'a> Context<'a> {
    /// `base[indices]`.
    pub(super) fn subscript(&mut self, base: &'a Name, indices: &'a [Expr], span: Span) -> Value {
        let value = self.name(&base.text, base.span);
        let Some(node) = self.node(value, base.span) else { return Value::Faulty };
        let axes = self.builder.dimensions(node);
        if axes.len() != indices.len() {
            return self.wrong_count(&base.text, &axes, indices.len(), span);
        }
        let mut picks = vec![];
        let mut faulty = false;
        for (&axis, index) in axes.iter().zip(indices) {
            let value = self.expr(index);
            if self.is_index_of(value, axis) {
                continue;
            }
            match self.index(value, index) {
                Some(node) => picks.push((axis, node)),
                None => faulty = true,
            }
        }
        if faulty {
            return Value::Faulty;
        }
        if picks.len() > PICKS_MAX {
            let fault = Diagnostic::new("TW0221", "too many axes are replaced at once").at(span);
            let fault = fault.found(picks.len().to_string());
            let fault = fault.expected(format!("at most {PICKS_MAX}"));
            return self.fault(fault.help("name the value so far, and subscript that"));
        }
        Value::Node(self.builder.gather(node, &picks))
    }

    fn wrong_count(&mut self, base: &str, axes: &[AxisId], found: usize, span: Span) -> Value {
        let names = self.builder.axes().names(axes.iter().copied());
        let fault =
            Diagnostic::new("TW0221", format!("`{base}` takes another number of subscripts"));
        let fault = fault.at(span).found(found.to_string());
        self.fault(match axes.is_empty() {
            true => fault.expected("none: it has no axes").help(format!("write `{base}` alone")),
            false => fault
                .expected(format!("one for each of its axes `{names}`, in this order"))
                .help("the name of an axis in its own place leaves the axis as it is"),
        })
    }

    /// Whether a subscript is the name of the axis in whose place it stands.
    fn is_index_of(&self, value: Value, axis: AxisId) -> bool {
        matches!(value, Value::Weak(weak)
            if matches!(self.weak.get(weak).op, WeakOp::Index(of) if of == axis))
    }

    /// The `i32` of a subscript.
    fn index(&mut self, value: Value, expr: &Expr) -> Option<NodeId> {
        let node = match value {
            Value::Weak(weak) if !self.weak.get(weak).fractional => {
                self.settle(weak, DType::I32, expr.span)?
            }
            _ => self.node(value, expr.span)?,
        };
        let dtype = self.dtype(node);
        if dtype.is_integer() {
            return Some(self.builder.cast(DType::I32, node));
        }
        let fault = Diagnostic::new("TW0205", "a subscript is a whole number").at(expr.span);
        let fault = fault.found(format!("`{dtype}`")).expected("an integer");
        self.fault(match dtype.is_float() {
            true => {
                fault.help("round it, `x : i32`; a quotient of whole numbers is `(i : i32) / 2`")
            }
            false => fault.help("choose an index, `where(x, 1, 0)`"),
        });
        None
    }
}
