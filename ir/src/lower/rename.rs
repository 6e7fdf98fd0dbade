//! Expressions with other locals and buffers.
//!
//! Invariant: a name without an entry stays as it is.

use crate::base::{BufferId, Expr, LocalId};
use std::collections::BTreeMap;

/// What stands for locals and buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Renamed {
    locals: BTreeMap<LocalId, Expr>,
    buffers: BTreeMap<BufferId, BufferId>,
}

impl Renamed {
    /// Puts an expression in the place of a local.
    pub(super) fn insert(&mut self, local: LocalId, expr: Expr) {
        self.locals.insert(local, expr);
    }

    /// Puts a buffer in the place of another one.
    pub(super) fn insert_buffer(&mut self, from: BufferId, to: BufferId) {
        self.buffers.insert(from, to);
    }

    /// The expression in the new names.
    pub(super) fn apply(&self, expr: &Expr) -> Expr {
        let buffer = |buffer: &BufferId| self.buffers.get(buffer).copied().unwrap_or(*buffer);
        match expr {
            Expr::Local(local) => self.locals.get(local).unwrap_or(expr).clone(),
            Expr::Load(from) => Expr::Load(buffer(from)),
            Expr::At(from, picks) => {
                let pick = |(axis, index): &(_, Expr)| (*axis, self.apply(index));
                Expr::At(buffer(from), picks.iter().map(pick).collect())
            }
            other => other.map_children(|child| self.apply(child)),
        }
    }
}
