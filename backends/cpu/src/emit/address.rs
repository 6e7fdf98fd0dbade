//! Pointers of a nest: where each place's element is at the current loop position.
//!
//! A loop over an axis adds index times stride to the pointers of the places that vary along it; offsets inside a
//! register tile are displacements known at compile time.
//! Pointers to packed places count half bytes.
//! Invariant: a pointer in `Pointers` points at the element with every unrolled offset zero.

use super::phase::PhaseEmitter;
use crate::machine::{Base, Place};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use tilewright_ir::AxisId;

/// One pointer for each place of a nest; the last is the target's.
pub(super) type Pointers = Vec<Value>;

impl PhaseEmitter<'_, '_> {
    /// The pointers at the start of the current block.
    pub(super) fn base_pointers(&mut self, places: &[&Place]) -> Pointers {
        // Reading the scratch address anew is what keeps loads of scratch below the stores that came before this
        // nest, although they are marked as constant within it.
        let flags = MemFlagsData::new().with_notrap();
        let scratch = self.b.ins().load(types::I64, flags, self.scratch, 0);
        places.iter().map(|place| self.base_pointer(place, scratch)).collect()
    }

    fn base_pointer(&mut self, place: &Place, scratch: Value) -> Value {
        let base = match place.base {
            Base::Argument(position) => self.arguments[position],
            Base::Scratch(0) => scratch,
            Base::Scratch(offset) => {
                let offset = i64::try_from(offset).expect("scratch is smaller than memory");
                self.b.ins().iadd_imm_s(scratch, offset)
            }
        };
        // Pointers to a packed place count half bytes; the highest bit of an address is never set.
        let base = if place.packed { self.b.ins().ishl_imm_u(base, 1) } else { base };
        let mut pointer = match place.origin_bytes {
            0 => base,
            origin => self.b.ins().iadd_imm_s(base, origin),
        };
        for term in place.terms.iter().filter(|term| !term.relative) {
            if let Some(start) = self.block(term.axis).start {
                pointer =
                    self.advance(pointer, place, term.axis, start, self.block(term.axis).step);
            }
        }
        pointer
    }

    /// `pointer` moved by `index` elements along an axis; `index` is a multiple of `step`, counted from a panel
    /// boundary.
    pub(super) fn advance(
        &mut self,
        pointer: Value,
        place: &Place,
        axis: AxisId,
        index: Value,
        step: u64,
    ) -> Value {
        match place.linear_stride_bytes(axis, step) {
            Some(0) => pointer,
            Some(stride) => {
                let offset = self.b.ins().imul_imm_s(index, stride);
                self.b.ins().iadd(pointer, offset)
            }
            None => self.advance_in_panels(pointer, place, axis, index),
        }
    }

    fn advance_in_panels(
        &mut self,
        pointer: Value,
        place: &Place,
        axis: AxisId,
        index: Value,
    ) -> Value {
        let panel = place.panel_of(axis).expect("only panel axes are not linear");
        let term = *place.term(axis).expect("a panel axis has a term");
        let width = i64::try_from(panel.width).expect("a panel is narrow");
        let number = self.b.ins().udiv_imm_u(index, width);
        let whole = self.b.ins().imul_imm_s(number, width);
        let inside = self.b.ins().isub(index, whole);
        let panels = self.b.ins().imul_imm_s(number, panel.stride_bytes);
        let rest = self.b.ins().imul_imm_s(inside, term.stride_bytes);
        let pointer = self.b.ins().iadd(pointer, panels);
        self.b.ins().iadd(pointer, rest)
    }
}
