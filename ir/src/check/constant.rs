//! Constants of a file, and every other place where a number must be known from the text: extents, bounds, factors.
//!
//! A constant is computed in f64 from numbers and the constants before it. It is weak like a number: it takes the type
//! of what it meets. It is whole if a number written the same way would be.
//! Invariant: a constant that is faulty has been reported once; its users are silent.

use super::library::{is_operation, nearest};
use crate::base::{BinaryOp, DType, UnaryOp};
use crate::diag::{Diagnostic, Faults, Span};
use crate::reference::scalar;
use crate::syntax::ast::{Call, Constant, Expr, ExprKind, File, Infix, Item, Prefix};
use std::collections::BTreeMap;

/// A number that the text gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    /// Whether it is written, or computed, as a number with a fraction.
    pub(super) fractional: bool,
}

/// `Ok(None)`: it depends on something whose fault is known.
type Folded = Result<Option<Number>, Box<Diagnostic>>;

/// The constants of a file by name; `None` for one that is faulty.
#[derive(Debug, Default)]
pub(super) struct Constants<'a> {
    by_name: BTreeMap<&'a str, (Option<Number>, Span)>,
}

impl<'a> Constants<'a> {
    /// Computes the constants of a file in text order.
    pub(super) fn of(file: &'a File, faults: &mut Faults) -> Self {
        let mut constants = Self::default();
        for item in &file.items {
            if let Item::Constant(constant) = item {
                constants.define(constant, faults);
            }
        }
        constants
    }

    fn define(&mut self, constant: &'a Constant, faults: &mut Faults) {
        let name = constant.name.text.as_str();
        let taken = self.by_name.contains_key(name)
            || is_operation(name)
            || super::context::CONSTANTS.contains(&name);
        if taken {
            let message = format!("`{name}` is already defined");
            faults.push(Diagnostic::new("TW0202", message).at(constant.name.span));
            return;
        }
        let number = self.number(&constant.value, faults);
        self.by_name.insert(name, (number, constant.name.span));
    }

    /// The constant of a name: `Some(None)` if its own text is faulty.
    pub(super) fn find(&self, name: &str) -> Option<Option<Number>> {
        self.by_name.get(name).map(|(number, _)| *number)
    }

    /// Where a constant of this name stands.
    pub(super) fn place(&self, name: &str) -> Option<Span> {
        self.by_name.get(name).map(|(_, span)| *span)
    }

    /// The names of all constants.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().copied()
    }

    /// The number that an expression of numbers and constants is; its fault is reported.
    pub(super) fn number(&self, expr: &Expr, faults: &mut Faults) -> Option<Number> {
        match self.fold(expr) {
            Ok(number) => number,
            Err(fault) => {
                faults.push(*fault);
                None
            }
        }
    }

    /// The whole number, 0 or more, that an expression is; its fault is reported.
    pub(super) fn whole(&self, expr: &Expr, what: &str, faults: &mut Faults) -> Option<u64> {
        if let ExprKind::Number(text) = &expr.kind
            && let Ok(exact) = text.replace('_', "").parse()
        {
            return Some(exact);
        }
        let Number { value, .. } = self.number(expr, faults)?;
        if value >= 0.0 && value.fract() == 0.0 && value < u64::MAX as f64 {
            return Some(value as u64);
        }
        let fault = Diagnostic::new("TW0103", "this is no whole number below 2^64").at(expr.span);
        let help = if value < 0.0 {
            Some("write 0 or more: an extent counts elements".to_string())
        } else if value.is_finite() && value.fract() != 0.0 {
            Some(format!("write a whole number, such as {}", value.ceil()))
        } else {
            None
        };
        faults.push(Diagnostic { help, ..fault.found(format!("{value}")).expected(what) });
        None
    }

    /// `Ok(None)`: it depends on something whose fault is known.
    fn fold(&self, expr: &Expr) -> Folded {
        match &expr.kind {
            ExprKind::Faulty => Ok(None),
            ExprKind::Paren(x) => self.fold(x),
            ExprKind::Number(text) => literal(text, expr.span),
            ExprKind::Name(name) => self.named(name, expr.span),
            ExprKind::Prefix(Prefix::Neg, x) => {
                Ok(self.fold(x)?.map(|x| Number { value: -x.value, ..x }))
            }
            ExprKind::Infix(Infix::Binary(op), x, y)
                if !matches!(op, BinaryOp::And | BinaryOp::Or) =>
            {
                binary(*op, self.fold(x)?, self.fold(y)?, expr.span)
            }
            ExprKind::Call(call) => self.call(call, expr),
            ExprKind::Prefix(Prefix::Not, _)
            | ExprKind::Infix(..)
            | ExprKind::Subscript(..)
            | ExprKind::Typed(..)
            | ExprKind::Tuple(_) => Err(no_constant(expr)),
        }
    }

    fn named(&self, name: &str, span: Span) -> Folded {
        match name {
            "inf" => return Ok(Some(Number { value: f64::INFINITY, fractional: true })),
            "nan" => return Ok(Some(Number { value: f64::NAN, fractional: true })),
            _ => {}
        }
        if let Some(number) = self.find(name) {
            return Ok(number);
        }
        let mut fault = Diagnostic::new("TW0201", format!("there is no constant `{name}`"));
        fault.expected = Some("a number, or a constant that is defined above".to_string());
        fault.help = nearest(name, self.names());
        Err(Box::new(fault.at(span)))
    }

    fn call(&self, call: &Call, expr: &Expr) -> Folded {
        let name = call.name.text.as_str();
        if call.axes.is_none() {
            match (UnaryOp::parse(name), BinaryOp::parse(name), call.arguments.as_slice()) {
                (Some(op), _, [x]) if op != UnaryOp::Not => {
                    return unary(op, self.fold(x)?, expr.span);
                }
                (_, Some(op), [x, y]) => {
                    return binary(op, self.fold(x)?, self.fold(y)?, expr.span);
                }
                _ => {}
            }
        }
        Err(no_constant(expr))
    }
}

fn literal(text: &str, span: Span) -> Folded {
    match text.replace('_', "").parse::<f64>() {
        Ok(value) if value.is_finite() => {
            Ok(Some(Number { value, fractional: text.contains(['.', 'e', 'E']) }))
        }
        // A number that is no number at all has been reported by the lexer.
        Err(_) => Ok(None),
        Ok(_) => {
            let fault = Diagnostic::new("TW0103", "the number is out of every type's range");
            Err(Box::new(fault.at(span).help("infinity is written `inf`")))
        }
    }
}

fn unary(op: UnaryOp, x: Option<Number>, span: Span) -> Folded {
    let Some(x) = x else { return Ok(None) };
    let whole = match op {
        _ if op.is_step() => true,
        UnaryOp::Neg | UnaryOp::Abs => !x.fractional,
        _ => false,
    };
    let value = scalar::unary(op, DType::F64, x.value);
    known(Number { value, fractional: !whole }, &[x], span)
}

fn binary(op: BinaryOp, x: Option<Number>, y: Option<Number>, span: Span) -> Folded {
    let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
    let fractional = x.fractional || y.fractional || matches!(op, BinaryOp::Div | BinaryOp::Pow);
    known(Number { value: op.apply(x.value, y.value), fractional }, &[x, y], span)
}

/// A result is infinite or no number only where an operand is: everything else is a slip.
fn known(result: Number, operands: &[Number], span: Span) -> Folded {
    let any = |is: fn(f64) -> bool| operands.iter().any(|operand| is(operand.value));
    let slip = if result.value.is_nan() {
        !any(f64::is_nan)
    } else {
        result.value.is_infinite() && !any(f64::is_infinite)
    };
    if !slip {
        return Ok(Some(result));
    }
    let what = if result.value.is_nan() { "no number" } else { "infinite" };
    let fault = Diagnostic::new("TW0222", format!("the value of this is {what}"));
    let fault = fault.at(span).expected("a finite number");
    Err(Box::new(
        fault.help("correct it; infinity that is meant is written `inf`, no number `nan`"),
    ))
}

fn no_constant(expr: &Expr) -> Box<Diagnostic> {
    let fault = Diagnostic::new("TW0216", "this is not known before the kernel runs");
    let expected = "numbers, constants, `+ - * /`, `min`, `max`, `pow` and functions of one number";
    Box::new(fault.at(expr.span).expected(expected))
}

#[cfg(test)]
mod tests {
    use super::{Constants, Number};

    #[test]
    fn constants_are_folded_in_f64() {
        let text = "const A = 1 / 3\nconst B = -2 * A + max(4, 5)\nconst C = floor(sqrt(17)) * 2\n";
        let parsed = crate::syntax::parse(text);
        let mut faults = parsed.faults;
        let constants = Constants::of(&parsed.file, &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let number = |name| constants.find(name).flatten().unwrap();
        assert_eq!(number("A"), Number { value: 1.0 / 3.0, fractional: true });
        assert_eq!(number("B"), Number { value: -2.0 * (1.0 / 3.0) + 5.0, fractional: true });
        assert_eq!(number("C"), Number { value: 8.0, fractional: false });
    }
}
