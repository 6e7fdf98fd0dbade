//! Rules of products: exponentials are collected, what has no axis of a sum leaves the sum, sums change places.
//!
//! Each function gives values equal to the class of the node. Invariant: a product of exponentials is only ever
//! collected, or taken apart where both parts stay far from overflow.

use super::analysis::{Graphs, number};
use super::language::Math;
use super::view::{
    Base, Product, exponent, longest, ordered, part, products, write_product, write_sum,
};
use crate::base::{AxisId, AxisSet, DType};
use crate::graph::{NodeId, Op};
use egg::Id;

/// Views of one class that a rule looks at.
const VIEWS: usize = 16;

/// The largest exponent whose exponential stays finite, with a margin for sums of up to 2^20 terms.
pub(super) fn exponent_max(dtype: DType) -> f64 {
    dtype.max_finite().ln() - 16.0
}

/// The axes named by the first operand of a reduction.
pub(super) fn named(graphs: &Graphs, j: Id) -> AxisSet {
    graphs[j].data.named.unwrap_or(AxisSet::EMPTY)
}

/// `exp(x) exp(y) z = exp(x + y) z`, for every view of the class with an exponential.
pub(super) fn collect_exponentials(graphs: &mut Graphs, id: Id, _: &Math) -> Vec<Id> {
    let dtype = graphs[id].data.dtype;
    let views = products(graphs, id, VIEWS);
    // Where exponentials cancel, what is left has to vary as the class does: it may stand below a reduction.
    let axes = graphs[id].data.axes;
    let of = |view: &Product| {
        let all = view.factors.iter().map(|&factor| graphs[factor].data.axes);
        all.fold(AxisSet::EMPTY, |all, axes| all | axes)
    };
    let with_exponential = views
        .into_iter()
        .filter(|view| !view.exponent.is_empty() || view.cancels && of(view).contains_all(axes));
    let views: Vec<Product> = with_exponential.collect();
    views.into_iter().map(|view| write_product(graphs, view, dtype)).collect()
}

/// `log(exp(x) y) = x + log(y)`.
pub(super) fn log_of_product(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let (base, x) = match node {
        Math::Log([x]) => (Base::Natural, *x),
        Math::Log2([x]) => (Base::Two, *x),
        _ => return vec![],
    };
    let dtype = graphs[id].data.dtype;
    let views = products(graphs, x, VIEWS).into_iter();
    let views = views.filter(|view| !view.exponent.is_empty() && view.base == base);
    let views: Vec<Product> = views.collect();
    let mut equal = vec![];
    for Product { base, exponent, factors, .. } in views {
        // The exponent stays whole: its terms may be far larger than their sum.
        let mut sum = write_sum(graphs, exponent, dtype);
        if !factors.is_empty() {
            let rest = write_product(graphs, Product::of(factors), dtype);
            let log = base.log(graphs, rest);
            sum = graphs.add(Math::Add([sum, log]));
        }
        equal.push(sum);
    }
    equal
}

/// `where(c, exp(x), 0) = exp(where(c, x, -inf))`, and with the branches exchanged.
pub(super) fn where_of_exponential(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Where([c, x, y]) = node else { return vec![] };
    let zero = |id: Id| graphs[id].data.constant == Some(0.0);
    let (kept, first) = match (zero(*x), zero(*y)) {
        (false, true) => (*x, true),
        (true, false) => (*y, false),
        _ => return vec![],
    };
    let Some((base, exponent)) = exponent(graphs, kept) else { return vec![] };
    let lowest = number(graphs, f64::NEG_INFINITY, graphs[id].data.dtype);
    let branches = if first { [*c, exponent, lowest] } else { [*c, lowest, exponent] };
    let masked = graphs.add(Math::Where(branches));
    vec![base.power(graphs, masked)]
}

/// `where(c, 0, x y) = x where(c, 0, y)` where y has no axis but c's and x has one. Where c holds, x has to be a number,
/// or the left side would hide its NaN: c says that a sum over x is zero.
pub(super) fn where_of_product(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Where([c, zero, product]) = node else { return vec![] };
    if graphs[*zero].data.constant != Some(0.0) {
        return vec![];
    }
    let (axes, dtype) = (graphs[*c].data.axes, graphs[id].data.dtype);
    let inside = |graphs: &Graphs, id: Id| axes.contains_all(graphs[id].data.axes);
    let mut equal = vec![];
    for view in products(graphs, *product, VIEWS) {
        let (inner, outer): (Vec<Id>, Vec<Id>) =
            view.factors.iter().partition(|&&factor| inside(graphs, factor));
        let outer = Product { factors: outer, ..view };
        if inner.is_empty() || outer.len() == 0 || !vanishes(graphs, *c, &outer) {
            continue;
        }
        let inner = write_product(graphs, Product::of(inner), dtype);
        let kept = graphs.add(Math::Where([*c, *zero, inner]));
        let outer = write_product(graphs, outer, dtype);
        equal.push(graphs.add(Math::Mul([outer, kept])));
    }
    equal
}

/// Whether c is `sum(x) == 0` for an x of which the product is a part or a multiple, and that is never negative: then
/// every x is zero where c holds, and none is NaN.
fn vanishes(graphs: &Graphs, c: Id, product: &Product) -> bool {
    graphs[c].nodes.iter().any(|node| {
        let Math::Equal([x, y]) = node else { return false };
        let zero = |id: Id| graphs[id].data.constant == Some(0.0);
        let sum = if zero(*y) { *x } else { *y };
        (zero(*x) || zero(*y))
            && graphs[sum].nodes.iter().any(|node| is_sum_of(graphs, node, product))
    })
}

fn is_sum_of(graphs: &Graphs, node: &Math, product: &Product) -> bool {
    let Math::Sum([_, x]) = node else { return false };
    let positive = graphs[*x].data.low >= 0.0;
    positive && products(graphs, *x, VIEWS).iter().any(|view| view == product)
}

/// `sum[j](c x) = c sum[j](x)`. A part of an exponential leaves only where what stays is bounded on both sides.
pub(super) fn factor_sum(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let (axes, dtype) = (named(graphs, *j), graphs[id].data.dtype);
    let mut equal = vec![];
    for view in products(graphs, *x, VIEWS) {
        let (mut kept, mut free) = part(graphs, &view, axes);
        if !free.exponent.is_empty() && !is_moderate(graphs, &kept, dtype) {
            kept.exponent.append(&mut free.exponent);
        }
        if free.len() == 0 || kept.len() == 0 {
            continue;
        }
        let term = write_product(graphs, kept, dtype);
        let sum = graphs.add(Math::Sum([*j, term]));
        let free = write_product(graphs, free, dtype);
        equal.push(graphs.add(Math::Mul([free, sum])));
    }
    equal
}

/// Whether the exponent of a product is bounded so far inside of the range that its exponential loses nothing.
fn is_moderate(graphs: &mut Graphs, product: &Product, dtype: DType) -> bool {
    let sum = write_sum(graphs, product.exponent.clone(), dtype);
    let data = graphs[sum].data;
    let limit = exponent_max(dtype) / 2.0;
    data.low >= -limit && data.high <= limit
}

/// The length of an axis as a number of a type, if the text has it.
pub(super) fn length(graphs: &mut Graphs, axis: AxisId, dtype: DType) -> Option<Id> {
    let opaque = &graphs.analysis.opaque;
    let find = |op: Op, dtype: DType| {
        let found = opaque.iter().find(|(_, known)| known.dtype == dtype && same(known.op, op));
        found.map(|(name, _)| *name)
    };
    let (len, cast) = (find(Op::Len(axis), DType::I32)?, find(Op::Cast(NodeId(0)), dtype)?);
    let len = graphs.add(Math::Other(len, vec![]));
    Some(graphs.add(Math::Other(cast, vec![len])))
}

fn same(x: Op, y: Op) -> bool {
    x.map_operands(|_| NodeId(0)) == y.map_operands(|_| NodeId(0))
}

/// `sum[j](x sum[k](y)) = sum[k](y' sum[j](x y''))`, where y' are the factors of y without j: a chain of contractions
/// grouped the other way.
pub(super) fn interchange(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let (outer, dtype) = (named(graphs, *j), graphs[id].data.dtype);
    let mut equal = vec![];
    for view in products(graphs, *x, VIEWS) {
        for position in 0..view.factors.len() {
            let mut rest = view.clone();
            let factor = rest.factors.remove(position);
            for (k, y) in sums(graphs, factor) {
                let inner = named(graphs, k);
                let free_of_inner = rest_is_free(graphs, &rest, inner);
                if !free_of_inner || !inner.is_disjoint(outer) {
                    continue;
                }
                equal.extend(exchanged(graphs, &rest, (*j, outer), (k, y), dtype));
            }
        }
    }
    equal
}

fn sums(graphs: &Graphs, id: Id) -> Vec<(Id, Id)> {
    let sum = |node: &Math| match node {
        Math::Sum([k, y]) => Some((*k, *y)),
        _ => None,
    };
    ordered(graphs, id).into_iter().filter_map(sum).take(3).collect()
}

fn rest_is_free(graphs: &Graphs, rest: &Product, axes: AxisSet) -> bool {
    part(graphs, rest, axes).0.len() == 0
}

fn exchanged(
    graphs: &mut Graphs,
    rest: &Product,
    (j, outer): (Id, AxisSet),
    (k, y): (Id, Id),
    dtype: DType,
) -> Option<Id> {
    let (with, without) = part(graphs, &longest(graphs, y), outer);
    // Only contractions are worth it: both sides have factors with axes of their own.
    if with.len() == 0 || without.len() == 0 || !with.exponent.is_empty() {
        return None;
    }
    let factors = [rest.factors.clone(), with.factors].concat();
    let product = Product { factors, ..rest.clone() };
    let term = write_product(graphs, product, dtype);
    let sum = graphs.add(Math::Sum([j, term]));
    let mut product = without;
    product.factors.push(sum);
    let term = write_product(graphs, product, dtype);
    Some(graphs.add(Math::Sum([k, term])))
}
