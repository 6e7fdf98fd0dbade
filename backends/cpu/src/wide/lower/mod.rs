//! From nests to leaves.
//!
//! The loops are those of the portable path: whole register tiles first, then what is left. Here a rest is a masked
//! vector instead of single elements, and pointers advance instead of being computed from indices.
//! What a leaf cannot say is refused by name, and the caller takes the portable path for that nest.
//! Invariant: every element of the target's block is computed exactly once.

mod chain;
mod code;
mod convert;
mod copy;
mod dot;
mod halves;
mod math;
mod memory;
mod more;
mod nest;
mod padding;
mod part;
mod reduce;
mod tile;
mod tiles;
mod tiling;
mod transpose;
mod value;

use super::isa::Isa;
use super::program::Leaf;
use crate::machine::Nest;
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, DType};

/// What is known of the current block of an axis when code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockShape {
    /// The number of indices; `None` if it is known only when the code runs.
    pub(crate) extent: Option<u64>,
    /// The step of the loop that binds the axis (its extent if none does).
    pub(crate) step: u64,
    /// The length of the last block where it is shorter than the others.
    pub(crate) ragged: Option<u64>,
    /// Whether the block begins elsewhere than at 0.
    pub(crate) moves: bool,
}

impl BlockShape {
    /// The lengths that a block may have.
    fn lengths(self) -> impl Iterator<Item = u64> {
        [Some(self.extent.unwrap_or(self.step)), self.ragged].into_iter().flatten()
    }
}

/// A word of the frame, for the caller to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// The pointer of a place (those read, then the target) at the start of the current block.
    Pointer(usize),
    /// The first index of the current block of an axis.
    Start(AxisId),
    /// The number of indices in the current block of an axis.
    Length(AxisId),
    /// The pointer of memory for partial results: `PARTIALS_MAX` vectors, aligned.
    Partials,
    /// Not 0 if the target's pointer is a multiple of a vector's bytes.
    Aligned,
    /// Not 0 in the first block of the enclosing loop.
    First,
    /// Not 0 in the last block.
    Last,
}

/// Vectors of partial results that a leaf may keep in memory: those of a register tile, or of seven tile registers.
pub(crate) const PARTIALS_MAX: u64 = 112;
const _: () = assert!(PARTIALS_MAX >= nest::TILE_VECTORS_MAX);

/// What surrounds a nest.
pub(crate) struct Surroundings<'a> {
    /// The shapes of the current blocks of all axes that the nest knows.
    pub(crate) blocks: BTreeMap<AxisId, BlockShape>,
    /// Whether the current block is always the first of its loop, always the last.
    pub(crate) always_first: bool,
    pub(crate) always_last: bool,
    /// The instructions.
    pub(crate) isa: Isa,
    /// Whether partial results of chains lie in memory instead of registers.
    pub(crate) partials_in_memory: bool,
    /// Refuses, by name.
    pub(crate) refuse: &'a dyn Fn(&str) -> Unsupported,
}

/// A nest as a leaf, with the words of its frame.
///
/// # Errors
/// `Unsupported` names what a leaf cannot say.
pub(crate) fn lower(
    nest: &Nest,
    around: &Surroundings<'_>,
) -> Result<(Leaf, Vec<Word>), Unsupported> {
    nest::NestLowering::new(nest, around)?.run()
}

/// Bytes of the smallest vectors.
const SMALLEST_VECTOR_BYTES: u64 = 16;

/// As many lanes as vectors of the widest type have, and as divide every panel along the vector axis. Where half of the
/// lanes of a vector would be enough for all elements, half a vector is used: it never takes longer.
fn lanes_of(nest: &Nest, around: &Surroundings<'_>) -> u64 {
    let mut dtypes = nest.dag.dtypes().chain([nest.target.dtype]);
    let widest = if dtypes.any(|dtype| dtype == DType::F64) { 8 } else { 4 };
    let mut lanes = around.isa.vector_bytes() / widest;
    let vector = nest.micro.vector.filter(|axis| !nest.reduce.contains(axis));
    let elements = vector.and_then(|axis| around.blocks[&axis].lengths().max());
    while lanes * widest > SMALLEST_VECTOR_BYTES && elements.is_some_and(|all| all <= lanes / 2) {
        lanes /= 2;
    }
    let places = nest.dag.places.iter().chain([&nest.target]);
    for panel in places.flat_map(|place| &place.panels) {
        while nest.micro.vector == Some(panel.axis) && lanes > 1 && panel.width % lanes != 0 {
            lanes /= 2;
        }
    }
    lanes
}
