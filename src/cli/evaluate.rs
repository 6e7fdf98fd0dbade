//! `evaluate FILE`: judge and time schedules that somebody proposes, one by one or many, and say where each stands.
//!
//! Invariant: nothing is evaluated before every proposal has been read, so a misspelt one costs no time.

use super::failure::Failure;
use super::given;
use super::interrupt;
use super::judge::{library, profile, rival};
use super::memory;
use super::output::Output;
use super::select::{KernelArgs, Selected, Source};
use super::tune::{options, setting};
use crate::report::{percent, time_interval};
use serde_json::{Value, to_value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tilewright::autotune::launch::Library;
use tilewright::autotune::protocol::{Answer, ProposalLine};
use tilewright::autotune::store::{Store, default_path};
use tilewright::autotune::tune::{Code, Proposal, Refused, TuneOptions, evaluate};
use tilewright::ir::base::hash_text;
use tilewright::ir::diag::Diagnostic;
use tilewright::ir::schedule::{Schedule, Setting};
use tilewright::ir::tile;
use tilewright::{BoundKernel, Kernel};

/// The arguments of `evaluate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// A schedule; may be repeated
    #[arg(long, value_name = "FILE")]
    schedule: Vec<PathBuf>,
    /// Proposals, one JSON object a line: `{"schedule": TEXT}`; `{"form": ID, "set": {CHOICE: VALUE}}`, which changes the
    /// default of that form (of the preferred one without `form`); `{"tile": TEXT}`, a tile program; `{"kernel": TEXT}`, a
    /// kernel that claims to compute the same; `{"library": PATH, "symbol": NAME, "profile": NAME}`, a shared library as
    /// `judge` takes it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    proposals: Option<PathBuf>,
    /// The seed of the judge's data
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Evaluate for at most this many threads, as `tune --threads` does
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    /// Threads that compile; 0: all
    #[arg(long, default_value_t = 0)]
    jobs: usize,
}

/// Seconds of which a part may go into measuring the machine; proposals take what they take.
const SECONDS: f64 = 90.0;

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut selected = args.kernel.select()?;
    selected.bound.set_threads_max(args.threads);
    memory::check(selected.bound.graph(), 3, true)?;
    let bound = &selected.bound;
    let mut proposals = vec![];
    for path in &args.schedule {
        proposals.push(Proposal::Schedule(given::read(bound, path)?));
    }
    if let Some(path) = &args.proposals {
        let source = Source::read(path)?;
        for (number, line) in (1..).zip(source.text.lines()) {
            if !line.trim().is_empty() {
                let told = |why: String| Failure::Usage(format!("{}:{number}: {why}", source.name));
                proposals.push(proposal(&selected, args, line).map_err(told)?);
            }
        }
    }
    if proposals.is_empty() {
        let why = "nothing is proposed: --schedule FILE, or lines in the file of --proposals";
        return Err(Failure::Usage(why.to_string()));
    }
    let mut store = Store::open(&default_path()?)?;
    let stop = interrupt::asks_to_stop();
    let options = TuneOptions { threads: args.jobs, ..options(args.seed, SECONDS) };
    let mut broken = None;
    let mut observer = |answer: Answer| {
        let told = if output.is_json() {
            let value = to_value(&answer).expect("answers are maps with text keys");
            output.line_now(&value.to_string())
        } else {
            output.line_now(&text(&answer))
        };
        if let Err(error) = told {
            broken.get_or_insert(error);
            stop.store(true, Ordering::SeqCst);
        }
    };
    let observer = (&mut observer as &mut dyn FnMut(Answer), stop);
    evaluate(bound.backend(), bound.graph(), &options, &mut store, &proposals, observer)?;
    match broken {
        Some(error) => Err(error.into()),
        None if stop.load(Ordering::SeqCst) => Err(Failure::Interrupted),
        None => Ok(()),
    }
}

/// What a line proposes. What cannot be tried here is a proposal all the same; an error is a line that proposes nothing.
fn proposal(selected: &Selected, args: &Args, text: &str) -> Result<Proposal, String> {
    if !text.trim_start().starts_with('{') {
        return Err("expected an object".to_string());
    }
    let line: ProposalLine = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check(&line)?;
    let bound = &selected.bound;
    let (kind, tried) = match &line {
        ProposalLine { schedule: Some(text), .. } => ("schedule", of_schedule(bound, text)),
        ProposalLine { tile: Some(text), .. } => ("tile", of_tile(bound, text)),
        ProposalLine { kernel: Some(text), .. } => {
            ("kernel", of_kernel(selected, args.threads, text))
        }
        ProposalLine { library: Some(path), .. } => ("library", of_library(selected, &line, path)),
        ProposalLine { form, set, .. } => ("form", of_form(bound, form.as_deref(), set)),
    };
    let hash = || hash_text("proposal", text).to_string();
    Ok(tried.unwrap_or_else(|evidence| Proposal::Refused(Refused { kind, hash: hash(), evidence })))
}

/// Refuses fields that do not go together.
fn check(line: &ProposalLine) -> Result<(), String> {
    let has = |name: &'static str, is_there: bool| is_there.then_some(name);
    let whole = [
        has("schedule", line.schedule.is_some()),
        has("tile", line.tile.is_some()),
        has("kernel", line.kernel.is_some()),
        has("library", line.library.is_some()),
    ];
    let of_form = [has("form", line.form.is_some()), has("set", !line.set.is_empty())];
    let of_library = [has("symbol", line.symbol.is_some()), has("profile", line.profile.is_some())];
    let whole: Vec<&str> = whole.into_iter().flatten().collect();
    let others: Vec<&str> = of_form.into_iter().flatten().collect();
    let of_library: Vec<&str> = of_library.into_iter().flatten().collect();
    match (&whole[..], &others[..], &of_library[..]) {
        ([], _, [name, ..]) => Err(format!("`{name}` goes with `library`")),
        ([], _, []) | (["library"], [], _) | ([_], [], []) => Ok(()),
        ([one, other, ..], ..) | ([one], [other, ..], _) | ([one], [], [other, ..]) => {
            Err(format!("`{one}` stands alone, not with `{other}`"))
        }
    }
}

/// What `set` changes.
fn settings(set: &BTreeMap<String, Value>) -> Result<Vec<Setting>, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    set.iter().map(|(name, value)| setting(&format!("{name} = {}", text(value)))).collect()
}

fn of_schedule(bound: &BoundKernel, text: &str) -> Result<Proposal, String> {
    let schedule = bound.forms().read(text).map_err(|faults| told(&faults))?;
    Ok(Proposal::Schedule(bound.forms().canonical(&schedule)))
}

/// The default of a form, changed.
fn of_form(
    bound: &BoundKernel,
    name: Option<&str>,
    set: &BTreeMap<String, Value>,
) -> Result<Proposal, String> {
    let changes = settings(set)?;
    let form = match name {
        Some(name) => bound.forms().named(name).map_err(|faults| told(&faults))?,
        None => bound.forms().preferred(),
    };
    let mut schedule = form.space.default_schedule();
    changes.into_iter().for_each(|change| put(&mut schedule, change));
    bound.forms().check(&schedule).map_err(|faults| told(&faults))?;
    Ok(Proposal::Schedule(bound.forms().canonical(&schedule)))
}

fn of_tile(bound: &BoundKernel, text: &str) -> Result<Proposal, String> {
    let program = tile::parse(text).map_err(|faults| told(&faults))?;
    let artifact = bound.artifact_of_tile(&program).map_err(|error| error.to_string())?;
    Ok(Proposal::Code(Code { kind: "tile", hash: program.hash().to_string(), artifact }))
}

/// A kernel text with the same axes, at the same sizes.
fn of_kernel(selected: &Selected, threads: Option<u64>, text: &str) -> Result<Proposal, String> {
    let fail = |error: tilewright::Error| error.to_string();
    let [kernel] = &Kernel::parse_all(text).map_err(fail)?[..] else {
        return Err("`kernel` is the text of one kernel".to_string());
    };
    let mut claim = kernel.bind_sizes(&selected.sizes).map_err(fail)?;
    claim.set_threads_max(threads);
    let artifact = selected.bound.artifact_of_claim(&claim).map_err(fail)?;
    let hash = kernel.graph().hash().to_string();
    Ok(Proposal::Code(Code { kind: "kernel", hash, artifact }))
}

/// Seconds that the clock of a library may take.
const LIBRARY_SECONDS: f64 = 5.0;

fn of_library(selected: &Selected, line: &ProposalLine, path: &str) -> Result<Proposal, String> {
    let profile = profile(line.profile.as_deref().unwrap_or("strict"))?;
    let bytes = library::read(path.as_ref()).map_err(|error| format!("{path}: {error}"))?;
    let own = format!("tw_{}", selected.kernel.name());
    let symbol = line.symbol.as_ref().unwrap_or(&own);
    let candidate = Library::new(&bytes, symbol, profile);
    let candidate = candidate.map_err(|failure| failure.to_string())?;
    let rival = rival::of(selected).map_err(|failure| failure.message())?;
    Ok(Proposal::Library(Arc::new(rival.against(candidate, LIBRARY_SECONDS))))
}

fn put(schedule: &mut Schedule, new: Setting) {
    match schedule.settings.iter_mut().find(|known| known.name == new.name) {
        Some(known) => *known = new,
        None => schedule.settings.push(new),
    }
}

fn told(faults: &[Diagnostic]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A line for people, and what comes next.
fn text(answer: &Answer) -> String {
    let schedule: String = answer.schedule.chars().take(12).collect();
    let result = match (&answer.time_ns, &answer.reason) {
        (Some(time), None) => time_interval(*time),
        (_, Some(reason)) => {
            format!("rejected: {reason}: {}", answer.evidence.as_deref().unwrap_or_default())
        }
        (None, None) => "not timed".to_string(),
    };
    let share = answer.fraction_of_limit.zip(answer.limited_by.as_ref());
    let share = share.map(|(share, by)| format!(", {} of the limit by {by}", percent(share)));
    let versus = answer.incumbent.as_ref().map(|versus| format!(", {}", versus.verdict));
    let (share, versus) = (share.unwrap_or_default(), versus.unwrap_or_default());
    let next: String = answer.next.iter().map(|next| format!("\n  {next}")).collect();
    format!("{schedule} of form {}: {result}{share}{versus}{next}", answer.form)
}
