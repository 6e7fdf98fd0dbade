//! Rules of conversions.
//!
//! A text that rounds an intermediate to a narrow type, as one for a matrix unit does, allows for that rounding: whoever
//! leaves it out is nearer to the real value. Invariant: a conversion goes only where no value is beyond the narrow type.

use super::analysis::{Data, Graphs};
use super::language::Math;
use super::view::ordered;
use crate::graph::Op;
use egg::Id;

/// `(x : f16) : f32 = x` for an f32 x that f16 holds up to rounding, and likewise for other floats.
pub(super) fn keep_precision(graphs: &mut Graphs, id: Id, node: &Math) -> Vec<Id> {
    let wide = graphs[id].data.dtype;
    let narrowed = cast(graphs, node).map(|y| graphs.find(y));
    let Some(class) = narrowed.filter(|_| wide.is_float()) else { return vec![] };
    let narrow = graphs[class].data.dtype;
    let fits = |data: &Data| {
        data.dtype == wide && data.low >= -narrow.max_finite() && data.high <= narrow.max_finite()
    };
    if !narrow.is_float() || narrow.bits() >= wide.bits() {
        return vec![];
    }
    let casts = ordered(graphs, class).into_iter().filter_map(|node| cast(graphs, node));
    casts.filter(|&x| fits(&graphs[x].data)).collect()
}

/// What a node converts.
fn cast(graphs: &Graphs, node: &Math) -> Option<Id> {
    match node {
        Math::Other(name, operands) => {
            let is_cast = matches!(graphs.analysis.opaque[name].op, Op::Cast(_));
            operands.first().copied().filter(|_| is_cast)
        }
        _ => None,
    }
}
