//! Loads and stores of vectors: how the elements of a type lie in memory, and how they get into lanes.
//!
//! Adjacent narrow elements are read by one load and widened by shuffles, written by saturating packs and one store.
//! Packed i4 elements have no address of their own: pointers to them count half bytes (`packed`).
//! Invariant: no byte outside of the elements named is read or written.

use super::convert::Converter;
use super::lanes::{bitcast, constant, displaced, vector_type};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use tilewright_ir::DType;

/// Elements in memory: the address of the first, a displacement, and the distance between neighbours, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements {
    pub(super) at: Value,
    pub(super) displacement: i64,
    pub(super) stride: i64,
}

/// Which lanes a load fills.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lanes {
    /// Lane 0.
    First,
    /// All, with one element.
    Same,
    /// This many, with neighbours.
    Along(u64),
}

fn bytes_of(lanes: [[u8; 4]; 4]) -> [u8; 16] {
    std::array::from_fn(|byte| lanes[byte / 4][byte % 4])
}

/// The places of elements one stride apart.
fn neighbours(lanes: u64, from: Elements) -> Vec<(Value, i64)> {
    let lanes = i64::try_from(lanes).expect("a vector has few lanes");
    (0..lanes).map(|lane| (from.at, from.displacement + lane * from.stride)).collect()
}

/// Whether elements lie in memory as they do in lanes.
fn is_plain(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::I32)
}

impl Converter<'_, '_> {
    /// Loads one element into lane 0.
    pub(super) fn load_one(
        &mut self,
        dtype: DType,
        flags: MemFlagsData,
        (at, displacement): (Value, i64),
    ) -> Value {
        let scalar = self.load_scalar(dtype, flags, at, displacement);
        let ty = if is_plain(dtype) { vector_type(dtype) } else { types::I32X4 };
        let raw = self.b.ins().scalar_to_vector(ty, scalar);
        self.read_as(dtype, raw)
    }

    /// Loads one element into every lane.
    pub(super) fn load_splat(
        &mut self,
        dtype: DType,
        flags: MemFlagsData,
        (at, displacement): (Value, i64),
    ) -> Value {
        let scalar = self.load_scalar(dtype, flags, at, displacement);
        let ty = if is_plain(dtype) { vector_type(dtype) } else { types::I32X4 };
        let raw = self.b.ins().splat(ty, scalar);
        self.read_as(dtype, raw)
    }

    /// Loads the bits of one element, extended to a lane.
    fn load_scalar(
        &mut self,
        dtype: DType,
        flags: MemFlagsData,
        at: Value,
        displacement: i64,
    ) -> Value {
        let (at, displacement) = displaced(self.b, at, displacement);
        let ins = self.b.ins();
        match dtype {
            DType::F64 | DType::F32 | DType::I32 => {
                ins.load(vector_type(dtype).lane_type(), flags, at, displacement)
            }
            DType::F16 | DType::Bf16 => ins.uload16(types::I32, flags, at, displacement),
            DType::I16 => ins.sload16(types::I32, flags, at, displacement),
            DType::I8 | DType::I4 => ins.sload8(types::I32, flags, at, displacement),
            DType::U8 | DType::Bool => ins.uload8(types::I32, flags, at, displacement),
        }
    }

    /// Loads packed elements: one, in every lane, or `lanes` along the vector axis. `is_even` says that the first one is
    /// known to begin a byte.
    pub(super) fn load_packed(
        &mut self,
        lanes: Lanes,
        flags: MemFlagsData,
        from: Elements,
        is_even: bool,
    ) -> Value {
        let at = self.b.ins().iadd_imm_s(from.at, from.displacement);
        match lanes {
            Lanes::First => {
                let nibble = self.packed_scalar(at, flags);
                self.b.ins().scalar_to_vector(types::I32X4, nibble)
            }
            Lanes::Same => {
                let nibble = self.packed_scalar(at, flags);
                self.b.ins().splat(types::I32X4, nibble)
            }
            Lanes::Along(lanes) if from.stride == 1 => {
                let bits = self.packed_bits(lanes, at, flags, is_even);
                // Each lane moves its own half byte to the top, and back down with its sign.
                let all = self.b.ins().splat(types::I32X4, bits);
                let shifts = [1_u32 << 28, 1 << 24, 1 << 20, 1 << 16].map(u32::to_le_bytes);
                let shifts = constant(self.b, types::I32X4, bytes_of(shifts));
                let top = self.b.ins().imul(all, shifts);
                self.b.ins().sshr_imm_u(top, 28)
            }
            Lanes::Along(lanes) => self.load_each_packed(flags, &neighbours(lanes, from)),
        }
    }

    /// One packed element as an i32.
    fn packed_scalar(&mut self, at: Value, flags: MemFlagsData) -> Value {
        let address = self.b.ins().ushr_imm_u(at, 1);
        let byte = self.b.ins().uload8(types::I32, flags, address, 0);
        let half = self.b.ins().ireduce(types::I32, at);
        let half = self.b.ins().band_imm_u(half, 1);
        let high = self.b.ins().ishl_imm_u(half, 2);
        let byte = self.b.ins().ushr(byte, high);
        let top = self.b.ins().ishl_imm_u(byte, 28);
        self.b.ins().sshr_imm_u(top, 28)
    }

    /// 2 or 4 adjacent packed elements in the low bits of an i32. Elements that begin inside a byte reach into one more
    /// byte; it is the byte of the last element, so nothing behind the elements is read.
    fn packed_bits(&mut self, lanes: u64, at: Value, flags: MemFlagsData, is_even: bool) -> Value {
        let first = self.b.ins().ushr_imm_u(at, 1);
        let bits = match lanes {
            4 => self.b.ins().uload16(types::I32, flags, first, 0),
            _ => self.b.ins().uload8(types::I32, flags, first, 0),
        };
        if is_even {
            return bits;
        }
        let span = i64::try_from(lanes - 1).expect("a vector has few lanes");
        let last = self.b.ins().iadd_imm_s(at, span);
        let last = self.b.ins().ushr_imm_u(last, 1);
        let more = self.b.ins().uload8(types::I32, flags, last, 0);
        let distance = self.b.ins().isub(last, first);
        let distance = self.b.ins().ireduce(types::I32, distance);
        let distance = self.b.ins().ishl_imm_u(distance, 3);
        let more = self.b.ins().ishl(more, distance);
        let bits = self.b.ins().bor(bits, more);
        let half = self.b.ins().ireduce(types::I32, at);
        let half = self.b.ins().band_imm_u(half, 1);
        let half = self.b.ins().ishl_imm_u(half, 2);
        self.b.ins().ushr(bits, half)
    }

    /// Loads `lanes` elements along the vector axis.
    pub(super) fn load_lanes(
        &mut self,
        dtype: DType,
        lanes: u64,
        flags: MemFlagsData,
        from: Elements,
    ) -> Value {
        let adjacent = i64::try_from(dtype.bytes()).is_ok_and(|bytes| bytes == from.stride);
        let raw = if adjacent {
            let at = displaced(self.b, from.at, from.displacement);
            self.load_adjacent(dtype, lanes, flags, at)
        } else {
            self.load_strided(dtype, lanes, flags, from)
        };
        self.read_as(dtype, raw)
    }

    fn load_adjacent(
        &mut self,
        dtype: DType,
        lanes: u64,
        flags: MemFlagsData,
        (at, displacement): (Value, i32),
    ) -> Value {
        let ins = self.b.ins();
        match (dtype, lanes) {
            (DType::F64, _) => ins.load(types::F64X2, flags, at, displacement),
            (DType::F32 | DType::I32, 4) => ins.load(vector_type(dtype), flags, at, displacement),
            (DType::F32 | DType::I32, _) => {
                let half = ins.load(types::I64, flags, at, displacement);
                let vector = self.b.ins().scalar_to_vector(types::I64X2, half);
                bitcast(self.b, vector_type(dtype), vector)
            }
            (DType::F16 | DType::Bf16, 4) => ins.uload16x4(flags, at, displacement),
            (DType::I16, 4) => ins.sload16x4(flags, at, displacement),
            (DType::F16 | DType::Bf16 | DType::I16, _) => {
                let pair = ins.load(types::I32, flags, at, displacement);
                let halves = self.in_low_lanes(pair, types::I16X8);
                let signed = dtype == DType::I16;
                if signed {
                    self.b.ins().swiden_low(halves)
                } else {
                    self.b.ins().uwiden_low(halves)
                }
            }
            (DType::I8 | DType::U8 | DType::I4 | DType::Bool, _) => {
                let elements = match lanes {
                    4 => ins.load(types::I32, flags, at, displacement),
                    _ => ins.uload16(types::I32, flags, at, displacement),
                };
                let bytes = self.in_low_lanes(elements, types::I8X16);
                if matches!(dtype, DType::U8 | DType::Bool) {
                    let halves = self.b.ins().uwiden_low(bytes);
                    self.b.ins().uwiden_low(halves)
                } else {
                    let halves = self.b.ins().swiden_low(bytes);
                    self.b.ins().swiden_low(halves)
                }
            }
        }
    }

    /// The bits of an i32 as the low lanes of a vector of narrower ones.
    fn in_low_lanes(&mut self, bits: Value, ty: Type) -> Value {
        let vector = self.b.ins().scalar_to_vector(types::I32X4, bits);
        bitcast(self.b, ty, vector)
    }

    fn load_strided(
        &mut self,
        dtype: DType,
        lanes: u64,
        flags: MemFlagsData,
        from: Elements,
    ) -> Value {
        let ty = if is_plain(dtype) { vector_type(dtype) } else { types::I32X4 };
        let places = neighbours(lanes, from);
        self.each_lane(ty, &places, |convert, (at, displacement)| {
            convert.load_scalar(dtype, flags, at, displacement)
        })
    }

    /// Loads one element for each address into the lanes.
    pub(super) fn load_each(
        &mut self,
        dtype: DType,
        flags: MemFlagsData,
        places: &[(Value, i64)],
    ) -> Value {
        let ty = if is_plain(dtype) { vector_type(dtype) } else { types::I32X4 };
        let load = |convert: &mut Self, (at, displacement)| {
            convert.load_scalar(dtype, flags, at, displacement)
        };
        let raw = self.each_lane(ty, places, load);
        self.read_as(dtype, raw)
    }

    /// Loads one packed element for each address into the lanes.
    pub(super) fn load_each_packed(
        &mut self,
        flags: MemFlagsData,
        places: &[(Value, i64)],
    ) -> Value {
        self.each_lane(types::I32X4, places, |convert, (at, displacement)| {
            let at = convert.b.ins().iadd_imm_s(at, displacement);
            convert.packed_scalar(at, flags)
        })
    }

    /// A vector of scalars, one for each address.
    fn each_lane(
        &mut self,
        ty: Type,
        places: &[(Value, i64)],
        load: impl Fn(&mut Self, (Value, i64)) -> Value,
    ) -> Value {
        let mut vector = None;
        for (lane, &place) in places.iter().enumerate() {
            let lane = u8::try_from(lane).expect("a vector has few lanes");
            let scalar = load(self, place);
            vector = Some(match vector {
                None => self.b.ins().scalar_to_vector(ty, scalar),
                Some(vector) => self.b.ins().insertlane(vector, scalar, lane),
            });
        }
        vector.expect("a vector has lanes")
    }

    /// Stores the first `lanes` lanes (adjacent ones at once).
    pub(super) fn store(&mut self, dtype: DType, lanes: u64, value: Value, to: Elements) {
        let raw = self.written_as(dtype, value);
        let adjacent = i64::try_from(dtype.bytes()).is_ok_and(|bytes| bytes == to.stride);
        if adjacent && lanes == u64::from(self.b.func.dfg.value_type(value).lane_count()) {
            self.store_adjacent(dtype, raw, to);
            return;
        }
        for lane in 0..u8::try_from(lanes).expect("a vector has few lanes") {
            let offset = to.displacement + i64::from(lane) * to.stride;
            let scalar = self.b.ins().extractlane(raw, lane);
            self.store_scalar(dtype, scalar, to.at, offset);
        }
    }

    fn store_scalar(&mut self, dtype: DType, scalar: Value, at: Value, displacement: i64) {
        let flags = MemFlagsData::new().with_notrap();
        let (at, displacement) = displaced(self.b, at, displacement);
        let ins = self.b.ins();
        match dtype.bytes() {
            1 => ins.istore8(flags, scalar, at, displacement),
            2 => ins.istore16(flags, scalar, at, displacement),
            _ => ins.store(flags, scalar, at, displacement),
        };
    }

    fn store_adjacent(&mut self, dtype: DType, raw: Value, to: Elements) {
        let flags = MemFlagsData::new().with_notrap();
        let (at, displacement) = displaced(self.b, to.at, to.displacement);
        let packed = match dtype {
            DType::F64 | DType::F32 | DType::I32 => raw,
            DType::F16 | DType::Bf16 => {
                let halves = self.b.ins().unarrow(raw, raw);
                self.low_lane(types::I64X2, halves)
            }
            DType::I16 => {
                let halves = self.b.ins().snarrow(raw, raw);
                self.low_lane(types::I64X2, halves)
            }
            DType::I8 | DType::U8 | DType::I4 | DType::Bool => {
                let halves = self.b.ins().snarrow(raw, raw);
                let bytes = match dtype {
                    DType::U8 => self.b.ins().unarrow(halves, halves),
                    _ => self.b.ins().snarrow(halves, halves),
                };
                self.low_lane(types::I32X4, bytes)
            }
        };
        self.b.ins().store(flags, packed, at, displacement);
    }

    /// Lane 0 of a vector, seen as lanes of another type.
    fn low_lane(&mut self, ty: Type, vector: Value) -> Value {
        let lanes = bitcast(self.b, ty, vector);
        self.b.ins().extractlane(lanes, 0)
    }
}
