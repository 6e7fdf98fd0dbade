//! Where the loops over the reduced axes of a nest are cut, so that no chain of additions is too long.
//!
//! Both paths cut at the same axis and into pieces of the same length; where they keep partial results differs.
//! Invariant: what adds up inside of a piece is at most as long as the nest's chain.

use super::Nest;
use tilewright_ir::AxisId;

/// A cut loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The position of the axis among the reduced ones.
    pub(crate) level: usize,
    /// Indices in a piece.
    pub(crate) step: u64,
}

impl Nest {
    /// The reduced axis whose loop is cut; inside of it all is short enough. `longest` is the length of an axis's longest
    /// block, `side_by_side` how many of its terms are added side by side. `None` where no chain is too long.
    pub(crate) fn cut(
        &self,
        longest: impl Fn(AxisId) -> u64,
        side_by_side: impl Fn(AxisId) -> u64,
    ) -> Option<Cut> {
        let most = self.micro.chain;
        let mut rows = 1_u64;
        for (level, &axis) in self.reduce.iter().enumerate().rev().filter(|_| most > 0) {
            let own = longest(axis).div_ceil(side_by_side(axis));
            if rows.saturating_mul(own) > most {
                let step = even_pieces(own, (most / rows).max(1)) * side_by_side(axis);
                let group = self.group(axis);
                return Some(Cut { level, step: (step - step % group).max(group) });
            }
            rows *= own.max(1);
        }
        None
    }

    /// Elements that lie in one group along an axis: no piece cuts one.
    fn group(&self, axis: AxisId) -> u64 {
        let widths = self.dag.places.iter().filter_map(|place| place.panel_of(axis));
        widths.map(|panel| panel.width).max().unwrap_or(1).max(1)
    }
}

/// The longest piece of at most `most` terms such that all are of one length, in steps that unrolled code takes whole.
fn even_pieces(terms: u64, most: u64) -> u64 {
    let count = terms.div_ceil(most);
    let even = terms.div_ceil(count).next_multiple_of(8);
    let whole = if most < 8 { most } else { most - most % 8 };
    if even <= most { even } else { whole }
}
