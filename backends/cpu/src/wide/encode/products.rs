//! Operations that add products to a vector, which the instructions overwrite.
//!
//! Invariant: a factor is read before the sum takes its register.

use super::super::isa::Refusal;
use super::super::program::{Lane, Narrow, Operand, Vector};
use super::Encoder;
use super::rows;
use super::writer::{Arg, Under};

impl Encoder<'_> {
    /// Three forms: 231 adds to its destination, 213 and 132 multiply it, by a register and by memory. The first that
    /// needs no move is taken.
    pub(super) fn multiply_add(
        &mut self,
        lane: Lane,
        to: Vector,
        (x, y, z): (Vector, Operand, Vector),
    ) -> Result<(), Refusal> {
        let [form_132, form_213, form_231] = match lane {
            Lane::F32 => [
                &rows::MULTIPLY_ADD_132_F32,
                &rows::MULTIPLY_ADD_213_F32,
                &rows::MULTIPLY_ADD_231_F32,
            ],
            Lane::F64 => [
                &rows::MULTIPLY_ADD_132_F64,
                &rows::MULTIPLY_ADD_213_F64,
                &rows::MULTIPLY_ADD_231_F64,
            ],
            Lane::I32 | Lane::I64 => return self.missing(lane, &format_args!("multiply-add")),
        };
        let bytes = self.bytes(lane.bytes())?;
        let (x, y, _) = self.pooled_last(x, y);
        let y = self.operand(y, lane, bytes)?;
        let x = self.register(x, bytes)?;
        let destination = self.vector(to);
        let target = Arg::Vector(destination, bytes);
        let factor = Arg::Vector(x, bytes);
        let adds = !self.is_pooled(z) && self.vector(z) == destination;
        let (row, args) = match y {
            Arg::Vector(other, _) if !adds && (destination == x || destination == other) => {
                let kept = if destination == x { y } else { factor };
                (form_213, [target, kept, self.source(z, lane.bytes(), bytes)])
            }
            Arg::Memory(_) if !adds && destination == x => {
                let summand = Arg::Vector(self.register(z, bytes)?, bytes);
                (form_132, [target, summand, y])
            }
            _ => {
                self.put(destination, z, bytes)?;
                (form_231, [target, factor, y])
            }
        };
        self.writer.row(row, bytes, &args, Under::All)
    }

    pub(super) fn dot(
        &mut self,
        of: Narrow,
        to: Vector,
        (x, y, z): (Vector, Operand, Vector),
    ) -> Result<(), Refusal> {
        if !self.isa.has_dot(of) {
            return self.missing(Lane::I32, &format_args!("dot of {of:?}"));
        }
        let row = match of {
            Narrow::Bytes => &rows::DOT_BYTES,
            Narrow::Words => &rows::DOT_WORDS,
            Narrow::Bf16 => &rows::DOT_BF16,
        };
        let bytes = self.bytes(4)?;
        let y = match y {
            Operand::Vector(y) if y == to && z != to => self.kept(y, bytes)?,
            y => self.operand(y, Lane::I32, bytes)?,
        };
        let x = match x == to && z != to {
            true => self.kept(x, bytes)?,
            false => Arg::Vector(self.register(x, bytes)?, bytes),
        };
        let destination = self.vector(to);
        self.put(destination, z, bytes)?;
        self.writer.row(row, bytes, &[Arg::Vector(destination, bytes), x, y], Under::All)
    }

    /// A copy of a vector in a scratch register.
    fn kept(&mut self, of: Vector, bytes: u64) -> Result<Arg, Refusal> {
        let scratch = self.scratch();
        self.put(scratch, of, bytes)?;
        Ok(Arg::Vector(scratch, bytes))
    }
}
