//! Which Cranelift value holds a vector of each element type.
//!
//! All vectors of a nest have the same number of lanes: 4, or 2 where the nest computes in f64. With 2 lanes an f32
//! or i32 vector uses the low half of its register. Narrow floats are f32 lanes, narrow integers i32 lanes. Truth
//! values are i32 lanes of all ones or zeros; in memory they are bytes, of which every one but 0 is true.
//! Invariant: `One` mode means lane 0 alone is meaningful.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use tilewright_ir::DType;

/// Whether all lanes of a vector are elements, or lane 0 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// All lanes, along the vector axis.
    Vector,
    /// Lane 0.
    One,
}

/// The vector type that holds elements of a type.
pub(super) fn vector_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 | DType::F16 | DType::Bf16 => types::F32X4,
        DType::F64 => types::F64X2,
        DType::I32 | DType::Bool | DType::I16 | DType::I8 | DType::U8 | DType::I4 => types::I32X4,
    }
}

fn scalar_type(dtype: DType) -> Type {
    vector_type(dtype).lane_type()
}

/// Little-endian reinterpretation of bits.
pub(super) fn bitcast(b: &mut FunctionBuilder<'_>, ty: Type, value: Value) -> Value {
    if b.func.dfg.value_type(value) == ty {
        return value;
    }
    let flags = MemFlagsData::new().with_endianness(ir::Endianness::Little);
    b.ins().bitcast(ty, flags, value)
}

/// A vector constant from its lanes' bytes.
pub(super) fn constant(b: &mut FunctionBuilder<'_>, ty: Type, bytes: [u8; 16]) -> Value {
    let handle = b.func.dfg.constants.insert(bytes.to_vec().into());
    b.ins().vconst(ty, handle)
}

/// The same number in every lane.
pub(super) fn splat(b: &mut FunctionBuilder<'_>, dtype: DType, value: f64) -> Value {
    let ty = vector_type(dtype);
    let mut bytes = [0; 16];
    match dtype {
        DType::F64 => fill(&mut bytes, &value.to_bits().to_le_bytes()),
        DType::F32 | DType::F16 | DType::Bf16 => {
            fill(&mut bytes, &(value as f32).to_bits().to_le_bytes());
        }
        DType::Bool => fill(&mut bytes, &(if value == 0.0 { 0 } else { -1_i32 }).to_le_bytes()),
        DType::I32 | DType::I16 | DType::I8 | DType::U8 | DType::I4 => {
            fill(&mut bytes, &(value as i32).to_le_bytes());
        }
    }
    constant(b, ty, bytes)
}

fn fill(bytes: &mut [u8; 16], element: &[u8]) {
    for chunk in bytes.chunks_mut(element.len()) {
        chunk.copy_from_slice(element);
    }
}

/// The lane numbers 0, 1, 2, 3 as i32.
pub(super) fn lane_numbers(b: &mut FunctionBuilder<'_>) -> Value {
    let mut bytes = [0; 16];
    for (lane, chunk) in bytes.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&(lane as u32).to_le_bytes());
    }
    constant(b, types::I32X4, bytes)
}

/// The mask that is true in lane 0 only, in the lane width of `dtype`.
pub(super) fn first_lane_mask(b: &mut FunctionBuilder<'_>, dtype: DType) -> Value {
    let mut bytes = [0; 16];
    let width = usize::try_from(scalar_type(dtype).bytes()).expect("a lane has few bytes");
    bytes[..width].fill(0xff);
    constant(b, types::I8X16, bytes)
}

/// Picks four 32-bit words of a vector of bytes.
pub(super) fn shuffle_words(b: &mut FunctionBuilder<'_>, bytes: Value, words: [u8; 4]) -> Value {
    let mask: Vec<u8> =
        words.iter().flat_map(|word| (0..4).map(move |byte| word * 4 + byte)).collect();
    let mask = b.func.dfg.immediates.push(mask.into());
    b.ins().shuffle(bytes, bytes, mask)
}

/// An address and a displacement that fits an instruction.
pub(super) fn displaced(b: &mut FunctionBuilder<'_>, at: Value, offset: i64) -> (Value, i32) {
    match i32::try_from(offset) {
        Ok(disp) => (at, disp),
        Err(_) => (b.ins().iadd_imm_s(at, offset), 0),
    }
}

/// `first < limit`, signed.
pub(super) fn less(b: &mut FunctionBuilder<'_>, first: Value, limit: Value) -> Value {
    b.ins().icmp(IntCC::SignedLessThan, first, limit)
}
