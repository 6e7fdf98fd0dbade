//! The arithmetic by which a masked term becomes what its reduction starts with.
//!
//! `0 * x` is 0 whatever x is, as everywhere in a kernel that is not `@exact`: the reference leaves undecided what
//! infinities and NaN behind a mask would make of it. Everything else holds for every x, but for NaN made of states.
//! Invariant: numbers are computed only where that is exact; zeros have no sign.

use super::terms::{Kind, Term, TermId, Terms};
use crate::base::{BinaryOp, CompareOp, DType, UnaryOp};
use crate::reference::scalar;
use std::collections::BTreeMap;

/// How deep it is looked for a reason why a term is not infinite.
const DEPTH_MAX: u32 = 12;

/// Whether arithmetic with a number is exact.
fn is_plain(value: f64) -> bool {
    [0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY].contains(&value)
}

pub(super) fn unary(
    terms: &mut Terms<'_, '_>,
    op: UnaryOp,
    x: TermId,
    dtype: DType,
) -> Option<TermId> {
    let assumes = terms.list[x].assumes;
    if let Some(value) = terms.number(x).filter(|&value| is_plain(value)) {
        let made = scalar::unary(op, dtype, value);
        // What a zero's sign decides is not known.
        let signed = value == 0.0 && matches!(op, UnaryOp::Recip | UnaryOp::Rsqrt);
        if is_plain(made) && !signed {
            return terms.add(Kind::Number(made + 0.0), dtype, assumes);
        }
    }
    terms.add(Kind::Unary(op, x), dtype, assumes)
}

/// A conversion, saturating or keeping the low bits.
pub(super) fn convert(
    terms: &mut Terms<'_, '_>,
    x: TermId,
    dtype: DType,
    is_cast: bool,
) -> Option<TermId> {
    let assumes = terms.list[x].assumes;
    if let Some(value) = terms.number(x).filter(|&value| is_plain(value)) {
        let made = if is_cast { scalar::cast(dtype, value) } else { scalar::wrap(dtype, value) };
        return terms.add(Kind::Number(made + 0.0), dtype, assumes);
    }
    let kind = if is_cast { Kind::Cast(x) } else { Kind::Wrap(x) };
    terms.add(kind, dtype, assumes)
}

pub(super) fn compare(
    terms: &mut Terms<'_, '_>,
    op: CompareOp,
    (x, y): (TermId, TermId),
) -> Option<TermId> {
    let assumes = terms.list[x].assumes || terms.list[y].assumes;
    let kind = match (terms.number(x), terms.number(y)) {
        (Some(x), Some(y)) => Kind::Number(f64::from(u8::from(op.apply(x, y)))),
        _ => Kind::Compare(op, x, y),
    };
    terms.add(kind, DType::Bool, assumes)
}

pub(super) fn binary(
    terms: &mut Terms<'_, '_>,
    op: BinaryOp,
    (x, y): (TermId, TermId),
    dtype: DType,
) -> Option<TermId> {
    let numbers = (terms.number(x), terms.number(y));
    let assumed = terms.list[x].assumes || terms.list[y].assumes;
    if let (Some(a), Some(b)) = numbers {
        let made = scalar::binary(op, dtype, a, b);
        let by_zero = op == BinaryOp::Div && b == 0.0 || op == BinaryOp::Pow;
        if is_plain(made) && (is_plain(a) || is_plain(b)) && !by_zero {
            return terms.add(Kind::Number(made + 0.0), dtype, assumed);
        }
    }
    if let Some(found) = neutral(op, (x, y), numbers) {
        return terms.same(found, assumed);
    }
    let absorbed = match op {
        BinaryOp::Mul if numbers.0 == Some(0.0) || numbers.1 == Some(0.0) => Some((0.0, false)),
        BinaryOp::And if numbers.0 == Some(0.0) || numbers.1 == Some(0.0) => Some((0.0, false)),
        BinaryOp::Or if numbers.0 == Some(1.0) || numbers.1 == Some(1.0) => Some((1.0, false)),
        // 0 / l, where l is not 0.
        BinaryOp::Div if numbers.0 == Some(0.0) && is_denied(terms, y, 0.0) => {
            terms.is_of_states(y).then_some((0.0, true))
        }
        BinaryOp::Add | BinaryOp::Sub if dtype.is_float() => sum(terms, op, (x, y), numbers),
        _ => None,
    };
    if let Some((value, assumes)) = absorbed {
        return terms.add(Kind::Number(value), dtype, assumed || assumes);
    }
    terms.add(Kind::Binary(op, x, y), dtype, assumed)
}

/// The operand that the other one leaves as it is.
fn neutral(
    op: BinaryOp,
    (x, y): (TermId, TermId),
    (a, b): (Option<f64>, Option<f64>),
) -> Option<TermId> {
    let (low, high) = (Some(f64::NEG_INFINITY), Some(f64::INFINITY));
    match op {
        BinaryOp::Add if b == Some(0.0) => Some(x),
        BinaryOp::Add if a == Some(0.0) => Some(y),
        BinaryOp::Sub if b == Some(0.0) => Some(x),
        BinaryOp::Mul | BinaryOp::And if b == Some(1.0) => Some(x),
        BinaryOp::Mul | BinaryOp::And if a == Some(1.0) => Some(y),
        BinaryOp::Or if b == Some(0.0) => Some(x),
        BinaryOp::Or if a == Some(0.0) => Some(y),
        BinaryOp::Div if b == Some(1.0) => Some(x),
        BinaryOp::Max if b == low => Some(x),
        BinaryOp::Max if a == low => Some(y),
        BinaryOp::Min if b == high => Some(x),
        BinaryOp::Min if a == high => Some(y),
        BinaryOp::Max | BinaryOp::Min | BinaryOp::And | BinaryOp::Or if x == y => Some(x),
        _ => None,
    }
}

/// A sum or difference that is a number whatever the states are: of an infinity and something that is not the other
/// one, or of a value and itself.
fn sum(
    terms: &mut Terms<'_, '_>,
    op: BinaryOp,
    (x, y): (TermId, TermId),
    (a, b): (Option<f64>, Option<f64>),
) -> Option<(f64, bool)> {
    let is_difference = op == BinaryOp::Sub;
    if is_difference && x == y && is_above(terms, x, DEPTH_MAX) && terms.is_of_states(x) {
        return Some((0.0, true));
    }
    let sign = if is_difference { -1.0 } else { 1.0 };
    let (infinite, other, kept) = match (a, b) {
        (Some(a), None) if a.is_infinite() => (a, y, sign),
        (None, Some(b)) if b.is_infinite() => (sign * b, x, 1.0),
        _ => return None,
    };
    // The other one, with the sign that it has in the sum, must not be the opposite infinity.
    let is_low = infinite < 0.0;
    let is_safe = if is_low == (kept > 0.0) {
        is_below(terms, other, DEPTH_MAX)
    } else {
        is_above(terms, other, DEPTH_MAX)
    };
    (is_safe && terms.is_of_states(other)).then_some((infinite, true))
}

/// Whether a term is never -inf.
fn is_above(terms: &Terms<'_, '_>, term: TermId, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if is_denied(terms, term, f64::NEG_INFINITY) {
        return true;
    }
    match terms.list[term].kind {
        Kind::Number(value) => value > f64::NEG_INFINITY,
        Kind::Select(c, x, y) => {
            is_above(terms, x, depth)
                && (is_above(terms, y, depth) || excludes(terms, c, y, f64::NEG_INFINITY))
        }
        Kind::Unary(op, x) => match op {
            UnaryOp::Abs
            | UnaryOp::Exp
            | UnaryOp::Exp2
            | UnaryOp::Sqrt
            | UnaryOp::Tanh
            | UnaryOp::Erf => true,
            UnaryOp::Neg => is_below(terms, x, depth),
            _ => false,
        },
        Kind::Binary(BinaryOp::Max, x, y) => is_above(terms, x, depth) || is_above(terms, y, depth),
        Kind::Binary(BinaryOp::Mul, x, y) => {
            is_positive(terms, x) && is_above(terms, y, depth)
                || is_positive(terms, y) && is_above(terms, x, depth)
        }
        Kind::Cast(x) => terms.list[x].dtype.is_float() && is_above(terms, x, depth),
        _ => false,
    }
}

/// Whether a term is never +inf.
fn is_below(terms: &Terms<'_, '_>, term: TermId, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if is_denied(terms, term, f64::INFINITY) {
        return true;
    }
    match terms.list[term].kind {
        Kind::Number(value) => value < f64::INFINITY,
        Kind::Select(c, x, y) => {
            is_below(terms, x, depth)
                && (is_below(terms, y, depth) || excludes(terms, c, y, f64::INFINITY))
        }
        Kind::Unary(UnaryOp::Tanh | UnaryOp::Erf, _) => true,
        Kind::Unary(UnaryOp::Neg, x) => is_above(terms, x, depth),
        Kind::Binary(BinaryOp::Min, x, y) => is_below(terms, x, depth) || is_below(terms, y, depth),
        Kind::Binary(BinaryOp::Mul, x, y) => {
            is_positive(terms, x) && is_below(terms, y, depth)
                || is_positive(terms, y) && is_below(terms, x, depth)
        }
        Kind::Cast(x) => terms.list[x].dtype.is_float() && is_below(terms, x, depth),
        _ => false,
    }
}

fn is_positive(terms: &Terms<'_, '_>, term: TermId) -> bool {
    terms.number(term).is_some_and(|value| value > 0.0 && value.is_finite())
}

/// Whether a denied condition says that a term is not this number.
fn is_denied(terms: &Terms<'_, '_>, term: TermId, number: f64) -> bool {
    terms.denied.iter().any(|&condition| excludes(terms, condition, term, number))
}

/// Whether `value` is not this number where the condition does not hold: `value == number` is the condition.
fn excludes(terms: &Terms<'_, '_>, condition: TermId, value: TermId, number: f64) -> bool {
    let Kind::Compare(CompareOp::Eq, x, y) = terms.list[condition].kind else { return false };
    x == value && terms.number(y) == Some(number) || y == value && terms.number(x) == Some(number)
}

pub(super) fn select(
    terms: &mut Terms<'_, '_>,
    (c, x, y): (TermId, TermId, TermId),
    dtype: DType,
) -> Option<TermId> {
    let y = if matches!(terms.list[c].kind, Kind::Compare(CompareOp::Eq, ..)) {
        terms.denied.push(c);
        let again = anew(terms, y, &mut BTreeMap::new());
        terms.denied.pop();
        again?
    } else {
        y
    };
    let [of_c, of_x, of_y] = [c, x, y].map(|term| terms.list[term].assumes);
    // NaN equals nothing, so it takes the second branch.
    let is_equality = matches!(terms.list[c].kind, Kind::Compare(CompareOp::Eq, ..));
    if of_c || of_x || of_y && !is_equality {
        return None;
    }
    let equal = x == y || terms.number(x).is_some() && terms.number(x) == terms.number(y);
    if equal {
        return terms.same(x, of_y);
    }
    terms.add(Kind::Select(c, x, y), dtype, of_y)
}

/// A term made anew where the denied conditions do not hold.
fn anew(
    terms: &mut Terms<'_, '_>,
    term: TermId,
    known: &mut BTreeMap<TermId, TermId>,
) -> Option<TermId> {
    if let Some(&known) = known.get(&term) {
        return Some(known);
    }
    terms.count()?;
    let Term { kind, dtype, .. } = terms.list[term].clone();
    let made = match kind {
        Kind::Number(_) | Kind::State(_) | Kind::Leaf(_) => term,
        Kind::Unary(op, x) => {
            let x = anew(terms, x, known)?;
            unary(terms, op, x, dtype)?
        }
        Kind::Binary(op, x, y) => {
            let (x, y) = (anew(terms, x, known)?, anew(terms, y, known)?);
            binary(terms, op, (x, y), dtype)?
        }
        Kind::Compare(..) if terms.denied.contains(&term) => {
            terms.add(Kind::Number(0.0), dtype, false)?
        }
        Kind::Compare(op, x, y) => {
            let (x, y) = (anew(terms, x, known)?, anew(terms, y, known)?);
            compare(terms, op, (x, y))?
        }
        Kind::Select(c, _, y) if terms.denied.contains(&c) => anew(terms, y, known)?,
        Kind::Select(c, x, y) => {
            let [c, x, y] =
                [anew(terms, c, known)?, anew(terms, x, known)?, anew(terms, y, known)?];
            match terms.number(c) {
                Some(_) => return None,
                None => select(terms, (c, x, y), dtype)?,
            }
        }
        Kind::Cast(x) | Kind::Wrap(x) => {
            let x = anew(terms, x, known)?;
            convert(terms, x, dtype, matches!(kind, Kind::Cast(_)))?
        }
    };
    known.insert(term, made);
    Some(made)
}

impl Terms<'_, '_> {
    /// The same term, which may assume more.
    fn same(&mut self, term: TermId, assumes: bool) -> Option<TermId> {
        let known = self.list[term].clone();
        self.add(known.kind, known.dtype, known.assumes || assumes)
    }
}
