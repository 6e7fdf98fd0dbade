//! Draws into a group what its members need in each block and nothing else reads.
//!
//! A pass over the stream of a group, and over the axes that the group's reductions have in common, is computed block by
//! block where its readers are, instead of whole before them.
//! Invariant: all readers of a pass that is drawn in are members, and none of them reads it behind the last block.

use super::draft::Draft;
use super::facts::Facts;
use crate::base::AxisSet;
use crate::graph::{Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// Makes passes members of the groups that alone read them.
pub(super) fn join(graph: &Graph, facts: &Facts, drafts: &mut [Draft]) {
    if facts.rolls.groups.is_empty() {
        return;
    }
    let readers = readers(graph, drafts);
    let shared: Vec<AxisSet> =
        (0..facts.rolls.groups.len()).map(|group| shared(facts, drafts, group)).collect();
    loop {
        let found = (0..drafts.len()).find_map(|index| {
            let fits = drafts[index].group.is_none() && drafts[index].scan.is_none();
            let group = only_reader(facts, drafts, &readers[index]).filter(|_| fits)?;
            let axes: AxisSet = drafts[index].axes.iter().copied().collect();
            let whole = axes.contains_all(shared[group] | stream(graph, facts, group));
            (whole && drafts[index].outputs.is_empty()).then_some((index, group))
        });
        let Some((index, group)) = found else { return };
        drafts[index].enter(graph, facts, Some(group));
    }
}

fn stream(graph: &Graph, facts: &Facts, group: usize) -> AxisSet {
    match graph.node(facts.rolls.groups[group][0]).op {
        Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => axes,
        _ => AxisSet::EMPTY,
    }
}

/// The axes that all reductions of a group have, but for those that have none.
fn shared(facts: &Facts, drafts: &[Draft], group: usize) -> AxisSet {
    let members = drafts.iter().filter(|draft| draft.group == Some(group));
    let streaming = members.filter(|draft| draft.is_streaming(facts) && !draft.axes.is_empty());
    let axes = streaming.map(|draft| draft.axes.iter().copied().collect::<AxisSet>());
    axes.reduce(|shared, axes| shared & axes).unwrap_or_default()
}

/// The group whose members are the only readers of a pass, each in its blocks.
fn only_reader(
    facts: &Facts,
    drafts: &[Draft],
    readers: &BTreeSet<(usize, bool)>,
) -> Option<usize> {
    let mut groups = readers.iter().map(|&(reader, behind)| {
        let streaming = drafts[reader].is_streaming(facts);
        drafts[reader].group.filter(|_| !(behind && streaming))
    });
    let first = groups.next()??;
    groups.all(|group| group == Some(first)).then_some(first)
}

/// For each draft the drafts that read what it stores, and whether they do in their results.
fn readers(graph: &Graph, drafts: &[Draft]) -> Vec<BTreeSet<(usize, bool)>> {
    let mut stored_at: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for &node in &draft.stored {
            stored_at.entry(node).or_insert(index);
        }
    }
    let mut readers = vec![BTreeSet::new(); drafts.len()];
    for (index, draft) in drafts.iter().enumerate() {
        let outputs = draft.outputs.iter().map(|&output| graph.outputs[output].node);
        let results: Vec<NodeId> = draft.stored.iter().copied().chain(outputs).collect();
        let bodies = draft.states.iter().flat_map(|&state| graph.node(state).op.operands());
        for (roots, behind) in [(bodies.collect(), false), (results, true)] {
            let mut seen = BTreeSet::new();
            let mut stack: Vec<NodeId> = roots;
            while let Some(node) = stack.pop() {
                let running = matches!(graph.node(node).op, Op::Before(_) | Op::After(_));
                if running || draft.states.contains(&node) || !seen.insert(node) {
                    continue;
                }
                match stored_at.get(&node).filter(|&&at| at != index) {
                    Some(&at) => _ = readers[at].insert((index, behind)),
                    None => stack.extend(graph.node(node).op.operands()),
                }
            }
        }
    }
    readers
}
