//! One register tile: its reductions, what was held before, the result, the store.
//!
//! Invariant: a value is stored as soon as it is there, and what the target holds is loaded only then, so that besides
//! the accumulators few registers are taken.

use super::Word;
use super::nest::{Mode, NestLowering};
use super::value::Value;
use crate::machine::{Node as Expression, NodeId, Offsets};
use crate::wide::program::{Node, Op, Predicate, Scalar};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, DType};

impl NestLowering<'_> {
    /// All positions of the current register tile, the vector axis fastest.
    pub(super) fn positions(&self) -> Vec<Offsets> {
        let mut axes: Vec<(AxisId, u64)> =
            self.counts.iter().copied().filter(|entry| entry.1 > 1).collect();
        axes.sort_by_key(|entry| self.is_vector(entry.0));
        axes.iter().fold(vec![Offsets::new()], |positions, &(axis, count)| {
            let extend = |position: &Offsets, offset| {
                let mut position = position.clone();
                position.push((axis, offset));
                position
            };
            let all = positions.iter();
            all.flat_map(|position| (0..count).map(move |offset| extend(position, offset)))
                .collect()
        })
    }

    /// Computes one register tile: reductions, result, store.
    pub(super) fn tile(&mut self) -> Result<(), Unsupported> {
        if let (Some(tiling), Some(part)) = (self.tiling, self.row_part) {
            return self.tile_of_tiles(tiling, part);
        }
        let positions = self.positions();
        let saved = self.mode;
        if !self.nest.accumulators.is_empty() {
            let values = self.reductions(&positions)?;
            if self.vector_is_reduced() {
                self.mode = Mode::One;
            }
            for (accumulator, values) in values.into_iter().enumerate() {
                let accumulator = u32::try_from(accumulator).expect("a nest has few reductions");
                for (position, value) in positions.iter().zip(values) {
                    self.memo.set_accumulator(accumulator, position, Value::Lanes(value));
                }
            }
        }
        self.carried_values(&positions)?;
        let outcome = self.store_tile(&positions);
        self.mode = saved;
        outcome
    }

    /// Whether vectors run along a reduced axis.
    pub(super) fn vector_is_reduced(&self) -> bool {
        self.nest.micro.vector.is_some_and(|axis| self.nest.reduce.contains(&axis))
    }

    /// Loads what the target holds, or takes the start value in the first block.
    pub(super) fn carried_values(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        let Some(start) = self.nest.carried else { return Ok(()) };
        if !self.nest.dag.any(|node| node == Expression::Carried) {
            return Ok(());
        }
        if start.dtype == DType::Bool {
            return Err(self.refused("a carried truth value in wide vectors"));
        }
        let initial = self.literal(start.value, start.dtype);
        if self.around.always_first {
            for position in positions {
                self.memo.set_carried(position, initial);
            }
            return Ok(());
        }
        let condition = self.word(Word::First);
        if self.mode != Mode::One {
            self.held = Some(self.held_unless(condition));
            return Ok(());
        }
        let results: Vec<_> = positions.iter().map(|_| self.code.vector()).collect();
        let outer = self.code.open();
        for &to in &results {
            self.code.op(Op::Copy { to, x: initial.lanes() });
        }
        let then = self.code.close(outer);
        let outer = self.code.open();
        let target = self.places.len() - 1;
        for (position, &to) in positions.iter().zip(&results) {
            let x = self.load(target, position)?.lanes();
            self.code.op(Op::Copy { to, x });
        }
        let otherwise = self.code.close(outer);
        self.code.node(Node::If { condition, then, otherwise });
        for (position, to) in positions.iter().zip(results) {
            self.memo.set_carried(position, Value::Lanes(to));
        }
        Ok(())
    }

    /// True in all lanes, but nowhere if the condition holds: a load there reads nothing and gives zeros, so a tile's
    /// carried values need no registers before they are used.
    fn held_unless(&mut self, condition: Scalar) -> Predicate {
        let to = self.code.predicate();
        let outer = self.code.open();
        self.code.op(Op::Always { to, value: false });
        let then = self.code.close(outer);
        let outer = self.code.open();
        self.code.op(Op::Always { to, value: true });
        let otherwise = self.code.close(outer);
        self.code.node(Node::If { condition, then, otherwise });
        to
    }

    pub(super) fn store_tile(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        let Some(last) = self.nest.last else {
            return self.store_results(positions);
        };
        if self.around.always_last {
            let results = self.values(self.nest.result, positions)?;
            self.remember_results(positions, &results);
            return self.store_values(last, positions);
        }
        let results = self.values(self.nest.result, positions)?;
        self.remember_results(positions, &results);
        let condition = self.word(Word::Last);
        let outer = self.code.open();
        self.memo.enter();
        self.store_values(last, positions)?;
        self.memo.leave();
        let then = self.code.close(outer);
        let outer = self.code.open();
        for (position, &value) in positions.iter().zip(&results) {
            self.store(position, value)?;
        }
        let otherwise = self.code.close(outer);
        self.code.node(Node::If { condition, then, otherwise });
        Ok(())
    }

    fn remember_results(&mut self, positions: &[Offsets], results: &[Value]) {
        for (position, &value) in positions.iter().zip(results) {
            self.memo.set_result(position, value);
        }
    }

    fn values(&mut self, id: NodeId, positions: &[Offsets]) -> Result<Vec<Value>, Unsupported> {
        positions.iter().map(|position| self.value(id, position)).collect()
    }

    /// Stores all values of the nest.
    fn store_results(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        if self.may_halve() {
            return self.store_halved(positions);
        }
        let others = self.nest.others.iter().copied();
        for (id, behind) in [(self.nest.result, 0)].into_iter().chain(others) {
            self.behind = behind;
            self.store_values(id, positions)?;
        }
        self.behind = 0;
        Ok(())
    }

    /// Each value is stored as soon as it is there, so that few are held at a time.
    pub(super) fn store_values(
        &mut self,
        id: NodeId,
        positions: &[Offsets],
    ) -> Result<(), Unsupported> {
        if self.store_transposed(positions, |lowering, position| lowering.value(id, position))? {
            return Ok(());
        }
        if self.store_groups(positions, id)? || self.store_copies(positions, id) {
            return Ok(());
        }
        for position in positions {
            let value = self.value(id, position)?;
            self.store(position, value)?;
        }
        Ok(())
    }
}
