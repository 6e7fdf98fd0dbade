//! Copies of narrow elements, as they are.
//!
//! What is loaded and stored in one type needs no lanes of its own: where several vectors of the register tile lie behind each
//! other in both places, all of their bytes are one vector of words.
//! Invariant: the same bytes are read and written as element by element.

use super::dot::unsigned;
use super::nest::{Mode, NestLowering};
use crate::machine::{Node, NodeId, Offsets};
use crate::wide::program::{Element, Op, Span};

/// Bytes of a lane.
const LANE_BYTES: u64 = 4;

impl NestLowering<'_> {
    /// Stores the values of a tile that are loads of the target's own type; `false` where they are none, and nothing is stored.
    pub(super) fn store_copies(&mut self, positions: &[Offsets], id: NodeId) -> bool {
        let target = self.places.len() - 1;
        let Node::Load(from) = self.nest.dag.node(id) else { return false };
        let from = from as usize;
        let dtype = self.places[target].dtype;
        let same = self.places[from].dtype == dtype;
        let Some(element) = unsigned(dtype).filter(|_| same && self.mode != Mode::One) else {
            return false;
        };
        if !self.are_neighbours(from) || !self.are_neighbours(target) || self.streaming {
            return false;
        }
        let run = (LANE_BYTES / dtype.bytes()) as usize;
        let mut rest = positions;
        while !rest.is_empty() {
            let (several, one) = rest.split_at_checked(run).unwrap_or((&[], rest));
            if self.lie_behind(several, (from, target)) {
                self.copy_one((from, target), &several[0], Element::Word);
                rest = one;
            } else {
                self.copy_one((from, target), &rest[0], element);
                rest = &rest[1..];
            }
        }
        true
    }

    /// Whether whole vectors lie behind each other in both places.
    fn lie_behind(&self, positions: &[Offsets], (from, target): (usize, usize)) -> bool {
        let bytes = |place: usize| (self.lanes * self.places[place].dtype.bytes()).cast_signed();
        let behind = |place: usize| {
            let at = |position| self.displacement(self.places[place], position);
            positions.windows(2).all(|pair| at(&pair[1]) - at(&pair[0]) == bytes(place))
        };
        let whole = positions.iter().all(|position| self.mask_at(position).is_none());
        !positions.is_empty() && whole && behind(from) && behind(target)
    }

    fn copy_one(&mut self, (from, target): (usize, usize), at: &Offsets, element: Element) {
        let span = self.mask_at(at).map_or(Span::Whole, Span::Where);
        let bytes = self.displacement(self.places[from], at);
        let there = self.code.address(self.pointers[from], bytes);
        let to = self.code.vector();
        self.code.op(Op::Load { element, to, at: there, span });
        self.fetch_next(from, bytes);
        let bytes = self.displacement(self.places[target], at);
        let there = self.code.address(self.pointers[target], bytes);
        self.code.op(Op::Store { element, from: to, at: there, span, streaming: false });
    }
}
