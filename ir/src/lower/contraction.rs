//! Recognises contractions: a sum whose body is a product that the vector axis splits in two.
//!
//! `b` is the factor that varies along the vector axis, `a` the other one; without a vector axis among the result's
//! axes `a` is the first factor. Invariant: a * b is the body, up to the order of the two factors. A product of more
//! factors is not grouped in another way, since a part of it may overflow or vanish where the text's groups do not.

use crate::base::{AxisId, AxisSet, BinaryOp, Expr, ReduceOp};
use crate::plan::{Let, Pass, PassProgram, State};
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
    if state.op != ReduceOp::Sum || pass.scan.is_some() {
        return None;
    }
    let Expr::Binary(BinaryOp::Mul, x, y) = &state.body else {
        return None;
    };
    let varies = |factor: &Expr, axis| factor.axes(program).contains(axis);
    let (a, b) = match vector.filter(|axis| pass.axes.contains(axis)) {
        None => (x, y),
        Some(axis) if varies(x, axis) && !varies(y, axis) => (y, x),
        Some(axis) if varies(y, axis) && !varies(x, axis) => (x, y),
        Some(_) => return None,
    };
    let stream: AxisSet = pass.stream.iter().copied().collect();
    let spanned = a.axes(program) | b.axes(program);
    spanned
        .contains_all(stream)
        .then(|| Contraction { a: a.as_ref().clone(), b: b.as_ref().clone() })
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
                Expr::Unary(op, _) => costly |= op.is_rounded(),
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
