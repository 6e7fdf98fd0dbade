//! What the loops of a nest are cut into: stretches of indices, and the parts of a stretch.
//!
//! Invariant: the parts of a stretch follow each other without a gap, whatever length it has.

use crate::wide::program::{Limit, Scalar};

/// One part of an axis: indices advance by `step`, `count` unrolled positions each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) step: u64,
    pub(super) count: u64,
    pub(super) kind: Kind,
}

impl Part {
    /// How many elements the vector or group at an offset has, if not all and known now.
    pub(super) fn rest_of(self, offset: u64) -> Option<u64> {
        match self.kind {
            Kind::Rest(rest) if rest > 0 && offset + 1 == self.count => Some(rest),
            Kind::Whole | Kind::Before(_) | Kind::Rest(_) | Kind::Tail => None,
        }
    }
}

/// What a part covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As many whole steps as fit.
    Whole,
    /// As many whole steps as fit before so many indices at the end.
    Before(u64),
    /// What is left, `step` indices, known now: so many elements in the last vector, if it is not whole.
    Rest(u64),
    /// What is left, fewer than `step` indices, known when the code runs.
    Tail,
}

/// The indices of an axis, inside the current block, that a loop runs over.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// The first index; `None`: 0.
    pub(super) start: Option<Scalar>,
    /// The index behind the last.
    pub(super) end: Limit,
    /// How many there may be.
    pub(super) lengths: Vec<u64>,
}

impl Stretch {
    /// The number of indices, where it is known now.
    pub(super) fn extent(&self) -> Option<u64> {
        match self.lengths[..] {
            [length] => Some(length),
            _ => None,
        }
    }
}
