//! The tile program: what a schedule makes of a pass program, and what every back end lowers.
//!
//! Sequential and deterministic in meaning; it knows no instruction. A phase is a barrier; its grid runs the body
//! once for each combination of blocks of the grid axes, independently. Inside a grid or a `for`, an axis means its
//! current block; an axis of no enclosing loop means its whole extent.
//! Invariant: after `verify`, accesses are in bounds, every output element is stored by exactly one grid iteration,
//! and buffers are written before they are read.

mod bounds;
mod canonical;
mod interp;
mod interp_tile;
mod parse;
mod parse_body;
mod parse_bounds;
mod print;
mod verify;

pub use bounds::Bounds;
pub use interp::interpret;
pub use parse::parse;
pub use print::print;
pub use verify::verify;

use crate::base::{
    AxisId, AxisSet, AxisTable, BufferId, DType, Expr, ExprRef, LocalId, StableHash, hash_text,
};
use crate::graph::Memory;
use std::collections::BTreeMap;

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An argument that is read.
    Input,
    /// An argument that is written.
    Output,
    /// Workspace seen by all groups; written in one phase, read in later ones.
    Device,
    /// Scratch of one grid iteration.
    Group,
}

/// The order of elements in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major in the order of the buffer's axes.
    Rows,
    /// Panels of `width` along `axis`: that axis is cut into panels, the panel number is outermost, the other axes
    /// follow in order, the position in the panel is innermost. With a depth, neighbours along another axis lie side by
    /// side in groups within that position, and the number of the group takes that axis's place. Padded to full panels,
    /// groups, and so many groups in a row.
    Panel {
        /// The axis that is cut.
        axis: AxisId,
        /// Elements of a panel.
        width: u64,
        /// The axis whose neighbours are grouped, and how many are.
        depth: Option<(AxisId, u64)>,
        /// The number of groups is a multiple of this.
        groups: u64,
    },
    /// Elements from one index to the next along each axis, 0 and negative ones included. Only an input has them; its
    /// memory begins at the lowest element.
    Strides(Vec<i64>),
}

/// A buffer. Along each axis it either holds the whole extent or one block of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The name, unique in the program.
    pub name: String,
    /// Where it lives.
    pub scope: Scope,
    /// The element type.
    pub dtype: DType,
    /// The axes in memory order.
    pub axes: Vec<AxisId>,
    /// Elements held along each axis: the extent, or for a group buffer the step of the enclosing loop over that
    /// axis, relative to whose current block the buffer is then indexed.
    pub spans: Vec<Span>,
    /// The order of elements.
    pub layout: Layout,
}

/// How much of an axis a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All of it; positions are absolute.
    Whole,
    /// One block of this many elements; positions are relative to the start of the current block.
    Block(u64),
}

/// A named value: a `let` (evaluated where it is used) or a carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The name, unique in the program.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The axes it varies over.
    pub axes: AxisSet,
}

/// How a back end may form the inner loops of one store, stage or yield. Never changes the meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Micro {
    /// The register tile: elements of each axis computed together. An axis that is absent has 1.
    pub tile: Vec<(AxisId, u64)>,
    /// The axis that runs along vector lanes; `None`: scalar code.
    pub vector: Option<AxisId>,
    /// The order of the loops over the result's axes, outermost first; axes that are absent follow in memory order.
    pub order: Vec<AxisId>,
    /// Copies of the innermost reduction step in one iteration.
    pub unroll: u64,
    /// Steps of the innermost loop that vectors are fetched into the caches ahead of their use. 0: not at all.
    pub fetch: u64,
    /// An axis and a step: with every vector of an argument that varies along the axis, what lies a step further is fetched
    /// into the caches. That is what the next iteration of the grid reads.
    pub ahead: Option<(AxisId, u64)>,
    /// Whether whole vectors are stored past the caches, which pays for results that do not fit them.
    pub streaming: bool,
    /// Whether the terms of a reduction are sums whose last summand is 2^7 times as large as all others together: those are added
    /// over all terms before it is, and round next to nothing.
    pub rising: bool,
    /// Terms of a reduction that are added in a row, those that add side by side counted once; then the partial result
    /// is folded into that of the block. 0: all of them.
    pub chain: u64,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// `name = expr`: a name for an expression; nothing is stored.
    Let {
        /// The name.
        local: LocalId,
        /// The value.
        expr: Expr,
    },
    /// `stage name[axes] = expr @group layout(..)`: fills a group buffer with the current block of the value.
    Stage {
        /// The buffer, declared here.
        buffer: BufferId,
        /// The value.
        expr: Expr,
        /// The inner loops.
        micro: Micro,
    },
    /// `store name[axes] = expr`: writes the current block of an output, a device buffer or a group buffer declared
    /// at the head of the phase.
    Store {
        /// The buffer.
        buffer: BufferId,
        /// The value.
        expr: Expr,
        /// The inner loops.
        micro: Micro,
    },
    /// A running reduction along an axis.
    Scan(Scan),
    /// A sequential loop over blocks.
    For(For),
}

/// `scan y = sum[j](expr) block(64)`: stores, at every index of the axis, the reduction of the expression's elements
/// up to that index. No loop around it binds the axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The buffer, which holds the whole axis.
    pub buffer: BufferId,
    /// The reduction: sum, product, max or min.
    pub op: crate::base::ReduceOp,
    /// The axis along which it runs.
    pub axis: AxisId,
    /// Terms that are folded one after the other. Sums of blocks are folded in the same way, up to as many levels as
    /// the axis needs, and a running value is the sum of its levels.
    pub block: u64,
    /// The terms.
    pub expr: Expr,
    /// The inner loops over the other axes.
    pub micro: Micro,
}

/// Where a carry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Scratch of the grid iteration.
    Group,
    /// The output, device buffer or group buffer of the head itself: same type, same axes; the first block writes,
    /// later ones accumulate.
    Out(BufferId),
}

/// A value carried from block to block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The name: inside the loop the value so far, after it the final value.
    pub local: LocalId,
    /// The axes in memory order; none of them is looped over by this `for`.
    pub axes: Vec<AxisId>,
    /// The value before the first block.
    pub start: crate::base::Literal,
    /// Where it lives.
    pub place: Place,
    /// The value after a block, in terms of carries so far.
    pub next: Expr,
    /// The inner loops of `next`.
    pub micro: Micro,
    /// The epilogue: applied to the last `next` before it is stored; the carry's own name means that value in it. Over
    /// zero blocks it is applied to the start value.
    pub last: Option<Expr>,
}

/// `for k by 256, .. carry ..`: blocks in lexicographic order, the last axis fastest. `for j in i - 4..i + 1 by 64`
/// visits the blocks that `bounds` leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct For {
    /// The axes and their steps.
    pub axes: Vec<(AxisId, u64)>,
    /// The part of an axis that is visited, where that is not all of it.
    pub bounds: BTreeMap<AxisId, Bounds>,
    /// The carried values; all `next` see the carries as they were before the block.
    pub carries: Vec<Carry>,
    /// The statements before the carries are updated.
    pub body: Vec<Stmt>,
}

impl For {
    /// Blocks of all indices of some axes, without carries.
    pub fn over(axes: Vec<(AxisId, u64)>, body: Vec<Stmt>) -> Self {
        Self { axes, bounds: BTreeMap::new(), carries: vec![], body }
    }

    /// Whether some blocks may be left out.
    pub fn is_bounded(&self) -> bool {
        self.bounds.values().any(|bounds| !bounds.is_open())
    }
}

/// The grid of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The axes and their steps, outermost first. Empty: one iteration.
    pub axes: Vec<(AxisId, u64)>,
    /// How many threads share the iterations.
    pub threads: u64,
}

/// A launch: all iterations finish before the next phase begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The name.
    pub name: String,
    /// The grid.
    pub grid: Grid,
    /// Group buffers that live for the whole iteration, declared at its head (stages declare their own).
    pub group: Vec<BufferId>,
    /// The statements.
    pub body: Vec<Stmt>,
}

/// A tile program.
#[derive(Clone, Debug, PartialEq)]
pub struct TileProgram {
    /// The kernel's name.
    pub name: String,
    /// The axes and their extents.
    pub axes: AxisTable,
    /// All buffers: inputs, outputs (both in signature order), then device and group buffers.
    pub buffers: Vec<Buffer>,
    /// All named values.
    pub locals: Vec<Local>,
    /// The schedule's choices, for the reader; they have no meaning here.
    pub choices: Vec<(String, String)>,
    /// The phases in order.
    pub phases: Vec<Phase>,
}

impl Default for Micro {
    /// Scalar code, one element at a time.
    fn default() -> Self {
        Self {
            tile: vec![],
            vector: None,
            order: vec![],
            unroll: 1,
            fetch: 0,
            ahead: None,
            streaming: false,
            rising: false,
            chain: 0,
        }
    }
}

impl Default for Grid {
    /// One iteration on one thread.
    fn default() -> Self {
        Self { axes: vec![], threads: 1 }
    }
}

impl ExprRef for TileProgram {
    fn buffer(&self, buffer: BufferId) -> (DType, AxisSet) {
        let buffer = &self.buffers[buffer.index()];
        (buffer.dtype, buffer.axes.iter().copied().collect())
    }

    fn local(&self, local: LocalId) -> (DType, AxisSet) {
        let local = &self.locals[local.index()];
        (local.dtype, local.axes)
    }
}

impl Buffer {
    /// Elements held along the axis at `position`, before padding.
    pub fn span(&self, position: usize, axes: &AxisTable) -> u64 {
        let extent = axes.extent(self.axes[position]);
        match self.spans[position] {
            Span::Whole => extent,
            Span::Block(block) => block.min(extent),
        }
    }

    /// Elements in memory, padding and the gaps between strides included.
    pub fn volume(&self, axes: &AxisTable) -> u64 {
        if let Layout::Strides(_) = self.layout {
            return self.memory(axes).map_or(u64::MAX, |memory| memory.span);
        }
        (0..self.axes.len()).fold(1, |product: u64, position| {
            let span = self.span(position, axes);
            let held = match self.layout {
                Layout::Panel { axis, width, .. } if axis == self.axes[position] => {
                    // The verifier has not refused empty panels yet.
                    span.div_ceil(width.max(1)).saturating_mul(width)
                }
                Layout::Panel { depth: Some((axis, count)), groups, .. }
                    if axis == self.axes[position] =>
                {
                    let groups = span.div_ceil(count.max(1)).checked_next_multiple_of(groups);
                    groups.unwrap_or(u64::MAX).saturating_mul(count)
                }
                Layout::Panel { .. } | Layout::Rows | Layout::Strides(_) => span,
            };
            product.saturating_mul(held)
        })
    }
}

impl Buffer {
    /// Where the elements of a strided input lie; `None` for other layouts, and if an offset overflows.
    pub fn memory(&self, axes: &AxisTable) -> Option<Memory> {
        let Layout::Strides(strides) = &self.layout else { return None };
        Memory::of(strides.clone(), self.axes.iter().map(|&axis| axes.extent(axis)))
    }
}

impl TileProgram {
    /// The hash of the canonical text.
    pub fn hash(&self) -> StableHash {
        hash_text("tile", &print(self))
    }

    /// The inputs, in signature order.
    pub fn inputs(&self) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter().filter(|buffer| buffer.scope == Scope::Input)
    }

    /// The outputs, in signature order.
    pub fn outputs(&self) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter().filter(|buffer| buffer.scope == Scope::Output)
    }
}
