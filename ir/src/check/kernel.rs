//! One kernel: its signature, its body, its results.
//!
//! Invariant: every axis of a kernel stands in its signature or has the extent that its `where` clause states, so
//! binding the signature's sizes binds all.

use super::context::{Allowance, CONSTANTS, Context};
use super::library::Functions;
use super::value::Value;
use crate::base::{AxisId, AxisSet, CompareOp, DType};
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::{Graph, Output, Tensor};
use crate::syntax::ast::{ConstraintKind, Expr, ExprKind, Kernel, Name, TensorDecl};
use std::collections::BTreeSet;

/// The name of an output to which the text gives none.
const OUTPUT_NAME: &str = "out";

/// A kernel's graph, or its faults; and the functions it called.
pub(super) struct Outcome<'a> {
    pub(super) graph: Result<Graph, Faults>,
    pub(super) called: BTreeSet<&'a str>,
    /// The expressions that were evaluated.
    pub(super) steps: u32,
}

/// Checks one kernel.
pub(super) fn check<'a>(
    functions: &'a Functions<'a>,
    kernel: &'a Kernel,
    allowance: Allowance,
) -> Outcome<'a> {
    let mut ctx = Context::new(functions, &kernel.name.text, allowance);
    let splits = ctx.splits(kernel);
    ctx.split_axes = splits;
    for input in &kernel.inputs {
        ctx.input(input);
    }
    let outputs: Vec<_> = kernel.outputs.iter().map(|output| ctx.output(output)).collect();
    ctx.finish_splits();
    let stated = ctx.stated_axes(kernel);
    ctx.strides(kernel);
    let results = ctx.body(kernel);
    let outputs = ctx.results(kernel, &outputs, &results);
    ctx.require_used(&stated);
    let called = std::mem::take(&mut ctx.called);
    let steps = ctx.steps;
    if !ctx.faults.is_empty() {
        return Outcome { graph: Err(ctx.faults), called, steps };
    }
    for (node, name) in std::mem::take(&mut ctx.inner_names) {
        if !ctx.builder.is_named(node) {
            ctx.builder.name(node, &name);
        }
    }
    // Only a faulty text, whose faults are known, gives no outputs here.
    let graph = outputs.map(|outputs| ctx.builder.finish(outputs)).ok_or_else(Faults::default);
    Outcome { graph, called, steps }
}

impl<'a> Context<'a> {
    /// Declares the axes of a tensor. `None` after a fault.
    fn tensor_axes(&mut self, tensor: &'a TensorDecl) -> Option<Vec<Vec<AxisId>>> {
        let mut dimensions: Vec<Vec<AxisId>> = vec![];
        for name in &tensor.axes {
            let axes = self.named_axes(name)?;
            let twice = axes.iter().find(|axis| dimensions.concat().contains(axis));
            if let Some(&twice) = twice {
                let shown = self.builder.axes().name(twice);
                let message = format!("the tensor has axis `{shown}` twice");
                let fault = Diagnostic::new("TW0212", message).at(name.span);
                self.fault(fault.help("give each axis a name of its own"));
                return None;
            }
            dimensions.push(axes);
        }
        Some(dimensions)
    }

    /// The axes of a name in a signature: one, or those of a split.
    fn named_axes(&mut self, name: &'a Name) -> Option<Vec<AxisId>> {
        let text = name.text.as_str();
        let taken = CONSTANTS.contains(&text) || self.constant(text).is_some();
        if taken || self.scope.values.contains_key(text) {
            let fault = Diagnostic::new("TW0202", format!("`{text}` is already defined"));
            self.fault(fault.at(name.span).help("an axis cannot have the name of a value"));
            return None;
        }
        if self.split_axes.faulty(text) {
            return None;
        }
        let Some(root) = self.split_axes.root_of(text) else {
            return Some(vec![self.axis(text, name.span)?]);
        };
        // All axes of a split come into the table together, so that they are there in its order.
        for leaf in self.split_axes.leaves(root) {
            self.axis(leaf, name.span)?;
        }
        self.declare_family(root);
        self.scope.axes.get(text).map(|axes| axes.iter().collect())
    }

    fn axis(&mut self, text: &'a str, span: Span) -> Option<AxisId> {
        if self.builder.axes().find(text).is_none()
            && self.builder.axes().len() == AxisSet::CAPACITY
        {
            let fault = Diagnostic::new("TW0213", "the kernel has too many axes").at(span);
            self.fault(fault.expected(format!("at most {}", AxisSet::CAPACITY)));
            return None;
        }
        let axis = self.builder.axis(text);
        self.scope.axes.insert(text, AxisSet::one(axis));
        Some(axis)
    }

    /// Declares the axes that no tensor has and whose extents the `where` clause states: `where w == 3`.
    fn stated_axes(&mut self, kernel: &'a Kernel) -> Vec<(AxisId, Span)> {
        let mut stated = vec![];
        for constraint in &kernel.constraints {
            let (name, span) = (constraint.axis.text.as_str(), constraint.axis.span);
            let known = self.scope.axes.contains_key(name) || self.split_axes.faulty(name);
            let ConstraintKind::Compare(CompareOp::Eq, extent) = &constraint.kind else { continue };
            // What is wrong with the number is reported where it becomes a limit.
            let extent = self.functions.constants.whole(extent, "", &mut Faults::default());
            if let (false, Some(extent)) = (known, extent)
                && let Some(axes) = self.named_axes(&constraint.axis)
            {
                for &axis in &axes {
                    self.builder.axes_mut().fix(axis, extent);
                    stated.push((axis, span));
                }
            }
        }
        stated
    }

    /// An axis that only the `where` clause names is a mistake if the body does not use it either.
    fn require_used(&mut self, stated: &[(AxisId, Span)]) {
        if stated.is_empty() || !self.faults.is_empty() {
            return;
        }
        for &(axis, span) in stated {
            if !self.builder.has_axis(axis) {
                let name = self.builder.axes().name(axis).to_string();
                let known = self.builder.axes().ids().filter(|&other| other != axis);
                let known = self.builder.axes().names(known);
                let fault = Diagnostic::new("TW0201", format!("there is no axis `{name}`"));
                let fault = fault.at(span).expected(format!("one of {known}"));
                self.fault(fault.help("an axis that no tensor has is one that the body sums over"));
            }
        }
    }

    fn input(&mut self, input: &'a TensorDecl) {
        let axes = self.tensor_axes(input);
        let Some(name) = &input.name else { return };
        let value = match (axes, input.dtype.dtype) {
            (Some(axes), Some(dtype)) => {
                Value::Node(self.builder.declare(tensor(&name.text, dtype, &axes)))
            }
            _ => Value::Faulty,
        };
        self.define(name, value);
        self.scope.inputs.insert(&name.text, input);
    }

    fn output(&mut self, output: &'a TensorDecl) -> Option<Tensor> {
        let axes = self.tensor_axes(output);
        let name = output.name.as_ref().map_or(OUTPUT_NAME, |name| name.text.as_str());
        let span = output.name.as_ref().map_or(output.span, |name| name.span);
        if self.scope.inputs.contains_key(name) || self.scope.axes.contains_key(name) {
            let fault = Diagnostic::new("TW0202", format!("`{name}` is already defined"));
            self.fault(fault.at(span).help("give the output a name of its own, `-> y: f32[..]`"));
        }
        Some(tensor(name, output.dtype.dtype?, &axes?))
    }

    /// Checks the statements; gives the expressions of the results with their values.
    fn body(&mut self, kernel: &'a Kernel) -> Vec<(Value, &'a Expr)> {
        let mut results = vec![];
        for statement in &kernel.body.statements {
            let Some(name) = &statement.name else {
                results = match &statement.value.kind {
                    ExprKind::Tuple(parts) => {
                        parts.iter().map(|part| (self.expr(part), part)).collect()
                    }
                    _ => vec![(self.expr(&statement.value), &statement.value)],
                };
                continue;
            };
            let value = self.expr(&statement.value);
            if let Value::Node(node) = value
                && is_recorded(&name.text)
                && !self.builder.is_named(node)
            {
                self.builder.name(node, &name.text);
            }
            self.define(name, value);
        }
        results
    }

    /// The results in the types and axes of the outputs. `None` after a fault.
    fn results(
        &mut self,
        kernel: &Kernel,
        outputs: &[Option<Tensor>],
        results: &[(Value, &Expr)],
    ) -> Option<Vec<Output>> {
        let mut names = BTreeSet::new();
        for (output, declared) in outputs.iter().flatten().zip(&kernel.outputs) {
            if !names.insert(&output.name) {
                let message = format!("`{}` is already defined", output.name);
                self.fault(Diagnostic::new("TW0202", message).at(declared.span));
            }
        }
        let faulty = results.iter().any(|(_, expr)| matches!(expr.kind, ExprKind::Faulty));
        if outputs.len() != results.len() {
            if let (Some((_, last)), false) = (results.last(), faulty) {
                let fault = Diagnostic::new("TW0211", "the results do not match the outputs");
                let fault = fault.at(last.span).found(results.len().to_string());
                self.fault(fault.expected(format!("{}, as the signature says", outputs.len())));
            }
            return None;
        }
        let results = results
            .iter()
            .zip(outputs)
            .map(|(&(value, expr), tensor)| self.result(value, expr.span, tensor.as_ref()?));
        // All of them are checked before the first that is missing ends the kernel.
        results.collect::<Vec<_>>().into_iter().collect()
    }

    fn result(&mut self, value: Value, span: Span, tensor: &Tensor) -> Option<Output> {
        let present: AxisSet = tensor.axes.iter().copied().collect();
        let extra = self.axes(value) - present;
        if !extra.is_empty() {
            let names = self.axis_names(extra);
            let message = format!("the result varies over {names}, which `{}` lacks", tensor.name);
            let found = format!("a value over {}", self.axis_names(self.axes(value)));
            let fault = Diagnostic::new("TW0208", message).at(span).found(found);
            let fault = fault.expected(format!("a value over {}", self.axis_names(present)));
            self.fault(fault.help("remove the axis by a reduction, or add it to the output"));
            return None;
        }
        let value = self.result_type(value, tensor.dtype, span);
        let Value::Node(node) = value else { return None };
        Some(Output { tensor: tensor.clone(), node })
    }

    /// Rounds a result to the signature's type, once.
    fn result_type(&mut self, value: Value, dtype: DType, span: Span) -> Value {
        self.cast(value, dtype, span)
    }
}

fn tensor(name: &str, dtype: DType, dimensions: &[Vec<AxisId>]) -> Tensor {
    let dims = dimensions.iter().map(Vec::len).collect();
    Tensor { dims, ..Tensor::new(name, dtype, &dimensions.concat()) }
}

/// Whether a name is kept. `v1`, `v2`, .. are the printer's names for shared values that have none.
fn is_recorded(name: &str) -> bool {
    let number = name.strip_prefix('v').unwrap_or_default();
    number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit())
}
