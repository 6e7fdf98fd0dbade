//! What a run tells: records, events, and the report at its end.
//!
//! Invariant: an outcome is committed before anybody hears of it.

use super::Run;
use crate::protocol::{
    Candidate, Ended, Event, Phase, Progress, Role, ScheduleChange, Status, TargetName,
};
use crate::tune::finals::Decision;
use crate::tune::report::{Timed, TuneReport};
use crate::tune::tally::agreement;
use crate::tune::trial::Trial;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{ChoiceValue, Schedule};

impl Run<'_> {
    /// Commits an outcome, counts it and tells the observer. Returns the record.
    pub(in crate::tune) fn tell(
        &mut self,
        index: Option<u64>,
        role: Role,
        schedule: &Schedule,
        tile_hash: Option<String>,
        trial: &Trial,
    ) -> Result<String, Diagnostic> {
        let record = trial.record(role, schedule, tile_hash, self.now_unix());
        let hash = self.store.record(&self.task, &record)?;
        if let (Some(reason), Role::Search) = (&record.reason, role) {
            *self.rejected.entry(reason.clone()).or_default() += 1;
        }
        let rejected = record.reason.is_some();
        let candidate = Candidate {
            index,
            role,
            schedule: record.schedule_hash,
            status: if rejected { Status::Rejected } else { Status::Accepted },
            reason: record.reason,
            evidence: record.evidence,
            time_ns: record.time_ns,
            worst_ratio: record.worst_ratio,
            best_so_far_ns: self.best_ns(),
            elapsed_seconds: self.watch.elapsed().as_secs_f64(),
        };
        (self.observer)(&Event::Candidate(candidate));
        Ok(hash)
    }

    pub(in crate::tune) fn progress(&mut self, phase: Phase) {
        let floor_ns = self.roofline().map(|bound| bound.floor_ns).filter(|&floor| floor > 0.0);
        let progress = Progress {
            phase,
            evaluated: self.evaluated,
            rejected: self.rejected.values().sum(),
            best_so_far_ns: self.best_ns(),
            best_fraction_of_peak: floor_ns.zip(self.best_ns()).map(|(floor, best)| floor / best),
            elapsed_seconds: self.watch.elapsed().as_secs_f64(),
        };
        (self.observer)(&Event::Progress(progress));
    }

    pub(super) fn report(&self, decision: Option<Decision>) -> TuneReport {
        let roofline = self.roofline().filter(|bound| bound.floor_ns > 0.0);
        let (mut best, mut record, mut standing) = (None, None, None);
        if let Some(decision) = decision {
            (best, record) = (Some(decision.best), Some(decision.record));
            standing = decision.standing;
        }
        let changes = best.as_ref().map_or(vec![], |best: &Timed| self.changes(&best.schedule));
        let forms = self.tally.rows();
        let fraction = |best: &Timed| Some(roofline.as_ref()?.floor_ns / best.time_ns.median);
        TuneReport {
            kernel: self.kernel.clone(),
            sizes: self.sizes.clone(),
            target: TargetName::new(self.backend.target()),
            naive: self.naive.clone(),
            naive_over_ns: self.naive_over_ns,
            naive_rejection: self.naive_rejection.clone(),
            changes,
            form_agreement: agreement(&forms),
            forms,
            flops: self.work.flops,
            bytes: self.work.bytes,
            fraction_of_peak: best.as_ref().and_then(fraction),
            bound: roofline.map(|bound| bound.limited_by),
            best,
            evaluated: self.evaluated,
            without_progress: self.without_progress,
            ended: if self.is_stopped() { Ended::Stopped } else { self.ended },
            tried: None,
            rejected: self.rejected.clone(),
            record,
            standing,
            unsupported: self.refused.first().cloned(),
            elapsed_seconds: self.watch.elapsed().as_secs_f64(),
            stopped: self.is_stopped(),
        }
    }

    /// In what a schedule differs from the default of its form.
    fn changes(&self, best: &Schedule) -> Vec<ScheduleChange> {
        let text = |value: Option<&ChoiceValue>| value.map(ToString::to_string);
        let Ok(form) = self.forms.of(best) else { return vec![] };
        let default = form.space.default_schedule();
        let change = |(name, default, best): (&str, _, _)| ScheduleChange {
            name: name.to_string(),
            default: text(default),
            best: text(best),
        };
        default.diff(best).into_iter().map(change).collect()
    }
}
