//! The reductions of a register tile: loops over the reduced axes with accumulators in registers.
//!
//! Vectors run along a target axis (each lane its own sum), or along the innermost reduced axis (lanes are partial
//! results, folded by a tree at the end). Parts of terms that do not vary along the reduced axes are computed before
//! the loops.
//! Invariant: an accumulator starts at the identity of its operation, so partial results of any blocks may be folded;
//! lanes behind the last element fold the identity.

use super::nest::{Mode, NestLowering};
use super::part::{Kind, Part, Stretch};
use super::value::{Value, lane_of};
use crate::machine::{Node, NodeId, Offsets};
use crate::wide::program::{Op, Operand, Vector};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::plan::start_value;
use tilewright_ir::{AxisId, AxisSet, BinaryOp, DType, ReduceOp};

/// Terms of a register tile that are written out instead of looped over.
const WRITTEN_OUT_MAX: u64 = 64;

/// Accumulators of a tile in a flat list: reduction-major, then position, then copy.
#[derive(Clone, Copy)]
struct Layout {
    positions: usize,
    copies: usize,
}

impl Layout {
    fn index(self, accumulator: usize, position: usize, copy: usize) -> usize {
        (accumulator * self.positions + position) * self.copies + copy
    }
}

impl NestLowering<'_> {
    /// Writes the reductions: for each reduction the value at each position (in lane 0 where vectors run along a
    /// reduced axis).
    pub(super) fn reductions(
        &mut self,
        positions: &[Offsets],
    ) -> Result<Vec<Vec<Vector>>, Unsupported> {
        let reduced_vector = self.vector_is_reduced();
        let saved = self.mode;
        if reduced_vector {
            self.mode = Mode::Whole;
        }
        let copies = match (reduced_vector, self.nest.reduce.last()) {
            (true, Some(&axis)) => self.tile_of(axis) / self.lanes,
            _ => 1,
        };
        let copies = usize::try_from(copies).expect("a register tile is small");
        let layout = Layout { positions: positions.len(), copies };
        self.dot = self.find_dot();
        let terms: Vec<NodeId> = self.nest.accumulators.iter().map(|of| of.term).collect();
        let reduce: AxisSet = self.nest.reduce.iter().copied().collect();
        self.invariants(&terms, reduce, positions)?;
        let mut states = vec![];
        for accumulator in &self.nest.accumulators {
            let dtype = self.nest.dag.dtype(accumulator.term);
            if dtype == DType::Bool {
                return Err(self.refused("a reduction of truth values in wide vectors"));
            }
            let identity = start_value(accumulator.op, dtype).value;
            for _ in 0..positions.len() * copies {
                states.push(self.start(identity, dtype));
            }
        }
        self.begin_chain(&states)?;
        self.reduce_loops(0, &states, positions, layout)?;
        self.end_chain(&states);
        self.dot = None;
        let folded = self.fold_copies(&states, layout, reduced_vector)?;
        self.mode = saved;
        Ok(folded)
    }

    /// A register that holds a number and may be assigned again.
    fn start(&mut self, value: f64, dtype: DType) -> Vector {
        let x = self.literal(value, dtype).lanes();
        let to = self.code.vector();
        self.code.op(Op::Copy { to, x });
        to
    }

    /// Computes the parts of some terms that do not vary along the axes of the loops that follow.
    fn invariants(
        &mut self,
        terms: &[NodeId],
        looped: AxisSet,
        positions: &[Offsets],
    ) -> Result<(), Unsupported> {
        for root in self.nest.dag.invariants(terms, looped) {
            for position in positions {
                self.value(root, position)?;
            }
        }
        Ok(())
    }

    fn reduce_loops(
        &mut self,
        level: usize,
        states: &[Vector],
        positions: &[Offsets],
        layout: Layout,
    ) -> Result<(), Unsupported> {
        let Some(&axis) = self.nest.reduce.get(level) else {
            return self.accumulate(None, states, positions, layout);
        };
        if self.block(axis).lengths().all(|length| length == 0) {
            return Ok(());
        }
        if self.chain.as_ref().is_some_and(|chain| chain.level == level) {
            return self.pieces(axis, states, |lowering, piece| {
                lowering.reduce_loop((level, axis), piece, states, (positions, layout))
            });
        }
        let whole = self.whole(axis);
        self.reduce_loop((level, axis), &whole, states, (positions, layout))
    }

    /// The loop over a stretch of one reduced axis.
    fn reduce_loop(
        &mut self,
        (level, axis): (usize, AxisId),
        stretch: &Stretch,
        states: &[Vector],
        (positions, layout): (&[Offsets], Layout),
    ) -> Result<(), Unsupported> {
        if level + 1 < self.nest.reduce.len() {
            let parts = self.parts(axis, stretch, 1);
            return self.cut(axis, stretch, &parts, false, |lowering, _| {
                lowering.reduce_loops(level + 1, states, positions, layout)
            });
        }
        let parts = match self.dot {
            Some(dot) => self.group_parts(dot, stretch)?,
            None => self.reduce_parts(axis, stretch, states.len()),
        };
        self.cut(axis, stretch, &parts, false, |lowering, part| {
            let saved = lowering.mode;
            if lowering.vector_is_reduced() {
                lowering.mode = lowering.mode_of(axis, stretch, part);
            }
            lowering.fetching = Some(axis).filter(|_| lowering.nest.micro.fetch > 0);
            let outcome = lowering.accumulate(Some((axis, part)), states, positions, layout);
            lowering.fetching = None;
            lowering.mode = saved;
            outcome
        })
    }

    /// The parts of the innermost reduced axis. A loop of a few steps, known now, is written out.
    fn reduce_parts(&self, axis: AxisId, stretch: &Stretch, states: usize) -> Vec<Part> {
        if self.is_vector(axis) {
            return self.parts(axis, stretch, self.tile_of(axis));
        }
        let extent = stretch.extent().filter(|extent| {
            extent.saturating_mul(states as u64) <= WRITTEN_OUT_MAX && self.nest.reduce.len() == 1
        });
        if let Some(extent) = extent {
            return self.parts(axis, stretch, extent);
        }
        let unroll = if self.rests == 0 { self.nest.micro.unroll.max(1) } else { 1 };
        self.parts(axis, stretch, unroll)
    }

    /// Folds the terms of one innermost step into the accumulators.
    fn accumulate(
        &mut self,
        step: Option<(AxisId, Part)>,
        states: &[Vector],
        positions: &[Offsets],
        layout: Layout,
    ) -> Result<(), Unsupported> {
        let count = step.map_or(1, |(_, part)| part.count);
        let is_single = step.is_none_or(|(_, part)| part.count == 1 && part.kind == Kind::Whole);
        for offset in 0..count {
            for (number, position) in positions.iter().enumerate() {
                let mut at = position.clone();
                if let Some((axis, _)) = step.filter(|_| !is_single) {
                    at.push((axis, offset));
                }
                let offset = usize::try_from(offset).expect("a register tile is small");
                let copy = offset % layout.copies;
                if let Some(dot) = self.dot {
                    let rest = step.and_then(|(_, part)| part.rest_of(offset as u64));
                    self.add_group(dot, &at, (states[layout.index(0, number, 0)], rest))?;
                    continue;
                }
                for accumulator in 0..self.nest.accumulators.len() {
                    let state = states[layout.index(accumulator, number, copy)];
                    self.accumulate_one(accumulator, &at, state)?;
                }
            }
        }
        Ok(())
    }

    fn accumulate_one(
        &mut self,
        accumulator: usize,
        at: &Offsets,
        state: Vector,
    ) -> Result<(), Unsupported> {
        let accumulator = self.nest.accumulators[accumulator];
        let (op, term) = (accumulator.op, accumulator.term);
        let dtype = self.nest.dag.dtype(term);
        let mask = if self.vector_is_reduced() { self.mask_at(at) } else { None };
        if let (ReduceOp::Sum, Node::Binary(BinaryOp::Mul, x, y), None, DType::F32 | DType::F64) =
            (op, self.nest.dag.node(term), mask, dtype)
        {
            let (x, y) = (self.value(x, at)?.lanes(), self.value(y, at)?.lanes());
            let (lane, y) = (lane_of(dtype), Operand::Vector(y));
            self.code.op(Op::MultiplyAdd { lane, to: state, x, y, z: state });
            return Ok(());
        }
        let mut value = self.value(term, at)?.lanes();
        if let Some(mask) = mask {
            let identity = self.literal(start_value(op, dtype).value, dtype).lanes();
            value = self.code.select(lane_of(dtype), mask, value, identity);
        }
        let x = self.fold(op, dtype, value, state)?;
        self.code.op(Op::Copy { to: state, x });
        Ok(())
    }

    /// Folds a term into an accumulator.
    pub(super) fn fold(
        &mut self,
        op: ReduceOp,
        dtype: DType,
        term: Vector,
        so_far: Vector,
    ) -> Result<Vector, Unsupported> {
        let Some(fold) = op.fold() else {
            return Err(self.refused(&format!("`{op}` in wide vectors")));
        };
        Ok(self.binary(fold, dtype, Value::Lanes(term), Value::Lanes(so_far))?.lanes())
    }

    fn fold_copies(
        &mut self,
        states: &[Vector],
        layout: Layout,
        reduced_vector: bool,
    ) -> Result<Vec<Vec<Vector>>, Unsupported> {
        let mut folded = Vec::with_capacity(self.nest.accumulators.len());
        for accumulator in 0..self.nest.accumulators.len() {
            let op = self.nest.accumulators[accumulator].op;
            let dtype = self.nest.dag.dtype(self.nest.accumulators[accumulator].term);
            let mut list = Vec::with_capacity(layout.positions);
            for position in 0..layout.positions {
                let slot = layout.index(accumulator, position, 0);
                let mut copies = states[slot..slot + layout.copies].to_vec();
                while copies.len() > 1 {
                    let upper = copies.split_off(copies.len().div_ceil(2));
                    for (lower, upper) in copies.iter_mut().zip(upper) {
                        *lower = self.fold(op, dtype, upper, *lower)?;
                    }
                }
                list.push(match reduced_vector {
                    true => self.fold_lanes(op, dtype, copies[0])?,
                    false => copies[0],
                });
            }
            folded.push(list);
        }
        Ok(folded)
    }

    /// Folds the lanes of a vector into lane 0, halves first.
    fn fold_lanes(
        &mut self,
        op: ReduceOp,
        dtype: DType,
        mut value: Vector,
    ) -> Result<Vector, Unsupported> {
        let mut width = self.lanes / 2;
        while width >= 1 {
            let (to, count) = (self.code.vector(), u8::try_from(width).expect("lanes are few"));
            self.code.op(Op::LanesDown { lane: lane_of(dtype), to, x: value, count });
            value = self.fold(op, dtype, to, value)?;
            width /= 2;
        }
        Ok(value)
    }
}
