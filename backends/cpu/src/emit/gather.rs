//! Loads at computed subscripts.
//!
//! Subscripts that are the same in all lanes move the pointer once, and what is left is an ordinary load; only where a
//! subscript varies along the vector does each lane load for itself.
//! Invariant: subscripts are clamped already, so every lane of a whole vector reads inside of its buffer.

use super::lanes::Mode;
use super::nest::NestEmitter;
use crate::machine::{NodeId, Offsets, Subscripts};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use tilewright_ir::backend::Unsupported;

impl NestEmitter<'_, '_, '_, '_> {
    /// The elements of a place at computed subscripts.
    pub(super) fn gather(
        &mut self,
        position: usize,
        subscripts: Subscripts,
        at: &Offsets,
    ) -> Result<Value, Unsupported> {
        let place = self.places[position];
        let mut pointer = self.pointers[position];
        let mut varying = Vec::new();
        for (subscript, &stride) in subscripts.into_iter().flatten().zip(&place.picks) {
            let index = self.value(subscript, at)?;
            if self.varies_along_vector(subscript) {
                varying.push((index, stride));
            } else {
                pointer = self.moved_by_lane(pointer, index, 0, stride);
            }
        }
        if varying.is_empty() {
            return Ok(self.load_from(position, pointer, at));
        }
        let along = self.nest.micro.vector.and_then(|axis| place.term(axis));
        let step = along.map_or(0, |term| term.stride_bytes);
        let offset = self.displacement(position, at);
        let flags = self.load_flags(position);
        let mut places = Vec::new();
        for lane in 0..self.lanes {
            let lane = i64::try_from(lane).expect("a vector has few lanes");
            let own = varying.iter().fold(pointer, |pointer, &(index, stride)| {
                self.moved_by_lane(pointer, index, lane, stride)
            });
            places.push((own, offset + lane * step));
        }
        Ok(match place.packed {
            true => self.converter().load_each_packed(flags, &places),
            false => self.converter().load_each(place.dtype, flags, &places),
        })
    }

    fn varies_along_vector(&self, node: NodeId) -> bool {
        let axis = self.nest.micro.vector.filter(|_| self.mode == Mode::Vector);
        axis.is_some_and(|axis| self.nest.dag.axes(node).contains(axis))
    }

    /// A pointer moved by the index in one lane times a stride.
    fn moved_by_lane(&mut self, pointer: Value, index: Value, lane: i64, stride: i64) -> Value {
        let lane = u8::try_from(lane).expect("a vector has few lanes");
        let b = &mut self.phase.b;
        let index = b.ins().extractlane(index, lane);
        let index = b.ins().sextend(types::I64, index);
        let bytes = b.ins().imul_imm_s(index, stride);
        b.ins().iadd(pointer, bytes)
    }
}
