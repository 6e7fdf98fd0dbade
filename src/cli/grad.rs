//! `grad FILE`: the backward kernel of a kernel, as a kernel file.
//!
//! Invariant: what is written to stdout or to `--out` is a canonical text without faults.

use super::failure::Failure;
use super::output::{Output, note};
use super::select::{Source, only};
use serde_json::json;
use std::path::PathBuf;
use tilewright::ir::grad::grad;
use tilewright::{Error, Kernel};

/// The arguments of `grad`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kernel file; `-` reads standard input
    file: PathBuf,
    /// The kernel, where the file has more than one
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// The inputs whose gradients are wanted: `Q,K,V`; without it all float inputs
    #[arg(long, value_name = "INPUTS", value_delimiter = ',')]
    wrt: Vec<String>,
    /// Write the kernel file here instead of to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let source = Source::read(&args.file)?;
    let (kernels, warnings) =
        Kernel::parse_with_warnings(&source.text).map_err(|error| source.faults(error))?;
    source.warn(&warnings);
    let name = only(kernels, args.kernel.as_deref(), &args.file)?.name().to_string();
    let text = grad(&source.text, Some(&name), &args.wrt)
        .map_err(|faults| source.faults(Error::Diagnostics(faults)))?;
    if let Some(path) = &args.out {
        std::fs::write(path, &text).map_err(|error| Failure::file(path, &error))?;
        note(&format!("wrote {}", path.display()));
    }
    if output.is_json() {
        output.json(&json!({"file": source.name, "kernel": name, "text": text}))?;
    } else if args.out.is_none() {
        output.writer().write_all(text.as_bytes())?;
    }
    Ok(())
}
