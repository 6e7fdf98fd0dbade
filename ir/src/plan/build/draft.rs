//! Decides the passes: which reductions share a traversal, how far an epilogue reaches, and what is stored.
//!
//! Reductions of one level over the same axes and stream are one pass. A reduction's stored value is the last
//! element-wise node over the same axes that all its uses go through and whose other operands are at hand.
//! A scan is a pass of its own that stores its value as it is; what is computed from it is a map.
//! The reductions of a group of rolls are passes in a row, in the order of their levels. Between them stands what they
//! need in each block: values made of running values, and values over the stream that nothing else reads.
//! Invariant: a draft only needs nodes stored by drafts of a smaller key, so sorting by key is a legal order.

use super::facts::{Facts, is_input};
use super::within;
use crate::base::{AxisId, AxisSet, BinaryOp, CompareOp, ReduceOp};
use crate::graph::{Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// The place of a draft in the order of passes: level, maps after reductions, place in its group, first node.
pub(super) type Key = (u32, bool, Place, NodeId);

/// The place in a group: the group's number and 1, level, maps after reductions, number of axes. Outside of groups 0s.
type Place = (usize, u32, bool, usize);
const APART: Place = (0, 0, false, 0);
/// Cheap operations in a row that every traversal that needs them may carry out for itself. Beyond that a kernel with
/// many traversals of one chain would grow with the square of its text.
const CHAIN_MAX: u32 = 48;

/// A pass before its expressions exist.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) key: Key,
    /// The axes of the results, in memory order.
    pub(super) axes: Vec<AxisId>,
    pub(super) stream: AxisSet,
    /// The axis along which the one state runs.
    pub(super) scan: Option<AxisId>,
    /// The reductions, or the scan; none for a map.
    pub(super) states: Vec<NodeId>,
    /// Positions of the graph's outputs that this pass stores.
    pub(super) outputs: Vec<usize>,
    /// Nodes that this pass stores if a later pass wants them.
    pub(super) stored: Vec<NodeId>,
    pub(super) optional: bool,
    /// The group in whose traversal the pass runs.
    pub(super) group: Option<usize>,
}

/// All drafts, sorted by key.
pub(super) fn drafts(graph: &Graph, facts: &Facts) -> Vec<Draft> {
    let mut drafts = reductions(graph, facts);
    drafts.extend(scans(graph, facts));
    drafts.sort_by_key(|draft| draft.key);
    let group_of = group_of(&drafts);
    let frontier = frontier(graph, &group_of);
    for draft in &mut drafts {
        extend(graph, facts, &frontier, &group_of, draft);
    }
    store_gathered(graph, facts, &group_of, &mut drafts);
    attach_outputs(graph, facts, &frontier, &mut drafts);
    store_shared(graph, facts, &mut drafts);
    drafts.sort_by_key(|draft| draft.key);
    if !facts.rolls.groups.is_empty() {
        // A reader that nobody wants keeps nothing out of a group.
        super::keep_wanted(graph, facts, &mut drafts);
        within::join(graph, facts, &mut drafts);
        drafts.sort_by_key(|draft| draft.key);
    }
    drafts
}

fn reductions(graph: &Graph, facts: &Facts) -> Vec<Draft> {
    type Passes = BTreeMap<(u32, Option<usize>, AxisSet, AxisSet), Vec<NodeId>>;
    let mut passes: Passes = BTreeMap::new();
    let rolls = &facts.rolls;
    for node in graph.ids() {
        if let Op::Reduce(_, stream, _) | Op::Roll(_, stream, ..) = graph.node(node).op {
            let group = rolls.member[node.index()].or(rolls.free[node.index()]);
            let key = (facts.inner[node.index()], group, graph.node(node).axes, stream);
            passes.entry(key).or_default().push(node);
        }
    }
    let draft = |((_, group, axes, stream), states): (_, Vec<NodeId>)| {
        let mut draft = Draft {
            key: (facts.levels[states[0].index()], false, APART, states[0]),
            axes: AxisSet::iter(axes).collect(),
            stream,
            scan: None,
            states,
            outputs: vec![],
            stored: vec![],
            optional: false,
            group: None,
        };
        draft.enter(graph, facts, group);
        draft
    };
    passes.into_iter().map(draft).collect()
}

impl Draft {
    /// Becomes a member of a group.
    pub(super) fn enter(&mut self, graph: &Graph, facts: &Facts, group: Option<usize>) {
        let Some(group) = group else { return };
        let node = self.key.3;
        let first = facts.rolls.groups[group][0];
        let (level, map) = (facts.inner[node.index()], self.states.is_empty());
        let place = (group + 1, level, map, graph.node(node).axes.len());
        self.key = (facts.levels[first.index()], false, place, node);
        self.group = Some(group);
    }

    /// Whether the pass folds the blocks of its group's stream into states.
    pub(super) fn is_streaming(&self, facts: &Facts) -> bool {
        self.states.first().is_some_and(|state| facts.rolls.member[state.index()].is_some())
    }
}

/// Where the values that drafts store are, for each reader: several traversals may each compute a value of their own.
pub(super) struct Homes {
    places: BTreeMap<NodeId, Vec<(usize, Option<usize>)>>,
}

impl Homes {
    pub(super) fn of(drafts: &[Draft]) -> Self {
        let mut places: BTreeMap<NodeId, Vec<(usize, Option<usize>)>> = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            for &node in &draft.stored {
                places.entry(node).or_default().push((index, draft.group));
            }
        }
        Self { places }
    }

    /// The draft whose value of a node a reader in that group takes: one of its own group, else the first.
    pub(super) fn find(&self, node: NodeId, group: Option<usize>) -> Option<usize> {
        let places = self.places.get(&node)?;
        let own = places.iter().find(|place| group.is_some() && place.1 == group);
        own.or(places.first()).map(|place| place.0)
    }
}

fn scans(graph: &Graph, facts: &Facts) -> Vec<Draft> {
    let scan = |node: NodeId| {
        let Op::Scan(_, axis, _) = graph.node(node).op else { return None };
        Some(Draft {
            key: (facts.levels[node.index()], false, APART, node),
            axes: graph.node(node).axes.iter().collect(),
            stream: AxisSet::EMPTY,
            scan: Some(axis),
            states: vec![node],
            outputs: vec![],
            stored: vec![],
            optional: false,
            group: None,
        })
    };
    graph.ids().filter_map(scan).collect()
}

/// The position of the draft that reduces a node.
fn group_of(drafts: &[Draft]) -> BTreeMap<NodeId, usize> {
    let states = |(group, draft): (usize, &Draft)| {
        draft.states.iter().map(move |&state| (state, group)).collect::<Vec<_>>()
    };
    drafts.iter().enumerate().flat_map(states).collect()
}

/// For each node one more than the last group whose reduction it reads without another in between; 0 for none.
fn frontier(graph: &Graph, group_of: &BTreeMap<NodeId, usize>) -> Vec<usize> {
    let mut frontier = vec![0; graph.nodes.len()];
    for node in graph.ids() {
        frontier[node.index()] = match group_of.get(&node) {
            Some(group) => group + 1,
            None => {
                let operands = graph.node(node).op.operands();
                operands.map(|operand| frontier[operand.index()]).max().unwrap_or(0)
            }
        };
    }
    frontier
}

/// Finds the node that stands for each state outside of the pass: the end of its epilogue.
fn extend(
    graph: &Graph,
    facts: &Facts,
    frontier: &[usize],
    group_of: &BTreeMap<NodeId, usize>,
    draft: &mut Draft,
) {
    for &state in &draft.states {
        let mut end = state;
        while let Some(next) = facts.gate(end).filter(|_| draft.scan.is_none()) {
            let same_axes = graph.node(next).axes == graph.node(state).axes;
            let at_hand = frontier[next.index()] <= group_of[&state] + 1
                && facts.levels[next.index()] == facts.levels[state.index()];
            let free = &facts.rolls.free;
            let outside =
                free[next.index()] != free[state.index()] || facts.rolls.held[next.index()];
            if group_of.contains_key(&next) || !same_axes || !at_hand || outside {
                break;
            }
            end = next;
        }
        if !draft.stored.contains(&end) {
            draft.stored.push(end);
        }
    }
}

/// Stores what is gathered from, unless it is an input: with its reduction, or by a map of its own.
fn store_gathered(
    graph: &Graph,
    facts: &Facts,
    group_of: &BTreeMap<NodeId, usize>,
    drafts: &mut Vec<Draft>,
) {
    let mut stored: BTreeSet<NodeId> =
        drafts.iter().flat_map(|draft| draft.stored.iter().copied()).collect();
    for node in &graph.nodes {
        let Op::Gather(x, _) = node.op else { continue };
        if is_input(graph, x) || !stored.insert(x) {
            continue;
        }
        match group_of.get(&x) {
            Some(&group) => drafts[group].stored.push(x),
            None => drafts.push(Draft { optional: false, ..map(graph, facts, x) }),
        }
    }
}

/// Gives each output to the pass whose traversal ends in it, or to a map.
fn attach_outputs(graph: &Graph, facts: &Facts, frontier: &[usize], drafts: &mut Vec<Draft>) {
    let mut maps: BTreeMap<(u32, Vec<AxisId>), usize> = BTreeMap::new();
    for (position, output) in graph.outputs.iter().enumerate() {
        let axes: AxisSet = output.tensor.axes.iter().copied().collect();
        let level = facts.levels[output.node.index()];
        let home = frontier[output.node.index()].checked_sub(1).filter(|&group| {
            let of_group: AxisSet = drafts[group].axes.iter().copied().collect();
            let alone = output.node == drafts[group].states[0] && !facts.is_shared(output.node);
            let ends_here = drafts[group].scan.is_none() || alone;
            let fits = of_group == axes && graph.node(output.node).axes == axes;
            ends_here && fits && drafts[group].key.0 == level
        });
        let home = home.unwrap_or_else(|| {
            *maps.entry((level, output.tensor.axes.clone())).or_insert_with(|| {
                drafts.push(Draft {
                    key: (level, true, APART, output.node),
                    axes: output.tensor.axes.clone(),
                    stream: AxisSet::EMPTY,
                    scan: None,
                    states: vec![],
                    outputs: vec![],
                    stored: vec![],
                    optional: false,
                    group: None,
                });
                drafts.len() - 1
            })
        });
        let draft = &mut drafts[home];
        if draft.outputs.is_empty() {
            draft.axes.clone_from(&output.tensor.axes);
        }
        if draft.states.is_empty() {
            draft.key.3 = draft.key.3.max(output.node);
        }
        draft.outputs.push(position);
    }
}

/// Which passes evaluate a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Uses {
    None,
    One(usize),
    Many,
}

impl Uses {
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, uses) | (uses, Self::None) => uses,
            (one, other) if one == other => one,
            _ => Self::Many,
        }
    }
}

/// Adds optional maps for expensive values that would otherwise be evaluated more often than they have elements.
fn store_shared(graph: &Graph, facts: &Facts, drafts: &mut Vec<Draft>) {
    let heavy = heavy(graph);
    let compared = compared(graph, facts);
    let group_of = group_of(drafts);
    let mut home: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut writer: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for &node in &draft.stored {
            home.entry(node).or_insert(index);
        }
        writer.extend(draft.outputs.iter().map(|&output| (output, index)));
    }
    let mut uses = vec![Uses::None; graph.nodes.len()];
    for node in graph.ids().rev() {
        let by_outputs = facts.outputs[node.index()].iter().map(|output| Uses::One(writer[output]));
        let by_users = facts.users[node.index()].iter().map(|user| match group_of.get(user) {
            Some(&group) => Uses::One(group),
            None => home.get(user).map_or(uses[user.index()], |&group| Uses::One(group)),
        });
        let all = by_outputs.chain(by_users).fold(Uses::None, Uses::join);
        uses[node.index()] = all;
        let stays = home.contains_key(&node) || facts.rolls.held[node.index()];
        if !heavy[node.index()] || stays || !repeats(graph, node, all, drafts) {
            continue;
        }
        let index = stored_by_output(graph, facts, node, &writer, drafts).unwrap_or_else(|| {
            let optional = !compared[node.index()];
            drafts.push(Draft { optional, ..map(graph, facts, node) });
            drafts.len() - 1
        });
        if !drafts[index].stored.contains(&node) {
            drafts[index].stored.push(node);
        }
        home.insert(node, index);
    }
}

/// Which values are compared for equality, themselves or what is computed of them element by element. Their functions are
/// evaluated once: where two passes evaluate one, vectors of other widths may round it another way.
fn compared(graph: &Graph, facts: &Facts) -> Vec<bool> {
    let mut compared = vec![false; graph.nodes.len()];
    for node in graph.ids().rev() {
        compared[node.index()] =
            facts.users[node.index()].iter().any(|user| match graph.node(*user).op {
                Op::Compare(CompareOp::Eq, ..) => true,
                Op::Reduce(ReduceOp::Max | ReduceOp::Min, ..) => compared[user.index()],
                Op::Reduce(..) | Op::Scan(..) | Op::Gather(..) => false,
                _ => compared[user.index()],
            });
    }
    compared
}

/// Whether a node would be evaluated more than once for each of its elements.
fn repeats(graph: &Graph, node: NodeId, uses: Uses, drafts: &[Draft]) -> bool {
    match uses {
        Uses::None => false,
        Uses::Many => true,
        Uses::One(index) => {
            let axes: AxisSet = drafts[index].axes.iter().copied().collect();
            axes | drafts[index].stream != graph.node(node).axes
        }
    }
}

/// The map that already stores the node as an output over the same axes.
fn stored_by_output(
    graph: &Graph,
    facts: &Facts,
    node: NodeId,
    writer: &BTreeMap<usize, usize>,
    drafts: &[Draft],
) -> Option<usize> {
    facts.outputs[node.index()].iter().map(|output| writer[output]).find(|&index| {
        let axes: AxisSet = drafts[index].axes.iter().copied().collect();
        drafts[index].states.is_empty() && axes == graph.node(node).axes
    })
}

fn map(graph: &Graph, facts: &Facts, node: NodeId) -> Draft {
    let mut draft = Draft {
        key: (facts.levels[node.index()], true, APART, node),
        axes: graph.node(node).axes.iter().collect(),
        stream: AxisSet::EMPTY,
        scan: None,
        states: vec![],
        outputs: vec![],
        stored: vec![node],
        optional: true,
        group: None,
    };
    draft.enter(graph, facts, facts.rolls.free[node.index()]);
    draft
}

/// Nodes that end in an expensive operation over all their axes, or in a long chain of cheap ones.
fn heavy(graph: &Graph) -> Vec<bool> {
    let mut heavy = vec![false; graph.nodes.len()];
    // Operations in a row since the last value that may be stored.
    let mut chain = vec![0; graph.nodes.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        // What is gathered from is stored; a gather computes its indices only.
        let read = |operand: NodeId| matches!(node.op, Op::Gather(x, _) if x == operand);
        let below = |operand: NodeId| {
            heavy[operand.index()] && graph.node(operand).axes == node.axes && !read(operand)
        };
        heavy[id.index()] = !node.axes.is_empty()
            && !node.op.is_traversal()
            && (expensive(node.op) || node.op.operands().any(below));
        let before = node.op.operands().map(|operand| chain[operand.index()]).max();
        chain[id.index()] = match node.op {
            _ if node.op.is_traversal() => 0,
            _ => before.map_or(0, |before| before + 1),
        };
        if chain[id.index()] >= CHAIN_MAX && !node.axes.is_empty() {
            chain[id.index()] = 0;
            heavy[id.index()] |= !node.op.is_traversal();
        }
    }
    heavy
}

fn expensive(op: Op) -> bool {
    match op {
        Op::Unary(op, _) => op.is_rounded(),
        Op::Binary(op, ..) => matches!(op, BinaryOp::Div | BinaryOp::Pow),
        Op::Input(_) | Op::Literal(_) | Op::Index(_) | Op::Len(_) | Op::Compare(..) => false,
        Op::Select(..) | Op::Cast(_) | Op::Wrap(_) | Op::Gather(..) => false,
        Op::Reduce(..) | Op::Scan(..) | Op::Roll(..) => false,
        Op::Before(_) | Op::After(_) | Op::Held => false,
    }
}
