//! User functions: written where they are first called, for arguments of those types and axes, and called again.
//!
//! Invariant: a function's body names its parameters and the axes it was given, nothing else.

use super::value::{Type, Value};
use super::{Maker, Scope};

const AXIS_PARAMETERS: [&str; 2] = ["p", "q"];
const PARAMETERS: [&str; 3] = ["a", "b", "c"];
/// Functions written within each other.
const DEPTH_MAX: usize = 2;

/// A function that can be called again with arguments of the same types and axes.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    name: String,
    /// The axes in brackets.
    axes: Vec<usize>,
    parameters: Vec<(Type, u16)>,
    result: Value,
}

impl Maker<'_, '_> {
    /// A call of a function of this file.
    pub(super) fn user_function(&mut self, depth: u32) -> Value {
        if let Some(value) = self.called_again() {
            return value;
        }
        if self.scope.depth >= DEPTH_MAX {
            return self.float(depth - 1);
        }
        if self.one_in(8) {
            return self.function_of_axes(depth);
        }
        let count = 1 + self.below(PARAMETERS.len());
        let arguments: Vec<Value> = (0..count).map(|_| self.number(depth - 1)).collect();
        let union = arguments.iter().fold(0, |axes, value| axes | value.axes);
        let mut axes = vec![];
        if let Some(part) = self.removable(union) {
            axes = (0..16).filter(|bit| part >> bit & 1 == 1).take(AXIS_PARAMETERS.len()).collect();
        }
        let result = self.new_function(&axes, &arguments, depth);
        let signature = Signature {
            name: format!("f{}", self.function_count - 1),
            axes,
            parameters: arguments.iter().map(|value| (value.ty, value.axes)).collect(),
            result,
        };
        let call = self.call(&signature, &arguments);
        if self.scope.depth == 0 {
            self.signatures.push(signature);
        }
        call
    }

    /// A function with one axis parameter, which stands for all the axes of the call.
    fn function_of_axes(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        let Some(part) = self.removable(value.axes) else { return value };
        let (body, removes) = self.pick(&[
            ("(a - mean[p](a)) / (1 + max[p](abs(a)))", false),
            ("max[p](a) - min[p](a)", true),
            ("where(all[p](a < 2), a, a / (1 + abs(a)))", false),
            ("sum[p](tanh(a)) / 64", true),
        ]);
        let name = format!("f{}", self.function_count);
        self.function_count += 1;
        self.functions.push(format!("fn {name}[p](a) {{\n  {body}\n}}\n"));
        let text = format!("{name}[{}]({})", self.axis_list(part).join(", "), value.text);
        let (low, high) = value.range;
        let axes = if removes { value.axes & !part } else { value.axes };
        Value::atom(text, axes, value.ty.fractional(), (low.min(-high), high.max(-low)))
    }

    fn call(&self, signature: &Signature, arguments: &[Value]) -> Value {
        let names: Vec<_> = signature.axes.iter().map(|&bit| self.scope.names[bit]).collect();
        let names =
            if names.is_empty() { String::new() } else { format!("[{}]", names.join(", ")) };
        let texts: Vec<_> = arguments.iter().map(|value| value.text.as_str()).collect();
        let text = format!("{}{names}({})", signature.name, texts.join(", "));
        let Value { axes, ty, range, .. } = signature.result;
        Value::atom(text, axes, ty, range)
    }

    fn called_again(&mut self) -> Option<Value> {
        if self.scope.depth > 0 || self.signatures.is_empty() || self.one_in(2) {
            return None;
        }
        let position = self.below(self.signatures.len());
        let signature = self.signatures[position].clone();
        let mut arguments = vec![];
        for &(ty, axes) in &signature.parameters {
            let fits = |value: &&Value| value.ty == ty && value.axes == axes;
            arguments.push(self.scope.known.iter().rfind(fits)?.clone());
        }
        Some(self.call(&signature, &arguments))
    }

    /// Writes the function; gives its result.
    fn new_function(&mut self, axes: &[usize], arguments: &[Value], depth: u32) -> Value {
        let mut scope = Scope { depth: self.scope.depth + 1, ..Scope::default() };
        for (&bit, name) in axes.iter().zip(AXIS_PARAMETERS) {
            scope.axes |= 1 << bit;
            scope.names[bit] = name;
        }
        for (value, name) in arguments.iter().zip(PARAMETERS) {
            scope.known.push(Value::atom(name, value.axes, value.ty, value.range));
            scope.used.push(false);
        }
        let outer = std::mem::replace(&mut self.scope, scope);
        let statements = self.below(3);
        let body = self.statements("t", statements);
        let result = self.float(depth.min(2));
        self.scope = outer;
        let name = format!("f{}", self.function_count);
        self.function_count += 1;
        let axis_names = &AXIS_PARAMETERS[..axes.len()];
        let brackets = match axis_names {
            [] => String::new(),
            _ => format!("[{}]", axis_names.join(", ")),
        };
        let parameters = PARAMETERS[..arguments.len()].join(", ");
        let text = &result.text;
        self.functions.push(format!("fn {name}{brackets}({parameters}) {{\n{body}  {text}\n}}\n"));
        result
    }
}
