//! What the space asks about a pass: its extents, lanes, memory order, operations and contractions.
//!
//! Invariant: a shape depends on the plan and the target alone, never on other choices, so domains are fixed.

use crate::base::{
    Affine, AxisId, AxisSet, BinaryOp, BufferId, DType, Expr, ExprRef, LocalId, UnaryOp,
};
use crate::lower::{Contraction, contraction, leaves_out, tiled};
use crate::plan::{Pass, PassProgram, PassResult, Value, ValueKind};
use crate::target::Target;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pass as the space sees it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) axes: Vec<AxisId>,
    pub(super) stream: Vec<AxisId>,
    /// The axis along which the pass scans: no loop, tile or vector runs over it.
    pub(super) scan: Option<AxisId>,
    /// The axis along which tile registers would add products, and how many at once.
    pub(super) tiled: Option<(AxisId, u64)>,
    /// Lanes of a vector of the widest elements in the pass.
    pub(super) lanes: u64,
    pub(super) states: u64,
    /// Whether some state's rounding depends on the length of its accumulation chain.
    pub(super) rounds: bool,
    /// Whether the pass begins a phase whatever it reads, because it gathers from the result of an earlier one.
    pub(super) alone: bool,
    /// Whether a mask leaves out blocks of the stream of the group that the pass is in.
    pub(super) skips: bool,
    /// What computing one element takes: by the pass itself, and by each optional map that it may inline.
    pub(super) parts: Vec<Part>,
}

/// What one pass computes for an element.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// The optional map that this stands for; `None`: the pass itself.
    pub(super) map: Option<usize>,
    /// Operations but loads: over which axes each varies, and for how many it stands.
    pub(super) operations: Arc<[(AxisSet, u64)]>,
    /// The buffers read or written.
    pub(super) touched: Arc<[Touch]>,
}

/// How a buffer lies in memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Touch {
    pub(super) axes: AxisSet,
    /// The axis along which neighbours lie side by side.
    pub(super) adjacent: Option<AxisId>,
    /// The axes along which neighbours lie anywhere, because an index computed from them says where.
    pub(super) scattered: AxisSet,
}

/// What a math function expands to, roughly, in operations; sin and cos reduce arguments of any size.
fn math_operations(op: UnaryOp) -> u64 {
    match op {
        UnaryOp::Sin | UnaryOp::Cos => 270,
        UnaryOp::Log | UnaryOp::Log2 => 75,
        UnaryOp::Erf => 48,
        _ => 24,
    }
}

/// As `math_operations`, for a power: a logarithm with more digits, and an exponential.
const POWER_OPERATIONS: u64 = 140;

/// What shapes are made of, pass by pass: passes that may inline the same maps share it.
struct Sources {
    /// The optional maps that the pass itself reads, each once.
    maps: Vec<usize>,
    /// Bytes of the widest element.
    widest: u64,
    /// Whether the pass gathers from the result of another one. Such a result is stored whole before the pass begins.
    gathers: bool,
    operations: Arc<[(AxisSet, u64)]>,
    /// What it reads.
    read: Arc<[Touch]>,
}

impl Shape {
    /// The shapes of all passes.
    pub(super) fn all(plan: &PassProgram, target: &Target) -> Vec<Self> {
        let producers = plan.producers();
        let sources: Vec<Sources> =
            plan.passes.iter().map(|pass| Sources::of(plan, pass, &producers)).collect();
        let reached: Vec<Vec<usize>> =
            (0..plan.passes.len()).map(|position| reach(&sources, position)).collect();
        let gathers =
            |position: usize| reached[position].iter().any(|&position| sources[position].gathers);
        let mut groups = vec![false; plan.groups.len()];
        for (position, pass) in plan.passes.iter().enumerate() {
            if let Some(group) = pass.group {
                groups[group] |= gathers(position);
            }
        }
        let skips: Vec<bool> =
            (0..plan.groups.len()).map(|group| leaves_out(plan, group)).collect();
        let shape = |position: usize| {
            let group = plan.passes[position].group;
            let alone = group.map_or(gathers(position), |of| groups[of]);
            let shape = Self::of(plan, &reached[position], &sources, (target, alone));
            Self { skips: group.is_some_and(|of| skips[of]), ..shape }
        };
        (0..plan.passes.len()).map(shape).collect()
    }

    /// The shape of the first of some passes, which may inline the others.
    fn of(
        plan: &PassProgram,
        positions: &[usize],
        sources: &[Sources],
        (target, alone): (&Target, bool),
    ) -> Self {
        let position = positions[0];
        let pass = &plan.passes[position];
        let float = |state: &crate::plan::State| {
            let dtype = plan.locals[state.local.index()].dtype;
            dtype.is_float() && matches!(state.op.fold(), Some(crate::base::BinaryOp::Add))
        };
        let bytes = positions.iter().map(|&position| sources[position].widest).max().unwrap_or(0);
        let part = |&of: &usize| Part {
            map: (of != position).then_some(of),
            operations: Arc::clone(&sources[of].operations),
            touched: match of == position {
                true => touched_by_results(plan, pass, &sources[of].read),
                false => Arc::clone(&sources[of].read),
            },
        };
        let tiled = pass.axes.iter().find_map(|&axis| {
            let found = contractions(plan, pass, Some(axis));
            let found = found.iter().find_map(|of| tiled(plan, pass, of, target))?;
            Some((found.depth.0, found.tiles?.1))
        });
        Self {
            axes: pass.axes.clone(),
            stream: pass.stream.clone(),
            scan: pass.scan,
            tiled,
            lanes: target.lanes(bytes.max(1)),
            states: pass.states.len().max(1) as u64,
            rounds: pass.states.iter().any(float),
            alone,
            skips: false,
            parts: positions.iter().map(part).collect(),
        }
    }

    /// The axes worth vectorising: those along which some buffer is contiguous, or any longer than one element where
    /// no buffer is.
    pub(super) fn vector_axes(&self, plan: &PassProgram) -> Vec<AxisId> {
        let long: Vec<AxisId> =
            self.free_axes().filter(|&axis| plan.axes.extent(axis) > 1).collect();
        let adjacent = |axis: &AxisId| {
            let mut touched = self.parts.iter().flat_map(|part| part.touched.iter());
            touched.any(|of| of.adjacent == Some(*axis))
        };
        let found: Vec<AxisId> = long.iter().copied().filter(adjacent).collect();
        if found.is_empty() { long } else { found }
    }

    /// Whether the pass goes along an axis with a running value.
    pub(super) fn is_traversal(&self) -> bool {
        self.scan.is_some() || !self.stream.is_empty()
    }

    /// The axes that loops, tiles and vectors may run over.
    pub(super) fn free_axes(&self) -> impl Iterator<Item = AxisId> {
        self.all_axes().filter(|&axis| self.scan != Some(axis))
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

/// Whether a value of a pass's body is made of the kernel's inputs alone.
pub(super) fn is_given(plan: &PassProgram, pass: &Pass, expr: &Expr) -> bool {
    let mut given = true;
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        expr.walk(&mut |part: &Expr| {
            if let Some(buffer) = part.read_buffer() {
                given &= plan.values[buffer.index()].kind == ValueKind::Input;
            }
            if let Expr::Local(local) = part {
                let made = pass.body_lets.iter().find(|item| item.local == *local);
                given &= made.is_some();
                todo.extend(made.map(|item| &item.expr));
            }
        });
    }
    given
}

/// Whether a pass stores an output of the kernel.
pub(super) fn stores_output(plan: &PassProgram, pass: &Pass) -> bool {
    let kind = |result: &PassResult| plan.values[result.buffer.index()].kind;
    pass.results.iter().any(|result| kind(result) == ValueKind::Output)
}

/// A pass, and the optional maps that it may inline.
fn reach(sources: &[Sources], position: usize) -> Vec<usize> {
    let mut found = vec![position];
    let mut seen = vec![false; sources.len()];
    seen[position] = true;
    let mut next = 0;
    while let Some(&position) = found.get(next) {
        let maps = sources[position].maps.iter().copied();
        found.extend(maps.filter(|&map| !std::mem::replace(&mut seen[map], true)));
        next += 1;
    }
    found
}

impl Sources {
    fn of(plan: &PassProgram, pass: &Pass, producers: &[Option<usize>]) -> Self {
        let (mut maps, mut gathers) = (vec![], false);
        let mut note = |expr: &Expr| {
            let producer = expr.read_buffer().and_then(|buffer| producers[buffer.index()]);
            let map = producer.filter(|&producer| plan.passes[producer].optional);
            maps.extend(map.filter(|map| !maps.contains(map)));
            gathers |= matches!(expr, Expr::At(..)) && producer.is_some();
        };
        pass.exprs().for_each(|expr| expr.walk(&mut note));
        Self {
            maps,
            widest: widest(plan, pass),
            gathers,
            operations: operations(plan, pass).into(),
            read: read(plan, pass).into(),
        }
    }
}

/// How a whole buffer lies in memory.
fn touch(plan: &PassProgram, buffer: BufferId) -> Touch {
    let Value { axes, strides, .. } = &plan.values[buffer.index()];
    let long = |&axis: &AxisId| plan.axes.extent(axis) > 1;
    let adjacent = match strides {
        None => axes.iter().rev().copied().find(long),
        Some(strides) => {
            let mut steps = axes.iter().copied().zip(strides);
            steps.find(|(axis, stride)| long(axis) && **stride == 1).map(|(axis, _)| axis)
        }
    };
    Touch { axes: set(axes), adjacent, scattered: AxisSet::EMPTY }
}

/// What a pass reads: loads, then gathers.
fn read(plan: &PassProgram, pass: &Pass) -> Vec<Touch> {
    let (mut loaded, mut gathered) = (vec![], vec![]);
    let mut note = |expr: &Expr| match expr {
        Expr::Load(buffer) if !loaded.contains(buffer) => loaded.push(*buffer),
        Expr::At(..) if !gathered.contains(expr) => gathered.push(expr.clone()),
        _ => {}
    };
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    let gathered = gathered.iter().map(|expr| touched_at(plan, pass, expr));
    loaded.into_iter().map(|buffer| touch(plan, buffer)).chain(gathered).collect()
}

/// What a pass touches: what it reads, and its results.
fn touched_by_results(plan: &PassProgram, pass: &Pass, read: &[Touch]) -> Arc<[Touch]> {
    let written = pass.results.iter().map(|result| touch(plan, result.buffer));
    read.iter().cloned().chain(written).collect()
}

/// What a gather touches. Along an axis of a computed index its elements lie anywhere; along the others a stride says
/// whether neighbours lie side by side.
pub(super) fn touched_at(plan: &PassProgram, pass: &Pass, expr: &Expr) -> Touch {
    let Expr::At(buffer, picks) = expr else {
        return Touch { axes: expr.axes(plan), adjacent: None, scattered: AxisSet::EMPTY };
    };
    let lets = |local: LocalId| {
        let mut lets = pass.body_lets.iter().chain(&pass.result_lets);
        lets.find(|item| item.local == local).map(|item| &item.expr)
    };
    let mut strides: BTreeMap<AxisId, i64> = BTreeMap::new();
    let mut scattered = AxisSet::EMPTY;
    for (axis, stride) in element_strides(plan, &plan.values[buffer.index()]) {
        match picks.iter().find(|pick| pick.0 == axis) {
            None => add_stride(&mut strides, axis, stride),
            Some((_, index)) => match Affine::of(index, &plan.axes, &lets) {
                Some(found) if found.is_inside(axis, &plan.axes) => {
                    for (&axis, factor) in &found.factors {
                        add_stride(&mut strides, axis, stride.saturating_mul(*factor));
                    }
                }
                _ => scattered |= index.axes(plan),
            },
        }
    }
    let side_by_side = |&(&axis, &stride): &(&AxisId, &i64)| {
        stride == 1 && !scattered.contains(axis) && plan.axes.extent(axis) > 1
    };
    let adjacent = strides.iter().find(side_by_side).map(|(&axis, _)| axis);
    Touch { axes: expr.axes(plan), adjacent, scattered }
}

fn add_stride(strides: &mut BTreeMap<AxisId, i64>, axis: AxisId, stride: i64) {
    let own = strides.entry(axis).or_insert(0);
    *own = own.saturating_add(stride);
}

/// The axes of a buffer with the distance of neighbours along each, in elements.
fn element_strides(plan: &PassProgram, value: &Value) -> Vec<(AxisId, i64)> {
    if let Some(strides) = &value.strides {
        return value.axes.iter().copied().zip(strides.iter().copied()).collect();
    }
    let mut stride = 1_i64;
    let mut steps: Vec<(AxisId, i64)> = vec![];
    for &axis in value.axes.iter().rev() {
        steps.push((axis, stride));
        stride = stride.saturating_mul(i64::try_from(plan.axes.extent(axis)).unwrap_or(i64::MAX));
    }
    steps
}

fn operations(plan: &PassProgram, pass: &Pass) -> Vec<(AxisSet, u64)> {
    let mut found: Vec<_> = pass.states.iter().map(|state| (state.body.axes(plan), 1)).collect();
    let mut note = |expr: &Expr| {
        let count = match expr {
            Expr::Unary(op, _) if op.is_rounded() => math_operations(*op),
            Expr::Binary(BinaryOp::Pow, ..) => POWER_OPERATIONS,
            Expr::Unary(..) | Expr::Binary(..) | Expr::Compare(..) | Expr::Select(..) => 1,
            _ => return,
        };
        found.push((expr.axes(plan), count));
    };
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    found
}

/// Bytes of the widest element in a pass.
fn widest(plan: &PassProgram, pass: &Pass) -> u64 {
    let mut bytes = 0;
    let mut note = |expr: &Expr| bytes = bytes.max(own_dtype(plan, expr).map_or(0, DType::bytes));
    pass.exprs().for_each(|expr| expr.walk(&mut note));
    let results = pass.results.iter().map(|result| plan.buffer(result.buffer).0.bytes());
    results.fold(bytes, u64::max)
}

fn own_dtype(plan: &PassProgram, expr: &Expr) -> Option<DType> {
    match expr {
        Expr::Literal(literal) => Some(literal.dtype),
        Expr::Local(local) => Some(plan.local(*local).0),
        Expr::Load(buffer) | Expr::At(buffer, _) => Some(plan.buffer(*buffer).0),
        Expr::Index(_) => Some(DType::I32),
        Expr::Cast(dtype, _) | Expr::Wrap(dtype, _) => Some(*dtype),
        _ => None,
    }
}

/// The axes of a list as a set.
pub(super) fn set(axes: &[AxisId]) -> AxisSet {
    axes.iter().copied().collect()
}
