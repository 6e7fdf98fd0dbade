//! Forms of random kernels: all of them have the reference's numbers, and the order of the rules does not matter.
//!
//! Each kernel is drawn from its own seed. `TILEWRIGHT_SEED=seed TILEWRIGHT_EXPRESSIONS=1` replays one,
//! `TILEWRIGHT_EXPRESSIONS` sets how many are drawn, `TILEWRIGHT_THREADS` on how many threads. A fault is printed with its
//! seed and the smallest kernel that still has it; kernels that once failed lie in `tests/files/rewrite`.
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod draw;
mod judge;
#[path = "../machine/mod.rs"]
mod machine;

use draw::{Drawn, draw};
use judge::{Tally, judge};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const EXPRESSIONS: u64 = 400;
/// Smaller kernels that are judged before the smallest so far is taken.
const JUDGED_MAX: usize = 300;
/// Below this share of decided elements the generator tests too little.
const DECIDED_MIN: f64 = 0.6;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

/// The fault of a kernel; a panic is one.
fn fault(drawn: &Drawn, seed: u64, tally: &mut Tally) -> Option<String> {
    let judged = std::panic::AssertUnwindSafe(|| judge(&drawn.text(), seed, tally));
    match std::panic::catch_unwind(judged) {
        Ok(result) => result.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

/// The first word of a fault: smaller kernels have to have the same.
fn kind(fault: &str) -> &str {
    fault.split(':').next().unwrap_or_default()
}

fn shrink(drawn: Drawn, seed: u64, found: String) -> (Drawn, String) {
    let (mut drawn, mut found) = (drawn, found);
    let mut judged = 0;
    while judged < JUDGED_MAX {
        let smaller = drawn.smaller().into_iter().find_map(|smaller| {
            judged += 1;
            let other = fault(&smaller, seed, &mut Tally::default())?;
            (kind(&other) == kind(&found)).then_some((smaller, other))
        });
        match smaller {
            Some(smaller) => (drawn, found) = smaller,
            None => break,
        }
    }
    (drawn, found)
}

#[test]
fn forms_of_random_kernels_agree_with_the_reference() {
    let (first, count) =
        (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_EXPRESSIONS", EXPRESSIONS));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let next = AtomicU64::new(first);
    let all = Mutex::new((Tally::default(), vec![]));
    std::thread::scope(|scope| {
        for _ in 0..number("TILEWRIGHT_THREADS", cores) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let drawn = draw(seed);
                    if let Some(found) = fault(&drawn, seed, &mut tally) {
                        let (small, found) = shrink(drawn, seed, found);
                        let report = format!("TILEWRIGHT_SEED={seed}\n{}{found}", small.text());
                        println!("{report}");
                        all.lock().unwrap().1.push(report);
                    }
                }
                all.lock().unwrap().0.add(&tally);
            });
        }
    });
    let (tally, faults) = all.into_inner().unwrap();
    println!("{}", tally.json(first, count, faults.len()));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n----\n"));
    let enough = count < EXPRESSIONS || tally.is_enough(DECIDED_MIN);
    assert!(enough, "the generator draws too little that can be judged");
}

#[test]
fn a_seed_draws_one_kernel() {
    let texts: Vec<String> = (0..50).map(|seed| draw(seed).text()).collect();
    assert_eq!(texts, (0..50).map(|seed| draw(seed).text()).collect::<Vec<_>>());
    let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len());
}
