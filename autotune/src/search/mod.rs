//! The search: which schedule to try next.
//!
//! A pure function of a seed and of the outcomes: it owns no clock, no thread and no file. The default schedule and
//! the caller's seeds come first, what an analytic model expects to be fast, then random schedules and neighbours in turn. From then on four ways of proposing share
//! the tries, the one that finds improvements most: what a model of the outcomes ranks first, neighbours of the best
//! few, mixtures of two of them, and random schedules, which also follow where nothing has improved for long.
//! Invariants: no schedule is proposed twice (equality after `Moves::canonical`); outcomes take effect in proposal
//! order however late they arrive, so the replay of a log gives the same decisions.

mod arms;
mod expected;
mod features;
mod model;

use crate::protocol::Prior;
use arms::{Arm, Arms};
use model::Model;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tilewright_ir::base::StableHash;
use tilewright_ir::schedule::{ChoiceValue, Forms, Schedule, Setting};

/// Proposals after the seeds, half of them random, before local search begins.
const RANDOM_START: usize = 14;
/// The same where outcomes of like tasks are known.
const INFORMED_START: usize = 2;
/// The same behind what an analytic model expects to be fast.
const EXPECTED_START: usize = 6;
/// How many of the best schedules local search starts from.
const ELITE: usize = 4;
/// One parent in this many is the best of a niche.
const NICHE_EVERY: u32 = 3;
/// Outcomes that are kept, at most.
const OUTCOMES_MAX: usize = 800;
/// Outcomes after which the model learns anew; of many outcomes one in so many. A resumed campaign learns all of it again.
const LEARN_EVERY: u64 = 4;
const LEARN_SHARE: u64 = 48;
/// Schedules that the model ranks at once, and how many of the first are proposed.
const POOL: usize = 96;
const POOL_FIRST: usize = 2;
/// Without progress over this many outcomes, the search restarts: `RESTART` random proposals follow.
const PATIENCE: u64 = 48;
/// Random proposals of a restart.
const RESTART: usize = 12;
/// Less than this much faster is no progress.
const PROGRESS: f64 = 0.99;
/// Random schedules of which one is proposed: the one whose rarest word has been proposed least.
const DRAWN: usize = 12;
/// Draws before the neighbourhood, and then the space, counts as exhausted.
const DRAWS: u32 = 64;

/// The moves of a space of schedules. `Forms` is the one that counts; tests bring small ones.
pub trait Moves {
    /// The schedule that is tried first.
    fn first(&self) -> Schedule;
    /// A legal schedule drawn at random.
    fn sample(&self, rng: &mut ChaCha8Rng) -> Schedule;
    /// A legal schedule near another one.
    fn neighbour(&self, schedule: &Schedule, rng: &mut ChaCha8Rng) -> Schedule;
    /// The representative of all schedules that mean the same.
    fn canonical(&self, schedule: &Schedule) -> Schedule;
    /// A schedule with choices of both, if that is a legal one.
    fn mixed(&self, one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Option<Schedule>;
    /// The nanoseconds that an analytic model expects of a call; `None` where there is no model.
    fn estimate_ns(&self, _schedule: &Schedule) -> Option<f64> {
        None
    }
}

/// Each choice of one schedule, or by chance as the other has it.
pub fn mix(one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
    let pick = |setting: &Setting| match other.get(&setting.name) {
        Some(value) if rng.random() => Setting { name: setting.name.clone(), value: value.clone() },
        _ => setting.clone(),
    };
    Schedule { kernel: one.kernel.clone(), settings: one.settings.iter().map(pick).collect() }
}

impl Moves for Forms {
    fn first(&self) -> Schedule {
        self.default_schedule()
    }

    fn sample(&self, rng: &mut ChaCha8Rng) -> Schedule {
        self.sample(rng)
    }

    fn neighbour(&self, schedule: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
        self.neighbour(schedule, rng)
    }

    fn canonical(&self, schedule: &Schedule) -> Schedule {
        self.canonical(schedule)
    }

    fn mixed(&self, one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Option<Schedule> {
        let same_form = one.form_name() == other.form_name();
        let schedule = same_form.then(|| mix(one, other, rng))?;
        self.check(&schedule).is_ok().then_some(schedule)
    }

    fn estimate_ns(&self, schedule: &Schedule) -> Option<f64> {
        self.estimate(schedule).map(|estimate| estimate.time_ns)
    }
}

/// Whether a choice is of words, which decide more than counts do.
fn is_word(setting: &Setting) -> bool {
    !matches!(setting.value, ChoiceValue::Count(_))
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It passed the judge and takes this long, in nanoseconds.
    Time(f64),
    /// Its first calls took this long, in nanoseconds, which was too long to be worth a judgement.
    Slow(f64),
    /// It was rejected, or never tried.
    Rejected,
}

impl Outcome {
    /// The nanoseconds that are known of it, judged or not: what guesses are made from.
    fn ns(self) -> Option<f64> {
        match self {
            Self::Time(ns) | Self::Slow(ns) => Some(ns),
            Self::Rejected => None,
        }
    }
}

/// A proposal and, once known, its outcome.
#[derive(Clone, Debug)]
struct Pending {
    schedule: Schedule,
    outcome: Option<Outcome>,
    /// How it was found, once the search has begun.
    arm: Option<Arm>,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub struct Search<M> {
    moves: M,
    rng: ChaCha8Rng,
    /// Schedules that go before anything the search thinks of.
    queue: VecDeque<Schedule>,
    /// What an analytic model expects to be fast; `None` until it has been asked.
    expected: Option<VecDeque<Schedule>>,
    /// Random proposals still to make before local search (again).
    random_left: usize,
    seen: BTreeSet<StableHash>,
    /// How often each word of each choice has been proposed.
    words: BTreeMap<(String, ChoiceValue), u64>,
    pending: VecDeque<Pending>,
    /// The best accepted schedules, fastest first; on equal times the earlier proposal first.
    elite: Vec<(f64, Schedule)>,
    /// The outcomes that count, in order: the latest, and the fastest of those before.
    outcomes: Vec<(Schedule, Outcome)>,
    arms: Arms,
    /// What is known of like schedules, with times as parts of the best.
    priors: Vec<(Schedule, Outcome)>,
    model: Option<Arc<Model>>,
    /// Outcomes of all time, and since the model learnt.
    learnt: u64,
    unlearnt: u64,
    /// What the model ranked first, best first.
    pool: VecDeque<Schedule>,
    /// The time that later ones have to beat to count as progress.
    mark_ns: f64,
    /// Outcomes since then, and since then or the last restart.
    without_progress: u64,
    outcomes_since_progress: u64,
}

impl<M: Moves> Search<M> {
    /// A search that tries the default schedule, then `seeds`, then what it thinks of.
    pub fn new(moves: M, seed: u64, seeds: Vec<Schedule>) -> Self {
        let mut queue = VecDeque::from([moves.first()]);
        queue.extend(seeds);
        Self {
            moves,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue,
            expected: None,
            random_left: RANDOM_START,
            seen: BTreeSet::new(),
            words: BTreeMap::new(),
            pending: VecDeque::new(),
            elite: vec![],
            outcomes: vec![],
            arms: Arms::default(),
            priors: vec![],
            model: None,
            learnt: 0,
            unlearnt: 0,
            pool: VecDeque::new(),
            mark_ns: f64::INFINITY,
            without_progress: 0,
            outcomes_since_progress: 0,
        }
    }

    /// The same search, whose model knows outcomes of like tasks beforehand: it begins sooner.
    #[must_use]
    pub fn with_priors(mut self, priors: &[Prior]) -> Self {
        let known = |prior: &Prior| {
            let schedule = Schedule::parse(&prior.schedule).ok()?;
            Some((schedule, prior.ratio.map_or(Outcome::Rejected, Outcome::Time)))
        };
        self.priors = priors.iter().filter_map(known).collect();
        if !self.priors.is_empty() {
            self.random_left = INFORMED_START;
        }
        self
    }

    /// Puts a schedule before anything that the search thinks of.
    pub fn suggest(&mut self, schedule: Schedule) {
        self.queue.push_back(schedule);
    }

    /// The next schedules, at most `count`, each for the first time. An empty list: the space is exhausted as far as
    /// random draws can tell.
    pub fn propose(&mut self, count: usize) -> Vec<Schedule> {
        let mut list = Vec::with_capacity(count);
        while list.len() < count {
            let Some((schedule, arm)) = self.next() else { break };
            self.pending.push_back(Pending { schedule: schedule.clone(), outcome: None, arm });
            list.push(schedule);
        }
        list
    }

    /// The outcome of a proposal. It takes effect once those of all earlier proposals are known. A schedule that was
    /// not proposed, or was reported before, is ignored.
    pub fn report(&mut self, schedule: &Schedule, outcome: Outcome) {
        let waiting = self
            .pending
            .iter_mut()
            .find(|pending| pending.outcome.is_none() && pending.schedule == *schedule);
        if let Some(pending) = waiting {
            pending.outcome = Some(outcome);
        }
        while let Some(Pending { schedule, outcome: Some(outcome), arm }) =
            self.pending.pop_front_if(|first| first.outcome.is_some())
        {
            self.learn(schedule, outcome, arm);
        }
    }

    /// The best accepted schedules that are known, fastest first, with their times in nanoseconds.
    pub fn elite(&self) -> &[(f64, Schedule)] {
        &self.elite
    }

    /// Outcomes since the last that was faster than all before by a percent or more.
    pub fn without_progress(&self) -> u64 {
        self.without_progress
    }

    fn learn(&mut self, schedule: Schedule, outcome: Outcome, arm: Option<Arm>) {
        self.outcomes_since_progress += 1;
        self.without_progress += 1;
        self.outcomes.push((schedule.clone(), outcome));
        self.learnt += 1;
        self.unlearnt += 1;
        // A campaign of ten thousand evaluations keeps no more than the model learns from.
        if self.outcomes.len() > OUTCOMES_MAX {
            self.outcomes = model::chosen(&self.outcomes);
        }
        if let Some(arm) = arm {
            let bar_ns = self.elite.last().filter(|_| self.elite.len() == ELITE).map(|last| last.0);
            let beats = |time_ns: f64| bar_ns.is_none_or(|bar_ns| time_ns < bar_ns);
            let gained = matches!(outcome, Outcome::Time(time_ns) if beats(time_ns));
            self.arms.learn(arm, gained);
        }
        if let Outcome::Time(time_ns) = outcome {
            if time_ns < self.mark_ns * PROGRESS {
                self.mark_ns = time_ns;
                self.without_progress = 0;
                self.outcomes_since_progress = 0;
            }
            let place = self.elite.partition_point(|(known, _)| *known <= time_ns);
            self.elite.insert(place, (time_ns, schedule));
            self.elite.truncate(ELITE);
        }
        if self.outcomes_since_progress >= PATIENCE {
            self.outcomes_since_progress = 0;
            self.random_left = RESTART;
        }
    }

    /// Whether the next proposal of the start, or of a restart, is drawn from the whole space. Half of the start is not: the
    /// default schedule is a good guess, and a kernel that is slow to try leaves time for few proposals.
    fn is_random(&mut self) -> bool {
        self.random_left -= 1;
        self.rng.random_bool(0.5)
    }

    fn next(&mut self) -> Option<(Schedule, Option<Arm>)> {
        while let Some(schedule) = self.queue.pop_front() {
            if let Some(fresh) = self.fresh(&schedule) {
                return Some((fresh, None));
            }
        }
        if let Some(schedule) = self.next_expected() {
            return Some((schedule, None));
        }
        let arm = match self.random_left {
            0 => Some(self.arms.next()),
            _ => None,
        };
        let found = match arm {
            Some(Arm::Model) => self.guessed(),
            Some(Arm::Mixed) => (0..DRAWS).find_map(|_| self.mixed()),
            Some(Arm::Far) => None,
            None if self.is_random() => None,
            Some(Arm::Near) | None => (0..DRAWS).find_map(|_| self.near()),
        };
        let far = found.or_else(|| (0..DRAWS).find_map(|_| self.far()));
        // A small space runs dry by random draws first; what is left lies next to what is known.
        let schedule = far.or_else(|| (0..DRAWS).find_map(|_| self.near()))?;
        for setting in schedule.settings.iter().filter(|of| is_word(of)) {
            let word = (setting.name.clone(), setting.value.clone());
            *self.words.entry(word).or_default() += 1;
        }
        Some((schedule, arm))
    }

    /// The next of what the analytic model expects to be fast, which leaves less to chance.
    fn next_expected(&mut self) -> Option<Schedule> {
        if self.expected.is_none() {
            let expected = expected::expected(&self.moves, &mut self.rng);
            if !expected.is_empty() {
                self.random_left = self.random_left.min(EXPECTED_START);
            }
            self.expected = Some(expected.into());
        }
        while let Some(schedule) = self.expected.as_mut()?.pop_front() {
            if let Some(fresh) = self.fresh(&schedule) {
                return Some(fresh);
            }
        }
        None
    }

    /// The next of what the model ranks first among neighbours of the best, neighbours of those, and random schedules.
    fn guessed(&mut self) -> Option<Schedule> {
        if self.model.is_none() || self.unlearnt >= LEARN_EVERY.max(self.learnt / LEARN_SHARE) {
            self.model = Model::fit(&self.outcomes, &self.priors).map(Arc::new);
            self.unlearnt = 0;
            self.pool.clear();
        }
        let model = Arc::clone(self.model.as_ref()?);
        if self.pool.is_empty() {
            let mut pool = vec![];
            let mut hashes = BTreeSet::new();
            for index in 0..POOL {
                let schedule = match index % 4 {
                    0 => self.moves.sample(&mut self.rng),
                    1 => {
                        let parent = self.parent();
                        let near = self.moves.neighbour(&parent, &mut self.rng);
                        self.moves.neighbour(&near, &mut self.rng)
                    }
                    _ => {
                        let parent = self.parent();
                        self.moves.neighbour(&parent, &mut self.rng)
                    }
                };
                let schedule = self.moves.canonical(&schedule);
                let hash = schedule.hash();
                if !self.seen.contains(&hash) && hashes.insert(hash) {
                    pool.push(schedule);
                }
            }
            self.pool = model.rank(pool).into_iter().take(POOL_FIRST).collect();
        }
        std::iter::from_fn(|| self.pool.pop_front())
            .find(|schedule| self.seen.insert(schedule.hash()))
    }

    /// A new mixture of two of the elite.
    fn mixed(&mut self) -> Option<Schedule> {
        let (one, other) = (self.parent(), self.parent());
        let schedule = self.moves.mixed(&one, &other, &mut self.rng)?;
        self.fresh(&schedule)
    }

    /// One of the elite, the faster the likelier; the default schedule while there is none. Now and then the best of those
    /// that make one choice as some accepted schedule made it: what is good in company may be slow beside the best.
    fn parent(&mut self) -> Schedule {
        if self.rng.random_range(0..NICHE_EVERY) == 0
            && let Some(niche) = self.niche()
        {
            return niche;
        }
        match self.elite.len().checked_sub(1) {
            Some(last) => {
                let one = self.rng.random_range(0..=last);
                let other = self.rng.random_range(0..=last);
                self.elite[one.min(other)].1.clone()
            }
            None => self.moves.first(),
        }
    }

    /// A new neighbour of one of the elite.
    fn near(&mut self) -> Option<Schedule> {
        let parent = self.parent();
        let schedule = self.moves.neighbour(&parent, &mut self.rng);
        self.fresh(&schedule)
    }

    /// The fastest of the schedules with a time that make one choice in one way, both by chance; half of the time a choice of
    /// words, which decide most.
    fn niche(&mut self) -> Option<Schedule> {
        let timed: Vec<&(Schedule, Outcome)> =
            self.outcomes.iter().filter(|(_, outcome)| outcome.ns().is_some()).collect();
        let some = timed.get(self.rng.random_range(0..timed.len().max(1)))?;
        let named: Vec<&Setting> = match self.rng.random() {
            true => some.0.settings.iter().filter(|of| is_word(of)).collect(),
            false => some.0.settings.iter().collect(),
        };
        let name = &named.get(self.rng.random_range(0..named.len().max(1)))?.name;
        let values: BTreeSet<&ChoiceValue> =
            timed.iter().filter_map(|(schedule, _)| schedule.get(name)).collect();
        let value = values.iter().nth(self.rng.random_range(0..values.len().max(1)))?;
        let setting = Setting { name: name.clone(), value: (*value).clone() };
        let same = timed.iter().filter(|(of, _)| of.get(&setting.name) == Some(&setting.value));
        let best = same.min_by(|one, other| {
            let key = |outcome: Outcome| outcome.ns().unwrap_or(f64::INFINITY);
            key(one.1).total_cmp(&key(other.1))
        });
        best.map(|(schedule, _)| schedule.clone())
    }

    /// A random schedule. Words decide most, and one that few legal schedules have would hardly ever be drawn: of several
    /// draws the one with the least known word is taken.
    fn far(&mut self) -> Option<Schedule> {
        let drawn: Vec<Schedule> = (0..DRAWN).map(|_| self.moves.sample(&mut self.rng)).collect();
        let known = |schedule: &Schedule| {
            let words = schedule.settings.iter().filter(|of| is_word(of));
            let count = |of: &Setting| {
                self.words.get(&(of.name.clone(), of.value.clone())).copied().unwrap_or(0)
            };
            words.map(count).min().unwrap_or(0)
        };
        let schedule = drawn.into_iter().min_by_key(known)?;
        self.fresh(&schedule)
    }

    /// The canonical form of a schedule that has not been proposed yet; from now on it has.
    fn fresh(&mut self, schedule: &Schedule) -> Option<Schedule> {
        let canonical = self.moves.canonical(schedule);
        self.seen.insert(canonical.hash()).then_some(canonical)
    }
}
