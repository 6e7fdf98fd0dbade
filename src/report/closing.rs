//! The closing table of a tuning run.
//!
//! Invariant: it shows no time that has not passed a check; what is not known is said to be unknown, not left out.

use super::Table;
use super::units::{passes, percent, rate, time, time_interval};
use tilewright::Hidden;
use tilewright::autotune::protocol::Ended;
use tilewright::autotune::tune::TuneReport;
use tilewright::ir::schedule::WRITTEN;

/// The table that ends `tune`.
pub(crate) fn closing_table(report: &TuneReport, hidden: Option<&Hidden>) -> String {
    let mut table = Table::bare();
    let mut row = |name: &str, value: String| table.row([name.to_string(), value]);
    let sizes: Vec<_> = report.sizes.iter().map(|(axis, n)| format!("{axis}={n}")).collect();
    row("kernel", format!("{} at {}", report.kernel, sizes.join(", ")));
    row("machine", format!("{} ({})", report.target.chip, report.target.isa));
    match &report.best {
        Some(best) => {
            row("best", format!("{}, 95 % interval of the median", time_interval(best.time_ns)));
            row("rate", rates(report));
            // Where there is nothing to do no time is the shortest.
            if report.flops > 0.0 || report.bytes > 0.0 {
                row("of peak", share(report));
            }
            row("accuracy", format!("{} of the allowed error", percent(best.worst_ratio)));
        }
        None if report.unsupported.is_some() => {
            row("best", "none: the back end cannot compile this kernel".to_string());
        }
        None => row("best", "no candidate passed the judge".to_string()),
    }
    row("naive", naive(report));
    row("tried", tried(report));
    if let Some(untried) = untried(report) {
        row("untried", untried);
    }
    if let Some(id) = report.best.as_ref().map(|best| best.schedule.form_name())
        && (report.forms.len() > 1 || id != WRITTEN)
    {
        row("form", form(report, &id));
    }
    if let Some(hidden) = hidden {
        row("hidden", format!("at other sizes {hidden}"));
    }
    if let Some(record) = &report.record {
        row("stored", stored(report, record));
    }
    let schedule =
        report.best.as_ref().map(|best| differences(report, best.schedule.settings.len()));
    let forms = if report.forms.len() > 1 { forms(report) } else { String::new() };
    format!("{}{forms}{}", table.render(), schedule.unwrap_or_default())
}

/// Where a search ended by itself, what it leaves: forms and some values of choices.
fn untried(report: &TuneReport) -> Option<String> {
    let tried = report.tried.as_ref().filter(|_| report.ended == Ended::NoProgress)?;
    let forms = tried.forms_untried.iter().map(|form| format!("form {form}"));
    let values = tried.values_untried.iter();
    let values = values.map(|(name, values)| format!("{name} = {}", values.join(", ")));
    let some: Vec<String> = forms.chain(values).take(UNTRIED).collect();
    (!some.is_empty()).then(|| some.join("; "))
}

/// Untried things that are shown.
const UNTRIED: usize = 4;

/// Which form won.
fn form(report: &TuneReport, id: &str) -> String {
    let row = report.forms.iter().find(|row| row.id == id);
    let passes = row.map(|row| format!(": {}", passes(&row.passes))).unwrap_or_default();
    format!("{id}{passes}")
}

/// What was expected of each form, and what was measured.
fn forms(report: &TuneReport) -> String {
    let mut table = Table::new(&["form", "passes", "predicted", "best", "tried"]);
    for row in &report.forms {
        table.row([
            row.id.clone(),
            passes(&row.passes),
            time(row.predicted_ns),
            row.best_ns.map_or_else(|| "-".to_string(), time),
            row.evaluated.to_string(),
        ]);
    }
    let agreement = report.form_agreement;
    let agreement =
        agreement.map(|value| format!("rank correlation of the two times: {value:.2}\n"));
    format!("\n{}{}", table.render(), agreement.unwrap_or_default())
}

fn rates(report: &TuneReport) -> String {
    let gflops = report.gflops().map(|value| rate(value, "FLOP")).unwrap_or_default();
    let gbps = report.gbps().map(|value| rate(value, "B")).unwrap_or_default();
    format!("{gflops}, {gbps}")
}

fn share(report: &TuneReport) -> String {
    match (report.fraction_of_peak, &report.bound) {
        (Some(fraction), Some(bound)) => {
            format!("{} of what this machine allows; bound by {bound}", percent(fraction))
        }
        _ => {
            "unknown: the machine's ceilings have not been measured; a run of 24 s or more does it"
                .to_string()
        }
    }
}

fn naive(report: &TuneReport) -> String {
    match (&report.naive, report.speedup()) {
        (Some(naive), Some(speedup)) if speedup < 1.0 => {
            format!("{}; the best is slower", time(naive.time_ns.median))
        }
        (Some(naive), Some(speedup)) => {
            format!("{}; the best is {speedup:.1} times faster", time(naive.time_ns.median))
        }
        (Some(naive), None) => time(naive.time_ns.median),
        (None, _) => naive_untimed(report),
    }
}

/// Why the naive loop nest has no time, and what is known of it all the same.
fn naive_untimed(report: &TuneReport) -> String {
    let best_ns = report.best.as_ref().map(|best| best.time_ns.median);
    match (report.naive_over_ns, best_ns, &report.naive_rejection) {
        (Some(over_ns), Some(best_ns), _) => format!(
            "over {}, too slow to be timed in this budget; the best is more than {:.1} times faster",
            time(over_ns),
            over_ns / best_ns
        ),
        (Some(over_ns), None, _) => {
            format!("over {}, too slow to be timed in this budget", time(over_ns))
        }
        (None, _, Some(rejection)) => format!("not timed: {rejection}"),
        (None, _, None) => "not timed".to_string(),
    }
}

fn tried(report: &TuneReport) -> String {
    let rejected: u64 = report.rejected.values().sum();
    let reasons: Vec<_> = report.rejected.iter().map(|(why, n)| format!("{why} {n}")).collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let (tried, seconds) = (report.evaluated, report.elapsed_seconds);
    let ended = match report.ended {
        Ended::Stopped => ", then interrupted".to_string(),
        Ended::NoProgress => format!(", the last {} without progress", report.without_progress),
        Ended::Exhausted => ", all that was found".to_string(),
        Ended::Budget => String::new(),
    };
    let candidates = if tried == 1 { "candidate" } else { "candidates" };
    format!("{tried} {candidates} in {seconds:.0} s{ended}, {rejected} rejected{reasons}")
}

/// Whether the best of this run is what `run` uses from now on.
fn stored(report: &TuneReport, record: &str) -> String {
    match &report.standing {
        None => format!("record {record}"),
        Some(standing) => format!(
            "not as the winner: that of an earlier run, record {}, is faster with {} and stays",
            standing.record,
            time_interval(standing.time_ns)
        ),
    }
}

/// The best schedule by what it changes; `tilewright best` prints all of it.
fn differences(report: &TuneReport, settings: usize) -> String {
    if report.changes.is_empty() {
        return match report.forms.len() {
            0 | 1 => format!("schedule  the default, {settings} settings\n"),
            _ => format!("\nschedule  the default of its form, {settings} settings\n"),
        };
    }
    let mut table = Table::new(&["schedule", "default", "best"]);
    for change in &report.changes {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_string());
        table.row([change.name.clone(), show(&change.default), show(&change.best)]);
    }
    let same = settings.saturating_sub(report.changes.len());
    format!("\n{}and {same} settings as in the default\n", table.render())
}
