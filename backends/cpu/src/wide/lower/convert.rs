//! Conversions between element types, on the lanes of a leaf.
//!
//! Invariant: every conversion rounds once, to nearest even, straight from the source; integers saturate (`cast`) or
//! keep their low bits (`wrap`), and what is no number becomes 0. The bits are those of the portable path.

use super::nest::NestLowering;
use super::value::{Value, lane_of};
use crate::wide::program::{Condition, Dyad, Lane, Monad, Shift, Vector};
use tilewright_ir::DType;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::reference::integer_range;

impl NestLowering<'_> {
    /// The value in another type: floats are rounded, integers saturate.
    pub(super) fn cast(&mut self, from: DType, to: DType, x: Value) -> Result<Value, Unsupported> {
        if from == to {
            return Ok(x);
        }
        if from == DType::Bool {
            let (yes, no) = (self.literal(1.0, to).lanes(), self.literal(0.0, to).lanes());
            return Ok(Value::Lanes(self.code.select(lane_of(to), x.truth(), yes, no)));
        }
        let x = x.lanes();
        if to == DType::Bool {
            let zero = self.literal(0.0, from).lanes();
            let truth = self.code.compare(Condition::NotEqual, lane_of(from), x, zero);
            return Ok(Value::Truth(truth));
        }
        Ok(Value::Lanes(match (from, to) {
            _ if from.is_integer() && to.is_integer() => self.saturate(from, to, x),
            _ if from.is_integer() => self.integer_as(from, to, x)?,
            _ if to.is_integer() => {
                let whole = self.as_whole(from, x);
                self.saturate(DType::I32, to, whole)
            }
            (DType::F64, DType::F32) => self.code.monad(Monad::FloatOfDouble, Lane::F64, x),
            (DType::F64, _) => return Err(self.refused("f64 to a 16-bit float in wide vectors")),
            (_, DType::F64) => self.code.monad(Monad::DoubleOfFloat, Lane::F32, x),
            _ => self.round_to(to, x),
        }))
    }

    /// The value as an integer of a type, its low bits kept.
    pub(super) fn wrap(&mut self, from: DType, to: DType, x: Value) -> Result<Value, Unsupported> {
        if from == DType::Bool {
            return self.cast(from, to, x);
        }
        if from.is_float() {
            return Err(self.refused("the low bits of a float in wide vectors"));
        }
        Ok(Value::Lanes(self.normalise(to, x.lanes())))
    }

    /// The number of a type that stands for the result of an operation: floats rounded, integers wrapped.
    pub(super) fn settle(&mut self, dtype: DType, x: Vector) -> Vector {
        match dtype {
            DType::F64 | DType::F32 | DType::I32 | DType::Bool => x,
            DType::F16 | DType::Bf16 => self.round_to(dtype, x),
            DType::I16 | DType::I8 | DType::U8 | DType::I4 => self.normalise(dtype, x),
        }
    }

    /// The low bits of i32 lanes as a number of the type.
    fn normalise(&mut self, dtype: DType, x: Vector) -> Vector {
        if dtype == DType::U8 {
            let mask = self.code.integer(0xff);
            return self.code.dyad(Dyad::And, Lane::I32, x, mask);
        }
        let unused = u8::try_from(32 - dtype.bits()).expect("an integer has at most 32 bits");
        if unused == 0 {
            return x;
        }
        let high = self.code.shift(Shift::Left, Lane::I32, x, unused);
        self.code.shift(Shift::RightArithmetic, Lane::I32, high, unused)
    }

    fn saturate(&mut self, from: DType, to: DType, x: Vector) -> Vector {
        let ((low, high), (least, most)) = (integer_range(to), integer_range(from));
        let mut x = x;
        if least < low {
            let low = self.code.integer(low as i32);
            x = self.code.dyad(Dyad::Max, Lane::I32, x, low);
        }
        if most > high {
            let high = self.code.integer(high as i32);
            x = self.code.dyad(Dyad::Min, Lane::I32, x, high);
        }
        x
    }

    fn integer_as(&mut self, from: DType, to: DType, x: Vector) -> Result<Vector, Unsupported> {
        if to == DType::F64 {
            return Ok(self.code.monad(Monad::DoubleOfInteger, Lane::I32, x));
        }
        if (from, to) == (DType::I32, DType::Bf16) {
            return Err(self.refused("i32 to bf16 in wide vectors"));
        }
        let float = self.code.monad(Monad::FloatOfInteger, Lane::I32, x);
        // Every integer of so few bits is a number of the type.
        let digits = if to == DType::F16 { 11 } else { 8 };
        Ok(if from.bits() <= digits { float } else { self.round_to(to, float) })
    }

    /// f32 lanes rounded to the numbers of a float type.
    fn round_to(&mut self, to: DType, x: Vector) -> Vector {
        match to {
            DType::F16 => self.code.monad(Monad::RoundToF16, Lane::F32, x),
            DType::Bf16 => self.round_to_bf16(x),
            _ => x,
        }
    }

    /// Adds half of the last kept bit, less one where that bit is even; a NaN stays one.
    fn round_to_bf16(&mut self, x: Vector) -> Vector {
        let (one, half) = (self.code.integer(1), self.code.integer(0x7fff));
        let last = self.code.shift(Shift::RightLogical, Lane::I32, x, 16);
        let last = self.code.dyad(Dyad::And, Lane::I32, last, one);
        let rounded = self.code.dyad(Dyad::Add, Lane::I32, x, half);
        let rounded = self.code.dyad(Dyad::Add, Lane::I32, rounded, last);
        let quiet = self.code.integer(0x0040_0000);
        let kept = self.code.dyad(Dyad::Or, Lane::I32, x, quiet);
        let nan = self.code.compare(Condition::Unordered, Lane::F32, x, x);
        let chosen = self.code.select(Lane::I32, nan, kept, rounded);
        let mask = self.code.integer(0xffff_0000_u32.cast_signed());
        self.code.dyad(Dyad::And, Lane::I32, chosen, mask)
    }

    /// Floats rounded to integers as i32 lanes, saturating; 0 for what is no number. Past the largest integer the
    /// conversion gives the least one, and past the least it does, too.
    fn as_whole(&mut self, from: DType, x: Vector) -> Vector {
        let lane = lane_of(from);
        let convert =
            if lane == Lane::F64 { Monad::IntegerOfDouble } else { Monad::IntegerOfFloat };
        let rounded = self.code.monad(Monad::RoundEven, lane, x);
        let whole = self.code.monad(convert, lane, rounded);
        let limit = self.code.float(lane, 2_147_483_648.0);
        let over = self.code.compare(Condition::LessEqual, lane, limit, rounded);
        let (most, none) = (self.code.integer(i32::MAX), self.code.integer(0));
        let whole = self.code.select(Lane::I32, over, most, whole);
        let nan = self.code.compare(Condition::Unordered, lane, x, x);
        self.code.select(Lane::I32, nan, none, whole)
    }
}
