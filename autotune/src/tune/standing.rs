//! The winner of earlier runs among the finalists of this one.
//!
//! Times of two runs say little about which schedule is faster: the machine was another. So the stored winner is
//! measured again, in turns with the best of this run. Invariant: a stored winner is only replaced by a schedule that
//! was faster than it under the same clock.

use super::run::{Kept, Run};
use super::trial::Trial;
use crate::protocol::{RecordRow, Role, TimeNs};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::Schedule;

/// A stored winner of an earlier run that is faster than the best of this run, and stays the winner.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its record in the store.
    pub record: String,
    /// Its schedule.
    pub schedule: Schedule,
    /// Its time in turns with the best of this run.
    pub time_ns: TimeNs,
}

/// The stored winner, ready to be measured.
pub(super) struct Incumbent {
    /// Its row as it was when the finals began.
    pub(super) record: String,
    pub(super) kept: Kept,
    /// Whether it has won a run; else it is only the fastest known, perhaps of this very run.
    pub(super) has_won: bool,
    /// Whether this run could not have found it: the caller fixed a choice that it has otherwise.
    pub(super) is_outside: bool,
}

impl Run<'_> {
    /// The stored winner; `None` if there is none, or if it cannot be compiled any more, which is recorded.
    pub(super) fn incumbent(
        &mut self,
        finalists: &[Kept],
    ) -> Result<Option<Incumbent>, Diagnostic> {
        let Some(row) = self.store.best(&self.task)? else { return Ok(None) };
        let RecordRow { record, time_ns: Some(time_ns), worst_ratio, .. } = row else {
            return Ok(None);
        };
        let has_won = row.role == Role::Winner;
        let Ok(schedule) = Schedule::parse(&row.schedule) else { return Ok(None) };
        let is_outside = self.narrowed.check(&schedule).is_err();
        if let Some(kept) = finalists.iter().find(|kept| kept.schedule == schedule) {
            return Ok(Some(Incumbent { record, kept: kept.clone(), has_won, is_outside }));
        }
        let built = self.build(std::slice::from_ref(&schedule)).pop();
        match built {
            Some(Ok(built)) => {
                let worst_ratio = worst_ratio.unwrap_or(0.0);
                let timed = super::Timed { schedule: schedule.clone(), time_ns, worst_ratio };
                let kept = Kept { schedule, built, timed };
                Ok(Some(Incumbent { record, kept, has_won, is_outside }))
            }
            Some(Err(rejection)) => {
                self.tell(None, Role::Finalist, &schedule, None, &Trial::rejected(rejection))?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// A winner that another process has stored since the finals began and that is not slower than `median` by its own
    /// clock; nothing better is known of the two.
    pub(super) fn overtaken_by(
        &self,
        known: Option<&str>,
        schedule: &Schedule,
        median: f64,
    ) -> Result<Option<Standing>, Diagnostic> {
        let Some(row) = self.store.best(&self.task)? else { return Ok(None) };
        let other = row.role == Role::Winner
            && Some(row.record.as_str()) != known
            && row.schedule_hash != schedule.hash().to_string();
        let time_ns = row.time_ns.filter(|time| other && time.median <= median);
        let schedule = Schedule::parse(&row.schedule).ok();
        let standing = time_ns.zip(schedule);
        Ok(standing.map(|(time_ns, schedule)| Standing { record: row.record, schedule, time_ns }))
    }
}
