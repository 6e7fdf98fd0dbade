//! What a machine says about itself.

use serde::{Deserialize, Serialize};
use tilewright_ir::base::hash_text;
use tilewright_ir::target::Target;

/// A machine in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetName {
    /// The back end: `cpu`.
    pub backend: String,
    /// The instruction set: `x86_64`.
    pub isa: String,
    /// The marketing name of the chip.
    pub chip: String,
    /// The hash of the full description: 32 hexadecimal digits.
    pub hash: String,
}

impl TargetName {
    /// The short form of a target. The hash covers every field of it.
    pub fn new(target: &Target) -> Self {
        let text = serde_json::to_string(target).expect("a target is plain data");
        Self {
            backend: target.backend.clone(),
            isa: target.isa.clone(),
            chip: target.chip.clone(),
            hash: hash_text("target", &text).to_string(),
        }
    }
}

/// One measured ceiling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CeilingReport {
    /// The probe: `fma_f32`, `read_L1`, ...
    pub name: String,
    /// Work per second of one thread: 10^9 flop or 10^9 bytes, see `unit`.
    pub giga_per_second: f64,
    /// `flop` or `byte`.
    pub unit: String,
}

/// The answer of `describe-device --json`: one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// The version of this format.
    pub format_version: u32,
    /// The back end and its version.
    pub compiler: String,
    /// The hash of `target`: 32 hexadecimal digits.
    pub target_hash: String,
    /// The full description.
    pub target: Target,
    /// What was measured; empty if nothing was.
    pub ceilings: Vec<CeilingReport>,
    /// The age of the measurement in seconds; `null` if nothing was measured.
    pub ceilings_age_seconds: Option<u64>,
}
