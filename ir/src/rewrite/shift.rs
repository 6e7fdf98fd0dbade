//! The shift lemma: a weighted sum of distances from a mean becomes one traversal with the mean.
//!
//! Let `R = sum[j]((x - mean x) y)` for weights y, and let `a`, `w` be the mean of x and the sum of y over the first
//! elements. About a new mean a' the sum over the first elements is `R_n + (a - a') w`, so a traversal that carries the
//! weights beside it shifts what it holds whenever the mean moves. So a normalisation is folded into the contraction that
//! reads it. The weights may have axes that x lacks, and the other way round.
//!
//! Sums of contractions are taken apart first where one of them is cheaper by itself (`distribute`): what a
//! normalisation adds at the end has no rows.
//! Invariant: the mean is taken off before anything is multiplied, so nothing cancels that did not in the text.

use super::analysis::{Graphs, number};
use super::centre::{centred, distance, means};
use super::factor::named;
use super::language::Math;
use super::view::{Product, ordered, products, write_product};
use crate::base::{AxisSet, DType};
use crate::graph::Op;
use egg::Id;

/// Views of one class that are looked at.
const VIEWS: usize = 8;

/// The lemma, for every centred factor under a sum that has other factors.
pub(super) fn shift(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let (axes, dtype) = (named(graphs, *j), graphs[id].data.dtype);
    if !graphs[id].data.running.is_empty() {
        return vec![];
    }
    let mut equal = vec![];
    for view in products(graphs, *x, VIEWS) {
        if !view.exponent.is_empty() || view.factors.len() < 2 {
            continue;
        }
        for position in 0..view.factors.len() {
            let mut weights = view.clone();
            let factor = weights.factors.remove(position);
            let vary = weights.factors.iter().all(|&id| varies(graphs, id, axes));
            let Some(x) = vary.then(|| centred(graphs, *j, factor, dtype)).flatten() else {
                continue;
            };
            // A product of two distances is shifted by both means: that is the centring lemma.
            let other = weights.factors.iter().any(|&id| centred(graphs, *j, id, dtype).is_some());
            if !other {
                equal.push(write(graphs, *j, x, weights, dtype));
            }
        }
    }
    equal
}

fn varies(graphs: &Graphs, id: Id, axes: AxisSet) -> bool {
    !graphs[id].data.axes.is_disjoint(axes)
}

fn write(graphs: &mut Graphs, j: Id, x: Id, weights: Product, dtype: DType) -> Id {
    let one = number(graphs, 1.0, dtype);
    let of_x = means(graphs, j, x, one);
    let from_x = distance(graphs, x, of_x.after);
    let weight = write_product(graphs, weights.clone(), dtype);
    let mut term = weights;
    term.factors.push(from_x);
    let term = write_product(graphs, term, dtype);
    let moved = distance(graphs, of_x.before, of_x.after);
    let seen = graphs.add(Math::BeforeSum([j, weight]));
    let shift = write_product(graphs, Product::of(vec![moved, seen]), dtype);
    graphs.add(Math::Roll([j, term, one, shift]))
}

/// `sum[j]((p + q) y) = sum[j](p y) + sum[j](q y)` where the second sum lacks axes of the first. p is computed, so it
/// carries a rounding of its own size already and the parts may be rounded apart.
pub(super) fn distribute(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let (axes, dtype) = (named(graphs, *j), graphs[id].data.dtype);
    if !graphs[id].data.running.is_empty() {
        return vec![];
    }
    let mut equal = vec![];
    for view in products(graphs, *x, VIEWS) {
        for position in 0..view.factors.len() {
            let mut rest = view.clone();
            let factor = rest.factors.remove(position);
            let of_rest = write_product(graphs, rest.clone(), dtype);
            for (p, q) in sums(graphs, factor) {
                let all =
                    |graphs: &Graphs, id: Id| graphs[id].data.axes | graphs[of_rest].data.axes;
                let (of_p, of_q) = (all(graphs, p), all(graphs, q));
                let cheaper = of_p.contains_all(of_q) && of_p != of_q;
                if rest.len() == 0 || !cheaper || !varies(graphs, q, axes) || is_given(graphs, p) {
                    continue;
                }
                let mut part = |factor: Id| {
                    let mut product = rest.clone();
                    product.factors.push(factor);
                    let term = write_product(graphs, product, dtype);
                    graphs.add(Math::Sum([*j, term]))
                };
                let (first, second) = (part(p), part(q));
                equal.push(graphs.add(Math::Add([first, second])));
            }
        }
    }
    equal
}

/// The two terms of a class that is a sum, either first.
fn sums(graphs: &Graphs, id: Id) -> Vec<(Id, Id)> {
    let terms = ordered(graphs, id).into_iter().filter_map(|node| match node {
        Math::Add([x, y]) => Some([(*x, *y), (*y, *x)]),
        _ => None,
    });
    terms.take(2).flatten().collect()
}

/// Whether a value is exact: an input, or a number.
fn is_given(graphs: &Graphs, id: Id) -> bool {
    graphs[id].nodes.iter().any(|node| match node {
        Math::Number(_) => true,
        Math::Other(name, _) => matches!(graphs.analysis.opaque[name].op, Op::Input(_)),
        _ => false,
    })
}
