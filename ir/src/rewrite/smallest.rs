//! The smallest term of every class, and terms rebuilt with some classes replaced.
//!
//! A class is many terms. A lemma that puts a running value in the place of a final one needs one term, in which every
//! occurrence of the final value is seen. Invariant: the choice depends on the e-graph's content alone; ties go by
//! key.

use super::analysis::Graphs;
use super::key::{Key, key};
use super::language::Math;
use egg::{Id, Language as _};
use std::collections::BTreeMap;

/// The smallest terms, by class.
#[derive(Debug, Default)]
pub(super) struct Smallest {
    nodes: BTreeMap<Id, (u64, Key, Math)>,
}

impl Smallest {
    /// Smallest terms in which the classes of `leaves` are single symbols. Classes of which every term has a class of
    /// `banned` in it have none.
    pub(super) fn new(graphs: &Graphs, leaves: &[Id], banned: &[Id]) -> Self {
        let mut smallest = Self::default();
        loop {
            let mut changed = false;
            for class in graphs.classes() {
                if leaves.contains(&class.id) || banned.contains(&class.id) {
                    continue;
                }
                for node in &class.nodes {
                    let Some(size) = smallest.size(graphs, node, leaves) else { continue };
                    let key = key(node, |id| graphs[id].data.key);
                    let best = smallest.nodes.get(&class.id);
                    if best.is_none_or(|best| (size, key) < (best.0, best.1)) {
                        smallest.nodes.insert(class.id, (size, key, node.clone()));
                        changed = true;
                    }
                }
            }
            if !changed {
                return smallest;
            }
        }
    }

    /// The terms of others where they have one. A class that is read as free of some value has to be written so, too.
    pub(super) fn preferring(mut self, others: &Self) -> Self {
        self.nodes.extend(others.nodes.iter().map(|(id, best)| (*id, best.clone())));
        self
    }

    fn size(&self, graphs: &Graphs, node: &Math, leaves: &[Id]) -> Option<u64> {
        node.children().iter().try_fold(1_u64, |size, &child| {
            let child = graphs.find(child);
            let of_child = match leaves.contains(&child) {
                true => 1,
                false => self.nodes.get(&child)?.0,
            };
            Some(size.saturating_add(of_child))
        })
    }

    /// Whether the class has a term.
    pub(super) fn has(&self, id: Id) -> bool {
        self.nodes.contains_key(&id)
    }

    /// The top of the smallest term.
    pub(super) fn node(&self, id: Id) -> Option<&Math> {
        self.nodes.get(&id).map(|best| &best.2)
    }

    /// The smallest term of a class with some classes replaced. `None` if it has no term.
    pub(super) fn rebuild(
        &self,
        graphs: &mut Graphs,
        id: Id,
        replaced: &BTreeMap<Id, Id>,
        met: &mut Vec<Id>,
    ) -> Option<Id> {
        let mut done = BTreeMap::new();
        self.rebuild_shared(graphs, id, replaced, &mut done, met)
    }

    /// Each class once: a term written out may be exponentially larger than the classes it is made of.
    fn rebuild_shared(
        &self,
        graphs: &mut Graphs,
        id: Id,
        replaced: &BTreeMap<Id, Id>,
        done: &mut BTreeMap<Id, Id>,
        met: &mut Vec<Id>,
    ) -> Option<Id> {
        let id = graphs.find(id);
        if let Some(&new) = replaced.get(&id) {
            met.push(id);
            return Some(new);
        }
        if let Some(&new) = done.get(&id) {
            return Some(new);
        }
        let mut node = self.node(id)?.clone();
        for child in node.children_mut() {
            *child = self.rebuild_shared(graphs, *child, replaced, done, met)?;
        }
        let new = graphs.add(node);
        done.insert(id, new);
        Some(new)
    }
}
