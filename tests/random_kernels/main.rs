//! Random kernels through the whole compiler: text, check, plan, schedules, machine code, against the reference.
//!
//! Each file of kernels is drawn from its own seed. `TILEWRIGHT_SEED=seed TILEWRIGHT_KERNELS=1` replays one,
//! `TILEWRIGHT_KERNELS` sets how many are drawn, `TILEWRIGHT_THREADS` on how many threads, and with
//! `TILEWRIGHT_TRACE=1 .. --nocapture` each is printed before it runs. A fault is printed with its seed and the smallest
//! file that still has it; when generated code crashes, the seeds under way are printed. Files that once failed lie in
//! `tests/files/random`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tilewright::ir::schedule::Schedule;
use tilewright_testing::{Effort, Fault, Tally, crash, draw, judge, judge_with, shrink};

const FILES: u64 = 300;
/// Inputs are drawn from so many seeds for a file that once failed.
const REPLAYS: u64 = 8;
/// Faults after which a run stops: each of them is made small, which takes a while.
const FAULTS_MAX: usize = 20;
/// Below this share of sharply decided outputs the generator tests too little.
const SHARP_MIN: f64 = 0.75;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

/// The fault of a seed with the smallest file that has it.
fn report(seed: u64, text: &str, fault: &Fault) -> String {
    let mut report = format!("TILEWRIGHT_SEED={seed}\n{text}{}: {}\n", fault.kind, fault.detail);
    if fault.kind != "refused" && number("TILEWRIGHT_SHRINK", 1) > 0 {
        let small = shrink(text, seed, fault);
        report += &format!("smallest:\n{}{}\n", small.text, small.fault.detail);
        report += &small.schedule.map(|schedule| schedule.print()).unwrap_or_default();
    }
    report
}

#[test]
fn random_kernels_agree_with_the_reference() {
    crash::install();
    let (first, files) = (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_KERNELS", FILES));
    let trace = number("TILEWRIGHT_TRACE", 0) > 0;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let next = AtomicU64::new(first);
    let result = Mutex::new((Tally::default(), Vec::<String>::new()));
    let work = |thread: usize| {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + files || result.lock().unwrap().1.len() >= FAULTS_MAX {
                break;
            }
            crash::at(thread, seed);
            let text = draw::file(seed);
            if trace {
                println!("TILEWRIGHT_SEED={seed}\n{text}");
            }
            if let Err(fault) = judge(&text, seed, Effort::default(), &mut tally) {
                let report = report(seed, &text, &fault);
                println!("{report}");
                result.lock().unwrap().1.push(report);
            }
        }
        result.lock().unwrap().0.add(&tally);
    };
    std::thread::scope(|scope| {
        let work = &work;
        for thread in 0..number("TILEWRIGHT_THREADS", cores) {
            scope.spawn(move || work(thread as usize));
        }
    });
    let (tally, faults) = result.into_inner().unwrap();
    println!("{tally}");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n----\n"));
    let enough = files < FILES || tally.sharp_share() >= SHARP_MIN;
    assert!(enough, "the generator draws too few results that can be judged\n{tally}");
}

#[test]
fn files_that_once_failed_pass() {
    crash::install();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/random");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "tw"));
    paths.sort();
    assert!(!paths.is_empty());
    let mut tally = Tally::default();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let schedule = std::fs::read_to_string(path.with_extension("schedule")).ok();
        let schedule = schedule.map(|text| Schedule::parse(&text).unwrap());
        for seed in 0..REPLAYS {
            let name = path.display();
            let result = judge(&text, seed, Effort { schedules: 2, stages: true }, &mut tally);
            assert_eq!(result, Ok(()), "{name} with seed {seed}");
            if let Some(schedule) = &schedule {
                assert_eq!(judge_with(&text, seed, schedule), Ok(()), "{name} with seed {seed}");
            }
        }
    }
    assert!(tally.unsupported.is_empty(), "{:?}", tally.unsupported);
}
