//! The search: which schedule to try next.
//!
//! A pure function of a seed and of the outcomes: it owns no clock, no thread and no file. The default schedule and
//! the caller's seeds come first, then random schedules and neighbours in turn, then neighbours of the best few with
//! random restarts.
//! Invariants: no schedule is proposed twice (equality after `Moves::canonical`); outcomes take effect in proposal
//! order however late they arrive, so the replay of a log gives the same decisions.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, VecDeque};
use tilewright_ir::base::StableHash;
use tilewright_ir::schedule::{Forms, Schedule};

/// Proposals after the seeds, half of them random, before local search begins.
const RANDOM_START: usize = 24;
/// How many of the best schedules local search starts from.
const ELITE: usize = 4;
/// One proposal in this many is random during local search, so that no corner of the space is cut off.
const RANDOM_EVERY: u64 = 8;
/// Without progress over this many outcomes, the search restarts: `RESTART` random proposals follow.
const PATIENCE: u64 = 48;
/// Random proposals of a restart.
const RESTART: usize = 12;
/// Less than this much faster is no progress.
const PROGRESS: f64 = 0.99;
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
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It passed the judge and takes this long, in nanoseconds.
    Time(f64),
    /// It was rejected, or never tried.
    Rejected,
}

/// A proposal and, once known, its outcome.
#[derive(Clone, Debug)]
struct Pending {
    schedule: Schedule,
    outcome: Option<Outcome>,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub struct Search<M> {
    moves: M,
    rng: ChaCha8Rng,
    /// Schedules that go before anything the search thinks of.
    queue: VecDeque<Schedule>,
    /// Random proposals still to make before local search (again).
    random_left: usize,
    seen: BTreeSet<StableHash>,
    pending: VecDeque<Pending>,
    /// The best accepted schedules, fastest first; on equal times the earlier proposal first.
    elite: Vec<(f64, Schedule)>,
    /// The time that later ones have to beat to count as progress.
    mark_ns: f64,
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
            random_left: RANDOM_START,
            seen: BTreeSet::new(),
            pending: VecDeque::new(),
            elite: vec![],
            mark_ns: f64::INFINITY,
            outcomes_since_progress: 0,
        }
    }

    /// The next schedules, at most `count`, each for the first time. An empty list: the space is exhausted as far as
    /// random draws can tell.
    pub fn propose(&mut self, count: usize) -> Vec<Schedule> {
        let mut list = Vec::with_capacity(count);
        while list.len() < count {
            let Some(schedule) = self.next() else { break };
            self.pending.push_back(Pending { schedule: schedule.clone(), outcome: None });
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
        while let Some(Pending { schedule, outcome: Some(outcome) }) =
            self.pending.pop_front_if(|first| first.outcome.is_some())
        {
            self.learn(schedule, outcome);
        }
    }

    /// The best accepted schedules that are known, fastest first, with their times in nanoseconds.
    pub fn elite(&self) -> &[(f64, Schedule)] {
        &self.elite
    }

    fn learn(&mut self, schedule: Schedule, outcome: Outcome) {
        self.outcomes_since_progress += 1;
        if let Outcome::Time(time_ns) = outcome {
            if time_ns < self.mark_ns * PROGRESS {
                self.mark_ns = time_ns;
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

    /// Whether the next proposal is drawn from the whole space. Half of the random start is not: the default schedule
    /// is a good guess, and a kernel that is slow to try leaves time for few proposals.
    fn is_random(&mut self) -> bool {
        if self.random_left > 0 {
            self.random_left -= 1;
            return self.rng.random_bool(0.5);
        }
        self.rng.random_range(0..RANDOM_EVERY) == 0
    }

    fn next(&mut self) -> Option<Schedule> {
        while let Some(schedule) = self.queue.pop_front() {
            if let Some(fresh) = self.fresh(&schedule) {
                return Some(fresh);
            }
        }
        if !self.is_random() {
            let near = (0..DRAWS).find_map(|_| self.near());
            if near.is_some() {
                return near;
            }
        }
        let far = (0..DRAWS).find_map(|_| self.far());
        // A small space runs dry by random draws first; what is left lies next to what is known.
        far.or_else(|| (0..DRAWS).find_map(|_| self.near()))
    }

    /// A new neighbour of one of the elite, the faster the likelier; of the default schedule while there is none.
    fn near(&mut self) -> Option<Schedule> {
        let parent = match self.elite.len().checked_sub(1) {
            Some(last) => {
                let one = self.rng.random_range(0..=last);
                let other = self.rng.random_range(0..=last);
                self.elite[one.min(other)].1.clone()
            }
            None => self.moves.first(),
        };
        let schedule = self.moves.neighbour(&parent, &mut self.rng);
        self.fresh(&schedule)
    }

    fn far(&mut self) -> Option<Schedule> {
        let schedule = self.moves.sample(&mut self.rng);
        self.fresh(&schedule)
    }

    /// The canonical form of a schedule that has not been proposed yet; from now on it has.
    fn fresh(&mut self, schedule: &Schedule) -> Option<Schedule> {
        let canonical = self.moves.canonical(schedule);
        self.seen.insert(canonical.hash()).then_some(canonical)
    }
}
