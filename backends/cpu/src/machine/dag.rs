//! Expressions of a nest, hash-consed: equal parts are one node, so each is computed once for each element.
//!
//! Invariant: operands precede users; `axes` is the set of nest axes a node varies over.

use super::Place;
use std::collections::{BTreeMap, BTreeSet};
use tilewright_ir::graph::PICKS_MAX;
use tilewright_ir::{AxisId, AxisSet, BinaryOp, CompareOp, DType, UnaryOp};

/// Index of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A number, as f64 bits.
    Literal(u64),
    /// The absolute index along an axis.
    Index(AxisId),
    /// An element of a place, by position in `Dag::places`.
    Load(u32),
    /// An element of a place at computed subscripts, one for each of the place's `picks`.
    Gather(u32, Subscripts),
    /// The reduction of that position.
    Accumulator(u32),
    /// The value of the target before this block.
    Carried,
    /// The nest's result, in the epilogue.
    Result,
    /// An operator of one operand.
    Unary(UnaryOp, NodeId),
    /// An operator of two operands.
    Binary(BinaryOp, NodeId, NodeId),
    /// A comparison.
    Compare(CompareOp, NodeId, NodeId),
    /// A choice.
    Select(NodeId, NodeId, NodeId),
    /// A conversion; integers saturate.
    Cast(NodeId),
    /// A conversion to an integer type that keeps the low bits.
    Wrap(NodeId),
}

/// The nodes of computed subscripts; `None` behind the last.
pub type Subscripts = [Option<NodeId>; PICKS_MAX];

/// The expressions of a nest.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    nodes: Vec<(Node, DType, AxisSet)>,
    index: BTreeMap<(Node, DType), NodeId>,
    /// The places that are read.
    pub places: Vec<Place>,
}

impl Dag {
    /// Adds a node, or finds it.
    pub fn add(&mut self, node: Node, dtype: DType, own_axes: AxisSet) -> NodeId {
        if let Some(&known) = self.index.get(&(node, dtype)) {
            return known;
        }
        let axes = operands(node).fold(own_axes, |axes, operand| axes | self.axes(operand));
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a nest has fewer than 2^32 nodes"));
        self.nodes.push((node, dtype, axes));
        self.index.insert((node, dtype), id);
        id
    }

    /// Adds a number.
    pub fn literal(&mut self, value: f64, dtype: DType) -> NodeId {
        self.add(Node::Literal(value.to_bits()), dtype, AxisSet::EMPTY)
    }

    /// Adds a load.
    pub fn load(&mut self, place: &Place) -> NodeId {
        let position = self.place(place);
        self.add(Node::Load(position), place.dtype, place.axes())
    }

    /// Adds a load at computed subscripts.
    pub fn gather(&mut self, place: &Place, subscripts: Subscripts) -> NodeId {
        let position = self.place(place);
        self.add(Node::Gather(position, subscripts), place.dtype, place.axes())
    }

    fn place(&mut self, place: &Place) -> u32 {
        let position = self.places.iter().position(|known| known == place).unwrap_or_else(|| {
            self.places.push(place.clone());
            self.places.len() - 1
        });
        u32::try_from(position).expect("a nest reads few places")
    }

    /// The operation of a node.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize].0
    }

    /// The element type of a node.
    pub fn dtype(&self, id: NodeId) -> DType {
        self.nodes[id.0 as usize].1
    }

    /// The axes a node varies over.
    pub fn axes(&self, id: NodeId) -> AxisSet {
        self.nodes[id.0 as usize].2
    }

    /// The element types of all nodes.
    pub fn dtypes(&self) -> impl Iterator<Item = DType> {
        self.nodes.iter().map(|node| node.1)
    }

    /// The largest parts of some terms that do not vary along some axes, without numbers.
    pub(crate) fn invariants(&self, terms: &[NodeId], looped: AxisSet) -> Vec<NodeId> {
        let mut roots = vec![];
        let mut seen = BTreeSet::new();
        let mut pending = terms.to_vec();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = self.node(id);
            match self.axes(id).is_disjoint(looped) {
                true if matches!(node, Node::Literal(_)) => {}
                true => roots.push(id),
                false => pending.extend(operands(node)),
            }
        }
        roots
    }

    /// Whether any node satisfies the predicate.
    pub fn any(&self, predicate: impl Fn(Node) -> bool) -> bool {
        self.nodes.iter().any(|node| predicate(node.0))
    }
}

/// The operands of a node, in order.
pub(crate) fn operands(node: Node) -> impl Iterator<Item = NodeId> {
    let list = match node {
        Node::Literal(_)
        | Node::Index(_)
        | Node::Load(_)
        | Node::Gather(..)
        | Node::Accumulator(_)
        | Node::Carried
        | Node::Result => [None, None, None],
        Node::Unary(_, x) | Node::Cast(x) | Node::Wrap(x) => [Some(x), None, None],
        Node::Binary(_, x, y) | Node::Compare(_, x, y) => [Some(x), Some(y), None],
        Node::Select(x, y, z) => [Some(x), Some(y), Some(z)],
    };
    let subscripts = if let Node::Gather(_, list) = node { list } else { [None; PICKS_MAX] };
    list.into_iter().chain(subscripts).flatten()
}
