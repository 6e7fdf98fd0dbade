//! Sums of products of narrow elements that lie in groups: one instruction adds the products of a group.
//!
//! Such a nest has one sum of products of two widened loads. Along the innermost reduced axis both lie in groups that fill
//! a lane of 32 bits; one of them has the groups of neighbouring lanes side by side, the other is the same in all lanes.
//! Behind the last whole group the lanes of elements that are none are cleared in both factors: padding holds anything.
//! Invariant: a group is read only where all of its bytes belong to the place, padding included.

use super::nest::NestLowering;
use super::part::{Part, Stretch};
use super::value::Value;
use crate::machine::{Base, Node, NodeId, Offsets, Place, key};
use crate::wide::program::{Dyad, Element, Lane, Narrow, Op, Operand, Span, Vector};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, BinaryOp, DType, ReduceOp};

/// Bytes of a group: those of a lane.
const GROUP_BYTES: i64 = 4;

/// A nest that adds products in groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dot {
    pub(super) of: Narrow,
    /// The axis along which groups lie.
    pub(super) axis: AxisId,
    /// The factor that is the same in all lanes.
    same: Factor,
    /// The factor with a group for each lane.
    lanes: Factor,
}

/// A factor, before it is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Factor {
    /// The conversion. Groups are remembered under its name: nothing computes it.
    wide: NodeId,
    narrow: NodeId,
    dtype: DType,
    /// The place where groups lie; `None`: elements are computed one by one and joined.
    place: Option<usize>,
}

/// What the instruction takes: the type that is the same in all lanes, the type along lanes, the sum's type.
const ROWS: [(DType, DType, DType, Narrow); 4] = [
    (DType::Bf16, DType::Bf16, DType::F32, Narrow::Bf16),
    (DType::I16, DType::I16, DType::I32, Narrow::Words),
    (DType::I8, DType::U8, DType::I32, Narrow::Bytes),
    (DType::U8, DType::I8, DType::I32, Narrow::Bytes),
];

impl NestLowering<'_> {
    /// Whether the nest's sum is one of products in groups.
    pub(super) fn find_dot(&self) -> Option<Dot> {
        let [accumulator] = self.nest.accumulators[..] else { return None };
        let &axis = self.nest.reduce.last()?;
        let product = self.nest.dag.node(accumulator.term);
        let Node::Binary(BinaryOp::Mul, x, y) = product else { return None };
        if accumulator.op != ReduceOp::Sum || self.vector_is_reduced() || self.lanes < 4 {
            return None;
        }
        let (x, y) = (self.factor(x, axis)?, self.factor(y, axis)?);
        let (same, lanes) = if self.is_same(x) { (x, y) } else { (y, x) };
        let sum = self.nest.dag.dtype(accumulator.term);
        let row = ROWS.iter().find(|row| (row.0, row.1, row.2) == (same.dtype, lanes.dtype, sum));
        let of = row.map(|row| row.3).filter(|&of| self.around.isa.has_dot(of))?;
        let whole = self.block(axis).lengths().all(|length| length.is_multiple_of(of.count()));
        let fits = |factor: Factor| {
            factor.place.is_none_or(|place| {
                let place = self.places[place];
                let panel = place.panel_of(axis).is_none_or(|panel| panel.width == of.count());
                panel && (whole || place.depth == Some((axis, of.count())))
            })
        };
        let found = Dot { of, axis, same, lanes };
        (self.is_same(same) && fits(same) && fits(lanes)).then_some(found)
    }

    /// What a conversion widens.
    fn factor(&self, id: NodeId, axis: AxisId) -> Option<Factor> {
        let Node::Cast(narrow) = self.nest.dag.node(id) else { return None };
        let place = match self.nest.dag.node(narrow) {
            Node::Load(place) => Some(place as usize).filter(|&place| self.has_groups(place, axis)),
            _ => None,
        };
        Some(Factor { wide: id, narrow, dtype: self.nest.dag.dtype(narrow), place })
    }

    /// Whether a factor is read in groups, the same in all lanes.
    fn is_same(&self, factor: Factor) -> bool {
        let place = factor.place.map(|place| self.places[place]);
        place.is_some_and(|place| self.vector_stride(place) == 0)
    }

    fn vector_stride(&self, place: &Place) -> i64 {
        let vector = self.nest.micro.vector.and_then(|axis| place.term(axis));
        vector.map_or(0, |term| term.stride_bytes)
    }

    /// Whether a place of the thread's own lies in groups along an axis, and those of neighbouring lanes side by side.
    fn has_groups(&self, place: usize, axis: AxisId) -> bool {
        let place = self.places[place];
        let is_own = matches!(place.base, Base::Scratch(_));
        let near = matches!(self.vector_stride(place), 0 | GROUP_BYTES);
        is_own && near && place.depth.is_some_and(|(of, _)| of == axis)
    }

    /// The unrolled steps of the axis of groups.
    ///
    /// # Errors
    /// Where blocks end in groups of different lengths.
    pub(super) fn group_parts(
        &self,
        dot: Dot,
        stretch: &Stretch,
    ) -> Result<Vec<Part>, Unsupported> {
        let count = dot.of.count();
        let unroll = if self.rests == 0 { self.nest.micro.unroll.max(1) } else { 1 };
        let step = whole_step(stretch, [unroll * count, count]);
        match step {
            Some(step) => Ok(self.parts(dot.axis, stretch, step)),
            None => Err(self.refused("groups of different lengths")),
        }
    }

    /// The parts of an axis of the target. Along its axis of groups every part begins with a group, if that can be.
    pub(super) fn target_parts(&mut self, axis: AxisId, stretch: &Stretch) -> Vec<Part> {
        let tile = self.tile_of(axis);
        let depth = self.nest.target.depth.filter(|&(of, _)| of == axis && !self.is_vector(axis));
        let Some((_, count)) = depth else { return self.parts(axis, stretch, tile) };
        let step = whole_step(stretch, [tile, count].map(|step| step.next_multiple_of(count)));
        self.in_groups = step.is_some();
        self.parts(axis, stretch, step.unwrap_or(1))
    }

    /// Adds the products of one group to an accumulator. `rest`: how many elements it has, if not all.
    pub(super) fn add_group(
        &mut self,
        dot: Dot,
        at: &Offsets,
        (state, rest): (Vector, Option<u64>),
    ) -> Result<(), Unsupported> {
        let same = self.group(dot, dot.same, (at, rest))?;
        let lanes = self.group(dot, dot.lanes, (at, rest))?;
        // Of bytes the first factor is unsigned.
        let (x, y) = if dot.same.dtype == DType::U8 { (same, lanes) } else { (lanes, same) };
        let y = Operand::Vector(y);
        self.code.op(Op::Dot { of: dot.of, to: state, x, y, z: state });
        Ok(())
    }

    /// The groups of a factor at a position.
    fn group(
        &mut self,
        dot: Dot,
        factor: Factor,
        (at, rest): (&Offsets, Option<u64>),
    ) -> Result<Vector, Unsupported> {
        let key = key(&self.nest.dag, factor.wide, true, at);
        if let Some(Value::Lanes(known)) = self.memo.get(&key) {
            return Ok(known);
        }
        let group = match factor.place {
            Some(place) => self.loaded_group(place, &key.1, rest),
            None => self.joined_group(dot, factor, (&key.1, rest))?,
        };
        self.memo.set(key, Value::Lanes(group));
        Ok(group)
    }

    /// Groups as they lie in memory, cleared behind the last element.
    fn loaded_group(&mut self, place: usize, at: &Offsets, rest: Option<u64>) -> Vector {
        let of = self.places[place];
        let displacement = self.displacement(of, at);
        let address = self.code.address(self.pointers[place], displacement);
        let span = match (self.vector_stride(of), self.mask_at(at)) {
            (0, _) => Span::Splat,
            (_, Some(mask)) => Span::Where(mask),
            (_, None) => Span::Whole,
        };
        let to = self.code.vector();
        self.code.op(Op::Load { element: Element::Word, to, at: address, span });
        let Some(rest) = rest else { return to };
        let bits = u32::try_from(rest * of.dtype.bytes() * 8).expect("a group is a word");
        let kept = (1_u32 << bits) - 1;
        let kept = self.code.integer(kept.cast_signed());
        self.code.dyad(Dyad::And, Lane::I32, to, kept)
    }

    /// Groups joined of elements that are computed one by one.
    fn joined_group(
        &mut self,
        dot: Dot,
        factor: Factor,
        (at, rest): (&Offsets, Option<u64>),
    ) -> Result<Vector, Unsupported> {
        // The offsets along the axis count groups; those of its elements count elements.
        let (count, bits) = (dot.of.count(), factor.dtype.bytes() * 8);
        let own = at.iter().find(|entry| entry.0 == dot.axis).map_or(0, |entry| entry.1);
        self.dot = None;
        self.memo.enter();
        let mut group = Ok(None);
        for place in 0..rest.unwrap_or(count) {
            let mut there: Offsets = at.iter().copied().filter(|of| of.0 != dot.axis).collect();
            there.push((dot.axis, own * count + place));
            let element = self.element_bits(factor.narrow, &there);
            group = match (group, element) {
                (Ok(group), Ok(x)) => Ok(Some(self.join_group(group, x, (place, count, bits)))),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
        self.memo.leave();
        self.dot = Some(dot);
        Ok(group?.expect("a group has an element"))
    }

    /// An element as it is stored, with anything above its bits; loads bring zeros.
    fn element_bits(&mut self, id: NodeId, at: &Offsets) -> Result<(Vector, bool), Unsupported> {
        let dtype = self.nest.dag.dtype(id);
        if let Node::Load(place) = self.nest.dag.node(id)
            && let Some(element) = unsigned(dtype)
            && let Some(raw) = self.load_bits(place as usize, element, at)
        {
            return Ok((raw, true));
        }
        let value = self.value(id, at)?;
        Ok((self.written_as(dtype, value), false))
    }

    /// Stores the values of a tile in groups, where the target has them along another axis than the vector and those of
    /// neighbouring lanes side by side; `false` where it has not, and nothing is stored. What a group lacks is zero.
    pub(super) fn store_groups(
        &mut self,
        positions: &[Offsets],
        id: NodeId,
    ) -> Result<bool, Unsupported> {
        let target = self.places.len() - 1;
        let place = self.places[target];
        let Some((axis, count)) = place.depth else { return Ok(false) };
        let vector = self.nest.micro.vector.and_then(|axis| place.term(axis));
        let bits = place.dtype.bytes() * 8;
        let apart = vector.is_some_and(|term| term.stride_bytes == GROUP_BYTES);
        if bits * count != 32 || !apart || !self.in_groups {
            return Ok(false);
        }
        let own = |at: &Offsets| at.iter().find(|entry| entry.0 == axis).map_or(0, |entry| entry.1);
        let firsts = positions.iter().filter(|at| own(at).is_multiple_of(count));
        for first in firsts {
            let others = |at: &&Offsets| {
                own(at) / count == own(first) / count
                    && at
                        .iter()
                        .filter(|entry| entry.0 != axis)
                        .eq(first.iter().filter(|entry| entry.0 != axis))
            };
            let mut group = None;
            for at in positions.iter().filter(others) {
                let x = self.element_bits(id, at)?;
                group = Some(self.join_group(group, x, (own(at) % count, count, bits)));
            }
            let from = group.expect("the first position is one of its group");
            let displacement = self.displacement(place, first);
            let at = self.code.address(self.pointers[target], displacement);
            let span = self.mask_at(first).map_or(Span::Whole, Span::Where);
            self.code.op(Op::Store { element: Element::Word, from, at, span, streaming: false });
        }
        Ok(true)
    }

    /// An element put at its place in its group; elements before it are there.
    fn join_group(
        &mut self,
        before: Option<Vector>,
        (x, clean): (Vector, bool),
        (place, count, bits): (u64, u64, u64),
    ) -> Vector {
        let shift = u8::try_from(place * bits).expect("a group has 32 bits");
        // A shift drops what is above the last element.
        let x = match clean || place + 1 == count {
            true => x,
            false => {
                let low = self.code.integer((1_i32 << bits) - 1);
                self.code.dyad(Dyad::And, Lane::I32, x, low)
            }
        };
        let x = if shift == 0 {
            x
        } else {
            self.code.shift(crate::wide::program::Shift::Left, Lane::I32, x, shift)
        };
        match before {
            Some(before) => self.code.dyad(Dyad::Or, Lane::I32, before, x),
            None => x,
        }
    }
}

/// How elements of a type are loaded with zeros above them.
pub(super) fn unsigned(dtype: DType) -> Option<Element> {
    match dtype.bytes() {
        1 if dtype.is_integer() => Some(Element::U8),
        2 if dtype != DType::F16 => Some(Element::U16),
        _ => None,
    }
}

/// The first of these steps that leaves one length behind whole steps, whatever block it is.
fn whole_step(stretch: &Stretch, steps: [u64; 2]) -> Option<u64> {
    steps.into_iter().find(|step| {
        let mut rests: Vec<u64> = stretch.lengths.iter().map(|length| length % step).collect();
        rests.retain(|&rest| rest != 0);
        rests.dedup();
        rests.len() <= 1
    })
}
