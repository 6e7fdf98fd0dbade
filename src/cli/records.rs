//! `best`, `list`, `export` and `records`: what the store holds.
//!
//! Invariants: nothing that was recorded is changed; reading never creates a store; one that does not exist yet is an empty one.

use super::failure::Failure;
use super::output::{Output, note};
use super::repeat;
use super::select::{KernelArgs, show};
use super::tune::now_unix;
use crate::report::{Table, time_interval};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tilewright::autotune::protocol::{RecordRow, Role, Status};
use tilewright::autotune::store::{Joined, Store, Task, Verified, default_path};
use tilewright::ir::diag::Diagnostic;

/// The arguments of `best`.
#[derive(Debug, clap::Args)]
pub(super) struct BestArgs {
    #[command(flatten)]
    kernel: KernelArgs,
    /// The winner for at most this many threads, as `tune --threads` finds it
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
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

/// The arguments of `records`.
#[derive(Debug, clap::Args)]
pub(super) struct RecordsArgs {
    #[command(subcommand)]
    command: RecordsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RecordsCommand {
    /// Add all records and campaigns of another store
    Merge {
        /// The other store's file
        store: PathBuf,
    },
    /// Add records and events as `export` and `campaign log` write them
    Import {
        /// The file; `-` reads standard input
        file: PathBuf,
    },
    /// Check the hash of every record and every link of every campaign
    Verify,
    /// Take a record again: is it the same code, are its numbers right and the same bits, and what does the clock say now
    VerifyRecord(repeat::Args),
    /// Never use the schedule of a record again; the next best takes its place
    Quarantine {
        /// The first digits of the record
        record: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

pub(super) fn records(args: &RecordsArgs, output: &mut Output) -> Result<(), Failure> {
    match &args.command {
        RecordsCommand::Merge { store: other } => {
            if !other.is_file() {
                return Err(Failure::file(other, &"there is no such store"));
            }
            let other = Store::open_to_read(other)?;
            tell_joined(&Store::open(&default_path()?)?.merge(&other)?, output)
        }
        RecordsCommand::Import { file } => {
            let mut store = Store::open(&default_path()?)?;
            let joined = if file == Path::new("-") {
                store.import(Path::new("standard input"), &mut std::io::stdin().lock())?
            } else {
                let opened = File::open(file).map_err(|error| Failure::file(file, &error))?;
                store.import(file, &mut BufReader::new(opened))?
            };
            tell_joined(&joined, output)
        }
        RecordsCommand::Verify => verify(output),
        RecordsCommand::VerifyRecord(args) => repeat::run(args, output),
        RecordsCommand::Quarantine { record, why } => {
            let mut store = Store::open(&default_path()?)?;
            let row = store.find(record)?.ok_or_else(|| unknown(record))?;
            let added = store.quarantine(&row, why, now_unix())?;
            let next = store.best(&Task::from(row.task.clone()))?.map(|next| next.record);
            if output.is_json() {
                let quarantined = row.schedule_hash;
                output.json(&json!({"record": added, "schedule": quarantined, "best": next}))?;
            } else {
                let next = next.unwrap_or_else(|| "the default schedule".to_string());
                output.text(&format!("record {added}; from now on {next}"))?;
            }
            Ok(())
        }
    }
}

pub(super) fn unknown(record: &str) -> Diagnostic {
    Diagnostic::new(NO_WINNER, format!("the store has no record {record}"))
        .help("`tilewright list --all` shows all")
}

fn verify(output: &mut Output) -> Result<(), Failure> {
    let found = match open()? {
        Some(store) => store.verify()?,
        None => Verified::default(),
    };
    let Verified { records, campaigns, events, notes } = found;
    if output.is_json() {
        output.json(&json!({
            "records": records, "campaigns": campaigns, "events": events, "notes": notes
        }))?;
    } else {
        let events = format!("{campaigns} campaigns, {events} events");
        output.text(&format!("{records} records, {events}, {notes} notes: whole"))?;
    }
    Ok(())
}

fn tell_joined(joined: &Joined, output: &mut Output) -> Result<(), Failure> {
    let Joined { records, events, notes, forks } = joined;
    if output.is_json() {
        output
            .json(&json!({"records": records, "events": events, "notes": notes, "forks": forks}))?;
    } else {
        output.text(&format!("{records} records, {events} events and {notes} notes are new"))?;
    }
    for fork in forks {
        note(&format!("campaign {fork} goes on differently here, and stays as it is here"));
    }
    Ok(())
}

fn open() -> Result<Option<Store>, Failure> {
    let path = default_path()?;
    Ok(if path.exists() { Some(Store::open_to_read(&path)?) } else { None })
}

pub(super) fn best(args: &BestArgs, output: &mut Output) -> Result<(), Failure> {
    let mut selected = args.kernel.select()?;
    selected.bound.set_threads_max(args.threads);
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
