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
use tilewright::autotune::store::{Store, default_path};

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

/// A longer text is not a note but a file.
const BYTES_MAX: usize = 64 << 10;

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let text = match (&args.add, &args.add_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(Source::read(path)?.text),
        (None, None) => None,
    };
    if let Some(text) = &text {
        check(text)?;
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
        output.text(&row.text)?;
    }
    Ok(())
}

fn check(text: &str) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(Failure::Usage("a note has some text".to_string()));
    }
    if text.len() > BYTES_MAX {
        let message = format!("a note has at most {BYTES_MAX} bytes, found {}", text.len());
        return Err(Failure::Usage(message));
    }
    Ok(())
}
