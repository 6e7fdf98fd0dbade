//! The loops of one nest: main parts in register tiles, the rest in smaller ones.
//!
//! Each axis of the target is cut into parts: whole register tiles first, then what is left, one vector and at last
//! one element at a time. Inside the innermost part stand the reductions, and inside them the expression.
//! Invariant: every element of the target's block is computed exactly once.

use super::address::Pointers;
use super::lanes::{Mode, vector_type};
use super::phase::{Block, Extent, Flag, PhaseEmitter, block_arguments};
use crate::machine::{Memo, Nest, NodeId, Offsets, Place};
use cranelift_codegen::ir::{InstBuilder, Value};
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, DType};

/// Register tiles larger than this are a mistake of the schedule, not a wish.
pub(super) const TILE_VECTORS_MAX: u64 = 64;

/// One part of an axis: indices advance by `step`, `count` unrolled positions each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) step: u64,
    pub(super) count: u64,
    pub(super) mode: Mode,
}

/// The state of emitting one nest.
pub(super) struct NestEmitter<'e, 'f, 'p, 'n> {
    pub(super) phase: &'e mut PhaseEmitter<'f, 'p>,
    pub(super) nest: &'n Nest,
    /// Lanes of every vector of this nest.
    pub(super) lanes: u64,
    /// Whether vectors run along the vector axis at the moment.
    pub(super) mode: Mode,
    /// The places read, then the target.
    pub(super) places: Vec<&'n Place>,
    pub(super) pointers: Pointers,
    /// The index of each looped axis inside the current block; an absent axis is at 0.
    pub(super) indices: BTreeMap<AxisId, Value>,
    pub(super) memo: Memo<Value>,
    /// Unrolled positions along each target axis in the current part.
    counts: Vec<(AxisId, u64)>,
    /// How many target axes are in a part behind their first one. Such code covers a rest, so it is kept short.
    pub(super) rests: usize,
}

/// Emits a nest at the current position.
pub(super) fn emit(phase: &mut PhaseEmitter<'_, '_>, nest: &Nest) -> Result<(), Unsupported> {
    if nest.outer.iter().any(|&axis| phase.axes.extent(axis) == 0) {
        return Ok(());
    }
    let lanes = lanes_of(nest);
    check_panels(phase, nest, lanes)?;
    let places: Vec<&Place> = nest.dag.places.iter().chain([&nest.target]).collect();
    let pointers = phase.base_pointers(&places);
    let mut emitter = NestEmitter {
        phase,
        nest,
        lanes,
        mode: Mode::One,
        places,
        pointers,
        indices: BTreeMap::new(),
        memo: Memo::default(),
        counts: Vec::new(),
        rests: 0,
    };
    emitter.memo.enter();
    emitter.outer_loops(0)
}

fn lanes_of(nest: &Nest) -> u64 {
    let dtypes: Vec<DType> = nest.dag.dtypes().chain([nest.target.dtype]).collect();
    // Two lanes where something else of the pass has only two: a panel as wide as those is not cut by a vector.
    let mut places = nest.dag.places.iter().chain([&nest.target]);
    let narrow = places.any(|place| {
        let width = nest.micro.vector.and_then(|axis| place.panel_of(axis));
        width.is_some_and(|panel| panel.width % 4 == 2)
    });
    if narrow || dtypes.contains(&DType::F64) { 2 } else { 4 }
}

/// Panels must line up with register tiles, so that offsets inside a tile are known now.
fn check_panels(phase: &PhaseEmitter<'_, '_>, nest: &Nest, lanes: u64) -> Result<(), Unsupported> {
    let places = nest.dag.places.iter().chain([&nest.target]);
    for (place, panel) in places.flat_map(|of| of.panels.iter().map(move |panel| (of, panel))) {
        let tile = tile_of(nest, panel.axis, lanes);
        let block = phase.block(panel.axis);
        let absolute = place.term(panel.axis).is_some_and(|term| !term.relative);
        let misplaced =
            absolute && block.start.is_some() && !block.step.is_multiple_of(panel.width);
        let split = !tile.is_multiple_of(panel.width) && !panel.width.is_multiple_of(tile);
        if misplaced || split {
            let what = format!("panels of {} under a register tile of {tile}", panel.width);
            return Err(phase.unsupported(what, nest));
        }
        if nest.micro.vector == Some(panel.axis) && !panel.width.is_multiple_of(lanes) {
            let what = format!("panels of {} under vectors of {lanes}", panel.width);
            return Err(phase.unsupported(what, nest));
        }
    }
    let vectors = tile_vectors(nest);
    if vectors > TILE_VECTORS_MAX {
        return Err(phase.unsupported(format!("a register tile of {vectors} vectors"), nest));
    }
    Ok(())
}

/// Vectors of a nest's register tile.
pub(super) fn tile_vectors(nest: &Nest) -> u64 {
    let lanes = lanes_of(nest);
    let axes = nest.outer.iter().chain(&nest.reduce);
    let vectors = axes.map(|&axis| {
        tile_of(nest, axis, lanes) / if nest.micro.vector == Some(axis) { lanes } else { 1 }
    });
    vectors.product()
}

/// The register tile along an axis; along the vector axis a whole number of vectors.
pub(super) fn tile_of(nest: &Nest, axis: AxisId, lanes: u64) -> u64 {
    let tile =
        nest.micro.tile.iter().find(|entry| entry.0 == axis).map_or(1, |entry| entry.1).max(1);
    if nest.micro.vector == Some(axis) { tile.next_multiple_of(lanes) } else { tile }
}

/// The lengths that a block of this axis may have.
pub(super) fn possible_lengths(block: Block) -> impl Iterator<Item = u64> {
    let full = match block.extent {
        Extent::Known(extent) => extent,
        Extent::Value(_) => block.step,
    };
    [Some(full), block.ragged].into_iter().flatten()
}

/// Drops the parts that no block length needs. Steps fall from part to part.
pub(super) fn needed_parts(mut parts: Vec<Part>, lengths: &[u64]) -> Vec<Part> {
    parts.dedup_by_key(|part| part.step);
    let mut bound = u64::MAX;
    parts.retain(|part| {
        let needed = lengths.iter().any(|length| length % bound >= part.step);
        bound = part.step;
        needed
    });
    parts
}

impl NestEmitter<'_, '_, '_, '_> {
    fn outer_loops(&mut self, level: usize) -> Result<(), Unsupported> {
        let Some(&axis) = self.nest.outer.get(level) else {
            return self.tile();
        };
        let parts = self.parts(axis);
        let block = self.phase.block(axis);
        let mut start = None;
        for (position, part) in parts.into_iter().enumerate() {
            self.rests += usize::from(position > 0);
            start = self.outer_part(level, axis, block, part, start)?;
            self.rests -= usize::from(position > 0);
        }
        Ok(())
    }

    /// The parts of a target axis: whole tiles, then what no tile covers. Parts that no block length needs are left
    /// out.
    fn parts(&self, axis: AxisId) -> Vec<Part> {
        let is_vector = self.nest.micro.vector == Some(axis);
        let mode = if is_vector { Mode::Vector } else { self.mode };
        let tile = tile_of(self.nest, axis, self.lanes);
        let count = if is_vector { tile / self.lanes } else { tile };
        let lengths: Vec<u64> = possible_lengths(self.phase.block(axis)).collect();
        let mut parts = vec![Part { step: tile, count, mode }];
        if is_vector {
            parts.push(Part { step: self.lanes, count: 1, mode });
            parts.push(Part { step: 1, count: 1, mode: Mode::One });
        } else {
            let rests: Vec<u64> =
                lengths.iter().map(|length| length % tile).filter(|&rest| rest != 0).collect();
            match rests.first() {
                // One rest for all blocks: computed as one smaller tile.
                Some(&rest) if rests.iter().all(|&other| other == rest) => {
                    parts.push(Part { step: rest, count: rest, mode });
                }
                Some(_) | None => parts.push(Part { step: 1, count: 1, mode }),
            }
        }
        needed_parts(parts, &lengths)
    }

    /// Emits one part of an axis from index `start` on; returns where it ended.
    fn outer_part(
        &mut self,
        level: usize,
        axis: AxisId,
        block: Block,
        part: Part,
        start: Option<Value>,
    ) -> Result<Option<Value>, Unsupported> {
        let saved_mode = std::mem::replace(&mut self.mode, part.mode);
        self.counts.push((axis, part.count));
        let outcome = match block.extent {
            Extent::Known(extent) if start.is_none() && extent == part.step => self
                .at_index(axis, None, part.step, |emitter| emitter.outer_loops(level + 1))
                .map(|()| None),
            Extent::Known(_) | Extent::Value(_) => {
                self.looped_part(level, axis, block, part, start)
            }
        };
        self.counts.pop();
        self.mode = saved_mode;
        outcome
    }

    fn looped_part(
        &mut self,
        level: usize,
        axis: AxisId,
        block: Block,
        part: Part,
        start: Option<Value>,
    ) -> Result<Option<Value>, Unsupported> {
        let start = start.unwrap_or_else(|| self.phase.constant(0));
        let end = self.part_end(block.extent, part.step);
        let open = self.phase.begin_loop(start, end, part.step, &[]);
        self.memo.enter();
        self.at_index(axis, Some(open.index), part.step, |emitter| emitter.outer_loops(level + 1))?;
        self.memo.leave();
        let (index, _) = self.phase.end_loop(&open, &[]);
        Ok(Some(index))
    }

    /// One past the last index at which a whole step still fits.
    pub(super) fn part_end(&mut self, extent: Extent, step: u64) -> Value {
        match extent {
            Extent::Known(extent) => self.phase.constant((extent + 1).saturating_sub(step)),
            Extent::Value(value) if step == 1 => value,
            Extent::Value(value) => {
                let step = i64::try_from(step).expect("a step is below 2^63");
                self.phase.b.ins().iadd_imm_s(value, 1 - step)
            }
        }
    }

    /// Runs `inner` with an axis at an index of the current block (`None`: 0).
    pub(super) fn at_index<T>(
        &mut self,
        axis: AxisId,
        index: Option<Value>,
        step: u64,
        inner: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(index) = index else {
            self.memo.enter();
            let result = inner(self);
            self.memo.leave();
            return result;
        };
        let saved = self.pointers.clone();
        self.move_pointers(axis, index, step);
        self.indices.insert(axis, index);
        self.memo.enter();
        let result = inner(self);
        self.memo.leave();
        self.indices.remove(&axis);
        self.pointers = saved;
        result
    }

    fn move_pointers(&mut self, axis: AxisId, index: Value, step: u64) {
        for position in 0..self.places.len() {
            let place = self.places[position];
            self.pointers[position] =
                self.phase.advance(self.pointers[position], place, axis, index, step);
        }
    }

    /// All positions of the current register tile, the vector axis fastest.
    fn positions(&self) -> Vec<Offsets> {
        let mut axes: Vec<(AxisId, u64)> =
            self.counts.iter().copied().filter(|entry| entry.1 > 1).collect();
        axes.sort_by_key(|entry| self.nest.micro.vector == Some(entry.0));
        axes.iter().fold(vec![Offsets::new()], |positions, &(axis, count)| {
            let extend = |position: &Offsets, offset| {
                let mut position = position.clone();
                position.push((axis, offset));
                position
            };
            positions
                .iter()
                .flat_map(|position| (0..count).map(move |offset| extend(position, offset)))
                .collect()
        })
    }

    /// How many values a node takes in the current register tile.
    pub(super) fn position_count(&self, node: NodeId) -> u64 {
        let axes = self.nest.dag.axes(node);
        self.counts.iter().filter(|entry| axes.contains(entry.0)).map(|entry| entry.1).product()
    }

    /// Computes one register tile: a scan, or reductions, result, store.
    fn tile(&mut self) -> Result<(), Unsupported> {
        let positions = self.positions();
        if let Some(scan) = self.nest.scan {
            return self.scan_tile(scan, &positions);
        }
        let saved_mode = self.mode;
        if !self.nest.accumulators.is_empty() {
            let values = self.reductions(&positions)?;
            if self.vector_is_reduced() {
                self.mode = Mode::One;
            }
            for (accumulator, values) in values.into_iter().enumerate() {
                let accumulator = u32::try_from(accumulator).expect("a nest has few reductions");
                for (position, value) in positions.iter().zip(values) {
                    self.memo.set_accumulator(accumulator, position, value);
                }
            }
        }
        self.carried_values(&positions)?;
        let outcome = self.store_tile(&positions);
        self.mode = saved_mode;
        outcome
    }

    /// Whether vectors run along a reduced axis.
    pub(super) fn vector_is_reduced(&self) -> bool {
        self.nest.micro.vector.is_some_and(|axis| self.nest.reduce.contains(&axis))
    }

    /// Loads what the target holds, or takes the start value in the first block.
    fn carried_values(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        let Some(start) = self.nest.carried else { return Ok(()) };
        if !self.nest.dag.any(|node| node == crate::machine::Node::Carried) {
            return Ok(());
        }
        let values = match self.phase.first {
            Flag::Always => {
                let start = self.splat_literal(start.value, start.dtype);
                vec![start; positions.len()]
            }
            Flag::Value(first) => {
                self.carried_by_branch(first, (start.value, start.dtype), positions)?
            }
        };
        for (position, value) in positions.iter().zip(values) {
            self.memo.set_carried(position, value);
        }
        Ok(())
    }

    fn carried_by_branch(
        &mut self,
        first: Value,
        (start, dtype): (f64, DType),
        positions: &[Offsets],
    ) -> Result<Vec<Value>, Unsupported> {
        let (begin, go_on, after) =
            (self.phase.b.create_block(), self.phase.b.create_block(), self.phase.b.create_block());
        let ty = vector_type(dtype);
        for _ in positions {
            self.phase.b.append_block_param(after, ty);
        }
        self.phase.b.ins().brif(first, begin, &[], go_on, &[]);
        self.phase.b.switch_to_block(begin);
        let start = self.splat_literal(start, dtype);
        let arguments = block_arguments(start, &vec![start; positions.len() - 1]);
        self.phase.b.ins().jump(after, &arguments);
        self.phase.b.switch_to_block(go_on);
        let target = self.places.len() - 1;
        let mut values = Vec::with_capacity(positions.len());
        for position in positions {
            values.push(self.load(target, position));
        }
        let arguments = block_arguments(values[0], &values[1..]);
        self.phase.b.ins().jump(after, &arguments);
        self.phase.b.switch_to_block(after);
        Ok(self.phase.b.block_params(after).to_vec())
    }

    fn store_tile(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        let mut results = Vec::with_capacity(positions.len());
        for position in positions {
            results.push(self.value(self.nest.result, position)?);
        }
        let Some(last) = self.nest.last else {
            return self.store_all(positions, &results);
        };
        for (position, &value) in positions.iter().zip(&results) {
            self.memo.set_result(position, value);
        }
        match self.phase.last {
            Flag::Always => self.store_epilogue(last, positions),
            Flag::Value(is_last) => self.store_by_branch(is_last, last, positions, &results),
        }
    }

    fn store_by_branch(
        &mut self,
        is_last: Value,
        last: NodeId,
        positions: &[Offsets],
        results: &[Value],
    ) -> Result<(), Unsupported> {
        let (finish, go_on, after) =
            (self.phase.b.create_block(), self.phase.b.create_block(), self.phase.b.create_block());
        self.phase.b.ins().brif(is_last, finish, &[], go_on, &[]);
        self.phase.b.switch_to_block(finish);
        self.memo.enter();
        self.store_epilogue(last, positions)?;
        self.memo.leave();
        self.phase.b.ins().jump(after, &[]);
        self.phase.b.switch_to_block(go_on);
        self.store_all(positions, results)?;
        self.phase.b.ins().jump(after, &[]);
        self.phase.b.switch_to_block(after);
        Ok(())
    }

    fn store_epilogue(&mut self, last: NodeId, positions: &[Offsets]) -> Result<(), Unsupported> {
        let mut values = Vec::with_capacity(positions.len());
        for position in positions {
            values.push(self.value(last, position)?);
        }
        self.store_all(positions, &values)
    }

    fn store_all(&mut self, positions: &[Offsets], values: &[Value]) -> Result<(), Unsupported> {
        for (position, &value) in positions.iter().zip(values) {
            self.store(position, value);
        }
        Ok(())
    }
}
