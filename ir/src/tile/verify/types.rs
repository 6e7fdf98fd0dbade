//! The types of operands.
//!
//! Invariant: a value has one type; conversions are explicit, so that every rounding stands in the text.

use super::super::TileProgram;
use super::{Report, code};
use crate::base::{BinaryOp, CompareOp, DType, Expr, ReduceOp, UnaryOp};

/// Checks an expression and all its parts.
pub(super) fn check(program: &TileProgram, expr: &Expr, report: &mut Report) {
    expr.walk(&mut |part: &Expr| {
        let types: Vec<_> = part.children().iter().map(|child| child.dtype(program)).collect();
        if let Some((what, expected)) = fault(part, &types) {
            let names: Vec<_> = types.iter().map(|dtype| dtype.name()).collect();
            let what = format!("{what} of operands {} is not defined", names.join(", "));
            report.fault(code::TYPES, &what, expected);
        }
    });
}

/// What is wrong with a part whose operands have these types: its name, and what it takes.
fn fault(expr: &Expr, types: &[DType]) -> Option<(String, &'static str)> {
    let one = types.windows(2).all(|pair| pair[0] == pair[1]);
    let truth = types.iter().all(|dtype| *dtype == DType::Bool);
    let number = types.iter().all(|dtype| *dtype != DType::Bool);
    let float = types.iter().all(|dtype| dtype.is_float());
    let (name, legal, expected) = match expr {
        Expr::Literal(_) | Expr::Local(_) | Expr::Load(_) | Expr::Index(_) | Expr::Len(_) => {
            return None;
        }
        Expr::Cast(..) => return None,
        Expr::At(..) => {
            let whole = types.iter().all(|dtype| *dtype == DType::I32);
            ("at", whole, "its indices are i32; convert with i32(..)")
        }
        Expr::Wrap(to, _) => ("wrap", to.is_integer(), "it gives an integer"),
        Expr::Unary(op @ UnaryOp::Not, _) => (op.name(), truth, "it takes a bool"),
        Expr::Unary(op @ (UnaryOp::Neg | UnaryOp::Abs), _) => {
            (op.name(), number, "it takes a number")
        }
        Expr::Unary(op, _) => (op.name(), float, "it takes a float; convert with f32(..)"),
        Expr::Binary(op @ (BinaryOp::And | BinaryOp::Or), ..) => {
            (op.name(), truth, "it takes two bools")
        }
        Expr::Binary(op @ BinaryOp::Pow, ..) => {
            (op.name(), one && float, "it takes two floats of one type")
        }
        Expr::Binary(op, ..) => {
            (op.name(), one && number, "it takes two numbers of one type; convert with f32(..)")
        }
        Expr::Compare(op @ (CompareOp::Eq | CompareOp::Ne), ..) => {
            (op.name(), one, "it takes two values of one type")
        }
        Expr::Compare(op, ..) => {
            (op.name(), one && number, "it takes two numbers of one type; convert with f32(..)")
        }
        Expr::Select(..) => (
            "select",
            types[0] == DType::Bool && types[1] == types[2],
            "it takes a bool and two values of one type",
        ),
        Expr::Reduce(op @ (ReduceOp::All | ReduceOp::Any), ..) => {
            (op.name(), truth, "it takes a bool")
        }
        Expr::Reduce(op, ..) => (op.name(), number, "it takes a number"),
        Expr::Mma(..) => (
            "mma",
            one && number,
            "its operands and its accumulator have one type; convert with f32(..)",
        ),
    };
    (!legal).then(|| (format!("`{name}`"), expected))
}
