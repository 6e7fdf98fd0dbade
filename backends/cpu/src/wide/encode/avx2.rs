//! What AVX2 does otherwise: predicates in vectors, and the pieces that AVX-512 has as single instructions.
//!
//! A predicate has lanes as wide as the widest of the leaf, all ones where it holds; it is narrowed where an operation
//! has narrower lanes.

use super::super::isa::{Isa, Refusal};
use super::super::program::{Condition, Element, Lane, Logic, Operand, Predicate, Scalar, Vector};
use super::Encoder;
use super::predicates::{compare_row, selector};
use super::rows;
use super::scalars::lower;
use super::vectors::broadcast_row;
use super::writer::{Arg, Memory, Under, refusal};
use iced_x86::Register;
use iced_x86::code_asm::{ecx, edx, rcx};

/// Picks the lower words of two pairs of double words: `vshufps` of lanes 0 and 2 of each.
const EVEN_WORDS: u8 = 0x88;

impl Encoder<'_> {
    /// Bytes of a predicate.
    fn predicate_bytes(&self) -> Result<u64, Refusal> {
        self.bytes(self.widest)
    }

    fn predicate_arg(&self, of: Predicate) -> Result<Arg, Refusal> {
        Ok(Arg::Vector(self.predicate(of), self.predicate_bytes()?))
    }

    /// A vector of ones in the pool.
    fn all_ones(&mut self) -> Arg {
        Arg::Memory(self.writer.constant(&[0xff; 32]))
    }

    /// The register of a predicate with lanes of `lane_bytes`, and whether it is a scratch register.
    fn mask_of(&mut self, of: Predicate, lane_bytes: u64) -> Result<(u8, bool), Refusal> {
        let mask = self.predicate(of);
        if lane_bytes == self.widest {
            return Ok((mask, false));
        }
        let narrow = self.scratch();
        self.even_words(narrow, mask, narrow)?;
        Ok((narrow, true))
    }

    /// The lower halves of the four double words of `x`, by way of `other`.
    pub(super) fn even_words(&mut self, to: u8, x: u8, other: u8) -> Result<(), Refusal> {
        let upper = Arg::Vector(other, 16);
        let args = [upper, Arg::Vector(x, 32), Arg::Byte(1)];
        self.writer.row(&rows::UPPER_HALF, 32, &args, Under::All)?;
        let args = [Arg::Vector(to, 16), Arg::Vector(x, 16), upper, Arg::Byte(EVEN_WORDS)];
        self.writer.row(&rows::SHUFFLE_32, 16, &args, Under::All)
    }

    pub(super) fn condition_vector(
        &mut self,
        op: Condition,
        lane: Lane,
        to: Predicate,
        (x, y): (Vector, Operand),
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(lane.bytes())?;
        let to = self.predicate(to);
        let target = Arg::Vector(to, bytes);
        let (x, y, swapped) = self.pooled_last(x, y);
        if matches!(lane, Lane::F32 | Lane::F64) {
            let y = self.operand(y, lane, bytes)?;
            let x = Arg::Vector(self.register(x, bytes)?, bytes);
            let args = [target, x, y, Arg::Byte(selector(op, lane, swapped))];
            self.writer.row(compare_row(lane), bytes, &args, Under::All)?;
        } else {
            self.compare_integers((op, swapped), lane, target, (x, y))?;
        }
        if lane.bytes() == self.widest {
            return Ok(());
        }
        let wide = Arg::Vector(to, self.predicate_bytes()?);
        self.writer.row(&rows::EXTEND_I32, self.predicate_bytes()?, &[wide, target], Under::All)
    }

    /// There are only `equal` and `greater`: x < y is y > x, x <= y is the contrary of x > y.
    fn compare_integers(
        &mut self,
        (op, swapped): (Condition, bool),
        lane: Lane,
        target: Arg,
        (x, y): (Vector, Operand),
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(lane.bytes())?;
        let (equal, greater) = match lane.bytes() {
            4 => (&rows::EQUAL_32, &rows::GREATER_32),
            _ => (&rows::EQUAL_64, &rows::GREATER_64),
        };
        let (row, y_first, inverted) = match op {
            Condition::Equal => (equal, false, false),
            Condition::NotEqual => (equal, false, true),
            Condition::Less => (greater, !swapped, false),
            Condition::LessEqual => (greater, swapped, true),
            Condition::Unordered | Condition::NotLess => return self.missing(lane, &op),
        };
        let args = if y_first {
            let y = self.loaded_operand(y, lane, bytes)?;
            [target, y, Arg::Vector(self.register(x, bytes)?, bytes)]
        } else {
            let y = self.operand(y, lane, bytes)?;
            [target, Arg::Vector(self.register(x, bytes)?, bytes), y]
        };
        self.writer.row(row, bytes, &args, Under::All)?;
        if inverted {
            let ones = self.all_ones();
            self.writer.row(&rows::XOR_32, bytes, &[target, target, ones], Under::All)?;
        }
        Ok(())
    }

    /// An operand in a register.
    fn loaded_operand(&mut self, of: Operand, lane: Lane, bytes: u64) -> Result<Arg, Refusal> {
        match of {
            Operand::Vector(of) => Ok(Arg::Vector(self.register(of, bytes)?, bytes)),
            Operand::Splat(_) => self.operand(of, lane, bytes),
            Operand::Memory(at) => {
                let at = Arg::Memory(self.address(at)?);
                let scratch = Arg::Vector(self.scratch(), bytes);
                self.writer.row(&rows::LOAD_32, bytes, &[scratch, at], Under::All)?;
                Ok(scratch)
            }
        }
    }

    pub(super) fn logic_vector(
        &mut self,
        op: Logic,
        to: Predicate,
        (x, y): (Predicate, Predicate),
    ) -> Result<(), Refusal> {
        let row = match op {
            Logic::And => &rows::AND_32,
            Logic::Or => &rows::OR_32,
            Logic::Xor => &rows::XOR_32,
            Logic::AndNot => &rows::AND_NOT_32,
        };
        let args = [self.predicate_arg(to)?, self.predicate_arg(x)?, self.predicate_arg(y)?];
        self.writer.row(row, self.predicate_bytes()?, &args, Under::All)
    }

    pub(super) fn not_vector(&mut self, to: Predicate, x: Predicate) -> Result<(), Refusal> {
        let args = [self.predicate_arg(to)?, self.predicate_arg(x)?, self.all_ones()];
        self.writer.row(&rows::XOR_32, self.predicate_bytes()?, &args, Under::All)
    }

    pub(super) fn always_vector(&mut self, to: Predicate, value: bool) -> Result<(), Refusal> {
        let bytes = self.predicate_bytes()?;
        let to = self.predicate(to);
        if value { self.ones(to, bytes) } else { self.zero(to) }
    }

    /// The count in all lanes is greater than the number of each lane below it.
    pub(super) fn first_lanes_vector(
        &mut self,
        to: Predicate,
        count: Scalar,
    ) -> Result<(), Refusal> {
        let bytes = self.predicate_bytes()?;
        let (target, first) = (self.predicate_arg(to)?, Arg::Vector(self.predicate(to), 16));
        let count: Register = self.read(count, rcx)?.into();
        let (enter, count, greater, numbers): (_, _, _, Vec<u8>) = if self.widest == 4 {
            let numbers = (0..8u32).flat_map(u32::to_le_bytes).collect();
            (&rows::IN_32, lower(count), &rows::GREATER_32, numbers)
        } else {
            let numbers = (0..4u64).flat_map(u64::to_le_bytes).collect();
            (&rows::IN_64, count, &rows::GREATER_64, numbers)
        };
        self.writer.row(enter, 16, &[first, Arg::General(count)], Under::All)?;
        self.writer.row(broadcast_row(self.widest), bytes, &[target, first], Under::All)?;
        let numbers = Arg::Memory(self.writer.constant(&numbers));
        self.writer.row(greater, bytes, &[target, target, numbers], Under::All)
    }

    /// Sets the zero flag where no lane is true.
    pub(super) fn test_vector(&mut self, mask: Predicate) -> Result<(), Refusal> {
        let mask = self.predicate_arg(mask)?;
        self.writer.row(&rows::TEST, self.predicate_bytes()?, &[mask; 2], Under::All)
    }

    /// The truth values as bits of edx.
    pub(super) fn sign_bits(&mut self, mask: Predicate) -> Result<(), Refusal> {
        let row = if self.widest == 4 { &rows::SIGNS_32 } else { &rows::SIGNS_64 };
        let args = [Arg::General(Register::EDX), self.predicate_arg(mask)?];
        self.writer.row(row, self.predicate_bytes()?, &args, Under::All)
    }

    pub(super) fn select_vector(
        &mut self,
        lane: Lane,
        to: Vector,
        mask: Predicate,
        (yes, no): (Vector, Vector),
    ) -> Result<(), Refusal> {
        let row = if lane.bytes() == 4 { &rows::SELECT_32 } else { &rows::SELECT_64 };
        let bytes = self.bytes(lane.bytes())?;
        let yes = self.source(yes, lane.bytes(), bytes);
        let no = Arg::Vector(self.register(no, bytes)?, bytes);
        let mask = Arg::Vector(self.mask_of(mask, lane.bytes())?.0, bytes);
        self.writer.row(row, bytes, &[self.arg(to, bytes), no, yes, mask], Under::All)
    }

    /// 256 bits are two halves that shift by themselves: what comes in from above is the other half.
    pub(super) fn lanes_down_halves(
        &mut self,
        lane: Lane,
        to: Vector,
        x: Vector,
        count: u8,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(lane.bytes())?;
        let x = self.register(x, bytes)?;
        let to = self.vector(to);
        let (target, from) = (Arg::Vector(to, bytes), Arg::Vector(x, bytes));
        let distance = Arg::Byte(count * lane.bytes() as u8);
        match (bytes, u64::from(count) * lane.bytes()) {
            (16, _) => {
                self.writer.row(&rows::SHIFT_BYTES, 16, &[target, from, distance], Under::All)
            }
            (_, 16) => {
                let args = [Arg::Vector(to, 16), from, Arg::Byte(1)];
                self.writer.row(&rows::UPPER_HALF, bytes, &args, Under::All)
            }
            _ => {
                let args = [target, from, from, Arg::Byte(1)];
                self.writer.row(&rows::SWAP_HALVES, bytes, &args, Under::All)?;
                let args = [target, target, from, distance];
                self.writer.row(&rows::ALIGN_BYTES, bytes, &args, Under::All)
            }
        }
    }

    pub(super) fn load_where_vector(
        &mut self,
        element: Element,
        to: Vector,
        from: Memory,
        mask: Predicate,
    ) -> Result<(), Refusal> {
        let row = match element {
            Element::Word => &rows::MASKED_LOAD_32,
            Element::Double => &rows::MASKED_LOAD_64,
            _ => return self.load_lanes(element, to, from, mask),
        };
        let bytes = self.bytes(element.bytes())?;
        let mask = Arg::Vector(self.mask_of(mask, element.bytes())?.0, bytes);
        let args = [self.arg(to, bytes), mask, Arg::Memory(from)];
        self.writer.row(row, bytes, &args, Under::All)
    }

    fn load_lanes(
        &mut self,
        element: Element,
        to: Vector,
        from: Memory,
        mask: Predicate,
    ) -> Result<(), Refusal> {
        self.sign_bits(mask)?;
        for lane in 0..self.lanes {
            let mut over = self.label();
            self.writer.asm.xor(ecx, ecx).map_err(refusal)?;
            self.writer.asm.bt(edx, lane as u32).map_err(refusal)?;
            self.writer.asm.jae(over).map_err(refusal)?;
            self.load_general(element, from.plus((element.bytes() * lane) as i64))?;
            self.place(&mut over)?;
            self.stage_element(element, lane)?;
        }
        self.load_stage(element, to)
    }

    pub(super) fn store_where_vector(
        &mut self,
        element: Element,
        from: u8,
        to: Memory,
        mask: Predicate,
    ) -> Result<(), Refusal> {
        let row = match element {
            Element::Word => &rows::MASKED_STORE_32,
            Element::Double => &rows::MASKED_STORE_64,
            _ => return self.store_lanes(element, from, to, mask),
        };
        let bytes = self.bytes(element.bytes())?;
        let mask = Arg::Vector(self.mask_of(mask, element.bytes())?.0, bytes);
        self.writer.row(row, bytes, &[Arg::Memory(to), mask, Arg::Vector(from, bytes)], Under::All)
    }

    fn store_lanes(
        &mut self,
        element: Element,
        from: u8,
        to: Memory,
        mask: Predicate,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let staged = if element == Element::F16 { Element::F16 } else { Element::Word };
        let stage = Memory::at(Register::RSP, super::lanes::ELEMENTS);
        self.store_row(staged, Arg::Vector(from, bytes), stage, (bytes, Under::All))?;
        self.sign_bits(mask)?;
        for lane in 0..self.lanes {
            let mut over = self.label();
            self.writer.asm.bt(edx, lane as u32).map_err(refusal)?;
            self.writer.asm.jae(over).map_err(refusal)?;
            self.load_general(staged, stage.plus((staged.bytes() * lane) as i64))?;
            let to = to.plus((element.bytes() * lane) as i64);
            self.store_general(element, to)?;
            self.place(&mut over)?;
        }
        Ok(())
    }

    /// The lower parts of words, gathered in each half, then stored by halves.
    pub(super) fn store_narrowed(
        &mut self,
        element: Element,
        from: u8,
        to: Memory,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let width = element.bytes() as u8;
        let half: Vec<u8> = (0..16)
            .map(|byte| if byte < 4 * width { byte / width * 4 + byte % width } else { 0x80 })
            .collect();
        let pattern = Arg::Memory(self.writer.constant(&half.repeat(2)));
        let packed = self.scratch();
        let args = [Arg::Vector(packed, bytes), Arg::Vector(from, bytes), pattern];
        self.writer.row(&rows::SHUFFLE_BYTES, bytes, &args, Under::All)?;
        let row = if width == 2 { &rows::LOW_64 } else { &rows::OUT_32 };
        let first = Arg::Vector(packed, 16);
        self.writer.row(row, 16, &[Arg::Memory(to), first], Under::All)?;
        if bytes == 32 {
            let args = [first, Arg::Vector(packed, 32), Arg::Byte(1)];
            self.writer.row(&rows::UPPER_HALF, 32, &args, Under::All)?;
            let to = Arg::Memory(to.plus(4 * i64::from(width)));
            self.writer.row(row, 16, &[to, first], Under::All)?;
        }
        Ok(())
    }

    /// A mask in a vector that the gather instruction may use up.
    pub(super) fn gather_mask(
        &mut self,
        mask: Option<Predicate>,
        lane_bytes: u64,
    ) -> Result<Arg, Refusal> {
        let bytes = self.bytes(lane_bytes)?;
        let Some(mask) = mask else {
            let ones = self.scratch();
            self.ones(ones, bytes)?;
            return Ok(Arg::Vector(ones, bytes));
        };
        let (register, own) = self.mask_of(mask, lane_bytes)?;
        if own {
            return Ok(Arg::Vector(register, bytes));
        }
        let copy = Arg::Vector(self.scratch(), bytes);
        let args = [copy, Arg::Vector(register, bytes)];
        self.writer.row(&rows::MOVE, bytes, &args, Under::All)?;
        Ok(copy)
    }

    pub(super) fn is_avx2(&self) -> bool {
        self.isa == Isa::Avx2
    }
}
