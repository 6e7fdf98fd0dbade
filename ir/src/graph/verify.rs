//! The rules a graph obeys, and the binding of sizes.
//!
//! `verify` guards against our own faults (a rewrite that builds nonsense), so its messages are for developers; `bind`
//! guards against the caller's sizes, so its messages are diagnostics.
//! Invariant: after `bind` every extent is known, fits an `i32`, and every tensor has at most `TENSOR_BYTES_MAX` bytes.

use super::rolls;
use super::split::{Misfit, solve};
use super::{Graph, Node, NodeId, Op, Picks, Tensor};
use crate::base::{AxisId, AxisSet, BinaryOp, DType, ReduceOp, Sizes, UnaryOp};
use crate::diag::Diagnostic;

/// The largest tensor: what a 48-bit address space holds.
const TENSOR_BYTES_MAX: u64 = 1 << 48;
/// The largest extent: indices are `i32`.
const EXTENT_MAX: u64 = i32::MAX as u64;

/// Checks the invariants of a graph.
///
/// # Errors
/// One message for each broken rule.
pub fn verify(graph: &Graph) -> Result<(), Vec<String>> {
    let mut faults = vec![];
    if graph.names.len() != graph.nodes.len() {
        faults.push("there is not one name slot per node".to_string());
    }
    for id in graph.ids() {
        let bad = graph.node(id).op.operands().find(|operand| operand.0 >= id.0);
        if let Some(operand) = bad {
            faults.push(format!("node {} reads node {} that does not precede it", id.0, operand.0));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    for id in graph.ids() {
        if let Err(fault) = verify_node(graph, graph.node(id)) {
            faults.push(format!("node {}: {fault}", id.0));
        }
    }
    verify_outputs(graph, &mut faults);
    if faults.is_empty() {
        rolls::verify(graph, &mut faults);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn verify_node(graph: &Graph, node: &Node) -> Result<(), String> {
    let in_table = |axis: AxisId| axis.index() < graph.axes.len();
    if !node.axes.iter().all(in_table) {
        return Err("an axis is not in the table".to_string());
    }
    let (dtype, axes) = match node.op {
        Op::Input(input) => {
            let tensor = graph.inputs.get(input).ok_or("there is no such input")?;
            (tensor.dtype, tensor.axes.iter().copied().collect())
        }
        Op::Literal(_) => (node.dtype, AxisSet::EMPTY),
        Op::Index(axis) => (DType::I32, AxisSet::one(axis)),
        Op::Len(axis) if in_table(axis) => (DType::I32, AxisSet::EMPTY),
        Op::Len(_) => return Err("an axis is not in the table".to_string()),
        Op::Unary(op, x) => {
            let x = graph.node(x);
            expect(
                (op == UnaryOp::Not) == (x.dtype == DType::Bool),
                "the operand has a wrong type",
            )?;
            (x.dtype, x.axes)
        }
        Op::Binary(op, x, y) => {
            let (dtype, axes) = joined(graph, x, y)?;
            let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
            expect(logical == (dtype == DType::Bool), "the operands have a wrong type")?;
            (dtype, axes)
        }
        Op::Compare(_, x, y) => (DType::Bool, joined(graph, x, y)?.1),
        Op::Select(c, x, y) => {
            let (dtype, axes) = joined(graph, x, y)?;
            let c = graph.node(c);
            expect(c.dtype == DType::Bool, "the condition is no bool")?;
            (dtype, axes | c.axes)
        }
        Op::Cast(x) => (node.dtype, graph.node(x).axes),
        Op::Gather(x, picks) => verify_gather(graph, graph.node(x), picks)?,
        Op::Wrap(x) => {
            expect(node.dtype.is_integer(), "only integers wrap")?;
            (node.dtype, graph.node(x).axes)
        }
        Op::Reduce(op, axes, x) => verify_reduce(op, axes, graph.node(x))?,
        Op::Scan(op, axis, x) => {
            let x = graph.node(x);
            expect(op.scan_name().is_some(), "the reduction has no scan")?;
            expect(x.axes.contains(axis), "it runs along an axis that its operand lacks")?;
            expect(x.dtype != DType::Bool, "the operand has a wrong type")?;
            (x.dtype, x.axes)
        }
        Op::Roll(op, axes, term, update) => verify_roll(graph, op, axes, (term, update))?,
        Op::Before(x) | Op::After(x) => {
            let x = graph.node(x);
            let running = match x.op {
                Op::Reduce(op, ..) | Op::Roll(op, ..) => op.fold().is_some(),
                _ => false,
            };
            expect(running, "only a reduction or a roll has running values")?;
            (x.dtype, x.axes)
        }
        Op::Held => (node.dtype, node.axes),
    };
    expect(dtype == node.dtype, &format!("its type is {}, not {dtype}", node.dtype))?;
    expect(axes == node.axes, "its axes are not those of its operands")
}

fn verify_gather(graph: &Graph, x: &Node, picks: Picks) -> Result<(DType, AxisSet), String> {
    let replaced = picks.axes();
    expect(!picks.is_empty(), "it replaces no axis")?;
    expect(replaced.len() == picks.len(), "it replaces an axis twice")?;
    expect(x.axes.contains_all(replaced), "it replaces an axis that its operand lacks")?;
    let mut axes = x.axes - replaced;
    for (_, index) in picks.iter() {
        expect(graph.node(index).dtype == DType::I32, "an index is no i32")?;
        axes |= graph.node(index).axes;
    }
    Ok((x.dtype, axes))
}

fn verify_reduce(op: ReduceOp, axes: AxisSet, x: &Node) -> Result<(DType, AxisSet), String> {
    expect(!axes.is_empty(), "it reduces no axis")?;
    expect(x.axes.contains_all(axes), "it reduces an axis that its operand lacks")?;
    let logical = matches!(op, ReduceOp::All | ReduceOp::Any);
    expect(logical == (x.dtype == DType::Bool), "the operand has a wrong type")?;
    let dtype = match op {
        ReduceOp::Argmax | ReduceOp::Argmin => DType::I32,
        ReduceOp::Sum | ReduceOp::Product | ReduceOp::Max | ReduceOp::Min => x.dtype,
        ReduceOp::All | ReduceOp::Any => x.dtype,
    };
    Ok((dtype, x.axes - axes))
}

fn verify_roll(
    graph: &Graph,
    op: ReduceOp,
    axes: AxisSet,
    (term, update): (NodeId, NodeId),
) -> Result<(DType, AxisSet), String> {
    let (dtype, both) = joined(graph, term, update)?;
    expect(!axes.is_empty(), "it reduces no axis")?;
    expect(graph.node(term).axes.contains_all(axes), "its term lacks an axis that it reduces")?;
    expect(graph.node(update).axes.is_disjoint(axes), "its update varies over what it reduces")?;
    expect(op.fold().is_some(), "the reduction cannot be rolled")?;
    let logical = matches!(op, ReduceOp::All | ReduceOp::Any);
    expect(logical == (dtype == DType::Bool), "the term has a wrong type")?;
    Ok((dtype, both - axes))
}

fn joined(graph: &Graph, x: NodeId, y: NodeId) -> Result<(DType, AxisSet), String> {
    let (x, y) = (graph.node(x), graph.node(y));
    expect(x.dtype == y.dtype, &format!("its operands are {} and {}", x.dtype, y.dtype))?;
    Ok((x.dtype, x.axes | y.axes))
}

fn expect(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_string()) }
}

fn verify_outputs(graph: &Graph, faults: &mut Vec<String>) {
    let mut reached = vec![false; graph.nodes.len()];
    for output in &graph.outputs {
        let Some(node) = graph.nodes.get(output.node.index()) else {
            faults.push(format!("output {} is no node", output.tensor.name));
            continue;
        };
        reached[output.node.index()] = true;
        let axes: AxisSet = output.tensor.axes.iter().copied().collect();
        if node.dtype != output.tensor.dtype || !axes.contains_all(node.axes) {
            faults.push(format!("output {} does not fit its node", output.tensor.name));
        }
    }
    for id in graph.ids().rev().filter(|_| !graph.nodes.is_empty()) {
        if reached[id.index()] {
            graph.node(id).op.operands().for_each(|operand| reached[operand.index()] = true);
        } else {
            faults.push(format!("node {} is needed by no output", id.0));
        }
    }
    if graph.outputs.is_empty() {
        faults.push("there is no output".to_string());
    }
}

pub(super) fn bind(graph: &Graph, sizes: &Sizes) -> Result<Graph, Vec<Diagnostic>> {
    let mut bound = graph.clone();
    let mut faults = unknown_axes(graph, sizes);
    let mut whole = graph.fixed_splits();
    for (name, &extent) in sizes {
        let fixed = graph.fixed_extent(name);
        match (graph.axes.find(name), fixed) {
            _ if extent > EXTENT_MAX => faults.push(long_axis(name, extent)),
            (_, Some(fixed)) if fixed != extent => faults.push(fixed_axis(name, fixed, extent)),
            (_, Some(_)) => {}
            (Some(axis), None) => bound.axes.bind(axis, extent),
            (None, None) => _ = whole.insert(name.clone(), extent),
        }
    }
    let misfits = solve(&graph.splits, &whole, &mut bound.axes);
    faults.extend(misfits.iter().map(|misfit| misfit.fault(&bound.axes)));
    for axis in graph.axes.ids() {
        let name = graph.axes.name(axis);
        match bound.axes.extent_if_bound(axis) {
            // Whatever is wrong with the sizes of a split that has the axis has been said.
            None if is_known_misfit(graph, &misfits, axis) => {}
            None if sizes.contains_key(name) => {}
            None => faults.push(missing_axis(graph, axis)),
            Some(extent) if extent > EXTENT_MAX => faults.push(long_axis(name, extent)),
            Some(_) => {}
        }
    }
    if faults.is_empty() {
        faults.extend(long_splits(&bound));
        faults.extend(large_tensors(&bound));
        faults.extend(long_searches(&bound));
    }
    if faults.is_empty() { Ok(bound) } else { Err(faults) }
}

fn is_known_misfit(graph: &Graph, misfits: &[Misfit], axis: AxisId) -> bool {
    let has = |misfit: &Misfit| graph.split(&misfit.split).map(|split| split.axes.contains(&axis));
    misfits.iter().any(|misfit| has(misfit) == Some(true))
}

fn valid_names(graph: &Graph) -> String {
    graph.size_names().join(", ")
}

fn unknown_axes(graph: &Graph, sizes: &Sizes) -> Vec<Diagnostic> {
    sizes
        .keys()
        .filter(|name| graph.axes_of(name).is_none())
        .map(|name| {
            Diagnostic::new("TW0302", format!("kernel `{}` has no axis `{name}`", graph.name))
                .expected(format!("one of {}", valid_names(graph)))
        })
        .collect()
}

fn missing_axis(graph: &Graph, axis: AxisId) -> Diagnostic {
    let name = graph.axes.name(axis);
    let outer = graph.splits.iter().find(|split| split.axes.contains(&axis));
    let help = match outer {
        Some(split) => format!("add `{name}=..` or `{}=..`", split.name),
        None => format!("add `{name}=..`"),
    };
    Diagnostic::new("TW0301", format!("kernel `{}` needs the extent of axis `{name}`", graph.name))
        .expected(format!("an extent for each of {}", valid_names(graph)))
        .help(help)
}

fn fixed_axis(name: &str, fixed: u64, given: u64) -> Diagnostic {
    Diagnostic::new("TW0308", format!("the kernel's text fixes the extent of `{name}`"))
        .found(format!("{name}={given}"))
        .expected(format!("{name}={fixed}, or no extent for `{name}`"))
}

fn long_splits(graph: &Graph) -> Vec<Diagnostic> {
    let long = graph.splits.iter().filter_map(|split| {
        let extent = split.extent_if_bound(&graph.axes).filter(|&extent| extent > EXTENT_MAX)?;
        Some(long_axis(&split.name, extent))
    });
    long.collect()
}

fn long_axis(name: &str, extent: u64) -> Diagnostic {
    Diagnostic::new("TW0304", format!("axis `{name}` is too long: indices are `i32`"))
        .found(extent.to_string())
        .expected(format!("at most {EXTENT_MAX}"))
}

pub(super) fn check_memory(graph: &Graph) -> Result<(), Vec<Diagnostic>> {
    let faults = large_tensors(graph);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Positions that an `i32` does not hold.
fn long_searches(graph: &Graph) -> Option<Diagnostic> {
    graph.nodes.iter().find_map(|node| {
        let Op::Reduce(op @ (ReduceOp::Argmax | ReduceOp::Argmin), axes, _) = node.op else {
            return None;
        };
        let elements = graph.axes.volume(axes);
        let empty = axes.iter().any(|axis| graph.axes.extent(axis) == 0);
        let names = graph.axes.names(axes.iter());
        let message = format!("`{op}[{names}]` goes over too many elements: positions are `i32`");
        let fault = Diagnostic::new("TW0304", message).found(elements.to_string());
        let fault = fault.expected(format!("at most {EXTENT_MAX}"));
        let fault = fault.help("search one axis, then among its results");
        (elements > EXTENT_MAX && !empty).then_some(fault)
    })
}

fn large_tensors(graph: &Graph) -> Vec<Diagnostic> {
    let tensors = graph.inputs.iter().chain(graph.outputs.iter().map(|output| &output.tensor));
    tensors.filter_map(|tensor| large_tensor(graph, tensor)).collect()
}

/// Where the elements, of half a byte at least, are 2^64 or more.
const BEYOND: &str = "2^63 bytes or more";
/// Where the offset of an element does not fit its number.
const FAR: &str = "an offset of 2^63 elements or more";

fn large_tensor(graph: &Graph, tensor: &Tensor) -> Option<Diagnostic> {
    // An axis of extent 0 makes the product 0 however long the others are.
    let elements = graph.axes.volume(tensor.axes.iter().copied().collect());
    let empty = tensor.axes.iter().any(|&axis| graph.axes.extent(axis) == 0);
    let bytes = tensor.dtype.bytes_of(elements);
    if tensor.strides.is_some() {
        let span = tensor.memory(&graph.axes).map(|memory| memory.span);
        let reaches = span.map(|span| tensor.dtype.bytes_of(span));
        if reaches.is_none_or(|bytes| bytes > TENSOR_BYTES_MAX) {
            let message = format!("the strides of `{}` reach too far", tensor.name);
            let found = reaches.filter(|&bytes| bytes != u64::MAX);
            let found = found.map_or(FAR.to_string(), |bytes| format!("{bytes} bytes"));
            let fault = Diagnostic::new("TW0309", message).found(found);
            return Some(fault.expected(format!("at most {TENSOR_BYTES_MAX} bytes")));
        }
    }
    if empty || bytes <= TENSOR_BYTES_MAX {
        return None;
    }
    let found = match bytes {
        _ if elements == u64::MAX => BEYOND.to_string(),
        u64::MAX => BEYOND.to_string(),
        bytes => format!("{bytes} bytes"),
    };
    let fault = Diagnostic::new("TW0303", format!("tensor `{}` is too large", tensor.name));
    Some(fault.found(found).expected(format!("at most {TENSOR_BYTES_MAX} bytes")))
}

#[cfg(test)]
mod tests {
    use super::super::{GraphBuilder, Output};
    use super::*;

    fn copy() -> Graph {
        let mut builder = GraphBuilder::new("copy");
        let (i, j) = (builder.axis("i"), builder.axis("j"));
        let node = builder.input("x", DType::F32, &[i, j]);
        let tensor = Tensor::new("y", DType::F32, &[i, j]);
        builder.finish(vec![Output { tensor, node }])
    }

    fn codes(sizes: &[(&str, u64)]) -> Vec<&'static str> {
        let sizes = sizes.iter().map(|&(name, extent)| (name.to_string(), extent)).collect();
        let faults = copy().bind(&sizes).err().unwrap_or_default();
        faults.iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn bind_reports_every_fault() {
        assert_eq!(codes(&[("i", 3), ("j", 0)]), Vec::<&str>::new());
        assert_eq!(codes(&[("i", 3), ("k", 1)]), ["TW0302", "TW0301"]);
        assert_eq!(codes(&[("i", 1 << 30), ("j", 1 << 30)]), ["TW0303", "TW0303"]);
        assert_eq!(codes(&[("i", 1 << 40), ("j", 1)]), ["TW0304"]);
    }

    #[test]
    fn a_position_has_to_fit_an_i32() {
        let mut builder = GraphBuilder::new("place");
        let (i, j) = (builder.axis("i"), builder.axis("j"));
        let (x, y) = (builder.input("x", DType::F32, &[i]), builder.input("y", DType::F32, &[j]));
        let sum = builder.binary(BinaryOp::Add, x, y);
        let node = builder.reduce(ReduceOp::Argmax, [i, j].into_iter().collect(), sum);
        let tensor = Tensor::new("place", DType::I32, &[]);
        let graph = builder.finish(vec![Output { tensor, node }]);
        let bind = |i: u64, j: u64| {
            let sizes = [("i".to_string(), i), ("j".to_string(), j)];
            graph.bind(&sizes.into_iter().collect())
        };
        assert!(bind(1 << 15, 1 << 15).is_ok());
        assert!(bind(1 << 30, 0).is_ok());
        let faults = bind(1 << 16, 1 << 15).unwrap_err();
        assert_eq!(faults[0].code, "TW0304");
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn verify_sees_a_wrong_type_and_an_unused_node() {
        let graph = copy();
        assert_eq!(verify(&graph), Ok(()));
        let mut wrong = graph.clone();
        wrong.nodes[0].dtype = DType::F64;
        assert_eq!(verify(&wrong).unwrap_err().len(), 2);
        let mut unused = graph;
        unused.nodes.push(unused.nodes[0]);
        unused.names.push(None);
        assert_eq!(verify(&unused).unwrap_err(), ["node 1 is needed by no output"]);
    }
}
