//! Tile registers: sums of products of whole tiles of narrow elements.
//!
//! There are eight of them, each of 16 rows of 64 bytes, and a leaf names them itself. A row of a product's first factor
//! holds 16 groups of a row of the sum, a row of the second one group of each of 16 columns; groups fill 32 bits.
//! Invariant: an operation touches whole tiles; what is no element is loaded from memory that holds something.

use super::program::{Address, Register, Scalar};
use std::fmt;

/// Tile registers.
pub const TILES: usize = 8;
/// Rows of a tile.
pub const TILE_ROWS: u64 = 16;
/// Bytes of a row.
pub const TILE_ROW_BYTES: u64 = 64;

/// A tile register, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile(pub u8);

/// What the factors of a product of tiles hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileProduct {
    /// bf16, two in a group, summed as f32: first the first and the second elements of all groups apart, in order, each
    /// multiply-add rounded once, then both, then what the tile held. Subnormal numbers count as zero.
    Bf16,
    /// Bytes, four in a group, summed as I32, wrapping.
    Bytes {
        /// Whether those of the first factor are signed.
        x_signed: bool,
        /// Whether those of the second one are.
        y_signed: bool,
    },
}

impl TileProduct {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::Bf16,
        Self::Bytes { x_signed: true, y_signed: true },
        Self::Bytes { x_signed: true, y_signed: false },
        Self::Bytes { x_signed: false, y_signed: true },
        Self::Bytes { x_signed: false, y_signed: false },
    ];

    /// Elements of a group.
    pub fn count(self) -> u64 {
        match self {
            Self::Bf16 => 2,
            Self::Bytes { .. } => 4,
        }
    }
}

/// An operation of tile registers.
#[expect(missing_docs, reason = "the line of a variant says what its fields are")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileOp {
    /// Zeros.
    Zero { to: Tile },
    /// Rows of memory, the first at an address, each `stride` bytes behind the one before; `once` tells the caches that
    /// they are not read again soon.
    Load { to: Tile, at: Address, stride: Scalar, once: bool },
    /// Rows to memory.
    Store { from: Tile, at: Address, stride: Scalar },
    /// `to = to + ` the products of each row of x and each column of y.
    Add { of: TileProduct, to: Tile, x: Tile, y: Tile },
}

impl TileOp {
    /// The scalars that it reads.
    pub(super) fn read(&self) -> Vec<Register> {
        match *self {
            Self::Zero { .. } | Self::Add { .. } => vec![],
            Self::Load { at, stride, .. } | Self::Store { at, stride, .. } => {
                vec![Register::Scalar(at.base), Register::Scalar(stride)]
            }
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for TileProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = |signed: bool| if signed { "i8" } else { "u8" };
        match *self {
            Self::Bf16 => f.write_str("bf16"),
            Self::Bytes { x_signed, y_signed } => {
                write!(f, "{} {}", byte(x_signed), byte(y_signed))
            }
        }
    }
}

impl fmt::Display for TileOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { to } => write!(f, "{to} = tile zero"),
            Self::Load { to, at, stride, once } => {
                let once = if *once { " once" } else { "" };
                write!(f, "{to} = tile load {at} rows {stride}{once}")
            }
            Self::Store { from, at, stride } => write!(f, "tile store {at} rows {stride} {from}"),
            Self::Add { of, to, x, y } => write!(f, "{to} = tile add {of} {x} {y}"),
        }
    }
}
