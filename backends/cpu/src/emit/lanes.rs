//! Which Cranelift value holds a vector of each element type, and how memory elements get in and out of it.
//!
//! All vectors of a nest have the same number of lanes: 4, or 2 where the nest computes in f64. With 2 lanes an f32
//! or i32 vector uses the low half of its register. Truth values are i32 lanes of all ones or zeros; in memory they
//! are bytes, of which every one but 0 is true.
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

/// The vector type of an element type; `None` for types this path does not compute in.
pub(super) fn vector_type(dtype: DType) -> Option<Type> {
    match dtype {
        DType::F32 => Some(types::F32X4),
        DType::F64 => Some(types::F64X2),
        DType::I32 | DType::Bool => Some(types::I32X4),
        DType::F16 | DType::Bf16 | DType::I16 | DType::I8 | DType::U8 | DType::I4 => None,
    }
}

fn scalar_type(dtype: DType) -> Type {
    vector_type(dtype).expect("the nest was checked for types").lane_type()
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
    let ty = vector_type(dtype).expect("the nest was checked for types");
    let mut bytes = [0; 16];
    match dtype {
        DType::F64 => fill(&mut bytes, &value.to_bits().to_le_bytes()),
        DType::F32 => fill(&mut bytes, &(value as f32).to_bits().to_le_bytes()),
        DType::Bool => fill(&mut bytes, &(if value == 0.0 { 0 } else { -1_i32 }).to_le_bytes()),
        DType::I32 | DType::F16 | DType::Bf16 | DType::I16 | DType::I8 | DType::U8 | DType::I4 => {
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

/// Loads one element into lane 0.
pub(super) fn load_one(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    flags: MemFlagsData,
    at: Value,
    disp: i32,
) -> Value {
    let ty = vector_type(dtype).expect("the nest was checked for types");
    let scalar = load_scalar(b, dtype, flags, at, disp);
    let vector = b.ins().scalar_to_vector(ty, scalar);
    truths(b, dtype, vector)
}

/// Loads one element as a number of the lane type; a truth value as its byte.
fn load_scalar(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    flags: MemFlagsData,
    at: Value,
    disp: i32,
) -> Value {
    match dtype {
        DType::Bool => b.ins().uload8(types::I32, flags, at, disp),
        _ => b.ins().load(scalar_type(dtype), flags, at, disp),
    }
}

/// Lanes of bytes from memory as truth values; other types as they are.
fn truths(b: &mut FunctionBuilder<'_>, dtype: DType, vector: Value) -> Value {
    if dtype != DType::Bool {
        return vector;
    }
    let zero = splat(b, DType::I32, 0.0);
    b.ins().icmp(IntCC::NotEqual, vector, zero)
}

/// Loads one element into every lane.
pub(super) fn load_splat(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    flags: MemFlagsData,
    at: Value,
    disp: i32,
) -> Value {
    let ty = vector_type(dtype).expect("the nest was checked for types");
    let scalar = load_scalar(b, dtype, flags, at, disp);
    let vector = b.ins().splat(ty, scalar);
    truths(b, dtype, vector)
}

/// Loads `lanes` adjacent elements.
pub(super) fn load_adjacent(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    lanes: u64,
    flags: MemFlagsData,
    (at, disp): (Value, i32),
) -> Value {
    if dtype == DType::Bool {
        return load_strided(b, dtype, lanes, flags, (at, i64::from(disp), 1));
    }
    let ty = vector_type(dtype).expect("the nest was checked for types");
    if lanes == u64::from(ty.lane_count()) {
        return b.ins().load(ty, flags, at, disp);
    }
    let half = b.ins().load(types::I64, flags, at, disp);
    let vector = b.ins().scalar_to_vector(types::I64X2, half);
    bitcast(b, ty, vector)
}

/// Loads `lanes` elements that lie `stride` bytes apart.
pub(super) fn load_strided(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    lanes: u64,
    flags: MemFlagsData,
    (at, disp, stride): (Value, i64, i64),
) -> Value {
    let ty = vector_type(dtype).expect("the nest was checked for types");
    let mut vector = None;
    for lane in 0..lanes {
        let offset = disp + i64::try_from(lane).expect("a vector has few lanes") * stride;
        let (at, disp) = displaced(b, at, offset);
        let scalar = load_scalar(b, dtype, flags, at, disp);
        vector = Some(match vector {
            None => b.ins().scalar_to_vector(ty, scalar),
            Some(vector) => b.ins().insertlane(
                vector,
                scalar,
                u8::try_from(lane).expect("a vector has few lanes"),
            ),
        });
    }
    truths(b, dtype, vector.expect("a vector has lanes"))
}

/// Loads one element for each address into the lanes.
pub(super) fn load_each(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    flags: MemFlagsData,
    places: &[(Value, i32)],
) -> Value {
    let ty = vector_type(dtype).expect("the nest was checked for types");
    let mut vector = None;
    for (lane, &(at, disp)) in places.iter().enumerate() {
        let lane = u8::try_from(lane).expect("a vector has few lanes");
        let scalar = load_scalar(b, dtype, flags, at, disp);
        vector = Some(match vector {
            None => b.ins().scalar_to_vector(ty, scalar),
            Some(vector) => b.ins().insertlane(vector, scalar, lane),
        });
    }
    truths(b, dtype, vector.expect("a vector has lanes"))
}

/// Stores `lanes` elements that lie `stride` bytes apart (adjacent ones at once).
pub(super) fn store(
    b: &mut FunctionBuilder<'_>,
    dtype: DType,
    lanes: u64,
    value: Value,
    (at, disp, stride): (Value, i64, i64),
) {
    let flags = MemFlagsData::new().with_notrap();
    let ty = scalar_type(dtype);
    let adjacent = dtype != DType::Bool && stride == i64::from(ty.bytes());
    if adjacent && lanes == u64::from(b.func.dfg.value_type(value).lane_count()) {
        let (at, disp) = displaced(b, at, disp);
        b.ins().store(flags, value, at, disp);
        return;
    }
    for lane in 0..lanes {
        let lane_index = u8::try_from(lane).expect("a vector has few lanes");
        let offset = disp + i64::from(lane_index) * stride;
        let (at, disp) = displaced(b, at, offset);
        let scalar = b.ins().extractlane(value, lane_index);
        if dtype == DType::Bool {
            let byte = b.ins().band_imm_s(scalar, 1);
            b.ins().istore8(flags, byte, at, disp);
        } else {
            b.ins().store(flags, scalar, at, disp);
        }
    }
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
