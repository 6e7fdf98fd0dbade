//! Calls: operations of the language, reductions, and functions, which are inlined.
//!
//! Invariant: arguments are checked once, before the body of a function, so an argument is a shared node however often
//! the body uses it.

use super::context::{CALLS_MAX, Context, Frame, Scope};
use super::habits;
use super::library::{is_operation, nearest};
use super::types;
use super::value::Value;
use crate::base::{AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::diag::{Diagnostic, Span};
use crate::syntax::ast::{Call, Expr, ExprKind, Function, Name};
use crate::syntax::short;

/// What may be called.
pub(super) const EXPECTED_FUNCTION: &str =
    "an operation of the language, or a function of the library or of this file";

/// How a function is called: `` `softmax[j](s)` ``.
fn usage(function: &Function) -> String {
    let list = |names: &[Name], comma| {
        names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(comma)
    };
    let axes = match function.axes.as_slice() {
        [] => String::new(),
        axes => format!("[{}]", list(axes, ",")),
    };
    format!("`{}{axes}({})`", function.name.text, list(&function.parameters, ", "))
}

impl<'a> Context<'a> {
    /// Whether a type after the call names an accumulator.
    pub(super) fn is_accumulated(call: &Call) -> bool {
        let name = call.name.text.as_str();
        let accumulates = match ReduceOp::parse(name) {
            Some(ReduceOp::Sum | ReduceOp::Product | ReduceOp::Max | ReduceOp::Min) => true,
            Some(ReduceOp::All | ReduceOp::Any | ReduceOp::Argmax | ReduceOp::Argmin) => false,
            None => name == "mean" || ReduceOp::parse_scan(name).is_some(),
        };
        accumulates && call.axes.is_some()
    }

    pub(super) fn call(&mut self, call: &'a Call, span: Span) -> Value {
        let name = call.name.text.as_str();
        if call.axes.is_some() && names_axes(name) {
            return self.reduction(call, None, span);
        }
        if is_operation(name) {
            return self.operation(call);
        }
        match self.functions.find(name) {
            Some((function, in_library)) => self.inline(function, in_library, call, span),
            None => self.unknown_function(call),
        }
    }

    fn unknown_function(&mut self, call: &'a Call) -> Value {
        let name = call.name.text.as_str();
        self.arguments(call);
        if self.functions.faulty.contains(name) {
            return Value::Faulty;
        }
        let span = call.name.span;
        let mut fault =
            Diagnostic::new("TW0201", format!("there is no function `{}`", short(name)));
        if !self.faults.is_full() {
            fault.help = self.function_help(name);
        }
        self.fault(fault.at(span).expected(EXPECTED_FUNCTION))
    }

    /// What to call instead of a function that there is not.
    fn function_help(&self, name: &str) -> Option<String> {
        if DType::parse(name).is_some() {
            return Some(format!("a cast is written `x : {name}`"));
        }
        if self.scope.values.contains_key(name) || self.scope.axes.contains_key(name) {
            return Some(format!(
                "`{name}` is no function: axes are matched by name, so write `{name}` alone"
            ));
        }
        habits::function(name).or_else(|| nearest(name, self.functions.names()))
    }

    /// `wrap(x) : type`, the conversion that keeps the low bits.
    pub(super) fn wrap(&mut self, call: &'a Call, dtype: DType) -> Value {
        let values = self.arguments(call);
        if call.axes.is_some() {
            let fault = Diagnostic::new("TW0203", "`wrap` takes no axes");
            let axes = call.axes.as_ref().map_or(0, Vec::len);
            let fault = fault.at(call.name.span).found(format!("{axes} in brackets"));
            return self.fault(fault.expected("none").help(format!("write `wrap(x) : {dtype}`")));
        }
        if !self.arity(call, 1) {
            return Value::Faulty;
        }
        if !dtype.is_integer() {
            let fault = Diagnostic::new("TW0205", "only integers wrap").at(call.name.span);
            let fault = fault.found(format!("`{dtype}`")).expected("an integer type");
            return self.fault(fault.help(format!("a cast is written `x : {dtype}`")));
        }
        match self.node(values[0], call.arguments[0].span) {
            Some(node) => Value::Node(self.builder.wrap(dtype, node)),
            None => Value::Faulty,
        }
    }

    fn arguments(&mut self, call: &'a Call) -> Vec<Value> {
        call.arguments.iter().map(|argument| self.expr(argument)).collect()
    }

    /// Checks the number of arguments.
    fn arity(&mut self, call: &Call, wanted: usize) -> bool {
        let given = call.arguments.len();
        if given != wanted {
            let plural = if wanted == 1 { "" } else { "s" };
            let name = &call.name.text;
            let fault =
                Diagnostic::new("TW0203", format!("`{name}` has {wanted} argument{plural}"));
            let fault = fault.at(call.name.span).found(format!("{given}"));
            let parts = ["x", "y", "z"];
            let usage = match self.functions.find(name).filter(|_| !is_operation(name)) {
                Some((function, _)) => usage(function),
                None if name == "where" => "`where(condition, x, y)`".to_string(),
                None if name == "mask" => "`mask(condition, x)`".to_string(),
                None if call.axes.is_some() => format!("`{name}[axis](x)`"),
                None => format!("`{name}({})`", parts[..wanted.min(3)].join(", ")),
            };
            self.fault(fault.expected(usage));
        }
        given == wanted
    }

    /// An operation that is written as a call without axes.
    fn operation(&mut self, call: &'a Call) -> Value {
        let name = call.name.text.as_str();
        if name == "len" {
            return self.len(call);
        }
        if name == "wrap" {
            self.arguments(call);
            let fault = Diagnostic::new("TW0203", "`wrap` does not say to which type it wraps");
            let fault = fault.at(call.name.span).found("`wrap(..)` without a type after it");
            let fault = fault.expected("an integer type, which tells how many bits are kept");
            return self.fault(fault.help("write `wrap(x) : i8`"));
        }
        if call.axes.is_some() {
            let fault = Diagnostic::new("TW0203", format!("`{name}` takes no axes"));
            let axes = call.axes.as_ref().map_or(0, Vec::len);
            let fault = fault.at(call.name.span).found(format!("{axes} in brackets"));
            return self.fault(fault.expected("none").help(format!("write `{name}(..)`")));
        }
        let unary = UnaryOp::parse(name);
        let binary = BinaryOp::parse(name);
        let misses_axes = names_axes(name) && (binary.is_none() || call.arguments.len() == 1);
        if misses_axes {
            self.arguments(call);
            let scans = ReduceOp::parse_scan(name).is_some();
            let verb = if scans { "runs along" } else { "removes" };
            let fault =
                Diagnostic::new("TW0203", format!("`{name}` does not say which axis it {verb}"));
            let axes = habits::one_of(self.scope.axes.keys().copied());
            let fault = fault.at(call.name.span).found(format!("`{name}(` without axes"));
            let fault = fault.expected(format!("`{name}[axis](x)`, the axis {axes}"));
            return self.fault(fault.help(self.axis_help(call)));
        }
        let wanted = match name {
            "where" => 3,
            _ if unary.is_some() => 1,
            _ => 2,
        };
        let values = self.arguments(call);
        if !self.arity(call, wanted) {
            return Value::Faulty;
        }
        let part = |position: usize| (values[position], &call.arguments[position]);
        match (unary, binary) {
            (Some(op), _) => self.unary(op, values[0], &call.arguments[0]),
            (None, Some(op)) => self.binary(op, part(0), part(1)),
            (None, None) if name == "mask" => {
                let minus_infinity = (self.minus_infinity(), part(1).1);
                self.select(part(0), part(1), minus_infinity)
            }
            (None, None) => self.select(part(0), part(1), part(2)),
        }
    }

    /// How to write a reduction without brackets: an argument that is an axis belongs into them.
    fn axis_help(&self, call: &Call) -> String {
        let name = &call.name.text;
        let axis = call.arguments.iter().find_map(|argument| match &argument.kind {
            ExprKind::Name(name) => self.scope.axes.contains_key(name.as_str()).then_some(name),
            _ => None,
        });
        match axis {
            Some(axis) => format!("write `{name}[{axis}](..)`"),
            None if ReduceOp::parse_scan(name).is_some() => {
                "name the axis that it runs along".into()
            }
            None => "name the axes that the result does not have any more".to_string(),
        }
    }

    /// `len(j)`; for a parameter that stands for several axes the product of their extents.
    fn len(&mut self, call: &'a Call) -> Value {
        if !self.arity(call, 1) {
            return Value::Faulty;
        }
        let argument = &call.arguments[0];
        let axes = match &argument.kind {
            ExprKind::Name(name) => self.scope.axes.get(name.as_str()).copied(),
            _ => None,
        };
        let Some(axes) = axes else {
            if matches!(&argument.kind, ExprKind::Name(name) if self.split_axes.faulty(name)) {
                return Value::Faulty;
            }
            let fault = Diagnostic::new("TW0210", "`len` takes the name of an axis");
            let names = habits::one_of(self.scope.axes.keys().copied());
            let fault = fault.at(argument.span).expected(names);
            return self.fault(fault.help("write `len(i)` for the extent of axis `i`"));
        };
        let mut lens = axes.iter();
        let Some(first) = lens.next() else { return Value::Faulty };
        let mut product = Value::Weak(self.weak.len(first));
        for axis in lens {
            let next = Value::Weak(self.weak.len(axis));
            product = self.binary(BinaryOp::Mul, (product, argument), (next, argument));
        }
        product
    }

    /// The axes that a call names; a parameter may stand for several.
    fn call_axes(&mut self, names: &'a [Name]) -> Option<Vec<AxisSet>> {
        let mut seen = AxisSet::EMPTY;
        let mut list = vec![];
        for name in names {
            let Some(&axes) = self.scope.axes.get(name.text.as_str()) else {
                if self.split_axes.faulty(&name.text) {
                    return None;
                }
                let known = nearest(&name.text, self.scope.axes.keys().copied());
                let mut fault =
                    Diagnostic::new("TW0201", format!("there is no axis `{}`", name.text));
                fault.help = known.or(Some(
                    "write an axis of the value; the signature names the axes".to_string(),
                ));
                let names = habits::one_of(self.scope.axes.keys().copied());
                self.fault(fault.at(name.span).expected(names));
                return None;
            };
            if !seen.is_disjoint(axes) {
                let fault = Diagnostic::new("TW0212", format!("axis `{}` stands twice", name.text));
                self.fault(fault.at(name.span));
                return None;
            }
            seen |= axes;
            list.push(axes);
        }
        Some(list)
    }

    /// `sum[axes](x)` and the other reductions, with the accumulator if the text states it.
    pub(super) fn reduction(
        &mut self,
        call: &'a Call,
        accumulator: Option<DType>,
        span: Span,
    ) -> Value {
        let names = call.axes.as_deref().unwrap_or_default();
        let axes = self.call_axes(names);
        let values = self.arguments(call);
        if !self.arity(call, 1) {
            return Value::Faulty;
        }
        let Some(list) = axes else { return Value::Faulty };
        let axes = list.iter().copied().fold(AxisSet::EMPTY, |all, axes| all | axes);
        if axes.is_empty() {
            let fault = Diagnostic::new("TW0203", "the reduction names no axis");
            let axes = habits::one_of(self.scope.axes.keys().copied());
            let fault = fault.at(call.name.span).found("empty brackets").expected(axes);
            return self.fault(fault.help("name the axes that the result does not have any more"));
        }
        let (value, argument) = (values[0], &call.arguments[0]);
        if matches!(value, Value::Faulty) || !self.has_axes(call, value, axes) {
            return Value::Faulty;
        }
        let name = call.name.text.as_str();
        match (ReduceOp::parse(name), ReduceOp::parse_scan(name)) {
            (Some(op), _) if !self.is_search_in_order(op, &list, call) => Value::Faulty,
            (Some(op), _) => self.reduce(op, axes, (value, argument), accumulator),
            (None, Some(op)) => self.scan(op, axes, call, value, accumulator),
            (None, None) => self.mean(axes, (value, argument), accumulator, span),
        }
    }

    fn has_axes(&mut self, call: &Call, value: Value, axes: AxisSet) -> bool {
        let present = self.axes(value);
        let missing = axes - present;
        if missing.is_empty() {
            return true;
        }
        let span = call.arguments[0].span;
        let message = format!("the value does not vary over {}", self.axis_names(missing));
        let fault = Diagnostic::new("TW0207", message)
            .at(span)
            .found(format!("a value over {}", self.axis_names(present)))
            .expected(format!("a value over {}", self.axis_names(axes)));
        let scans = ReduceOp::parse_scan(&call.name.text).is_some();
        self.fault(fault.help(match scans {
            true => "run along an axis that the value has",
            false => "leave the axis out; a sum over it would be a product with its `len`",
        }));
        false
    }

    /// The sum, in a float type, over the number of elements.
    fn mean(
        &mut self,
        axes: AxisSet,
        (value, argument): (Value, &'a Expr),
        stated: Option<DType>,
        span: Span,
    ) -> Value {
        let stated = match (value, stated) {
            (Value::Node(node), None) => Some(types::fractional(self.dtype(node))),
            (_, stated) => stated,
        };
        if let Some(dtype) = stated.filter(|dtype| !dtype.is_float()) {
            return self.wrong_type("mean", dtype, "a float accumulator", span);
        }
        let mut quotient = self.reduce(ReduceOp::Sum, axes, (value, argument), stated);
        // One division for each axis: the product of two extents may not fit an `i32`.
        for axis in axes.iter() {
            let len = Value::Weak(self.weak.len(axis));
            quotient = self.binary(BinaryOp::Div, (quotient, argument), (len, argument));
        }
        quotient
    }

    /// Evaluates the body of a function with the arguments for its parameters.
    fn inline(
        &mut self,
        function: &'a Function,
        in_library: bool,
        call: &'a Call,
        span: Span,
    ) -> Value {
        let values = self.arguments(call);
        let axes = self.axis_arguments(function, call);
        if !self.arity(call, function.parameters.len()) {
            return Value::Faulty;
        }
        let Some(axes) = axes else { return Value::Faulty };
        let name = function.name.text.as_str();
        if !self.may_enter(name, in_library, call.name.span) {
            return Value::Faulty;
        }
        let parameters = function.parameters.iter().map(|name| name.text.as_str());
        let parameters: Vec<_> = parameters.zip(values).collect();
        for (parameter, value) in &parameters {
            self.inner_name(name, parameter, *value);
        }
        let axis_names = function.axes.iter().map(|name| name.text.as_str()).zip(axes);
        let scope = Scope {
            values: parameters.into_iter().collect(),
            axes: axis_names.collect(),
            splits: self.split_parameters(function, call),
            inputs: Default::default(),
        };
        let outer = std::mem::replace(&mut self.scope, scope);
        self.frames.push(Frame { function: name, in_library, call: span });
        self.called.insert(name);
        let mut result = Value::Faulty;
        for statement in &function.body.statements {
            let value = self.expr(&statement.value);
            match &statement.name {
                Some(local) => {
                    self.define(local, value);
                    self.inner_name(name, &local.text, value);
                }
                None => result = value,
            }
        }
        self.frames.pop();
        self.scope = outer;
        result
    }

    /// A name for a value inside a function, should it have none of its own.
    fn inner_name(&mut self, function: &str, local: &str, value: Value) {
        if let Value::Node(node) = value {
            self.inner_names.push((node, format!("{function}_{local}")));
        }
    }

    fn may_enter(&mut self, name: &'a str, in_library: bool, span: Span) -> bool {
        let active = |frame: &Frame<'_>| frame.function == name && frame.in_library == in_library;
        if self.frames.iter().any(active) {
            let fault = Diagnostic::new("TW0209", format!("`{name}` calls itself")).at(span);
            self.fault(fault.help("functions are inlined, so none can call itself"));
            return false;
        }
        if self.frames.len() == CALLS_MAX {
            self.exhausted = true;
            let fault = Diagnostic::new("TW0214", "the calls nest too deep").at(span);
            self.fault(fault.expected(format!("at most {CALLS_MAX} calls within each other")));
            return false;
        }
        true
    }

    /// The axes for the axis parameters: one each, or all of them for a single parameter.
    fn axis_arguments(&mut self, function: &Function, call: &'a Call) -> Option<Vec<AxisSet>> {
        let given = self.call_axes(call.axes.as_deref().unwrap_or_default())?;
        if function.axes.len() == 1 && !given.is_empty() {
            return Some(vec![given.into_iter().fold(AxisSet::EMPTY, |all, axes| all | axes)]);
        }
        if function.axes.len() == given.len() {
            return Some(given);
        }
        let name = &call.name.text;
        let (wanted, found) = (function.axes.len(), given.len());
        let takes = match wanted {
            0 => "no axes".to_string(),
            1 => "1 axis".to_string(),
            _ => format!("{wanted} axes"),
        };
        let fault = Diagnostic::new("TW0203", format!("`{name}` takes {takes}"));
        let fault = fault.at(call.name.span).found(found.to_string()).expected(usage(function));
        self.fault(match wanted {
            0 => fault.help(format!("write `{name}(..)`")),
            1 => fault.help(format!("write `{name}[axis](..)`")),
            _ => fault.help("name one axis for each axis parameter"),
        });
        None
    }
}

/// Whether an operation of that name says over which axes it goes.
fn names_axes(name: &str) -> bool {
    name == "mean" || ReduceOp::parse(name).is_some() || ReduceOp::parse_scan(name).is_some()
}
