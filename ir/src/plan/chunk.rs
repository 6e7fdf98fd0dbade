//! Which part of its stream a pass traverses.
//!
//! Invariant: the chunks of an axis cover it, and no index is in two of them.

use super::{Chunk, Pass, PassProgram};
use crate::base::AxisId;

impl Chunk {
    /// The first index of a chunk, and the one behind its last, in an axis of `extent` elements.
    pub fn range(&self, number: u64, extent: u64) -> (u64, u64) {
        let start = number.saturating_mul(self.length).min(extent);
        (start, start.saturating_add(self.length).min(extent))
    }
}

impl PassProgram {
    /// The axis that numbers chunks, if it is one.
    pub(crate) fn chunk(&self, axis: AxisId) -> Option<&Chunk> {
        self.chunks.iter().find(|chunk| chunk.axis == axis)
    }

    /// The chunks to which a pass is restricted along its stream, or along its group's.
    pub(crate) fn chunks_of<'a>(&'a self, pass: &'a Pass) -> impl Iterator<Item = Chunk> + 'a {
        let traversed = pass.group.map_or(&pass.stream, |group| &self.groups[group]);
        let chunks = pass.axes.iter().filter_map(|&axis| self.chunk(axis).copied());
        chunks.filter(|chunk| traversed.contains(&chunk.of))
    }
}
