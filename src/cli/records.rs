//! `best`, `list` and `export`: what the store holds.
//!
//! Invariant: reading never creates a store; one that does not exist yet is an empty one.

use super::failure::Failure;
use super::output::{Output, note};
use super::select::{KernelArgs, show};
use crate::report::{Table, time_interval};
use serde_json::{Value, json};
use tilewright::autotune::protocol::{RecordRow, Role, Status};
use tilewright::autotune::store::{Store, default_path};
use tilewright::ir::diag::Diagnostic;

/// The arguments of `best`.
#[derive(Debug, clap::Args)]
pub(super) struct BestArgs {
    #[command(flatten)]
    kernel: KernelArgs,
}

/// The arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only results of this kernel
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Every evaluation; without it the table has winners only, and JSON has all accepted ones
    #[arg(long)]
    all: bool,
    /// Only confirmed winners, in JSON too; of several for one kernel, size and machine `run` takes the last
    #[arg(long, conflicts_with = "all")]
    winners: bool,
}

fn open() -> Result<Option<Store>, Failure> {
    let path = default_path()?;
    Ok(if path.exists() { Some(Store::open_to_read(&path)?) } else { None })
}

pub(super) fn best(args: &BestArgs, output: &mut Output) -> Result<(), Failure> {
    let selected = args.kernel.select()?;
    let found = match open()? {
        Some(store) => store.best(&selected.bound.task())?,
        None => None,
    };
    let Some(row) = found else {
        let sizes = show(&selected.sizes);
        return Err(Failure::Store(
            Diagnostic::new(
                NO_WINNER,
                format!("the store has no winner for `{}` at {sizes}", selected.name()),
            )
            .help(
                "tune it first; a winner counts for its sizes, machine and compiler version only",
            ),
        ));
    };
    if output.is_json() {
        output.json(&to_json(&row))?;
        return Ok(());
    }
    note(&format!("record {}", row.record));
    if let Some(time) = row.time_ns {
        note(&time_interval(time));
    }
    output.text(&row.schedule)?;
    Ok(())
}

/// The store has no row for the question.
const NO_WINNER: &str = "TW0806";

fn to_json(row: &RecordRow) -> Value {
    serde_json::to_value(row).expect("rows are maps with text keys")
}

pub(super) fn list(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let rows = match open()? {
        Some(store) => store.list(args.kernel.as_deref())?,
        None => vec![],
    };
    let winners = args.winners || !args.all && !output.is_json();
    let is_shown = |row: &&RecordRow| {
        let accepted = row.status == Status::Accepted;
        args.all || accepted && (!winners || row.role == Role::Winner)
    };
    let shown: Vec<_> = rows.iter().filter(is_shown).collect();
    if output.is_json() {
        let rows: Vec<_> = shown.iter().map(|row| to_json(row)).collect();
        output.json(&json!({ "records": rows }))?;
        return Ok(());
    }
    let mut table = Table::new(&["record", "kernel", "sizes", "role", "time", "machine"]);
    for row in &shown {
        let result = match (row.time_ns, &row.reason) {
            (Some(time), None) => time_interval(time),
            (_, Some(reason)) => format!("rejected: {reason}"),
            (None, None) => "not timed".to_string(),
        };
        let (record, machine) = (row.record.chars().take(12), chip(&row.task.target));
        table.row([
            record.collect(),
            row.task.kernel.clone(),
            show(&row.task.sizes),
            row.role.name().to_string(),
            result,
            machine,
        ]);
    }
    output.text(&table.render())?;
    if let hidden @ 1.. = rows.len() - shown.len() {
        // The note comes after the table that it is about.
        output.flush()?;
        let others = if hidden == 1 { "other evaluation is" } else { "other evaluations are" };
        note(&format!("{hidden} {others} not shown: `tilewright list --all` shows all"));
    }
    Ok(())
}

/// The chip's name in a stored target.
fn chip(target: &str) -> String {
    let target: Value = serde_json::from_str(target).unwrap_or_default();
    target["chip"].as_str().unwrap_or("unknown").to_string()
}

pub(super) fn export(output: &mut Output) -> Result<(), Failure> {
    let Some(store) = open()? else {
        note("there is no store yet");
        return Ok(());
    };
    let count = store.export(output.writer())?;
    note(&format!("{count} records"));
    Ok(())
}
