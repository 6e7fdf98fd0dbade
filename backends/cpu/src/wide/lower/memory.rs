//! Loads and stores of a nest's places.
//!
//! Invariant: no byte outside of the elements named is read or written: a rest is masked, an element that does not vary
//! along the vector is read once.

use super::nest::{Mode, NestLowering};
use super::value::{Value, lane_of};
use crate::machine::{Base, Offsets, Place, Term};
use crate::wide::program::{
    Condition, Dyad, Element, Lane, Logic, Op, Predicate, Shift, Span, Vector,
};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, DType};

/// Bytes of a line of the caches.
pub(super) const LINE_BYTES: i64 = 64;

/// How elements of a type lie in memory.
pub(super) fn element_of(dtype: DType) -> Element {
    match dtype {
        DType::F64 => Element::Double,
        DType::F32 | DType::I32 => Element::Word,
        DType::F16 => Element::F16,
        DType::Bf16 => Element::U16,
        DType::I16 => Element::I16,
        DType::I8 | DType::I4 => Element::I8,
        DType::U8 | DType::Bool => Element::U8,
    }
}

/// Where the lanes of a vector lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    /// Next to each other.
    Neighbours,
    /// This many bytes apart.
    Apart(i64),
    /// In one place.
    Same,
}

impl NestLowering<'_> {
    /// How the elements of a place lie along the vector at the moment.
    fn along(&self, place: &Place) -> Along {
        let axis = self.nest.micro.vector.filter(|&axis| self.is_along_vector(axis));
        let stride = axis.and_then(|axis| place.term(axis)).map_or(0, |term| term.stride_bytes);
        match stride {
            0 => Along::Same,
            _ if stride.unsigned_abs() == place.dtype.bytes() && stride > 0 => Along::Neighbours,
            _ => Along::Apart(stride),
        }
    }

    /// Whether the elements of a place that lie along the vector are neighbours of whole bytes.
    pub(super) fn are_neighbours(&self, place: usize) -> bool {
        let place = self.places[place];
        self.along(place) == Along::Neighbours && !place.packed
    }

    /// The lanes that are elements at a position; `None` if all are.
    pub(super) fn mask_at(&self, at: &Offsets) -> Option<Predicate> {
        let Mode::Tail { offset, mask, .. } = self.mode else { return None };
        let axis = self.nest.micro.vector.expect("a tail is one of the vector axis");
        let own = at.iter().find(|entry| entry.0 == axis).map_or(0, |entry| entry.1);
        (own == offset).then_some(mask)
    }

    /// Bytes from the pointer of a place to its element at a position.
    pub(super) fn displacement(&self, place: &Place, at: &Offsets) -> i64 {
        let offset =
            |&(axis, offset): &(AxisId, u64)| place.offset_bytes(axis, self.elements(axis, offset));
        let is_target = std::ptr::eq(place, &raw const self.nest.target);
        let behind = if is_target { self.behind } else { 0 };
        in_bytes(place, at.iter().map(offset).sum()) + behind
    }

    /// Loads from a place at a position.
    pub(super) fn load(&mut self, position: usize, at: &Offsets) -> Result<Value, Unsupported> {
        let mask = self.mask_at(at);
        let loaded = self.load_where(position, at, mask)?;
        Ok(self.read_as(self.places[position].dtype, loaded))
    }

    /// What the target holds at a position, or the start value in the first block.
    pub(super) fn carried(&mut self, at: &Offsets) -> Result<Value, Unsupported> {
        let (Some(held), Some(start)) = (self.held, self.nest.carried) else {
            return Err(self.refused("a value before it is computed"));
        };
        let mask = match self.mask_at(at) {
            Some(mask) => self.code.logic(Logic::And, held, mask),
            None => held,
        };
        let (target, dtype) = (self.places.len() - 1, self.nest.target.dtype);
        let loaded = self.load_where(target, at, Some(mask))?;
        let value = self.read_as(dtype, loaded);
        if start.value.to_bits() == 0 {
            return Ok(value);
        }
        let start = self.literal(start.value, dtype).lanes();
        Ok(Value::Lanes(self.code.select(lane_of(dtype), held, value.lanes(), start)))
    }

    /// Loads from a place at a position the lanes where a predicate holds.
    fn load_where(
        &mut self,
        position: usize,
        at: &Offsets,
        mask: Option<Predicate>,
    ) -> Result<Vector, Unsupported> {
        let place = self.places[position];
        let displacement = self.displacement(place, at);
        let address = self.code.address(self.pointers[position], displacement);
        let (element, to) = (element_of(place.dtype), self.code.vector());
        if place.packed {
            let bytes = mask.map(|_| self.bytes_of_tail()).transpose()?;
            self.code.op(Op::Nibbles { to, at: address, bytes });
            self.fetch_ahead(position, displacement);
            self.fetch_next(position, displacement);
            return Ok(to);
        }
        match self.along(place) {
            Along::Apart(stride) => {
                let index = self.distances(stride)?;
                self.code.op(Op::Gather { element, to, at: address, index, mask });
            }
            along => {
                let span = match (along, mask, self.mode) {
                    (Along::Neighbours, Some(mask), _) => Span::Where(mask),
                    (Along::Neighbours, None, _) => Span::Whole,
                    (_, _, Mode::One) => Span::First,
                    _ => Span::Splat,
                };
                self.code.op(Op::Load { element, to, at: address, span });
                if along == Along::Neighbours {
                    self.fetch_ahead(position, displacement);
                    self.fetch_next(position, displacement);
                }
            }
        }
        Ok(to)
    }

    /// Which bytes of packed elements belong to the last vector.
    fn bytes_of_tail(&mut self) -> Result<Predicate, Unsupported> {
        let Mode::Tail { known: Some(known), .. } = self.mode else {
            return Err(self.refused("packed elements whose number is known when the code runs"));
        };
        let count = self.code.set(known.div_ceil(2).cast_signed());
        let to = self.code.predicate();
        self.code.op(Op::FirstLanes { to, count });
        Ok(to)
    }

    /// Whether the vectors of a packed place begin with bytes: then its addresses are whole.
    pub(super) fn begins_a_byte(&self, place: &Place) -> bool {
        let even = |term: &Term| {
            let block = self.block(term.axis);
            let even_blocks = !block.moves || block.step.is_multiple_of(2);
            let single = !block.moves && block.lengths().all(|length| length <= 1);
            match self.is_vector(term.axis) {
                true => term.stride_bytes == 1 && even_blocks,
                false => term.stride_bytes % 2 == 0 || single,
            }
        };
        let vector = self.nest.micro.vector.and_then(|axis| place.term(axis));
        let picks = place.picks.is_empty() && place.origin_bytes % 2 == 0;
        vector.is_some() && picks && self.lanes >= 4 && place.terms.iter().all(even)
    }

    /// Fetches what a later step of the innermost loop loads, unless it is the thread's own memory or so near that it
    /// comes by itself.
    fn fetch_ahead(&mut self, position: usize, displacement: i64) {
        let place = self.places[position];
        let term = self.fetching.and_then(|axis| place.term(axis));
        let is_own = matches!(place.base, Base::Scratch(_));
        let Some(term) = term.filter(|term| !is_own && term.stride_bytes.abs() >= LINE_BYTES)
        else {
            return;
        };
        let ahead = term.stride_bytes.saturating_mul(self.nest.micro.fetch.cast_signed());
        let ahead = in_bytes(place, ahead);
        let at = self.code.address(self.pointers[position], displacement.saturating_add(ahead));
        self.code.op(Op::Prefetch { at, level: 1 });
    }

    /// Fetches what the next iteration of the grid reads at this place of an argument into the second cache: until then
    /// the nearest one is needed for what this iteration works on. A line is fetched with the vector at its start.
    pub(super) fn fetch_next(&mut self, position: usize, displacement: i64) {
        let place = self.places[position];
        let Some((axis, step)) = self.nest.micro.ahead else { return };
        let is_own = matches!(place.base, Base::Scratch(_));
        let Some(term) = place.term(axis).filter(|_| !is_own && displacement % LINE_BYTES == 0)
        else {
            return;
        };
        let next = in_bytes(place, term.stride_bytes.saturating_mul(step.cast_signed()));
        let at = self.code.address(self.pointers[position], displacement.saturating_add(next));
        self.code.op(Op::Prefetch { at, level: 2 });
    }

    /// Loads elements of a place that are neighbours along the vector as those of another kind; `None` where they are not.
    pub(super) fn load_bits(
        &mut self,
        position: usize,
        element: Element,
        at: &Offsets,
    ) -> Option<Vector> {
        let place = self.places[position];
        if self.along(place) != Along::Neighbours || self.mode == Mode::One || place.packed {
            return None;
        }
        let displacement = self.displacement(place, at);
        let at_address = self.code.address(self.pointers[position], displacement);
        let span = self.mask_at(at).map_or(Span::Whole, Span::Where);
        let to = self.code.vector();
        self.code.op(Op::Load { element, to, at: at_address, span });
        self.fetch_ahead(position, displacement);
        self.fetch_next(position, displacement);
        Some(to)
    }

    /// Lane number times stride, in bytes.
    fn distances(&mut self, stride: i64) -> Result<Vector, Unsupported> {
        let reach = stride.saturating_mul(self.lanes.cast_signed());
        let (Ok(stride), Ok(_)) = (i32::try_from(stride), i32::try_from(reach)) else {
            return Err(self.refused(&format!("lanes {stride} bytes apart in wide vectors")));
        };
        let (numbers, stride) = (self.code.lane_numbers(), self.code.integer(stride));
        Ok(self.code.dyad(Dyad::Mul, Lane::I32, numbers, stride))
    }

    /// What a load gave, as lanes of the type.
    pub(super) fn read_as(&mut self, dtype: DType, raw: Vector) -> Value {
        match dtype {
            DType::Bool => {
                let zero = self.code.integer(0);
                Value::Truth(self.code.compare(Condition::NotEqual, Lane::I32, raw, zero))
            }
            DType::Bf16 => Value::Lanes(self.code.shift(Shift::Left, Lane::I32, raw, 16)),
            _ => Value::Lanes(raw),
        }
    }

    /// Stores a value into the target at a position.
    pub(super) fn store(&mut self, at: &Offsets, value: Value) -> Result<(), Unsupported> {
        let place = &self.nest.target;
        let displacement = self.displacement(place, at);
        let pointer = *self.pointers.last().expect("the target is the last place");
        let address = self.code.address(pointer, displacement);
        let from = self.written_as(place.dtype, value);
        let (element, mask) = (element_of(place.dtype), self.mask_at(at));
        if let Along::Apart(stride) = self.along(place) {
            let index = self.distances(stride)?;
            self.code.op(Op::Scatter { element, from, at: address, index, mask });
            return Ok(());
        }
        let span = match (self.mode, mask) {
            (Mode::One, _) => Span::First,
            (_, Some(mask)) => Span::Where(mask),
            (_, None) => Span::Whole,
        };
        let streaming = self.streaming && span == Span::Whole;
        self.code.op(Op::Store { element, from, at: address, span, streaming });
        Ok(())
    }

    /// Lanes of a type as what is stored of them.
    pub(super) fn written_as(&mut self, dtype: DType, value: Value) -> Vector {
        match (dtype, value) {
            (_, Value::Truth(mask)) => {
                let (one, zero) = (self.code.integer(1), self.code.integer(0));
                self.code.select(Lane::I32, mask, one, zero)
            }
            (DType::Bf16, Value::Lanes(x)) => {
                self.code.shift(Shift::RightLogical, Lane::I32, x, 16)
            }
            (_, Value::Lanes(x)) => x,
        }
    }
}

/// A distance in a place in bytes: packed elements count half bytes.
pub(super) fn in_bytes(place: &Place, distance: i64) -> i64 {
    if place.packed { distance / 2 } else { distance }
}
