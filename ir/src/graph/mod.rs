//! The tensor graph: a checked kernel as a hash-consed list of operations on named axes.
//!
//! Nodes are in topological order (operands come first). Extents are symbolic until `Graph::bind` puts them into
//! the axis table; nothing above the plan depends on them.
//! Invariant: equal operations are one node; operands of an operator have one type; every node is reachable from an
//! output.

mod build;
mod legalise;
mod picks;
mod rolls;
mod split;
mod tensor;
mod text;
mod verify;

pub use build::GraphBuilder;
pub use legalise::legalise;
pub use picks::{PICKS_MAX, Picks};
pub(crate) use rolls::{Rolls, long_values};
pub use split::Split;
pub(crate) use split::solve;
pub use tensor::{Extent, Memory, Tensor};
pub use verify::verify;

use crate::base::{
    AxisId, AxisSet, AxisTable, BinaryOp, CompareOp, DType, ReduceOp, Sizes, UnaryOp,
};
use crate::diag::Diagnostic;
use crate::rewrite::RuleClass;

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The position in the node list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The elements of an input, by position in `Graph::inputs`.
    Input(usize),
    /// A number, exact in the node's type.
    Literal(f64),
    /// The index along an axis, an `i32`.
    Index(AxisId),
    /// The extent of an axis, an `i32`.
    Len(AxisId),
    /// An operator of one operand.
    Unary(UnaryOp, NodeId),
    /// An operator of two operands.
    Binary(BinaryOp, NodeId, NodeId),
    /// A comparison.
    Compare(CompareOp, NodeId, NodeId),
    /// The second where the first holds, else the third.
    Select(NodeId, NodeId, NodeId),
    /// A conversion to the node's type: rounds to nearest even, saturates in integers.
    Cast(NodeId),
    /// The first with some of its axes replaced by indices, all at once. An index outside of the axis reads the nearest
    /// element; from an empty axis comes 0.
    Gather(NodeId, Picks),
    /// A conversion to the node's type, an integer: keeps the low bits of the number rounded to an integer.
    Wrap(NodeId),
    /// A reduction; the node's type is the accumulator.
    Reduce(ReduceOp, AxisSet, NodeId),
    /// The running value of a reduction along an axis, which the result keeps: element j folds the operand's
    /// elements 0 to j. The node's type is the accumulator.
    Scan(ReduceOp, AxisId, NodeId),
    /// A rolled reduction of the first over the axes, which it traverses together with other reductions over them. Where
    /// it meets the next block of the axes, its value becomes that of the second, in which `Held` is the value before
    /// the block, folded with the reduction of the first over the block. It starts at the value over nothing. Whoever
    /// makes one promises that all ways to cut the axes into blocks give the same value up to rounding.
    Roll(ReduceOp, AxisSet, NodeId, NodeId),
    /// The value that a `Reduce` or `Roll` has before the current block of the roll in which this stands.
    Before(NodeId),
    /// The value that a `Reduce` or `Roll` has once the current block of the roll in which this stands is folded in.
    After(NodeId),
    /// The value before the current block of the roll in whose second operand this stands, of its type and axes.
    Held,
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// The element type.
    pub dtype: DType,
    /// The axes it varies over.
    pub axes: AxisSet,
}

/// An output: the tensor and the node that it holds, whose type is already the tensor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The tensor.
    pub tensor: Tensor,
    /// The node stored into it.
    pub node: NodeId,
}

/// A checked kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The kernel's name.
    pub name: String,
    /// The strongest class of rules by which forms of the kernel may be found.
    pub permits: RuleClass,
    /// The axes along which the text asks for reductions in chunks.
    pub split: AxisSet,
    /// The axes; extents are `None` until bound, unless the text fixes them.
    pub axes: AxisTable,
    /// The names for several axes.
    pub splits: Vec<Split>,
    /// The inputs, in signature order.
    pub inputs: Vec<Tensor>,
    /// The operations, operands first.
    pub nodes: Vec<Node>,
    /// A name for a node, where the text gave it one; used for passes and messages.
    pub names: Vec<Option<String>>,
    /// The outputs, in signature order.
    pub outputs: Vec<Output>,
}

impl Op {
    /// The operands, in order.
    pub fn operands(self) -> impl Iterator<Item = NodeId> {
        let list = match self {
            Op::Input(_) | Op::Literal(_) | Op::Index(_) | Op::Len(_) | Op::Held => {
                [None, None, None]
            }
            Op::Unary(_, x)
            | Op::Cast(x)
            | Op::Wrap(x)
            | Op::Reduce(_, _, x)
            | Op::Scan(_, _, x)
            | Op::Before(x)
            | Op::After(x)
            | Op::Gather(x, _) => [Some(x), None, None],
            Op::Binary(_, x, y) | Op::Compare(_, x, y) | Op::Roll(_, _, x, y) => {
                [Some(x), Some(y), None]
            }
            Op::Select(x, y, z) => [Some(x), Some(y), Some(z)],
        };
        let picks = if let Op::Gather(_, picks) = self { picks } else { Picks::EMPTY };
        list.into_iter().flatten().chain(picks.iter().map(|pick| pick.1))
    }
}

impl Op {
    /// The same operation on other operands.
    #[must_use]
    pub fn map_operands(self, mut f: impl FnMut(NodeId) -> NodeId) -> Self {
        match self {
            Op::Input(_) | Op::Literal(_) | Op::Index(_) | Op::Len(_) | Op::Held => self,
            Op::Unary(op, x) => Op::Unary(op, f(x)),
            Op::Binary(op, x, y) => Op::Binary(op, f(x), f(y)),
            Op::Compare(op, x, y) => Op::Compare(op, f(x), f(y)),
            Op::Select(c, x, y) => Op::Select(f(c), f(x), f(y)),
            Op::Cast(x) => Op::Cast(f(x)),
            Op::Wrap(x) => Op::Wrap(f(x)),
            Op::Gather(x, picks) => {
                let x = f(x);
                Op::Gather(x, picks.map(f))
            }
            Op::Reduce(op, axes, x) => Op::Reduce(op, axes, f(x)),
            Op::Scan(op, axis, x) => Op::Scan(op, axis, f(x)),
            Op::Roll(op, axes, term, update) => {
                let term = f(term);
                Op::Roll(op, axes, term, f(update))
            }
            Op::Before(x) => Op::Before(f(x)),
            Op::After(x) => Op::After(f(x)),
        }
    }

    /// Whether an element needs the operand's elements at other positions of an axis.
    pub fn is_traversal(self) -> bool {
        matches!(self, Op::Reduce(..) | Op::Scan(..) | Op::Roll(..))
    }
}

impl Graph {
    /// The node at an index.
    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    /// The axes of a value in the order of its subscripts: those of a tensor of the signature as it states them, those
    /// of any other value in the order in which the signature first names them.
    pub fn dimensions(&self, node: NodeId) -> Vec<AxisId> {
        match self.node(node).op {
            Op::Input(input) => self.inputs[input].axes.clone(),
            _ => self.node(node).axes.iter().collect(),
        }
    }

    /// All nodes, operands before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).expect("a graph has fewer than 2^32 nodes")).map(NodeId)
    }

    /// Binds every axis to an extent.
    ///
    /// # Errors
    /// One diagnostic for each missing axis, unknown axis, or tensor whose byte count overflows; each lists the valid
    /// names.
    pub fn bind(&self, sizes: &Sizes) -> Result<Self, Vec<Diagnostic>> {
        verify::bind(self, sizes)
    }

    /// Checks how much memory the tensors of a bound graph reach.
    ///
    /// # Errors
    /// `TW0303` for a tensor that is too large, `TW0309` for strides that reach too far.
    pub fn check_memory(&self) -> Result<(), Vec<Diagnostic>> {
        verify::check_memory(self)
    }
}
