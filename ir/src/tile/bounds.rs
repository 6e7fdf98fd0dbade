//! The part of an axis that a loop visits, as a function of the blocks of the loops around it.
//!
//! A bound is affine in the indices of other axes. It stands for its least value over the current blocks at the front
//! and for its greatest at the end, so the part visited is what any index of the blocks asks for.
//! Invariant: whole blocks are visited, so what a block means does not depend on the bounds.

use crate::base::{Affine, AxisId, AxisTable};
use crate::text::quote_name;

/// From the largest of some indices to before the smallest of others; an empty list leaves that end open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Where the part begins, at least.
    pub from: Vec<Affine>,
    /// Where it has ended, at most.
    pub to: Vec<Affine>,
}

impl Bounds {
    /// Whether both ends are open.
    pub fn is_open(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }

    /// All bounds, those at the front first.
    pub fn affine(&self) -> impl Iterator<Item = &Affine> {
        self.from.iter().chain(&self.to)
    }

    /// The indices that whole blocks of `step` visit of an axis of `extent` elements: the first, and the one behind the
    /// last. `block` gives the first and the last index of the current block of another axis.
    pub fn visited(
        &self,
        (extent, step): (u64, u64),
        block: &impl Fn(AxisId) -> (i64, i64),
    ) -> (u64, u64) {
        let extent_signed = i64::try_from(extent).unwrap_or(i64::MAX);
        let from = self.from.iter().map(|bound| bound.range_over(block).0);
        let to = self.to.iter().map(|bound| bound.range_over(block).1);
        let from = from.fold(0, i64::max);
        let to = to.fold(extent_signed, i64::min);
        if from >= to {
            return (0, 0);
        }
        let step = step.max(1);
        let first = from.unsigned_abs() / step * step;
        (first, to.unsigned_abs().div_ceil(step).saturating_mul(step).min(extent))
    }

    /// How many blocks of `step` are visited at most where that hangs on no index, as in one chunk of an axis; `around` gives
    /// the steps of the loops around.
    pub fn blocks_max(&self, step: u64, around: &impl Fn(AxisId) -> u64) -> Option<u64> {
        let step = step.max(1);
        let length = |from: &Affine, to: &Affine| {
            let distance = to.clone().plus(&from.clone().scaled(-1));
            // Both ends move with the block of another axis, so more than one index of it is more to visit.
            let moved = to.factors.iter().map(|(&axis, factor)| {
                factor.unsigned_abs().saturating_mul(around(axis).saturating_sub(1))
            });
            let whole = |of: &Affine| {
                let mut parts = of.factors.values().chain([&of.constant]);
                parts.all(|part| part.unsigned_abs().is_multiple_of(step))
            };
            let length = u64::try_from(distance.constant.max(0)).unwrap_or(0);
            let length = length.saturating_add(moved.fold(0, u64::saturating_add));
            let blocks = length.div_ceil(step).saturating_add(u64::from(!whole(from)));
            distance.factors.is_empty().then_some(blocks)
        };
        let pairs = self.from.iter().flat_map(|from| self.to.iter().map(move |to| (from, to)));
        pairs.filter_map(|(from, to)| length(from, to)).min()
    }

    /// `max(i - 4, 2)..i + 1`.
    pub fn print(&self, axes: &AxisTable) -> String {
        let side = |of: &[Affine], word: &str| {
            let list: Vec<_> = of.iter().map(|bound| print_bound(bound, axes)).collect();
            if list.len() > 1 { format!("{word}({})", list.join(", ")) } else { list.concat() }
        };
        format!("{}..{}", side(&self.from, "max"), side(&self.to, "min"))
    }

    /// Whether some block is visited wherever the other axes stand.
    pub fn is_never_empty(&self, axes: &AxisTable, axis: AxisId) -> bool {
        let extent = i64::try_from(axes.extent(axis)).unwrap_or(i64::MAX);
        let (start, end) = (Affine::constant(0), Affine::constant(extent));
        let starts = || self.from.iter().chain([&start]);
        self.to.iter().chain([&end]).all(|to| {
            starts().all(|from| to.clone().plus(&from.clone().scaled(-1)).range(axes).0 >= 1)
        })
    }
}

/// `2 * i - j + 3`.
fn print_bound(bound: &Affine, axes: &AxisTable) -> String {
    let name = |axis: AxisId| if axis.index() < axes.len() { axes.name(axis) } else { "?" };
    let terms = bound.factors.iter().map(|(&axis, &factor)| match factor.unsigned_abs() {
        1 => (factor < 0, quote_name(name(axis))),
        many => (factor < 0, format!("{many} * {}", quote_name(name(axis)))),
    });
    let constant = (bound.constant < 0, bound.constant.unsigned_abs().to_string());
    let is_shown = bound.constant != 0 || bound.factors.is_empty();
    let mut out = String::new();
    for (is_negative, term) in terms.chain(is_shown.then_some(constant)) {
        out.push_str(match (out.is_empty(), is_negative) {
            (true, true) => "-",
            (true, false) => "",
            (false, true) => " - ",
            (false, false) => " + ",
        });
        out.push_str(&term);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(constant: i64, factor: i64) -> Affine {
        let factors = [(AxisId(0), factor)].into_iter().filter(|of| of.1 != 0);
        Affine { constant, factors: factors.collect() }
    }

    /// Block by block: visited exactly when an index of the block is within the bounds of some index of the others.
    #[test]
    fn blocks_are_visited_where_an_index_asks_for_them() {
        for (from, to) in
            [((-3, 1), (1, 1)), ((0, -1), (6, -1)), ((2, 0), (9, 0)), ((5, 2), (4, 1))]
        {
            let bounds = Bounds { from: vec![bound(from.0, from.1)], to: vec![bound(to.0, to.1)] };
            for (extent, step, first, last) in (0..12)
                .flat_map(|e| (1..5).flat_map(move |s| (0..6).map(move |f| (e, s, f, f + 2))))
            {
                let (start, end) = bounds.visited((extent, step), &|_| (first, last));
                let reach = |(constant, factor): (i64, i64)| {
                    let ends = [constant + factor * first, constant + factor * last];
                    (ends[0].min(ends[1]), ends[0].max(ends[1]))
                };
                let (least, most) = (reach(from).0.max(0), reach(to).1.min(extent as i64));
                let wanted: Vec<u64> = (0..extent)
                    .filter(|index| {
                        let block = index / step * step;
                        let whole = block..(block + step).min(extent);
                        least < most
                            && whole.clone().any(|at| at as i64 >= least)
                            && whole.clone().any(|at| (at as i64) < most)
                    })
                    .collect();
                let got: Vec<u64> = (start..end).collect();
                assert_eq!(got, wanted, "{bounds:?} over {extent} by {step} at {first}..={last}");
            }
        }
    }

    #[test]
    fn a_part_that_is_never_empty_is_known() {
        let mut axes = AxisTable::new();
        for (name, extent) in [("i", 8), ("j", 8)] {
            let axis = axes.intern(name).expect("a small table");
            axes.bind(axis, extent);
        }
        let causal = Bounds { from: vec![], to: vec![bound(1, 1)] };
        assert!(causal.is_never_empty(&axes, AxisId(1)));
        let window = Bounds { from: vec![bound(-2, 1)], to: vec![bound(1, 1)] };
        assert!(window.is_never_empty(&axes, AxisId(1)));
        let blind = Bounds { from: vec![], to: vec![bound(-1, 1)] };
        assert!(!blind.is_never_empty(&axes, AxisId(1)));
        let behind = Bounds { from: vec![bound(1, 1)], to: vec![] };
        assert!(!behind.is_never_empty(&axes, AxisId(1)));
    }
}
