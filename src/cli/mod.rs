//! The command line: one subcommand per file, thin over the library and `autotune::protocol`.
//!
//! Invariants: data goes to stdout and everything else to stderr; `--json` gives JSON on stdout whatever happens on
//! stderr; nothing ever prompts; each kind of failure has its own exit code; a closed pipe ends quietly.

mod bench;
mod buckets;
mod build;
mod campaign;
mod check;
mod compare;
mod device;
mod evaluate;
mod explain;
mod failure;
mod format;
mod forms;
mod given;
mod grad;
mod interrupt;
mod judge;
mod memory;
mod notes;
mod npy;
mod output;
mod records;
mod repeat;
mod run;
mod schema;
mod select;
mod space;
mod stages;
mod tune;
mod values;

use clap::{Parser, Subcommand};
use failure::Failure;
use output::Output;
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  a result is wrong: a verification failed, stages disagree, or no candidate passed the judge
  2  usage: an unknown option, kernel, size set or axis
  3  faults in a kernel text or schedule; diagnostics say where
  4  the back end cannot compile or run this on this machine
  5  the store cannot be opened, read or written; or `best` finds nothing in it
  6  interrupted; what `tune` had found is stored
  7  a file cannot be read or written
  8  candidates cannot be run: the runner is missing, or the system refuses what it needs
  9  `bench --against`: slower than the record

Environment:
  TILEWRIGHT_STORE     the store's file (else $XDG_DATA_HOME/tilewright/store.sqlite)
  TILEWRIGHT_RUNNER    the program that runs candidates (else the one built in)
  TILEWRIGHT_ISA       the vectors of the code: portable, avx2, avx512, avx512vnni, avx512bf16, avx512amx (else the widest)
  TILEWRIGHT_PERF_MAP  1: name generated code for `perf report`";

/// Compiles tensor kernels, tunes them by measuring, and checks every number before it believes a time.
#[derive(Debug, Parser)]
#[command(name = "tilewright", version, after_help = EXIT_CODES)]
struct Cli {
    /// Print JSON on stdout instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a kernel file and report all its faults
    Check(check::Args),
    /// Run a kernel on given or random inputs
    Run(run::Args),
    /// Compile kernels into an object, a static and a shared library and a C header, for programs without Tilewright
    Build(build::Args),
    /// Time a kernel, and compare with an earlier record
    Bench(bench::Args),
    /// Search for the fastest correct schedule and store it
    Tune(tune::Args),
    /// Judge and time schedules that you propose, and say where each stands
    Evaluate(evaluate::Args),
    /// Two schedules of a kernel against each other: faster, slower or a tie
    Compare(compare::Args),
    /// Tune several kernels for hours: kill it at any moment, and the same command goes on
    Campaign(campaign::Args),
    /// Judge a foreign library that claims to compute a kernel
    Judge(judge::Args),
    /// Show every stage from the kernel text to machine code
    Explain(explain::Args),
    /// Show the forms of a kernel that compute the same, with proofs and what each should cost
    Forms(forms::Args),
    /// Show the choices a schedule has, with their meaning and legal values
    Space(space::Args),
    /// Show the stored winner for a kernel at a size
    Best(records::BestArgs),
    /// List what the store holds
    List(records::ListArgs),
    /// Read and add notes about a kernel at its sizes
    Notes(notes::Args),
    /// Write the whole store as NDJSON
    Export,
    /// Join stores, check them, and take records out of use
    Records(records::RecordsArgs),
    /// Print the JSON Schemas of what the program prints and reads
    Schema(schema::Args),
    /// Describe this machine, with its measured ceilings
    DescribeDevice(device::Args),
    /// Print a kernel file in canonical form
    Fmt(format::Args),
    /// Derive the backward kernel: the gradients of a kernel's inputs from those of its outputs
    Grad(grad::Args),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(cli.json);
    let outcome = interrupt::install(cli.json).and_then(|()| dispatch(&cli.command, &mut output));
    // What was written before a failure is data all the same.
    let flushed = output.flush().map_err(Failure::from);
    match outcome.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(cli.json),
    }
}

fn dispatch(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check::run(args, output),
        Command::Run(args) => run::run(args, output),
        Command::Build(args) => build::run(args, output),
        Command::Bench(args) => bench::run(args, output),
        Command::Tune(args) => tune::run(args, output),
        Command::Campaign(args) => campaign::run(args, output),
        Command::Judge(args) => judge::run(args, output),
        Command::Compare(args) => compare::run(args, output),
        Command::Evaluate(args) => evaluate::run(args, output),
        Command::Explain(args) => explain::run(args, output),
        Command::Forms(args) => forms::run(args, output),
        Command::Space(args) => space::run(args, output),
        Command::Best(args) => records::best(args, output),
        Command::List(args) => records::list(args, output),
        Command::Notes(args) => notes::run(args, output),
        Command::Export => records::export(output),
        Command::Records(args) => records::records(args, output),
        Command::Schema(args) => schema::run(args, output),
        Command::DescribeDevice(args) => device::run(args, output),
        Command::Fmt(args) => format::run(args, output),
        Command::Grad(args) => grad::run(args, output),
    }
}
