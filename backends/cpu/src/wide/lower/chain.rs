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
        self.chain = Some(Chain { level, step, partials });
        for (number, &state) in states.iter().enumerate() {
            self.keep(state, number);
        }
        Ok(())
    }

    /// Takes the partial results as the accumulators, behind all pieces.
    pub(super) fn end_chain(&mut self, states: &[Vector]) {
        if self.chain.is_some() {
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
        let step = self.chain.as_ref().expect("the axis is cut").step;
        let stretch = self.whole(axis);
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
            lowering.fold_partials(states)
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
                // Cores know that it needs no multiply-adder, which they do not know of two dozen copies of one register.
                let (lane, y) = (lane_of(dtype), Operand::Vector(to));
                self.code.op(Op::Dyad { op: Dyad::Xor, lane, to, x: to, y });
                continue;
            }
            let x = self.literal(identity, dtype).lanes();
            self.code.op(Op::Copy { to, x });
        }
    }

    /// Folds every accumulator into its partial result.
    fn fold_partials(&mut self, states: &[Vector]) -> Result<(), Unsupported> {
        let each = states.len() / self.nest.accumulators.len();
        for (number, &state) in states.iter().enumerate() {
            let accumulator = self.nest.accumulators[number / each];
            let dtype = self.nest.dag.dtype(accumulator.term);
            let so_far = self.partial(number);
            let folded = self.fold(accumulator.op, dtype, state, so_far)?;
            self.keep(folded, number);
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
