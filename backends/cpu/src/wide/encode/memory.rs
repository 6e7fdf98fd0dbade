//! Loads and stores.
//!
//! Invariant: no byte outside of the elements that a span names is read or written. AVX-512 masks suppress faults;
//! where an instruction would take more, `lanes` goes element by element.

use super::super::isa::{Isa, Refusal};
use super::super::print::words;
use super::super::program::{Address, Element, Predicate, Span, Vector};
use super::Encoder;
use super::rows::{self, Row};
use super::vectors::{broadcast_row, splat_row};
use super::writer::{Arg, Memory, Under, refusal};
use iced_x86::code_asm::{byte_ptr, get_gpr64};
use iced_x86::{Code, Register};

impl Encoder<'_> {
    pub(super) fn load(
        &mut self,
        element: Element,
        to: Vector,
        at: Address,
        span: Span,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(element.lane_bytes())?;
        let from = self.address(at)?;
        match span {
            Span::Whole => {
                let args = [self.arg(to, bytes), Arg::Memory(from)];
                self.writer.row(load_row(element), bytes, &args, Under::All)
            }
            Span::Where(mask) => self.load_where(element, to, from, mask),
            Span::Splat => self.load_splat(element, self.vector(to), from, bytes),
            Span::First => self.load_first(element, self.vector(to), from),
        }
    }

    /// A byte in each pair of lanes; its high half moves up into the upper lane, then signs come from the left.
    pub(super) fn nibbles(
        &mut self,
        to: Vector,
        at: Address,
        bytes_read: Option<Predicate>,
    ) -> Result<(), Refusal> {
        let under = match bytes_read {
            Some(_) if self.isa == Isa::Avx2 => {
                return Err(Refusal::Missing(self.isa, "nibbles under a predicate".to_string()));
            }
            Some(mask) => Under::Zero(self.predicate(mask)),
            None => Under::All,
        };
        let bytes = self.bytes(4)?;
        let (to, upper) = (self.arg(to, bytes), Arg::Vector(self.scratch(), bytes));
        let (from, shift) = (Arg::Memory(self.address(at)?), Arg::Byte(28));
        self.writer.row(&rows::LOAD_U8_64, bytes, &[to, from], under)?;
        self.writer.row(&rows::LEFT_64, bytes, &[upper, to, shift], Under::All)?;
        self.writer.row(&rows::OR_32, bytes, &[to, to, upper], Under::All)?;
        self.writer.row(&rows::LEFT_32, bytes, &[to, to, shift], Under::All)?;
        self.writer.row(&rows::RIGHT_ARITHMETIC_32, bytes, &[to, to, shift], Under::All)
    }

    fn load_where(
        &mut self,
        element: Element,
        to: Vector,
        from: Memory,
        mask: Predicate,
    ) -> Result<(), Refusal> {
        if self.isa == Isa::Avx2 {
            return self.load_where_vector(element, to, from, mask);
        }
        let bytes = self.bytes(element.lane_bytes())?;
        let args = [self.arg(to, bytes), Arg::Memory(from)];
        self.writer.row(load_row(element), bytes, &args, Under::Zero(self.predicate(mask)))
    }

    fn load_splat(
        &mut self,
        element: Element,
        to: u8,
        from: Memory,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let target = Arg::Vector(to, bytes);
        match element {
            Element::Word | Element::Double => {
                let row = broadcast_row(element.bytes());
                self.writer.row(row, bytes, &[target, Arg::Memory(from)], Under::All)
            }
            Element::F16 => {
                let half = Arg::Vector(to, bytes / 2);
                let row = &rows::BROADCAST_16;
                self.writer.row(
                    row,
                    (bytes / 2).max(16),
                    &[half, Arg::Memory(from)],
                    Under::All,
                )?;
                self.writer.row(&rows::LOAD_F16, bytes, &[target, half], Under::All)
            }
            Element::U16 | Element::I16 | Element::U8 | Element::I8 => {
                self.load_general(element, from)?;
                self.splat_general(to, Register::ECX, (splat_row(4), bytes), 4)
            }
        }
    }

    fn load_first(&mut self, element: Element, to: u8, from: Memory) -> Result<(), Refusal> {
        let target = Arg::Vector(to, 16);
        let row = match element {
            Element::Word => &rows::LOAD_FIRST_32,
            Element::Double => &rows::LOAD_FIRST_64,
            Element::F16 | Element::U16 | Element::I16 | Element::U8 | Element::I8 => {
                self.load_general(element, from)?;
                let value = Arg::General(Register::ECX);
                self.writer.row(&rows::IN_32, 16, &[target, value], Under::All)?;
                if element == Element::F16 {
                    self.writer.row(&rows::LOAD_F16, 16, &[target; 2], Under::All)?;
                }
                return Ok(());
            }
        };
        self.writer.row(row, 16, &[target, Arg::Memory(from)], Under::All)
    }

    /// A narrow element into ecx, widened.
    pub(super) fn load_general(&mut self, element: Element, from: Memory) -> Result<(), Refusal> {
        let code = match element {
            Element::F16 | Element::U16 => Code::Movzx_r32_rm16,
            Element::I16 => Code::Movsx_r32_rm16,
            Element::U8 => Code::Movzx_r32_rm8,
            Element::I8 => Code::Movsx_r32_rm8,
            Element::Word | Element::Double => Code::Mov_r32_rm32,
        };
        let args = [Arg::General(Register::ECX), Arg::Memory(from)];
        self.writer.instruct(code, &args, Under::All)
    }

    pub(super) fn store(
        &mut self,
        element: Element,
        from: Vector,
        at: Address,
        (span, streaming): (Span, bool),
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(element.lane_bytes())?;
        let from = self.register(from, bytes)?;
        let to = self.address(at)?;
        let value = Arg::Vector(from, bytes);
        if streaming {
            let whole = span == Span::Whole && matches!(element, Element::Word | Element::Double);
            return if whole {
                self.writer.row(&rows::STREAM, bytes, &[Arg::Memory(to), value], Under::All)
            } else {
                {
                    let what = format!("streaming store of {}", words(&element));
                    Err(Refusal::Missing(self.isa, what))
                }
            };
        }
        match span {
            Span::Whole => self.store_whole(element, from, to, None),
            Span::Where(mask) => self.store_whole(element, from, to, Some(mask)),
            Span::First => self.store_first(element, from, to),
            Span::Splat => Err(Refusal::Malformed("a store of one element to all".to_string())),
        }
    }

    fn store_whole(
        &mut self,
        element: Element,
        from: u8,
        to: Memory,
        mask: Option<Predicate>,
    ) -> Result<(), Refusal> {
        match (self.isa, mask, element) {
            (Isa::Avx2, Some(mask), _) => {
                return self.store_where_vector(element, from, to, mask);
            }
            (Isa::Avx2, None, Element::U16 | Element::I16 | Element::U8 | Element::I8) => {
                return self.store_narrowed(element, from, to);
            }
            _ => {}
        }
        let bytes = self.bytes(element.lane_bytes())?;
        let under = mask.map_or(Under::All, |mask| Under::Keep(self.predicate(mask)));
        self.store_row(element, Arg::Vector(from, bytes), to, (bytes, under))
    }

    /// One instruction that stores elements.
    pub(super) fn store_row(
        &mut self,
        element: Element,
        from: Arg,
        to: Memory,
        (bytes, under): (u64, Under),
    ) -> Result<(), Refusal> {
        let row = match element {
            Element::Word => &rows::STORE_32,
            Element::Double => &rows::STORE_64,
            Element::F16 => {
                let args = [Arg::Memory(to), from, Arg::Byte(0)];
                return self.writer.row(&rows::STORE_F16, bytes, &args, under);
            }
            Element::U16 | Element::I16 => &rows::STORE_16,
            Element::U8 | Element::I8 => &rows::STORE_8,
        };
        self.writer.row(row, bytes, &[Arg::Memory(to), from], under)
    }

    fn store_first(&mut self, element: Element, from: u8, to: Memory) -> Result<(), Refusal> {
        let mut value = Arg::Vector(from, 16);
        let row = match element {
            Element::Word => Some(&rows::STORE_FIRST_32),
            Element::Double => Some(&rows::STORE_FIRST_64),
            Element::F16 | Element::U16 | Element::I16 | Element::U8 | Element::I8 => None,
        };
        if let Some(row) = row {
            return self.writer.row(row, 16, &[Arg::Memory(to), value], Under::All);
        }
        if element == Element::F16 {
            let narrow = Arg::Vector(self.scratch(), 16);
            let args = [narrow, value, Arg::Byte(0)];
            self.writer.row(&rows::STORE_F16, 16, &args, Under::All)?;
            value = narrow;
        }
        let general = Arg::General(Register::ECX);
        self.writer.row(&rows::OUT_32, 16, &[general, value], Under::All)?;
        self.store_general(element, to)
    }

    /// cx or cl to memory.
    pub(super) fn store_general(&mut self, element: Element, to: Memory) -> Result<(), Refusal> {
        let (code, part) = match element.bytes() {
            1 => (Code::Mov_rm8_r8, Register::CL),
            _ => (Code::Mov_rm16_r16, Register::CX),
        };
        self.writer.instruct(code, &[Arg::Memory(to), Arg::General(part)], Under::All)
    }

    pub(super) fn prefetch(&mut self, at: Address, level: u8) -> Result<(), Refusal> {
        let at = self.address(at)?;
        let base = get_gpr64(at.base).expect("an address has a base of 64 bits");
        let line = byte_ptr(base + at.displacement as i32);
        let asm = &mut self.writer.asm;
        match level {
            1 => asm.prefetcht0(line),
            2 => asm.prefetcht1(line),
            _ => asm.prefetcht2(line),
        }
        .map_err(refusal)
    }
}

/// The instruction that fills lanes with neighbouring elements.
pub(super) fn load_row(element: Element) -> &'static Row {
    match element {
        Element::Word => &rows::LOAD_32,
        Element::Double => &rows::LOAD_64,
        Element::F16 => &rows::LOAD_F16,
        Element::U16 => &rows::LOAD_U16,
        Element::I16 => &rows::LOAD_I16,
        Element::U8 => &rows::LOAD_U8,
        Element::I8 => &rows::LOAD_I8,
    }
}
