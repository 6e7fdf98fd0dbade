//! Operations that assign vectors from vectors.
//!
//! A constant without a register is a memory operand where the instruction takes one, and is loaded into a scratch
//! register elsewhere; `demands` counts the same registers.

use super::super::isa::{Isa, Refusal};
use super::super::program::{Dyad, Lane, Monad, Op, Operand, Predicate, Scalar, Shift, Vector};
use super::Encoder;
use super::rows::{self, Row};
use super::scalars::lower;
use super::writer::{Arg, Memory, Under, vector};
use crate::wide::allocate::Place;
use iced_x86::Register;

impl Encoder<'_> {
    pub(super) fn is_pooled(&self, of: Vector) -> bool {
        self.at.pooled.contains(&of)
    }

    /// The operands of a symmetric operation with a constant in memory as the second; true where they changed places.
    pub(super) fn pooled_last(&self, x: Vector, y: Operand) -> (Vector, Operand, bool) {
        match y {
            Operand::Vector(other) if self.is_pooled(x) && !self.is_pooled(other) => {
                (other, Operand::Vector(x), true)
            }
            Operand::Vector(_) | Operand::Splat(_) | Operand::Memory(_) => (x, y, false),
        }
    }

    /// The register of a vector that is read; a constant in memory comes into a scratch register.
    pub(super) fn register(&mut self, of: Vector, bytes: u64) -> Result<u8, Refusal> {
        if !self.is_pooled(of) {
            return Ok(self.vector(of));
        }
        let scratch = self.scratch();
        self.load_constant(scratch, of, bytes)?;
        Ok(scratch)
    }

    /// A vector as the operand that may be in memory.
    pub(super) fn source(&mut self, of: Vector, lane_bytes: u64, bytes: u64) -> Arg {
        if !self.is_pooled(of) {
            return self.arg(of, bytes);
        }
        Arg::Memory(match *self.constants[&of] {
            Op::Constant { lane, bits, .. }
                if self.isa.is_avx512() && lane.bytes() == lane_bytes =>
            {
                let element = self.writer.constant(&bits.to_le_bytes()[..lane_bytes as usize]);
                Memory { broadcast: true, ..element }
            }
            ref op => self.whole(op),
        })
    }

    /// A constant as a whole vector in the pool.
    fn whole(&mut self, op: &Op) -> Memory {
        let count = self.isa.vector_bytes() as usize;
        let bytes: Vec<u8> = match *op {
            Op::Constant { lane, bits, .. } => bits.to_le_bytes()[..lane.bytes() as usize]
                .iter()
                .copied()
                .cycle()
                .take(count)
                .collect(),
            Op::Words { words, .. } => {
                words.iter().take(count / 4).flat_map(|word| word.to_le_bytes()).collect()
            }
            _ => (0..count as u32 / 4).flat_map(u32::to_le_bytes).collect(),
        };
        self.writer.constant(&bytes)
    }

    /// The second factor or summand as an operand.
    pub(super) fn operand(&mut self, of: Operand, lane: Lane, bytes: u64) -> Result<Arg, Refusal> {
        match of {
            Operand::Vector(of) => Ok(self.source(of, lane.bytes(), bytes)),
            Operand::Memory(at) => Ok(Arg::Memory(self.address(at)?)),
            Operand::Splat(at) => {
                let at = self.address(at)?;
                if self.isa.is_avx512() {
                    return Ok(Arg::Memory(Memory { broadcast: true, ..at }));
                }
                let scratch = Arg::Vector(self.scratch(), bytes);
                self.writer.row(
                    broadcast_row(lane.bytes()),
                    bytes,
                    &[scratch, Arg::Memory(at)],
                    Under::All,
                )?;
                Ok(scratch)
            }
        }
    }

    pub(super) fn constant(&mut self, to: Vector, op: &Op) -> Result<(), Refusal> {
        let bytes = self.bytes(self.widest)?;
        let to = self.vector(to);
        self.write_constant(to, op, bytes)
    }

    /// A constant of the pool into a register.
    fn load_constant(&mut self, to: u8, of: Vector, bytes: u64) -> Result<(), Refusal> {
        let op = self.constants[&of];
        self.write_constant(to, op, bytes)
    }

    fn write_constant(&mut self, to: u8, op: &Op, bytes: u64) -> Result<(), Refusal> {
        let arg = Arg::Vector(to, bytes);
        let Op::Constant { lane, bits, .. } = *op else {
            let numbers = Arg::Memory(self.whole(op));
            return self.writer.row(&rows::LOAD_32, bytes, &[arg, numbers], Under::All);
        };
        let lane_bytes = lane.bytes() as usize;
        let pattern = &bits.to_le_bytes()[..lane_bytes];
        if pattern.iter().all(|&byte| byte == 0) {
            return self.zero(to);
        }
        if pattern.iter().all(|&byte| byte == 0xff) {
            return self.ones(to, bytes);
        }
        let element = Arg::Memory(self.writer.constant(pattern));
        self.writer.row(broadcast_row(lane.bytes()), bytes, &[arg, element], Under::All)
    }

    /// Clears a whole register.
    pub(super) fn zero(&mut self, to: u8) -> Result<(), Refusal> {
        self.writer.row(&rows::XOR_32, 16, &[Arg::Vector(to, 16); 3], Under::All)
    }

    /// Sets all bits.
    pub(super) fn ones(&mut self, to: u8, bytes: u64) -> Result<(), Refusal> {
        let to = Arg::Vector(to, bytes);
        match self.isa {
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Avx512Amx => {
                let args = [to, to, to, Arg::Byte(0xff)];
                self.writer.row(&rows::TERNARY_32, bytes, &args, Under::All)
            }
            Isa::Avx2 => self.writer.row(&rows::EQUAL_32, bytes, &[to; 3], Under::All),
        }
    }

    pub(super) fn copy(&mut self, to: Vector, x: Vector) -> Result<(), Refusal> {
        let bytes = self.bytes(self.widest)?;
        let to = self.vector(to);
        self.put(to, x, bytes)
    }

    /// The value of `x` into a register.
    pub(super) fn put(&mut self, to: u8, x: Vector, bytes: u64) -> Result<(), Refusal> {
        if self.is_pooled(x) {
            return self.load_constant(to, x, bytes);
        }
        let from = self.vector(x);
        if from == to {
            return Ok(());
        }
        let args = [Arg::Vector(to, bytes), Arg::Vector(from, bytes)];
        self.writer.row(&rows::MOVE, bytes, &args, Under::All)
    }

    pub(super) fn dyad(
        &mut self,
        op: Dyad,
        lane: Lane,
        to: Vector,
        (x, y): (Vector, Operand),
    ) -> Result<(), Refusal> {
        let Some(row) = dyad_row(op, lane) else {
            return self.missing(lane, &op);
        };
        let bytes = self.bytes(lane.bytes())?;
        let (x, y, _) = if commutes(op) { self.pooled_last(x, y) } else { (x, y, false) };
        let y = self.operand(y, lane, bytes)?;
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        self.writer.row(row, bytes, &[self.arg(to, bytes), x, y], Under::All)
    }

    pub(super) fn monad(
        &mut self,
        op: Monad,
        lane: Lane,
        to: Vector,
        x: Vector,
    ) -> Result<(), Refusal> {
        let Some(of) = monad_row(op, lane) else {
            return self.missing(lane, &op);
        };
        let (from_bytes, to_bytes) = (self.bytes(lane.bytes())?, self.bytes(of.to_bytes)?);
        let to = self.vector(to);
        match op {
            Monad::RoundToF16 => return self.round_to_f16(to, x, from_bytes),
            Monad::LowHalf if self.is_avx2() => {
                let x = self.register(x, from_bytes)?;
                let upper = self.scratch();
                return self.even_words(to, x, upper);
            }
            _ => {}
        }
        let x = if of.from_memory {
            self.source(x, lane.bytes(), from_bytes)
        } else {
            Arg::Vector(self.register(x, from_bytes)?, from_bytes)
        };
        let mut args = vec![Arg::Vector(to, to_bytes), x];
        args.extend(of.rounding.map(Arg::Byte));
        self.writer.row(of.row, from_bytes.max(to_bytes), &args, Under::All)
    }

    fn round_to_f16(&mut self, to: u8, x: Vector, bytes: u64) -> Result<(), Refusal> {
        let x = self.register(x, bytes)?;
        let half = Arg::Vector(to, bytes / 2);
        let narrow = [half, Arg::Vector(x, bytes), Arg::Byte(0)];
        self.writer.row(&rows::STORE_F16, bytes, &narrow, Under::All)?;
        self.writer.row(&rows::LOAD_F16, bytes, &[Arg::Vector(to, bytes), half], Under::All)
    }

    pub(super) fn shift(
        &mut self,
        op: Shift,
        lane: Lane,
        to: Vector,
        (x, count): (Vector, u8),
    ) -> Result<(), Refusal> {
        let row = match (op, lane.bytes()) {
            (Shift::Left, 4) => &rows::LEFT_32,
            (Shift::Left, _) => &rows::LEFT_64,
            (Shift::RightLogical, 4) => &rows::RIGHT_LOGICAL_32,
            (Shift::RightLogical, _) => &rows::RIGHT_LOGICAL_64,
            (Shift::RightArithmetic, 4) => &rows::RIGHT_ARITHMETIC_32,
            (Shift::RightArithmetic, _) => {
                return self.missing(lane, &format_args!("shift-right-arithmetic"));
            }
        };
        let bytes = self.bytes(lane.bytes())?;
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        self.writer.row(row, bytes, &[self.arg(to, bytes), x, Arg::Byte(count)], Under::All)
    }

    pub(super) fn scale(
        &mut self,
        lane: Lane,
        to: Vector,
        (x, y): (Vector, Vector),
        mask: Option<Predicate>,
    ) -> Result<(), Refusal> {
        let row = match lane {
            Lane::F32 => &rows::SCALE_F32,
            Lane::F64 => &rows::SCALE_F64,
            Lane::I32 | Lane::I64 => return self.missing(lane, &format_args!("scale")),
        };
        let bytes = self.bytes(lane.bytes())?;
        let y = self.source(y, lane.bytes(), bytes);
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        let under = mask.map_or(Under::All, |mask| Under::Zero(self.predicate(mask)));
        self.writer.row(row, bytes, &[self.arg(to, bytes), x, y], under)
    }

    pub(super) fn select(
        &mut self,
        lane: Lane,
        to: Vector,
        mask: Predicate,
        (yes, no): (Vector, Vector),
    ) -> Result<(), Refusal> {
        if self.isa == Isa::Avx2 {
            return self.select_vector(lane, to, mask, (yes, no));
        }
        let row = if lane.bytes() == 4 { &rows::SELECT_32 } else { &rows::SELECT_64 };
        let bytes = self.bytes(lane.bytes())?;
        let yes = self.source(yes, lane.bytes(), bytes);
        let no = Arg::Vector(self.register(no, bytes)?, bytes);
        let under = Under::Keep(self.predicate(mask));
        self.writer.row(row, bytes, &[self.arg(to, bytes), no, yes], under)
    }

    /// The lanes of x turned round; those that come in from below are the upper ones, which may hold anything.
    pub(super) fn lanes_down(
        &mut self,
        lane: Lane,
        to: Vector,
        x: Vector,
        count: u8,
    ) -> Result<(), Refusal> {
        if self.isa == Isa::Avx2 {
            return self.lanes_down_halves(lane, to, x, count);
        }
        let row = if lane.bytes() == 4 { &rows::ALIGN_32 } else { &rows::ALIGN_64 };
        let bytes = self.bytes(lane.bytes())?;
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        self.writer.row(row, bytes, &[self.arg(to, bytes), x, x, Arg::Byte(count)], Under::All)
    }

    pub(super) fn splat(&mut self, lane: Lane, to: Vector, from: Scalar) -> Result<(), Refusal> {
        let bytes = self.bytes(lane.bytes())?;
        let target = self.arg(to, bytes);
        let (broadcast, splat) = (broadcast_row(lane.bytes()), splat_row(lane.bytes()));
        match self.at.scalar(from) {
            Place::Stack(word) => {
                let at = Memory::at(Register::RSP, i64::from(self.word_offset(word)));
                self.writer.row(broadcast, bytes, &[target, Arg::Memory(at)], Under::All)
            }
            Place::Register(position) => {
                let from: Register = super::scalar_register(position).into();
                let from = if lane.bytes() == 4 { lower(from) } else { from };
                self.splat_general(self.vector(to), from, (splat, bytes), lane.bytes())
            }
        }
    }

    /// A general register in all lanes.
    pub(super) fn splat_general(
        &mut self,
        to: u8,
        from: Register,
        (row, bytes): (&Row, u64),
        lane_bytes: u64,
    ) -> Result<(), Refusal> {
        let (target, first) = (Arg::Vector(to, bytes), Arg::Vector(to, 16));
        if self.isa.is_avx512() {
            return self.writer.row(row, bytes, &[target, Arg::General(from)], Under::All);
        }
        let enter = if lane_bytes == 4 { &rows::IN_32 } else { &rows::IN_64 };
        self.writer.row(enter, 16, &[first, Arg::General(from)], Under::All)?;
        self.writer.row(broadcast_row(lane_bytes), bytes, &[target, first], Under::All)
    }

    /// The register of an index vector, in the width that its lanes take.
    pub(super) fn index(&mut self, of: Vector) -> Result<(u8, Register), Refusal> {
        let bytes = 4 * self.lanes;
        let number = self.register(of, bytes.max(16))?;
        Ok((number, vector(number, bytes)))
    }
}

/// Whether an operation may change the places of its operands.
pub(super) fn commutes(op: Dyad) -> bool {
    match op {
        Dyad::Add | Dyad::Mul | Dyad::And | Dyad::Or | Dyad::Xor => true,
        Dyad::Sub | Dyad::Div | Dyad::Min | Dyad::Max | Dyad::AndNot => false,
    }
}

/// One element in all lanes, from memory or from the first lane.
pub(super) fn broadcast_row(lane_bytes: u64) -> &'static Row {
    if lane_bytes == 4 { &rows::BROADCAST_32 } else { &rows::BROADCAST_64 }
}

/// A general register in all lanes.
pub(super) fn splat_row(lane_bytes: u64) -> &'static Row {
    if lane_bytes == 4 { &rows::SPLAT_32 } else { &rows::SPLAT_64 }
}

fn dyad_row(op: Dyad, lane: Lane) -> Option<&'static Row> {
    use Lane::{F32, F64, I32, I64};
    Some(match (op, lane) {
        (Dyad::Add, F32) => &rows::ADD_F32,
        (Dyad::Add, F64) => &rows::ADD_F64,
        (Dyad::Add, I32) => &rows::ADD_I32,
        (Dyad::Add, I64) => &rows::ADD_I64,
        (Dyad::Sub, F32) => &rows::SUB_F32,
        (Dyad::Sub, F64) => &rows::SUB_F64,
        (Dyad::Sub, I32) => &rows::SUB_I32,
        (Dyad::Sub, I64) => &rows::SUB_I64,
        (Dyad::Mul, F32) => &rows::MUL_F32,
        (Dyad::Mul, F64) => &rows::MUL_F64,
        (Dyad::Mul, I32) => &rows::MUL_I32,
        (Dyad::Div, F32) => &rows::DIV_F32,
        (Dyad::Div, F64) => &rows::DIV_F64,
        (Dyad::Min, F32) => &rows::MIN_F32,
        (Dyad::Min, F64) => &rows::MIN_F64,
        (Dyad::Min, I32) => &rows::MIN_I32,
        (Dyad::Max, F32) => &rows::MAX_F32,
        (Dyad::Max, F64) => &rows::MAX_F64,
        (Dyad::Max, I32) => &rows::MAX_I32,
        (Dyad::And, F32 | I32) => &rows::AND_32,
        (Dyad::And, F64 | I64) => &rows::AND_64,
        (Dyad::Or, F32 | I32) => &rows::OR_32,
        (Dyad::Or, F64 | I64) => &rows::OR_64,
        (Dyad::Xor, F32 | I32) => &rows::XOR_32,
        (Dyad::Xor, F64 | I64) => &rows::XOR_64,
        (Dyad::AndNot, F32 | I32) => &rows::AND_NOT_32,
        (Dyad::AndNot, F64 | I64) => &rows::AND_NOT_64,
        (Dyad::Mul | Dyad::Min | Dyad::Max, I64) | (Dyad::Div, I32 | I64) => return None,
    })
}

/// The instruction of an operation of one vector.
pub(super) struct MonadRow {
    row: &'static Row,
    to_bytes: u64,
    /// Whether its operand may be in memory.
    pub(super) from_memory: bool,
    rounding: Option<u8>,
}

/// To the nearest, and downwards; no exceptions.
const ROUND_EVEN: u8 = 8;
const ROUND_DOWN: u8 = 9;

/// The instruction of an operation, if it is one.
pub(super) fn monad_row(op: Monad, lane: Lane) -> Option<MonadRow> {
    use Lane::{F32, F64, I32, I64};
    let of = |row, to_bytes| MonadRow { row, to_bytes, from_memory: true, rounding: None };
    let round = |row, to_bytes, mode| MonadRow { rounding: Some(mode), ..of(row, to_bytes) };
    let plain = |row, to_bytes| MonadRow { from_memory: false, ..of(row, to_bytes) };
    Some(match (op, lane) {
        (Monad::Sqrt, F32) => of(&rows::SQRT_F32, 4),
        (Monad::Sqrt, F64) => of(&rows::SQRT_F64, 8),
        (Monad::RoundEven, F32) => round(&rows::ROUND_F32, 4, ROUND_EVEN),
        (Monad::RoundEven, F64) => round(&rows::ROUND_F64, 8, ROUND_EVEN),
        (Monad::Floor, F32) => round(&rows::ROUND_F32, 4, ROUND_DOWN),
        (Monad::Floor, F64) => round(&rows::ROUND_F64, 8, ROUND_DOWN),
        (Monad::Abs, I32) => of(&rows::ABS_I32, 4),
        (Monad::FloatOfInteger, I32) => of(&rows::F32_OF_I32, 4),
        (Monad::IntegerOfFloat, F32) => of(&rows::I32_OF_F32, 4),
        (Monad::DoubleOfInteger, I32) => of(&rows::F64_OF_I32, 8),
        (Monad::IntegerOfDouble, F64) => of(&rows::I32_OF_F64, 4),
        (Monad::DoubleOfFloat, F32) => of(&rows::F64_OF_F32, 8),
        (Monad::FloatOfDouble, F64) => of(&rows::F32_OF_F64, 4),
        (Monad::LowHalf, I64) => plain(&rows::LOW_HALF, 4),
        (Monad::Extend, I32) => plain(&rows::EXTEND_I32, 8),
        (Monad::RoundToF16, F32) => plain(&rows::LOAD_F16, 4),
        _ => return None,
    })
}
