//! Stores of f32 numbers as bf16 in groups, two vectors at a time.
//!
//! What lies in groups is read by instructions that take subnormal bf16 for zero, so the conversion may do so, too. It gives
//! both vectors behind each other; where groups lie across the vectors, it is woven into pairs. The rounded numbers, of which
//! further values of the nest are made, are the halves of such pairs.
//! Invariant: what is no pair of whole vectors is stored as everything else.

use super::nest::{Mode, NestLowering};
use super::value::Value;
use crate::machine::{Base, Node, NodeId, Offsets, key};
use crate::wide::program::{Dyad, Element, Lane, Narrow, Op, Shift, Span, Vector};
use tilewright_ir::DType;
use tilewright_ir::backend::Unsupported;

/// Lanes of the vectors that are halved.
const LANES: u64 = 16;
/// Bits of a half.
const HALF_BITS: u8 = 16;
const UPPER_HALF: i32 = -0x1_0000;
/// Bytes of a group.
const GROUP_BYTES: i64 = 4;

/// How two vectors lie in the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// One behind the other.
    Behind,
    /// Element by element.
    Woven,
}

impl NestLowering<'_> {
    /// Whether the nest's values are bf16 in groups that only instructions read which take subnormal ones for zero.
    pub(super) fn may_halve(&self) -> bool {
        let target = &self.nest.target;
        target.dtype == DType::Bf16
            && target.depth.is_some()
            && matches!(target.base, Base::Scratch(_))
            && self.lanes == LANES
            && self.around.isa.has_dot(Narrow::Bf16)
            && self.mode != Mode::One
    }

    /// Stores all values of the nest, pair by pair.
    pub(super) fn store_halved(&mut self, positions: &[Offsets]) -> Result<(), Unsupported> {
        let others = self.nest.others.iter().copied();
        let values: Vec<(NodeId, i64)> =
            [(self.nest.result, 0)].into_iter().chain(others).collect();
        for chunk in self.in_pairs(positions) {
            let pair = self.pair_of(&chunk);
            for &(id, behind) in &values {
                self.behind = behind;
                match (pair, self.nest.dag.node(id), &chunk[..]) {
                    (Some(pair), Node::Cast(wide), [first, second])
                        if self.nest.dag.dtype(wide) == DType::F32 =>
                    {
                        self.store_pair((id, wide), pair, (first, second))?;
                    }
                    _ => self.store_values(id, &chunk)?,
                }
            }
        }
        self.behind = 0;
        Ok(())
    }

    /// The positions that are stored together: of one group, or neighbours.
    fn in_pairs(&self, positions: &[Offsets]) -> Vec<Vec<Offsets>> {
        let axis = self.nest.target.depth.map(|(axis, _)| axis).filter(|&of| !self.is_vector(of));
        let own = |at: &Offsets| at.iter().find(|entry| Some(entry.0) == axis).map_or(0, |of| of.1);
        let rest = |at: &Offsets| -> Offsets {
            at.iter().copied().filter(|entry| Some(entry.0) != axis).collect()
        };
        if axis.is_none() {
            return positions.chunks(2).map(<[_]>::to_vec).collect();
        }
        let firsts = positions.iter().filter(|at| own(at).is_multiple_of(2));
        let group = |first: &Offsets| -> Vec<Offsets> {
            let same = |at: &&Offsets| own(at) / 2 == own(first) / 2 && rest(at) == rest(first);
            positions.iter().filter(same).cloned().collect()
        };
        firsts.map(group).collect()
    }

    /// How the vectors at two positions lie, if both are whole or lie in the same lanes.
    fn pair_of(&self, chunk: &[Offsets]) -> Option<Pair> {
        let [first, second] = chunk else { return None };
        let place = self.places[self.places.len() - 1];
        let (axis, count) = place.depth?;
        let bytes = self.displacement(place, second) - self.displacement(place, first);
        let stride = self.nest.micro.vector.and_then(|axis| place.term(axis))?.stride_bytes;
        let masked = self.mask_at(first).is_some() || self.mask_at(second).is_some();
        if !self.is_vector(axis) {
            let whole = self.in_groups && count == 2 && bytes == 2;
            return (whole && stride == GROUP_BYTES).then_some(Pair::Woven);
        }
        let behind = bytes == (self.lanes * 2).cast_signed() && stride == 2;
        (behind && !masked).then_some(Pair::Behind)
    }

    fn store_pair(
        &mut self,
        (id, wide): (NodeId, NodeId),
        pair: Pair,
        (first, second): (&Offsets, &Offsets),
    ) -> Result<(), Unsupported> {
        let x = self.value(wide, first)?.lanes();
        let y = self.value(wide, second)?.lanes();
        let halved = self.code.vector();
        self.code.op(Op::Halve { to: halved, x, y });
        let more = !self.nest.others.is_empty();
        let woven = if more || pair == Pair::Woven { self.woven(halved) } else { halved };
        if more {
            let lower = self.code.shift(Shift::Left, Lane::I32, woven, HALF_BITS);
            let mask = self.code.integer(UPPER_HALF);
            let upper = self.code.dyad(Dyad::And, Lane::I32, woven, mask);
            for (at, rounded) in [(first, lower), (second, upper)] {
                let key = key(&self.nest.dag, id, true, at);
                self.memo.set(key, Value::Lanes(rounded));
            }
        }
        let from = if pair == Pair::Woven { woven } else { halved };
        let target = self.places.len() - 1;
        let displacement = self.displacement(self.places[target], first);
        let at = self.code.address(self.pointers[target], displacement);
        let span = self.mask_at(first).map_or(Span::Whole, Span::Where);
        self.code.op(Op::Store { element: Element::Word, from, at, span, streaming: false });
        Ok(())
    }

    /// The halves of the lanes of two vectors, in turns.
    fn woven(&mut self, halved: Vector) -> Vector {
        let lanes = LANES as u32;
        let words = std::array::from_fn(|lane| lane as u32 | (lane as u32 + lanes) << HALF_BITS);
        let at = self.code.words(words);
        let to = self.code.vector();
        self.code.op(Op::LookUpHalves { to, table: halved, at });
        to
    }
}
