//! `compare FILE ONE OTHER`: two schedules of one kernel against each other.
//!
//! Invariant: the answer is faster, slower or a tie, and says by how much with its interval; a schedule with wrong numbers is
//! no competitor.

use super::failure::Failure;
use super::given;
use super::interrupt;
use super::memory;
use super::output::Output;
use super::select::KernelArgs;
use super::tune::{options, positive};
use crate::report::{Table, time, time_interval};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::Ordering;
use tilewright::BoundKernel;
use tilewright::autotune::clock::Paired;
use tilewright::autotune::clock::against::Verdict;
use tilewright::autotune::store::{Store, default_path};
use tilewright::autotune::tune::{Compared, Side, compare};
use tilewright::ir::schedule::Schedule;

/// The arguments of `compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// A schedule: `default`, `naive`, `stored`, the first digits of a record, or a file
    one: String,
    /// What it is compared with
    other: String,
    /// Seconds for everything
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    seconds: f64,
    /// The smallest difference that counts, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, allow_negative_numbers = true)]
    effect: f64,
    /// Use at most this many threads
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    /// The seed of the judge's data
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    if !(0.0..=1000.0).contains(&args.effect) {
        return Err(Failure::Usage("`--effect` is between 0 and 1000 percent".to_string()));
    }
    let mut selected = args.kernel.select()?;
    selected.bound.set_threads_max(args.threads);
    let bound = &selected.bound;
    memory::check(bound.graph(), 3, true)?;
    let mut store = Store::open(&default_path()?)?;
    let schedules = [named(bound, &store, &args.one)?, named(bound, &store, &args.other)?];
    let stop = interrupt::asks_to_stop();
    let options = options(args.seed, args.seconds);
    let (backend, graph) = (bound.backend(), bound.graph());
    let limits = (args.effect / 100.0, stop);
    let compared = compare(backend, graph, &options, &mut store, schedules, limits)?;
    if output.is_json() {
        output.json(&to_json(&compared))?;
    } else {
        output.text(&to_text(&compared, args)?)?;
    }
    if stop.load(Ordering::SeqCst) {
        return Err(Failure::Interrupted);
    }
    refused(&compared, args).map_or(Ok(()), |why| Err(Failure::Wrong(why)))
}

/// The schedule that a word of the command line names.
fn named(bound: &BoundKernel, store: &Store, word: &str) -> Result<Schedule, Failure> {
    let path = Path::new(word);
    if path.is_file() {
        return given::read(bound, path);
    }
    match word {
        "default" => return Ok(bound.forms().default_schedule()),
        "naive" => return Ok(bound.forms().naive_schedule()),
        "stored" => {
            let stored = bound.stored_schedule()?.map(|(schedule, _)| schedule);
            return stored.ok_or_else(|| {
                Failure::Usage("the store has no schedule for this kernel and size".to_string())
            });
        }
        _ => {}
    }
    let is_record = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let row = if is_record { store.find(word)? } else { None };
    let Some(row) = row else {
        let known = "`default`, `naive`, `stored`, the digits of a record, or a file";
        return Err(Failure::Usage(format!("`{word}` is no schedule: expected {known}")));
    };
    let schedule = Schedule::parse(&row.schedule).and_then(|schedule| {
        bound.forms().check(&schedule)?;
        Ok(schedule)
    });
    schedule.map_err(|faults| {
        let why = faults.first().map(ToString::to_string).unwrap_or_default();
        Failure::Usage(format!("the schedule of record {word} does not fit here: {why}"))
    })
}

/// What was refused of the two.
fn refused(compared: &Compared, args: &Args) -> Option<String> {
    let named = compared.sides.iter().zip([&args.one, &args.other]);
    let mut why = named.filter_map(|(side, name)| {
        side.rejection.as_ref().map(|rejection| format!("`{name}` is rejected: {rejection}"))
    });
    why.next()
}

fn to_json(compared: &Compared) -> Value {
    let side = |side: &Side| {
        json!({
            "schedule": side.schedule.print(), "record": side.record, "time_ns": side.time_ns,
            "quartile_ns": side.quartile_ns,
            "reason": side.rejection.as_ref().map(|rejection| rejection.reason),
            "evidence": side.rejection.as_ref().map(|rejection| &rejection.evidence),
        })
    };
    let [one, other] = &compared.sides;
    let ratio = |ratio: Paired| json!({"estimate": ratio.estimate, "lo": ratio.lo, "hi": ratio.hi});
    json!({
        "verdict": compared.verdict, "ratio": compared.ratio.map(ratio),
        "one": side(one), "other": side(other),
        "differs": differences(compared)
            .into_iter()
            .map(|[name, one, other]| json!({"name": name, "one": one, "other": other}))
            .collect::<Vec<_>>(),
    })
}

/// The choices in which they differ.
fn differences(compared: &Compared) -> Vec<[String; 3]> {
    let [one, other] = &compared.sides;
    let rows = one.schedule.diff(&other.schedule).into_iter().map(|(name, own, their)| {
        let text = |value: Option<&tilewright::ir::schedule::ChoiceValue>| {
            value.map_or_else(|| "-".to_string(), ToString::to_string)
        };
        [name.to_string(), text(own), text(their)]
    });
    rows.collect()
}

fn to_text(compared: &Compared, args: &Args) -> Result<String, Failure> {
    let mut text = String::new();
    for (side, name) in compared.sides.iter().zip([&args.one, &args.other]) {
        if let Some((time_ns, quartile_ns)) = side.time_ns.zip(side.quartile_ns) {
            let (undisturbed, all) = (time(quartile_ns), time_interval(time_ns));
            text.push_str(&format!("{name}: {undisturbed} undisturbed; median {all}\n"));
        }
    }
    if let Some((ratio, verdict)) = compared.ratio.zip(compared.verdict) {
        let word = match verdict {
            Verdict::Faster => format!("{} is faster than {}", args.one, args.other),
            Verdict::Slower => format!("{} is slower than {}", args.one, args.other),
            Verdict::Tie => "a tie".to_string(),
        };
        let Paired { estimate, lo, hi } = ratio;
        let told = "of the undisturbed times";
        text.push_str(&format!("{word}: a ratio {told} of {estimate:.3} ({lo:.3} to {hi:.3})\n"));
    }
    let rows = differences(compared);
    if !rows.is_empty() {
        let mut table = Table::new(&["choice", &args.one, &args.other]);
        for row in rows {
            table.row(row);
        }
        text.push_str(&table.render());
    }
    Ok(text)
}
