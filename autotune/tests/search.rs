//! The search decides by seed and outcomes alone, never twice for the same schedule, and finds what is there.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use tilewright_autotune::search::{Moves, Outcome, Search, mix};
use tilewright_ir::schedule::{ChoiceValue, Schedule, Setting};

/// Points of a cube. The third coordinate has no effect while the first is even.
struct Cube {
    side: u64,
    /// Whether there is a model, which thinks that the best point lies a little off.
    has_model: bool,
}

impl Cube {
    fn new(side: u64) -> Self {
        Self { side, has_model: false }
    }
}

fn schedule(point: [u64; 3]) -> Schedule {
    let setting = |(name, value): (&str, u64)| Setting {
        name: name.to_string(),
        value: ChoiceValue::Count(value),
    };
    let settings = ["x", "y", "z"].into_iter().zip(point).map(setting).collect();
    Schedule { kernel: "cube".to_string(), settings }
}

fn point(schedule: &Schedule) -> [u64; 3] {
    ["x", "y", "z"].map(|name| match schedule.get(name) {
        Some(ChoiceValue::Count(value)) => *value,
        _ => unreachable!("every point has {name}"),
    })
}

impl Moves for Cube {
    fn first(&self) -> Schedule {
        schedule([0, 0, 0])
    }

    fn sample(&self, rng: &mut ChaCha8Rng) -> Schedule {
        schedule([(); 3].map(|()| rng.random_range(0..self.side)))
    }

    fn neighbour(&self, from: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
        let mut to = point(from);
        to[rng.random_range(0..3)] = rng.random_range(0..self.side);
        schedule(to)
    }

    fn canonical(&self, given: &Schedule) -> Schedule {
        let [x, y, z] = point(given);
        schedule([x, y, if x % 2 == 0 { 0 } else { z }])
    }

    fn mixed(&self, one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Option<Schedule> {
        Some(mix(one, other, rng))
    }

    fn estimate_ns(&self, schedule: &Schedule) -> Option<f64> {
        let [x, y, z] = point(schedule);
        let distance = x.abs_diff(13).pow(2) + y.abs_diff(3).pow(2) + z.abs_diff(6).pow(2);
        self.has_model.then_some(distance as f64)
    }
}

/// Smallest at (11, 3, 7); a third of the points are refused.
fn outcome(given: &Schedule) -> Outcome {
    let [x, y, z] = point(given);
    if (x + 2 * y + z) % 3 == 0 {
        return Outcome::Rejected;
    }
    let distance = x.abs_diff(11).pow(2) + y.abs_diff(3).pow(2) + z.abs_diff(7).pow(2);
    Outcome::Time(100.0 + distance as f64)
}

fn run(seed: u64, batch: usize, total: usize, reversed: bool) -> (Vec<Schedule>, Search<Cube>) {
    let mut search = Search::new(Cube::new(16), seed, vec![schedule([5, 5, 5])]);
    let mut log = vec![];
    while log.len() < total {
        let mut proposals = search.propose(batch);
        log.extend(proposals.clone());
        if reversed {
            proposals.reverse();
        }
        proposals.iter().for_each(|proposal| search.report(proposal, outcome(proposal)));
    }
    (log, search)
}

#[test]
fn what_a_model_expects_comes_behind_the_seeds() {
    let cube = Cube { side: 16, has_model: true };
    let mut search = Search::new(cube, 3, vec![schedule([5, 5, 5])]);
    let proposals: Vec<[u64; 3]> = search.propose(8).iter().map(point).collect();
    assert_eq!(proposals[..2], [[0, 0, 0], [5, 5, 5]]);
    let expected = &proposals[2..];
    let far = |[x, y, z]: [u64; 3]| x.abs_diff(13) + y.abs_diff(3) + z.abs_diff(6);
    assert!(far(expected[0]) <= 3, "{expected:?}");
    assert!(expected.iter().all(|point| far(*point) <= 12), "{expected:?}");
    // Each differs from the others in three settings.
    for (place, one) in expected.iter().enumerate() {
        let apart = |other: &[u64; 3]| one.iter().zip(other).all(|(one, other)| one != other);
        assert!(expected[..place].iter().all(apart), "{expected:?}");
    }
}

#[test]
fn the_default_goes_first_and_the_seeds_next() {
    let (log, _) = run(1, 4, 8, false);
    assert_eq!(log[..2], [schedule([0, 0, 0]), schedule([5, 5, 5])]);
}

#[test]
fn a_replay_decides_the_same_however_late_outcomes_arrive() {
    for seed in 0..4 {
        let (log, search) = run(seed, 8, 200, false);
        let (replay, again) = run(seed, 8, 200, true);
        assert_eq!(log, replay, "seed {seed}");
        assert_eq!(search.elite(), again.elite(), "seed {seed}");
    }
    assert_ne!(run(0, 8, 200, false).0, run(1, 8, 200, false).0);
}

#[test]
fn no_schedule_is_proposed_twice() {
    let (log, _) = run(2, 8, 400, false);
    let distinct: BTreeSet<_> = log.iter().map(point).collect();
    assert_eq!(distinct.len(), log.len());
    assert!(distinct.iter().all(|[x, _, z]| x % 2 == 1 || *z == 0), "canonical forms only");
}

#[test]
fn a_small_space_is_exhausted_and_the_search_says_so() {
    let mut search = Search::new(Cube::new(4), 3, vec![]);
    let mut seen = BTreeSet::new();
    loop {
        let proposals = search.propose(5);
        if proposals.is_empty() {
            break;
        }
        for proposal in proposals {
            assert!(seen.insert(point(&proposal)));
            search.report(&proposal, Outcome::Time(1.0));
        }
    }
    // x in {1, 3}: 4 x 4 each; x in {0, 2}: 4 each.
    assert!(seen.len() >= 38, "found {} of 40", seen.len());
}

#[test]
fn local_search_reaches_the_optimum_of_4096_points_in_400() {
    for seed in 0..6 {
        let (_, search) = run(seed, 8, 400, false);
        let (best_ns, best) = &search.elite()[0];
        // The smallest point itself is refused (11 + 6 + 7 is a multiple of 3): its neighbours, at 101, are the best.
        assert!(*best_ns <= 102.0, "seed {seed}: {best_ns} at {:?}", point(best));
    }
}

#[test]
fn outcomes_of_strangers_change_nothing() {
    let mut search = Search::new(Cube::new(16), 0, vec![]);
    search.report(&schedule([1, 2, 3]), Outcome::Time(1.0));
    assert!(search.elite().is_empty());
    let proposals = search.propose(2);
    search.report(&proposals[1], Outcome::Time(5.0));
    assert!(search.elite().is_empty(), "the first proposal is still open");
    search.report(&proposals[0], Outcome::Rejected);
    assert_eq!(search.elite(), &[(5.0, proposals[1].clone())]);
}
