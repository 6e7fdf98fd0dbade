//! Which reductions of a graph are traversed together, because rolls among them use each other's running values.
//!
//! A group is a set of rolls and reductions over the same axes, connected by `Before` and `After`. A node is free if it
//! reaches a running value or `Held` without a roll in between: it has a value in each block of the group's traversal
//! and none outside of it.
//! Invariant: in a verified graph no group needs the final value of one of its own members.

use super::{Graph, NodeId, Op};
use crate::base::AxisSet;
use std::collections::BTreeSet;

/// The groups of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rolls {
    /// The members of each group in node order, in the order of their first members.
    pub(crate) groups: Vec<Vec<NodeId>>,
    /// The group that a node is a member of.
    pub(crate) member: Vec<Option<usize>>,
    /// The group whose running values a node needs, so that it has a value in its traversal only.
    pub(crate) free: Vec<Option<usize>>,
    /// Whether a node needs what a roll holds, so that it has a value in that roll's update only.
    pub(crate) held: Vec<bool>,
}

/// What a node reaches without a roll in between.
#[derive(Clone, Debug, Default)]
struct Reached {
    /// The reductions whose running values it needs.
    running: BTreeSet<NodeId>,
    held: BTreeSet<NodeId>,
}

impl Rolls {
    /// Finds the groups. A graph without rolls has none.
    pub(crate) fn of(graph: &Graph) -> Self {
        let count = graph.nodes.len();
        let (member, free, held) = (vec![None; count], vec![None; count], vec![false; count]);
        let mut rolls = Self { groups: vec![], member, free, held };
        if !graph.nodes.iter().any(|node| matches!(node.op, Op::Roll(..))) {
            return rolls;
        }
        let reached = reached(graph);
        let mut leader: Vec<NodeId> = graph.ids().collect();
        for id in graph.ids() {
            for running in running_of(graph, &reached, id) {
                let (a, b) = (root(&leader, id), root(&leader, running));
                leader[a.max(b).index()] = a.min(b);
            }
        }
        for (a, b) in plain_pairs(graph, &reached) {
            let (a, b) = (root(&leader, a), root(&leader, b));
            leader[a.max(b).index()] = a.min(b);
        }
        let mut number = vec![None; count];
        for id in graph.ids() {
            let has_running = root(&leader, id) != id;
            if matches!(graph.node(id).op, Op::Roll(..)) || has_running {
                let leader = root(&leader, id).index();
                let group = *number[leader].get_or_insert_with(|| {
                    rolls.groups.push(vec![]);
                    rolls.groups.len() - 1
                });
                rolls.member[id.index()] = Some(group);
                rolls.member[leader] = Some(group);
            }
        }
        for id in graph.ids() {
            if let Some(group) = rolls.member[id.index()] {
                rolls.groups[group].push(id);
            }
        }
        for id in graph.ids() {
            let Reached { running, held } = &reached[id.index()];
            rolls.free[id.index()] = running.first().and_then(|state| rolls.member[state.index()]);
            rolls.held[id.index()] = !held.is_empty();
        }
        rolls
    }
}

fn root(leader: &[NodeId], mut id: NodeId) -> NodeId {
    while leader[id.index()] != id {
        id = leader[id.index()];
    }
    id
}

/// The reductions whose running values a roll uses; none for other nodes.
fn running_of(graph: &Graph, reached: &[Reached], id: NodeId) -> BTreeSet<NodeId> {
    let Op::Roll(_, _, term, update) = graph.node(id).op else { return BTreeSet::new() };
    &reached[term.index()].running | &reached[update.index()].running
}

/// Rolls that use no running value, stand at one level, and traverse the same axes of the same long value: together they
/// need it once.
fn plain_pairs(graph: &Graph, reached: &[Reached]) -> Vec<(NodeId, NodeId)> {
    let mut levels = vec![0_u32; graph.nodes.len()];
    for id in graph.ids() {
        let op = graph.node(id).op;
        let below = op.operands().map(|operand| levels[operand.index()]).max().unwrap_or(0);
        levels[id.index()] = below + u32::from(op.is_traversal());
    }
    let plain = |&id: &NodeId| {
        matches!(graph.node(id).op, Op::Roll(_, _, _, update) if graph.node(update).op == Op::Held)
            && running_of(graph, reached, id).is_empty()
    };
    let rolls: Vec<NodeId> = graph.ids().filter(plain).collect();
    let long: Vec<BTreeSet<NodeId>> = rolls.iter().map(|&id| long_values(graph, id)).collect();
    let mut pairs = vec![];
    for (index, &a) in rolls.iter().enumerate() {
        for (other, &b) in rolls.iter().enumerate().skip(index + 1) {
            let alike = stream(graph, a) == stream(graph, b)
                && levels[a.index()] == levels[b.index()]
                && !long[index].is_disjoint(&long[other]);
            if alike {
                pairs.push((a, b));
            }
        }
    }
    pairs
}

/// The reductions over other axes that the term of a reduction reads, and that vary along all that it traverses.
pub(crate) fn long_values(graph: &Graph, id: NodeId) -> BTreeSet<NodeId> {
    let (Op::Reduce(_, axes, term) | Op::Roll(_, axes, term, _)) = graph.node(id).op else {
        return BTreeSet::new();
    };
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut stack = vec![term];
    while let Some(node) = stack.pop() {
        let op = graph.node(node).op;
        if op.is_traversal() {
            let long = graph.node(node).axes.contains_all(axes);
            if long && matches!(op, Op::Reduce(..)) {
                found.insert(node);
            }
        } else if !matches!(op, Op::Before(_) | Op::After(_)) && seen.insert(node) {
            stack.extend(op.operands());
        }
    }
    found
}

fn reached(graph: &Graph) -> Vec<Reached> {
    let mut reached: Vec<Reached> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let mut own = Reached::default();
        match graph.node(id).op {
            Op::Roll(..) => {}
            Op::Before(x) | Op::After(x) => _ = own.running.insert(x),
            Op::Held => _ = own.held.insert(id),
            op => {
                for operand in op.operands() {
                    own.running.extend(&reached[operand.index()].running);
                    own.held.extend(&reached[operand.index()].held);
                }
            }
        }
        reached.push(own);
    }
    reached
}

/// The axes that a member of a group traverses.
pub(crate) fn stream(graph: &Graph, member: NodeId) -> AxisSet {
    match graph.node(member).op {
        Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => axes,
        _ => AxisSet::EMPTY,
    }
}

/// Checks where running values stand. All other rules hold already.
pub(super) fn verify(graph: &Graph, faults: &mut Vec<String>) {
    let reached = reached(graph);
    for id in graph.ids() {
        if let Some(fault) = misplaced(graph, &reached, id) {
            faults.push(format!("node {}: {fault}", id.0));
        }
    }
    for output in &graph.outputs {
        let Reached { running, held } = &reached[output.node.index()];
        if !running.is_empty() || !held.is_empty() {
            faults.push(format!("output {} is a running value", output.tensor.name));
        }
    }
    if faults.is_empty() {
        circles(graph, faults);
    }
}

fn misplaced(graph: &Graph, reached: &[Reached], id: NodeId) -> Option<&'static str> {
    let node = graph.node(id);
    let of = |x: NodeId| &reached[x.index()];
    let is_free = |x: NodeId| !of(x).running.is_empty() || !of(x).held.is_empty();
    match node.op {
        Op::Roll(_, axes, term, update) => {
            let mut running = of(term).running.iter().chain(&of(update).running);
            let fits = |&held: &NodeId| {
                graph.node(held).dtype == node.dtype && graph.node(held).axes == node.axes
            };
            if !of(term).held.is_empty() {
                return Some("its term reads what it holds");
            }
            if !of(update).held.iter().all(fits) {
                return Some("what its update holds has another type or other axes");
            }
            let apart = running.any(|&state| stream(graph, state) != axes);
            apart.then_some("it reads a running value of another traversal")
        }
        Op::Reduce(_, axes, x) => {
            let over = |&state: &NodeId| !stream(graph, state).is_disjoint(axes);
            let inside = of(x).running.iter().any(over);
            (inside || !of(x).held.is_empty())
                .then_some("it reduces running values over what they traverse")
        }
        Op::Scan(_, _, x) if is_free(x) => Some("it scans running values"),
        Op::Gather(x, _) if is_free(x) => Some("it gathers from running values"),
        _ => None,
    }
}

/// Finds groups that need the final value of a member of their own, or of each other.
fn circles(graph: &Graph, faults: &mut Vec<String>) {
    let rolls = Rolls::of(graph);
    // The groups whose final values a node needs.
    let mut needs: Vec<BTreeSet<usize>> = Vec::with_capacity(graph.nodes.len());
    let mut of_group = vec![BTreeSet::new(); rolls.groups.len()];
    for id in graph.ids() {
        let op = graph.node(id).op;
        let mut own = BTreeSet::new();
        for operand in op.operands() {
            own.extend(&needs[operand.index()]);
            if !matches!(op, Op::Before(_) | Op::After(_)) {
                own.extend(rolls.member[operand.index()]);
            }
        }
        if let Some(group) = rolls.member[id.index()] {
            of_group[group].extend(&own);
        }
        needs.push(own);
    }
    let mut open: BTreeSet<usize> = (0..rolls.groups.len()).collect();
    while let Some(&done) = open.iter().find(|&&group| of_group[group].is_disjoint(&open)) {
        open.remove(&done);
    }
    for group in open {
        let node = rolls.groups[group][0].0;
        faults
            .push(format!("node {node}: its traversal needs the final value of a reduction in it"));
    }
}
