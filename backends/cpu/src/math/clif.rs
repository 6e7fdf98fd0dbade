//! The lane operations as Cranelift instructions on 128-bit vectors: four f32 or two f64.
//!
//! Invariant: no operation becomes a library call, whatever the target lacks: a fused multiply-add
//! becomes two instructions, and rounding to an integer is done by additions. Constants are
//! `vconst`s, which live behind the code.

use std::fmt;

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32X4, F64X2, I32X4, I64X2};
use cranelift_codegen::ir::{
    ConstantData, Endianness, InstBuilder, MemFlagsData, Type, Value, immediates::Ieee32,
    immediates::Ieee64,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::FunctionBuilder;
use target_lexicon::Architecture;

use super::Lanes;

/// Instructions that a target may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// A fused multiply-add.
    pub fused: bool,
    /// Rounding to an integer in the float format (SSE4.1 on x86-64).
    pub rounds: bool,
}

impl Abilities {
    /// What code for `isa` may use.
    pub fn of(isa: &dyn TargetIsa) -> Self {
        if isa.triple().architecture != Architecture::X86_64 {
            return Self { fused: true, rounds: true };
        }
        let flags = isa.isa_flags();
        let has =
            |name: &str| flags.iter().any(|flag| flag.name == name && flag.as_bool() == Some(true));
        Self { fused: has("has_fma") && has("has_avx"), rounds: has("has_sse41") }
    }
}

/// Emits into the current block of a builder. All values are vectors of the lane type, or integers
/// as wide.
pub struct ClifLanes<'a, 'b> {
    builder: &'a mut FunctionBuilder<'b>,
    double: bool,
    abilities: Abilities,
}

impl fmt::Debug for ClifLanes<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClifLanes")
            .field("double", &self.double)
            .field("abilities", &self.abilities)
            .finish_non_exhaustive()
    }
}

impl<'a, 'b> ClifLanes<'a, 'b> {
    /// Lanes of f64 if `double`, else of f32.
    pub fn new(builder: &'a mut FunctionBuilder<'b>, double: bool, abilities: Abilities) -> Self {
        Self { builder, double, abilities }
    }

    /// The Cranelift type of a register of floats.
    pub fn float_type(&self) -> Type {
        if self.double { F64X2 } else { F32X4 }
    }

    fn int_type(&self) -> Type {
        if self.double { I64X2 } else { I32X4 }
    }

    fn splat(&mut self, ty: Type, value: u64) -> Value {
        let mut bytes = value.to_le_bytes().to_vec();
        bytes.truncate(if self.double { 8 } else { 4 });
        let data = ConstantData::from(bytes.repeat(if self.double { 2 } else { 4 }));
        let constant = self.builder.func.dfg.constants.insert(data);
        self.builder.ins().vconst(ty, constant)
    }

    fn cast(&mut self, ty: Type, value: Value) -> Value {
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.builder.ins().bitcast(ty, flags, value)
    }

    fn compare(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        self.builder.ins().fcmp(condition, a, b)
    }
}

impl Lanes for ClifLanes<'_, '_> {
    type F = Value;
    type I = Value;
    type M = Value;

    fn double(&self) -> bool {
        self.double
    }
    fn fused(&self) -> bool {
        self.abilities.fused
    }
    fn float(&mut self, value: f64) -> Value {
        let bits = if self.double {
            Ieee64::with_float(value).bits()
        } else {
            u64::from(Ieee32::with_float(value as f32).bits())
        };
        self.splat(self.float_type(), bits)
    }
    fn int(&mut self, value: u64) -> Value {
        self.splat(self.int_type(), value)
    }
    fn add(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().fadd(a, b)
    }
    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().fsub(a, b)
    }
    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().fmul(a, b)
    }
    fn div(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().fdiv(a, b)
    }
    fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        if self.abilities.fused {
            self.builder.ins().fma(a, b, c)
        } else {
            let product = self.builder.ins().fmul(a, b);
            self.builder.ins().fadd(product, c)
        }
    }
    fn sqrt(&mut self, a: Value) -> Value {
        self.builder.ins().sqrt(a)
    }
    fn lt(&mut self, a: Value, b: Value) -> Value {
        self.compare(FloatCC::LessThan, a, b)
    }
    fn eq(&mut self, a: Value, b: Value) -> Value {
        self.compare(FloatCC::Equal, a, b)
    }
    fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        // The back end recognises minps, maxps and a blend in this shape.
        let mask = self.cast(self.float_type(), mask);
        self.builder.ins().bitselect(mask, a, b)
    }
    fn bits(&mut self, a: Value) -> Value {
        self.cast(self.int_type(), a)
    }
    fn as_float(&mut self, a: Value) -> Value {
        self.cast(self.float_type(), a)
    }
    fn iadd(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().iadd(a, b)
    }
    fn isub(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().isub(a, b)
    }
    fn iand(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().band(a, b)
    }
    fn ior(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().bor(a, b)
    }
    fn ixor(&mut self, a: Value, b: Value) -> Value {
        self.builder.ins().bxor(a, b)
    }
    fn shl(&mut self, a: Value, count: u32) -> Value {
        let count = self.builder.ins().iconst(cranelift_codegen::ir::types::I32, i64::from(count));
        self.builder.ins().ishl(a, count)
    }
    fn shr(&mut self, a: Value, count: u32) -> Value {
        let count = self.builder.ins().iconst(cranelift_codegen::ir::types::I32, i64::from(count));
        self.builder.ins().ushr(a, count)
    }
    fn unlikely(
        &mut self,
        mask: Value,
        x: Value,
        usual: Value,
        rare: fn(&mut Self, Value) -> Value,
    ) -> Value {
        let vector = self.float_type();
        let (cold, join) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(cold);
        let result = self.builder.append_block_param(join, vector);
        let any = self.builder.ins().vany_true(mask);
        self.builder.ins().brif(any, cold, &[], join, &[usual.into()]);
        self.builder.seal_block(cold);
        self.builder.switch_to_block(cold);
        let value = rare(self, x);
        let value = self.select(mask, value, usual);
        self.builder.ins().jump(join, &[value.into()]);
        self.builder.seal_block(join);
        self.builder.switch_to_block(join);
        result
    }
    fn round_even(&mut self, a: Value) -> Value {
        if self.abilities.rounds {
            self.builder.ins().nearest(a)
        } else {
            super::round_by_addition(self, a)
        }
    }
    fn floor(&mut self, a: Value) -> Value {
        if self.abilities.rounds {
            self.builder.ins().floor(a)
        } else {
            super::floor_by_rounding(self, a)
        }
    }
}
