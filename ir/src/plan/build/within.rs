//! Draws into a group what its members need in each block and nothing else reads.
//!
//! A pass over the stream of a group, and over the axes that the group's reductions have in common, is computed block by
//! block where its readers are, instead of whole before them. Where they all have the same axes, the largest such pass may
//! lack some of them: a roll of a plain sum of products then runs over the axes that both have.
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
    let candidate = |drafts: &[Draft], index: usize| {
        let draft = &drafts[index];
        let fits = draft.group.is_none() && draft.scan.is_none() && draft.outputs.is_empty();
        let group = only_reader(facts, drafts, &readers[index]).filter(|_| fits)?;
        let long = axes(draft).contains_all(stream(graph, facts, group));
        long.then_some((index, group))
    };
    let all = 0..drafts.len();
    let mut shared: Vec<AxisSet> =
        (0..facts.rolls.groups.len()).map(|group| shared(facts, drafts, group)).collect();
    for (group, shared) in shared.iter_mut().enumerate().filter(|(g, _)| alike(facts, drafts, *g)) {
        let mut of_group = all.clone().filter_map(|index| candidate(drafts, index));
        let narrow = |index: &usize| !(axes(&drafts[*index]) & *shared).is_empty();
        let indices = of_group.by_ref().filter(|found| found.1 == group).map(|found| found.0);
        let volume =
            |index: &usize| graph.axes.volume(axes(&drafts[*index]) | drafts[*index].stream);
        let largest = indices.filter(narrow).max_by_key(volume);
        *shared = largest.map_or(*shared, |index| *shared & axes(&drafts[index]));
    }
    let fits = |&(index, group): &(usize, usize), drafts: &[Draft]| {
        axes(&drafts[index]).contains_all(shared[group])
    };
    while let Some((index, group)) =
        all.clone().filter_map(|index| candidate(drafts, index)).find(|found| fits(found, drafts))
    {
        drafts[index].enter(graph, facts, Some(group));
    }
}

fn axes(draft: &Draft) -> AxisSet {
    draft.axes.iter().copied().collect()
}

/// Whether all reductions of a group have the same axes.
fn alike(facts: &Facts, drafts: &[Draft], group: usize) -> bool {
    let members = drafts.iter().filter(|draft| draft.group == Some(group));
    let mut shapes = members.filter(|draft| draft.is_streaming(facts)).map(axes);
    shapes.next().is_some_and(|first| shapes.all(|shape| shape == first))
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
    streaming.map(axes).reduce(|shared, axes| shared & axes).unwrap_or_default()
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
