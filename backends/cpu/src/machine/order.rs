//! The order in which threads take the iterations of a grid: those with the most work first.
//!
//! Threads take iterations as they become free, so a long one at the end keeps one thread busy while the others wait.
//! Invariant: the order changes nothing but time, since iterations are independent.

use std::collections::BTreeSet;
use tilewright_ir::AxisId;
use tilewright_ir::tile::{Phase, Stmt};

/// Whether later iterations have more work: a loop ends further and further along its axis, and begins where it did.
pub(super) fn is_descending(phase: &Phase) -> bool {
    let grid: BTreeSet<AxisId> = phase.grid.axes.iter().map(|&(axis, _)| axis).collect();
    let mut grows = 0_i64;
    let mut bodies = vec![&phase.body];
    while let Some(body) = bodies.pop() {
        for statement in body {
            let Stmt::For(inner) = statement else { continue };
            bodies.push(&inner.body);
            for bounds in inner.bounds.values() {
                let slope = |of: &[tilewright_ir::base::Affine]| -> i64 {
                    let factors = of.iter().flat_map(|bound| &bound.factors);
                    let slopes = factors.filter(|(axis, _)| grid.contains(axis));
                    slopes.map(|(_, factor)| factor.signum()).sum()
                };
                grows = grows.saturating_add(slope(&bounds.to) - slope(&bounds.from));
            }
        }
    }
    grows > 0
}
