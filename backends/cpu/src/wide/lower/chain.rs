//! Long chains of additions, cut into short ones.
//!
//! Where a block has more terms than may be added in a row, its innermost loops run in pieces. Behind each piece the
//! accumulators are folded into partial results and start anew. These stand in registers, or in memory where registers
//! are few: that stays in the nearest cache, but two dozen stores in a row cost a core thirty to seventy cycles (measured).
//! Invariant: no accumulator folds more than `chain` terms in a row, and no partial result more than there are pieces.

use super::Word;
use super::nest::NestLowering;
use super::part::{Kind, Part, Stretch};
use super::value::lane_of;
use crate::machine::Cut;
use crate::wide::program::{Address, Dyad, Element, Limit, Op, Operand, Scalar, Span, Vector};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::plan::start_value;
use tilewright_ir::{AxisId, DType};

/// Bytes of a partial result: a vector, whatever its length.
const PARTIAL_BYTES: usize = 64;

/// Where the loops over the reduced axes are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The position of the axis among the reduced ones.
    pub(super) level: usize,
    /// Indices in a piece.
    step: u64,
    partials: Partials,
    /// Where the length is known: the first and the last piece have code of their own.
    peeled: Option<u64>,
}

/// Which piece of a chain some code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// The first of several: its sums are the partial results.
    First,
    /// Its sums are added to the partial results.
    Inner,
    /// The last of several: the accumulators end as the whole sums.
    Last,
}

/// Where the partial results are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Partials {
    Registers(Vec<Vector>),
    Memory(Scalar),
}

impl NestLowering<'_> {
    /// Decides whether and where the chains of a tile are cut, and makes its partial results the start values.
    pub(super) fn begin_chain(&mut self, states: &[Vector]) -> Result<(), Unsupported> {
        self.chain = None;
        let longest = |axis| self.block(axis).lengths().max().unwrap_or(0);
        let side_by_side = |axis| if self.is_vector(axis) { self.tile_of(axis) } else { 1 };
        let Some(Cut { level, step }) = self.nest.cut(longest, side_by_side) else {
            return Ok(());
        };
        self.check_pieces(self.nest.reduce[level], step)?;
        let partials = match self.around.partials_in_memory {
            true => Partials::Memory(self.word(Word::Partials)),
            false => Partials::Registers(states.iter().map(|_| self.code.vector()).collect()),
        };
        let in_memory = matches!(partials, Partials::Memory(_));
        let axis = self.nest.reduce[level];
        let extent = self.block(axis).extent.filter(|&extent| extent > step);
        let peeled = extent.filter(|_| in_memory && level == 0 && !self.is_vector(axis));
        self.chain = Some(Chain { level, step, partials, peeled });
        if peeled.is_none() {
            for (number, &state) in states.iter().enumerate() {
                self.keep(state, number);
            }
        }
        Ok(())
    }

    /// Takes the partial results as the accumulators, behind all pieces.
    pub(super) fn end_chain(&mut self, states: &[Vector]) {
        if self.chain.as_ref().is_some_and(|chain| chain.peeled.is_none()) {
            for (number, &state) in states.iter().enumerate() {
                let x = self.partial(number);
                self.code.op(Op::Copy { to: state, x });
            }
        }
    }

    /// Pointers into panels are computed from the start of a piece, so that has to be the start of a panel.
    fn check_pieces(&self, axis: AxisId, step: u64) -> Result<(), Unsupported> {
        let split = |width: u64| !step.is_multiple_of(width);
        let mut panels = self.places.iter().filter_map(|place| place.panel_of(axis));
        match panels.any(|panel| split(panel.width)) {
            true => Err(self.refused("panels along a sum that is cut")),
            false => Ok(()),
        }
    }

    /// Runs `inner` over the pieces of the cut axis.
    pub(super) fn pieces(
        &mut self,
        axis: AxisId,
        states: &[Vector],
        mut inner: impl FnMut(&mut Self, &Stretch) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        let chain = self.chain.as_ref().expect("the axis is cut");
        let (step, peeled) = (chain.step, chain.peeled);
        let stretch = self.whole(axis);
        if let Some(extent) = peeled {
            return self.peeled_pieces((axis, states), &stretch, (extent, step), inner);
        }
        let rest = |length: &u64| Some(length % step).filter(|&rest| rest != 0);
        let mut rests: Vec<u64> = stretch.lengths.iter().filter_map(rest).collect();
        rests.dedup();
        let mut parts = vec![];
        if stretch.lengths.iter().any(|&length| length >= step) {
            parts.push(Part { step, count: 1, kind: Kind::Whole });
        }
        match rests[..] {
            [] => {}
            [rest] => parts.push(Part { step: rest, count: 1, kind: Kind::Rest(0) }),
            _ => parts.push(Part { step, count: 1, kind: Kind::Tail }),
        }
        self.cut(axis, &stretch, &parts, false, |lowering, part| {
            let start = lowering.indices.get(&axis).copied();
            let piece = match (part.kind, start) {
                (Kind::Tail, _) => Stretch { start, end: stretch.end, lengths: rests.clone() },
                (_, Some(index)) => {
                    let end = lowering.code.add_constant(index, part.step.cast_signed());
                    Stretch { start, end: Limit::Scalar(end), lengths: vec![part.step] }
                }
                (_, None) => stretch.clone(),
            };
            lowering.restart(states);
            inner(lowering, &piece)?;
            lowering.fold_partials(states, Self::keep)
        })
    }

    /// As `pieces`, with code of its own for the first and the last piece: so two of the folds, which all accumulators
    /// wait for, are half as long.
    fn peeled_pieces(
        &mut self,
        (axis, states): (AxisId, &[Vector]),
        stretch: &Stretch,
        (extent, step): (u64, u64),
        mut inner: impl FnMut(&mut Self, &Stretch) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        let last = (extent - 1) % step + 1;
        let mut parts = vec![Part { step, count: 1, kind: Kind::Rest(0) }];
        let mut pieces = vec![Piece::First];
        if extent > step + last {
            parts.push(Part { step, count: 1, kind: Kind::Before(last) });
            pieces.push(Piece::Inner);
        }
        parts.push(Part { step: last, count: 1, kind: Kind::Rest(0) });
        pieces.push(Piece::Last);
        let mut pieces = pieces.into_iter();
        let rests = self.rests;
        self.cut(axis, stretch, &parts, false, |lowering, part| {
            let start = lowering.indices.get(&axis).copied().expect("several parts have an index");
            let end = lowering.code.add_constant(start, part.step.cast_signed());
            let end = Limit::Scalar(end);
            // None of them is what was left by another.
            let counted = std::mem::replace(&mut lowering.rests, rests);
            lowering.restart(states);
            inner(lowering, &Stretch { start: Some(start), end, lengths: vec![part.step] })?;
            lowering.rests = counted;
            match pieces.next().expect("every part is written once") {
                Piece::First => {
                    for (number, &state) in states.iter().enumerate() {
                        lowering.keep(state, number);
                    }
                    Ok(())
                }
                Piece::Inner => lowering.fold_partials(states, |lowering, folded, number| {
                    lowering.keep(folded, number);
                }),
                Piece::Last => lowering.fold_partials(states, |lowering, x, number| {
                    lowering.code.op(Op::Copy { to: states[number], x });
                }),
            }
        })
    }

    /// Every accumulator starts anew.
    fn restart(&mut self, states: &[Vector]) {
        let each = states.len() / self.nest.accumulators.len();
        for (number, &to) in states.iter().enumerate() {
            let accumulator = self.nest.accumulators[number / each];
            let dtype = self.nest.dag.dtype(accumulator.term);
            let identity = start_value(accumulator.op, dtype).value;
            if identity.to_bits() == 0 {
                // Cores that cannot rename two dozen copies of one register still know this as zero; here both take as long.
                let (lane, y) = (lane_of(dtype), Operand::Vector(to));
                self.code.op(Op::Dyad { op: Dyad::Xor, lane, to, x: to, y });
                continue;
            }
            let x = self.literal(identity, dtype).lanes();
            self.code.op(Op::Copy { to, x });
        }
    }

    /// Folds every accumulator and its partial result; `keep` says where to.
    fn fold_partials(
        &mut self,
        states: &[Vector],
        keep: impl Fn(&mut Self, Vector, usize),
    ) -> Result<(), Unsupported> {
        let each = states.len() / self.nest.accumulators.len();
        for (number, &state) in states.iter().enumerate() {
            let accumulator = self.nest.accumulators[number / each];
            let dtype = self.nest.dag.dtype(accumulator.term);
            let so_far = self.partial(number);
            let folded = self.fold(accumulator.op, dtype, state, so_far)?;
            keep(self, folded, number);
        }
        Ok(())
    }

    /// A partial result.
    fn partial(&mut self, number: usize) -> Vector {
        match &self.chain.as_ref().expect("the chain is cut").partials {
            Partials::Registers(registers) => registers[number],
            &Partials::Memory(base) => {
                let (element, to) = (self.word_element(), self.code.vector());
                let at = Address { base, displacement: displacement(number) };
                self.code.op(Op::Load { element, to, at, span: Span::Whole });
                to
            }
        }
    }

    fn keep(&mut self, from: Vector, number: usize) {
        match &self.chain.as_ref().expect("the chain is cut").partials {
            Partials::Registers(registers) => {
                let to = registers[number];
                self.code.op(Op::Copy { to, x: from });
            }
            &Partials::Memory(base) => {
                let element = self.word_element();
                let at = Address { base, displacement: displacement(number) };
                self.code.op(Op::Store { element, from, at, span: Span::Whole, streaming: false });
            }
        }
    }

    /// Elements as wide as the lanes of the nest: all bits of a vector.
    fn word_element(&self) -> Element {
        let mut dtypes = self.nest.dag.dtypes().chain([self.nest.target.dtype]);
        if dtypes.any(|dtype| dtype == DType::F64) { Element::Double } else { Element::Word }
    }
}

fn displacement(number: usize) -> i32 {
    i32::try_from(number * PARTIAL_BYTES).expect("a register tile is small")
}
