//! Attributes, `where` clauses and size sets: what a kernel allows, and what it is run with.

use super::constant::Constants;
use super::{Attributes, CheckedKernel, Limit};
use crate::base::{CompareOp, Sizes};
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::Graph;
use crate::syntax::ast::{Attribute, Constraint, ConstraintKind, Expr, Kernel, SizeSet};

/// What the attributes of a kernel say.
pub(super) fn attributes(kernel: &Kernel, faults: &mut Faults) -> Attributes {
    let mut attributes = Attributes::default();
    for attribute in &kernel.attributes {
        match (attribute.name.text.as_str(), attribute.arguments.is_empty()) {
            ("exact", true) => attributes.exact = true,
            ("reassoc", true) => attributes.reassoc = true,
            ("approx", _) => attributes.approx = approximation(attribute, faults),
            _ => faults.push(
                Diagnostic::new(
                    "TW0215",
                    format!("there is no such attribute `{}`", attribute.name.text),
                )
                .at(attribute.span)
                .expected("`@exact`, `@reassoc` or `@approx(eps=..)`"),
            ),
        }
    }
    attributes
}

fn approximation(attribute: &Attribute, faults: &mut Faults) -> Option<f64> {
    if let [(name, number)] = attribute.arguments.as_slice()
        && name.text == "eps"
        && let Ok(eps) = number.text.parse::<f64>()
        && eps > 0.0
        && eps.is_finite()
    {
        return Some(eps);
    }
    let fault = Diagnostic::new("TW0215", "`@approx` needs the allowed relative deviation");
    faults.push(fault.at(attribute.span).expected("`@approx(eps=1e-3)`, a number above 0"));
    None
}

/// The limits of the `where` clause.
pub(super) fn limits(
    kernel: &Kernel,
    graph: Option<&Graph>,
    constants: &Constants<'_>,
    faults: &mut Faults,
) -> Vec<Limit> {
    let mut limits = vec![];
    for constraint in &kernel.constraints {
        let name = constraint.axis.text.as_str();
        if let Some(graph) = graph.filter(|graph| graph.axes_of(name).is_none()) {
            faults.push(unknown_axis(constraint, graph));
            continue;
        }
        if let ConstraintKind::Range(low, high) = &constraint.kind {
            refuse_empty((low, high), constants, faults);
        }
        let mut limit = |op, bound| {
            let bound = constants.whole(bound, "an extent", faults);
            limits.extend(bound.map(|bound| Limit { axis: name.to_string(), op, bound }));
        };
        match &constraint.kind {
            ConstraintKind::Range(low, high) => {
                limit(CompareOp::Ge, low);
                limit(CompareOp::Le, high);
            }
            ConstraintKind::Compare(op, bound) => limit(*op, bound),
            // The kernel's own check has read it.
            ConstraintKind::Split(_) => {}
        }
    }
    limits
}

/// Reports a range without any number.
fn refuse_empty((low, high): (&Expr, &Expr), constants: &Constants<'_>, faults: &mut Faults) {
    // What is wrong with the numbers themselves is reported where they become limits.
    let number = |expr| constants.whole(expr, "an extent", &mut Faults::default());
    if let (Some(from), Some(to)) = (number(low), number(high))
        && from > to
    {
        let fault = Diagnostic::new("TW0305", "the range allows no extent");
        let place = Span { start: low.span.start, end: high.span.end };
        faults.push(fault.at(place).expected("`low..high`, both ends included"));
    }
}

fn unknown_axis(constraint: &Constraint, graph: &Graph) -> Diagnostic {
    Diagnostic::new("TW0201", format!("there is no axis `{}`", constraint.axis.text))
        .at(constraint.axis.span)
        .expected(format!("one of {}", graph.size_names().join(", ")))
}

/// Adds a size set to its kernel, unless that has faults and is `None`. `fresh` says that its name is.
pub(super) fn add(
    set: &SizeSet,
    fresh: bool,
    kernel: Option<&mut CheckedKernel>,
    constants: &Constants<'_>,
    faults: &mut Faults,
) {
    let mut sizes = Sizes::new();
    let before = faults.count();
    for (axis, extent) in &set.extents {
        let Some(extent) = constants.whole(extent, "an extent", faults) else { continue };
        if sizes.insert(axis.text.clone(), extent).is_some() {
            let message = format!("the extent of `{}` is given twice", axis.text);
            faults.push(Diagnostic::new("TW0307", message).at(axis.span));
        }
    }
    let Some(kernel) = kernel else { return };
    if !fresh {
        let message = format!("there is already a size set `{}`", set.name.text);
        faults.push(Diagnostic::new("TW0307", message).at(set.name.span));
    }
    if faults.count() > before {
        return;
    }
    if let Err(found) = kernel.bind(&sizes) {
        faults.extend(found.into_iter().map(|fault| {
            // A fault that names an axis of the set is placed there.
            let about = |axis: &str| fault.message.contains(&format!("`{axis}`"));
            let place = set.extents.iter().find(|(axis, _)| about(&axis.text));
            fault.clone().at(place.map_or(set.name.span, |(axis, _)| axis.span))
        }));
    }
    let sizes = with_equal(kernel, &sizes);
    kernel.size_sets.push((set.name.text.clone(), sizes));
}

/// The sizes, and the extents that the `where` clause states with `==`, for names that nothing else decides.
pub(super) fn with_equal(kernel: &CheckedKernel, sizes: &Sizes) -> Sizes {
    let equal = kernel.limits.iter().filter(|limit| limit.op == CompareOp::Eq);
    let stated = equal.map(|limit| (limit.axis.clone(), limit.bound)).collect();
    kernel.graph.override_sizes(&stated, sizes)
}

/// The limits that sizes break.
pub(super) fn broken(
    kernel: &CheckedKernel,
    sizes: &Sizes,
    bound: Option<&Graph>,
) -> Vec<Diagnostic> {
    let broken = kernel.limits.iter().filter_map(|limit| {
        let solved = || bound?.extent_of(&limit.axis);
        let extent = sizes.get(&limit.axis).copied().or_else(solved)?;
        if limit.op.apply_whole(extent, limit.bound) {
            return None;
        }
        let message = format!(
            "kernel `{}` does not allow this extent of `{}`",
            kernel.graph.name, limit.axis
        );
        let fault = Diagnostic::new("TW0305", message).found(format!("{}={extent}", limit.axis));
        Some(fault.expected(format!("{} {} {}", limit.axis, limit.op, limit.bound)))
    });
    broken.collect()
}
