//! `bench FILE`: time a kernel, write a record, or compare with one.
//!
//! The result is checked against the reference before anything is timed. A comparison that says slower is made again before
//! it is believed. Invariant: only slower is an exit code of its own; a record of another machine compares with nothing.

use super::failure::Failure;
use super::given::ScheduleArgs;
use super::memory;
use super::output::{Output, note};
use super::select::{KernelArgs, Selected, Source, show};
use crate::report::time;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tilewright::autotune::clock::against::{self, Comparison, Ratio, Verdict};
use tilewright::autotune::protocol::{BENCH_FORMAT_VERSION, BenchRecord, TargetName};
use tilewright::bench::Ready;
use tilewright::ir::reference::{compare, evaluate};
use tilewright::ir::schedule::Schedule;

/// Groups of rounds, each with buffers of its own.
const GROUPS: u32 = 5;
/// How often a comparison has to say slower.
const ATTEMPTS: usize = 3;
/// The exit code of a kernel that is slower than its record.
const SLOWER: u8 = 9;
const SEED: u64 = 1;

/// The arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Compare with this record: faster, slower or a tie
    #[arg(long, value_name = "RECORD")]
    against: Option<PathBuf>,
    /// Write a record of this run
    #[arg(long, value_name = "RECORD")]
    record: Option<PathBuf>,
    /// Seconds to measure for; a comparison that says slower takes up to three times as long
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The smallest difference that counts, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    effect: f64,
    /// Use at most this many threads
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    check_options(args)?;
    let earlier = args.against.as_deref().map(read).transpose()?;
    let mut selected = args.kernel.select()?;
    memory::check(selected.bound.graph(), 1, true)?;
    selected.bound.set_threads_max(args.threads);
    let (schedule, _) = args.schedule.choose(&selected.bound)?;
    check_result(&selected, &schedule)?;
    let mut record = measure(args, &selected, &schedule)?;
    let comparison = match &earlier {
        None => None,
        Some(earlier) => compared(args, (&selected, &schedule), earlier, &mut record)?,
    };
    if let Some(path) = &args.record {
        let text = serde_json::to_string(&record).expect("a record is plain data");
        std::fs::write(path, text + "\n").map_err(|error| Failure::file(path, &error))?;
    }
    tell(&record, earlier.is_some(), comparison, output)?;
    match comparison.map(|comparison| comparison.verdict) {
        Some(Verdict::Slower) => Err(Failure::Told(SLOWER)),
        Some(Verdict::Faster | Verdict::Tie) | None => Ok(()),
    }
}

fn check_options(args: &Args) -> Result<(), Failure> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        return Err(Failure::Usage("`--seconds` is more than 0 and at most 3600".to_string()));
    }
    if !(0.0..=1000.0).contains(&args.effect) {
        return Err(Failure::Usage("`--effect` is between 0 and 1000 percent".to_string()));
    }
    Ok(())
}

fn read(path: &Path) -> Result<BenchRecord, Failure> {
    let text = Source::read(path)?.text;
    let record: BenchRecord =
        serde_json::from_str(&text).map_err(|error| Failure::file(path, &error))?;
    if !record.is_usable() {
        let what = "not a record of `bench --record` of this version";
        return Err(Failure::file(path, &what));
    }
    Ok(record)
}

/// No time is shown of a kernel whose result is wrong.
fn check_result(selected: &Selected, schedule: &Schedule) -> Result<(), Failure> {
    let mut ready = Ready::with_schedule(&selected.bound, schedule)?;
    drop(ready.bound_call()?);
    let expected = evaluate(selected.bound.graph(), ready.inputs());
    for (expected, got) in expected.iter().zip(ready.outputs()) {
        let verdict = compare(expected, got);
        if !verdict.passed() {
            let ratio = verdict.worst_ratio;
            return Err(Failure::Wrong(format!("the result is off by {ratio} times its bound")));
        }
    }
    Ok(())
}

fn measure(args: &Args, selected: &Selected, schedule: &Schedule) -> Result<BenchRecord, Failure> {
    let budget = Duration::from_secs_f64(args.seconds) / GROUPS;
    let mut groups = vec![];
    for _ in 0..GROUPS {
        let mut ready = Ready::with_schedule(&selected.bound, schedule)?;
        let mut call = ready.bound_call()?;
        groups.push(against::rounds(&mut |calls| (0..calls).for_each(|_| call.call()), budget));
    }
    Ok(BenchRecord {
        format_version: BENCH_FORMAT_VERSION,
        kernel: selected.name().to_string(),
        sizes: selected.sizes.clone(),
        threads: args.threads,
        schedule: schedule.print(),
        machine: TargetName::new(selected.bound.backend().target()),
        call_ns: against::call_ns(&groups, SEED),
        groups,
    })
}

/// The comparison, made again while it says slower; `None` with a record of another machine.
fn compared(
    args: &Args,
    (selected, schedule): (&Selected, &Schedule),
    earlier: &BenchRecord,
    record: &mut BenchRecord,
) -> Result<Option<Comparison>, Failure> {
    let same = (&earlier.kernel, &earlier.sizes, earlier.threads);
    if same != (&record.kernel, &record.sizes, record.threads) {
        return Err(Failure::Usage(format!(
            "the record is of {} at {}, {}; this is {} at {}, {}",
            earlier.kernel,
            show(&earlier.sizes),
            threads_text(earlier.threads),
            record.kernel,
            show(&record.sizes),
            threads_text(record.threads)
        )));
    }
    if earlier.machine != record.machine {
        let (then, now) = (&earlier.machine.chip, &record.machine.chip);
        note(&format!(
            "the record is of another machine ({then}, this is {now}): nothing to compare"
        ));
        return Ok(None);
    }
    let effect = args.effect / 100.0;
    let mut comparison = against::compare(&record.groups, &earlier.groups, effect, SEED);
    for _ in 1..ATTEMPTS {
        if comparison.verdict != Verdict::Slower {
            break;
        }
        note("slower; measuring again");
        *record = measure(args, selected, schedule)?;
        comparison = against::compare(&record.groups, &earlier.groups, effect, SEED);
    }
    Ok(Some(comparison))
}

fn threads_text(threads: Option<u64>) -> String {
    threads.map_or("all threads".to_string(), |threads| format!("at most {threads} threads"))
}

fn tell(
    record: &BenchRecord,
    has_earlier: bool,
    comparison: Option<Comparison>,
    output: &mut Output,
) -> Result<(), Failure> {
    let verdict = comparison.map_or(Verdict::Tie, |comparison| comparison.verdict);
    if output.is_json() {
        let mut value = json!({
            "kernel": record.kernel, "sizes": record.sizes, "threads": record.threads,
            "schedule": record.schedule, "machine": record.machine, "call_ns": record.call_ns,
        });
        if has_earlier {
            value["verdict"] = json!(verdict);
            value["comparison"] = json!(comparison);
        }
        return Ok(output.json(&value)?);
    }
    let Ratio { median, lo, hi } = record.call_ns;
    let (median, lo, hi) = (time(median), time(lo), time(hi));
    output.text(&format!("{}: {median} a call ({lo} to {hi})", record.kernel))?;
    match comparison {
        None if has_earlier => output.text("tie: nothing to compare with")?,
        None => {}
        Some(comparison) => output.text(&text_of(&comparison))?,
    }
    Ok(())
}

fn text_of(comparison: &Comparison) -> String {
    let view = |name: &str, ratio: Ratio| {
        format!("  {name}: {:.3} ({:.3} to {:.3})\n", ratio.median, ratio.lo, ratio.hi)
    };
    let word = match comparison.verdict {
        Verdict::Faster => "faster than the record",
        Verdict::Tie => "tie with the record",
        Verdict::Slower => "slower than the record",
    };
    format!("{word}; new time over old:\n")
        + &view("as it is", comparison.plain)
        + &view("by the clock rate", comparison.by_chain)
        + &view("by the memory's rate", comparison.by_sum)
}
