//! Attributes, `where` clauses and size sets: what a kernel allows, and what it is run with.

use super::constant::Constants;
use super::extent::{ExtentReader, Named, Purpose, has_extent};
use super::{Attributes, CheckedKernel, Limit};
use crate::base::{AxisId, AxisSet, AxisTable, BinaryOp, CompareOp, Sizes};
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::{Extent, Graph, Op};
use crate::syntax::ast::{
    Attribute, Constraint, ConstraintKind, Expr, ExprKind, Infix, Kernel, SizeSet,
};
use std::collections::BTreeSet;

/// What the attributes of a kernel say.
pub(super) fn attributes(
    kernel: &Kernel,
    graph: Option<&Graph>,
    faults: &mut Faults,
) -> Attributes {
    let mut attributes = Attributes::default();
    let mut sound: Vec<&Attribute> = vec![];
    for attribute in &kernel.attributes {
        let before = faults.count();
        match (attribute.name.text.as_str(), attribute.arguments.is_empty()) {
            ("exact", true) => attributes.exact = true,
            ("reassoc", true) => attributes.reassoc = true,
            ("approx", _) => attributes.approx = approximation(attribute, faults),
            ("split", false) => attributes.split = split(attribute, graph, faults),
            _ => faults.push(
                Diagnostic::new(
                    "TW0215",
                    format!("there is no such attribute `{}`", attribute.name.text),
                )
                .at(attribute.span)
                .expected("`@exact`, `@reassoc`, `@approx(eps=..)` or `@split(axis)`"),
            ),
        }
        if faults.count() > before {
            continue;
        }
        if let Some(earlier) = sound.iter().find(|earlier| clash(earlier, attribute)) {
            faults.push(clash_fault(earlier, attribute));
        } else {
            sound.push(attribute);
        }
    }
    attributes
}

/// Whether two attributes are the same, or `@exact` and one that allows more.
fn clash(earlier: &Attribute, later: &Attribute) -> bool {
    let (earlier, later) = (earlier.name.text.as_str(), later.name.text.as_str());
    let wider = |name| ["reassoc", "approx"].contains(&name);
    earlier == later || earlier == "exact" && wider(later) || later == "exact" && wider(earlier)
}

fn clash_fault(earlier: &Attribute, later: &Attribute) -> Diagnostic {
    let (first, second) = (&earlier.name.text, &later.name.text);
    if first == second {
        let fault = Diagnostic::new("TW0215", format!("the kernel has `@{first}` already"));
        return fault.at(later.span).expected("each attribute once").help("remove one of the two");
    }
    let fault = Diagnostic::new("TW0215", format!("`@{second}` contradicts `@{first}`"));
    fault
        .at(later.span)
        .expected("`@exact` alone, or other attributes without it")
        .help("`@exact` allows no rewrite that changes a bit: remove one of the two")
}

fn approximation(attribute: &Attribute, faults: &mut Faults) -> Option<f64> {
    if let [(name, Some(number))] = attribute.arguments.as_slice()
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

/// The axes of `@split(..)` that the kernel reduces. Without a graph nothing is known of them.
fn split(attribute: &Attribute, graph: Option<&Graph>, faults: &mut Faults) -> AxisSet {
    let reduced = graph.map_or(AxisSet::EMPTY, |graph| {
        let reduced = graph.nodes.iter().filter_map(|node| match node.op {
            Op::Reduce(_, axes, _) => Some(axes),
            _ => None,
        });
        reduced.fold(AxisSet::EMPTY, |all, axes| all | axes)
    });
    let mut split = AxisSet::EMPTY;
    for (axis, number) in &attribute.arguments {
        let name = axis.text.as_str();
        if let Some(number) = number {
            let message = "`@split` takes no numbers: a schedule says into how many chunks";
            let fault = Diagnostic::new("TW0215", message).at(number.span);
            faults.push(fault.expected(format!("`@split({name})`")));
            continue;
        }
        let Some(graph) = graph else { continue };
        let axes: AxisSet = graph.axes_of(name).unwrap_or_default().into_iter().collect();
        if (axes & reduced).is_empty() {
            let message = format!("the kernel reduces nothing along `{name}`");
            let fault = Diagnostic::new("TW0215", message).at(axis.span);
            faults.push(match reduced.is_empty() {
                true => fault.help("remove the attribute: the kernel has no reduction"),
                false => fault.expected(graph.axes.names(reduced.iter())),
            });
        }
        split |= axes & reduced;
    }
    split
}

/// The limits of the `where` clause.
pub(super) fn limits(
    kernel: &Kernel,
    graph: Option<&Graph>,
    constants: &Constants<'_>,
    faults: &mut Faults,
) -> Vec<Limit> {
    let mut limits = vec![];
    let names = axis_names(kernel);
    for constraint in &kernel.constraints {
        let name = constraint.axis.text.as_str();
        if let Some(graph) = graph.filter(|graph| graph.axes_of(name).is_none()) {
            let before = faults.count();
            if let ConstraintKind::Compare(CompareOp::Eq, extent) = &constraint.kind {
                // It would be an axis if this were a number.
                _ = bound_of(extent, &names, Some(graph), constants, faults);
            }
            if faults.count() == before {
                faults.push(unknown_axis(constraint, graph));
            }
            continue;
        }
        if let ConstraintKind::Range(low, high) = &constraint.kind {
            refuse_empty((low, high), constants, faults);
        }
        let mut limit = |op, bound| {
            let bound = bound_of(bound, &names, graph, constants, faults);
            // What the text fixes by such a limit needs no other check.
            let fixed = graph.and_then(|graph| graph.fixed_extent(name));
            let stated = fixed.map(|extent| Extent::number(extent.cast_signed()));
            let bound = bound.filter(|bound| op != CompareOp::Eq || stated.as_ref() != Some(bound));
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

/// The names that stand for axes in the signature and in the `where` clause, the parts of splits among them.
fn axis_names(kernel: &Kernel) -> BTreeSet<&str> {
    let tensors = kernel.inputs.iter().chain(&kernel.outputs);
    let signature = tensors.flat_map(|tensor| &tensor.axes).map(|name| name.text.as_str());
    let mut names: BTreeSet<&str> =
        signature.chain(kernel.constraints.iter().map(|limit| limit.axis.text.as_str())).collect();
    for constraint in &kernel.constraints {
        if let ConstraintKind::Split(sum) = &constraint.kind {
            parts_of(sum, &mut names);
        }
    }
    names
}

/// The terms of a split are axes, alone or times what lies below them.
fn parts_of<'a>(sum: &'a Expr, names: &mut BTreeSet<&'a str>) {
    match &sum.kind {
        ExprKind::Infix(Infix::Binary(BinaryOp::Add | BinaryOp::Mul), x, y) => {
            parts_of(x, names);
            parts_of(y, names);
        }
        ExprKind::Name(name) => _ = names.insert(name.as_str()),
        _ => {}
    }
}

/// A limit with its place.
pub(super) struct Placed {
    pub(super) limit: Limit,
    pub(super) span: Span,
    /// Whether it is one end of a range.
    pub(super) is_end: bool,
}

/// The limits whose right sides are sound, in text order.
pub(super) fn placed_limits(
    kernel: &Kernel,
    graph: &Graph,
    constants: &Constants<'_>,
) -> Vec<Placed> {
    let names = axis_names(kernel);
    let mut placed = vec![];
    for constraint in &kernel.constraints {
        let is_end = matches!(constraint.kind, ConstraintKind::Range(..));
        let mut add = |op, bound: &Expr| {
            let span = Span { start: constraint.axis.span.start, end: bound.span.end };
            let axis = constraint.axis.text.clone();
            let bound = bound_of(bound, &names, Some(graph), constants, &mut Faults::default());
            placed.extend(bound.map(|bound| Placed {
                limit: Limit { axis, op, bound },
                span,
                is_end,
            }));
        };
        match &constraint.kind {
            ConstraintKind::Range(low, high) => {
                add(CompareOp::Ge, low);
                add(CompareOp::Le, high);
            }
            ConstraintKind::Compare(op, bound) => add(*op, bound),
            ConstraintKind::Split(_) => {}
        }
    }
    placed
}

/// The right side of a limit. `None` after a fault, or if it depends on axes whose faults are known.
fn bound_of(
    expr: &Expr,
    names: &BTreeSet<&str>,
    graph: Option<&Graph>,
    constants: &Constants<'_>,
    faults: &mut Faults,
) -> Option<Extent> {
    if !has_extent(expr, names) {
        let bound = constants.whole(expr, "an extent", faults)?;
        // No extent comes near the largest number, so it stands for all beyond.
        return Some(Extent::number(i64::try_from(bound).unwrap_or(i64::MAX)));
    }
    let graph = graph?;
    let named = |name: &str| graph.axes_of(name).map_or(Named::Unknown, Named::Axes);
    let axes = &graph.axes;
    let names = graph.size_names();
    let reader = ExtentReader { constants, axes, named: &named, names, purpose: Purpose::Limit };
    match reader.read(expr) {
        Ok(bound) => bound,
        Err(fault) => {
            faults.push(*fault);
            None
        }
    }
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
            let place = place.map_or(set.name.span, |(axis, _)| axis.span);
            let message = format!("size set `{}`: {}", set.name.text, fault.message);
            Diagnostic { message, ..fault }.at(place)
        }));
    }
    let sizes = with_equal(kernel, &sizes);
    kernel.size_sets.push((set.name.text.clone(), sizes));
}

/// The sizes, and the extents that follow from the `==` of the `where` clause, for names that nothing else decides.
pub(super) fn with_equal(kernel: &CheckedKernel, sizes: &Sizes) -> Sizes {
    let mut sizes = sizes.clone();
    loop {
        let axes = kernel.graph.solved(&sizes);
        let equal = kernel.limits.iter().filter(|limit| limit.op == CompareOp::Eq);
        let decided = |limit| decided(limit, &kernel.graph, &axes);
        let next = equal.filter_map(decided).find(|(name, _)| !sizes.contains_key(name));
        match next {
            Some((name, extent)) => _ = sizes.insert(name, extent),
            None => return sizes,
        }
    }
}

/// The one extent of `name == bound` that is open, with the number that it has to be.
fn decided(limit: &Limit, graph: &Graph, axes: &AxisTable) -> Option<(String, u64)> {
    let left = extent_in(graph, &limit.axis, axes);
    let (open, factor, rest) = limit.bound.linear(axes)?;
    let (name, extent) = match (left, open) {
        (None, None) => (limit.axis.clone(), rest),
        (Some(left), Some(axis)) => {
            let difference = i64::try_from(left).ok()?.checked_sub(rest)?;
            let divides = factor != 0 && difference % factor == 0;
            (axes.name(axis).to_string(), difference.checked_div(factor).filter(|_| divides)?)
        }
        _ => return None,
    };
    Some((name, u64::try_from(extent).ok()?))
}

/// The extent of an axis or a split, if its axes are bound in a table.
fn extent_in(graph: &Graph, name: &str, axes: &AxisTable) -> Option<u64> {
    let parts = graph.axes_of(name)?;
    parts
        .iter()
        .try_fold(1_u64, |product, &axis| Some(product.saturating_mul(axes.extent_if_bound(axis)?)))
}

/// The limits that sizes break. `faults` are those of binding them; what a limit explains better goes.
pub(super) fn broken(
    kernel: &CheckedKernel,
    sizes: &Sizes,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let axes = kernel.graph.solved(sizes);
    let mut broken = vec![];
    for limit in &kernel.limits {
        let Some((open, _, bound)) = limit.bound.linear(&axes) else { continue };
        let extent = extent_in(&kernel.graph, &limit.axis, &axes);
        let extent = extent.or_else(|| sizes.get(&limit.axis).copied());
        let equal = limit.op == CompareOp::Eq;
        match (extent, open) {
            (Some(extent), None) => {
                let left = i64::try_from(extent).unwrap_or(i64::MAX);
                if !limit.op.apply_whole(left, bound) {
                    broken.push(breach(kernel, limit, &extent.to_string(), Some(bound)));
                }
            }
            // An extent that would have to be negative.
            (None, None) if equal && bound < 0 => {
                broken.push(breach(kernel, limit, &bound.to_string(), Some(bound)));
            }
            // No whole number solves it: `with_equal` would have found it.
            (Some(extent), Some(open)) if equal => {
                broken.push(breach(kernel, limit, &extent.to_string(), None));
                let name = format!("`{}`", axes.name(open));
                faults.retain(|fault| fault.code != "TW0301" || !fault.message.ends_with(&name));
            }
            _ => {}
        }
    }
    broken
}

fn breach(kernel: &CheckedKernel, limit: &Limit, found: &str, bound: Option<i64>) -> Diagnostic {
    let (graph, name) = (&kernel.graph, &limit.axis);
    let message = format!("kernel `{}` does not allow this extent of `{name}`", graph.name);
    let mut expected = format!("{name} {} {}", limit.op, show(&limit.bound, &graph.axes));
    match bound {
        Some(bound) if !limit.bound.is_number() => expected.push_str(&format!(" = {bound}")),
        Some(_) => {}
        None => expected.push_str(" for a whole number"),
    }
    Diagnostic::new("TW0305", message).found(format!("{name}={found}")).expected(expected)
}

/// As the text of a limit: `2*o - 1`.
fn show(bound: &Extent, axes: &AxisTable) -> String {
    let mut text = String::new();
    let terms: Vec<_> = bound.terms().collect();
    for (list, factor) in terms.into_iter().rev() {
        text.push_str(match (text.is_empty(), factor < 0) {
            (true, true) => "-",
            (true, false) => "",
            (false, true) => " - ",
            (false, false) => " + ",
        });
        let mut factors: Vec<String> = vec![];
        if factor.unsigned_abs() != 1 || list.is_empty() {
            factors.push(factor.unsigned_abs().to_string());
        }
        factors.extend(list.iter().map(|&axis| axes.name(axis).to_string()));
        text.push_str(&factors.join("*"));
    }
    if text.is_empty() { "0".to_string() } else { text }
}

/// The sizes of a set with others in their place: what those decide, the set does not.
pub(super) fn override_sizes(kernel: &CheckedKernel, set: &Sizes, given: &Sizes) -> Sizes {
    let given_axes: BTreeSet<AxisId> =
        given.keys().filter_map(|name| kernel.graph.axes_of(name)).flatten().collect();
    // The left side of an equation follows what is given for its right side.
    let follows = |name: &String| {
        kernel.limits.iter().any(|limit| {
            let mut depends = limit.bound.axes().filter(|axis| given_axes.contains(axis));
            limit.op == CompareOp::Eq && limit.axis == *name && depends.next().is_some()
        })
    };
    let kept = set.iter().filter(|(name, _)| given.contains_key(*name) || !follows(name));
    let kept = kept.map(|(name, &extent)| (name.clone(), extent)).collect();
    kernel.graph.override_sizes(&kept, given)
}
