//! `tune FILE`: search, judge, time, store; a progress bar on stderr, the closing table or events on stdout.
//!
//! Invariant: Ctrl-C ends the run at the next candidate, and what was found is stored and shown.

use super::failure::Failure;
use super::given;
use super::interrupt;
use super::memory;
use super::output::Output;
use super::select::{KernelArgs, Selected, show};
use crate::report::{closing_table, percent, time};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tilewright::Hidden;
use tilewright::autotune::protocol::{Event, Phase, Progress};
use tilewright::autotune::store::{Store, default_path};
use tilewright::autotune::tune::{PATIENCE, TuneOptions, TuneReport, tune};
use tilewright::ir::base::Sizes;
use tilewright::ir::diag::Diagnostic;
use tilewright::ir::schedule::{ChoiceValue, FORM, Schedule, Setting, WRITTEN};

/// The arguments of `tune`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// The budget in wall-clock seconds
    #[arg(long, default_value_t = 90.0, value_parser = positive)]
    seconds: f64,
    /// The largest number of candidates
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    evaluations: Option<u64>,
    /// The seed of the search
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A choice that every candidate has: `threads=1`, `C.vector=n`, `form=written`; may be repeated
    #[arg(long, value_name = "CHOICE=VALUE", value_parser = setting)]
    fix: Vec<Setting>,
    /// A choice that no candidate has: `pack_b=parts` for every `pack_b`, `form=f1a2b3c4`; may be repeated
    #[arg(long, value_name = "CHOICE=VALUE", value_parser = setting)]
    forbid: Vec<Setting>,
    /// Judge and time this schedule only
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fix", "forbid", "evaluations"])]
    schedule: Option<PathBuf>,
    /// Tune for at most this many threads; the winner is that of `run --threads` and of a machine with so many
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    /// End when so many candidates in a row, and half of all, brought no progress; 0: use all of the budget
    #[arg(long, value_name = "CANDIDATES", default_value_t = PATIENCE)]
    patience: u64,
    /// Threads that compile candidates; 0: all
    #[arg(long, default_value_t = 0)]
    jobs: usize,
}

/// A line of a schedule without its `choose`.
pub(super) fn setting(text: &str) -> Result<Setting, String> {
    let told = |faults: Vec<Diagnostic>| {
        faults.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("; ")
    };
    let schedule = Schedule::parse(&format!("schedule fixed {{ choose {text} }}"));
    let settings = schedule.map_err(told)?.settings;
    match <[Setting; 1]>::try_from(settings) {
        Ok([setting]) => Ok(setting),
        Err(_) => Err("expected one CHOICE=VALUE".to_string()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds > 0.0 => Ok(seconds),
        _ => Err("expected a positive number of seconds".to_string()),
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let mut selected = args.kernel.select()?;
    selected.bound.set_threads_max(args.threads);
    // Two cases with their references, and a slot of the session.
    memory::check(selected.bound.graph(), 3, true)?;
    let only =
        args.schedule.as_deref().map(|path| given::read(&selected.bound, path)).transpose()?;
    let mut store = Store::open(&default_path()?)?;
    let stop = interrupt::asks_to_stop();
    let options = TuneOptions {
        budget_evaluations: only.as_ref().map(|_| 1).or(args.evaluations),
        fixed: only.map_or_else(|| args.fix.clone(), settings),
        forbidden: args.forbid.clone(),
        patience: args.patience,
        threads: args.jobs,
        ..options(args.seed, args.seconds)
    };
    let mut face = Face::new(args, output);
    let (backend, graph) = (selected.bound.backend(), selected.bound.graph());
    let report =
        tune(backend, graph, &options, &mut store, &mut |event| face.see(event, stop), stop);
    face.finish()?;
    let report = report?;
    let hidden = elsewhere(args, &selected, &report)?;
    if !output.is_json() {
        output.text(&closing_table(&report, hidden.as_ref()))?;
    }
    if let Some((sizes, why)) = hidden.iter().flat_map(|hidden| &hidden.wrong).next() {
        return Err(withdrawn(&mut store, &report, (sizes, why)));
    }
    verdict(report)
}

/// The winner at sizes that it was not tuned for.
fn elsewhere(
    args: &Args,
    selected: &Selected,
    report: &TuneReport,
) -> Result<Option<Hidden>, Failure> {
    let Some(best) = report.best.as_ref().filter(|_| !report.stopped) else { return Ok(None) };
    let options = (args.threads, args.seed);
    Ok(Some(selected.kernel.check_hidden(&selected.sizes, &best.schedule, options)?))
}

/// Takes a winner out of use that is wrong at other sizes: what made it is not to be trusted.
fn withdrawn(store: &mut Store, report: &TuneReport, (sizes, why): (&Sizes, &str)) -> Failure {
    let place = show(sizes);
    let row = report.record.as_ref().and_then(|record| store.find(record).ok().flatten());
    let why = format!("wrong at {place}: {why}");
    if let Some(row) = row
        && let Err(fault) = store.quarantine(&row, &why, now_unix())
    {
        return fault.into();
    }
    Failure::Wrong(format!("the winner is taken out of use: {why}"))
}

/// All that a schedule says, which is also that it is of the form as written where it names none.
fn settings(schedule: Schedule) -> Vec<Setting> {
    let mut settings = schedule.settings;
    if !settings.iter().any(|setting| setting.name == FORM) {
        let value = ChoiceValue::Word(WRITTEN.to_string());
        settings.insert(0, Setting { name: FORM.to_string(), value });
    }
    settings
}

/// How the program ends.
fn verdict(report: TuneReport) -> Result<(), Failure> {
    match (report.best, report.unsupported) {
        _ if report.stopped => Err(Failure::Interrupted),
        (Some(_), _) => Ok(()),
        (None, Some(unsupported)) => Err(Failure::Unsupported(unsupported)),
        (None, None) => Err(Failure::Wrong("no candidate passed the judge".to_string())),
    }
}

/// The options of a run that begins now.
pub(super) fn options(seed: u64, budget_seconds: f64) -> TuneOptions {
    TuneOptions { seed, budget_seconds, started_unix: now_unix(), ..TuneOptions::default() }
}

/// Seconds since the Unix epoch; 0 on a machine whose clock is before it.
pub(super) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What the user sees while the run lasts.
struct Face<'a> {
    output: &'a mut Output,
    bar: ProgressBar,
    evaluations: Option<u64>,
    broken: Option<std::io::Error>,
}

impl<'a> Face<'a> {
    fn new(args: &Args, output: &'a mut Output) -> Self {
        let length = args.evaluations.unwrap_or(args.seconds.ceil() as u64);
        let target = if output.is_json() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let style = ProgressStyle::with_template("{wide_bar} {prefix} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { output, bar, evaluations: args.evaluations, broken: None }
    }

    fn see(&mut self, event: &Event, stop: &AtomicBool) {
        if self.output.is_json()
            && self.broken.is_none()
            && let Err(error) = self.output.line_now(&event.to_line())
        {
            // Nobody listens any more: end the run, keep what it found.
            self.broken = Some(error);
            stop.store(true, Ordering::SeqCst);
        }
        if let Event::Progress(progress) = event {
            self.show(progress);
        }
    }

    fn show(&self, progress: &Progress) {
        let position = match self.evaluations {
            Some(_) => progress.evaluated,
            None => progress.elapsed_seconds as u64,
        };
        self.bar.set_position(position);
        self.bar.set_prefix(phase(progress.phase));
        self.bar.set_message(message(progress));
    }

    fn finish(self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        self.broken.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Ceilings => "measuring the machine",
        Phase::Naive => "timing the naive loop nest",
        Phase::Search => "searching",
        Phase::Finalists => "measuring the best few in turns",
        Phase::Confirm => "confirming the winner",
    }
}

/// `best 1.234 ms (41.2 % of peak), 120 tried, 3 rejected`
fn message(progress: &Progress) -> String {
    let share = progress.best_fraction_of_peak;
    let share = share.map(|share| format!(" ({} of peak)", percent(share))).unwrap_or_default();
    let best = match progress.best_so_far_ns {
        Some(best_ns) => format!("best {}{share}, ", time(best_ns)),
        None => String::new(),
    };
    format!("{best}{} tried, {} rejected", progress.evaluated, progress.rejected)
}

#[cfg(test)]
mod tests {
    use super::verdict;
    use std::collections::BTreeMap;
    use tilewright::autotune::protocol::{Ended, TargetName};
    use tilewright::autotune::tune::TuneReport;
    use tilewright::ir::backend::Unsupported;

    /// A run without a winner.
    fn report(unsupported: Option<Unsupported>, stopped: bool) -> TuneReport {
        let empty = String::new;
        TuneReport {
            kernel: empty(),
            sizes: BTreeMap::new(),
            target: TargetName { backend: empty(), isa: empty(), chip: empty(), hash: empty() },
            best: None,
            naive: None,
            naive_over_ns: None,
            naive_rejection: None,
            changes: vec![],
            forms: vec![],
            form_agreement: None,
            flops: 0.0,
            bytes: 0.0,
            fraction_of_peak: None,
            bound: None,
            evaluated: 0,
            without_progress: 0,
            ended: Ended::Budget,
            tried: None,
            rejected: BTreeMap::new(),
            record: None,
            standing: None,
            unsupported,
            elapsed_seconds: 0.0,
            stopped,
        }
    }

    #[test]
    fn what_is_not_supported_is_told_apart_from_what_is_wrong() {
        let unsupported = Unsupported { what: "a scan".to_string(), place: "`y`".to_string() };
        let failure = verdict(report(Some(unsupported.clone()), false)).unwrap_err();
        assert_eq!(failure.code(), 4);
        let json = failure.to_json().unwrap();
        assert_eq!(json["error"]["kind"], "unsupported");
        assert_eq!(json["error"]["what"], "a scan");
        assert_eq!(json["error"]["place"], "`y`");
        assert_eq!(verdict(report(None, false)).unwrap_err().code(), 1);
        assert_eq!(verdict(report(Some(unsupported), true)).unwrap_err().code(), 6);
    }
}
