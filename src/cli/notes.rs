//! `notes FILE`: what people and agents have found out about a kernel at its sizes, for the next one.
//!
//! Invariant: a note is committed before the program says that it is there.

use super::failure::Failure;
use super::output::{Output, note};
use super::select::{KernelArgs, Source, show};
use super::tune::now_unix;
use serde_json::json;
use std::path::PathBuf;
use tilewright::autotune::protocol::NoteRow;
use tilewright::autotune::store::{Store, default_path, note_fault};

/// The arguments of `notes`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Add a note
    #[arg(long, value_name = "TEXT", conflicts_with = "add_file")]
    add: Option<String>,
    /// Add the text of a file as a note; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    add_file: Option<PathBuf>,
    /// The task of `tune --threads`
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let text = match (&args.add, &args.add_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(Source::read(path)?.text),
        (None, None) => None,
    };
    if let Some(why) = text.as_deref().and_then(note_fault) {
        return Err(Failure::Usage(why));
    }
    let mut selected = args.kernel.select()?;
    selected.bound.set_threads_max(args.threads);
    let (task, path) = (selected.bound.task(), default_path()?);
    if let Some(text) = text {
        Store::open(&path)?.add_note(&task, text.trim(), now_unix())?;
    }
    let found = match path.exists() {
        true => Store::open_to_read(&path)?.notes(Some(&task))?,
        false => vec![],
    };
    if output.is_json() {
        let row =
            |row: &NoteRow| json!({"note": row.note, "text": row.text, "created": row.created});
        let notes: Vec<_> = found.iter().map(row).collect();
        return Ok(output.json(&json!({"task_key": task.key(), "notes": notes}))?);
    }
    if found.is_empty() {
        note(&format!("no notes about `{}` at {}", selected.name(), show(&selected.sizes)));
    }
    for row in &found {
        let note: String = row.note.chars().take(12).collect();
        output.text(&format!("{note}:\n{}", shown(&row.text)))?;
    }
    Ok(())
}

/// The text, each line indented so that none can pass for another note, and without what a terminal would act on.
fn shown(text: &str) -> String {
    let tame =
        |of: char| if of.is_control() && of != '\t' { char::REPLACEMENT_CHARACTER } else { of };
    let line = |line: &str| format!("  {}\n", line.chars().map(tame).collect::<String>());
    text.lines().map(line).collect()
}
