//! Backward kernels: from the text of a kernel to the text of its gradient, by reverse-mode differentiation.
//!
//! `term` has the algebra, `rules` the derivatives, `reverse` the way from the outputs to the inputs, `pivot` finds values
//! whose gradient is 0 because their shift cancels, `write` makes a kernel of what is left.
//! Invariant: the text that comes out is canonical, has no fault, and its size sets fit it; the same text gives the
//! same bytes.

mod pivot;
mod reverse;
mod rules;
mod term;
mod write;

use crate::base::{AxisId, CompareOp};
use crate::check::{CheckedKernel, check};
use crate::diag::{Diagnostic, Span};
use crate::graph::{Graph, Output, Tensor};
use crate::syntax::ast::{Expr, ExprKind, File, Item, Kernel};
use reverse::{Gradients, Obstacle};
use std::collections::BTreeSet;

/// The file with the backward kernel of a kernel of a file. `kernel` may be left out where the file has one; `wrt` names
/// the inputs whose gradients are wanted, all float inputs that an output depends on where it is empty.
///
/// The kernel is called `NAME_backward`. It takes the inputs of the forward kernel that its gradients need and the
/// gradient `d_O` of each float output `O`, with the output's type and axes, and gives the gradient `d_X` of each wanted
/// input `X`, with the input's type and axes.
///
/// # Errors
/// The faults of the text; `TW0904` for a kernel that it does not have, `TW0902` for an unknown input or one that is no
/// float, `TW0903` where there is nothing to differentiate, `TW0901` for each operation that has no gradient.
pub fn grad(text: &str, kernel: Option<&str>, wrt: &[String]) -> Result<String, Vec<Diagnostic>> {
    let file = check(text)?;
    let tree = crate::syntax::parse(text).file;
    let whole = |faults: Vec<Diagnostic>| -> Vec<Diagnostic> {
        faults.into_iter().map(|fault| fault.whole(text)).collect()
    };
    let forward = choose(&file.kernels, kernel).map_err(|fault| vec![fault])?;
    let name = &forward.graph.name;
    let syntax = kernel_of(&tree, name).expect("a checked kernel stands in the text");
    let place = syntax.name.span;
    let wanted = wanted(&forward.graph, wrt, place).map_err(whole)?;
    let graph = backward(forward, &wanted, !wrt.is_empty())
        .map_err(|faults| whole(faults.into_iter().map(|fault| fault.at(syntax)).collect()))?;
    let graph = Graph { permits: write::permits(forward), ..write::pruned(&graph) };
    let inputs = forward.graph.inputs.iter().enumerate();
    let names: Vec<_> = inputs
        .filter(|(position, _)| graph_has(&graph, &forward.graph, *position))
        .map(|(_, tensor)| tensor.name.as_str())
        .collect();
    let comment = format!(
        "# The gradient of `{name}` with respect to {}, derived by `tilewright grad`.\n",
        names.join(", ")
    );
    let text = write::text(&graph, forward, &comment);
    // What is too large for the checker has to be said here, not by whoever reads the file.
    check(&text)?;
    Ok(text)
}

/// The pairs of axes that the `where` clause makes equally long.
fn equal_axes(checked: &CheckedKernel) -> Vec<(AxisId, AxisId)> {
    let graph = &checked.graph;
    let equals = checked.limits.iter().filter(|limit| limit.op == CompareOp::Eq);
    let pairs = equals.filter_map(|limit| {
        let [axis] = graph.axes_of(&limit.axis)?[..] else { return None };
        match limit.bound.linear(&graph.axes)? {
            (Some(other), 1, 0) => Some((axis, other)),
            _ => None,
        }
    });
    pairs.collect()
}

/// What stands in the way, as a diagnostic once the place is known.
enum Fault {
    Obstacle(Obstacle, Option<String>),
    Nothing(String),
}

impl Fault {
    fn at(self, kernel: &Kernel) -> Diagnostic {
        match self {
            Self::Nothing(message) => Diagnostic::new("TW0903", message)
                .at(kernel.name.span)
                .expected("an output that depends on the input by a differentiable path")
                .help("name other inputs with `--wrt`"),
            Self::Obstacle(obstacle, name) => {
                let span = place_of(kernel, &obstacle, name.as_deref());
                Diagnostic::new("TW0901", obstacle.what)
                    .at(span)
                    .found("an operation on the way from a wanted input to an output")
                    .expected("operations that `tilewright grad` differentiates")
                    .help(obstacle.help)
            }
        }
    }
}

/// The graph of the backward kernel, with all inputs and axes of the forward kernel.
fn backward(checked: &CheckedKernel, wanted: &[usize], asked: bool) -> Result<Graph, Vec<Fault>> {
    let forward = &checked.graph;
    let mut taken: BTreeSet<String> =
        forward.inputs.iter().map(|tensor| tensor.name.clone()).collect();
    taken.extend(forward.axes.ids().map(|axis| forward.axes.name(axis).to_string()));
    taken.extend(forward.splits.iter().map(|split| split.name.clone()));
    let mut gradient_of = |tensor: &Tensor| {
        let name = free_name(&format!("d_{}", tensor.name), &mut taken);
        Tensor { name, strides: None, ..tensor.clone() }
    };
    let seed = |output: &Output, tensor: Tensor| output.tensor.dtype.is_float().then_some(tensor);
    let seeds: Vec<Option<Tensor>> =
        forward.outputs.iter().map(|output| seed(output, gradient_of(&output.tensor))).collect();
    let outputs: Vec<Tensor> =
        wanted.iter().map(|&position| gradient_of(&forward.inputs[position])).collect();
    let obstacles = |list: Vec<Obstacle>| -> Vec<Fault> {
        let fault = |obstacle: Obstacle| {
            let name = forward.names[obstacle.node.index()].clone();
            Fault::Obstacle(obstacle, name)
        };
        list.into_iter().rev().map(fault).collect()
    };
    let Gradients { tape, of_inputs } =
        reverse::reverse(forward, &equal_axes(checked), wanted, &seeds).map_err(obstacles)?;
    let mut found = vec![];
    for (&position, tensor) in wanted.iter().zip(outputs) {
        match of_inputs.get(&position) {
            Some(&node) => found.push(Output { tensor, node }),
            None if asked => {
                let input = &forward.inputs[position].name;
                return Err(vec![Fault::Nothing(format!("no output depends on `{input}`"))]);
            }
            None => {}
        }
    }
    if found.is_empty() {
        let message = format!("`{}` has nothing to differentiate", forward.name);
        return Err(vec![Fault::Nothing(message)]);
    }
    let mut graph = tape.builder.finish(found);
    graph.name = format!("{}_backward", forward.name);
    Ok(graph)
}

/// Whether the backward graph gives the gradient of an input.
fn graph_has(graph: &Graph, forward: &Graph, position: usize) -> bool {
    let base = format!("d_{}", forward.inputs[position].name);
    graph.outputs.iter().any(|output| {
        let name = output.tensor.name.strip_prefix(&base);
        name.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

fn free_name(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u32| format!("{wanted}_{number}"));
    let mut names = std::iter::once(wanted.to_string()).chain(numbered);
    let name = names.find(|name| !taken.contains(name)).expect("there are more numbers than names");
    taken.insert(name.clone());
    name
}

fn choose<'k>(
    kernels: &'k [CheckedKernel],
    wanted: Option<&str>,
) -> Result<&'k CheckedKernel, Diagnostic> {
    let names: Vec<_> = kernels.iter().map(|kernel| kernel.graph.name.as_str()).collect();
    let found = match wanted {
        Some(name) => kernels.iter().find(|kernel| kernel.graph.name == name),
        None if kernels.len() == 1 => kernels.first(),
        None => None,
    };
    found.ok_or_else(|| {
        let message = match wanted {
            Some(name) => format!("there is no kernel `{name}`"),
            None => "the file does not have exactly one kernel".to_string(),
        };
        let fault = Diagnostic::new("TW0904", message).expected(match names.is_empty() {
            true => "a file with a kernel".to_string(),
            false => format!("one of {}", names.join(", ")),
        });
        fault.help("name a kernel of the file, `--kernel NAME`")
    })
}

/// The positions of the inputs whose gradients are wanted.
fn wanted(graph: &Graph, wrt: &[String], place: Span) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let floats: Vec<usize> = (0..graph.inputs.len())
        .filter(|&position| graph.inputs[position].dtype.is_float())
        .collect();
    if wrt.is_empty() {
        return Ok(floats);
    }
    let names: Vec<_> =
        floats.iter().map(|&position| graph.inputs[position].name.as_str()).collect();
    let mut faults = vec![];
    let mut found = vec![];
    for name in wrt {
        let position = graph.inputs.iter().position(|tensor| tensor.name == *name);
        match position.filter(|position| floats.contains(position)) {
            Some(position) if !found.contains(&position) => found.push(position),
            Some(_) => {}
            None => {
                let message = match position {
                    Some(_) => format!("`{name}` is no float, so it has no gradient"),
                    None => format!("there is no input `{name}`"),
                };
                let fault = Diagnostic::new("TW0902", message).at(place);
                let fault = fault.found(format!("`{name}`"));
                let fault = fault.expected(match names.is_empty() {
                    true => "a kernel with a float input".to_string(),
                    false => format!("float inputs, {}", names.join(", ")),
                });
                faults.push(fault.help("leave `--wrt` out to have the gradients of all of them"));
            }
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn kernel_of<'f>(file: &'f File, name: &str) -> Option<&'f Kernel> {
    file.items.iter().find_map(|item| match item {
        Item::Kernel(kernel) if kernel.name.text == name => Some(kernel),
        _ => None,
    })
}

/// Where an operation stands, as far as its name or that of its value tells; else the kernel's name.
fn place_of(kernel: &Kernel, obstacle: &Obstacle, name: Option<&str>) -> Span {
    let statements = &kernel.body.statements;
    let named = statements.iter().filter(|statement| {
        statement.name.as_ref().is_some_and(|own| Some(own.text.as_str()) == name)
    });
    let mut candidates = named.chain(statements);
    let found = candidates.find_map(|statement| find(&statement.value, obstacle.word));
    found.unwrap_or(kernel.name.span)
}

/// The first call of a word in an expression, or the first subscript for none.
fn find(expr: &Expr, word: &str) -> Option<Span> {
    let own = match &expr.kind {
        ExprKind::Call(call) if call.name.text == word => Some(expr.span),
        ExprKind::Subscript(..) if word.is_empty() => Some(expr.span),
        _ => None,
    };
    own.or_else(|| expr.children().into_iter().find_map(|part| find(part, word)))
}
