//! `describe-device`: this machine as the planner sees it, with its measured ceilings.
//!
//! Invariant: ceilings come from the store while they are fresh; measuring again is said on stderr.

use super::failure::Failure;
use super::output::{Output, note};
use super::tune::now_unix;
use crate::report::{Table, age, rate};
use serde_json::to_value;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright::autotune::protocol::{CeilingReport, DeviceReport, FORMAT_VERSION, TargetName};
use tilewright::autotune::store::{CANNOT_OPEN, Store, default_path};
use tilewright::autotune::tune::{KnownCeilings, ceilings};
use tilewright::host;
use tilewright::ir::backend::Backend;

/// The arguments of `describe-device`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only detect; measure nothing
    #[arg(long)]
    no_measure: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let backend = host::backend()?;
    let measured = if args.no_measure { None } else { measure(backend)? };
    let (ceilings, age) = measured.unzip();
    let report = DeviceReport {
        format_version: FORMAT_VERSION,
        compiler: backend.version(),
        target_hash: TargetName::new(backend.target()).hash,
        target: backend.target().clone(),
        ceilings: ceilings.unwrap_or_default(),
        ceilings_age_seconds: age,
    };
    if output.is_json() {
        output.json(&to_value(&report).expect("reports are maps with text keys"))?;
    } else {
        output.text(&text(&report))?;
    }
    Ok(())
}

fn measure(backend: &dyn Backend) -> Result<Option<(Vec<CeilingReport>, u64)>, Failure> {
    let found = known_ceilings(backend)?;
    Ok(found.map(|found| {
        (CeilingReport::rows(&found.ceilings), now_unix().saturating_sub(found.measured_unix))
    }))
}

/// The ceilings of the store while they are fresh, else measured, and kept if the store can be written.
pub(super) fn known_ceilings(backend: &dyn Backend) -> Result<Option<KnownCeilings>, Failure> {
    let path = default_path()?;
    let opened = if path.exists() { Store::open_to_read(&path) } else { Store::open(&path) };
    let mut store = match opened {
        Err(fault) if fault.code == CANNOT_OPEN => {
            note(&format!("what is measured will not be kept: {}", fault.message));
            Store::in_memory()?
        }
        opened => opened?,
    };
    note("measuring the machine, or taking what was measured in the last days");
    let stop = AtomicBool::new(false);
    Ok(ceilings(backend, &mut store, Duration::MAX, now_unix(), &stop)?)
}

fn text(report: &DeviceReport) -> String {
    let target = &report.target;
    let mut table = Table::bare();
    let mut row = |name: &str, value: String| table.row([name.to_string(), value]);
    row("chip", target.chip.clone());
    row("isa", format!("{} {}", target.isa, target.features.join(" ")));
    row("compiler", report.compiler.clone());
    row("threads", target.threads.to_string());
    let (bytes, registers) = (target.vector_bytes, target.vector_registers);
    row("vectors", format!("{registers} registers of {bytes} bytes"));
    for level in target.memory.iter().filter(|level| level.bytes > 0) {
        row(&level.name, format!("{} KiB", level.bytes >> 10));
    }
    for ceiling in &report.ceilings {
        let unit = if ceiling.unit == "flop" { "FLOP" } else { "B" };
        let name = match ceiling.threads {
            1 => format!("{}, 1 thread", ceiling.name),
            threads => format!("{}, {threads} threads", ceiling.name),
        };
        row(&name, rate(ceiling.giga_per_second, unit));
    }
    row("measured", report.ceilings_age_seconds.map_or("not at all".to_string(), age));
    row("hash", report.target_hash.clone());
    table.render()
}
