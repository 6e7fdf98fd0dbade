//! `fmt FILE..`: the canonical text of kernel files.
//!
//! Every file is looked at, whatever is wrong with the ones before it; the first failure decides the exit code.
//! Invariant: formatting a formatted text changes nothing, and a file with faults of the syntax is never written.

use super::failure::Failure;
use super::output::{Output, note};
use super::select::Source;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::ir::syntax;

/// The arguments of `fmt`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kernel files; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only say which files are not canonical: exit code 1 if there is one
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the files instead of stdout
    #[arg(long)]
    write: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let in_place = args.check || args.write || output.is_json();
    if args.files.len() > 1 && !in_place {
        let what = "several files are formatted with `--write`, `--check` or `--json`";
        return Err(Failure::Usage(what.to_string()));
    }
    if let [only] = args.files.as_slice() {
        return format(args, only, output);
    }
    let mut first = None;
    for path in &args.files {
        match format(args, path, output) {
            Ok(()) => {}
            // Nobody reads what the other files would say.
            Err(Failure::Pipe) => return Err(Failure::Pipe),
            Err(failure) => {
                failure.tell(output.is_json());
                first.get_or_insert(failure.code());
            }
        }
    }
    first.map_or(Ok(()), |code| Err(Failure::Told(code)))
}

/// One file.
fn format(args: &Args, path: &Path, output: &mut Output) -> Result<(), Failure> {
    let source = Source::read(path)?;
    let parsed = syntax::parse(&source.text);
    if !parsed.faults.is_empty() {
        let faults = parsed.faults.into_vec().into_iter();
        let faults: Vec<_> = faults.map(|fault| fault.whole(&source.text)).collect();
        return Err(source.faults(faults.into()));
    }
    let text = syntax::print(&parsed.file);
    let canonical = text == source.text;
    let is_file = path != Path::new("-");
    if args.write && is_file && !canonical {
        std::fs::write(path, &text).map_err(|error| Failure::file(path, &error))?;
        note(&format!("wrote {}", source.name));
    }
    if output.is_json() {
        output.json(&json!({"file": source.name, "canonical": canonical, "text": text}))?;
    } else if !(args.check || args.write && is_file) {
        output.writer().write_all(text.as_bytes())?;
    }
    match args.check && !canonical {
        true => Err(Failure::Wrong(not_canonical(&source, &text))),
        false => Ok(()),
    }
}

/// Which line is the first to differ, and how to mend the file.
fn not_canonical(source: &Source, canonical: &str) -> String {
    let same = source.text.lines().zip(canonical.lines()).take_while(|(a, b)| a == b).count();
    let name = &source.name;
    format!("{name} is not in canonical form from line {}; `fmt --write {name}` mends it", same + 1)
}
