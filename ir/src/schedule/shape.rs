//! What the space asks about a pass: its extents, lanes and contractions.
//!
//! Invariant: a shape depends on the plan and the target alone, never on other choices, so domains are fixed.

use crate::base::{AxisId, AxisSet, DType, Expr, ExprRef};
use crate::lower::{Contraction, contraction};
use crate::plan::{Pass, PassProgram};
use crate::target::Target;

/// A pass as the space sees it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) axes: Vec<AxisId>,
    pub(super) stream: Vec<AxisId>,
    /// Lanes of a vector of the widest elements in the pass.
    pub(super) lanes: u64,
    pub(super) states: u64,
    /// Whether some state's rounding depends on the length of its accumulation chain.
    pub(super) rounds: bool,
}

impl Shape {
    pub(super) fn new(plan: &PassProgram, position: usize, target: &Target) -> Self {
        let pass = &plan.passes[position];
        let float = |state: &crate::plan::State| {
            let dtype = plan.locals[state.local.index()].dtype;
            dtype.is_float() && matches!(state.op.fold(), Some(crate::base::BinaryOp::Add))
        };
        Self {
            axes: pass.axes.clone(),
            stream: pass.stream.clone(),
            lanes: target.lanes(widest(plan, pass).max(1)),
            states: pass.states.len().max(1) as u64,
            rounds: pass.states.iter().any(float),
        }
    }

    /// The axes of the result, then the streamed axes.
    pub(super) fn all_axes(&self) -> impl Iterator<Item = AxisId> {
        self.axes.iter().chain(&self.stream).copied()
    }
}

/// The contractions among the states of a pass for a vector axis.
pub(super) fn contractions(
    plan: &PassProgram,
    pass: &Pass,
    vector: Option<AxisId>,
) -> Vec<Contraction> {
    let states = pass.states.iter();
    states.filter_map(|state| contraction(plan, pass, state, vector)).collect()
}

/// Bytes of the widest element in a pass and in the optional maps that it may inline.
fn widest(plan: &PassProgram, pass: &Pass) -> u64 {
    let mut bytes = 0;
    let mut passes = vec![pass];
    let mut seen = vec![];
    while let Some(pass) = passes.pop() {
        let mut note = |expr: &Expr| {
            bytes = bytes.max(own_dtype(plan, expr).map_or(0, DType::bytes));
            if let Expr::Load(buffer) = expr
                && !seen.contains(buffer)
            {
                seen.push(*buffer);
                let map = plan.producer(*buffer).map(|position| &plan.passes[position]);
                passes.extend(map.filter(|map| map.optional));
            }
        };
        pass.exprs().for_each(|expr| expr.walk(&mut note));
        for result in &pass.results {
            bytes = bytes.max(plan.buffer(result.buffer).0.bytes());
        }
    }
    bytes
}

fn own_dtype(plan: &PassProgram, expr: &Expr) -> Option<DType> {
    match expr {
        Expr::Literal(literal) => Some(literal.dtype),
        Expr::Local(local) => Some(plan.local(*local).0),
        Expr::Load(buffer) => Some(plan.buffer(*buffer).0),
        Expr::Index(_) => Some(DType::I32),
        Expr::Cast(dtype, _) => Some(*dtype),
        _ => None,
    }
}

/// The axes of a list as a set.
pub(super) fn set(axes: &[AxisId]) -> AxisSet {
    axes.iter().copied().collect()
}
