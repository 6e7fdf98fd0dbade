//! What a text says and nothing needs: warnings, since such a text has a meaning all the same.
//!
//! A parameter, value, function or constant counts as used where its name stands. An axis of an output counts as used if
//! the result varies over it. Names that begin with `_` are meant to be unused.
//! Invariant: only a text without faults is looked at, and no warning changes what is made of it.

use crate::base::AxisSet;
use crate::diag::{Diagnostic, Faults};
use crate::graph::Graph;
use crate::syntax::ast::{
    Body, ConstraintKind, Expr, ExprKind, File, Function, Item, Kernel, Name,
};
use std::collections::BTreeSet;

/// The warnings of a file: its checked kernels, in text order, and the functions that they call.
pub(super) fn warnings<'a>(
    file: &File,
    graphs: impl Iterator<Item = &'a Graph>,
    called: &BTreeSet<&str>,
    text_bytes: usize,
) -> Faults {
    let mut warnings = Faults::default();
    let kernels: Vec<_> = kernels(file).collect();
    if kernels.is_empty() {
        let warning = Diagnostic::warning("TW0110", "there is no kernel in this file");
        let end = u32::try_from(text_bytes).unwrap_or(u32::MAX);
        let warning = warning.at(crate::diag::Span { start: end, end });
        warnings.push(warning.found("the end of the text"));
        return warnings;
    }
    for (kernel, graph) in kernels.iter().zip(graphs) {
        of_kernel(kernel, graph, &mut warnings);
    }
    let used = file_names(file);
    for item in &file.items {
        match item {
            Item::Function(function) => {
                if !called.contains(function.name.text.as_str()) {
                    warn("TW0233", "no kernel calls the function", &function.name, &mut warnings);
                }
                of_function(function, &mut warnings);
            }
            Item::Constant(constant) if !used.contains(constant.name.text.as_str()) => {
                warn("TW0233", "nothing uses the constant", &constant.name, &mut warnings);
            }
            _ => {}
        }
    }
    warnings
}

/// The kernels of a file, in text order.
pub(super) fn kernels(file: &File) -> impl Iterator<Item = &Kernel> {
    file.items.iter().filter_map(kernel_of)
}

fn kernel_of(item: &Item) -> Option<&Kernel> {
    match item {
        Item::Kernel(kernel) => Some(kernel),
        _ => None,
    }
}

fn of_kernel(kernel: &Kernel, graph: &Graph, warnings: &mut Faults) {
    let mut used = BTreeSet::new();
    kernel_names(kernel, &mut used);
    for name in kernel.inputs.iter().filter_map(|input| input.name.as_ref()) {
        if !used.contains(name.text.as_str()) {
            warn("TW0231", "nothing uses the parameter", name, warnings);
        }
    }
    unused_values(&kernel.body, &used, warnings);
    for (declared, output) in kernel.outputs.iter().zip(&graph.outputs) {
        let varies = graph.nodes[output.node.index()].axes;
        for (name, axes) in declared.axes.iter().zip(output.tensor.dimensions()) {
            let axes: AxisSet = axes.iter().copied().collect();
            if (axes & varies).is_empty() && !axes.is_empty() {
                let what = "the result is the same along all of the axis";
                warn("TW0234", what, name, warnings);
            }
        }
    }
}

fn of_function(function: &Function, warnings: &mut Faults) {
    let mut used = BTreeSet::new();
    body_names(&function.body, &mut used);
    for name in function.axes.iter().chain(&function.parameters) {
        if !used.contains(name.text.as_str()) {
            warn("TW0231", "nothing uses the parameter", name, warnings);
        }
    }
    unused_values(&function.body, &used, warnings);
}

fn unused_values(body: &Body, used: &BTreeSet<&str>, warnings: &mut Faults) {
    for name in body.statements.iter().filter_map(|statement| statement.name.as_ref()) {
        if !used.contains(name.text.as_str()) {
            warn("TW0232", "nothing uses the value", name, warnings);
        }
    }
}

fn warn(code: &'static str, what: &str, name: &Name, warnings: &mut Faults) {
    if !name.text.starts_with('_') {
        let message = format!("{what} `{}`", crate::syntax::short(&name.text));
        warnings.push(Diagnostic::warning(code, message).at(name.span));
    }
}

/// Every name that stands anywhere but where it is defined.
fn file_names(file: &File) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    for item in &file.items {
        match item {
            Item::Function(function) => body_names(&function.body, &mut used),
            Item::Kernel(kernel) => kernel_names(kernel, &mut used),
            Item::Sizes(set) => set.extents.iter().for_each(|(_, extent)| names(extent, &mut used)),
            Item::Constant(constant) => names(&constant.value, &mut used),
            Item::Faulty(..) => {}
        }
    }
    used
}

fn kernel_names<'a>(kernel: &'a Kernel, used: &mut BTreeSet<&'a str>) {
    body_names(&kernel.body, used);
    let tensors = kernel.inputs.iter().chain(&kernel.outputs);
    tensors.filter_map(|tensor| tensor.strides.as_ref()).flatten().for_each(|x| names(x, used));
    for constraint in &kernel.constraints {
        match &constraint.kind {
            ConstraintKind::Range(low, high) => {
                names(low, used);
                names(high, used);
            }
            ConstraintKind::Compare(_, bound) | ConstraintKind::Split(bound) => names(bound, used),
        }
    }
}

fn body_names<'a>(body: &'a Body, used: &mut BTreeSet<&'a str>) {
    body.statements.iter().for_each(|statement| names(&statement.value, used));
}

fn names<'a>(expr: &'a Expr, used: &mut BTreeSet<&'a str>) {
    match &expr.kind {
        ExprKind::Name(name) => _ = used.insert(name),
        ExprKind::Subscript(name, _) => _ = used.insert(&name.text),
        ExprKind::Call(call) => {
            used.extend(call.axes.iter().flatten().map(|axis| axis.text.as_str()));
        }
        _ => {}
    }
    expr.children().into_iter().for_each(|part| names(part, used));
}
