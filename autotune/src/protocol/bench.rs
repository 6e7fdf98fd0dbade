//! What a run of `bench` leaves for later ones to compare with.
//!
//! Invariant: a record has every round that was taken, so a later version can judge it anew.

use super::TargetName;
use crate::clock::against::{Ratio, Round};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tilewright_ir::base::Sizes;

/// The version of `BenchRecord`.
pub const BENCH_FORMAT_VERSION: u32 = 1;

/// The time of a kernel, to be compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchRecord {
    /// `BENCH_FORMAT_VERSION`.
    pub format_version: u32,
    /// The kernel's name.
    pub kernel: String,
    /// The extents of its axes.
    pub sizes: Sizes,
    /// The most threads that it was allowed, if that was said.
    pub threads: Option<u64>,
    /// The schedule, as text.
    pub schedule: String,
    /// The machine.
    pub machine: TargetName,
    /// The median time of a call with its 95 % interval, in nanoseconds.
    pub call_ns: Ratio,
    /// Rounds in groups; each group has buffers of its own.
    pub groups: Vec<Vec<Round>>,
}

impl BenchRecord {
    /// Whether this version can compare with it.
    pub fn is_usable(&self) -> bool {
        self.format_version == BENCH_FORMAT_VERSION
            && !self.groups.is_empty()
            && self.groups.iter().all(|group| !group.is_empty())
    }
}
