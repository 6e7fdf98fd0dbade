//! The pass program: which reductions are traversed together, and what each traversal leaves behind.
//!
//! A pass computes values over its `axes`. It may stream the axes in `stream`: its states are reductions of their
//! bodies over those axes, all in one traversal, and its results are epilogues of the states. A pass without stream
//! axes is a map. A pass that scans has one state, whose value at an index of the scanned axis is the reduction of its
//! body up to that index, and stores it. Tile sizes, fusion of passes into one grid, and packing belong to the schedule.
//! The text is printed and parsed by `print` and `parse`.
//!
//! Passes that use each other's running values form a group: one traversal of the group's stream, block by block. In each
//! block its members run in order. Those that stream the group's stream fold the block into their states and leave their
//! results behind the last block; the others compute a block of their results for the members behind them.
//!
//! An axis may number the chunks of another one (`chunks`). A pass, or a group, that has it among the axes of its results
//! and traverses the other one visits the chunk of that number only.
//! Invariant: a pass reads inputs and the results of earlier passes only; every output is a result of one pass.

mod build;
mod chunk;
mod group;
mod interp;
mod parse;
mod print;
mod verify;

pub use build::build;
pub use interp::{interpret, interpret_in_blocks};
pub use parse::parse;
pub use print::print;
pub use verify::verify;

use crate::base::{
    AxisId, AxisSet, AxisTable, BufferId, DType, Expr, ExprRef, Literal, LocalId, ReduceOp,
};

/// What a buffer of a pass program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// An argument that is read.
    Input,
    /// An argument that is written.
    Output,
    /// A result that only later passes read.
    Intermediate,
}

/// A buffer: an argument or a materialised result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The name; intermediates are named by the text's `let` where there is one.
    pub name: String,
    /// What it is.
    pub kind: ValueKind,
    /// The element type.
    pub dtype: DType,
    /// The axes in memory order.
    pub axes: Vec<AxisId>,
    /// Elements from one index to the next along each axis, of an input that is not row-major.
    pub strides: Option<Vec<i64>>,
}

/// A local: a `let` or a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// A name unique in the program.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The axes it varies over.
    pub axes: AxisSet,
}

/// `let name = expr`, evaluated wherever it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Let {
    /// The name defined.
    pub local: LocalId,
    /// Its value.
    pub expr: Expr,
}

/// One carried reduction of a pass. The local's value after the stream is the reduction of `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The local that holds the reduction.
    pub local: LocalId,
    /// The reduction; a search (`argmax`, `argmin`) is rewritten before a graph is planned.
    pub op: ReduceOp,
    /// The summand, over `axes` and `stream`; contains no `Reduce` and no `Mma`.
    pub body: Expr,
    /// What the members of a group know of the state while it runs; `None` outside of groups.
    pub running: Option<Running>,
}

/// The values of a state of a group within its traversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The local that holds the state before the current block.
    pub before: LocalId,
    /// The local that holds the state with the current block folded in.
    pub after: LocalId,
    /// What the current block is folded into, over `axes`: `before`, unless older terms have to be changed.
    pub update: Expr,
}

/// What a pass leaves in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassResult {
    /// Where it is stored.
    pub buffer: BufferId,
    /// The value over `axes`, of the buffer's type.
    pub value: Expr,
}

/// One traversal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The name: that of its first result.
    pub name: String,
    /// The axes of its results, in memory order of the first result.
    pub axes: Vec<AxisId>,
    /// The axes that are traversed and reduced; empty for a map and for a scan.
    pub stream: Vec<AxisId>,
    /// The axis, one of `axes`, along which the one state runs. The one result is the state itself.
    pub scan: Option<AxisId>,
    /// Shared parts of the state bodies.
    pub body_lets: Vec<Let>,
    /// The reductions.
    pub states: Vec<State>,
    /// Shared parts of the updates of the states.
    pub update_lets: Vec<Let>,
    /// Shared parts of the results.
    pub result_lets: Vec<Let>,
    /// The results.
    pub results: Vec<PassResult>,
    /// A map that a schedule may inline into its users instead of storing it (`<pass>.store = no`).
    pub optional: bool,
    /// The group that the pass is a member of.
    pub group: Option<usize>,
}

/// An axis that numbers the chunks of another one: equally long, but for the last, which may be shorter or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The axis whose index is the number of a chunk.
    pub axis: AxisId,
    /// The axis that is cut.
    pub of: AxisId,
    /// Elements of a chunk.
    pub length: u64,
}

/// A pass program with bound sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct PassProgram {
    /// The kernel's name.
    pub name: String,
    /// Whether every operation of the text is carried out, even one that cannot matter unless something is not finite.
    pub exact: bool,
    /// The axes and their extents.
    pub axes: AxisTable,
    /// The axes that number chunks of others.
    pub chunks: Vec<Chunk>,
    /// The buffers: inputs, then outputs, in signature order, then intermediates.
    pub values: Vec<Value>,
    /// The locals of all passes.
    pub locals: Vec<Local>,
    /// The axes that each group of passes traverses together.
    pub groups: Vec<Vec<AxisId>>,
    /// The passes in an order that satisfies their reads.
    pub passes: Vec<Pass>,
}

impl ExprRef for PassProgram {
    fn buffer(&self, buffer: BufferId) -> (DType, AxisSet) {
        let value = &self.values[buffer.index()];
        (value.dtype, value.axes.iter().copied().collect())
    }

    fn local(&self, local: LocalId) -> (DType, AxisSet) {
        let local = &self.locals[local.index()];
        (local.dtype, local.axes)
    }
}

impl Pass {
    /// Every expression of the pass.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.inner_exprs().chain(self.result_exprs())
    }

    /// The expressions that are evaluated along the stream: bodies, updates and their shared parts.
    pub fn inner_exprs(&self) -> impl Iterator<Item = &Expr> {
        let lets = self.body_lets.iter().chain(&self.update_lets).map(|item| &item.expr);
        let bodies = self.states.iter().map(|state| &state.body);
        let running = self.states.iter().filter_map(|state| state.running.as_ref());
        lets.chain(bodies).chain(running.map(|running| &running.update))
    }

    /// The expressions of the results and their shared parts.
    pub fn result_exprs(&self) -> impl Iterator<Item = &Expr> {
        let lets = self.result_lets.iter().map(|item| &item.expr);
        lets.chain(self.results.iter().map(|result| &result.value))
    }
}

/// The value of a reduction over nothing in its accumulator's type: integers have no infinities.
pub fn start_value(op: ReduceOp, dtype: DType) -> Literal {
    let lowest = match dtype {
        DType::U8 | DType::Bool => 0.0,
        _ => -dtype.max_finite() - 1.0,
    };
    let value = op.identity();
    let value = if dtype.is_float() { value } else { value.clamp(lowest, dtype.max_finite()) };
    Literal { value, dtype }
}

impl PassProgram {
    /// The pass that stores a buffer.
    pub fn producer(&self, buffer: BufferId) -> Option<usize> {
        self.passes
            .iter()
            .position(|pass| pass.results.iter().any(|result| result.buffer == buffer))
    }

    /// For each buffer the pass that stores it: `producer` for whoever asks of many.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values.len()];
        for (position, pass) in self.passes.iter().enumerate().rev() {
            pass.results
                .iter()
                .for_each(|result| producers[result.buffer.index()] = Some(position));
        }
        producers
    }
}
