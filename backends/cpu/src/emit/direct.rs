//! Phases that are one leaf.
//!
//! A phase of one iteration whose body is one leaf has nothing to decide. If the words of the leaf's frame are addresses
//! of arguments, the list of arguments serves as the frame, and the phase is entered at the leaf.
//! Invariant: the leaf computes the same, from the same words found elsewhere.

use super::leaf::{LeafCode, Leaves};
use crate::machine::{Base, MachinePhase, Nest, Step};
use crate::wide::program::{Leaf, Node, Op};
use crate::wide::{self, Word};
use tilewright_ir::base::AxisTable;

/// For each word of a frame the argument whose address it is; `None` if a word is something else.
pub(super) fn arguments(
    nest: &Nest,
    words: &[Word],
    is_fixed: impl Fn(&crate::machine::Place) -> bool,
) -> Option<Vec<u32>> {
    let places: Vec<_> = nest.dag.places.iter().chain([&nest.target]).collect();
    let argument = |word: &Word| {
        let Word::Pointer(place) = *word else { return None };
        let place = places[place];
        match place.base {
            Base::Argument(position) if place.origin_bytes == 0 && !place.packed => {
                u32::try_from(position).ok().filter(|_| is_fixed(place))
            }
            Base::Argument(_) | Base::Scratch(_) => None,
        }
    };
    words.iter().map(argument).collect()
}

/// Whether steps are one nest, inside of loops over one block or none.
fn is_nest(steps: &[Step], axes: &AxisTable) -> bool {
    match steps {
        [Step::Nest(_)] => true,
        [Step::Loop(of)] => {
            let comes_once = of.axes.iter().all(|&(axis, step)| axes.extent(axis) <= step);
            comes_once && of.bounds.is_empty() && is_nest(&of.body, axes)
        }
        _ => false,
    }
}

/// The leaf that is the whole phase, reading the list of arguments as its frame.
pub(super) fn leaf(
    phase: &MachinePhase,
    axes: &AxisTable,
    iterations: u64,
    leaves: &Leaves,
) -> Option<LeafCode> {
    let (1, true, [code]) = (iterations, is_nest(&phase.body, axes), &leaves.codes[..]) else {
        return None;
    };
    let arguments = code.arguments.as_ref()?;
    let mut leaf: Leaf = code.leaf.clone();
    for node in &mut leaf.body {
        // Frames are read at the beginning, outside of all loops.
        if let Node::Op(Op::Frame { word, .. }) = node {
            *word = *arguments.get(usize::try_from(*word).ok()?)?;
        }
    }
    let bytes = wide::encode(&leaf, leaves.isa).ok()?;
    Some(LeafCode { leaf, bytes, arguments: code.arguments.clone() })
}
