//! The roll lemma: a sum that needs the maximum of its own axis becomes one traversal with it.
//!
//! Let `m = max[j](h)` and `R = sum[j](exp(E) y)`, where E depends linearly on m, `E = a m + b` with a without j, and y
//! does not depend on m. Let `m_k` be the maximum of the first k elements and `R_k = sum over i <= k of
//! exp(a m_k + b_i) y_i`. Then `R_(k+1) = R_k exp(a (m_(k+1) - m_k)) + exp(a m_(k+1) + b_(k+1)) y_(k+1)`, and at the end
//! `R_n = R`. This is the online softmax of Milakov and Gimelshein (2018) and the rescaling of FlashAttention (Dao et al.
//! 2022), for any such R.
//!
//! Floats add a guard: before anything is seen, and while all h are -inf, `m_k` is -inf and cannot be subtracted. The
//! pivot is then 0 instead (`guard`), and a state without anything in it is rescaled by 1. Where the text subtracts m
//! without a guard, an m of -inf gives NaN, and the result says so.
//! Invariant: `exp` of an unbounded argument is never introduced: with h in the place of m, E has an upper bound.

use super::analysis::{Graphs, number};
use super::factor::{exponent_max, named};
use super::language::Math;
use super::smallest::Smallest;
use super::view::{Product, ordered, part, products, write_product, write_sum};
use crate::base::DType;
use egg::Id;
use std::collections::BTreeMap;

/// Views of one sum that are rolled.
const VIEWS: usize = 8;
/// How deep the slope of an exponent is looked for.
const DEPTH: u32 = 12;

/// `sum[j](exp(x) y) = exp(m) sum[j](exp(x - m) y)` with `m = max[j](x)`, where x has no upper bound.
pub(super) fn stabilise(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let (axes, dtype) = (named(graphs, *j), graphs[id].data.dtype);
    if !graphs[id].data.running.is_empty() {
        return vec![];
    }
    let views = products(graphs, *x, VIEWS);
    let mut found = vec![];
    for view in views.into_iter().filter(|view| !view.exponent.is_empty()) {
        let sum = write_sum(graphs, view.exponent.clone(), dtype);
        if graphs[sum].data.high <= exponent_max(dtype) {
            return vec![];
        }
        let (kept, free) = part(graphs, &view, axes);
        if free.len() == 0 && !kept.exponent.is_empty() {
            found.push((sum, view));
        }
    }
    let stable = |(exponent, view): (Id, Product)| {
        let most = graphs.add(Math::MaxOf([*j, exponent]));
        // Not even +inf is subtracted: there the text has infinities, and so has this.
        let pivot = graphs.add(Math::Finite([most]));
        let (base, mut view) = (view.base, view);
        view.exponent.push((pivot, -1.0));
        let term = write_product(graphs, view, dtype);
        let sum = graphs.add(Math::Sum([*j, term]));
        let out = base.power(graphs, pivot);
        graphs.add(Math::Mul([out, sum]))
    };
    found.into_iter().map(stable).collect()
}

/// The pivot of a roll: a maximum, or the larger of one and a value that is the same along the sum.
struct Pivot {
    /// The class of the pivot.
    most: Id,
    /// What the maximum is compared with.
    floor: Option<Id>,
    /// The classes of its guards, if the e-graph has them.
    guard: Option<Id>,
    finite: Option<Id>,
    /// The axes of the maximum, as an operand.
    j: Id,
    /// What it is the maximum of.
    of: Id,
}

/// The lemma, for every maximum over the axes of the sum.
pub(super) fn roll(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let Math::Sum([j, x]) = node else { return vec![] };
    let data = graphs[id].data;
    if !data.running.is_empty() || graphs[*x].data.axes.is_disjoint(named(graphs, *j)) {
        return vec![];
    }
    let views: Vec<Product> = products(graphs, *x, VIEWS)
        .into_iter()
        .filter(|view| view.exponent.len() > 1 || is_scaled(graphs, view))
        .collect();
    if views.is_empty() {
        return vec![];
    }
    let mut equal = vec![];
    for pivot in pivots(graphs, *j) {
        let lemma = Lemma::new(graphs, pivot);
        for view in &views {
            equal.extend(lemma.apply(graphs, *j, view, data.dtype));
        }
    }
    equal
}

/// Whether the one term of the exponent is itself a product or a choice, in which a maximum may hide.
fn is_scaled(graphs: &Graphs, view: &Product) -> bool {
    let hides = |node: &Math| matches!(node, Math::Mul(_) | Math::Where(_));
    view.exponent.iter().any(|term| graphs[term.0].nodes.iter().any(hides))
}

fn pivots(graphs: &Graphs, j: Id) -> Vec<Pivot> {
    let mut pivots = vec![];
    let pivot = |most: Id, floor: Option<Id>, of: Id| {
        let guard = graphs.lookup(Math::Guard([most]));
        let finite = graphs.lookup(Math::Finite([most]));
        Pivot { most, floor, guard, finite, j, of: graphs.find(of) }
    };
    for class in graphs.classes().filter(|class| class.data.running.is_empty()) {
        for node in &class.nodes {
            match node {
                Math::MaxOf([axes, of]) if graphs.find(*axes) == graphs.find(j) => {
                    pivots.push(pivot(class.id, None, *of));
                }
                Math::Max([x, y]) => {
                    for (most, floor) in [(*x, *y), (*y, *x)] {
                        let floor = graphs.find(floor);
                        let of = maximum(graphs, j, most);
                        pivots.extend(of.map(|of| pivot(class.id, Some(floor), of)));
                    }
                }
                _ => {}
            }
        }
    }
    pivots
}

/// What a class is the maximum of along the axes.
fn maximum(graphs: &Graphs, j: Id, id: Id) -> Option<Id> {
    ordered(graphs, id).into_iter().find_map(|node| match node {
        Math::MaxOf([axes, of]) if graphs.find(*axes) == graphs.find(j) => Some(*of),
        _ => None,
    })
}

/// A multiple of products of classes: one part of the slope of E in m.
type Slope = Vec<(Vec<Id>, f64)>;

struct Lemma {
    pivot: Pivot,
    /// Terms in which the maximum and its guard are symbols; without the maximum where there are such.
    symbolic: Smallest,
    /// Terms without the maximum.
    free: Smallest,
}

impl Pivot {
    /// The maximum and its guards.
    fn classes(&self) -> Vec<Id> {
        [Some(self.most), self.guard, self.finite].into_iter().flatten().collect()
    }
}

impl Lemma {
    fn new(graphs: &Graphs, pivot: Pivot) -> Self {
        let leaves = pivot.classes();
        let free = Smallest::new(graphs, &[], &leaves);
        // What passes for a value without the maximum, as a minimum does that is its negative, is written without it.
        let symbolic = Smallest::new(graphs, &leaves, &[]).preferring(&free);
        Self { pivot, symbolic, free }
    }

    fn apply(&self, graphs: &mut Graphs, j: Id, view: &Product, dtype: DType) -> Option<Id> {
        let axes = named(graphs, j);
        // What has no axis of the sum is taken out first, and y does not depend on the maximum.
        let varies = |id: &Id| !graphs[*id].data.axes.is_disjoint(axes);
        if !view.factors.iter().all(|id| varies(id) && self.free.has(*id)) {
            return None;
        }
        let exponent = write_sum(graphs, view.exponent.clone(), dtype);
        let exponent = graphs.find(exponent);
        let slope = self.slope_of_sum(graphs, &view.exponent)?;
        let free_slope =
            slope.iter().all(|(factors, _)| !factors.iter().any(varies_in(graphs, axes)));
        if slope.is_empty() || !free_slope || !self.is_bounded(graphs, exponent, dtype) {
            return None;
        }
        self.write(graphs, view, &slope, dtype)
    }

    /// The slope of a sum of terms in the maximum.
    fn slope_of_sum(&self, graphs: &Graphs, terms: &[(Id, f64)]) -> Option<Slope> {
        let mut slope = vec![];
        for &(id, factor) in terms {
            for (factors, times) in self.slope(graphs, id, DEPTH)? {
                slope.push((factors, factor * times));
            }
        }
        Some(slope)
    }

    fn slope(&self, graphs: &Graphs, id: Id, depth: u32) -> Option<Slope> {
        let id = graphs.find(id);
        if self.pivot.classes().contains(&id) {
            return Some(vec![(vec![], 1.0)]);
        }
        if self.free.has(id) {
            return Some(vec![]);
        }
        let depth = depth.checked_sub(1)?;
        match self.symbolic.node(id)? {
            Math::Add([x, y]) => {
                let slopes = [self.slope(graphs, *x, depth)?, self.slope(graphs, *y, depth)?];
                Some(slopes.concat())
            }
            Math::Neg([x]) => {
                let slope = self.slope(graphs, *x, depth)?;
                Some(slope.into_iter().map(|(factors, times)| (factors, -times)).collect())
            }
            Math::Mul([x, y]) => {
                match (self.free.has(graphs.find(*x)), self.free.has(graphs.find(*y))) {
                    (true, _) => self.scaled(graphs, *x, *y, depth),
                    (_, true) => self.scaled(graphs, *y, *x, depth),
                    _ => None,
                }
            }
            // A masked element is -inf whatever the maximum is.
            Math::Where([c, x, y]) if self.free.has(graphs.find(*c)) => {
                let masked = |id: Id| graphs[id].data.constant == Some(f64::NEG_INFINITY);
                match (masked(*x), masked(*y)) {
                    (true, false) => self.slope(graphs, *y, depth),
                    (false, true) => self.slope(graphs, *x, depth),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn scaled(&self, graphs: &Graphs, factor: Id, x: Id, depth: u32) -> Option<Slope> {
        let slope = self.slope(graphs, x, depth)?;
        let constant = graphs[factor].data.constant;
        let scale = |(mut factors, times): (Vec<Id>, f64)| match constant {
            Some(value) => (factors, times * value),
            None => {
                factors.push(graphs.find(factor));
                (factors, times)
            }
        };
        Some(slope.into_iter().map(scale).collect())
    }

    /// Whether the exponent is bounded above with h in the place of its maximum.
    fn is_bounded(&self, graphs: &mut Graphs, exponent: Id, dtype: DType) -> bool {
        let replaced = self.replaced(self.pivot.of);
        let Some(own) = self.symbolic.rebuild(graphs, exponent, &replaced, &mut vec![]) else {
            return false;
        };
        graphs[own].data.high <= exponent_max(dtype)
    }

    fn replaced(&self, new: Id) -> BTreeMap<Id, Id> {
        self.pivot.classes().into_iter().map(|id| (id, new)).collect()
    }

    fn write(
        &self,
        graphs: &mut Graphs,
        view: &Product,
        slope: &Slope,
        dtype: DType,
    ) -> Option<Id> {
        let Pivot { j, of, .. } = self.pivot;
        let mut after = graphs.add(Math::AfterMax([j, of]));
        let mut before = graphs.add(Math::BeforeMax([j, of]));
        if let Some(floor) = self.pivot.floor {
            if !self.free.has(floor) {
                return None;
            }
            after = graphs.add(Math::Max([after, floor]));
            before = graphs.add(Math::Max([before, floor]));
        }
        let met = self.met(graphs, view)?;
        // Beside the text's own guard, if there is one; else the weaker one.
        let is_finite = self.pivot.finite.is_some_and(|id| met.contains(&id));
        let guard = |graphs: &mut Graphs, x: Id| match is_finite {
            true => graphs.add(Math::Finite([x])),
            false => graphs.add(Math::Guard([x])),
        };
        let new = guard(graphs, after);
        let old = if is_finite { guard(graphs, before) } else { before };
        let replaced = self.replaced(new);
        let mut rolled = Product { exponent: vec![], ..view.clone() };
        for &(id, factor) in &view.exponent {
            let id = self.symbolic.rebuild(graphs, id, &replaced, &mut vec![])?;
            rolled.exponent.push((id, factor));
        }
        let term = write_product(graphs, rolled, dtype);
        let moved = moved(graphs, slope, (before, old, new), dtype);
        let scale = view.base.power(graphs, moved);
        let zero = number(graphs, 0.0, dtype);
        let rolled = graphs.add(Math::Roll([j, term, scale, zero]));
        if !met.contains(&self.pivot.most) {
            return Some(rolled);
        }
        // The text subtracts the maximum even where it is -inf.
        let lowest = number(graphs, f64::NEG_INFINITY, dtype);
        let unseen = graphs.add(Math::Equal([self.pivot.most, lowest]));
        let nan = number(graphs, f64::NAN, dtype);
        Some(graphs.add(Math::Where([unseen, nan, rolled])))
    }

    /// Which of the maximum and its guards the exponent reads.
    fn met(&self, graphs: &mut Graphs, view: &Product) -> Option<Vec<Id>> {
        let mut met = vec![];
        let same = self.pivot.classes().into_iter().map(|id| (id, id)).collect();
        for &(id, _) in &view.exponent {
            self.symbolic.rebuild(graphs, id, &same, &mut met)?;
        }
        Some(met)
    }
}

fn varies_in(graphs: &Graphs, axes: crate::base::AxisSet) -> impl Fn(&Id) -> bool {
    move |id| !graphs[*id].data.axes.is_disjoint(axes)
}

/// `a (new - old)`, where the difference is 0 while nothing has been seen. For a negative slope the difference is turned
/// round, so that it reads `old - new` and is known to be at most 0.
fn moved(graphs: &mut Graphs, slope: &Slope, (before, old, new): (Id, Id, Id), dtype: DType) -> Id {
    let lowest = number(graphs, f64::NEG_INFINITY, dtype);
    let zero = number(graphs, 0.0, dtype);
    let unseen = graphs.add(Math::Equal([before, lowest]));
    let mut terms = vec![];
    for (factors, times) in slope {
        let (first, second) = if *times < 0.0 { (old, new) } else { (new, old) };
        let minus = graphs.add(Math::Neg([second]));
        let difference = graphs.add(Math::Add([first, minus]));
        let mut moved = graphs.add(Math::Where([unseen, zero, difference]));
        for &factor in factors {
            moved = graphs.add(Math::Mul([factor, moved]));
        }
        terms.push((moved, times.abs()));
    }
    write_sum(graphs, terms, dtype)
}
