//! Subscripts: `X[e, f]` reads the elements of a value at computed places.
//!
//! There is one subscript for each axis of the value, or one for each dimension where a split stands for several axes.
//! An axis's own name leaves it as it is; any other whole number replaces it, and all replacements happen at once. The
//! index along a split becomes one along each of its parts. Invariant: an index in the graph is an `i32`.

use super::context::Context;
use super::value::{Value, WeakOp};
use crate::base::{AxisId, BinaryOp, DType};
use crate::diag::{Diagnostic, Span};
use crate::graph::{NodeId, PICKS_MAX};
use crate::syntax::ast::{Expr, ExprKind, Name};

impl<'a> Context<'a> {
    /// `base[indices]`.
    pub(super) fn subscript(&mut self, base: &'a Name, indices: &'a [Expr], span: Span) -> Value {
        let value = self.name(&base.text, base.span);
        let Some(node) = self.node(value, base.span) else { return Value::Faulty };
        let axes = self.builder.dimensions(node);
        let dimensions = match axes.len() == indices.len() {
            true => axes.iter().map(|&axis| vec![axis]).collect(),
            false => self.whole_dimensions(node, &axes),
        };
        if dimensions.len() != indices.len() {
            return self.wrong_count(&base.text, &axes, indices.len(), span);
        }
        let mut picks = vec![];
        let mut faulty = false;
        for (dimension, index) in dimensions.iter().zip(indices) {
            let value = self.expr(index);
            if self.is_index_of(value, dimension, index) {
                continue;
            }
            match self.index(value, index) {
                Some(node) => picks.extend(self.along_parts(dimension, node)),
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

    /// The axes of a value, those of a split together: as the signature has the dimensions of an input, and of any other
    /// value the outermost splits that it has whole.
    fn whole_dimensions(&self, node: NodeId, axes: &[AxisId]) -> Vec<Vec<AxisId>> {
        if let Some(tensor) = self.builder.input_tensor(node) {
            return tensor.dimensions().map(<[AxisId]>::to_vec).collect();
        }
        let mut splits: Vec<&[AxisId]> =
            self.builder.splits().iter().map(|split| split.axes.as_slice()).collect();
        splits.sort_by_key(|split| std::cmp::Reverse(split.len()));
        let mut rest = axes;
        let mut dimensions = vec![];
        while let [first, ..] = rest {
            let split = splits.iter().find(|split| rest.starts_with(split));
            let dimension = split.map_or(vec![*first], |split| split.to_vec());
            rest = &rest[dimension.len()..];
            dimensions.push(dimension);
        }
        dimensions
    }

    /// Whether a subscript is the name of the axis, or of the split, in whose place it stands.
    fn is_index_of(&self, value: Value, dimension: &[AxisId], expr: &Expr) -> bool {
        match (dimension, value, &expr.kind) {
            ([axis], Value::Weak(weak), _) => {
                matches!(self.weak.get(weak).op, WeakOp::Index(of) if of == *axis)
            }
            (_, _, ExprKind::Name(name)) => {
                let named = self.scope.axes.get(name.as_str());
                named.is_some_and(|axes| axes.iter().eq(dimension.iter().copied()))
            }
            _ => false,
        }
    }

    /// The index along each axis of a dimension: of several the digits of the nearest index there is.
    fn along_parts(&mut self, dimension: &[AxisId], index: NodeId) -> Vec<(AxisId, NodeId)> {
        if let [axis] = dimension {
            return vec![(*axis, index)];
        }
        let mut whole = self.extent(dimension[0]);
        for &axis in &dimension[1..] {
            let len = self.extent(axis);
            whole = self.builder.binary(BinaryOp::Mul, whole, len);
        }
        let [zero, one] = [0.0, 1.0].map(|number| self.builder.literal(number, DType::I32));
        let last = self.builder.binary(BinaryOp::Sub, whole, one);
        let below = self.builder.binary(BinaryOp::Min, index, last);
        let mut rest = self.builder.binary(BinaryOp::Max, below, zero);
        let mut picks = vec![];
        for &axis in dimension[1..].iter().rev() {
            let len = self.extent(axis);
            let above = self.builder.binary(BinaryOp::Div, rest, len);
            let start = self.builder.binary(BinaryOp::Mul, above, len);
            picks.push((axis, self.builder.binary(BinaryOp::Sub, rest, start)));
            rest = above;
        }
        picks.push((dimension[0], rest));
        picks.reverse();
        picks
    }

    /// The extent of an axis as an `i32`: the number where the text fixes it.
    fn extent(&mut self, axis: AxisId) -> NodeId {
        let axes = self.builder.axes();
        match axes.extent_if_bound(axis).filter(|_| axes.is_fixed(axis)) {
            Some(extent) => self.builder.literal(extent as f64, DType::I32),
            None => self.builder.len(axis),
        }
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
