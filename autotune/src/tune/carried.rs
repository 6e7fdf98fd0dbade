//! What earlier runs found for the same kernel at other extents or on other machines: seeds of a search, and what its model
//! knows beforehand.
//!
//! Invariant: every schedule is legal in the space that is searched; its time is unknown until it is measured here.

use crate::protocol::Prior;
use crate::store::{OutcomeRow, Store, Task};
use std::collections::BTreeSet;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{Forms, Schedule};

/// Winners of other tasks that a search begins with.
const NEIGHBOURS: usize = 6;
/// Tasks whose outcomes a model knows beforehand, and outcomes of each.
const TASKS: usize = 2;
const OUTCOMES: usize = 48;
/// A task of which less is known says nothing.
const OUTCOMES_MIN: usize = 12;

/// The winners of the nearest tasks, as they would be here, nearest first.
///
/// # Errors
/// When the store cannot be read.
pub fn carried(store: &Store, task: &Task, forms: &Forms) -> Result<Vec<Schedule>, Diagnostic> {
    let rows = store.neighbours(task, NEIGHBOURS)?;
    let parsed =
        rows.iter().filter_map(|row| Some((Schedule::parse(&row.schedule).ok()?, &row.task.sizes)));
    Ok(parsed.filter_map(|(schedule, sizes)| forms.adapted(&schedule, sizes)).collect())
}

/// What the nearest tasks with enough outcomes say of schedules, as they would be here: the fastest of each, and some of the
/// others.
///
/// # Errors
/// When the store cannot be read.
pub fn priors(store: &Store, task: &Task, forms: &Forms) -> Result<Vec<Prior>, Diagnostic> {
    let mut priors = vec![];
    let mut seen = BTreeSet::new();
    let mut tasks = 0;
    for relative in store.relatives(task)? {
        if tasks == TASKS {
            break;
        }
        let rows = store.outcomes(&relative)?;
        if rows.len() < OUTCOMES_MIN {
            continue;
        }
        tasks += 1;
        for (row, ratio) in telling(&rows) {
            let Ok(schedule) = Schedule::parse(&row.schedule) else { continue };
            let Some(schedule) = forms.adapted(&schedule, &relative.row().sizes) else { continue };
            let schedule = schedule.print();
            if seen.insert(schedule.clone()) {
                priors.push(Prior { schedule, ratio });
            }
        }
    }
    Ok(priors)
}

/// A schedule that was slow in its first calls took so many times as long as the best, or longer.
const SLOW: f64 = 2.0;

/// Half of the outcomes from the fastest on, the others spread over the rest; each with its time as a part of the best, which
/// refused ones do not have.
fn telling(rows: &[OutcomeRow]) -> Vec<(&OutcomeRow, Option<f64>)> {
    let best_ns = rows.iter().filter_map(|row| row.median_ns).fold(f64::INFINITY, f64::min);
    let ratio = |row: &OutcomeRow| match (row.median_ns, row.reason.as_deref()) {
        (Some(median_ns), None) => Some(median_ns / best_ns),
        (_, Some("slow")) => Some(SLOW),
        _ => None,
    };
    // What was refused as equal code says nothing of its time.
    let known = rows.iter().filter(|row| row.reason.as_deref() != Some("duplicate"));
    let mut known: Vec<_> = known.map(|row| (row, ratio(row))).collect();
    known.sort_by(|(_, one), (_, other)| {
        one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
    });
    let rest = known.split_off(known.len().min(OUTCOMES / 2));
    let step = rest.len().div_ceil(OUTCOMES / 2).max(1);
    known.extend(rest.into_iter().step_by(step));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_and_some_of_the_others_are_told() {
        let row = |number: usize, reason: Option<&str>| OutcomeRow {
            schedule: number.to_string(),
            reason: reason.map(str::to_string),
            median_ns: reason.is_none().then_some(100.0 + number as f64),
        };
        let mut rows: Vec<OutcomeRow> = (0..200).rev().map(|number| row(number, None)).collect();
        rows.push(row(300, Some("slow")));
        rows.push(row(301, Some("wrong")));
        rows.push(row(302, Some("duplicate")));
        let told = telling(&rows);
        assert!(told.len() <= OUTCOMES);
        assert_eq!(told[..24].iter().map(|(row, _)| row.median_ns.unwrap()).sum::<f64>(), 2676.0);
        assert!(told.iter().all(|(row, _)| row.schedule != "302"));
        assert!(told.iter().all(|(row, ratio)| (row.schedule == "301") == ratio.is_none()));
        let few = [row(1, Some("slow")), row(0, None)];
        assert_eq!(
            telling(&few).iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>(),
            [Some(1.0), Some(SLOW)]
        );
    }
}
