//! The constants of the error bound, confirmed operation by operation.
//!
//! For each row (`rows`) and seed, honest results (`honest`) have to pass, and the same result in the next narrower
//! type, or with one term dropped or doubled (`dishonest`), has to fail. The worst honest and the smallest dishonest
//! ratio of error to allowance are printed. `TILEWRIGHT_BOUND_SEEDS=1000` runs as many seeds as the record has,
//! `TILEWRIGHT_BOUND_ROW` keeps the rows with that text in their names, `TILEWRIGHT_SEED` is the first seed, and
//! `TILEWRIGHT_BOUND_RECORD` names the file for the JSON lines.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod dishonest;
mod honest;
mod record;
mod rows;

use dishonest::Way;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use record::{Line, add_honest};
use rows::Row;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tilewright::ir::reference::{
    Expected, Family, HostTensor, Verdict, compare, compare_exact, draw, evaluate,
    integers_are_exact,
};
use tilewright::{BoundKernel, CompiledKernel, Kernel};

/// Seeds for each row where nothing else is said.
const SEEDS: u64 = 12;
/// Seeds from which on a blind spot that nothing fell into is a fault of the table.
const SEEDS_FULL: u64 = 1000;
/// Seeds that share a random schedule.
const SEEDS_A_SCHEDULE: u64 = 25;
/// Seeds before the first of them.
const SEEDS_BEFORE: u64 = 6;
/// Faults of a row that are told.
const FAULTS_TOLD: usize = 5;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

/// The verdict on the output that is worst.
fn worst(
    expected: &[Expected],
    got: &[HostTensor],
    judge: fn(&Expected, &HostTensor) -> Verdict,
) -> Verdict {
    let verdicts = expected.iter().zip(got).map(|(expected, got)| judge(expected, got));
    verdicts.max_by(|x, y| x.worst_ratio.total_cmp(&y.worst_ratio)).unwrap()
}

struct Trial<'a> {
    row: &'a Row,
    bound: BoundKernel,
    line: Line,
    rng: ChaCha8Rng,
}

impl<'a> Trial<'a> {
    fn new(row: &'a Row, seed: u64) -> Self {
        let kernel = Kernel::parse(&row.text).unwrap_or_else(|e| panic!("{}: {e}", row.text));
        let bound = kernel.bind(row.sizes.iter().copied()).unwrap();
        let line = Line {
            name: row.name.clone(),
            data: row.data.name(),
            blind: row.blind.clone(),
            ..Line::default()
        };
        Self { row, bound, line, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn run(mut self, first: u64, seeds: u64) -> Line {
        let seeds = seeds.div_ceil(self.row.every).max(2);
        let mut codes: Vec<CompiledKernel> = self.codes(2);
        for seed in first..first + seeds {
            if (seed - first) % SEEDS_A_SCHEDULE == SEEDS_BEFORE {
                let sampled = honest::compiled(&self.bound, 2, &mut self.rng);
                self.line.schedules += u64::from(sampled.is_some());
                codes.truncate(2);
                codes.extend(sampled);
            }
            self.honest(&codes, seed);
            self.dishonest(seed);
        }
        self.line.seeds = seeds;
        self.conclude(seeds);
        self.line
    }

    fn codes(&mut self, count: u64) -> Vec<CompiledKernel> {
        let codes: Vec<_> = (0..count)
            .filter_map(|number| honest::compiled(&self.bound, number, &mut self.rng))
            .collect();
        self.line.schedules = codes.len() as u64;
        codes
    }

    fn honest(&mut self, codes: &[CompiledKernel], seed: u64) {
        let graph = self.bound.graph();
        let family = Family::ALL[seed as usize % Family::ALL.len()];
        let inputs = draw(graph, family, seed);
        let expected = evaluate(graph, &inputs);
        for code in codes {
            let verdict = worst(&expected, &honest::run(graph, code, &inputs), compare);
            add_honest(&mut self.line.code, verdict.worst_ratio, seed);
            if verdict.wrong > 0 {
                let schedule = code.schedule().map_or(String::new(), |schedule| schedule.print());
                let fault = format!("seed {seed}, {}: {verdict:?}\n{schedule}", family.name());
                self.line.faults.push(fault);
            }
        }
        let plain = honest::plain(graph, &inputs, honest::arithmetic(seed));
        let verdict = worst(&expected, &plain, compare);
        add_honest(&mut self.line.plain, verdict.worst_ratio, seed);
        if verdict.wrong > 0 {
            self.line.faults.push(format!("seed {seed}, {}, plain: {verdict:?}", family.name()));
        }
    }

    fn dishonest(&mut self, seed: u64) {
        let graph = self.bound.graph();
        for &family in Family::ALL {
            let ways: Vec<Way> =
                Way::ALL.into_iter().filter(|&way| self.family(way) == family).collect();
            let exact = family == Family::Integers;
            if ways.is_empty() || exact && !integers_are_exact(graph, seed) {
                continue;
            }
            let inputs = draw(graph, family, seed);
            let expected = evaluate(graph, &inputs);
            let judge = if exact { compare_exact } else { compare };
            for way in ways {
                for got in dishonest::results(way, graph, &inputs, &mut self.rng) {
                    self.line.add_dishonest(way, worst(&expected, &got, judge).worst_ratio, seed);
                }
            }
        }
    }

    /// The data on which a way has to be seen.
    fn family(&self, way: Way) -> Family {
        match way {
            _ if way.on_integers() => Family::Integers,
            Way::Dropped | Way::Doubled | Way::Truncated => Family::Normal,
            _ => self.row.data,
        }
    }

    /// Dishonest results that passed, where the table does not say so.
    fn conclude(&mut self, seeds: u64) {
        for (&way, cell) in &self.line.dishonest {
            let blind = self.row.blind.iter().any(|(blind, _)| *blind == way);
            let passed = cell.refused < cell.seeds;
            if passed && !blind {
                let (ratio, seed, name) = (cell.ratio, cell.seed, way.name());
                let of = cell.seeds;
                let count = of - cell.refused;
                let fault = format!("{name} passed {count} of {of}, seed {seed}: {ratio}");
                self.line.faults.push(fault);
            }
            if blind && !passed && seeds >= SEEDS_FULL {
                self.line.faults.push(format!("{} is no blind spot", way.name()));
            }
        }
    }
}

fn measure(rows: &[Row], first: u64, seeds: u64) -> Vec<Line> {
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(vec![]));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(position) else { return };
                    let line = Trial::new(row, first).run(first, seeds);
                    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                    lines.push((position, line));
                }
            });
        }
    });
    let mut lines = lines.into_inner().unwrap();
    lines.sort_by_key(|(position, _)| *position);
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn honest_results_pass_and_dishonest_ones_fail() {
    let wanted = std::env::var("TILEWRIGHT_BOUND_ROW").unwrap_or_default();
    let (first, seeds) = (number("TILEWRIGHT_SEED", 0), number("TILEWRIGHT_BOUND_SEEDS", SEEDS));
    println!("TILEWRIGHT_SEED={first} TILEWRIGHT_BOUND_SEEDS={seeds}");
    let mut rows = rows::rows();
    rows.retain(|row| row.name.contains(&wanted));
    let lines = measure(&rows, first, seeds);
    println!("{}", record::head());
    lines.iter().for_each(|line| println!("{}", line.row()));
    if let Ok(path) = std::env::var("TILEWRIGHT_BOUND_RECORD") {
        let text: String = lines.iter().map(|line| line.json() + "\n").collect();
        std::fs::write(path, text).unwrap();
    }
    let faults = lines.iter().flat_map(|line| {
        line.faults.iter().take(FAULTS_TOLD).map(|fault| format!("{}: {fault}", line.name))
    });
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
