//! The centring lemma: a sum of products of distances from means becomes one traversal with the means.
//!
//! Let `R = sum[j]((x - mean x)(y - mean y))`, and let `n`, `a`, `b` be the number of the first elements, and the means
//! of x and y over them. About new means a', b' the sum over the first elements is `R_n + n (a' - a)(b' - b)`, since
//! their distances from their own means add up to zero. So a traversal shifts what it holds whenever the means move
//! (Welford 1962; Chan, Golub and Le Veque 1979), for variances and covariances alike.
//! Invariant: nothing is squared before a mean is taken off, so nothing cancels.

use super::analysis::{Graphs, number};
use super::factor::{length, named};
use super::language::Math;
use super::view::{Product, ordered, products, write_product};
use crate::base::DType;
use egg::Id;

/// Views of one class that are looked at.
const VIEWS: usize = 8;

/// The lemma, for every product of two centred factors under a sum.
pub(super) fn centre(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let dtype = graphs[id].data.dtype;
    if !graphs[id].data.running.is_empty() {
        return vec![];
    }
    let mut equal = vec![];
    for view in products(graphs, *x, VIEWS) {
        let [first, second] = view.factors[..] else { continue };
        if !view.exponent.is_empty() {
            continue;
        }
        let first = centred(graphs, *j, first, dtype);
        let second = centred(graphs, *j, second, dtype);
        if let (Some(first), Some(second)) = (first, second) {
            equal.push(write(graphs, *j, first, second, dtype));
        }
    }
    equal
}

/// The x of a class that is `x - mean[j](x)`.
pub(super) fn centred(graphs: &mut Graphs, j: Id, class: Id, dtype: DType) -> Option<Id> {
    let axes = named(graphs, j);
    let sums: Vec<(Id, Id)> = ordered(graphs, class)
        .into_iter()
        .filter_map(|node| match node {
            Math::Add([x, y]) => Some((*x, *y)),
            _ => None,
        })
        .collect();
    let pairs: Vec<(Id, Id)> = sums.into_iter().flat_map(|(x, y)| [(x, y), (y, x)]).collect();
    pairs.into_iter().find_map(|(x, minus)| {
        let varies = graphs[x].data.axes.contains_all(axes);
        let found = varies && is_minus_mean(graphs, j, x, minus, dtype);
        found.then(|| graphs.find(x))
    })
}

/// Whether a class is `-sum[j](x) / len(j)`, for each of the axes.
fn is_minus_mean(graphs: &mut Graphs, j: Id, x: Id, minus: Id, dtype: DType) -> bool {
    let means: Vec<Id> = ordered(graphs, minus)
        .into_iter()
        .filter_map(|node| match node {
            Math::Neg([mean]) => Some(*mean),
            _ => None,
        })
        .collect();
    let axes = named(graphs, j);
    let mut expected = vec![graphs.add(Math::Sum([j, x]))];
    for axis in axes.iter() {
        let Some(length) = length(graphs, axis, dtype) else { return false };
        expected.push(graphs.add(Math::Recip([length])));
    }
    let expected: Vec<Id> = expected.into_iter().map(|id| graphs.find(id)).collect();
    let expected = Product::of(expected).normal(graphs);
    means.into_iter().any(|mean| products(graphs, mean, VIEWS).contains(&expected))
}

/// The running means of a value before and after a block; the mean of nothing is 0.
pub(super) struct Means {
    pub(super) before: Id,
    pub(super) after: Id,
}

pub(super) fn means(graphs: &mut Graphs, j: Id, x: Id, one: Id) -> Means {
    let ones = graphs.add(Math::Ones([j, one]));
    let mut mean = |sum: Math, count: Math| {
        let (sum, count) = (graphs.add(sum), graphs.add(count));
        let count = graphs.add(Math::Max([count, one]));
        let inverse = graphs.add(Math::Recip([count]));
        graphs.add(Math::Mul([sum, inverse]))
    };
    let before = mean(Math::BeforeSum([j, x]), Math::BeforeSum([j, ones]));
    let after = mean(Math::AfterSum([j, x]), Math::AfterSum([j, ones]));
    Means { before, after }
}

/// `x - mean`.
pub(super) fn distance(graphs: &mut Graphs, x: Id, mean: Id) -> Id {
    let minus = graphs.add(Math::Neg([mean]));
    graphs.add(Math::Add([x, minus]))
}

fn write(graphs: &mut Graphs, j: Id, x: Id, y: Id, dtype: DType) -> Id {
    let one = number(graphs, 1.0, dtype);
    let (of_x, of_y) = (means(graphs, j, x, one), means(graphs, j, y, one));
    let from_x = distance(graphs, x, of_x.after);
    let from_y = distance(graphs, y, of_y.after);
    let term = graphs.add(Math::Mul([from_x, from_y]));
    let moved_x = distance(graphs, of_x.before, of_x.after);
    let moved_y = distance(graphs, of_y.before, of_y.after);
    let ones = graphs.add(Math::Ones([j, one]));
    let seen = graphs.add(Math::BeforeSum([j, ones]));
    let product = Product::of(vec![seen, moved_x, moved_y]);
    let shift = write_product(graphs, product, dtype);
    graphs.add(Math::Roll([j, term, one, shift]))
}
