//! Loops that leave blocks out: which part of an axis a loop visits is computed where the loop begins.
//!
//! Invariant: the parts begin at the start of a block, and the loop is entered only where no part is empty.

use super::phase::PhaseEmitter;
use crate::machine::{Choice, Loop};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use std::collections::BTreeMap;
use tilewright_ir::AxisId;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Affine;
use tilewright_ir::tile::Bounds;

/// The part of an axis that a loop visits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The start of the first block.
    pub(super) start: Value,
    /// The index behind the last one that is asked for.
    pub(super) end: Value,
    /// The start of the last block.
    pub(super) last: Value,
}

/// The parts of the axes of a loop that are not visited as a whole.
pub(super) type Visited = BTreeMap<AxisId, Part>;

impl PhaseEmitter<'_, '_> {
    /// A loop over blocks, or the steps that stand for none.
    pub(super) fn visited_loop(&mut self, inner: &Loop) -> Result<(), Unsupported> {
        let mut parts = Visited::new();
        let mut some = None;
        for &(axis, step) in &inner.axes {
            let Some(bounds) = inner.bounds.get(&axis).filter(|bounds| !bounds.is_open()) else {
                continue;
            };
            let (part, is_some) = self.part(axis, step, bounds);
            parts.insert(axis, part);
            some = Some(self.both(some, is_some));
        }
        let (Some(some), Some(steps)) = (some, &inner.none) else {
            return self.block_loop(inner, &parts, 0, (None, None));
        };
        let (visit, none, after) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.ins().brif(some, visit, &[], none, &[]);
        self.b.switch_to_block(visit);
        self.block_loop(inner, &parts, 0, (None, None))?;
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(none);
        self.steps(steps)?;
        self.b.ins().jump(after, &[]);
        self.b.switch_to_block(after);
        Ok(())
    }

    /// The steps that a truth value in memory decides on.
    pub(super) fn choice(&mut self, choice: &Choice) -> Result<(), Unsupported> {
        let pointer = self.base_pointers(&[&choice.condition])[0];
        let flags = MemFlagsData::new().with_notrap();
        let holds = self.b.ins().load(types::I8, flags, pointer, 0);
        let (then, otherwise, after) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.ins().brif(holds, then, &[], otherwise, &[]);
        for (block, steps) in [(then, &choice.then), (otherwise, &choice.otherwise)] {
            self.b.switch_to_block(block);
            self.steps(steps)?;
            self.b.ins().jump(after, &[]);
        }
        self.b.switch_to_block(after);
        Ok(())
    }

    /// The part of an axis within bounds, and whether there is one.
    fn part(&mut self, axis: AxisId, step: u64, bounds: &Bounds) -> (Part, Value) {
        let mut from = self.constant(0);
        for bound in &bounds.from {
            let least = self.reach(bound, false);
            from = self.b.ins().smax(from, least);
        }
        let mut end = self.constant(self.axes.extent(axis));
        for bound in &bounds.to {
            let most = self.reach(bound, true);
            end = self.b.ins().smin(end, most);
        }
        let is_some = self.b.ins().icmp(IntCC::SignedLessThan, from, end);
        let start = self.block_start(from, step);
        let final_index = self.b.ins().iadd_imm_s(end, -1);
        let last = self.block_start(final_index, step);
        (Part { start, end, last }, is_some)
    }

    /// The start of the block in which an index lies.
    fn block_start(&mut self, index: Value, step: u64) -> Value {
        let step = i64::try_from(step.max(1)).expect("a step is an extent at most");
        let number = self.b.ins().udiv_imm_u(index, step);
        self.b.ins().imul_imm_s(number, step)
    }

    /// The least or the greatest value of a bound over the current blocks.
    fn reach(&mut self, bound: &Affine, greatest: bool) -> Value {
        let mut sum = self.b.ins().iconst(types::I64, bound.constant);
        for (&axis, &factor) in &bound.factors {
            let block = self.block(axis);
            let mut index = block.start.unwrap_or_else(|| self.constant(0));
            if greatest == (factor > 0) {
                let count = self.extent_value(block.extent);
                let behind = self.b.ins().iadd(index, count);
                index = self.b.ins().iadd_imm_s(behind, -1);
            }
            let term = self.b.ins().imul_imm_s(index, factor);
            sum = self.b.ins().iadd(sum, term);
        }
        sum
    }
}
