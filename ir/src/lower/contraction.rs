//! Recognises contractions: a sum whose body is a product that the vector axis splits in two.
//!
//! `b` holds the factors that vary along the vector axis, `a` the others; without a vector axis among the result's
//! axes `a` is the first factor. Invariant: a * b is the body, up to the order of the factors.

use crate::base::{AxisId, AxisSet, BinaryOp, Expr, ReduceOp};
use crate::plan::{Let, Pass, PassProgram, State, is_expensive};
use std::collections::BTreeSet;

/// The two operands of a contraction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contraction {
    pub(crate) a: Expr,
    pub(crate) b: Expr,
}

/// Splits the body of a state, if it is a sum of products.
pub(crate) fn contraction(
    program: &PassProgram,
    pass: &Pass,
    state: &State,
    vector: Option<AxisId>,
) -> Option<Contraction> {
    if state.op != ReduceOp::Sum {
        return None;
    }
    let mut factors = vec![];
    flatten(&state.body, &mut factors);
    let (a, b): (Vec<&Expr>, Vec<&Expr>) = match vector.filter(|axis| pass.axes.contains(axis)) {
        Some(axis) => factors.iter().partition(|factor| !factor.axes(program).contains(axis)),
        None => factors.split_first().map(|(first, rest)| (vec![*first], rest.to_vec()))?,
    };
    let (a, b) = (product(&a)?, product(&b)?);
    let stream: AxisSet = pass.stream.iter().copied().collect();
    let spanned = a.axes(program) | b.axes(program);
    spanned.contains_all(stream).then_some(Contraction { a, b })
}

fn flatten<'a>(expr: &'a Expr, factors: &mut Vec<&'a Expr>) {
    match expr {
        Expr::Binary(BinaryOp::Mul, x, y) => {
            flatten(x, factors);
            flatten(y, factors);
        }
        factor => factors.push(factor),
    }
}

fn product(factors: &[&Expr]) -> Option<Expr> {
    let factors = factors.iter().map(|&factor| factor.clone());
    factors.reduce(|x, y| Expr::binary(BinaryOp::Mul, x, y))
}

/// Whether evaluating the expression costs much more than loading its value.
pub(crate) fn is_costly(expr: &Expr, lets: &[Let]) -> bool {
    let mut costly = false;
    let mut todo = vec![expr];
    let mut next = lets.len();
    let mut wanted = BTreeSet::new();
    loop {
        while let Some(expr) = todo.pop() {
            match expr {
                Expr::Unary(op, _) => costly |= is_expensive(*op),
                Expr::Binary(op, ..) => costly |= matches!(op, BinaryOp::Div | BinaryOp::Pow),
                Expr::Local(local) => {
                    wanted.insert(*local);
                }
                _ => {}
            }
            todo.extend(expr.children());
        }
        // Lets read earlier lets only, so one walk backwards meets every one that is needed.
        while next > 0 && !wanted.contains(&lets[next - 1].local) {
            next -= 1;
        }
        if next == 0 || costly {
            return costly;
        }
        next -= 1;
        todo.push(&lets[next].expr);
    }
}
