//! The reductions of a register tile: loops over the reduced axes with accumulators in registers.
//!
//! Vectors run along a target axis (each lane its own sum), or along the innermost reduced axis (lanes are partial
//! results, folded by a tree at the end). Parts of terms that do not vary along the reduced axes are computed before
//! the loops.
//! Invariant: an accumulator starts at the identity of its operation, so partial results of any blocks may be folded.

use super::lanes::{Mode, first_lane_mask};
use super::nest::{NestEmitter, Part, needed_parts, possible_lengths, tile_of};
use super::phase::Extent;
use crate::machine::{Node, NodeId, Offsets};
use cranelift_codegen::ir::{InstBuilder as _, Value};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::plan::start_value;
use tilewright_ir::{AxisId, AxisSet, BinaryOp, DType, ReduceOp};

/// Accumulators of a tile in a flat list: reduction-major, then position, then copy.
struct Layout {
    positions: usize,
    copies: usize,
}

impl Layout {
    fn index(&self, accumulator: usize, position: usize, copy: usize) -> usize {
        (accumulator * self.positions + position) * self.copies + copy
    }
}

impl NestEmitter<'_, '_, '_, '_> {
    /// Emits the reductions: for each reduction the value at each position (in lane 0 where vectors run along a
    /// reduced axis).
    pub(super) fn reductions(
        &mut self,
        positions: &[Offsets],
    ) -> Result<Vec<Vec<Value>>, Unsupported> {
        let reduced_vector = self.vector_is_reduced();
        let saved_mode = self.mode;
        if reduced_vector {
            self.mode = Mode::Vector;
        }
        let innermost = self.nest.reduce.last().copied();
        let copies = match (reduced_vector, innermost) {
            (true, Some(axis)) => tile_of(self.nest, axis, self.lanes) / self.lanes,
            _ => 1,
        };
        let copies = usize::try_from(copies).expect("a register tile is small");
        let layout = Layout { positions: positions.len(), copies };
        let terms: Vec<NodeId> = self.nest.accumulators.iter().map(|of| of.term).collect();
        let reduce: AxisSet = self.nest.reduce.iter().copied().collect();
        self.invariants(&terms, reduce, positions)?;
        let values = self.identities(positions, &layout);
        let values = self.reduce_loops(0, values, positions, &layout)?;
        let folded = self.fold_copies(&values, &layout, reduced_vector)?;
        self.mode = saved_mode;
        Ok(folded)
    }

    /// The values that accumulators start with.
    fn identities(&mut self, positions: &[Offsets], layout: &Layout) -> Vec<Value> {
        let mut values = Vec::new();
        for accumulator in &self.nest.accumulators {
            let dtype = self.nest.dag.dtype(accumulator.term);
            let identity = start_value(accumulator.op, dtype).value;
            let identity = self.splat_literal(identity, dtype);
            values.extend(std::iter::repeat_n(identity, positions.len() * layout.copies));
        }
        values
    }

    /// Computes the parts of some terms that do not vary along the axes of the loops that follow.
    pub(super) fn invariants(
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
        values: Vec<Value>,
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<Vec<Value>, Unsupported> {
        let Some(&axis) = self.nest.reduce.get(level) else {
            return self.accumulate(None, values, positions, layout);
        };
        if self.phase.axes.extent(axis) == 0 {
            return Ok(values);
        }
        let extent = self.phase.block(axis).extent;
        if let Some(step) = self.piece(level) {
            return self.pieces((level, axis, step), &values, positions, layout);
        }
        if level + 1 == self.nest.reduce.len() {
            return self.innermost(axis, values, positions, layout);
        }
        if matches!(extent, Extent::Known(1)) {
            return self.reduce_loops(level + 1, values, positions, layout);
        }
        let (start, end) = (self.phase.constant(0), self.phase.extent_value(extent));
        let open = self.phase.begin_loop(start, end, 1, &values);
        let carried = open.carried.clone();
        let next = self.at_index(axis, Some(open.index), 1, |emitter| {
            emitter.reduce_loops(level + 1, carried, positions, layout)
        })?;
        Ok(self.phase.end_loop(&open, &next).1)
    }

    /// The indices in a piece, if this is the reduced axis whose loop is cut.
    fn piece(&self, level: usize) -> Option<u64> {
        let longest = |axis| possible_lengths(self.phase.block(axis)).max().unwrap_or(0);
        let tile = |axis| tile_of(self.nest, axis, self.lanes);
        let side_by_side = |axis| if self.nest.micro.vector == Some(axis) { tile(axis) } else { 1 };
        let cut = self.nest.cut(longest, side_by_side)?;
        (cut.level == level).then_some(cut.step)
    }

    /// The loop over a reduced axis in pieces: accumulators start anew in each and are folded into totals behind it.
    fn pieces(
        &mut self,
        (level, axis, step): (usize, AxisId, u64),
        totals: &[Value],
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<Vec<Value>, Unsupported> {
        let extent = self.phase.block(axis).extent;
        let (start, end) = (self.phase.constant(0), self.phase.extent_value(extent));
        let open = self.phase.begin_loop(start, end, step, totals);
        let totals = open.carried.clone();
        let behind = self.add_constant(open.index, step.cast_signed());
        let behind = self.phase.b.ins().smin(behind, end);
        let identities = self.identities(positions, layout);
        let values = if level + 1 == self.nest.reduce.len() {
            self.stretch(axis, (open.index, behind), identities, positions, layout)?
        } else {
            let inner = self.phase.begin_loop(open.index, behind, 1, &identities);
            let carried = inner.carried.clone();
            let next = self.at_index(axis, Some(inner.index), 1, |emitter| {
                emitter.reduce_loops(level + 1, carried, positions, layout)
            })?;
            self.phase.end_loop(&inner, &next).1
        };
        let mut next = Vec::with_capacity(totals.len());
        for (slot, (&total, &value)) in totals.iter().zip(&values).enumerate() {
            let of = self.nest.accumulators[slot / (layout.positions * layout.copies)];
            next.push(self.fold(of.op, self.nest.dag.dtype(of.term), value, total)?);
        }
        Ok(self.phase.end_loop(&open, &next).1)
    }

    /// The innermost loop over some indices of a block.
    fn stretch(
        &mut self,
        axis: AxisId,
        (mut start, end): (Value, Value),
        mut values: Vec<Value>,
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<Vec<Value>, Unsupported> {
        for part in self.reduce_parts(axis) {
            let last = self.add_constant(end, 1 - part.step.cast_signed());
            (start, values) =
                self.innermost_part((axis, part), (start, last), values, positions, layout)?;
        }
        Ok(values)
    }

    fn innermost(
        &mut self,
        axis: AxisId,
        mut values: Vec<Value>,
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<Vec<Value>, Unsupported> {
        let block = self.phase.block(axis);
        let lengths: Vec<u64> = possible_lengths(block).collect();
        let mut start = None;
        for part in needed_parts(self.reduce_parts(axis), &lengths) {
            let single = matches!(block.extent, Extent::Known(extent) if extent == part.step);
            if single && start.is_none() {
                self.memo.enter();
                let next = self.accumulate(Some((axis, part)), values, positions, layout)?;
                self.memo.leave();
                return Ok(next);
            }
            let first = start.unwrap_or_else(|| self.phase.constant(0));
            let end = self.part_end(block.extent, part.step);
            let (index, next) =
                self.innermost_part((axis, part), (first, end), values, positions, layout)?;
            values = next;
            start = Some(index);
        }
        Ok(values)
    }

    fn reduce_parts(&self, axis: AxisId) -> Vec<Part> {
        if self.vector_is_reduced() {
            // Everywhere alike: how many terms are added in a row depends on it.
            let tile = tile_of(self.nest, axis, self.lanes);
            return vec![
                Part { step: tile, count: tile / self.lanes, mode: Mode::Vector },
                Part { step: self.lanes, count: 1, mode: Mode::Vector },
                Part { step: 1, count: 1, mode: Mode::One },
            ];
        }
        let unroll = if self.rests == 0 { self.nest.micro.unroll.max(1) } else { 1 };
        let mode = self.mode;
        vec![Part { step: unroll, count: unroll, mode }, Part { step: 1, count: 1, mode }]
    }

    /// One part of the innermost loop. Pointers that advance linearly are carried, so that no index is multiplied.
    fn innermost_part(
        &mut self,
        (axis, part): (AxisId, Part),
        (start, end): (Value, Value),
        values: Vec<Value>,
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<(Value, Vec<Value>), Unsupported> {
        let saved = self.pointers.clone();
        let moving: Vec<(usize, i64)> = (0..self.places.len() - 1)
            .filter_map(|place| {
                let stride = self.places[place].linear_stride_bytes(axis, part.step)?;
                (stride != 0).then_some((place, stride))
            })
            .collect();
        let mut carried = values;
        let count = carried.len();
        for &(place, _) in &moving {
            let places = self.places.clone();
            carried.push(self.phase.advance(saved[place], places[place], axis, start, part.step));
        }
        let open = self.phase.begin_loop(start, end, part.step, &carried);
        for (place, pointer) in
            self.places.clone().into_iter().enumerate().map(|(index, place)| (place, index))
        {
            if place.linear_stride_bytes(axis, part.step).is_none() {
                self.pointers[pointer] =
                    self.phase.advance(saved[pointer], place, axis, open.index, part.step);
            }
        }
        for (&(place, _), &pointer) in moving.iter().zip(&open.carried[count..]) {
            self.pointers[place] = pointer;
        }
        self.indices.insert(axis, open.index);
        self.memo.enter();
        let mut next =
            self.accumulate(Some((axis, part)), open.carried[..count].to_vec(), positions, layout)?;
        self.memo.leave();
        self.indices.remove(&axis);
        for &(place, stride) in &moving {
            let step = i64::try_from(part.step).expect("a step is below 2^63");
            next.push(self.add_constant(self.pointers[place], stride * step));
        }
        self.pointers = saved;
        let (index, mut after) = self.phase.end_loop(&open, &next);
        after.truncate(count);
        Ok((index, after))
    }

    /// Folds the terms of one innermost step into the accumulators.
    fn accumulate(
        &mut self,
        step: Option<(AxisId, Part)>,
        mut values: Vec<Value>,
        positions: &[Offsets],
        layout: &Layout,
    ) -> Result<Vec<Value>, Unsupported> {
        let count = step.map_or(1, |(_, part)| part.count);
        let saved_mode = self.mode;
        let masked =
            self.vector_is_reduced() && step.is_none_or(|(_, part)| part.mode == Mode::One);
        if masked {
            self.mode = Mode::One;
        } else if let Some((_, part)) = step {
            self.mode = part.mode;
        }
        for offset in 0..count {
            for (number, position) in positions.iter().enumerate() {
                let mut at = position.clone();
                if let Some((axis, _)) = step.filter(|_| count > 1) {
                    at.push((axis, offset));
                }
                let copy =
                    usize::try_from(offset).expect("a register tile is small") % layout.copies;
                for accumulator in 0..self.nest.accumulators.len() {
                    let slot = layout.index(accumulator, number, copy);
                    values[slot] = self.accumulate_one(accumulator, &at, values[slot], masked)?;
                }
            }
        }
        self.mode = saved_mode;
        Ok(values)
    }

    fn accumulate_one(
        &mut self,
        accumulator: usize,
        at: &Offsets,
        so_far: Value,
        masked: bool,
    ) -> Result<Value, Unsupported> {
        let (op, term) =
            (self.nest.accumulators[accumulator].op, self.nest.accumulators[accumulator].term);
        let dtype = self.nest.dag.dtype(term);
        if let (ReduceOp::Sum, Node::Binary(BinaryOp::Mul, x, y), true, false) =
            (op, self.nest.dag.node(term), matches!(dtype, DType::F32 | DType::F64), masked)
        {
            let (x, y) = if self.has_more_positions(x, y) { (x, y) } else { (y, x) };
            let (x, y) = (self.value(x, at)?, self.value(y, at)?);
            return Ok(self.multiply_add(x, y, so_far));
        }
        let mut value = self.value(term, at)?;
        if masked {
            let identity = self.splat_literal(start_value(op, dtype).value, dtype);
            let mask = first_lane_mask(&mut self.phase.b, dtype);
            value = self.choose_by_bits(mask, value, identity);
        }
        self.fold(op, dtype, value, so_far)
    }

    /// Whether `x` takes more values than `y` in the register tile. The first factor of a multiply-add is overwritten
    /// by it on x86-64, so the factor with the fewer uses goes first and fewer copies are made.
    fn has_more_positions(&self, x: NodeId, y: NodeId) -> bool {
        self.position_count(x) >= self.position_count(y)
    }

    fn fold_copies(
        &mut self,
        values: &[Value],
        layout: &Layout,
        reduced_vector: bool,
    ) -> Result<Vec<Vec<Value>>, Unsupported> {
        let mut folded = Vec::with_capacity(self.nest.accumulators.len());
        for accumulator in 0..self.nest.accumulators.len() {
            let (op, term) =
                (self.nest.accumulators[accumulator].op, self.nest.accumulators[accumulator].term);
            let dtype = self.nest.dag.dtype(term);
            let mut list = Vec::with_capacity(layout.positions);
            for position in 0..layout.positions {
                let slot = layout.index(accumulator, position, 0);
                let mut copies = values[slot..slot + layout.copies].to_vec();
                while copies.len() > 1 {
                    let upper = copies.split_off(copies.len().div_ceil(2));
                    for (lower, upper) in copies.iter_mut().zip(upper) {
                        *lower = self.fold(op, dtype, upper, *lower)?;
                    }
                }
                list.push(if reduced_vector {
                    self.fold_lanes(op, dtype, copies[0])?
                } else {
                    copies[0]
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
        dtype: tilewright_ir::DType,
        mut value: Value,
    ) -> Result<Value, Unsupported> {
        let mut width = self.lanes / 2;
        while width >= 1 {
            let moved = self.lanes_down(dtype, value, width);
            value = self.fold(op, dtype, moved, value)?;
            width /= 2;
        }
        Ok(value)
    }
}
