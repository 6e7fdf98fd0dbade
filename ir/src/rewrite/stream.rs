//! Reductions that make what they need block by block, instead of reading it from memory.
//!
//! A reduction over j of something that is itself a reduction with the axis j, as the scores of attention, may be a roll
//! that holds its value as it is: then the planner computes the inner reduction within the outer one's traversal, in each
//! traversal that needs it. The numbers are those of the reduction, so this is no rule of algebra but a way to run one.
//! Invariant: the graph that comes out is verified, and differs from the one that goes in.

use super::proof::Step;
use super::rule::RuleClass;
use crate::base::ReduceOp;
use crate::graph::{Graph, GraphBuilder, NodeId, Op, Output, Rolls, long_values, verify};

/// The graph with every such reduction as a roll; `None` if there is none, or they cannot be.
pub(super) fn streamed(graph: &Graph) -> Option<Graph> {
    let rolls = Rolls::of(graph);
    let mut builder = GraphBuilder::like(graph);
    let mut copies: Vec<NodeId> = vec![];
    let mut found = false;
    for id in graph.ids() {
        let node = graph.node(id);
        let apart = rolls.member[id.index()].is_none() && rolls.free[id.index()].is_none();
        let copy = match node.op {
            Op::Reduce(
                op @ (ReduceOp::Sum | ReduceOp::Product | ReduceOp::Max | ReduceOp::Min),
                axes,
                x,
            ) if apart && !long_values(graph, id).is_empty() => {
                found = true;
                let held = builder.held(node.dtype, node.axes);
                builder.roll(op, axes, copies[x.index()], held)
            }
            _ => builder.copy(node, |operand| copies[operand.index()]),
        };
        if let Some(name) = &graph.names[id.index()] {
            builder.name(copy, name);
        }
        copies.push(copy);
    }
    if !found {
        return None;
    }
    let output = |output: &Output| Output { node: copies[output.node.index()], ..output.clone() };
    let graph = builder.finish(graph.outputs.iter().map(output).collect());
    verify(&graph).is_ok().then_some(graph)
}

/// A step for each reduction that is run so.
pub(super) fn steps(graph: &Graph) -> Vec<Step> {
    let step = |id: NodeId| {
        let Op::Roll(op, axes, _, update) = graph.node(id).op else { return None };
        if graph.node(update).op != Op::Held {
            return None;
        }
        let axes = graph.axes.names(axes.iter());
        let long = long_values(graph, id);
        let names = long.iter().filter_map(|value| graph.names[value.index()].as_deref());
        let names: Vec<_> = names.collect();
        let of = if names.is_empty() { "..".to_string() } else { names.join(", ") };
        Some(Step {
            rule: "stream",
            class: RuleClass::Reassociating,
            meaning: "a reduction makes what it reads block by block, in its own traversal",
            before: format!("{op}[{axes}](.. {of} ..)"),
            after: format!("roll[{axes}](.. {of} ..)"),
            is_bookkeeping: false,
        })
    };
    let mut steps: Vec<Step> = vec![];
    for step in graph.ids().filter_map(step) {
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}
