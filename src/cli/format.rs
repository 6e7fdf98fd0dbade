//! `fmt FILE`: the canonical text of a kernel file.
//!
//! Invariant: formatting a formatted text changes nothing.

use super::failure::Failure;
use super::output::Output;
use super::select::Source;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::ir::syntax;

/// The arguments of `fmt`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kernel file; `-` reads standard input
    file: PathBuf,
    /// Only say whether the file is canonical: exit code 1 if not
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the file instead of stdout
    #[arg(long)]
    write: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let source = Source::read(&args.file)?;
    let parsed = syntax::parse(&source.text);
    if !parsed.faults.is_empty() {
        return Err(source.faults(parsed.faults.into_vec().into()));
    }
    let text = syntax::print(&parsed.file);
    let canonical = text == source.text;
    if args.write && args.file != Path::new("-") {
        if !canonical {
            std::fs::write(&args.file, &text).map_err(|error| Failure::file(&args.file, &error))?;
        }
    } else if output.is_json() {
        output.json(&json!({"file": source.name, "canonical": canonical, "text": text}))?;
    } else if !args.check {
        output.text(&text)?;
    }
    if args.check && !canonical {
        return Err(Failure::Wrong(format!("{} is not in canonical form", source.name)));
    }
    Ok(())
}
