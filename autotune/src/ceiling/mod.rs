//! What the machine can do at most: arithmetic rate and bandwidth of each memory level, measured by probes.
//!
//! A floor derived from these numbers tells how far a kernel is from the best possible, and refuses times that no
//! machine could have. Invariant: a ceiling is a rate that whole batches of calls have reached, so no noise raises it,
//! and the fastest of many batches, so little lowers it.

mod measure;
mod roofline;

pub use roofline::{Bound, bound};
use serde::{Deserialize, Serialize};

/// The bandwidth of one memory level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelBandwidth {
    /// `L1`, `L2`, `L3`, `memory`.
    pub level: String,
    /// Bytes one thread can use of the level; 0 for memory.
    pub bytes: u64,
    /// Gigabytes (1e9 bytes) per second.
    pub gbps: f64,
}

/// The ceilings at one number of threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Fused multiply-add in f32 with 128-bit vectors; 1e9 flop per second, an FMA is two.
    pub fma_128_gflops: f64,
    /// The same with the widest vectors that have a probe.
    pub fma_gflops: f64,
    /// The widest in f64; 0 without a probe.
    pub fma_f64_gflops: f64,
    /// Read bandwidth of each level, nearest first.
    pub bandwidth_gbps: Vec<LevelBandwidth>,
}

/// The ceilings of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// The number of threads of `all`.
    pub threads: u64,
    /// With one thread.
    pub one: Rates,
    /// With all threads at once.
    pub all: Rates,
}
