//! What a machine says about itself.

use crate::ceiling::{Ceilings, Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tilewright_ir::base::hash_text;
use tilewright_ir::target::Target;

/// A machine in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CeilingReport {
    /// What was measured: `fma_f32_128`, `fma_f32`, `fma_f64`, `read_L1`, ..., `read_memory`.
    pub name: String,
    /// How many threads worked at once.
    pub threads: u64,
    /// Work per second of all these threads: 10^9 flop or 10^9 bytes, see `unit`.
    pub giga_per_second: f64,
    /// `flop` or `byte`.
    pub unit: String,
}

impl CeilingReport {
    /// The rows of a machine's ceilings: one thread, then all of them. What was not measured has no row.
    pub fn rows(ceilings: &Ceilings) -> Vec<Self> {
        let mut rows = rates(&ceilings.one, 1);
        if ceilings.threads > 1 {
            rows.extend(rates(&ceilings.all, ceilings.threads));
        }
        rows.into_iter().filter(|row| row.giga_per_second > 0.0).collect()
    }
}

fn rates(rates: &Rates, threads: u64) -> Vec<CeilingReport> {
    let row = |name: &str, giga_per_second: f64, unit: &str| CeilingReport {
        name: name.to_string(),
        threads,
        giga_per_second,
        unit: unit.to_string(),
    };
    let arithmetic = [
        row("fma_f32_128", rates.fma_128_gflops, "flop"),
        row("fma_f32", rates.fma_gflops, "flop"),
        row("fma_f64", rates.fma_f64_gflops, "flop"),
    ];
    let levels = rates.bandwidth_gbps.iter();
    let levels = levels.map(|level| row(&format!("read_{}", level.level), level.gbps, "byte"));
    arithmetic.into_iter().chain(levels).collect()
}

/// The answer of `describe-device --json`: one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceReport {
    /// The version of this format.
    pub format_version: u32,
    /// The back end and its version.
    pub compiler: String,
    /// The hash of `target`: 32 hexadecimal digits.
    pub target_hash: String,
    /// The full description.
    #[schemars(with = "serde_json::Value")]
    pub target: Target,
    /// What was measured; empty if nothing was.
    pub ceilings: Vec<CeilingReport>,
    /// The age of the measurement in seconds; `null` if nothing was measured.
    pub ceilings_age_seconds: Option<u64>,
}
