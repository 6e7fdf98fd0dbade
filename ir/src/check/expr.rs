//! Expressions: numbers, names, operators, casts.
//!
//! Each function takes checked operands and gives a value; a fault is reported once and gives `Value::Faulty`, about
//! which every later step is silent.

use super::context::{CONSTANTS, Context, Pair};
use super::habits;
use super::library::nearest;
use super::types;
use super::value::Value;
use crate::base::{BinaryOp, CompareOp, DType, UnaryOp};
use crate::diag::{Diagnostic, Span};
use crate::syntax::ast::{Expr, ExprKind, Infix, Prefix};
use crate::syntax::short;

impl<'a> Context<'a> {
    /// Checks an expression.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Value {
        self.counted(expr.span, |ctx| ctx.expr_inner(expr))
    }

    fn expr_inner(&mut self, expr: &'a Expr) -> Value {
        match &expr.kind {
            ExprKind::Faulty => Value::Faulty,
            ExprKind::Number(text) => self.number(text, expr.span),
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::Paren(x) => self.expr(x),
            ExprKind::Call(call) => self.call(call, expr.span),
            ExprKind::Subscript(base, indices) => self.subscript(base, indices, expr.span),
            ExprKind::Prefix(op, x) => {
                let value = self.expr(x);
                let op = if *op == Prefix::Neg { UnaryOp::Neg } else { UnaryOp::Not };
                self.unary(op, value, x)
            }
            ExprKind::Infix(op, x, y) => {
                let (left, right) = (self.expr(x), self.expr(y));
                match op {
                    Infix::Binary(op) => self.binary(*op, (left, x), (right, y)),
                    Infix::Compare(op) => self.compare(*op, (left, x), (right, y)),
                }
            }
            ExprKind::Typed(x, ty) => {
                let Some(dtype) = ty.dtype else { return Value::Faulty };
                match &x.kind {
                    ExprKind::Call(call) if Self::is_accumulated(call) => {
                        self.counted(x.span, |ctx| ctx.reduction(call, Some(dtype), x.span))
                    }
                    ExprKind::Call(call) if call.name.text == "wrap" => {
                        self.counted(x.span, |ctx| ctx.wrap(call, dtype))
                    }
                    _ => {
                        let value = self.expr(x);
                        self.cast(value, dtype, x.span)
                    }
                }
            }
            ExprKind::Tuple(_) => {
                let fault = Diagnostic::new("TW0210", "several values stand where one belongs");
                self.fault(fault.at(expr.span).help("only a kernel has several results"))
            }
        }
    }

    fn number(&mut self, text: &str, span: Span) -> Value {
        match text.replace('_', "").parse::<f64>() {
            Ok(value) if value.is_finite() => {
                let fractional = text.contains(['.', 'e', 'E']);
                Value::Weak(self.weak.number(value, fractional))
            }
            // A number that is no number at all has been reported by the lexer.
            Err(_) => Value::Faulty,
            Ok(_) => {
                let fault = Diagnostic::new("TW0103", "the number is out of every type's range");
                self.fault(fault.at(span).help("infinity is written `inf`"))
            }
        }
    }

    pub(super) fn name(&mut self, name: &str, span: Span) -> Value {
        if let Some(&value) = self.scope.values.get(name) {
            return value;
        }
        if let Some(&axes) = self.scope.axes.get(name) {
            let split = self.scope.splits.contains(name);
            return match axes.len() {
                0 => Value::Faulty,
                1 => Value::Weak(self.weak.index(axes.iter().next().expect("it has one axis"))),
                _ if split => self.split_index(axes),
                _ => {
                    let message = format!("`{name}` stands for several axes here");
                    let fault = Diagnostic::new("TW0210", message).at(span);
                    let fault = fault.expected("one axis, whose index this would be");
                    self.fault(fault.help("call the function with one axis"))
                }
            };
        }
        match name {
            "inf" => Value::Weak(self.weak.number(f64::INFINITY, true)),
            "nan" => Value::Weak(self.weak.number(f64::NAN, true)),
            "true" => Value::Node(self.builder.literal(1.0, DType::Bool)),
            "false" => Value::Node(self.builder.literal(0.0, DType::Bool)),
            _ => match self.constant(name) {
                Some(Some(number)) => {
                    Value::Weak(self.weak.number(number.value, number.fractional))
                }
                Some(None) => Value::Faulty,
                None if self.split_axes.faulty(name) => Value::Faulty,
                None => self.unknown_name(name, span),
            },
        }
    }

    fn unknown_name(&mut self, name: &str, span: Span) -> Value {
        if self.functions.names().any(|known| known == name) {
            let fault = Diagnostic::new("TW0210", format!("`{name}` is a function, not a value"));
            let fault = fault.at(span).expected("a value or an axis");
            return self.fault(fault.help(format!("call it, `{name}(x)`")));
        }
        let shown = short(name);
        let fault = Diagnostic::new("TW0201", format!("there is no value or axis `{shown}`"));
        if self.faults.is_full() {
            return self.fault(fault.at(span));
        }
        let known = self.scope.values.keys().chain(self.scope.axes.keys()).copied();
        let help = nearest(name, known.chain(CONSTANTS).chain(self.functions.constants.names()));
        let mut fault = fault;
        fault.help = habits::value(name).or(help);
        let values = habits::one_of(self.scope.values.keys().copied());
        let axes = habits::one_of(self.scope.axes.keys().copied());
        self.fault(fault.at(span).expected(format!("a value, {values}, or an axis, {axes}")))
    }

    /// Reports operands that an operation does not take.
    pub(super) fn wrong_type(&mut self, op: &str, dtype: DType, wanted: &str, span: Span) -> Value {
        let fault = Diagnostic::new("TW0205", format!("`{op}` does not take this operand"));
        let help = match wanted {
            "`bool`" => "compare it, `x != 0`",
            "a signed number" => "cast it to a signed type, `x : i32`",
            "a float accumulator" => "state a float type, `mean[i](x) : f32`",
            _ => "cast it, `x : f32`",
        };
        self.fault(fault.at(span).found(format!("`{dtype}`")).expected(wanted).help(help))
    }

    /// As `wrong_type`, for an operand whose text is known.
    pub(super) fn wrong_operand(
        &mut self,
        op: &str,
        dtype: DType,
        wanted: &str,
        x: &Expr,
    ) -> Value {
        let cast = (dtype == DType::Bool && !self.faults.is_full()).then(|| cast_of_all(x));
        let Some(cast) = cast.flatten() else { return self.wrong_type(op, dtype, wanted, x.span) };
        let fault = Diagnostic::new("TW0205", format!("`{op}` does not take this operand"));
        let help = format!("write `{cast}`: a cast belongs to what stands directly before it");
        self.fault(fault.at(x.span).found(format!("`{dtype}`")).expected(wanted).help(help))
    }

    /// An operator of one operand; `x` is the operand's text.
    pub(super) fn unary(&mut self, op: UnaryOp, value: Value, x: &Expr) -> Value {
        let node = match value {
            Value::Faulty => return value,
            Value::Weak(_) if op == UnaryOp::Not => {
                let node = self.node(value, x.span);
                let Some(node) = node else { return Value::Faulty };
                return self.wrong_type("!", self.dtype(node), "`bool`", x.span);
            }
            Value::Weak(weak) => {
                let weak = self.weak.unary(op, weak);
                return self.bounded(weak, x.span);
            }
            Value::Node(node) => node,
        };
        let dtype = self.dtype(node);
        let wanted = match op {
            UnaryOp::Not => "`bool`",
            UnaryOp::Neg => "a signed number",
            _ => "a number",
        };
        let unsigned = op == UnaryOp::Neg && dtype == DType::U8;
        if (op == UnaryOp::Not) != (dtype == DType::Bool) || unsigned {
            let symbol = match op {
                UnaryOp::Not => "!",
                UnaryOp::Neg => "-",
                _ => op.name(),
            };
            return self.wrong_operand(symbol, dtype, wanted, x);
        }
        let computed = match op {
            _ if op.is_step() && dtype.is_integer() => return value,
            UnaryOp::Not => dtype,
            _ if op.is_rounded() => types::fractional(dtype),
            _ => types::intermediate(dtype),
        };
        let operand = self.builder.cast(computed, node);
        Value::Node(self.builder.unary(op, operand))
    }

    /// Refuses a weak tree that is too high to recurse over.
    fn bounded(&mut self, weak: super::value::WeakId, span: Span) -> Value {
        if self.weak.get(weak).height <= crate::syntax::HEIGHT_MAX {
            return Value::Weak(weak);
        }
        let fault = Diagnostic::new("TW0104", "too many operations on numbers without a type");
        self.fault(fault.at(span).help("give one of them a type, `x : f32`"))
    }

    /// An operator of two operands, each with its text.
    pub(super) fn binary(&mut self, op: BinaryOp, x: (Value, &Expr), y: (Value, &Expr)) -> Value {
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            return self.logical(op, x, y);
        }
        let mut short = true;
        for (value, expr) in [x, y] {
            if let Value::Node(node) = value {
                let dtype = self.dtype(node);
                short &= types::is_short(dtype);
                if dtype == DType::Bool {
                    return self.wrong_operand(op.name(), dtype, "a number", expr);
                }
            }
        }
        let adjust = |dtype| match op {
            BinaryOp::Mul if short => DType::I32,
            BinaryOp::Pow => types::fractional(dtype),
            _ => dtype,
        };
        match self.meet(x, y, adjust) {
            None => Value::Faulty,
            Some(Pair::Weak(left, right)) => {
                let weak = self.weak.binary(op, left, right);
                self.bounded(weak, x.1.span)
            }
            Some(Pair::Nodes(left, right, _)) => Value::Node(self.builder.binary(op, left, right)),
        }
    }

    fn logical(&mut self, op: BinaryOp, x: (Value, &Expr), y: (Value, &Expr)) -> Value {
        let operands = [self.truth(op.name(), x), self.truth(op.name(), y)];
        match operands {
            [Some(x), Some(y)] => Value::Node(self.builder.binary(op, x, y)),
            _ => Value::Faulty,
        }
    }

    /// The node of a truth value; anything else is reported.
    fn truth(&mut self, op: &str, (value, expr): (Value, &Expr)) -> Option<crate::graph::NodeId> {
        let node = self.node(value, expr.span)?;
        let dtype = self.dtype(node);
        if dtype == DType::Bool {
            return Some(node);
        }
        self.wrong_type(op, dtype, "`bool`", expr.span);
        None
    }

    /// A comparison.
    pub(super) fn compare(&mut self, op: CompareOp, x: (Value, &Expr), y: (Value, &Expr)) -> Value {
        let (left, right) = match self.meet(x, y, |dtype| dtype) {
            None => return Value::Faulty,
            Some(Pair::Nodes(.., DType::Bool)) if !matches!(op, CompareOp::Eq | CompareOp::Ne) => {
                return self.wrong_type(op.name(), DType::Bool, "numbers", x.1.span);
            }
            Some(Pair::Nodes(left, right, _)) => (left, right),
            Some(Pair::Weak(left, right)) => {
                let fractional = self.weak.get(left).fractional || self.weak.get(right).fractional;
                let dtype = if fractional { DType::F32 } else { DType::I32 };
                let left = self.settle(left, dtype, x.1.span);
                match (left, self.settle(right, dtype, y.1.span)) {
                    (Some(left), Some(right)) => (left, right),
                    _ => return Value::Faulty,
                }
            }
        };
        Value::Node(self.builder.compare(op, left, right))
    }

    /// `where(c, x, y)`.
    pub(super) fn select(
        &mut self,
        c: (Value, &Expr),
        x: (Value, &Expr),
        y: (Value, &Expr),
    ) -> Value {
        let condition = self.truth("where", c);
        let pair = self.meet(x, y, |dtype| dtype);
        let (Some(condition), Some(pair)) = (condition, pair) else { return Value::Faulty };
        match pair {
            Pair::Weak(left, right) => {
                let axes = self.builder.node(condition).axes;
                let weak = self.weak.select(condition, axes, left, right);
                self.bounded(weak, x.1.span)
            }
            Pair::Nodes(left, right, _) => Value::Node(self.builder.select(condition, left, right)),
        }
    }

    /// `-inf`, for `mask`.
    pub(super) fn minus_infinity(&mut self) -> Value {
        Value::Weak(self.weak.number(f64::NEG_INFINITY, true))
    }
}

/// `(x == m) : i32` for `x == m : i32`, whose cast takes `m` alone; `None` for what does not end in a cast.
fn cast_of_all(expr: &Expr) -> Option<String> {
    let mut whole = expr;
    while let ExprKind::Paren(inside) = &whole.kind {
        whole = inside;
    }
    let ExprKind::Infix(..) = whole.kind else { return None };
    let (uncast, dtype) = without_last_cast(whole)?;
    Some(format!("({}) : {dtype}", crate::syntax::print_expr(&uncast)))
}

fn without_last_cast(expr: &Expr) -> Option<(Expr, DType)> {
    match &expr.kind {
        ExprKind::Typed(x, ty) => Some((x.as_ref().clone(), ty.dtype?)),
        ExprKind::Infix(op, x, y) => {
            let (last, dtype) = without_last_cast(y)?;
            let kind = ExprKind::Infix(*op, x.clone(), Box::new(last));
            Some((Expr { kind, span: expr.span, height: expr.height }, dtype))
        }
        _ => None,
    }
}
