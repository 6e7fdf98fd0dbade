//! A machine as plain data: what the planner, the space and the cost model may ask about it.
//!
//! Detected for the host by a back end, or read from a file for another chip.
//! Invariant: no code asks the machine itself anywhere else; two equal targets give equal decisions.

use serde::{Deserialize, Serialize};

/// One level of memory, nearest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemoryLevel {
    /// `L1`, `L2`, `L3`, `memory`.
    pub name: String,
    /// Bytes one thread can use of it; 0 for memory.
    pub bytes: u64,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The back end: `cpu`.
    pub backend: String,
    /// The instruction set, `x86_64`, with the features that the code may use.
    pub isa: String,
    /// Features, sorted: `avx2`, `fma`, ...
    pub features: Vec<String>,
    /// The marketing name of the chip.
    pub chip: String,
    /// Bytes of one vector register that the back end uses.
    pub vector_bytes: u64,
    /// Vector registers that a register tile may use.
    pub vector_registers: u64,
    /// Whether a multiply-add adds to its accumulator without a copy, so that a register tile may fill the registers.
    #[serde(default)]
    pub accumulates_in_place: bool,
    /// Threads that the machine runs at once.
    pub threads: u64,
    /// Memory levels, nearest first.
    pub memory: Vec<MemoryLevel>,
}

impl Target {
    /// Lanes of one vector of elements of this many bytes.
    pub fn lanes(&self, element_bytes: u64) -> u64 {
        (self.vector_bytes / element_bytes.max(1)).max(1)
    }

    /// Bytes of the named memory level; 0 if the machine has none of that name.
    pub fn memory_bytes(&self, name: &str) -> u64 {
        self.memory.iter().find(|level| level.name == name).map_or(0, |level| level.bytes)
    }
}
