//! Where a campaign stands, read off its log.
//!
//! Invariant: it needs no kernel, no planner and no machine, so every reader of a store can show it.

use crate::protocol::{
    CampaignBudget, CampaignEvent, CampaignSpec, Confirmed, Decided, Finished, Incumbent, Next,
    Proposed, Steered,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a kernel of a campaign stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobSummary {
    /// The kernel's name.
    pub kernel: String,
    /// The extent of each axis, in elements.
    pub sizes: BTreeMap<String, u64>,
    /// The key of the task.
    pub task: String,
    /// Its part of the budget, relative to those of the others.
    pub share: f64,
    /// Proposals so far.
    pub proposed: u64,
    /// Of these, evaluated.
    pub evaluated: u64,
    /// Of these, rejected, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Evaluations since the best time was found.
    pub without_progress: u64,
    /// The fastest accepted proposal so far.
    pub best: Option<Incumbent>,
    /// The text of its schedule.
    pub best_schedule: Option<String>,
    /// What the finals said.
    pub confirmed: Option<Confirmed>,
    /// Seconds of work.
    pub seconds: f64,
}

/// Where a campaign stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The name that people use.
    pub name: String,
    /// `searching`, `confirming`, `stopped` or `ended`.
    pub phase: String,
    /// What bounds it now.
    pub budget: CampaignBudget,
    /// Candidates evaluated.
    pub evaluated: u64,
    /// Seconds of work.
    pub seconds: f64,
    /// How often a process took it up.
    pub opened: u64,
    /// The kernels.
    pub jobs: Vec<JobSummary>,
    /// What people and agents noted, the last few.
    pub notes: Vec<String>,
    /// The schedules of proposals whose outcome is not known.
    #[serde(skip)]
    open: BTreeMap<(u64, u64), String>,
    #[serde(skip)]
    next: Option<Next>,
}

/// Notes that a summary keeps.
const NOTES: usize = 8;

impl Summary {
    /// Takes the next event of the log.
    pub fn see(&mut self, event: &CampaignEvent) {
        match event {
            CampaignEvent::Began(began) => self.begin(&began.spec),
            CampaignEvent::Opened => {
                self.opened += 1;
                self.phase = self.name_of_phase();
            }
            CampaignEvent::Proposed(proposed) => self.proposed(proposed),
            CampaignEvent::Finished(finished) => self.finished(finished),
            CampaignEvent::Decided(Decided { next, .. }) => {
                self.next = Some(*next);
                self.phase = self.name_of_phase();
            }
            CampaignEvent::Confirmed(confirmed) => {
                self.seconds += confirmed.seconds;
                if let Some(job) = self.job(confirmed.job) {
                    job.seconds += confirmed.seconds;
                    job.confirmed = Some(confirmed.clone());
                }
            }
            CampaignEvent::Steered(steered) => self.steered(steered),
            CampaignEvent::Stopped => self.phase = "stopped".to_string(),
            CampaignEvent::Noted(noted) => {
                self.notes.push(noted.text.clone());
                let surplus = self.notes.len().saturating_sub(NOTES);
                self.notes.drain(..surplus);
            }
            CampaignEvent::Ended => self.phase = "ended".to_string(),
        }
    }

    fn begin(&mut self, spec: &CampaignSpec) {
        self.name.clone_from(&spec.name);
        self.phase = "searching".to_string();
        self.budget = spec.budget;
        let job = |job: &crate::protocol::JobSpec| JobSummary {
            kernel: job.kernel.clone(),
            sizes: job.sizes.clone(),
            task: job.task.clone(),
            share: job.share,
            ..JobSummary::default()
        };
        self.jobs = spec.jobs.iter().map(job).collect();
    }

    fn name_of_phase(&self) -> String {
        let name = match self.next {
            Some(Next::Confirm { .. }) => "confirming",
            Some(Next::End) => "ended",
            Some(Next::Search { .. }) | None => "searching",
        };
        name.to_string()
    }

    fn job(&mut self, job: u64) -> Option<&mut JobSummary> {
        self.jobs.get_mut(usize::try_from(job).ok()?)
    }

    fn proposed(&mut self, proposed: &Proposed) {
        self.open.insert((proposed.job, proposed.index), proposed.schedule.clone());
        if let Some(job) = self.job(proposed.job) {
            job.proposed += 1;
        }
    }

    fn finished(&mut self, finished: &Finished) {
        let schedule = self.open.remove(&(finished.job, finished.index));
        self.evaluated += 1;
        self.seconds += finished.seconds;
        let Some(job) = self.job(finished.job) else { return };
        job.evaluated += 1;
        job.seconds += finished.seconds;
        job.without_progress += 1;
        if let Some(reason) = &finished.reason {
            *job.rejected.entry(reason.clone()).or_default() += 1;
            return;
        }
        let Some(time_ns) = finished.time_ns else { return };
        if job.best.is_none_or(|best| time_ns.median < best.median_ns) {
            let (index, median_ns) = (finished.index, time_ns.median);
            job.best = Some(Incumbent { job: finished.job, index, median_ns });
            job.best_schedule = schedule;
            job.without_progress = 0;
        }
    }

    fn steered(&mut self, steered: &Steered) {
        self.budget.evaluations = steered.evaluations.or(self.budget.evaluations);
        self.budget.seconds = steered.seconds.or(self.budget.seconds);
        for (&number, &share) in &steered.shares {
            if let Some(job) = self.job(number).filter(|_| share.is_finite() && share > 0.0) {
                job.share = share;
            }
        }
    }
}
