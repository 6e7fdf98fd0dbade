//! The derivatives of the operations, one row or one function each.
//!
//! They are written with the operation's own result wherever it has it: that of `exp` is the result, that of `tanh` is
//! `1 - y * y`. Where a function has no derivative, at a tie or a corner, the rule says what is taken.
//! Invariant: a rule sends to every operand what the operand's derivative gives, and to none else.

use super::reverse::{Obstacle, Reverse};
use super::term::Term;
use crate::base::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::graph::{NodeId, Op, Picks};

/// `y = op(x)`.
pub(super) fn unary(tape: &mut Reverse<'_>, op: UnaryOp, (id, x): (NodeId, NodeId), term: Term) {
    let axes = tape.graph.node(id).axes;
    let dtype = term.dtype;
    let (value, result) = (tape.factor(x, dtype), tape.factor(id, dtype));
    let ln_2 = std::f64::consts::LN_2;
    let flow = match op {
        UnaryOp::Neg => term.scaled(-1.0),
        UnaryOp::Abs => return sign(tape, (id, x), &term),
        UnaryOp::Recip => term.scaled(-1.0).times(result).times(result),
        UnaryOp::Exp => term.times(result),
        UnaryOp::Exp2 => term.scaled(ln_2).times(result),
        UnaryOp::Log => term.over(value),
        UnaryOp::Log2 => term.scaled(1.0 / ln_2).over(value),
        UnaryOp::Sqrt => term.scaled(0.5).over(result),
        UnaryOp::Rsqrt => term.scaled(-0.5).times(result).times(result).times(result),
        UnaryOp::Tanh => {
            let rest = one_minus_square(tape, result, dtype);
            term.times(rest)
        }
        UnaryOp::Erf => {
            let bell = bell(tape, value);
            term.scaled(std::f64::consts::FRAC_2_SQRT_PI).times(bell)
        }
        UnaryOp::Sin => {
            let slope = tape.tape.builder.unary(UnaryOp::Cos, value);
            term.times(slope)
        }
        UnaryOp::Cos => {
            let slope = tape.tape.builder.unary(UnaryOp::Sin, value);
            term.scaled(-1.0).times(slope)
        }
        UnaryOp::Floor | UnaryOp::Round | UnaryOp::Not => return,
    };
    tape.flow_from(x, flow, axes);
}

/// The slope of the absolute value; at 0 none.
fn sign(tape: &mut Reverse<'_>, (id, x): (NodeId, NodeId), term: &Term) {
    let axes = tape.graph.node(id).axes;
    let dtype = term.dtype;
    let value = tape.factor(x, dtype);
    let zero = tape.tape.literal(0.0, dtype);
    for (op, number) in [(CompareOp::Gt, 1.0), (CompareOp::Lt, -1.0)] {
        let side = tape.tape.builder.compare(op, value, zero);
        tape.flow_from(x, term.clone().scaled(number).where_is(side, true), axes);
    }
}

fn one_minus_square(tape: &mut Reverse<'_>, result: NodeId, dtype: DType) -> NodeId {
    let square = tape.tape.builder.binary(BinaryOp::Mul, result, result);
    let one = tape.tape.literal(1.0, dtype);
    tape.tape.builder.binary(BinaryOp::Sub, one, square)
}

/// `exp(-x * x)`.
fn bell(tape: &mut Reverse<'_>, value: NodeId) -> NodeId {
    let square = tape.tape.builder.binary(BinaryOp::Mul, value, value);
    let minus = tape.tape.builder.unary(UnaryOp::Neg, square);
    tape.tape.builder.unary(UnaryOp::Exp, minus)
}

/// `z = x op y`.
pub(super) fn binary(
    tape: &mut Reverse<'_>,
    op: BinaryOp,
    id: NodeId,
    (x, y): (NodeId, NodeId),
    term: Term,
) {
    let axes = tape.graph.node(id).axes;
    let dtype = term.dtype;
    let (left, right) = (tape.factor(x, dtype), tape.factor(y, dtype));
    match op {
        BinaryOp::Add | BinaryOp::Sub => {
            let sign = if op == BinaryOp::Sub { -1.0 } else { 1.0 };
            tape.flow_from(x, term.clone(), axes);
            tape.flow_from(y, term.scaled(sign), axes);
        }
        BinaryOp::Mul => {
            tape.flow_from(x, term.clone().times(right), axes);
            tape.flow_from(y, term.times(left), axes);
        }
        BinaryOp::Div => {
            let quotient = tape.factor(id, dtype);
            tape.flow_from(x, term.clone().over(right), axes);
            tape.flow_from(y, term.scaled(-1.0).times(quotient).over(right), axes);
        }
        BinaryOp::Min | BinaryOp::Max => extreme(tape, op, id, (x, y), &term),
        BinaryOp::Pow => power(tape, id, (x, y), term),
        BinaryOp::And | BinaryOp::Or => {}
    }
}

/// The larger or the smaller of two takes the gradient. Of equal ones each takes half, and all of it goes to none where
/// one is a constant: then the tie has the slope of the constant, as `max(x, 0)` at 0.
fn extreme(
    tape: &mut Reverse<'_>,
    op: BinaryOp,
    id: NodeId,
    (x, y): (NodeId, NodeId),
    term: &Term,
) {
    let axes = tape.graph.node(id).axes;
    let (left, right) = (tape.value(x), tape.value(y));
    let compare = if op == BinaryOp::Max { CompareOp::Gt } else { CompareOp::Lt };
    let both = tape.is_active(x) && tape.is_active(y);
    for (to, own, other) in [(x, left, right), (y, right, left)] {
        let wins = tape.tape.builder.compare(compare, own, other);
        tape.flow_from(to, term.clone().where_is(wins, true), axes);
        if both {
            let ties = tape.tape.equal(left, right);
            tape.flow_from(to, term.clone().scaled(0.5).where_is(ties, true), axes);
        }
    }
}

/// `x to the y`: `y x^(y-1)` and `x^y log(x)`, the latter 0 where x is 0.
fn power(tape: &mut Reverse<'_>, id: NodeId, (x, y): (NodeId, NodeId), term: Term) {
    let axes = tape.graph.node(id).axes;
    let dtype = term.dtype;
    let (base, exponent) = (tape.factor(x, dtype), tape.factor(y, dtype));
    if tape.is_active(x) {
        let one = tape.tape.literal(1.0, dtype);
        let lower = match tape.tape.builder.node(exponent).op {
            Op::Literal(1.0) => None,
            Op::Literal(2.0) => Some(base),
            Op::Literal(value) => {
                let less = tape.tape.literal(value - 1.0, dtype);
                Some(tape.tape.builder.binary(BinaryOp::Pow, base, less))
            }
            _ => {
                let less = tape.tape.builder.binary(BinaryOp::Sub, exponent, one);
                Some(tape.tape.builder.binary(BinaryOp::Pow, base, less))
            }
        };
        let flow = term.clone().times(exponent);
        tape.flow_from(x, lower.into_iter().fold(flow, Term::times), axes);
    }
    if tape.is_active(y) {
        let result = tape.factor(id, dtype);
        let zero = tape.tape.literal(0.0, dtype);
        let log = tape.tape.builder.unary(UnaryOp::Log, base);
        let nothing = tape.tape.equal(base, zero);
        tape.flow_from(y, term.times(result).times(log).where_is(nothing, false), axes);
    }
}

/// A running sum: the sum of what comes from an element on, a running sum from the other end.
pub(super) fn scan(
    tape: &mut Reverse<'_>,
    op: ReduceOp,
    axis: AxisId,
    (id, x): (NodeId, NodeId),
    term: Term,
) {
    if op != ReduceOp::Sum {
        let word = op.scan_name().unwrap_or_default();
        return tape.obstacles.push(Obstacle {
            node: id,
            what: format!("`{word}` has no gradient here"),
            word,
            help: "write it with `cumsum`, or leave the inputs that it depends on out of `--wrt`",
        });
    }
    let axes = tape.graph.node(id).axes;
    let dtype = term.dtype;
    let mut value = tape.tape.node(&term);
    if !tape.tape.builder.node(value).axes.contains(axis) {
        // The gradient is the same along the axis: as many times as elements follow.
        let (len, index) = (tape.tape.builder.len(axis), tape.tape.builder.index(axis));
        let count = tape.tape.builder.binary(BinaryOp::Sub, len, index);
        let count = tape.tape.cast(count, dtype);
        return tape.flow_from(x, term.times(count), axes);
    }
    let mirrored = tape.tape.mirrored(axis);
    value = tape.tape.builder.gather(value, &[(axis, mirrored)]);
    value = tape.tape.builder.scan(ReduceOp::Sum, axis, value);
    value = tape.tape.builder.gather(value, &[(axis, mirrored)]);
    tape.flow_from(x, Term::of(value, dtype), axes);
}

/// `y = x[..]`: an element takes the gradients of all places that read it.
pub(super) fn gather(tape: &mut Reverse<'_>, id: NodeId, (x, picks): (NodeId, Picks), term: Term) {
    let axes = tape.graph.node(id).axes;
    let index = |axis: AxisId| picks.of(axis).map(|index| tape.graph.node(index).op);
    let moved = |axis: AxisId| match index(axis) {
        Some(Op::Index(from)) => Some((from, axis)),
        _ => None,
    };
    let sources: Option<Vec<(AxisId, AxisId)>> = picks.axes().iter().map(moved).collect();
    let permuted = sources.filter(|list| {
        list.iter().map(|pair| pair.0).collect::<AxisSet>() == picks.axes()
            && list.len() == picks.len()
            // Where the extents differ, the nearest element is read for what is outside.
            && list.iter().all(|&(from, to)| tape.are_equal(from, to))
    });
    if let Some(list) = permuted {
        return transpose(tape, (x, axes), &list, &term);
    }
    let indices =
        picks.iter().fold(AxisSet::EMPTY, |axes, (_, index)| axes | tape.graph.node(index).axes);
    if !indices.is_disjoint(picks.axes()) {
        return tape.obstacles.push(Obstacle {
            node: id,
            what: "this subscript varies over an axis that it replaces".to_string(),
            word: "",
            help: "give the result an axis of its own, `y: f32[o]` with `where o == w`; where a square is \
                   transposed, say `where i == j`",
        });
    }
    let mut flow = term;
    for (axis, index) in picks.iter() {
        let index = tape.value(index);
        let nearest = tape.tape.builder.clamped_index(index, axis);
        let place = tape.tape.builder.index(axis);
        let here = tape.tape.equal(nearest, place);
        flow = flow.where_is(here, true);
    }
    tape.flow_from(x, flow, axes | picks.axes());
}

/// A transposition: the gradient is the one back.
fn transpose(
    tape: &mut Reverse<'_>,
    (x, axes): (NodeId, AxisSet),
    list: &[(AxisId, AxisId)],
    term: &Term,
) {
    let value = tape.tape.node(term);
    let present = tape.tape.builder.node(value).axes;
    let mut picks = vec![];
    for &(from, to) in list {
        if present.contains(from) {
            picks.push((from, tape.tape.builder.index(to)));
        }
    }
    let value = tape.tape.builder.gather(value, &picks);
    tape.flow_from(x, Term::of(value, term.dtype), axes);
}
