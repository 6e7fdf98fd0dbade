//! The schedule: everything about speed that the mathematics leaves open, as named choices in a text.
//!
//!     schedule matmul {
//!       choose C.grid.m = 64
//!       choose C.vector = n
//!     }
//!
//! `Space::new` derives the legal choices from a pass program and a target. A schedule is a list of names and
//! values; what it does not say takes the default. Invariant: printing is canonical (sorted by the space's order),
//! so equal schedules have equal hashes; the space is sampled and counted, never enumerated.

mod space;
mod text;

pub use space::{Choice, Domain, Space};
pub use text::{Schedule, Setting};

use std::fmt;

/// The value of a choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChoiceValue {
    /// A count: a tile size, an unroll factor, a number of threads.
    Count(u64),
    /// A word: `yes`, `no`, an axis name, a layout.
    Word(String),
    /// A list of axis names: an order.
    Words(Vec<String>),
}

impl fmt::Display for ChoiceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Word(word) => f.write_str(word),
            Self::Words(words) => write!(f, "({})", words.join(", ")),
        }
    }
}
