//! What a run learns about each form of the kernel.
//!
//! Invariant: every evaluation of the search counts for exactly one form.

use crate::protocol::FormResult;
use crate::stats::rank_correlation;
use tilewright_ir::schedule::{Forms, Schedule};

/// One row for each form.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    rows: Vec<FormResult>,
}

impl Tally {
    pub(super) fn new(forms: &Forms) -> Self {
        let row = |form: &tilewright_ir::schedule::FormSpace| FormResult {
            id: form.name().to_string(),
            predicted_ns: form.predicted_ns,
            best_ns: None,
            passes: form.passes.clone(),
            evaluated: 0,
        };
        Self { rows: forms.list().iter().map(row).collect() }
    }

    /// Counts an evaluation, with its median if it was accepted.
    pub(super) fn learn(&mut self, schedule: &Schedule, median_ns: Option<f64>) {
        let name = schedule.form_name();
        let Some(row) = self.rows.iter_mut().find(|row| row.id == name) else { return };
        row.evaluated += 1;
        if let Some(median_ns) = median_ns {
            row.best_ns = Some(row.best_ns.map_or(median_ns, |best_ns| best_ns.min(median_ns)));
        }
    }

    pub(super) fn rows(&self) -> Vec<FormResult> {
        self.rows.clone()
    }
}

/// How far the model and the clock agree about the order of the forms; `None` with fewer than two measured.
pub(super) fn agreement(rows: &[FormResult]) -> Option<f64> {
    let pairs: Vec<_> =
        rows.iter().filter_map(|row| Some((row.predicted_ns, row.best_ns?))).collect();
    rank_correlation(&pairs)
}
