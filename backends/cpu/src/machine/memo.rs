//! Values that were computed already, by node and position of the register tile.
//!
//! Invariant: a scope is entered with every loop body and branch, and left at its end, so a remembered value always
//! dominates its next use.

use super::{Dag, Node, NodeId};
use std::collections::BTreeMap;
use tilewright_ir::AxisId;

/// Offsets inside a register tile, one slot for each unrolled axis (in vectors along the vector axis).
pub(crate) type Offsets = Vec<(AxisId, u64)>;

/// What a remembered value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A node, and whether vectors run along the vector axis.
    Node(NodeId, bool),
    Accumulator(u32),
    Carried,
    Result,
}

/// What a value is, and where.
pub(crate) type Key = (What, Offsets);

/// Remembered values, one map for each open scope.
#[derive(Debug)]
pub(crate) struct Memo<V> {
    scopes: Vec<BTreeMap<Key, V>>,
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self { scopes: vec![] }
    }
}

impl<V: Copy> Memo<V> {
    /// Opens a scope.
    pub(crate) fn enter(&mut self) {
        self.scopes.push(BTreeMap::new());
    }

    /// Closes the innermost scope.
    pub(crate) fn leave(&mut self) {
        self.scopes.pop();
    }

    pub(crate) fn set_accumulator(&mut self, accumulator: u32, at: &Offsets, value: V) {
        self.set((What::Accumulator(accumulator), at.clone()), value);
    }

    pub(crate) fn set_carried(&mut self, at: &Offsets, value: V) {
        self.set((What::Carried, at.clone()), value);
    }

    pub(crate) fn set_result(&mut self, at: &Offsets, value: V) {
        self.set((What::Result, at.clone()), value);
    }

    pub(crate) fn set(&mut self, key: Key, value: V) {
        self.scopes.last_mut().expect("a nest has an open scope").insert(key, value);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<V> {
        self.scopes.iter().rev().find_map(|scope| scope.get(key)).copied()
    }
}

/// How a node's value at a position is remembered: by the offsets along the axes that it varies over.
pub(crate) fn key(dag: &Dag, id: NodeId, is_vector: bool, at: &Offsets) -> Key {
    match dag.node(id) {
        Node::Accumulator(accumulator) => (What::Accumulator(accumulator), at.clone()),
        Node::Carried => (What::Carried, at.clone()),
        Node::Result => (What::Result, at.clone()),
        Node::Literal(_)
        | Node::Index(_)
        | Node::Load(_)
        | Node::Gather(..)
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::Compare(..)
        | Node::Select(..)
        | Node::Cast(_)
        | Node::Wrap(_) => {
            let axes = dag.axes(id);
            let own = at.iter().copied().filter(|entry| axes.contains(entry.0));
            (What::Node(id, is_vector), own.collect())
        }
    }
}
