//! A machine as plain data: what the planner, the space and the cost model may ask about it.
//!
//! Detected for the host by a back end, or read from a file for another chip.
//! Invariant: no code asks the machine itself anywhere else; two equal targets give equal decisions.

use crate::base::DType;
use serde::{Deserialize, Serialize};

/// One level of memory, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryLevel {
    /// `L1`, `L2`, `L3`, `memory`.
    pub name: String,
    /// Bytes one thread can use of it; 0 for memory.
    pub bytes: u64,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The back end: `cpu`.
    pub backend: String,
    /// The instruction set, `x86_64`, with the features that the code may use.
    pub isa: String,
    /// Features, sorted: `avx2`, `fma`, ...
    pub features: Vec<String>,
    /// Features whose instructions take longer than what they replace, measured; defaults do without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slow: Vec<String>,
    /// Multiply-adds of whole vectors that a core begins in one cycle, measured; 0 where nobody measured it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub multiply_adds: u64,
    /// The marketing name of the chip.
    pub chip: String,
    /// Bytes of one vector register that the back end uses.
    pub vector_bytes: u64,
    /// Vector registers that a register tile may use.
    pub vector_registers: u64,
    /// Whether a multiply-add adds to its accumulator without a copy, so that a register tile may fill the registers.
    #[serde(default)]
    pub accumulates_in_place: bool,
    /// Threads that the machine runs at once.
    pub threads: u64,
    /// Memory levels, nearest first.
    pub memory: Vec<MemoryLevel>,
}

/// How a target adds the products of narrow elements: a group of them at once, in lanes of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DotProduct {
    /// The type of the sum.
    pub sum: DType,
    /// Elements of a group.
    pub count: u64,
    /// Whether 128 is added to the second factor, which the instruction takes as unsigned.
    pub biased: bool,
}

/// The feature that has it, both factors, the sum, the elements of a group, whether the second factor is biased.
const DOT_PRODUCTS: [(&str, DType, DType, DType, u64, bool); 5] = [
    ("avx512bf16", DType::Bf16, DType::Bf16, DType::F32, 2, false),
    ("avx512vnni", DType::I16, DType::I16, DType::I32, 2, false),
    ("avx512vnni", DType::U8, DType::I8, DType::I32, 4, false),
    ("avx512vnni", DType::I8, DType::U8, DType::I32, 4, false),
    ("avx512vnni", DType::I8, DType::I8, DType::I32, 4, true),
];

/// As `DOT_PRODUCTS`, of whole tiles, without a bias.
const TILE_PRODUCTS: [(&str, DType, DType, DType, u64); 5] = [
    ("amx-bf16", DType::Bf16, DType::Bf16, DType::F32, 2),
    ("amx-int8", DType::I8, DType::I8, DType::I32, 4),
    ("amx-int8", DType::I8, DType::U8, DType::I32, 4),
    ("amx-int8", DType::U8, DType::I8, DType::I32, 4),
    ("amx-int8", DType::U8, DType::U8, DType::I32, 4),
];

/// Rows of a tile register, and bytes of a row.
pub const TILE_ROWS: u64 = 16;
/// See `TILE_ROWS`.
pub const TILE_ROW_BYTES: u64 = 64;
/// Tile registers.
pub const TILES: u64 = 8;
/// Additions in a row inside of one product of tiles of bf16: one for each group of a row but the first, whose product is
/// exact, then one of both halves.
pub const TILE_CHAIN: u64 = 16;

/// How many times as much a sum is as those of its lesser summands, which are added before: so many of their additions round
/// as much as one of its own.
pub const LESSER: u64 = 128;

/// Additions that a term passes through in tile registers that add so many rows of terms for each of so many products: in
/// one product of tiles, and over all of them. Where they rise, the lesser products are added before the last.
pub fn tile_additions(rows: u64, products: u64, rises: bool) -> u64 {
    let all = match rises && products > 1 {
        true => rows.saturating_add(rows.saturating_mul(products - 1) / LESSER + 1),
        false => rows.saturating_mul(products),
    };
    all.saturating_add(TILE_CHAIN)
}

impl Target {
    /// Whether code for one runs on the other as it is: what differs is the chip, its caches and its pace.
    pub fn is_like(&self, other: &Self) -> bool {
        let of = |target: &Self| {
            let Self { backend, isa, features, .. } = target.clone();
            (backend, isa, features, target.vector_bytes, target.vector_registers, target.threads)
        };
        of(self) == of(other)
    }

    /// Whether register tiles have to be large: two multiply-adds a cycle ask more of the caches than few rows give.
    pub fn is_eager(&self) -> bool {
        self.multiply_adds >= 2
    }

    /// How products of narrow elements are added in whole tiles, if the target has registers for them.
    pub fn tile_product(&self, a: DType, b: DType, sum: DType) -> Option<DotProduct> {
        let has = |feature: &str| self.features.iter().any(|own| own == feature);
        let row = TILE_PRODUCTS.iter().find(|row| (row.1, row.2, row.3) == (a, b, sum))?;
        has(row.0).then_some(DotProduct { sum, count: row.4, biased: false })
    }

    /// As `dot_product`, where the instruction is faster than what it replaces.
    pub fn fast_dot_product(&self, a: DType, b: DType, sum: DType) -> Option<DotProduct> {
        let row = DOT_PRODUCTS.iter().find(|row| (row.1, row.2, row.3) == (a, b, sum))?;
        let is_slow = self.slow.iter().any(|slow| slow == row.0);
        self.dot_product(a, b, sum).filter(|_| !is_slow)
    }

    /// How products of narrow elements are added in groups, if the target has an instruction for it.
    pub fn dot_product(&self, a: DType, b: DType, sum: DType) -> Option<DotProduct> {
        let has = |feature: &str| self.features.iter().any(|own| own == feature);
        let row = DOT_PRODUCTS.iter().find(|row| (row.1, row.2, row.3) == (a, b, sum))?;
        has(row.0).then_some(DotProduct { sum, count: row.4, biased: row.5 })
    }

    /// Lanes of one vector of elements of this many bytes.
    pub fn lanes(&self, element_bytes: u64) -> u64 {
        (self.vector_bytes / element_bytes.max(1)).max(1)
    }

    /// Bytes of the named memory level; 0 if the machine has none of that name.
    pub fn memory_bytes(&self, name: &str) -> u64 {
        self.memory.iter().find(|level| level.name == name).map_or(0, |level| level.bytes)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
