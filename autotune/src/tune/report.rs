//! What a tuning run gives back.

use super::Standing;
use crate::judge::Rejection;
use crate::protocol::{
    Best, Ended, FormResult, ScheduleChange, Stays, TargetName, TimeNs, Tried, TuneResult,
};
use std::collections::BTreeMap;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Sizes;
use tilewright_ir::schedule::Schedule;

/// A schedule with its confirmed time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The schedule.
    pub schedule: Schedule,
    /// The time of one call.
    pub time_ns: TimeNs,
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: f64,
}

/// What a tuning run found: all that the closing table says.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneReport {
    /// The kernel's name.
    pub kernel: String,
    /// The extent of each axis, in elements.
    pub sizes: Sizes,
    /// The machine.
    pub target: TargetName,
    /// The best of this run, measured again in a fresh process; `None` if no candidate was accepted.
    pub best: Option<Timed>,
    /// The naive loop nest; `None` if it was rejected or takes too long.
    pub naive: Option<Timed>,
    /// Nanoseconds that one call of the naive loop nest takes at least, where it was too slow to be timed.
    pub naive_over_ns: Option<f64>,
    /// Why the naive loop nest has no time; `None` if it has one, or was never tried.
    pub naive_rejection: Option<Rejection>,
    /// The settings in which the winner differs from the default schedule of its form.
    pub changes: Vec<ScheduleChange>,
    /// What is known of each form of the kernel, the one as written first.
    pub forms: Vec<FormResult>,
    /// The rank correlation of predicted and measured times of the forms; `None` with fewer than two measured.
    pub form_agreement: Option<f64>,
    /// Floating-point operations that the semantics force in one call.
    pub flops: f64,
    /// Bytes of all arguments, each counted once.
    pub bytes: f64,
    /// The time that the measured ceilings allow, divided by the winner's median.
    pub fraction_of_peak: Option<f64>,
    /// What limits the kernel at these sizes: `compute`, or the name of a memory level.
    pub bound: Option<String>,
    /// Candidates judged, rejected ones included, the baseline not.
    pub evaluated: u64,
    /// Candidates since the last that was faster than all before by a percent or more.
    pub without_progress: u64,
    /// Why the search ended.
    pub ended: Ended,
    /// What has been tried of this kernel at these sizes in all runs, and what has not; `None` without a winner.
    pub tried: Option<Tried>,
    /// Rejected candidates by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The record of `best` in the store.
    pub record: Option<String>,
    /// The winner of an earlier run that is faster than `best`. It stays the stored winner.
    pub standing: Option<Standing>,
    /// What the back end refused first, where it compiled nothing at all.
    pub unsupported: Option<Unsupported>,
    /// Wall-clock seconds of the run.
    pub elapsed_seconds: f64,
    /// Whether the caller stopped it.
    pub stopped: bool,
}

impl TuneReport {
    /// The winner's 10^9 floating-point operations a second.
    pub fn gflops(&self) -> Option<f64> {
        self.best.as_ref().map(|best| self.flops / best.time_ns.median)
    }

    /// The winner's 10^9 bytes a second, each argument counted once.
    pub fn gbps(&self) -> Option<f64> {
        self.best.as_ref().map(|best| self.bytes / best.time_ns.median)
    }

    /// How many times faster the winner is than the naive loop nest.
    pub fn speedup(&self) -> Option<f64> {
        let (naive, best) = (self.naive.as_ref()?, self.best.as_ref()?);
        Some(naive.time_ns.median / best.time_ns.median)
    }

    /// The last line of `tune --json`.
    pub fn result(&self) -> TuneResult {
        let best = self.best.as_ref().map(|best| Best {
            schedule: best.schedule.print(),
            time_ns: best.time_ns,
            gflops: self.flops / best.time_ns.median,
            gbps: self.bytes / best.time_ns.median,
            fraction_of_peak: self.fraction_of_peak,
            bound: self.bound.clone(),
        });
        TuneResult {
            kernel: self.kernel.clone(),
            sizes: self.sizes.clone(),
            target: self.target.clone(),
            best,
            naive_ns: self.naive.as_ref().map(|naive| naive.time_ns.median),
            naive_over_ns: self.naive_over_ns,
            speedup: self.speedup(),
            evaluated: self.evaluated,
            without_progress: self.without_progress,
            ended: self.ended,
            tried: self.tried.clone(),
            rejected: self.rejected.clone(),
            forms: self.forms.clone(),
            form_agreement: self.form_agreement,
            record: self.record.clone(),
            stays: self.standing.as_ref().map(|standing| Stays {
                record: standing.record.clone(),
                schedule: standing.schedule.print(),
                time_ns: standing.time_ns,
            }),
        }
    }
}
