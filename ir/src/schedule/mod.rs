//! The schedule: everything about speed that the mathematics leaves open, as named choices in a text.
//!
//! ```text
//! schedule matmul {
//!   choose C.grid.m = 64
//!   choose C.vector = n
//! }
//! ```
//!
//! `Space::new` derives the legal choices from a pass program and a target. A schedule is a list of names and
//! values; what it does not say takes the default. `Forms` has a space for each of the equal forms of a kernel. Invariant: printing is canonical (sorted by the space's order),
//! so equal schedules have equal hashes; the space is sampled and counted, never enumerated.

mod adapt;
mod ahead;
mod blocks;
mod chains;
mod config;
mod constraint;
mod defaults;
mod domain;
mod forms;
mod fusion;
mod grids;
mod groups;
mod keep;
mod key;
mod limits;
mod sample;
mod shape;
mod source;
mod space;
mod splits;
mod streams;
mod text;
mod tiles;

pub(crate) use ahead::next as next_block;
pub(crate) use config::grid_axes;
pub use config::{Config, Pack, PassConfig, PhaseConfig};
pub use forms::{FORM, FormSpace, Forms, WRITTEN};
pub(crate) use keep::kept;
pub use space::{Choice, Domain, Space};
pub(crate) use splits::apply as apply_splits;
pub use text::{Schedule, Setting};

use std::fmt;

/// The codes of the faults of a schedule.
pub mod code {
    /// The schedule names another kernel.
    pub const KERNEL: &str = "TW0401";
    /// No choice has this name.
    pub const UNKNOWN: &str = "TW0402";
    /// A choice is set twice.
    pub const TWICE: &str = "TW0403";
    /// The value is not in the choice's domain.
    pub const VALUE: &str = "TW0404";
    /// The value is illegal next to the other choices.
    pub const CONSTRAINT: &str = "TW0405";
    /// The program would need more memory than it may.
    pub const MEMORY: &str = "TW0406";
    /// No form of the kernel has this name.
    pub const FORM: &str = "TW0407";
}

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
