//! What the code of an operation takes besides its operands: scratch registers, the stage, time.
//!
//! Invariant: it counts what the other files take; `Encoder::scratch` checks it.

use super::super::allocate::{Demands, Scratch};
use super::super::isa::Isa;
use super::super::live::Reading;
use super::super::program::{Element, Lane, Leaf, Monad, Narrow, Node, Op, Operand, Span, Vector};
use super::vectors::{commutes, monad_row};
use std::collections::BTreeSet;

/// The demands of code for an instruction set.
pub(super) struct Needs {
    pub(super) isa: Isa,
    /// Bytes of the widest lane.
    pub(super) widest: u64,
}

impl Reading for Needs {
    fn writes_early(&self, op: &Op) -> bool {
        let turns = self.isa == Isa::Avx2 && matches!(op, Op::LanesDown { .. });
        // A sum of products overwrites its summand, which a move puts there first.
        turns || matches!(op, Op::Gather { .. } | Op::Dot { .. })
    }
}

impl Demands for Needs {
    fn scratch(&self, op: &Op, pooled: &BTreeSet<Vector>) -> Scratch {
        let memory = |y: Operand| match y {
            Operand::Vector(y) => pooled.contains(&y),
            Operand::Splat(_) | Operand::Memory(_) => true,
        };
        let loaded = |of: Vector| usize::from(pooled.contains(&of));
        let splat =
            |y: Operand| usize::from(self.isa == Isa::Avx2 && matches!(y, Operand::Splat(_)));
        let first = |x: Vector, y: Operand| usize::from(pooled.contains(&x) && memory(y));
        let avx2 = usize::from(self.isa == Isa::Avx2);
        let (vectors, predicates) = match *op {
            Op::Dyad { op, x, y, .. } if commutes(op) => (first(x, y) + splat(y), 0),
            Op::Dyad { x, y, .. } => (loaded(x) + splat(y), 0),
            Op::Compare { lane: Lane::I32 | Lane::I64, x, y, .. } => {
                let turned = avx2 * usize::from(memory(y) || pooled.contains(&x));
                (first(x, y) + turned, 0)
            }
            Op::Compare { x, y, .. } => (first(x, y) + splat(y), 0),
            Op::MultiplyAdd { x, y, z, .. } => {
                let both = pooled.contains(&z) && (memory(y) || pooled.contains(&x));
                (first(x, y) + usize::from(both) + splat(y), 0)
            }
            Op::Nibbles { .. } => (1, 0),
            Op::Dot { to, x, y, z, .. } => {
                // A factor that the summand overwrites is kept aside.
                let kept = |of: Vector| usize::from(of == to && z != to);
                let second = if let Operand::Vector(y) = y { kept(y) } else { 0 };
                (loaded(x) + kept(x) + second, 0)
            }
            Op::Monad { op: Monad::LowHalf, x, .. } => (loaded(x) + avx2, 0),
            Op::Monad { op, lane, x, .. } => {
                let from_memory = monad_row(op, lane).is_some_and(|row| row.from_memory);
                (if from_memory { 0 } else { loaded(x) }, 0)
            }
            Op::Shift { x, .. } | Op::LanesDown { x, .. } | Op::Scale { x, .. } => (loaded(x), 0),
            Op::LookUp { at, .. } => (loaded(at), 0),
            Op::LookUpHalves { table, at, .. } => (loaded(table) + loaded(at), 0),
            Op::Halve { y, .. } => (loaded(y), 0),
            Op::Zip { x, y, .. } | Op::Pieces { x, y, .. } => (loaded(x) + loaded(y), 0),
            Op::Select { lane, no, .. } => (loaded(no) + self.narrowed_masks(lane.bytes()), 0),
            Op::Load { element, span: Span::Where(_), .. } => {
                (self.narrowed_masks(element.bytes()), 0)
            }
            Op::Store { element, from, span, .. } => {
                let own = match (element, span) {
                    (Element::F16, Span::First) => 1,
                    (Element::U16 | Element::I16 | Element::U8 | Element::I8, Span::Whole) => avx2,
                    (_, Span::Where(_)) => self.narrowed_masks(element.bytes()),
                    _ => 0,
                };
                (loaded(from) + own, 0)
            }
            Op::Gather { element, index, .. } => (loaded(index) + avx2, self.copied_masks(element)),
            Op::Scatter { element, from, index, .. } => {
                (loaded(from) + loaded(index), self.copied_masks(element))
            }
            _ => (0, 0),
        };
        Scratch { vectors, predicates }
    }
}

impl Needs {
    /// Scratch vectors for a predicate in lanes of four bytes.
    fn narrowed_masks(&self, lane_bytes: u64) -> usize {
        usize::from(self.isa == Isa::Avx2 && self.widest == 8 && lane_bytes == 4)
    }

    /// Mask registers that a gather or a scatter uses up.
    fn copied_masks(&self, element: Element) -> usize {
        let instruction = matches!(element, Element::Word | Element::Double);
        usize::from(self.isa.is_avx512() && instruction)
    }
}

/// What a leaf has somewhere.
pub(super) struct Survey {
    /// Bytes of the widest lane.
    pub(super) widest: u64,
    /// Whether something goes through the stage.
    pub(super) staged: bool,
    /// Whether tile registers are used.
    pub(super) tiled: bool,
    /// The least set that has the operations not all have.
    pub(super) least: Isa,
}

impl Survey {
    pub(super) fn of(leaf: &Leaf, isa: Isa) -> Self {
        let mut found = Self { widest: 4, staged: false, tiled: false, least: Isa::Avx2 };
        let mut see = |op: &Op| {
            found.widest = found.widest.max(lane_bytes(op));
            found.staged |= goes_lane_by_lane(op, isa);
            found.tiled |= matches!(op, Op::Tile(_));
            found.least = found.least.max(least_of(op));
        };
        leaf.constants.iter().for_each(&mut see);
        visit(&leaf.body, &mut see);
        found
    }
}

/// The least set that has an operation; of what all have, the least of all.
fn least_of(op: &Op) -> Isa {
    let has = |suits: &dyn Fn(Isa) -> bool| Isa::ALL.into_iter().rev().find(|&isa| suits(isa));
    let least = match op {
        Op::Tile(_) => has(&Isa::has_tiles),
        Op::Dot { of, .. } => has(&|isa| isa.has_dot(*of)),
        Op::Halve { .. } => has(&|isa| isa.has_dot(Narrow::Bf16)),
        _ => None,
    };
    least.unwrap_or(Isa::Avx2)
}

fn visit(nodes: &[Node], see: &mut dyn FnMut(&Op)) {
    for node in nodes {
        match node {
            Node::Op(op) => see(op),
            Node::Loop { body, .. } => visit(body, see),
            Node::If { then, otherwise, .. } => {
                visit(then, see);
                visit(otherwise, see);
            }
            Node::IfAny { then, .. } => visit(then, see),
        }
    }
}

fn goes_lane_by_lane(op: &Op, isa: Isa) -> bool {
    match op {
        Op::Gather { element, .. } | Op::Scatter { element, .. } => element.bytes() < 4,
        Op::Load { element, span: Span::Where(_), .. }
        | Op::Store { element, span: Span::Where(_), .. } => {
            isa == Isa::Avx2 && element.bytes() < 4
        }
        _ => false,
    }
}

/// Bytes of the widest lane that an operation reads or writes.
fn lane_bytes(op: &Op) -> u64 {
    match *op {
        Op::Monad { op: Monad::DoubleOfInteger | Monad::DoubleOfFloat | Monad::Extend, .. } => 8,
        Op::Constant { lane, .. }
        | Op::Dyad { lane, .. }
        | Op::Monad { lane, .. }
        | Op::Shift { lane, .. }
        | Op::MultiplyAdd { lane, .. }
        | Op::Scale { lane, .. }
        | Op::Compare { lane, .. }
        | Op::Select { lane, .. }
        | Op::LanesDown { lane, .. }
        | Op::Zip { lane, .. }
        | Op::Pieces { lane, .. }
        | Op::Splat { lane, .. } => lane.bytes(),
        Op::Load { element, .. }
        | Op::Gather { element, .. }
        | Op::Store { element, .. }
        | Op::Scatter { element, .. } => element.lane_bytes(),
        _ => 4,
    }
}
