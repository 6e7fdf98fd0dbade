//! `check FILE`: all faults of a kernel file, or its kernels with their size sets, and its warnings.
//!
//! Invariant: with `--json` the faults are data: they go to stdout as one object.

use super::failure::Failure;
use super::output::Output;
use super::select::{Source, show};
use serde_json::{Value, json};
use std::path::PathBuf;
use tilewright::ir::diag::{Diagnostic, to_json};
use tilewright::ir::graph::Tensor;
use tilewright::{Error, Kernel};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kernel file; `-` reads standard input
    file: PathBuf,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let source = match Source::read(&args.file) {
        Err(Failure::Text { name, text, faults }) if output.is_json() => {
            return report(&name, &text, &faults, output);
        }
        source => source?,
    };
    match Kernel::parse_with_warnings(&source.text) {
        Ok((kernels, warnings)) if output.is_json() => {
            let kernels: Vec<_> = kernels.iter().map(describe).collect();
            let warnings = to_json(&source.text, &warnings);
            output.json(&json!({
                "file": source.name, "kernels": kernels, "diagnostics": warnings
            }))?;
        }
        Ok((kernels, warnings)) => {
            source.warn(&warnings);
            for kernel in &kernels {
                output.text(&summary(kernel))?;
            }
        }
        Err(Error::Diagnostics(faults)) if output.is_json() => {
            return report(&source.name, &source.text, &faults, output);
        }
        Err(error) => return Err(source.faults(error)),
    }
    Ok(())
}

/// The faults as data.
fn report(
    name: &str,
    text: &str,
    faults: &[Diagnostic],
    output: &mut Output,
) -> Result<(), Failure> {
    let faults = to_json(text, faults);
    output.json(&json!({"file": name, "kernels": [], "diagnostics": faults}))?;
    Err(Failure::TextReported)
}

/// `matmul: A, B -> C; axes m, k, n`, and a line for each size set.
fn summary(kernel: &Kernel) -> String {
    let graph = kernel.graph();
    let inputs: Vec<_> = graph.inputs.iter().map(|tensor| tensor.name.as_str()).collect();
    let outputs: Vec<_> = graph.outputs.iter().map(|output| output.tensor.name.as_str()).collect();
    let mut lines = vec![format!(
        "{}: {} -> {}; axes {}",
        kernel.name(),
        inputs.join(", "),
        outputs.join(", "),
        graph.size_names().join(", ")
    )];
    let sets = kernel.size_sets().iter();
    lines.extend(sets.map(|(name, sizes)| format!("  sizes {name}: {}", show(sizes))));
    lines.join("\n")
}

fn describe(kernel: &Kernel) -> Value {
    let graph = kernel.graph();
    let tensor = |tensor: &Tensor| {
        let axes: Vec<_> = tensor.dimensions().map(|axes| graph.name_of(axes)).collect();
        json!({"name": tensor.name, "dtype": tensor.dtype.name(), "axes": axes})
    };
    let inputs: Vec<_> = graph.inputs.iter().map(tensor).collect();
    let outputs: Vec<_> = graph.outputs.iter().map(|output| tensor(&output.tensor)).collect();
    let sets: serde_json::Map<_, _> =
        kernel.size_sets().iter().map(|(name, sizes)| (name.clone(), json!(sizes))).collect();
    json!({"name": kernel.name(), "inputs": inputs, "outputs": outputs, "sizes": sets})
}
