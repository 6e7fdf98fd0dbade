//! Terms of exponents that another form may lack, since exponentials that meet in a product cancel them.
//!
//! `exp(x - c) / sum[j](exp(x - c))` is `exp(x) / sum[j](exp(x))` over the reals where c has no j, whatever c is. So a
//! c that is not finite leaves the result undecided. The maximum of x is such a c, too, but where it is NaN or +inf, so
//! is an x that stays, and that decides.
//! Invariant: only terms that meet with both signs, and of a sum only those without its axes.

use super::freedom::is_spelled;
use crate::base::{BinaryOp, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// Terms of one exponent that are looked at: the rewriter takes only short sums apart.
const TERMS_MAX: usize = 64;

/// A term of an exponent, and the operation that has it as an operand.
#[derive(Clone, Copy, Debug)]
struct Term {
    value: NodeId,
    positive: bool,
    reader: NodeId,
    side: usize,
}

/// With which signs a value stands in the exponents of a product: plus, minus.
type Signs = BTreeMap<NodeId, [bool; 2]>;

/// The operands, by operation and position, that are such terms.
pub(super) fn vanishing(graph: &Graph) -> Vec<(NodeId, usize)> {
    let exponents: BTreeMap<NodeId, Vec<Term>> = graph
        .ids()
        .filter(|&id| is_spelled(graph, id))
        .filter_map(|id| match graph.node(id).op {
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x) => Some((id, terms(graph, id, x))),
            _ => None,
        })
        .collect();
    let gone = meeting(graph, &exponents);
    let mut found = vec![];
    for terms in exponents.values() {
        let stays: BTreeSet<NodeId> =
            terms.iter().map(|term| term.value).filter(|value| !gone.contains(value)).collect();
        for term in terms.iter().filter(|term| gone.contains(&term.value)) {
            if !shows(graph, term.value, &stays) {
                found.push((term.reader, term.side));
            }
        }
    }
    found
}

/// The terms of an exponent, those of sums and differences apart.
fn terms(graph: &Graph, reader: NodeId, x: NodeId) -> Vec<Term> {
    let mut open = vec![Term { value: x, positive: true, reader, side: 0 }];
    let mut terms = vec![];
    while let Some(term) = open.pop() {
        let Term { value: reader, positive, .. } = term;
        let part =
            |value, side, same: bool| Term { value, positive: positive == same, reader, side };
        match graph.node(reader).op {
            _ if open.len() + terms.len() > TERMS_MAX || !is_spelled(graph, reader) => {
                terms.push(term);
            }
            Op::Binary(BinaryOp::Add, x, y) => open.extend([part(x, 0, true), part(y, 1, true)]),
            Op::Binary(BinaryOp::Sub, x, y) => open.extend([part(x, 0, true), part(y, 1, false)]),
            Op::Unary(UnaryOp::Neg, x) => open.push(part(x, 0, false)),
            _ => terms.push(term),
        }
    }
    terms
}

/// The terms that stand with both signs in the exponents of some product.
fn meeting(graph: &Graph, exponents: &BTreeMap<NodeId, Vec<Term>>) -> BTreeSet<NodeId> {
    let mut signs: Vec<Signs> = vec![];
    let mut gone = BTreeSet::new();
    for id in graph.ids() {
        let of = |x: NodeId| signs[x.index()].clone();
        let own = match graph.node(id).op {
            _ if !is_spelled(graph, id) => Signs::new(),
            Op::Binary(BinaryOp::Mul, x, y) => union(of(x), of(y)),
            Op::Binary(BinaryOp::Div, x, y) => union(of(x), inverse(of(y))),
            Op::Unary(UnaryOp::Recip, x) => inverse(of(x)),
            Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) => of(x),
            Op::Unary(UnaryOp::Log | UnaryOp::Log2, x) => of(x),
            Op::Select(_, x, y) => union(of(x), of(y)),
            Op::Reduce(ReduceOp::Sum, axes, x) => {
                let mut kept = of(x);
                kept.retain(|value, _| graph.node(*value).axes.is_disjoint(axes));
                kept
            }
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, _) => {
                let terms = exponents.get(&id).into_iter().flatten();
                terms.fold(Signs::new(), |all, term| union(all, signs_of(graph, term, &signs)))
            }
            _ => Signs::new(),
        };
        gone.extend(own.iter().filter(|(_, signs)| **signs == [true; 2]).map(|(value, _)| *value));
        signs.push(own);
    }
    gone
}

/// A term, or what is in the product that it is the logarithm of.
fn signs_of(graph: &Graph, term: &Term, signs: &[Signs]) -> Signs {
    let own = match graph.node(term.value).op {
        Op::Unary(UnaryOp::Log | UnaryOp::Log2, _) => signs[term.value.index()].clone(),
        _ => Signs::from([(term.value, [true, false])]),
    };
    if term.positive { own } else { inverse(own) }
}

fn union(mut one: Signs, other: Signs) -> Signs {
    for (value, [plus, minus]) in other {
        let signs = one.entry(value).or_default();
        *signs = [signs[0] || plus, signs[1] || minus];
    }
    one
}

fn inverse(mut signs: Signs) -> Signs {
    signs.values_mut().for_each(|signs| signs.reverse());
    signs
}

/// Whether a value is finite wherever the terms that stay are: a number, or a maximum of them.
fn shows(graph: &Graph, value: NodeId, stays: &BTreeSet<NodeId>) -> bool {
    let mut open = vec![value];
    while let Some(id) = open.pop() {
        match graph.node(id).op {
            Op::Literal(_) | Op::Len(_) | Op::Index(_) => {}
            Op::Select(_, x, y) | Op::Binary(BinaryOp::Max | BinaryOp::Min, x, y) => {
                open.extend([x, y]);
            }
            Op::Unary(UnaryOp::Neg, x) => open.push(x),
            Op::Reduce(ReduceOp::Max | ReduceOp::Min, _, x) => {
                let of = terms(graph, id, x);
                if !of.iter().all(|term| stays.contains(&term.value)) {
                    return false;
                }
            }
            _ if stays.contains(&id) => {}
            _ => return false,
        }
    }
    true
}
