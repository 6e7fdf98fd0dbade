//! Schedules that should be fast by the analytic model, before anything is measured.
//!
//! Random schedules are ranked by their estimates, and neighbours of the best of them, for a few rounds. What is proposed is
//! the best of all and the best of those that differ from it, and from each other: where the model is wrong it is
//! wrong for all that are alike. Invariant: a count, never a clock, ends it, so a replay finds the same.

use super::Moves;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use tilewright_ir::schedule::Schedule;

/// Schedules that are proposed.
const COUNT: usize = 12;
/// Random schedules, rounds, and in each round neighbours of each of the `COUNT` best.
const DRAWN: usize = 160;
const ROUNDS: usize = 3;
const NEIGHBOURS: usize = 6;
/// Settings in which two of the proposed differ, at least.
const APART: usize = 3;

/// The schedules that should be fastest, best first; none where the space has no model.
pub(super) fn expected<M: Moves>(moves: &M, rng: &mut ChaCha8Rng) -> Vec<Schedule> {
    let mut known = Known { ranked: vec![], seen: BTreeSet::new() };
    if !known.add(moves, &moves.first()) {
        return vec![];
    }
    for _ in 0..DRAWN {
        let schedule = moves.sample(rng);
        known.add(moves, &schedule);
    }
    for _ in 0..ROUNDS {
        for parent in known.best() {
            for _ in 0..NEIGHBOURS {
                let schedule = moves.neighbour(&parent, rng);
                known.add(moves, &schedule);
            }
        }
    }
    known.best()
}

/// Schedules by their estimates.
struct Known {
    ranked: Vec<(f64, Schedule)>,
    seen: BTreeSet<tilewright_ir::base::StableHash>,
}

impl Known {
    /// Whether the schedule has an estimate.
    fn add<M: Moves>(&mut self, moves: &M, schedule: &Schedule) -> bool {
        let schedule = moves.canonical(schedule);
        if !self.seen.insert(schedule.hash()) {
            return true;
        }
        let estimate = moves.estimate_ns(&schedule).filter(|time_ns| time_ns.is_finite());
        let Some(time_ns) = estimate else { return false };
        let place = self.ranked.partition_point(|(known_ns, _)| *known_ns <= time_ns);
        self.ranked.insert(place, (time_ns, schedule));
        true
    }

    /// The best, apart from each other.
    fn best(&self) -> Vec<Schedule> {
        let mut best: Vec<Schedule> = vec![];
        for (_, schedule) in &self.ranked {
            if best.len() == COUNT {
                break;
            }
            if best.iter().all(|other| differences(schedule, other) >= APART) {
                best.push(schedule.clone());
            }
        }
        best
    }
}

/// Settings of one schedule that the other does not have.
fn differences(one: &Schedule, other: &Schedule) -> usize {
    one.settings.iter().filter(|of| other.get(&of.name) != Some(&of.value)).count()
}
