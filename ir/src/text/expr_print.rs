//! Prints expressions with as few parentheses as the grammar allows.
//!
//! Levels, loosest first: `||`, `&&`, comparisons (they do not chain), `+ -`, `* /`, prefix `- !`, the rest.
//! Invariant: what is printed parses to the same tree.

use super::{print_literal, quote_name};
use crate::base::{AxisId, AxisSet, BinaryOp, BufferId, Expr, LocalId, UnaryOp};

/// The names that a printed expression shows.
pub trait ExprNames {
    /// The name of an axis.
    fn axis_name(&self, axis: AxisId) -> &str;
    /// The name of a buffer.
    fn buffer_name(&self, buffer: BufferId) -> &str;
    /// The name of a local.
    fn local_name(&self, local: LocalId) -> &str;
}

pub(super) const LEVEL_COMPARE: u32 = 2;
pub(super) const LEVEL_PREFIX: u32 = 5;
const LEVEL_ATOM: u32 = 6;

/// The level of an infix operator; `None` for those written as calls.
pub(super) fn infix_level(op: BinaryOp) -> Option<u32> {
    match op {
        BinaryOp::Or => Some(0),
        BinaryOp::And => Some(1),
        BinaryOp::Add | BinaryOp::Sub => Some(3),
        BinaryOp::Mul | BinaryOp::Div => Some(4),
        BinaryOp::Min | BinaryOp::Max | BinaryOp::Pow => None,
    }
}

/// The canonical text of an expression.
pub fn print_expr(expr: &Expr, names: &impl ExprNames) -> String {
    let mut printer = Printer { names, out: String::new() };
    printer.expr(expr, 0);
    printer.out
}

struct Printer<'a, N> {
    names: &'a N,
    out: String,
}

impl<N: ExprNames> Printer<'_, N> {
    /// Prints `expr` where only levels from `level` up may stand without parentheses.
    fn expr(&mut self, expr: &Expr, level: u32) {
        let parenthesised = level_of(expr) < level;
        if parenthesised {
            self.out.push('(');
        }
        self.bare(expr);
        if parenthesised {
            self.out.push(')');
        }
    }

    fn bare(&mut self, expr: &Expr) {
        match expr {
            Expr::Literal(literal) => self.out.push_str(&print_literal(*literal)),
            Expr::Local(local) => self.out.push_str(&quote_name(self.names.local_name(*local))),
            Expr::Load(buffer) => {
                self.out.push_str("load ");
                self.out.push_str(&quote_name(self.names.buffer_name(*buffer)));
            }
            Expr::At(buffer, picks) => self.at(*buffer, picks),
            Expr::Index(axis) => self.of_axis("index", *axis),
            Expr::Len(axis) => self.of_axis("len", *axis),
            Expr::Unary(op, x) => self.unary(*op, x),
            Expr::Binary(op, x, y) => match infix_level(*op) {
                Some(level) => self.infix(op.name(), x, y, (level, level + 1)),
                None => self.call(op.name(), &[x, y]),
            },
            Expr::Compare(op, x, y) => {
                self.infix(op.name(), x, y, (LEVEL_COMPARE + 1, LEVEL_COMPARE + 1));
            }
            Expr::Select(c, x, y) => self.call("select", &[c, x, y]),
            Expr::Cast(dtype, x) => self.call(dtype.name(), &[x]),
            Expr::Wrap(dtype, x) => self.call(&format!("wrap_{dtype}"), &[x]),
            Expr::Reduce(op, axes, x) => {
                let head = format!("reduce {}[{}]", op.name(), self.axes(*axes));
                self.call(&head, &[x]);
            }
            Expr::Mma(axes, a, b, c) => {
                let head = format!("mma[{}]", self.axes(*axes));
                self.call(&head, &[a, b, c]);
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, x: &Expr) {
        match op {
            // `-3` is a number, so the negation of a number is a call.
            UnaryOp::Neg if !matches!(x, Expr::Literal(_)) => self.prefix("-", x),
            UnaryOp::Not => self.prefix("!", x),
            _ => self.call(op.name(), &[x]),
        }
    }

    fn prefix(&mut self, symbol: &str, x: &Expr) {
        self.out.push_str(symbol);
        self.expr(x, LEVEL_PREFIX);
    }

    fn infix(&mut self, symbol: &str, x: &Expr, y: &Expr, (left, right): (u32, u32)) {
        self.expr(x, left);
        self.out.push(' ');
        self.out.push_str(symbol);
        self.out.push(' ');
        self.expr(y, right);
    }

    fn call(&mut self, head: &str, arguments: &[&Expr]) {
        self.out.push_str(head);
        self.out.push('(');
        for (position, argument) in arguments.iter().enumerate() {
            if position > 0 {
                self.out.push_str(", ");
            }
            self.expr(argument, 0);
        }
        self.out.push(')');
    }

    fn at(&mut self, buffer: BufferId, picks: &[(AxisId, Expr)]) {
        self.out.push_str(&format!("at {}[", quote_name(self.names.buffer_name(buffer))));
        for (position, (axis, index)) in picks.iter().enumerate() {
            let separator = if position > 0 { ", " } else { "" };
            let name = quote_name(self.names.axis_name(*axis));
            self.out.push_str(&format!("{separator}{name}: "));
            self.expr(index, 0);
        }
        self.out.push(']');
    }

    fn of_axis(&mut self, head: &str, axis: AxisId) {
        let name = quote_name(self.names.axis_name(axis));
        self.out.push_str(&format!("{head}({name})"));
    }

    fn axes(&self, axes: AxisSet) -> String {
        let names: Vec<_> =
            axes.iter().map(|axis| quote_name(self.names.axis_name(axis))).collect();
        names.join(", ")
    }
}

fn level_of(expr: &Expr) -> u32 {
    match expr {
        Expr::Binary(op, ..) => infix_level(*op).unwrap_or(LEVEL_ATOM),
        Expr::Compare(..) => LEVEL_COMPARE,
        Expr::Unary(UnaryOp::Neg, x) if !matches!(**x, Expr::Literal(_)) => LEVEL_PREFIX,
        Expr::Unary(UnaryOp::Not, _) => LEVEL_PREFIX,
        _ => LEVEL_ATOM,
    }
}
