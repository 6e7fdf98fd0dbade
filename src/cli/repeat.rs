//! `records verify-record RECORD FILE`: a record taken again.
//!
//! Invariant: the kernel of the file is the one that was tuned, or nothing is compared.

use super::failure::Failure;
use super::interrupt;
use super::memory;
use super::output::Output;
use super::records::unknown;
use super::select::Source;
use super::tune::{options, positive};
use crate::report::{percent, time_interval};
use serde_json::{Value, json};
use std::path::PathBuf;
use tilewright::autotune::protocol::RecordRow;
use tilewright::autotune::store::{Store, default_path};
use tilewright::autotune::tune::{Repeated, repeat};
use tilewright::ir::diag::Diagnostic;
use tilewright::{BoundKernel, Kernel};

/// The arguments of `records verify-record`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The first digits of the record
    record: String,
    /// The kernel file that it is of; `-` reads standard input
    file: PathBuf,
    /// Seconds for everything
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// The seed of the judge's data
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// The record is of another kernel.
const OTHER_KERNEL: &str = "TW0807";

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut store = Store::open(&default_path()?)?;
    let row = store.find(&args.record)?.ok_or_else(|| unknown(&args.record))?;
    let bound = bound(args, &row)?;
    memory::check(bound.graph(), 3, true)?;
    let options = options(args.seed, args.seconds);
    let (backend, graph) = (bound.backend(), bound.graph());
    let stop = interrupt::asks_to_stop();
    let repeated = repeat(backend, graph, &options, &mut store, &row, stop)?;
    let is_here = bound.task().row().target_hash == row.task.target_hash
        && bound.task().row().compiler == row.task.compiler;
    if output.is_json() {
        output.json(&to_json(&row, &repeated, is_here))?;
    } else {
        output.text(&to_text(&row, &repeated, is_here))?;
    }
    verdict(&row, &repeated, is_here)
}

/// The kernel of the record, at its sizes, for so many threads.
fn bound(args: &Args, row: &RecordRow) -> Result<BoundKernel, Failure> {
    let source = Source::read(&args.file)?;
    let kernels = Kernel::parse_all(&source.text).map_err(|error| source.faults(error))?;
    let kernel = kernels.iter().find(|kernel| kernel.name() == row.task.kernel);
    let refuse = |what: &str| {
        Failure::from(
            Diagnostic::new(OTHER_KERNEL, what.to_string())
                .found(args.file.display().to_string())
                .expected(format!("the kernel `{}` as it was tuned", row.task.kernel)),
        )
    };
    let Some(kernel) = kernel else { return Err(refuse("the file has no such kernel")) };
    let mut bound = kernel.bind_sizes(&row.task.sizes).map_err(|error| source.faults(error))?;
    if bound.task().row().kernel_hash != row.task.kernel_hash {
        return Err(refuse("the record is of another text of this kernel"));
    }
    let target: Value = serde_json::from_str(&row.task.target).unwrap_or_default();
    bound.set_threads_max(target["threads"].as_u64());
    Ok(bound)
}

/// Wrong numbers are wrong wherever they were recorded; other bits only where the code is the same.
fn verdict(row: &RecordRow, repeated: &Repeated, is_here: bool) -> Result<(), Failure> {
    let record: String = row.record.chars().take(12).collect();
    if let Some(rejection) = &repeated.rejection {
        return Err(Failure::Wrong(format!("record {record} is rejected: {rejection}")));
    }
    match (is_here, repeated.same_program, repeated.same_bits) {
        (true, Some(false), _) => {
            Err(Failure::Wrong(format!("record {record} was made by other code")))
        }
        (true, _, Some(false)) => {
            Err(Failure::Wrong(format!("the outputs of record {record} had other bits")))
        }
        _ => Ok(()),
    }
}

fn to_json(row: &RecordRow, repeated: &Repeated, is_here: bool) -> Value {
    let rejection = repeated.rejection.as_ref();
    json!({
        "record": row.record, "same_machine": is_here, "same_program": repeated.same_program,
        "same_bits": repeated.same_bits, "worst_ratio": repeated.worst_ratio,
        "time_ns": repeated.time_ns, "recorded_ns": row.time_ns,
        "tie": ties(row, repeated),
        "reason": rejection.map(|rejection| rejection.reason),
        "evidence": rejection.map(|rejection| &rejection.evidence),
    })
}

fn ties(row: &RecordRow, repeated: &Repeated) -> Option<bool> {
    Some(repeated.time_ns?.ties_with(&row.time_ns?))
}

fn to_text(row: &RecordRow, repeated: &Repeated, is_here: bool) -> String {
    let mut lines = vec![];
    if !is_here {
        lines.push("recorded on another machine, or by another version".to_string());
    }
    let said = |same: Option<bool>, yes: &str, no: &str, unknown: &str| {
        same.map_or(unknown, |same| if same { yes } else { no }).to_string()
    };
    lines.push(said(
        repeated.same_program,
        "the same tile program",
        "another tile program",
        "no tile program was recorded",
    ));
    lines.push(said(
        repeated.same_bits,
        "the same bits",
        "other bits",
        "no bits were recorded, of winners alone they are",
    ));
    if let Some(ratio) = repeated.worst_ratio {
        lines.push(format!("{} of the allowed error", percent(ratio)));
    }
    if let Some((now, then)) = repeated.time_ns.zip(row.time_ns) {
        let tie = if now.ties_with(&then) { "a tie" } else { "another time" };
        let (now, then) = (time_interval(now), time_interval(then));
        lines.push(format!("{now} now, {then} recorded: {tie}"));
    }
    lines.join("\n") + "\n"
}
