//! Draws into a group what its members need in each block and nothing else reads.
//!
//! A pass over the stream of a group, and over the axes that the group's reductions have in common, is computed block by
//! block where its readers are, instead of whole before them. Where they all have the same axes, the largest such pass may
//! lack some of them: a roll of a plain sum of products then runs over the axes that both have. What several groups
//! read, each in its blocks, each of them computes again: scores of attention are never stored, however often they are
//! gone through.
//! Invariant: all readers of a pass that is drawn in are members, and none of them reads it behind the last block.

use super::draft::{Draft, Homes};
use super::facts::Facts;
use crate::base::AxisSet;
use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// Makes passes members of the groups that alone read them.
pub(super) fn join(graph: &Graph, facts: &Facts, drafts: &mut Vec<Draft>) {
    let mut readers = readers(graph, drafts);
    let shared = all_shared(graph, facts, drafts, &readers);
    let fits = |drafts: &[Draft], index: usize, group: usize| {
        axes(&drafts[index]).contains_all(shared[group])
    };
    loop {
        let found = (0..drafts.len()).find_map(|index| {
            let groups = candidate(graph, facts, drafts, (index, &readers[index]))?;
            groups.iter().all(|&group| fits(drafts, index, group)).then_some((index, groups))
        });
        let Some((index, groups)) = found else { return };
        let mut groups = groups.into_iter();
        let first = groups.next();
        let copies: Vec<Draft> = groups
            .map(|group| {
                let mut copy = drafts[index].clone();
                copy.enter(graph, facts, Some(group));
                copy
            })
            .collect();
        drafts[index].enter(graph, facts, first);
        if !copies.is_empty() {
            drafts.extend(copies);
            readers = self::readers(graph, drafts);
        }
    }
}

/// The groups into which a pass can be drawn: those of all its readers.
fn candidate(
    graph: &Graph,
    facts: &Facts,
    drafts: &[Draft],
    (index, readers): (usize, &BTreeSet<(usize, bool)>),
) -> Option<BTreeSet<usize>> {
    let draft = &drafts[index];
    let fits = draft.group.is_none() && draft.scan.is_none() && draft.outputs.is_empty();
    let groups = reading_groups(facts, drafts, readers).filter(|_| fits)?;
    let long = |&group: &usize| axes(draft).contains_all(stream(graph, facts, group));
    let gathered = |&node: &NodeId| {
        graph.nodes.iter().any(|user| matches!(user.op, Op::Gather(x, _) if x == node))
    };
    let copied = groups.len() == 1 || !draft.stored.iter().any(gathered);
    (copied && groups.iter().all(long)).then_some(groups)
}

/// For each group the axes that a pass must have to be drawn in.
fn all_shared(
    graph: &Graph,
    facts: &Facts,
    drafts: &[Draft],
    readers: &[BTreeSet<(usize, bool)>],
) -> Vec<AxisSet> {
    let groups = 0..facts.rolls.groups.len();
    let mut all: Vec<AxisSet> = groups.map(|group| shared(facts, drafts, group)).collect();
    for (group, shared) in all.iter_mut().enumerate().filter(|(g, _)| alike(facts, drafts, *g)) {
        let reads = |index: &usize| {
            let groups = candidate(graph, facts, drafts, (*index, &readers[*index]));
            groups.is_some_and(|groups| groups.contains(&group))
        };
        let narrow = |index: &usize| !(axes(&drafts[*index]) & *shared).is_empty();
        let volume =
            |index: &usize| graph.axes.volume(axes(&drafts[*index]) | drafts[*index].stream);
        let indices = (0..drafts.len()).filter(reads).filter(narrow);
        let largest = indices.max_by_key(volume);
        *shared = largest.map_or(*shared, |index| *shared & axes(&drafts[index]));
    }
    all
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

/// The groups whose members are the only readers of a pass, each in its blocks.
fn reading_groups(
    facts: &Facts,
    drafts: &[Draft],
    readers: &BTreeSet<(usize, bool)>,
) -> Option<BTreeSet<usize>> {
    let groups = readers.iter().map(|&(reader, behind)| {
        let streaming = drafts[reader].is_streaming(facts);
        drafts[reader].group.filter(|_| !(behind && streaming))
    });
    groups.collect::<Option<BTreeSet<usize>>>().filter(|groups| !groups.is_empty())
}

/// For each draft the drafts that read what it stores, and whether they do in their results.
fn readers(graph: &Graph, drafts: &[Draft]) -> Vec<BTreeSet<(usize, bool)>> {
    let homes = Homes::of(drafts);
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
                match homes.find(node, draft.group).filter(|&at| at != index) {
                    Some(at) => _ = readers[at].insert((index, behind)),
                    None => stack.extend(graph.node(node).op.operands()),
                }
            }
        }
    }
    readers
}
