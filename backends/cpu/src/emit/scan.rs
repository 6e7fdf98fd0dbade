//! Scans: one running value in a register for each element of the tile, elements along the axis one after the other.
//!
//! The terms of a block are folded one by one. The totals of blocks are folded in the same way, block by block of
//! blocks, up to as many levels as the axis needs; what is stored is the fold of the levels. Vectors run along another
//! axis. Invariant: no chain of folds is longer than the scan's block.

use super::address::Pointers;
use super::nest::{NestEmitter, Part, needed_parts};
use super::phase::Extent;
use crate::machine::{Offsets, Place, ScanLoop};
use cranelift_codegen::ir::{InstBuilder, Value};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisSet, DType};

/// The running values of the levels outside of the current one, folded; none at the outermost level.
type Outside = Option<Vec<Value>>;

/// A scan while it is emitted.
struct Running<'s> {
    scan: ScanLoop,
    dtype: DType,
    positions: &'s [Offsets],
    extent: u64,
}

impl Running<'_> {
    /// Elements in one step of a level; level 0 folds single elements.
    fn step(&self, level: u32) -> u64 {
        self.scan.block.max(2).saturating_pow(level)
    }

    /// How many levels the axis needs.
    fn levels(&self) -> u32 {
        (1..64).find(|&level| self.step(level) >= self.extent).unwrap_or(64)
    }

    /// The lengths that a run of elements at level 0 may have.
    fn lengths(&self) -> Vec<u64> {
        let whole = self.step(1).min(self.extent);
        let rest = Some(self.extent % whole.max(1)).filter(|&rest| rest != 0);
        [Some(whole), rest].into_iter().flatten().collect()
    }
}

impl NestEmitter<'_, '_, '_, '_> {
    /// Computes and stores all elements along the scanned axis for one register tile.
    pub(super) fn scan_tile(
        &mut self,
        scan: ScanLoop,
        positions: &[Offsets],
    ) -> Result<(), Unsupported> {
        let extent = self.phase.axes.extent(scan.axis);
        if extent == 0 {
            return Ok(());
        }
        if self.places.iter().any(|place| place.panel_of(scan.axis).is_some()) {
            return Err(self.phase.unsupported("a scan along an axis cut into panels", self.nest));
        }
        self.invariants(&[self.nest.result], AxisSet::one(scan.axis), positions)?;
        let dtype = self.nest.dag.dtype(self.nest.result);
        let running = Running { scan, dtype, positions, extent };
        let start = self.phase.constant(0);
        self.scan_level(&running, running.levels(), start, &None).map(drop)
    }

    /// Scans the elements from `start` on, as many as a step of `level` holds; the fold of all of them.
    fn scan_level(
        &mut self,
        running: &Running<'_>,
        level: u32,
        start: Value,
        outside: &Outside,
    ) -> Result<Vec<Value>, Unsupported> {
        let identity = self.splat_literal(running.scan.op.identity(), running.dtype);
        let values = vec![identity; running.positions.len()];
        let end = self.scan_end(running, level, start);
        if level <= 1 {
            return self.scan_elements(running, (start, end), values, outside);
        }
        let open = self.phase.begin_loop(start, end, running.step(level - 1), &values);
        self.memo.enter();
        let so_far = open.carried.clone();
        let inner = self.fold_each(running, &so_far, outside)?;
        let totals = self.scan_level(running, level - 1, open.index, &Some(inner))?;
        let next = self.fold_each(running, &totals, &Some(so_far))?;
        self.memo.leave();
        Ok(self.phase.end_loop(&open, &next).1)
    }

    /// One past the last element of a step of a level that begins at `start`.
    fn scan_end(&mut self, running: &Running<'_>, level: u32, start: Value) -> Value {
        let whole = self.phase.constant(running.extent);
        if level >= running.levels() {
            return whole;
        }
        let step = self.phase.constant(running.step(level));
        let end = self.phase.b.ins().iadd(start, step);
        if running.extent.is_multiple_of(running.step(level)) {
            return end;
        }
        self.phase.b.ins().smin(end, whole)
    }

    /// `values` folded into `outside`, element by element.
    fn fold_each(
        &mut self,
        running: &Running<'_>,
        values: &[Value],
        outside: &Outside,
    ) -> Result<Vec<Value>, Unsupported> {
        let Some(outside) = outside else { return Ok(values.to_vec()) };
        let pairs = values.iter().zip(outside);
        let fold = |(&value, &outer)| self.fold(running.scan.op, running.dtype, value, outer);
        pairs.map(fold).collect()
    }

    /// The elements of one block, unrolled, then the rest one by one. Pointers are carried, so that no index is
    /// multiplied.
    fn scan_elements(
        &mut self,
        running: &Running<'_>,
        (start, end): (Value, Value),
        mut values: Vec<Value>,
        outside: &Outside,
    ) -> Result<Vec<Value>, Unsupported> {
        let axis = running.scan.axis;
        let saved = self.pointers.clone();
        let places: Vec<&Place> = self.places.clone();
        for (pointer, place) in self.pointers.iter_mut().zip(places) {
            *pointer = self.phase.advance(*pointer, place, axis, start, 1);
        }
        let unroll = if self.rests == 0 { self.nest.micro.unroll.max(1) } else { 1 };
        let part = |count| Part { step: count, count, mode: self.mode };
        let mut first = start;
        for part in needed_parts(vec![part(unroll), part(1)], &running.lengths()) {
            let last = self.part_end(Extent::Value(end), part.step);
            let bounds = (first, last);
            (first, values) = self.scan_part(running, part, bounds, values, outside)?;
        }
        self.pointers = saved;
        Ok(values)
    }

    fn scan_part(
        &mut self,
        running: &Running<'_>,
        part: Part,
        (start, end): (Value, Value),
        values: Vec<Value>,
        outside: &Outside,
    ) -> Result<(Value, Vec<Value>), Unsupported> {
        let axis = running.scan.axis;
        let count = values.len();
        let mut carried = values;
        carried.extend(&self.pointers);
        let open = self.phase.begin_loop(start, end, part.step, &carried);
        self.pointers = open.carried[count..].to_vec();
        self.indices.insert(axis, open.index);
        self.memo.enter();
        let so_far = open.carried[..count].to_vec();
        let mut next = self.scan_step(running, part.count, so_far, outside)?;
        self.memo.leave();
        self.indices.remove(&axis);
        let pointers = self.moved(running, part.step);
        next.extend(pointers);
        let (index, mut after) = self.phase.end_loop(&open, &next);
        self.pointers = after.split_off(count);
        Ok((index, after))
    }

    /// Folds and stores `count` neighbours.
    fn scan_step(
        &mut self,
        running: &Running<'_>,
        count: u64,
        mut values: Vec<Value>,
        outside: &Outside,
    ) -> Result<Vec<Value>, Unsupported> {
        for offset in 0..count {
            for (number, position) in running.positions.iter().enumerate() {
                let mut at = position.clone();
                if count > 1 {
                    at.push((running.scan.axis, offset));
                }
                let term = self.value(self.nest.result, &at)?;
                values[number] = self.fold(running.scan.op, running.dtype, term, values[number])?;
                let mut prefix = values[number];
                if let Some(outside) = outside {
                    prefix = self.fold(running.scan.op, running.dtype, prefix, outside[number])?;
                }
                self.store(&at, prefix);
            }
        }
        Ok(values)
    }

    /// The pointers `step` elements further along the scanned axis.
    fn moved(&mut self, running: &Running<'_>, step: u64) -> Pointers {
        let places: Vec<&Place> = self.places.clone();
        let offsets = places.iter().map(|place| place.offset_bytes(running.scan.axis, step));
        let offsets: Vec<i64> = offsets.collect();
        let pointers = self.pointers.clone();
        let moved = pointers.into_iter().zip(offsets);
        moved
            .map(
                |(pointer, bytes)| {
                    if bytes == 0 { pointer } else { self.add_constant(pointer, bytes) }
                },
            )
            .collect()
    }
}
