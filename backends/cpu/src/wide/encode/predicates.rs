//! Operations that assign truth values.
//!
//! With AVX-512 they live in mask registers, whose bits beyond the lanes mean nothing; with AVX2 in vectors whose lanes
//! are as wide as the widest of the leaf.

use super::super::isa::Refusal;
use super::super::program::{Condition, Lane, Logic, Operand, Predicate, Scalar, Vector};
use super::Encoder;
use super::rows::{self, Row};
use super::writer::{Arg, Under, refusal};
use iced_x86::code_asm::{CodeLabel, eax};
use iced_x86::{Code, Register};

impl Encoder<'_> {
    pub(super) fn condition(
        &mut self,
        op: Condition,
        lane: Lane,
        to: Predicate,
        (x, y): (Vector, Operand),
    ) -> Result<(), Refusal> {
        if matches!(lane, Lane::I32 | Lane::I64)
            && matches!(op, Condition::Unordered | Condition::NotLess)
        {
            return self.missing(lane, &op);
        }
        if self.is_avx2() {
            return self.condition_vector(op, lane, to, (x, y));
        }
        let bytes = self.bytes(lane.bytes())?;
        let (x, y, swapped) = self.pooled_last(x, y);
        let y = self.operand(y, lane, bytes)?;
        let x = self.register(x, bytes)?;
        let args = [
            Arg::Mask(self.predicate(to)),
            Arg::Vector(x, bytes),
            y,
            Arg::Byte(selector(op, lane, swapped)),
        ];
        self.writer.row(compare_row(lane), bytes, &args, Under::All)
    }

    pub(super) fn logic(
        &mut self,
        op: Logic,
        to: Predicate,
        x: Predicate,
        y: Predicate,
    ) -> Result<(), Refusal> {
        if self.is_avx2() {
            return self.logic_vector(op, to, (x, y));
        }
        let code = match op {
            Logic::And => Code::VEX_Kandw_kr_kr_kr,
            Logic::Or => Code::VEX_Korw_kr_kr_kr,
            Logic::Xor => Code::VEX_Kxorw_kr_kr_kr,
            Logic::AndNot => Code::VEX_Kandnw_kr_kr_kr,
        };
        let args = [to, x, y].map(|of| Arg::Mask(self.predicate(of)));
        self.writer.instruct(code, &args, Under::All)
    }

    pub(super) fn not(&mut self, to: Predicate, x: Predicate) -> Result<(), Refusal> {
        if self.is_avx2() {
            return self.not_vector(to, x);
        }
        let args = [to, x].map(|of| Arg::Mask(self.predicate(of)));
        self.writer.instruct(Code::VEX_Knotw_kr_kr, &args, Under::All)
    }

    pub(super) fn always(&mut self, to: Predicate, value: bool) -> Result<(), Refusal> {
        if self.is_avx2() {
            return self.always_vector(to, value);
        }
        let code = if value { Code::VEX_Kxnorw_kr_kr_kr } else { Code::VEX_Kxorw_kr_kr_kr };
        self.writer.instruct(code, &[Arg::Mask(self.predicate(to)); 3], Under::All)
    }

    pub(super) fn first_lanes(&mut self, to: Predicate, count: Scalar) -> Result<(), Refusal> {
        if self.is_avx2() {
            return self.first_lanes_vector(to, count);
        }
        self.low_ones(count)?;
        let args = [Arg::Mask(self.predicate(to)), Arg::General(Register::EAX)];
        self.writer.instruct(Code::VEX_Kmovw_kr_r32, &args, Under::All)
    }

    /// Goes to `over` where no lane is true.
    pub(super) fn jump_if_none(&mut self, mask: Predicate, over: CodeLabel) -> Result<(), Refusal> {
        if self.is_avx2() {
            self.test_vector(mask)?;
            return self.writer.asm.je(over).map_err(refusal);
        }
        let mask = Arg::Mask(self.predicate(mask));
        match self.lanes {
            16 => self.writer.instruct(Code::VEX_Kortestw_kr_kr, &[mask; 2], Under::All)?,
            8 => self.writer.instruct(Code::VEX_Kortestb_kr_kr, &[mask; 2], Under::All)?,
            lanes => {
                let args = [Arg::General(Register::EAX), mask];
                self.writer.instruct(Code::VEX_Kmovw_r32_kr, &args, Under::All)?;
                self.writer.asm.test(eax, (1 << lanes) - 1).map_err(refusal)?;
            }
        }
        self.writer.asm.je(over).map_err(refusal)
    }
}

pub(super) fn compare_row(lane: Lane) -> &'static Row {
    match lane {
        Lane::F32 => &rows::COMPARE_F32,
        Lane::F64 => &rows::COMPARE_F64,
        Lane::I32 => &rows::COMPARE_I32,
        Lane::I64 => &rows::COMPARE_I64,
    }
}

/// The number by which an instruction names a condition; `swapped` where its operands changed places.
pub(super) fn selector(op: Condition, lane: Lane, swapped: bool) -> u8 {
    let float = matches!(lane, Lane::F32 | Lane::F64);
    match (op, float, swapped) {
        (Condition::Equal, _, _) => 0,
        (Condition::NotEqual, _, _) => 4,
        (Condition::Unordered, _, _) => 3,
        (Condition::Less, true, false) => 17,
        (Condition::LessEqual, true, false) => 18,
        (Condition::NotLess, _, false) => 21,
        (Condition::NotLess, _, true) => 26,
        (Condition::Less, true, true) => 30,
        (Condition::LessEqual, true, true) => 29,
        (Condition::Less, false, false) => 1,
        (Condition::LessEqual, false, false) => 2,
        (Condition::Less, false, true) => 6,
        (Condition::LessEqual, false, true) => 5,
    }
}
