//! `campaign run FILE | status | log | stop | steer`: searches that are driven for hours and survive their processes.
//!
//! Invariant: everything is read off the store, so any number of readers may look while one process drives.

mod begin;

use super::failure::Failure;
use super::output::{Output, note};
use super::select::{Source, show};
use super::tune::now_unix;
use crate::report::{Table, time};
use begin::begin;
use serde_json::{json, to_value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tilewright::autotune::campaign::{CampaignFile, Summary, UNKNOWN};
use tilewright::autotune::protocol::{CampaignEvent, LoggedEvent, Noted, Steered, Suggestion};
use tilewright::autotune::store::{CampaignRow, NewEvent, Store, Tail, default_path};
use tilewright::ir::diag::Diagnostic;
use tilewright::ir::schedule::Schedule;

/// The arguments of `campaign`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Begin the campaign of a file, or go on with it
    Run {
        /// The campaign file
        file: PathBuf,
    },
    /// Show where a campaign stands
    Status(Which),
    /// Print the events of a campaign as NDJSON
    Log(Which),
    /// Pause a campaign; `run` goes on
    Stop(Which),
    /// Change the budget, the shares or what is tried next, while it runs or not
    Steer(SteerArgs),
}

/// Which campaign.
#[derive(Debug, clap::Args)]
struct Which {
    /// Its name, its file or the first digits of its identity; not needed where the store has only one
    campaign: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SteerArgs {
    #[command(flatten)]
    which: Which,
    /// The candidates that it may evaluate, those before included
    #[arg(long)]
    evaluations: Option<u64>,
    /// The seconds of work that it may take, those before included
    #[arg(long)]
    seconds: Option<f64>,
    /// The share of a kernel, by its position in the file: `0=2.5`; may be repeated
    #[arg(long, value_name = "KERNEL=SHARE", value_parser = share)]
    share: Vec<(u64, f64)>,
    /// A schedule to try next
    #[arg(long, value_name = "FILE")]
    propose: Vec<PathBuf>,
    /// The position of the kernel that it is for
    #[arg(long, default_value_t = 0)]
    job: u64,
    /// A note for the log
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

fn share(text: &str) -> Result<(u64, f64), String> {
    let parsed = text.split_once('=').and_then(|(job, share)| {
        Some((job.trim().parse().ok()?, share.trim().parse::<f64>().ok()?))
    });
    parsed
        .filter(|(_, share)| share.is_finite() && *share > 0.0)
        .ok_or_else(|| "expected KERNEL=SHARE, as in 0=2.5".to_string())
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    match &args.command {
        Command::Run { file } => begin(file, output),
        Command::Status(which) => status(which, output),
        Command::Log(which) => log(which, output),
        Command::Stop(which) => {
            let (mut store, row) = find(which)?;
            add(&mut store, &row, &CampaignEvent::Stopped)?;
            tell(&store, &row, output)
        }
        Command::Steer(args) => steer(args, output),
    }
}

/// What the user sees while the campaign runs.
struct Face<'a> {
    output: &'a mut Output,
    summary: Summary,
    /// Events of earlier processes.
    before: u64,
    broken: Option<std::io::Error>,
}

impl Face<'_> {
    fn see(&mut self, logged: &LoggedEvent) {
        let Some(event) = logged.event() else { return };
        self.summary.see(&event);
        if self.output.is_json() {
            if self.broken.is_none() {
                self.broken = self.output.line_now(&logged.to_line()).err();
            }
        } else if let (true, CampaignEvent::Decided(_)) = (logged.sequence >= self.before, &event) {
            note(&line(&self.summary));
        }
    }
}

impl Face<'_> {
    /// The closing table, for people.
    fn finish(&mut self) -> Result<(), Failure> {
        if !self.output.is_json() {
            let text = table(&self.summary);
            self.output.text(&text)?;
        }
        Ok(())
    }
}

/// `night: searching, 24 of 40 evaluated in 12 of 600 s; best product 1.2 us`
fn line(summary: &Summary) -> String {
    let most = summary.budget.evaluations.map(|most| format!(" of {most}")).unwrap_or_default();
    let limit = summary.budget.seconds.map(|most| format!(" of {most:.0}")).unwrap_or_default();
    let seconds = summary.seconds;
    let best =
        summary.jobs.iter().filter_map(|job| Some((job.kernel.clone(), job.best?.median_ns)));
    let best: Vec<_> = best.map(|(kernel, ns)| format!("{kernel} {}", time(ns))).collect();
    let (name, phase, evaluated) = (&summary.name, &summary.phase, summary.evaluated);
    let best = if best.is_empty() { "nothing yet".to_string() } else { best.join(", ") };
    format!(
        "{name}: {phase}, {evaluated}{most} evaluated in {seconds:.0}{limit} s of work; best {best}"
    )
}

fn table(summary: &Summary) -> String {
    let mut table =
        Table::new(&["kernel", "sizes", "evaluated", "rejected", "best", "confirmed", "of peak"]);
    for job in &summary.jobs {
        let confirmed = job.confirmed.as_ref();
        let fraction = confirmed.and_then(|confirmed| confirmed.fraction_of_peak);
        table.row([
            job.kernel.clone(),
            show(&job.sizes),
            job.evaluated.to_string(),
            rejected(&job.rejected),
            job.best.map_or("none".to_string(), |best| time(best.median_ns)),
            confirmed.and_then(|one| one.time_ns).map_or("no".to_string(), |one| time(one.median)),
            fraction.map_or("unknown".to_string(), crate::report::percent),
        ]);
    }
    table.render()
}

/// `12: duplicate 8, slow 4`
fn rejected(reasons: &BTreeMap<String, u64>) -> String {
    let count: u64 = reasons.values().sum();
    let reasons: Vec<_> = reasons.iter().map(|(why, count)| format!("{why} {count}")).collect();
    if reasons.is_empty() { "0".to_string() } else { format!("{count}: {}", reasons.join(", ")) }
}

/// The campaign that is meant.
fn find(which: &Which) -> Result<(Store, CampaignRow), Failure> {
    let store = Store::open_to_read(&default_path()?)?;
    let rows = store.campaigns()?;
    let named = |wanted: &str| {
        rows.iter().filter(|row| row.name == wanted || row.id.starts_with(wanted)).collect()
    };
    let found: Vec<&CampaignRow> = match &which.campaign {
        None => rows.iter().collect(),
        Some(path) if path.ends_with(".toml") => {
            let source = Source::read(Path::new(path))?;
            let file = CampaignFile::parse(&source.text)
                .map_err(|fault| source.faults(tilewright::Error::Diagnostics(vec![fault])))?;
            named(&file.name)
        }
        Some(wanted) => named(wanted),
    };
    if let [only] = found.as_slice() {
        let row = (*only).clone();
        return Ok((store, row));
    }
    let known = rows.iter().map(|row| format!("{} ({})", row.name, &row.id[..12]));
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
    let found = which.campaign.clone().unwrap_or_else(|| "no name".to_string());
    Err(Diagnostic::new(UNKNOWN, "which campaign is not clear")
        .found(found)
        .expected(format!("one of {known}"))
        .help("name it, or give the first digits of its identity")
        .into())
}

/// Adds a word to the end of a chain, wherever that is by now.
fn add(store: &mut Store, row: &CampaignRow, event: &CampaignEvent) -> Result<(), Failure> {
    loop {
        let tail = store.tail(&row.id)?.unwrap_or_else(|| Tail::start(&row.id));
        let event = NewEvent::from(event.clone());
        if store.append(&row.id, &tail, now_unix(), vec![event])?.is_some() {
            return Ok(());
        }
    }
}

fn status(which: &Which, output: &mut Output) -> Result<(), Failure> {
    let (store, row) = find(which)?;
    tell(&store, &row, output)
}

fn summary(store: &Store, row: &CampaignRow) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    store.events_after(&row.id, &Tail::start(&row.id), &mut |logged| {
        if let Some(event) = logged.event() {
            summary.see(&event);
        }
        Ok(())
    })?;
    Ok(summary)
}

fn tell(store: &Store, row: &CampaignRow, output: &mut Output) -> Result<(), Failure> {
    let summary = summary(store, row)?;
    if !output.is_json() {
        note(&line(&summary));
        output.text(&table(&summary))?;
        return Ok(());
    }
    let mut value = json!({ "campaign": row.id, "events": row.events });
    let rest = to_value(&summary).expect("summaries are maps with text keys");
    for (name, field) in rest.as_object().into_iter().flatten() {
        value[name.as_str()] = field.clone();
    }
    output.json(&value)?;
    Ok(())
}

fn log(which: &Which, output: &mut Output) -> Result<(), Failure> {
    let (store, row) = find(which)?;
    let mut broken = None;
    let visited = store.events_after(&row.id, &Tail::start(&row.id), &mut |event| {
        output.text(&event.to_line()).map_err(|error| {
            broken = Some(error);
            Diagnostic::new(tilewright::autotune::store::FAILED, "nobody reads the log")
        })
    });
    if let Some(error) = broken {
        return Err(error.into());
    }
    visited?;
    Ok(())
}

fn steer(args: &SteerArgs, output: &mut Output) -> Result<(), Failure> {
    let (mut store, row) = find(&args.which)?;
    let summary = summary(&store, &row)?;
    let jobs = summary.jobs.len() as u64;
    if args.evaluations == Some(0)
        || args.seconds.is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0)
    {
        return Err(Failure::Usage("a budget is a positive number".to_string()));
    }
    for job in args.share.iter().map(|(job, _)| *job).chain([args.job]) {
        if job >= jobs {
            let text = format!("the campaign has the kernels 0 to {}, not {job}", jobs.max(1) - 1);
            return Err(Failure::Usage(text));
        }
    }
    let mut propose = vec![];
    for path in &args.propose {
        let source = Source::read(path)?;
        let schedule = Schedule::parse(&source.text)
            .map_err(|faults| source.faults(tilewright::Error::Diagnostics(faults)))?;
        let kernel = &summary.jobs[args.job as usize].kernel;
        if schedule.kernel != *kernel {
            let (found, number) = (&schedule.kernel, args.job);
            let text = format!(
                "{} is for the kernel `{found}`, and kernel {number} of the campaign is `{kernel}`",
                source.name
            );
            return Err(Failure::Usage(text));
        }
        propose.push(Suggestion { job: args.job, schedule: schedule.print() });
    }
    let steered = Steered {
        evaluations: args.evaluations,
        seconds: args.seconds,
        shares: args.share.iter().copied().collect(),
        propose,
    };
    if steered != Steered::default() {
        add(&mut store, &row, &CampaignEvent::Steered(steered))?;
    } else if args.note.is_none() {
        return Err(Failure::Usage("`campaign steer` was given nothing to change".to_string()));
    }
    if let Some(text) = args.note.clone() {
        add(&mut store, &row, &CampaignEvent::Noted(Noted { text }))?;
    }
    tell(&store, &row, output)
}
