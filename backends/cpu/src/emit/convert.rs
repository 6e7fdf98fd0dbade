//! Conversions between element types, on vectors of lanes.
//!
//! f16 and bf16 live as f32 lanes that hold numbers of the narrow type; i16, i8, u8 and i4 as i32 lanes within the
//! type's range. Memory holds the narrow bits. f16 is converted by integer operations and never touches a subnormal
//! f32, so the result does not depend on how the processor treats subnormals.
//! Invariant: every conversion rounds once, to nearest even, straight from the source; integers saturate (`cast`) or
//! keep their low bits (`wrap`), and what is no number becomes 0.

use super::lanes::{bitcast, shuffle_words, splat, vector_type};
use crate::math::{self, clif::Abilities, clif::ClifLanes};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use tilewright_ir::reference::integer_range;
use tilewright_ir::{DType, UnaryOp};

/// Numbers added to an exponent field of f32: the difference of the biases of f32 and f16.
const REBIAS: i32 = 112 << 23;
/// The bits of 2^-14, the smallest normal f16, as f32.
const F16_NORMAL: i32 = 0x3880_0000;
/// The bits of infinity as f32.
const INFINITY: i32 = 0x7f80_0000;
/// 1.5 * 2^52: a double of this size has its integer part in its low word.
const INTEGER_SHIFT: f64 = 6_755_399_441_055_744.0;

/// Emits conversions into the current block.
pub(super) struct Converter<'a, 'f> {
    pub(super) b: &'a mut FunctionBuilder<'f>,
    pub(super) abilities: Abilities,
}

impl Converter<'_, '_> {
    /// The value in another type: floats are rounded, integers saturate.
    pub(super) fn cast(&mut self, from: DType, to: DType, x: Value) -> Value {
        match (from, to) {
            _ if from == to => x,
            (DType::Bool, _) => self.truth_as(to, x),
            (_, DType::Bool) => self.as_truth(from, x),
            _ if from.is_integer() && to.is_integer() => self.saturate(from, to, x),
            _ if from.is_integer() => self.integer_as(from, to, x),
            _ if to.is_integer() => {
                let whole = self.as_whole(from, x);
                self.saturate(DType::I32, to, whole)
            }
            (DType::F64, DType::F32) => self.b.ins().fvdemote(x),
            (DType::F64, _) => {
                let odd = self.demote_to_odd(x);
                self.round_to(to, odd)
            }
            (_, DType::F64) => self.b.ins().fvpromote_low(x),
            _ => self.round_to(to, x),
        }
    }

    /// The value as an integer of a type, its low bits kept.
    pub(super) fn wrap(&mut self, from: DType, to: DType, x: Value) -> Value {
        let whole = match from {
            DType::Bool => self.b.ins().ineg(x),
            DType::F64 => self.low_bits(true, x),
            DType::F32 | DType::F16 | DType::Bf16 => self.low_bits(false, x),
            DType::I32 | DType::I16 | DType::I8 | DType::U8 | DType::I4 => x,
        };
        self.normalise(to, whole)
    }

    /// The number of a type that stands for the result of an operation: floats rounded, integers wrapped.
    pub(super) fn settle(&mut self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::F64 | DType::F32 | DType::I32 | DType::Bool => x,
            DType::F16 | DType::Bf16 => self.round_to(dtype, x),
            DType::I16 | DType::I8 | DType::U8 | DType::I4 => self.normalise(dtype, x),
        }
    }

    /// The low bits of i32 lanes as a number of the type.
    fn normalise(&mut self, dtype: DType, x: Value) -> Value {
        let unused = 32 - i64::from(dtype.bits());
        if dtype == DType::U8 {
            let mask = self.integers(0xff);
            return self.b.ins().band(x, mask);
        }
        if unused == 0 {
            return x;
        }
        let high = self.b.ins().ishl_imm_u(x, unused);
        self.b.ins().sshr_imm_u(high, unused)
    }

    fn saturate(&mut self, from: DType, to: DType, x: Value) -> Value {
        let ((low, high), (least, most)) = (integer_range(to), integer_range(from));
        let mut x = x;
        if least < low {
            let low = splat(self.b, DType::I32, low);
            x = self.b.ins().smax(x, low);
        }
        if most > high {
            let high = splat(self.b, DType::I32, high);
            x = self.b.ins().smin(x, high);
        }
        x
    }

    fn truth_as(&mut self, to: DType, x: Value) -> Value {
        if to.is_integer() {
            return self.b.ins().ineg(x);
        }
        let (one, zero) = (splat(self.b, to, 1.0), splat(self.b, to, 0.0));
        let mask = if to == DType::F64 { self.b.ins().swiden_low(x) } else { x };
        self.choose(mask, one, zero)
    }

    fn as_truth(&mut self, from: DType, x: Value) -> Value {
        let zero = splat(self.b, from, 0.0);
        if from.is_integer() {
            return self.b.ins().icmp(IntCC::NotEqual, x, zero);
        }
        let mask = self.b.ins().fcmp(FloatCC::NotEqual, x, zero);
        if from == DType::F64 { self.narrow_mask(mask) } else { mask }
    }

    fn integer_as(&mut self, from: DType, to: DType, x: Value) -> Value {
        if to == DType::F64 {
            let wide = self.b.ins().swiden_low(x);
            return self.b.ins().fcvt_from_sint(types::F64X2, wide);
        }
        // A 32-bit integer beyond 2^24 is infinity in f16 and would be rounded twice on its way to bf16.
        let x = if (from, to) == (DType::I32, DType::Bf16) { self.shorten_to_odd(x) } else { x };
        let float = self.b.ins().fcvt_from_sint(types::F32X4, x);
        self.round_to(to, float)
    }

    /// Integers from 2^24 on with 24 significant bits, the last of them set where lower ones were lost: rounding such
    /// a number to fewer bits gives what rounding the integer gives.
    fn shorten_to_odd(&mut self, x: Value) -> Value {
        let (low, odd) = (self.integers(0xff), self.integers(0x100));
        let zero = self.integers(0);
        let lost = self.b.ins().band(x, low);
        let is_lost = self.b.ins().icmp(IntCC::NotEqual, lost, zero);
        let odd = self.b.ins().band(odd, is_lost);
        let kept = self.b.ins().band_not(x, low);
        let short = self.b.ins().bor(kept, odd);
        let magnitude = self.b.ins().iabs(x);
        let limit = self.integers(1 << 24);
        // The magnitude of the least integer is itself, as an unsigned number.
        let large = self.b.ins().icmp(IntCC::UnsignedGreaterThan, magnitude, limit);
        self.choose(large, short, x)
    }

    /// f64 as f32, truncated towards zero with its last bit set where something was lost, in the low lanes.
    fn demote_to_odd(&mut self, x: Value) -> Value {
        let near = self.b.ins().fvdemote(x);
        let back = self.b.ins().fvpromote_low(near);
        let (a, b) = (self.b.ins().fabs(back), self.b.ins().fabs(x));
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, a, b);
        let inexact = self.b.ins().fcmp(FloatCC::NotEqual, a, b);
        let (above, inexact) = (self.narrow_mask(above), self.narrow_mask(inexact));
        let bits = bitcast(self.b, types::I32X4, near);
        // A mask is -1, so adding it steps one number towards zero.
        let truncated = self.b.ins().iadd(bits, above);
        let one = self.integers(1);
        let sticky = self.b.ins().band(inexact, one);
        let odd = self.b.ins().bor(truncated, sticky);
        bitcast(self.b, types::F32X4, odd)
    }

    /// f32 lanes rounded to the numbers of a float type.
    fn round_to(&mut self, to: DType, x: Value) -> Value {
        match to {
            DType::F16 => self.round_to_f16(x),
            DType::Bf16 => self.round_to_bf16(x),
            _ => x,
        }
    }

    fn round_to_bf16(&mut self, x: Value) -> Value {
        let bits = bitcast(self.b, types::I32X4, x);
        let rounded = self.round_bits(bits, 16);
        let quiet = self.integers(0x0040_0000);
        let kept = self.b.ins().bor(bits, quiet);
        let nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
        let chosen = self.choose(nan, kept, rounded);
        let mask = self.integers(0xffff_0000_u32.cast_signed());
        let result = self.b.ins().band(chosen, mask);
        bitcast(self.b, types::F32X4, result)
    }

    /// Adds half of the last kept bit, less one where that bit is even; the lost bits are not cleared.
    fn round_bits(&mut self, bits: Value, lost: u32) -> Value {
        let (one, half) = (self.integers(1), self.integers((1 << (lost - 1)) - 1));
        let last = self.b.ins().ushr_imm_u(bits, i64::from(lost));
        let last = self.b.ins().band(last, one);
        let bits = self.b.ins().iadd(bits, half);
        self.b.ins().iadd(bits, last)
    }

    fn round_to_f16(&mut self, x: Value) -> Value {
        let magnitude = self.b.ins().fabs(x);
        let bits = bitcast(self.b, types::I32X4, magnitude);
        let rounded = self.round_bits(bits, 13);
        let kept = self.integers(!0x1fff);
        let rounded = self.b.ins().band(rounded, kept);
        let (infinity, limit) = (self.integers(INFINITY), self.integers(0x4780_0000));
        let over = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, rounded, limit);
        let rounded = self.choose(over, infinity, rounded);
        // 0.5 has the last bit 2^-24, that of the subnormal f16.
        let half = splat(self.b, DType::F32, 0.5);
        let shifted = self.b.ins().fadd(magnitude, half);
        let small = self.b.ins().fsub(shifted, half);
        let normal = self.integers(F16_NORMAL);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, bits, normal);
        let small = bitcast(self.b, types::I32X4, small);
        let rounded = self.choose(is_small, small, rounded);
        let (quiet, not_number) = (self.integers(0x0040_0000), self.integers(INFINITY));
        let payload = self.b.ins().bor(bits, quiet);
        let payload = self.b.ins().band(payload, kept);
        let nan = self.b.ins().icmp(IntCC::SignedGreaterThan, bits, not_number);
        let result = self.choose(nan, payload, rounded);
        let sign = self.integers(i32::MIN);
        let whole = bitcast(self.b, types::I32X4, x);
        let sign = self.b.ins().band(whole, sign);
        let result = self.b.ins().bor(result, sign);
        bitcast(self.b, types::F32X4, result)
    }

    /// Floats rounded to integers as i32 lanes, saturating; 0 for what is no number.
    fn as_whole(&mut self, from: DType, x: Value) -> Value {
        let rounded = self.float_unary(from == DType::F64, UnaryOp::Round, x);
        if from != DType::F64 {
            return self.b.ins().fcvt_to_sint_sat(types::I32X4, rounded);
        }
        let (low, high) = integer_range(DType::I32);
        let (low, high) = (splat(self.b, DType::F64, low), splat(self.b, DType::F64, high));
        let below = self.b.ins().fcmp(FloatCC::LessThan, rounded, low);
        let clamped = self.choose(below, low, rounded);
        let above = self.b.ins().fcmp(FloatCC::GreaterThan, clamped, high);
        let clamped = self.choose(above, high, clamped);
        self.whole_of_double(clamped)
    }

    /// The i32 lanes of whole doubles within the range of i32; 0 for what is no number.
    fn whole_of_double(&mut self, x: Value) -> Value {
        let shift = splat(self.b, DType::F64, INTEGER_SHIFT);
        let shifted = self.b.ins().fadd(x, shift);
        let number = self.b.ins().fcmp(FloatCC::Ordered, x, x);
        let bits = bitcast(self.b, types::I64X2, shifted);
        let number = bitcast(self.b, types::I64X2, number);
        let bits = self.b.ins().band(bits, number);
        self.narrow_mask(bits)
    }

    /// Floats rounded to integers, modulo 2^32; 0 for what is no number.
    fn low_bits(&mut self, double: bool, x: Value) -> Value {
        let dtype = if double { DType::F64 } else { DType::F32 };
        let rounded = self.float_unary(double, UnaryOp::Round, x);
        let magnitude = self.b.ins().fabs(rounded);
        let turn = splat(self.b, dtype, 4_294_967_296.0);
        let inverse = splat(self.b, dtype, 1.0 / 4_294_967_296.0);
        let turns = self.b.ins().fmul(magnitude, inverse);
        let turns = self.float_unary(double, UnaryOp::Floor, turns);
        let whole = self.b.ins().fmul(turns, turn);
        let rest = self.b.ins().fsub(magnitude, whole);
        let half = splat(self.b, dtype, 2_147_483_648.0);
        let upper = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, rest, half);
        let folded = self.b.ins().fsub(rest, turn);
        let rest = self.choose(upper, folded, rest);
        let zero = splat(self.b, dtype, 0.0);
        let negative = self.b.ins().fcmp(FloatCC::LessThan, rounded, zero);
        let (bits, negative) = if double {
            (self.whole_of_double(rest), self.narrow_mask(negative))
        } else {
            (self.b.ins().fcvt_to_sint_sat(types::I32X4, rest), negative)
        };
        let negated = self.b.ins().ineg(bits);
        self.choose(negative, negated, bits)
    }

    /// Integer lanes from memory as lanes of the type.
    pub(super) fn read_as(&mut self, dtype: DType, raw: Value) -> Value {
        match dtype {
            DType::Bool => {
                let zero = self.integers(0);
                self.b.ins().icmp(IntCC::NotEqual, raw, zero)
            }
            DType::F16 => self.unpack_f16(raw),
            DType::Bf16 => {
                let bits = self.b.ins().ishl_imm_u(raw, 16);
                bitcast(self.b, types::F32X4, bits)
            }
            DType::F64 | DType::F32 | DType::I32 => raw,
            DType::I16 | DType::I8 | DType::U8 | DType::I4 => raw,
        }
    }

    /// Lanes of a type as i32 lanes whose low bits go to memory; no other bit is set in lanes of 16-bit floats.
    pub(super) fn written_as(&mut self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::Bool => self.b.ins().ineg(x),
            DType::F16 => self.pack_f16(x),
            DType::Bf16 => {
                let bits = bitcast(self.b, types::I32X4, x);
                self.b.ins().ushr_imm_u(bits, 16)
            }
            DType::F64 | DType::F32 | DType::I32 => x,
            DType::I16 | DType::I8 | DType::U8 | DType::I4 => x,
        }
    }

    fn unpack_f16(&mut self, raw: Value) -> Value {
        let low = self.integers(0x7fff);
        let field = self.b.ins().band(raw, low);
        let field = self.b.ins().ishl_imm_u(field, 13);
        let (rebias, infinite) = (self.integers(REBIAS), self.integers(0x1f << 23));
        let normal = self.b.ins().iadd(field, rebias);
        let top = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, field, infinite);
        let more = self.b.ins().band(top, rebias);
        let normal = self.b.ins().iadd(normal, more);
        // A subnormal f16 is the fraction of a number from 2^-14 on, less 2^-14.
        let smallest = self.integers(F16_NORMAL);
        let small = self.b.ins().iadd(field, smallest);
        let small = bitcast(self.b, types::F32X4, small);
        let smallest = bitcast(self.b, types::F32X4, smallest);
        let small = self.b.ins().fsub(small, smallest);
        let one = self.integers(1 << 23);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, field, one);
        let small = bitcast(self.b, types::I32X4, small);
        let magnitude = self.choose(is_small, small, normal);
        let sign = self.integers(0x8000);
        let sign = self.b.ins().band(raw, sign);
        let sign = self.b.ins().ishl_imm_u(sign, 16);
        let bits = self.b.ins().bor(magnitude, sign);
        bitcast(self.b, types::F32X4, bits)
    }

    fn pack_f16(&mut self, x: Value) -> Value {
        let bits = bitcast(self.b, types::I32X4, x);
        let magnitude = self.b.ins().fabs(x);
        let field = bitcast(self.b, types::I32X4, magnitude);
        let rebias = self.integers(REBIAS);
        let normal = self.b.ins().isub(field, rebias);
        let normal = self.b.ins().ushr_imm_u(normal, 13);
        let half = splat(self.b, DType::F32, 0.5);
        let shifted = self.b.ins().fadd(magnitude, half);
        let shifted = bitcast(self.b, types::I32X4, shifted);
        let half = bitcast(self.b, types::I32X4, half);
        let small = self.b.ins().isub(shifted, half);
        let smallest = self.integers(F16_NORMAL);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, field, smallest);
        let result = self.choose(is_small, small, normal);
        let (infinity, ten, exponent) =
            (self.integers(INFINITY), self.integers(0x3ff), self.integers(0x7c00));
        let is_top = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, field, infinity);
        let payload = self.b.ins().ushr_imm_u(field, 13);
        let payload = self.b.ins().band(payload, ten);
        let top = self.b.ins().bor(payload, exponent);
        let result = self.choose(is_top, top, result);
        let sign = self.integers(0x8000);
        let high = self.b.ins().ushr_imm_u(bits, 16);
        let sign = self.b.ins().band(high, sign);
        self.b.ins().bor(result, sign)
    }

    fn float_unary(&mut self, double: bool, op: UnaryOp, x: Value) -> Value {
        let mut lanes = ClifLanes::new(self.b, double, self.abilities);
        math::unary(&mut lanes, op, x).expect("rounding to an integer is always expanded")
    }

    fn integers(&mut self, value: i32) -> Value {
        splat(self.b, DType::I32, f64::from(value))
    }

    /// The low words of two 64-bit lanes as the low i32 lanes.
    pub(super) fn narrow_mask(&mut self, mask: Value) -> Value {
        let words = bitcast(self.b, types::I8X16, mask);
        let narrowed = shuffle_words(self.b, words, [0, 2, 0, 2]);
        bitcast(self.b, types::I32X4, narrowed)
    }

    fn choose(&mut self, mask: Value, x: Value, y: Value) -> Value {
        let ty: Type = self.b.func.dfg.value_type(x);
        let mask = bitcast(self.b, ty, mask);
        self.b.ins().bitselect(mask, x, y)
    }

    /// Truncating division of i32 lanes; by zero it is 0, and the least integer by -1 wraps.
    pub(super) fn divide(&mut self, lanes: u64, x: Value, y: Value) -> Value {
        let mut result = splat(self.b, DType::I32, 0.0);
        for lane in 0..u8::try_from(lanes).expect("a vector has few lanes") {
            let (x, y) = (self.b.ins().extractlane(x, lane), self.b.ins().extractlane(y, lane));
            let zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
            let minus = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
            let special = self.b.ins().bor(zero, minus);
            let one = self.b.ins().iconst(types::I32, 1);
            let divisor = self.b.ins().select(special, one, y);
            let quotient = self.b.ins().sdiv(x, divisor);
            let negated = self.b.ins().ineg(x);
            let quotient = self.b.ins().select(minus, negated, quotient);
            let none = self.b.ins().iconst(types::I32, 0);
            let quotient = self.b.ins().select(zero, none, quotient);
            result = self.b.ins().insertlane(result, quotient, lane);
        }
        debug_assert_eq!(self.b.func.dfg.value_type(result), vector_type(DType::I32));
        result
    }
}
