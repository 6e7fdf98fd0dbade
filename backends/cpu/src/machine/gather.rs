//! Gathers as addresses: affine subscripts that never leave their axis become strides, all others are computed, clamped
//! and multiplied for each lane.
//!
//! Invariant: whatever its subscripts are, a gather reads inside of its buffer.

use super::build::Binding;
use super::convert::Conversion;
use super::dag::NodeId;
use super::place::{Place, Term};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::{Affine, Expr};
use tilewright_ir::graph::PICKS_MAX;
use tilewright_ir::{AxisId, AxisSet, BinaryOp, BufferId, DType, LocalId};

impl Conversion<'_, '_> {
    /// The elements of a buffer with some of its axes replaced by indices; 0 where one of them is empty.
    pub(super) fn gather(
        &mut self,
        buffer: BufferId,
        picks: &[(AxisId, Expr)],
    ) -> Result<NodeId, Unsupported> {
        let mut place = self.builder.places[&buffer].clone();
        let axes = &self.builder.program.axes;
        if picks.iter().any(|&(axis, _)| axes.extent(axis) == 0) {
            return Ok(self.dag.literal(0.0, place.dtype));
        }
        // All replaced axes go before any index brings one of them back.
        let stays = |term: &Term| picks.iter().all(|pick| pick.0 != term.axis);
        let (kept, replaced): (Vec<_>, Vec<_>) = place.terms.iter().copied().partition(stays);
        place.terms = kept;
        let mut subscripts = vec![];
        for (axis, index) in picks {
            let Some(term) = replaced.iter().find(|term| term.axis == *axis) else { continue };
            match self.affine(index, *axis) {
                Some(affine) => add_strides(&mut place, &affine, term.stride_bytes),
                None => {
                    subscripts.push(self.clamped(index, *axis)?);
                    place.picks.push(term.stride_bytes);
                }
            }
        }
        if subscripts.is_empty() {
            return Ok(self.dag.load(&place));
        }
        let mut list = [None; PICKS_MAX];
        if subscripts.len() > list.len() {
            let what = format!("a gather with {} computed subscripts", subscripts.len());
            return Err(self.builder.unsupported(what, &self.name));
        }
        list.iter_mut().zip(subscripts).for_each(|(slot, index)| *slot = Some(index));
        Ok(self.dag.gather(&place, list))
    }

    /// The form of an index that never leaves its axis.
    fn affine(&self, index: &Expr, axis: AxisId) -> Option<Affine> {
        let lets = |local: LocalId| match self.builder.bindings.get(&local) {
            Some(Binding::Expr(expr)) => Some(expr),
            _ => None,
        };
        let axes = &self.builder.program.axes;
        Affine::of(index, axes, &lets).filter(|affine| affine.is_inside(axis, axes))
    }

    fn clamped(&mut self, index: &Expr, axis: AxisId) -> Result<NodeId, Unsupported> {
        let last = self.builder.program.axes.extent(axis).saturating_sub(1);
        let index = self.convert(index, false)?;
        let (zero, last) =
            (self.dag.literal(0.0, DType::I32), self.dag.literal(last as f64, DType::I32));
        let mut bounded =
            |op, x, y| self.dag.add(super::Node::Binary(op, x, y), DType::I32, AxisSet::EMPTY);
        let above = bounded(BinaryOp::Max, index, zero);
        Ok(bounded(BinaryOp::Min, above, last))
    }
}

fn add_strides(place: &mut Place, affine: &Affine, stride_bytes: i64) {
    place.origin_bytes += affine.constant * stride_bytes;
    for (&axis, factor) in &affine.factors {
        let stride_bytes = factor * stride_bytes;
        match place.terms.iter_mut().find(|term| term.axis == axis) {
            Some(term) => term.stride_bytes += stride_bytes,
            None => place.terms.push(Term { axis, stride_bytes, relative: false }),
        }
    }
}
