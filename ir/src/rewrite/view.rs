//! Sums and products with any number of parts, read out of classes and written back in one canonical order.
//!
//! Rules for associativity would make a class for every grouping of a product. Instead a rule reads a class as a
//! bounded number of flat products, each with one exponential whose terms are cancelled against each other, changes one,
//! and writes it back. Invariant: a view equals its class over the reals; equal views are written as one class.

use super::analysis::{Graphs, is_at_most, number};
use super::key::key;
use super::language::Math;
use crate::base::AxisSet;
use crate::base::DType;
use egg::Id;

/// How deep a product or a sum is flattened.
const DEPTH: u32 = 5;

/// `x` times a number, in a sum.
pub(super) type Term = (Id, f64);

/// What an exponential is a power of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Base {
    /// `exp`.
    #[default]
    Natural,
    /// `exp2`.
    Two,
}

impl Base {
    /// The exponential of a class.
    pub(super) fn power(self, graphs: &mut Graphs, exponent: Id) -> Id {
        graphs.add(match self {
            Self::Natural => Math::Exp([exponent]),
            Self::Two => Math::Exp2([exponent]),
        })
    }

    /// The logarithm of a class.
    pub(super) fn log(self, graphs: &mut Graphs, id: Id) -> Id {
        graphs.add(match self {
            Self::Natural => Math::Log([id]),
            Self::Two => Math::Log2([id]),
        })
    }
}

/// A product: the exponential of a sum, times factors. The empty product is 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Product {
    /// Of the exponential, if there is one.
    pub(super) base: Base,
    /// The terms of the exponent, by class; cancelled.
    pub(super) exponent: Vec<Term>,
    /// The factors, by class.
    pub(super) factors: Vec<Id>,
    /// Whether exponentials cancelled each other and nothing is left of them.
    pub(super) cancels: bool,
}

impl Product {
    /// A product of factors alone.
    pub(super) fn of(factors: Vec<Id>) -> Self {
        Self { factors, ..Self::default() }
    }

    /// In canonical order, with terms of one class added up.
    pub(super) fn normal(mut self, graphs: &Graphs) -> Self {
        combine(graphs, &mut self.exponent);
        self.factors.sort_by_key(|&id| (graphs[id].data.key, id));
        if self.exponent.is_empty() {
            self.base = Base::default();
        }
        self
    }

    /// The product of two; `None` for exponentials of different bases.
    fn times(&self, graphs: &Graphs, other: &Self) -> Option<Self> {
        let powers = !self.exponent.is_empty() && !other.exponent.is_empty();
        if powers && self.base != other.base {
            return None;
        }
        let base = if self.exponent.is_empty() { other.base } else { self.base };
        let exponent = [self.exponent.clone(), other.exponent.clone()].concat();
        let factors = [self.factors.clone(), other.factors.clone()].concat();
        let mut product = Self { base, exponent, factors, cancels: false }.normal(graphs);
        product.cancels = product.exponent.is_empty() && (powers || self.cancels || other.cancels);
        Some(product)
    }

    /// How many parts it has.
    pub(super) fn len(&self) -> usize {
        self.exponent.len() + self.factors.len()
    }
}

/// Adds up the terms of one class; those that vanish go.
pub(super) fn combine(graphs: &Graphs, terms: &mut Vec<Term>) {
    let of = |term: &Term| (graphs[term.0].data.key, term.0);
    terms.sort_by(|x, y| of(x).cmp(&of(y)).then(x.1.total_cmp(&y.1)));
    let mut sums: Vec<Term> = vec![];
    for &(id, factor) in terms.iter() {
        match sums.last_mut() {
            Some(last) if last.0 == id => last.1 += factor,
            _ => sums.push((id, factor)),
        }
    }
    sums.retain(|term| term.1 != 0.0);
    *terms = sums;
}

/// The class as products, itself as one factor among them, at most `limit`.
pub(super) fn products(graphs: &Graphs, id: Id, limit: usize) -> Vec<Product> {
    products_within(graphs, id, DEPTH, limit)
}

fn products_within(graphs: &Graphs, id: Id, depth: u32, limit: usize) -> Vec<Product> {
    let id = graphs.find(id);
    let mut views = vec![];
    if let Some((base, exponent)) = exponent(graphs, id) {
        let exponent = terms(graphs, exponent);
        views.push(Product { base, exponent, ..Product::default() }.normal(graphs));
    }
    // A choice of exponentials is one, and may be needed whole.
    let is_choice = graphs[id].nodes.iter().any(|node| matches!(node, Math::Where(_)));
    if views.is_empty() || is_choice {
        let one = graphs[id].data.constant == Some(1.0);
        views.push(Product::of(if one { vec![] } else { vec![id] }));
    }
    if depth == 0 {
        return views;
    }
    for node in ordered(graphs, id) {
        let Math::Mul([x, y]) = node else { continue };
        let (x, y) = (graphs.find(*x), graphs.find(*y));
        if x == id || y == id {
            continue;
        }
        let left = products_within(graphs, x, depth - 1, limit);
        let right = products_within(graphs, y, depth - 1, limit);
        for view in left.iter().flat_map(|x| right.iter().filter_map(move |y| x.times(graphs, y))) {
            if !views.contains(&view) {
                views.push(view);
            }
            if views.len() >= limit {
                return views;
            }
        }
    }
    views
}

/// The nodes of a class by key.
pub(super) fn ordered(graphs: &Graphs, id: Id) -> Vec<&Math> {
    let mut nodes: Vec<&Math> = graphs[graphs.find(id)].nodes.iter().collect();
    nodes.sort_by_cached_key(|node| key(node, |id| graphs[id].data.key));
    nodes
}

/// The view with the most parts; of those the first.
pub(super) fn longest(graphs: &Graphs, id: Id) -> Product {
    let views = products(graphs, id, 8);
    let most = views.iter().map(Product::len).max().unwrap_or(0);
    views.into_iter().find(|view| view.len() == most).unwrap_or_default()
}

/// What the class is the exponential of.
pub(super) fn exponent(graphs: &Graphs, id: Id) -> Option<(Base, Id)> {
    ordered(graphs, id).into_iter().find_map(|node| match node {
        Math::Exp([x]) => Some((Base::Natural, graphs.find(*x))),
        Math::Exp2([x]) => Some((Base::Two, graphs.find(*x))),
        _ => None,
    })
}

/// The class as a sum of multiples.
pub(super) fn terms(graphs: &Graphs, id: Id) -> Vec<Term> {
    let mut list = vec![];
    collect(graphs, id, 1.0, DEPTH, &mut list);
    combine(graphs, &mut list);
    list
}

fn collect(graphs: &Graphs, id: Id, factor: f64, depth: u32, list: &mut Vec<Term>) {
    let id = graphs.find(id);
    let parts = (depth > 0).then(|| split(graphs, id)).flatten();
    match parts {
        None => list.push((id, factor)),
        Some(parts) => {
            for (part, times) in parts {
                collect(graphs, part, factor * times, depth - 1, list);
            }
        }
    }
}

/// The parts of a sum, a difference or a negation. A product with a number stays whole: taking it apart would round
/// what the text rounds once.
fn split(graphs: &Graphs, id: Id) -> Option<Vec<Term>> {
    ordered(graphs, id).into_iter().find_map(|node| match node {
        Math::Neg([x]) if graphs.find(*x) != id => Some(vec![(*x, -1.0)]),
        Math::Add([x, y]) if graphs.find(*x) != id && graphs.find(*y) != id => {
            Some(vec![(*x, 1.0), (*y, 1.0)])
        }
        _ => None,
    })
}

/// Writes a sum: what has most axes first, and what is added before what is subtracted. A term and the bound that is
/// taken off it are one term: they may be far larger than what is left of them, and what is left is known to be small.
pub(super) fn write_sum(graphs: &mut Graphs, terms: Vec<Term>, dtype: DType) -> Id {
    let mut terms = match terms.len() {
        0..=2 => terms,
        _ => pair_bounds(graphs, terms),
    };
    terms.sort_by_key(|&(id, factor)| {
        let data = graphs[id].data;
        (std::cmp::Reverse(data.axes.len()), factor < 0.0, data.key, id)
    });
    let mut sum = None;
    for (id, factor) in terms {
        let term = write_term(graphs, id, factor, dtype);
        sum = Some(match sum {
            None => term,
            Some(sum) => graphs.add(Math::Add([sum, term])),
        });
    }
    sum.unwrap_or_else(|| number(graphs, 0.0, dtype))
}

/// Replaces each `x` and `-m` of which `x <= m` is known by their difference.
fn pair_bounds(graphs: &mut Graphs, mut terms: Vec<Term>) -> Vec<Term> {
    let mut paired = vec![];
    while let Some((x, m)) = bound_pair(graphs, &terms) {
        let (of, bound) = (terms[x].0, terms[m].0);
        terms.remove(x.max(m));
        terms.remove(x.min(m));
        let minus = graphs.add(Math::Neg([bound]));
        paired.push((graphs.add(Math::Add([of, minus])), 1.0));
    }
    paired.extend(terms);
    paired
}

fn bound_pair(graphs: &Graphs, terms: &[Term]) -> Option<(usize, usize)> {
    let with = |factor: f64| terms.iter().enumerate().filter(move |(_, term)| term.1 == factor);
    let pairs = with(1.0).flat_map(|x| with(-1.0).map(move |m| (x, m)));
    let known = |((_, x), (_, m)): &((usize, &Term), (usize, &Term))| is_at_most(graphs, x.0, m.0);
    pairs.into_iter().find(known).map(|((x, _), (m, _))| (x, m))
}

fn write_term(graphs: &mut Graphs, id: Id, factor: f64, dtype: DType) -> Id {
    let size = factor.abs();
    let id = if size == 1.0 {
        id
    } else {
        let size = number(graphs, size, dtype);
        graphs.add(Math::Mul([size, id]))
    };
    if factor < 0.0 { graphs.add(Math::Neg([id])) } else { id }
}

/// Writes a product: what has fewest axes first.
pub(super) fn write_product(graphs: &mut Graphs, product: Product, dtype: DType) -> Id {
    let Product { base, exponent, mut factors, .. } = product;
    if !exponent.is_empty() {
        let sum = write_sum(graphs, exponent, dtype);
        factors.push(base.power(graphs, sum));
    }
    factors.sort_by_key(|&id| {
        let data = graphs[id].data;
        (data.axes.len(), data.axes, data.key, id)
    });
    let mut factors = factors.into_iter();
    let Some(first) = factors.next() else { return number(graphs, 1.0, dtype) };
    factors.fold(first, |product, factor| graphs.add(Math::Mul([product, factor])))
}

/// The factors and terms that vary over some of the axes, and those that vary over none.
pub(super) fn part(graphs: &Graphs, product: &Product, axes: AxisSet) -> (Product, Product) {
    let varies = |id: Id| !graphs[id].data.axes.is_disjoint(axes);
    let (exponent, free_terms) = product.exponent.iter().partition(|term| varies(term.0));
    let (factors, free_factors) = product.factors.iter().partition(|&&id| varies(id));
    let of = |exponent, factors| Product { base: product.base, exponent, factors, cancels: false };
    (of(exponent, factors), of(free_terms, free_factors))
}
