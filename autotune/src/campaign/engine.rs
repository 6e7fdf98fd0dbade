//! The engine: which decision follows from which events.
//!
//! A round is a batch of proposals of one kernel; once all their outcomes are known they are learnt in proposal order, and
//! the engine decides what comes next: a round of the kernel that has had the least of its share, or, with the budget
//! spent, the finals of each kernel. Invariant: no clock, file or thread; the same events give the same decisions.

use super::queue::{Evaluation, Finalist, Finals, Work};
use crate::protocol::{
    Began, CampaignBudget, CampaignEvent, Confirmed, Decided, Finished, Incumbent, Next, Proposed,
    Steered,
};
use crate::search::{Moves, Outcome, Search};
use std::collections::VecDeque;
use tilewright_ir::schedule::Schedule;

/// The best of a kernel that are measured in turns.
const FINALISTS: usize = 4;
/// The part of the seconds that the search may take; the rest is for the finals.
const SEARCH_SHARE: f64 = 0.9;

/// What follows from an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Commit this decision.
    Record(CampaignEvent),
    /// Have this done.
    Do(Work),
}

/// A proposal of the round.
#[derive(Debug)]
struct Slot {
    index: u64,
    schedule: Schedule,
    finished: Option<Finished>,
}

/// A kernel.
#[derive(Debug)]
struct Job<M> {
    search: Search<M>,
    share: f64,
    /// Proposals so far.
    proposed: u64,
    evaluated: u64,
    seconds: f64,
    /// The proposals of the round, and how many it will have.
    round: Vec<Slot>,
    round_size: usize,
    /// The fastest accepted proposals, fastest first.
    top: Vec<Finalist>,
    is_exhausted: bool,
    /// Whether the finals say all that is known.
    is_confirmed: bool,
}

/// The state of a campaign.
#[derive(Debug)]
pub struct State<M> {
    /// The spaces of the kernels, until the campaign begins.
    moves: VecDeque<M>,
    jobs: Vec<Job<M>>,
    budget: CampaignBudget,
    batch: usize,
    evaluated: u64,
    seconds: f64,
    last: Option<usize>,
    is_stopped: bool,
    is_ended: bool,
}

impl<M: Moves> State<M> {
    /// The state before the first event, with the space of each kernel.
    pub fn new(moves: Vec<M>) -> Self {
        Self {
            moves: moves.into(),
            jobs: vec![],
            budget: CampaignBudget::default(),
            batch: 1,
            evaluated: 0,
            seconds: 0.0,
            last: None,
            is_stopped: false,
            is_ended: false,
        }
    }

    /// Whether somebody asked for a pause that no process has ended yet.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Whether nothing is left to do.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes the next event and says what follows from it.
    pub fn step(&mut self, event: &CampaignEvent) -> Vec<Action> {
        match event {
            CampaignEvent::Began(began) => self.begin(began),
            CampaignEvent::Opened => {
                self.is_stopped = false;
                vec![]
            }
            CampaignEvent::Stopped => {
                self.is_stopped = true;
                vec![]
            }
            CampaignEvent::Proposed(proposed) => self.proposed(proposed),
            CampaignEvent::Finished(finished) => self.finished(finished),
            CampaignEvent::Decided(decided) => self.decided(decided),
            CampaignEvent::Confirmed(confirmed) => self.confirmed(confirmed),
            CampaignEvent::Steered(steered) => self.steered(steered),
            CampaignEvent::Noted(_) => vec![],
            CampaignEvent::Ended => {
                self.is_ended = true;
                vec![]
            }
        }
    }

    fn begin(&mut self, began: &Began) -> Vec<Action> {
        let spec = &began.spec;
        self.budget = spec.budget;
        self.batch = usize::try_from(spec.batch.max(1)).unwrap_or(usize::MAX);
        for (place, (job, moves)) in spec.jobs.iter().zip(self.moves.drain(..)).enumerate() {
            let seeds = began.seeds.get(place).into_iter().flatten();
            let seeds = seeds.filter_map(|text| Schedule::parse(text).ok()).collect();
            let priors = began.priors.get(place).map_or(&[][..], Vec::as_slice);
            self.jobs.push(Job {
                search: Search::new(moves, spec.seed, seeds).with_priors(priors),
                share: job.share,
                proposed: 0,
                evaluated: 0,
                seconds: 0.0,
                round: vec![],
                round_size: 0,
                top: vec![],
                is_exhausted: false,
                is_confirmed: false,
            });
        }
        self.decide()
    }

    fn decide(&self) -> Vec<Action> {
        let best = self.last.and_then(|job| self.incumbent(job));
        let decided = Decided { evaluated: self.evaluated, best, next: self.next() };
        vec![Action::Record(CampaignEvent::Decided(decided))]
    }

    fn incumbent(&self, job: usize) -> Option<Incumbent> {
        let first = self.jobs[job].top.first()?;
        let median_ns = first.time_ns.median;
        Some(Incumbent { job: job as u64, index: first.index, median_ns })
    }

    fn next(&self) -> Next {
        let spent = |job: &Job<M>| match self.budget.seconds {
            Some(_) => job.seconds / job.share,
            None => job.evaluated as f64 / job.share,
        };
        let open = self.jobs.iter().enumerate().filter(|(_, job)| !job.is_exhausted);
        let least = open.min_by(|(_, one), (_, other)| spent(one).total_cmp(&spent(other)));
        if let (false, Some((job, _))) = (self.is_spent(), least) {
            return Next::Search { job: job as u64 };
        }
        let due = self.jobs.iter().position(|job| !job.is_confirmed && !job.top.is_empty());
        due.map_or(Next::End, |job| Next::Confirm { job: job as u64 })
    }

    /// Whether the budget of the search is spent.
    fn is_spent(&self) -> bool {
        self.budget.evaluations.is_some_and(|most| self.evaluated >= most)
            || self.budget.seconds.is_some_and(|most| self.seconds >= SEARCH_SHARE * most)
    }

    fn decided(&mut self, decided: &Decided) -> Vec<Action> {
        match decided.next {
            Next::End => vec![Action::Record(CampaignEvent::Ended)],
            Next::Search { job } => self.propose(job),
            Next::Confirm { job } => {
                let finalists = self.job(job).map_or(vec![], |known| known.top.clone());
                vec![Action::Do(Work::Confirm(Finals { job, finalists }))]
            }
        }
    }

    fn job(&mut self, job: u64) -> Option<&mut Job<M>> {
        self.jobs.get_mut(usize::try_from(job).ok()?)
    }

    fn propose(&mut self, number: u64) -> Vec<Action> {
        let left = self.budget.evaluations.map(|most| most.saturating_sub(self.evaluated));
        let left = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.batch.min(left);
        self.last = usize::try_from(number).ok();
        let Some(job) = self.job(number) else { return vec![] };
        let schedules = job.search.propose(count);
        job.round_size = schedules.len();
        if schedules.is_empty() {
            job.is_exhausted = true;
            return self.decide();
        }
        job.is_confirmed = false;
        let record = |(place, schedule): (usize, &Schedule)| {
            let index = job.proposed + place as u64;
            let proposed = Proposed { job: number, index, schedule: schedule.print() };
            Action::Record(CampaignEvent::Proposed(proposed))
        };
        let actions = schedules.iter().enumerate().map(record).collect();
        job.round = (job.proposed..)
            .zip(schedules)
            .map(|(index, schedule)| Slot { index, schedule, finished: None })
            .collect();
        job.proposed += job.round_size as u64;
        actions
    }

    fn proposed(&mut self, proposed: &Proposed) -> Vec<Action> {
        let Some(job) = self.job(proposed.job) else { return vec![] };
        let best_ns = job.top.first().map(|best| best.time_ns.median);
        let slot = job.round.iter().find(|slot| slot.index == proposed.index);
        let evaluation = slot.map(|slot| Evaluation {
            job: proposed.job,
            index: slot.index,
            schedule: slot.schedule.clone(),
            best_ns,
        });
        evaluation.map(|evaluation| Action::Do(Work::Evaluate(evaluation))).into_iter().collect()
    }

    fn finished(&mut self, finished: &Finished) -> Vec<Action> {
        let Some(job) = self.job(finished.job) else { return vec![] };
        let slot = job.round.iter_mut().find(|slot| slot.index == finished.index);
        if let Some(slot) = slot {
            slot.finished = Some(finished.clone());
        }
        if job.round.iter().any(|slot| slot.finished.is_none()) {
            return vec![];
        }
        let (mut evaluated, mut seconds) = (0, 0.0);
        for slot in std::mem::take(&mut job.round) {
            let Slot { schedule, finished: Some(finished), .. } = slot else { continue };
            evaluated += 1;
            seconds += finished.seconds;
            job.learn(schedule, &finished);
        }
        job.evaluated += evaluated;
        job.seconds += seconds;
        self.evaluated += evaluated;
        self.seconds += seconds;
        self.decide()
    }

    fn confirmed(&mut self, confirmed: &Confirmed) -> Vec<Action> {
        self.seconds += confirmed.seconds;
        if let Some(job) = self.job(confirmed.job) {
            job.is_confirmed = true;
        }
        self.decide()
    }

    fn steered(&mut self, steered: &Steered) -> Vec<Action> {
        self.budget.evaluations = steered.evaluations.or(self.budget.evaluations);
        self.budget.seconds = steered.seconds.or(self.budget.seconds);
        for (&number, &share) in &steered.shares {
            if let Some(job) = self.job(number).filter(|_| share.is_finite() && share > 0.0) {
                job.share = share;
            }
        }
        for suggestion in &steered.propose {
            let schedule = Schedule::parse(&suggestion.schedule).ok();
            if let Some((schedule, job)) = schedule.zip(self.job(suggestion.job)) {
                job.search.suggest(schedule);
                job.is_exhausted = false;
            }
        }
        if !self.is_ended || self.next() == Next::End {
            return vec![];
        }
        self.is_ended = false;
        self.decide()
    }
}

impl<M: Moves> Job<M> {
    fn learn(&mut self, schedule: Schedule, finished: &Finished) {
        let time_ns = finished.time_ns.filter(|_| finished.reason.is_none());
        let outcome = match (time_ns, finished.first_ns) {
            (Some(time_ns), _) => Outcome::Time(time_ns.median),
            (None, Some(first_ns)) => Outcome::Slow(first_ns),
            (None, None) => Outcome::Rejected,
        };
        self.search.report(&schedule, outcome);
        let Some(time_ns) = time_ns else { return };
        let place = self.top.partition_point(|known| known.time_ns.median <= time_ns.median);
        let worst_ratio = finished.worst_ratio.unwrap_or(0.0);
        let index = finished.index;
        self.top.insert(place, Finalist { index, schedule, time_ns, worst_ratio });
        self.top.truncate(FINALISTS);
    }
}
