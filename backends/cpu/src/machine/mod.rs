//! The CPU's machine program: loop nests over one target each, with every address a sum of strides.
//!
//! It stands between the tile program and code. A `Nest` is the only thing that computes: loops over the target's
//! axes, inside them reductions, inside them an expression. Everything a tile program says (stage, store, carry,
//! epilogue, hoisted reduction) is a nest with another target.
//! Invariant: a nest writes one place, and reads no place that it writes except the carried value of the same element.

mod build;
mod chain;
mod choice;
mod convert;
mod copies;
mod dag;
mod gather;
mod memo;
mod order;
mod place;
mod print;
mod reads;

pub use build::{build, unpacked_outputs};
pub(crate) use chain::Cut;
pub use dag::{Dag, Node, NodeId, Subscripts};
pub(crate) use memo::{Memo, Offsets, key};
pub use place::{Base, Panel, Place, Term};

use std::collections::BTreeMap;
use tilewright_ir::base::Literal;
use tilewright_ir::tile::{Bounds, Micro};
use tilewright_ir::{AxisId, ReduceOp};

/// Bytes at the head of a thread's scratch that the emitted code keeps for itself.
pub const SCRATCH_HEADER_BYTES: u64 = 64;

/// One phase: a function over grid iterations.
#[derive(Clone, Debug)]
pub struct MachinePhase {
    /// The phase's name in the tile program.
    pub name: String,
    /// The grid axes and steps, outermost first.
    pub grid: Vec<(AxisId, u64)>,
    /// Whether the last iteration is taken first.
    pub descending: bool,
    /// How many threads share the grid.
    pub threads: u64,
    /// Scratch bytes of a thread.
    pub scratch_bytes: u64,
    /// What one iteration does.
    pub body: Vec<Step>,
}

/// A step of an iteration.
#[derive(Clone, Debug)]
pub enum Step {
    /// A sequential loop over blocks.
    Loop(Loop),
    /// A computation.
    Nest(Box<Nest>),
    /// One of two computations.
    Choice(Choice),
    /// The packing of an output.
    Pack(Pack),
}

/// Steps that a truth value decides on.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The truth value, a byte.
    pub condition: Place,
    /// The steps where it holds.
    pub then: Vec<Step>,
    /// The steps where it does not.
    pub otherwise: Vec<Step>,
}

/// Elements with a byte each, put together two to a byte, low half first.
#[derive(Clone, Copy, Debug)]
pub struct Pack {
    /// The argument that holds them.
    pub from: usize,
    /// The argument that they are packed into.
    pub to: usize,
    /// How many there are.
    pub elements: u64,
}

/// A loop over blocks, the last axis fastest.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The axes and their steps.
    pub axes: Vec<(AxisId, u64)>,
    /// The part of an axis that is visited, where that is not all of it.
    pub bounds: BTreeMap<AxisId, Bounds>,
    /// The steps of one block.
    pub body: Vec<Step>,
    /// The steps where the bounds leave no block; `None` if they always leave one.
    pub none: Option<Vec<Step>>,
}

/// One reduction of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accumulator {
    /// How terms are folded.
    pub op: ReduceOp,
    /// The term.
    pub term: NodeId,
}

/// A running reduction of the nest's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLoop {
    /// The axis along which it runs; the loops over the target's other axes are around it.
    pub axis: AxisId,
    /// How terms are folded.
    pub op: ReduceOp,
    /// Terms, and totals of blocks, that are folded one after the other.
    pub block: u64,
}

/// `target[outer] = result`, where the result may contain reductions over `reduce`.
#[derive(Clone, Debug)]
pub struct Nest {
    /// The statement it comes from.
    pub name: String,
    /// The axes of the target, in loop order, without a scanned one.
    pub outer: Vec<AxisId>,
    /// The reduced axes, in loop order.
    pub reduce: Vec<AxisId>,
    /// The expressions.
    pub dag: Dag,
    /// The reductions.
    pub accumulators: Vec<Accumulator>,
    /// The value stored, or the terms of a scan.
    pub result: NodeId,
    /// Whether running values along an axis are stored. Such a nest has no reductions and no carry.
    pub scan: Option<ScanLoop>,
    /// The value before the first block, where the nest updates a carry in place: in the first block
    /// `Node::Carried` is this number, later the element that the target holds.
    pub carried: Option<Literal>,
    /// The epilogue, stored instead of the result in the last block; `Node::Result` stands for the result.
    pub last: Option<NodeId>,
    /// Other values, each stored so many bytes behind the place of the result.
    pub others: Vec<(NodeId, i64)>,
    /// Where the value goes.
    pub target: Place,
    /// The register tile.
    pub micro: Micro,
}

impl Nest {
    /// A nest for each of the values, one after the other.
    pub fn apart(&self) -> Vec<Self> {
        let all = [(self.result, 0)].into_iter().chain(self.others.iter().copied());
        let one = |(result, behind): (NodeId, i64)| {
            let mut nest = Self { result, others: vec![], ..self.clone() };
            nest.target.origin_bytes += behind;
            nest
        };
        all.map(one).collect()
    }
}
