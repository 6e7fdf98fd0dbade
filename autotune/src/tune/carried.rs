//! What earlier runs found for the same kernel at other extents or on other machines, as seeds of a search.
//!
//! Invariant: every seed is legal in the space that is searched; its time is unknown until it is measured here.

use crate::store::{Store, Task};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{Forms, Schedule};

/// Winners of other tasks that a search begins with.
const NEIGHBOURS: usize = 6;

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
