//! `run FILE`: compute a kernel's outputs with the stored winner, the default or a given schedule.
//!
//! Invariant: it says which schedule it used; with `--verify` a result outside the bound of SEMANTICS is exit code 1.

use super::failure::Failure;
use super::given::ScheduleArgs;
use super::memory;
use super::output::{Output, note};
use super::select::{KernelArgs, Selected, Source};
use super::values::{InputFile, Summary, load, save};
use crate::report::{Table, percent};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::{
    self, Expected, Family, HostTensor, SCALES, Verdict, compare, draw, evaluate, scaled,
};
use tilewright::ir::schedule::Schedule;
use tilewright::ir::tile;
use tilewright::{BoundKernel, CompiledKernel, Origin};

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// An input from a .npy file, whose shape gives sizes, or the number of a scalar parameter; other inputs are random
    #[arg(long, value_name = "NAME=FILE")]
    input: Vec<InputFile>,
    /// Write each output to NAME.npy in this folder
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// The seed of random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Compare with the reference in double precision
    #[arg(long)]
    verify: bool,
    /// Use at most this many threads
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// A tile program written by hand to use instead of any schedule
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schedule", "form"])]
    tile: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut selected = args.kernel.select_for(&args.input)?;
    memory::check(selected.bound.graph(), 1, args.verify)?;
    selected.bound.set_threads_max(args.threads);
    let compiled = compile(&selected.bound, args)?;
    let graph = selected.bound.graph();
    let (inputs, expected) = inputs(graph, args)?;
    let outputs = call(graph, &compiled, &inputs)?;
    let files = write(args.output_dir.as_deref(), graph, &outputs)?;
    let verdicts = expected.map(|expected| {
        expected.iter().zip(&outputs).map(|(expected, got)| compare(expected, got)).collect()
    });
    let report = Report { selected: &selected, compiled: &compiled, outputs, files, verdicts };
    if output.is_json() {
        output.json(&report.to_json())?;
    } else {
        output.text(&report.to_text())?;
    }
    report.wrong().map_or(Ok(()), |wrong| Err(Failure::Wrong(wrong)))
}

fn compile(bound: &BoundKernel, args: &Args) -> Result<CompiledKernel, Failure> {
    if let Some(path) = &args.tile {
        let source = Source::read(path)?;
        let program = tile::parse(&source.text).map_err(|faults| source.faults(faults.into()))?;
        note("with the given tile program");
        return bound.compile_tile(&program).map_err(|error| source.faults(error));
    }
    let (schedule, origin) = args.schedule.choose(bound)?;
    Ok(bound.compile_from(schedule, origin)?)
}

/// Runs the code on dense values.
pub(super) fn call(
    graph: &Graph,
    compiled: &CompiledKernel,
    inputs: &[HostTensor],
) -> Result<Vec<HostTensor>, Failure> {
    let empty = |output: &tilewright::ir::graph::Output| {
        HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&graph.axes))
    };
    let mut outputs: Vec<HostTensor> = graph.outputs.iter().map(empty).collect();
    let inputs = reference::memory(graph, inputs);
    let read: Vec<&[u8]> = inputs.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written)?;
    Ok(outputs)
}

fn write(
    folder: Option<&Path>,
    graph: &Graph,
    outputs: &[HostTensor],
) -> Result<Vec<PathBuf>, Failure> {
    let Some(folder) = folder else { return Ok(vec![]) };
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let named = graph.outputs.iter().zip(outputs);
    named.map(|(output, value)| save(folder, &output.tensor.name, value)).collect()
}

/// What the kernel is to be run on and, where it is to be verified, what should come out.
///
/// Where nothing can be said of the outputs of random numbers, smaller ones are drawn.
fn inputs(graph: &Graph, args: &Args) -> Result<(Vec<HostTensor>, Option<Vec<Expected>>), Failure> {
    let drawn = |scale: i32| -> Result<Vec<HostTensor>, Failure> {
        let mut inputs = scaled(graph, draw(graph, Family::Normal, args.seed), scale);
        load(graph, &args.input, &mut inputs)?;
        Ok(inputs)
    };
    let mut inputs = drawn(0)?;
    if !args.verify {
        return Ok((inputs, None));
    }
    let mut expected = evaluate(graph, &inputs);
    let mut scales = SCALES.into_iter().filter(|&scale| scale != 0).collect::<Vec<_>>();
    scales.dedup();
    for scale in scales {
        if !expected.iter().any(Expected::too_undecided) {
            break;
        }
        let smaller = drawn(scale)?;
        if smaller == inputs {
            break;
        }
        note(&format!(
            "random inputs are multiplied by 2^{scale}: of larger ones nothing can be said"
        ));
        inputs = smaller;
        expected = evaluate(graph, &inputs);
    }
    Ok((inputs, Some(expected)))
}

/// Everything `run` says on stdout.
struct Report<'a> {
    selected: &'a Selected,
    compiled: &'a CompiledKernel,
    outputs: Vec<HostTensor>,
    files: Vec<PathBuf>,
    verdicts: Option<Vec<Verdict>>,
}

impl Report<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.selected.bound.graph().outputs.iter().map(|output| output.tensor.name.as_str())
    }

    fn wrong(&self) -> Option<String> {
        let verdicts = self.verdicts.as_ref()?;
        let wrong = self.names().zip(verdicts).filter(|(_, verdict)| !verdict.passed());
        let lines: Vec<_> =
            wrong.map(|(name, verdict)| format!("output `{name}` {}", explain(verdict))).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn to_text(&self) -> String {
        let mut table = Table::new(&["output", "type", "shape", "min", "mean", "max", "check"]);
        for (index, (name, value)) in self.names().zip(&self.outputs).enumerate() {
            let summary = Summary::of(value);
            let check = self
                .verdicts
                .as_ref()
                .map_or_else(|| "not checked".to_string(), |verdicts| explain(&verdicts[index]));
            // Nothing has no smallest element.
            let shown = |number: f64| match value.len() {
                0 => "-".to_string(),
                _ => format!("{number:.6}"),
            };
            let check = match summary.not_finite {
                0 => check,
                count => format!("{check}; {count} of {} are NaN or infinite", value.len()),
            };
            table.row([
                name.to_string(),
                value.dtype.to_string(),
                format!("{:?}", value.shape),
                shown(summary.minimum),
                shown(summary.mean),
                shown(summary.maximum),
                check,
            ]);
        }
        let files: String = self.files.iter().map(|file| format!("{}\n", file.display())).collect();
        format!("{}{files}", table.render())
    }

    fn to_json(&self) -> Value {
        let (origin, record) = match self.compiled.origin() {
            Origin::Stored(record) => ("stored", Some(record)),
            Origin::Carried(record) => ("carried", Some(record)),
            Origin::Default => ("default", None),
            Origin::Given => ("given", None),
        };
        let outputs: Vec<_> = self
            .names()
            .zip(&self.outputs)
            .enumerate()
            .map(|(index, (name, value))| {
                let summary = Summary::of(value);
                json!({
                    "name": name, "dtype": value.dtype.name(), "shape": value.shape,
                    "min": summary.minimum, "mean": summary.mean, "max": summary.maximum,
                    "not_finite": summary.not_finite,
                    "file": self.files.get(index).map(|file| file.display().to_string()),
                    "verify": self.verdicts.as_ref().map(|verdicts| verdict_json(&verdicts[index])),
                })
            })
            .collect();
        json!({
            "kernel": self.selected.name(),
            "sizes": self.selected.sizes,
            "schedule": {
                "origin": origin, "record": record,
                "hash": self.compiled.schedule().map(|schedule| schedule.hash().to_string()),
                "form": self.compiled.schedule().map(Schedule::form_name),
                "text": self.compiled.schedule().map(Schedule::print),
            },
            "outputs": outputs,
        })
    }
}

fn explain(verdict: &Verdict) -> String {
    if let Some(wrong) = &verdict.first_wrong {
        return format!(
            "wrong in {} of {} elements; the first at {:?}: found {}, expected {} within {:e}",
            verdict.wrong,
            verdict.elements,
            wrong.index,
            wrong.got,
            wrong.expected,
            wrong.allowance
        );
    }
    if verdict.too_undecided() {
        return format!(
            "undecided in {} of {} elements, where rounding may pick either side of a jump or an overflow: judge with \
             other inputs",
            verdict.undecided, verdict.elements
        );
    }
    format!("correct: at most {} of the allowed error", percent(verdict.worst_ratio))
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "passed": verdict.passed(),
        "worst_ratio": verdict.worst_ratio,
        "wrong": verdict.wrong,
        "undecided": verdict.undecided,
        "elements": verdict.elements,
        "first_wrong": verdict.first_wrong.as_ref().map(|wrong| json!({
            "index": wrong.index, "got": wrong.got, "expected": wrong.expected,
            "allowance": wrong.allowance,
        })),
    })
}
