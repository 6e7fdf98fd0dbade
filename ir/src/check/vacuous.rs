//! Limits of a `where` clause that no extents are within, `i == i + 1`, and those that all are, `i == i`.
//!
//! A limit is judged by its right side minus its left side, a sum of products of extents: these are 0 or more, so factors of one
//! sign bound the sum on one side. Limits by numbers on one axis are judged together.
//! Invariant: what is reported is certain; a limit that depends on extents in other ways is left to each size set.

use super::Limit;
use super::constant::Constants;
use super::sizes::{Placed, placed_limits};
use crate::base::CompareOp;
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::{Extent, Graph};
use crate::syntax::ast::Kernel;
use std::collections::BTreeMap;

/// What is known of a limit whatever the extents are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Always,
    Never,
    Depends,
}

/// Reports limits that cannot be kept.
pub(super) fn refuse(
    kernel: &Kernel,
    graph: &Graph,
    constants: &Constants<'_>,
    faults: &mut Faults,
) {
    let mut ranges = BTreeMap::<String, Range>::new();
    for Placed { limit, span, .. } in placed_limits(kernel, graph, constants) {
        if holds(&limit, graph) == Holds::Never {
            let fault = Diagnostic::new("TW0305", "the limit allows no extent").at(span);
            let fault = fault.expected("a limit that some extent is within");
            faults.push(fault.help("correct the limit, or remove it"));
        } else if limit.bound.is_number() {
            let name = limit.axis.clone();
            let range = ranges.entry(name.clone()).or_default();
            if let Some(other) = range.narrow(&limit, span, graph) {
                let message = format!("the limits of `{name}` allow no extent");
                let fault = Diagnostic::new("TW0305", message).at(span);
                let fault = fault.label(other, "this is the other one");
                let fault = fault.expected("limits that some extent is within");
                faults.push(fault.help("correct one of the two, or remove it"));
            }
        }
    }
}

/// Warns of limits that are always kept.
pub(super) fn warn(
    kernel: &Kernel,
    graph: &Graph,
    constants: &Constants<'_>,
    warnings: &mut Faults,
) {
    for Placed { limit, span, is_end } in placed_limits(kernel, graph, constants) {
        // `w == 3` may be what gives the axis its extent.
        let states = limit.op == CompareOp::Eq && limit.bound.is_number();
        if !states && !is_end && holds(&limit, graph) == Holds::Always {
            warnings
                .push(Diagnostic::warning("TW0235", "every extent is within the limit").at(span));
        }
    }
}

/// Compares the two sides in all extents.
fn holds(limit: &Limit, graph: &Graph) -> Holds {
    let difference = left(limit, graph).and_then(|left| {
        let negative = Extent::number(-1).times(&left)?;
        limit.bound.plus(&negative)
    });
    let Some(difference) = difference else { return Holds::Depends };
    let (low, high) = bounds(&difference);
    let at_least = |n| low.is_some_and(|low| low >= n);
    let at_most = |n| high.is_some_and(|high| high <= n);
    let (always, never) = match limit.op {
        CompareOp::Lt => (at_least(1), at_most(0)),
        CompareOp::Le => (at_least(0), at_most(-1)),
        CompareOp::Gt => (at_most(-1), at_least(0)),
        CompareOp::Ge => (at_most(0), at_least(1)),
        CompareOp::Eq => (at_least(0) && at_most(0), at_least(1) || at_most(-1)),
        CompareOp::Ne => (at_least(1) || at_most(-1), at_least(0) && at_most(0)),
    };
    match (always, never) {
        (true, _) => Holds::Always,
        (_, true) => Holds::Never,
        _ => Holds::Depends,
    }
}

/// The extent of the left side; `None` on overflow.
fn left(limit: &Limit, graph: &Graph) -> Option<Extent> {
    if let Some(fixed) = graph.fixed_extent(&limit.axis) {
        return Some(Extent::number(i64::try_from(fixed).ok()?));
    }
    let axes = graph.axes_of(&limit.axis)?;
    axes.into_iter().try_fold(Extent::number(1), |product, axis| {
        let extent = match graph.axes.extent_if_bound(axis) {
            Some(extent) => Extent::number(i64::try_from(extent).ok()?),
            None => Extent::len(axis),
        };
        product.times(&extent)
    })
}

/// The lowest and the highest value where extents are 0 or more; `None` where there is no such end.
fn bounds(sum: &Extent) -> (Option<i64>, Option<i64>) {
    let constant = sum.terms().find(|(axes, _)| axes.is_empty()).map_or(0, |(_, number)| number);
    let all = |is: fn(i64) -> bool| {
        sum.terms().all(|(axes, factor)| axes.is_empty() || is(factor)).then_some(constant)
    };
    (all(|factor| factor > 0), all(|factor| factor < 0))
}

/// The extents that the limits by numbers leave, with the limits that gave the ends.
#[derive(Default)]
struct Range {
    low: Option<(i64, Span)>,
    high: Option<(i64, Span)>,
}

impl Range {
    /// Takes a limit; gives the place of the earlier one that it leaves nothing of.
    fn narrow(&mut self, limit: &Limit, span: Span, graph: &Graph) -> Option<Span> {
        let number = limit.bound.value(&graph.axes)?;
        let (low, high) = match limit.op {
            CompareOp::Lt => (None, number.checked_sub(1)),
            CompareOp::Le => (None, Some(number)),
            CompareOp::Gt => (number.checked_add(1), None),
            CompareOp::Ge => (Some(number), None),
            CompareOp::Eq => (Some(number), Some(number)),
            CompareOp::Ne => (None, None),
        };
        let below = low.zip(self.high).filter(|(low, (high, _))| low > high);
        let above = high.zip(self.low).filter(|(high, (low, _))| high < low);
        if let Some((_, (_, other))) = below.or(above) {
            return Some(other);
        }
        if let Some(low) = low.filter(|&low| self.low.is_none_or(|(known, _)| low > known)) {
            self.low = Some((low, span));
        }
        if let Some(high) = high.filter(|&high| self.high.is_none_or(|(known, _)| high < known)) {
            self.high = Some((high, span));
        }
        None
    }
}
