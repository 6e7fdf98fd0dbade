//! Elements at computed places, and element by element through the stage.
//!
//! The stage is a part of the stack: 64 bytes of indices, then 64 bytes of elements. Narrow elements go this way, since
//! the gather instructions read four bytes at least.
//! Invariant: edx holds the mask, rcx the index, rax a base that is on the stack.

use super::super::isa::Refusal;
use super::super::print::words;
use super::super::program::{Address, Element, Predicate, Vector};
use super::Encoder;
use super::memory::load_row;
use super::rows;
use super::writer::{Arg, Memory, Under, refusal};
use iced_x86::code_asm::{ecx, edx};
use iced_x86::{Code, Register};

/// Bytes from the stack pointer to the elements of the stage.
pub(super) const ELEMENTS: i64 = 64;

impl Encoder<'_> {
    pub(super) fn gather(
        &mut self,
        element: Element,
        to: Vector,
        at: Address,
        (index, mask): (Vector, Option<Predicate>),
    ) -> Result<(), Refusal> {
        let row = match element {
            Element::Word => &rows::GATHER_32,
            Element::Double => &rows::GATHER_64,
            Element::F16 | Element::U16 | Element::I16 | Element::U8 | Element::I8 => {
                return self.gather_lanes(element, to, at, (index, mask));
            }
        };
        let bytes = self.bytes(element.lane_bytes())?;
        let (_, index) = self.index(index)?;
        let from = Memory { index, ..self.address(at)? };
        if mask.is_some() {
            self.zero(self.vector(to))?;
        }
        let (target, from) = (self.arg(to, bytes), Arg::Memory(from));
        if self.is_avx2() {
            let mask = self.gather_mask(mask, element.bytes())?;
            return self.writer.row(row, bytes, &[target, from, mask], Under::All);
        }
        let under = Under::Keep(self.copy_mask(mask)?);
        self.writer.row(row, bytes, &[target, from], under)
    }

    pub(super) fn scatter(
        &mut self,
        element: Element,
        from: Vector,
        at: Address,
        (index, mask): (Vector, Option<Predicate>),
    ) -> Result<(), Refusal> {
        if self.is_avx2() {
            return Err(Refusal::Missing(self.isa, format!("scatter of {}", words(&element))));
        }
        let row = match element {
            Element::Word => &rows::SCATTER_32,
            Element::Double => &rows::SCATTER_64,
            Element::F16 | Element::U16 | Element::I16 | Element::U8 | Element::I8 => {
                return self.scatter_lanes(element, from, at, (index, mask));
            }
        };
        let bytes = self.bytes(element.lane_bytes())?;
        let from = Arg::Vector(self.register(from, bytes)?, bytes);
        let (_, index) = self.index(index)?;
        let to = Memory { index, ..self.address(at)? };
        let under = Under::Keep(self.copy_mask(mask)?);
        self.writer.row(row, bytes, &[Arg::Memory(to), from], under)
    }

    /// A mask that an instruction may use up.
    fn copy_mask(&mut self, mask: Option<Predicate>) -> Result<u8, Refusal> {
        let copy = self.scratch_mask();
        let (code, args) = match mask {
            Some(mask) => {
                (Code::VEX_Kmovw_kr_km16, vec![Arg::Mask(copy), Arg::Mask(self.predicate(mask))])
            }
            None => (Code::VEX_Kxnorw_kr_kr_kr, vec![Arg::Mask(copy); 3]),
        };
        self.writer.instruct(code, &args, Under::All)?;
        Ok(copy)
    }

    /// The truth values as bits of edx.
    fn mask_bits(&mut self, mask: Predicate) -> Result<(), Refusal> {
        if self.is_avx2() {
            return self.sign_bits(mask);
        }
        let args = [Arg::General(Register::EDX), Arg::Mask(self.predicate(mask))];
        self.writer.instruct(Code::VEX_Kmovw_r32_kr, &args, Under::All)
    }

    /// The indices into the stage.
    fn stage_index(&mut self, index: Vector) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let (number, _) = self.index(index)?;
        let stage = Arg::Memory(Memory::at(Register::RSP, 0));
        self.writer.row(&rows::STORE_32, bytes, &[stage, Arg::Vector(number, bytes)], Under::All)
    }

    /// rcx: the index of a lane, from the stage.
    fn lane_index(&mut self, lane: u64) -> Result<(), Refusal> {
        let stage = Memory::at(Register::RSP, 4 * lane as i64);
        let args = [Arg::General(Register::RCX), Arg::Memory(stage)];
        self.writer.instruct(Code::Movsxd_r64_rm32, &args, Under::All)
    }

    fn gather_lanes(
        &mut self,
        element: Element,
        to: Vector,
        at: Address,
        (index, mask): (Vector, Option<Predicate>),
    ) -> Result<(), Refusal> {
        self.stage_index(index)?;
        let base = self.address(at)?;
        if let Some(mask) = mask {
            self.mask_bits(mask)?;
        }
        let from = Memory { index: Register::RCX, ..base };
        for lane in 0..self.lanes {
            let mut over = self.label();
            if mask.is_some() {
                self.writer.asm.xor(ecx, ecx).map_err(refusal)?;
                self.writer.asm.bt(edx, lane as u32).map_err(refusal)?;
                self.writer.asm.jae(over).map_err(refusal)?;
            }
            self.lane_index(lane)?;
            self.load_general(element, from)?;
            self.place(&mut over)?;
            self.stage_element(element, lane)?;
        }
        self.load_stage(element, to)
    }

    /// ecx as the element of a lane, in the stage: an f16 as it is, integers widened.
    pub(super) fn stage_element(&mut self, element: Element, lane: u64) -> Result<(), Refusal> {
        let (bytes, code, register) = match element {
            Element::F16 => (2, Code::Mov_rm16_r16, Register::CX),
            _ => (4, Code::Mov_rm32_r32, Register::ECX),
        };
        let stage = Memory::at(Register::RSP, ELEMENTS + bytes * lane as i64);
        self.writer.instruct(code, &[Arg::Memory(stage), Arg::General(register)], Under::All)
    }

    /// The elements of the stage into a vector.
    pub(super) fn load_stage(&mut self, element: Element, to: Vector) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let row = load_row(if element == Element::F16 { Element::F16 } else { Element::Word });
        let stage = Arg::Memory(Memory::at(Register::RSP, ELEMENTS));
        self.writer.row(row, bytes, &[self.arg(to, bytes), stage], Under::All)
    }

    fn scatter_lanes(
        &mut self,
        element: Element,
        from: Vector,
        at: Address,
        (index, mask): (Vector, Option<Predicate>),
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        self.stage_index(index)?;
        let from = Arg::Vector(self.register(from, bytes)?, bytes);
        let stage = Memory::at(Register::RSP, ELEMENTS);
        self.store_row(element, from, stage, (bytes, Under::All))?;
        if let Some(mask) = mask {
            self.mask_bits(mask)?;
        }
        let narrow = if element.bytes() == 1 { Element::U8 } else { Element::U16 };
        for lane in 0..self.lanes {
            let mut over = self.label();
            if mask.is_some() {
                self.writer.asm.bt(edx, lane as u32).map_err(refusal)?;
                self.writer.asm.jae(over).map_err(refusal)?;
            }
            self.lane_index(lane)?;
            let to = Memory { index: Register::RCX, ..self.address(at)? };
            let place = [Arg::General(Register::RAX), Arg::Memory(to)];
            self.writer.instruct(Code::Lea_r64_m, &place, Under::All)?;
            self.load_general(narrow, stage.plus((element.bytes() * lane) as i64))?;
            self.store_general(narrow, Memory::at(Register::RAX, 0))?;
            self.place(&mut over)?;
        }
        Ok(())
    }
}
