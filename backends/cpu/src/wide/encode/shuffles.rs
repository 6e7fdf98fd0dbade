//! Shuffles of two vectors in pieces of 16 bytes: what transposes squares.
//!
//! Invariant: both operands stand in registers, so any of them may be the target's.

use super::super::isa::{Isa, Refusal};
use super::super::program::{Lane, Narrow, Vector};
use super::writer::{Arg, Under};
use super::{Encoder, rows};

impl Encoder<'_> {
    /// Looks up the lanes of `at` in the sixteen of a table.
    pub(super) fn look_up(&mut self, to: Vector, table: Vector, at: Vector) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let table = self.source(table, 4, bytes);
        let at = Arg::Vector(self.register(at, bytes)?, bytes);
        self.writer.row(&rows::LOOK_UP_32, bytes, &[self.arg(to, bytes), at, table], Under::All)
    }

    /// Looks up the halves of lanes of `at` in those of a table.
    pub(super) fn look_up_halves(
        &mut self,
        to: Vector,
        table: Vector,
        at: Vector,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(4)?;
        let table = Arg::Vector(self.register(table, bytes)?, bytes);
        let at = Arg::Vector(self.register(at, bytes)?, bytes);
        self.writer.row(&rows::LOOK_UP_16, bytes, &[self.arg(to, bytes), at, table], Under::All)
    }

    /// The instruction takes what becomes the upper half first.
    pub(super) fn halve(&mut self, to: Vector, x: Vector, y: Vector) -> Result<(), Refusal> {
        if !self.isa.has_dot(Narrow::Bf16) {
            return self.missing(Lane::F32, &format_args!("halve"));
        }
        let bytes = self.bytes(4)?;
        let lower = self.source(x, 4, bytes);
        let upper = Arg::Vector(self.register(y, bytes)?, bytes);
        self.writer.row(&rows::HALVE, bytes, &[self.arg(to, bytes), upper, lower], Under::All)
    }

    pub(super) fn zip(
        &mut self,
        lane: Lane,
        to: Vector,
        (x, y): (Vector, Vector),
        (unit, high): (u64, bool),
    ) -> Result<(), Refusal> {
        let row = match (lane.bytes() * unit, high) {
            (4, false) => &rows::ZIP_LOW_32,
            (4, true) => &rows::ZIP_HIGH_32,
            (_, false) => &rows::ZIP_LOW_64,
            (_, true) => &rows::ZIP_HIGH_64,
        };
        let bytes = self.bytes(lane.bytes())?;
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        let y = Arg::Vector(self.register(y, bytes)?, bytes);
        self.writer.row(row, bytes, &[self.arg(to, bytes), x, y], Under::All)
    }

    pub(super) fn pieces(
        &mut self,
        lane: Lane,
        to: Vector,
        (x, y): (Vector, Vector),
        pick: u8,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes(lane.bytes())?;
        let x = Arg::Vector(self.register(x, bytes)?, bytes);
        let y = Arg::Vector(self.register(y, bytes)?, bytes);
        // The older instruction numbers the pieces of both operands through.
        let pick = match self.isa {
            Isa::Avx2 => pick & 1 | (2 | pick >> 1 & 1) << 4,
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Avx512Amx => pick,
        };
        let args = [self.arg(to, bytes), x, y, Arg::Byte(pick)];
        self.writer.row(&rows::PIECES, bytes, &args, Under::All)
    }
}
