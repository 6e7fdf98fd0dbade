//! Random kernels through the whole compiler: text, check, plan, schedules, machine code, against the reference.
//!
//! Each file of kernels is drawn from its own seed. `TILEWRIGHT_SEED=seed TILEWRIGHT_KERNELS=1` replays one,
//! `TILEWRIGHT_KERNELS` sets how many are drawn, `TILEWRIGHT_THREADS` on how many threads, and with
//! `TILEWRIGHT_TRACE=1 .. --nocapture` each is printed before it runs. A fault is printed with its seed and the smallest
//! file that still has it; when generated code crashes, the seeds under way are printed. Files that once failed lie in
//! `tests/files/random`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use tilewright::ir::schedule::Schedule;
use tilewright_testing::{Campaign, Effort, Tally, constructs, crash, fuzz, judge, judge_with};

const FILES: u64 = 300;
/// Files that are drawn to see which constructs they have, and in how many of them each has to be.
const DRAWN: u64 = 6000;
const DRAWN_MIN: u64 = 8;
/// Inputs are drawn from so many seeds for a file that once failed.
const REPLAYS: u64 = 8;
/// Below this share of sharply decided outputs the generator tests too little.
const SHARP_MIN: f64 = 0.75;

/// What a fuzzer does with its bytes; says what is wrong.
type Target = fn(&[u8]) -> Result<(), String>;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

#[test]
fn random_kernels_agree_with_the_reference() {
    let (first, files) = (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_KERNELS", FILES));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let campaign = Campaign {
        seeds: first..first + files,
        threads: number("TILEWRIGHT_THREADS", cores) as usize,
        shrinks: number("TILEWRIGHT_SHRINK", 1) > 0,
        traces: number("TILEWRIGHT_TRACE", 0) > 0,
    };
    let (tally, faults) = campaign.run();
    println!("{tally}");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n----\n"));
    let enough = files < FILES || tally.sharp_share() >= SHARP_MIN;
    assert!(enough, "the generator draws too few results that can be judged\n{tally}");
}

/// Draws without judging: enough files for every construct to be in several of them.
#[test]
fn every_construct_is_drawn() {
    let counts = constructs::drawn(1..DRAWN);
    let count = |name: &String| counts.get(name).copied().unwrap_or(0);
    let required = constructs::required();
    let rare: Vec<_> = required.iter().filter(|name| count(name) < DRAWN_MIN).collect();
    assert!(rare.is_empty(), "in fewer than {DRAWN_MIN} of {DRAWN} files: {rare:?}\n{counts:?}");
}

/// Files of a folder in name order; none if there is no folder.
fn files_in(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn seeds_and_findings_of_the_fuzzers_pass() {
    crash::install();
    let targets: [(&str, Target); 2] = [("text", fuzz::text), ("kernels", fuzz::kernels)];
    for (target, run) in targets {
        let seeds = files_in(&format!("fuzz/seeds/{target}"));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for path in seeds.into_iter().chain(files_in(&format!("fuzz/findings/{target}"))) {
            let bytes = std::fs::read(&path).unwrap();
            let result = std::panic::catch_unwind(|| run(&bytes));
            let result = result.unwrap_or_else(|_| Err("panic".to_string()));
            assert_eq!(result, Ok(()), "{}", path.display());
        }
    }
}

#[test]
fn files_that_once_failed_pass() {
    crash::install();
    let mut paths = files_in("tests/files/random");
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "tw"));
    assert!(!paths.is_empty());
    let mut tally = Tally::default();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let schedule = std::fs::read_to_string(path.with_extension("schedule")).ok();
        let schedule = schedule.map(|text| Schedule::parse(&text).unwrap());
        for seed in 0..REPLAYS {
            let name = path.display();
            let result =
                judge(&text, seed, Effort { schedules: 2, stages: true, forms: 2 }, &mut tally);
            assert_eq!(result, Ok(()), "{name} with seed {seed}");
            if let Some(schedule) = &schedule {
                assert_eq!(judge_with(&text, seed, schedule), Ok(()), "{name} with seed {seed}");
            }
        }
    }
    assert!(tally.unsupported.is_empty(), "{:?}", tally.unsupported);
}
