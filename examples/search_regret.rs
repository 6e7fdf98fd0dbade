//! How fast a search finds the best of a recorded space, without a clock.
//!
//! `cargo run --release --example search_regret -- OUT.json SPACE.ndjson ..` replays the search of the tuner and a random one
//! on spaces that `record_space` timed, from 50 seeds each. It prints how far the best found is from the best there is, the
//! median over the seeds, after 8 to 256 evaluations, and after how many it stays within 3 %. Invariant: both searches see
//! the same times, and each schedule once.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use tilewright::autotune::search::{Moves, Outcome, Search, mix};
use tilewright::ir::schedule::{ChoiceValue, Schedule, Setting};

/// Seeds of each strategy.
const SEEDS: u64 = 50;
/// Evaluations of a replay.
const MOST: usize = 256;
/// Evaluations after which the distance is reported.
const MARKS: [usize; 6] = [8, 16, 32, 64, 128, 256];
/// Within this share of the best counts as found.
const CLOSE: f64 = 1.03;

/// A recorded space.
struct Recorded {
    schedules: Vec<Schedule>,
    times_ns: Vec<Option<f64>>,
    estimates_ns: Vec<Option<f64>>,
    places: BTreeMap<String, usize>,
    /// The values that each choice has been recorded with.
    values: BTreeMap<String, Vec<ChoiceValue>>,
    first: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut out = std::fs::File::create(arguments.next().ok_or("a file to write")?)?;
    let mut rows = vec![];
    for path in arguments {
        let space = Recorded::read(&path)?;
        let name = std::path::Path::new(&path)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for (strategy, replay) in STRATEGIES {
            let curves: Vec<Vec<f64>> = (0..SEEDS).map(|seed| replay(&space, seed)).collect();
            rows.push(summary(&name, strategy, &space, &curves));
        }
    }
    writeln!(
        out,
        "{}",
        serde_json::json!({"event": "search_regret", "seeds": SEEDS, "rows": rows})
    )?;
    Ok(())
}

type Replay = fn(&Recorded, u64) -> Vec<f64>;

const STRATEGIES: [(&str, Replay); 2] = [("search", searched), ("random", random)];

/// The distance of the best after each evaluation, as a ratio to the best of the space.
fn searched(space: &Recorded, seed: u64) -> Vec<f64> {
    let mut search = Search::new(space, seed, vec![]);
    let mut found = vec![];
    while found.len() < MOST {
        let batch = search.propose(4);
        if batch.is_empty() {
            break;
        }
        for schedule in batch {
            let time_ns = space.time(&schedule);
            found.push(time_ns);
            search.report(&schedule, time_ns.map_or(Outcome::Rejected, Outcome::Time));
        }
    }
    space.curve(&found)
}

fn random(space: &Recorded, seed: u64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..space.schedules.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let found: Vec<_> = order.into_iter().take(MOST).map(|index| space.times_ns[index]).collect();
    space.curve(&found)
}

/// Prints and returns a row: medians over the seeds.
fn summary(name: &str, strategy: &str, space: &Recorded, curves: &[Vec<f64>]) -> serde_json::Value {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let at =
        |mark: usize| middle(curves.iter().map(|curve| curve[mark.min(curve.len()) - 1]).collect());
    let close = |curve: &Vec<f64>| {
        curve
            .iter()
            .position(|&ratio| ratio <= CLOSE)
            .map_or(f64::INFINITY, |index| index as f64 + 1.0)
    };
    let evaluations = middle(curves.iter().map(close).collect());
    let ratios: Vec<f64> = MARKS.into_iter().map(at).collect();
    let shown: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:6.3}")).collect();
    println!(
        "{name:24} {strategy:8} {} schedules, best {:10.1} us; after {MARKS:?}: {}; within 3 % after {evaluations}",
        space.schedules.len(),
        space.best() / 1e3,
        shown.join(" ")
    );
    let evaluations = evaluations.is_finite().then_some(evaluations);
    serde_json::json!({
        "space": name, "strategy": strategy, "schedules": space.schedules.len(),
        "best_ns": space.best(), "marks": MARKS, "ratio_median": ratios, "evaluations_to_3_percent": evaluations,
    })
}

impl Recorded {
    fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)?;
        let mut space = Self {
            schedules: vec![],
            times_ns: vec![],
            estimates_ns: vec![],
            places: BTreeMap::new(),
            values: BTreeMap::new(),
            first: 0,
        };
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let settings = row["settings"].as_object().ok_or("a line without settings")?;
            let text: String = settings
                .iter()
                .map(|(name, value)| {
                    format!("choose {name} = {}\n", value.as_str().unwrap_or_default())
                })
                .collect();
            let schedule = Schedule::parse(&format!("schedule f {{\n{text}}}"))
                .map_err(|faults| faults[0].to_string())?;
            if row["default"].as_bool() == Some(true) {
                space.first = space.schedules.len();
            }
            for Setting { name, value } in &schedule.settings {
                let known = space.values.entry(name.clone()).or_default();
                if !known.contains(value) {
                    known.push(value.clone());
                }
            }
            space.places.insert(key(&schedule), space.schedules.len());
            space.schedules.push(schedule);
            space.times_ns.push(row["time_ns"].as_f64());
            space.estimates_ns.push(row["estimate_ns"].as_f64());
        }
        Ok(space)
    }

    fn time(&self, schedule: &Schedule) -> Option<f64> {
        self.places.get(&key(schedule)).and_then(|&index| self.times_ns[index])
    }

    fn best(&self) -> f64 {
        self.times_ns.iter().flatten().copied().fold(f64::INFINITY, f64::min)
    }

    fn curve(&self, found: &[Option<f64>]) -> Vec<f64> {
        let best = self.best();
        let mut least = f64::INFINITY;
        found
            .iter()
            .map(|time_ns| {
                least = time_ns.map_or(least, |time_ns| least.min(time_ns));
                least / best
            })
            .collect()
    }
}

/// The settings in one order.
fn key(schedule: &Schedule) -> String {
    let settings: BTreeMap<&str, String> =
        schedule.settings.iter().map(|of| (of.name.as_str(), of.value.to_string())).collect();
    format!("{settings:?}")
}

impl Moves for &Recorded {
    fn first(&self) -> Schedule {
        self.schedules[self.first].clone()
    }

    fn sample(&self, rng: &mut ChaCha8Rng) -> Schedule {
        self.schedules[rng.random_range(0..self.schedules.len())].clone()
    }

    fn neighbour(&self, schedule: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
        let free: Vec<(&String, &Vec<ChoiceValue>)> =
            self.values.iter().filter(|(_, values)| values.len() > 1).collect();
        let Some((name, values)) = free.choose(rng) else { return schedule.clone() };
        let others: Vec<&ChoiceValue> =
            values.iter().filter(|value| schedule.get(name) != Some(value)).collect();
        let value = *others.choose(rng).expect("the choice has several values");
        // What is legal next to the new value changes as little as it can, as the tuner's repairs do.
        let suits = self.schedules.iter().filter(|other| other.get(name) == Some(value));
        let distance = |other: &Schedule| {
            let differs = |of: &&Setting| schedule.get(&of.name) != Some(&of.value);
            other.settings.iter().filter(differs).count()
        };
        let ranked: Vec<(usize, &Schedule)> = suits.map(|other| (distance(other), other)).collect();
        let least = ranked.iter().map(|(distance, _)| *distance).min();
        let nearest: Vec<&Schedule> = ranked
            .iter()
            .filter(|(distance, _)| Some(*distance) == least)
            .map(|(_, other)| *other)
            .collect();
        nearest.choose(rng).map_or_else(|| schedule.clone(), |&other| other.clone())
    }

    fn canonical(&self, schedule: &Schedule) -> Schedule {
        schedule.clone()
    }

    fn mixed(&self, one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Option<Schedule> {
        let schedule = mix(one, other, rng);
        self.places.contains_key(&key(&schedule)).then_some(schedule)
    }

    fn estimate_ns(&self, schedule: &Schedule) -> Option<f64> {
        self.places.get(&key(schedule)).and_then(|&index| self.estimates_ns[index])
    }
}
