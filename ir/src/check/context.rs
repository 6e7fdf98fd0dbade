//! What is known while a kernel is checked: scopes, the calls that are being inlined, the graph so far, the faults.
//!
//! Invariant: a fault inside a library function is placed at the call in the user's text, whose spans it then names; the
//! work for one kernel is bounded by `STEPS_MAX` and the recursion by `CALLS_MAX` and `DEPTH_MAX`.

use super::constant::Number;
use super::library::Functions;
use super::split::SplitTable;
use super::types;
use super::value::{Misfit, Value, WeakId, WeakValues};
use crate::base::{AxisSet, DType};
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::{GraphBuilder, NodeId};
use crate::syntax::ast::{Expr, Name, TensorDecl};
use std::collections::{BTreeMap, BTreeSet};

/// The most expressions evaluated for one kernel, inlined functions included.
const STEPS_MAX: u32 = 1 << 20;
/// The deepest chain of calls.
pub(super) const CALLS_MAX: usize = 32;
/// The deepest recursion over expressions, through all calls.
const DEPTH_MAX: u32 = 1024;

/// Names that are constants.
pub(super) const CONSTANTS: [&str; 4] = ["inf", "nan", "true", "false"];

/// The names of a kernel or of one call of a function.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) values: BTreeMap<&'a str, Value>,
    pub(super) axes: BTreeMap<&'a str, AxisSet>,
    /// The names among `axes` that are splits: they have an index although they are several axes.
    pub(super) splits: BTreeSet<&'a str>,
    pub(super) inputs: BTreeMap<&'a str, &'a TensorDecl>,
}

/// A call that is being inlined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) function: &'a str,
    pub(super) in_library: bool,
    pub(super) call: Span,
}

/// The state of checking one kernel.
pub(super) struct Context<'a> {
    pub(super) functions: &'a Functions<'a>,
    pub(super) builder: GraphBuilder,
    pub(super) weak: WeakValues,
    pub(super) scope: Scope<'a>,
    pub(super) frames: Vec<Frame<'a>>,
    pub(super) faults: Faults,
    /// The faults so far: a function that is called many times has its own once.
    seen: BTreeSet<(&'static str, Option<Span>)>,
    /// Names of values inside functions; given at the end to nodes that the kernel does not name itself.
    pub(super) inner_names: Vec<(NodeId, String)>,
    /// The splits of the `where` clause.
    pub(super) split_axes: SplitTable<'a>,
    /// The functions that were inlined at least once.
    pub(super) called: BTreeSet<&'a str>,
    /// The expressions evaluated so far.
    pub(super) steps: u32,
    steps_max: u32,
    depth: u32,
    /// The kernel is too large: what is left of it is not looked at.
    pub(super) exhausted: bool,
}

/// What one kernel of a file may use up.
pub(super) struct Allowance {
    /// The empty list for its faults.
    pub(super) faults: Faults,
    /// How many expressions may be evaluated.
    pub(super) steps: u32,
}

/// Two operands that have met.
pub(super) enum Pair {
    Weak(WeakId, WeakId),
    Nodes(NodeId, NodeId, DType),
}

impl<'a> Context<'a> {
    pub(super) fn new(functions: &'a Functions<'a>, kernel: &str, allowance: Allowance) -> Self {
        Self {
            functions,
            builder: GraphBuilder::new(kernel),
            weak: WeakValues::default(),
            scope: Scope::default(),
            frames: vec![],
            faults: allowance.faults,
            seen: BTreeSet::new(),
            inner_names: vec![],
            split_axes: SplitTable::default(),
            called: BTreeSet::new(),
            steps: 0,
            steps_max: allowance.steps.min(STEPS_MAX),
            depth: 0,
            exhausted: false,
        }
    }

    /// Reports a fault and gives the value that stands for it.
    pub(super) fn fault(&mut self, mut fault: Diagnostic) -> Value {
        if let Some(frame) = self.frames.iter().find(|frame| frame.in_library) {
            fault.message = format!("{} (inside `{}`)", fault.message, frame.function);
            fault.labels.clear();
            fault.span = Some(frame.call);
        }
        if let Some(frame) = self.frames.first().filter(|frame| fault.span != Some(frame.call)) {
            fault = fault.label(frame.call, format!("in this call of `{}`", frame.function));
        }
        if self.seen.insert((fault.code, fault.span)) {
            self.faults.push(fault);
        }
        Value::Faulty
    }

    /// Counts one step and one level of recursion around `inner`.
    pub(super) fn counted(&mut self, span: Span, inner: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.exhausted {
            return Value::Faulty;
        }
        if self.steps == self.steps_max || self.depth == DEPTH_MAX {
            self.exhausted = true;
            let whole = self.steps == STEPS_MAX || self.depth == DEPTH_MAX;
            let what = if whole { "kernel" } else { "file" };
            let fault = Diagnostic::new("TW0214", format!("the {what} is too large"));
            let expected =
                format!("at most {STEPS_MAX} operations, nested at most {DEPTH_MAX} deep");
            return self.fault(fault.at(span).expected(format!("{expected}, functions inlined")));
        }
        self.steps += 1;
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    /// Puts a name into the current scope, unless it is taken.
    pub(super) fn define(&mut self, name: &'a Name, value: Value) {
        let taken = self.scope.values.contains_key(name.text.as_str())
            || self.scope.axes.contains_key(name.text.as_str());
        if taken || CONSTANTS.contains(&name.text.as_str()) || self.constant(&name.text).is_some() {
            let fault = Diagnostic::new("TW0202", format!("`{}` is already defined", name.text));
            let help = match self.scope.axes.contains_key(name.text.as_str()) {
                true => "it is an axis; an axis is split in the `where` clause",
                false => "values do not change; choose another name",
            };
            self.fault(fault.at(name.span).help(help));
        } else {
            self.scope.values.insert(&name.text, value);
        }
    }

    /// The constant of the file with that name, if it is visible here.
    pub(super) fn constant(&self, name: &str) -> Option<Option<Number>> {
        let in_library = self.frames.last().is_some_and(|frame| frame.in_library);
        if in_library { None } else { self.functions.constants.find(name) }
    }

    /// The axes of a value.
    pub(super) fn axes(&self, value: Value) -> AxisSet {
        match value {
            Value::Node(node) => self.builder.node(node).axes,
            Value::Weak(weak) => self.weak.get(weak).axes,
            Value::Faulty => AxisSet::EMPTY,
        }
    }

    pub(super) fn axis_names(&self, axes: AxisSet) -> String {
        match axes.is_empty() {
            true => "no axis".to_string(),
            false => format!("`{}`", self.builder.axes().names(axes.iter())),
        }
    }

    pub(super) fn dtype(&self, node: NodeId) -> DType {
        self.builder.node(node).dtype
    }

    /// Puts a weak value into the graph in a type, or reports that it does not fit.
    pub(super) fn settle(&mut self, weak: WeakId, dtype: DType, span: Span) -> Option<NodeId> {
        let misfit = match self.weak.settle(&mut self.builder, weak, dtype) {
            Ok(node) => return Some(node),
            Err(misfit) => misfit,
        };
        let fault = match misfit {
            Misfit::Number(value) => {
                Diagnostic::new("TW0206", format!("`{dtype}` does not hold the number {value}"))
                    .help("cast the other operand to a type that does, `x : f32`")
            }
            Misfit::Fraction => {
                Diagnostic::new("TW0206", format!("a value with a fraction meets `{dtype}`"))
                    .help("cast the other operand, `x : f32`, or round this one, `x : i32`")
            }
            Misfit::Truth => Diagnostic::new("TW0205", "a number meets a truth value")
                .help("a number becomes a truth value by a comparison, `x != 0`"),
        };
        self.fault(fault.at(span));
        None
    }

    /// The node of a value: a weak one takes its own type.
    pub(super) fn node(&mut self, value: Value, span: Span) -> Option<NodeId> {
        match value {
            Value::Node(node) => Some(node),
            Value::Weak(weak) => {
                let dtype = self.weak.get(weak).own_type();
                self.settle(weak, dtype, span)
            }
            Value::Faulty => None,
        }
    }

    /// A conversion that the text states.
    pub(super) fn cast(&mut self, value: Value, dtype: DType, span: Span) -> Value {
        let node = match value {
            Value::Faulty => return Value::Faulty,
            Value::Node(node) => node,
            Value::Weak(weak) => {
                let fractional = self.weak.get(weak).fractional;
                let number = matches!(self.weak.get(weak).op, super::value::WeakOp::Number(_));
                let rounds = fractional && dtype.is_integer() && !number;
                let computed = if rounds { DType::F32 } else { dtype };
                match self.settle(weak, computed, span) {
                    Some(node) => node,
                    None => return Value::Faulty,
                }
            }
        };
        let from = self.dtype(node);
        if dtype == DType::Bool && from != DType::Bool {
            let fault = Diagnostic::new("TW0205", format!("`{from}` cannot be cast to `bool`"));
            return self.fault(fault.at(span).help("write a comparison, `x != 0`"));
        }
        Value::Node(self.builder.cast(dtype, node))
    }

    /// Brings two operands to one type, which `adjust` derives from the type they meet in.
    pub(super) fn meet(
        &mut self,
        (x, left): (Value, &Expr),
        (y, right): (Value, &Expr),
        adjust: impl Fn(DType) -> DType,
    ) -> Option<Pair> {
        let (x, y, dtype) = match (x, y) {
            (Value::Faulty, _) | (_, Value::Faulty) => return None,
            (Value::Weak(x), Value::Weak(y)) => return Some(Pair::Weak(x, y)),
            (Value::Node(x), Value::Weak(y)) => {
                let dtype = self.weak.get(y).met_by(types::intermediate(self.dtype(x)));
                let dtype = adjust(dtype);
                (x, self.settle(y, dtype, right.span)?, dtype)
            }
            (Value::Weak(x), Value::Node(y)) => {
                let dtype = self.weak.get(x).met_by(types::intermediate(self.dtype(y)));
                let dtype = adjust(dtype);
                (self.settle(x, dtype, left.span)?, y, dtype)
            }
            (Value::Node(x), Value::Node(y)) => {
                let (from, to) = (self.dtype(x), self.dtype(y));
                let Some(dtype) = types::join(from, to) else {
                    let fault = Diagnostic::new("TW0205", "a truth value meets a number")
                        .at(Span { start: left.span.start, end: right.span.end })
                        .found(format!("`{from}` and `{to}`"))
                        .help("cast the truth value, `x : f32`, or choose with `where(x, .., ..)`");
                    self.fault(fault);
                    return None;
                };
                (x, y, adjust(dtype))
            }
        };
        let (x, y) = (self.builder.cast(dtype, x), self.builder.cast(dtype, y));
        Some(Pair::Nodes(x, y, dtype))
    }
}
