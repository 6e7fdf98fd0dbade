//! Many random files on all threads, each from its own seed, the failing ones made small.
//!
//! Invariant: the verdict of a seed depends on nothing but the seed.

use crate::judge::{Effort, Fault, judge};
use crate::shrink::shrink;
use crate::tally::Tally;
use crate::{crash, draw};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Faults after which a run stops: each of them is made small, which takes a while.
const FAULTS_MAX: usize = 20;

/// How a campaign runs.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Files at the same time.
    pub threads: usize,
    /// Whether failing files are made small.
    pub shrinks: bool,
    /// Whether each file is printed before it runs.
    pub traces: bool,
}

impl Campaign {
    /// Runs it; every fault is printed when it is found. Gives what was done and the faults.
    pub fn run(&self) -> (Tally, Vec<String>) {
        crash::install();
        let next = AtomicU64::new(self.seeds.start);
        let found = Mutex::new((Tally::default(), vec![]));
        std::thread::scope(|scope| {
            let (next, found) = (&next, &found);
            for thread in 0..self.threads.max(1) {
                scope.spawn(move || self.work(thread, next, found));
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, thread: usize, next: &AtomicU64, found: &Mutex<(Tally, Vec<String>)>) {
        let found = || found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end || found().1.len() >= FAULTS_MAX {
                break;
            }
            crash::at(thread, seed);
            let text = draw::file(seed);
            if self.traces {
                say(&format!("TILEWRIGHT_SEED={seed}\n{text}"));
            }
            if let Err(fault) = judge(&text, seed, Effort::default(), &mut tally) {
                let report = self.report(seed, &text, &fault);
                say(&report);
                found().1.push(report);
            }
        }
        found().0.add(&tally);
    }

    /// The fault of a seed with the smallest file that has it.
    fn report(&self, seed: u64, text: &str, fault: &Fault) -> String {
        let mut report =
            format!("TILEWRIGHT_SEED={seed}\n{text}{}: {}\n", fault.kind, fault.detail);
        // A refused text is a fault of the generator: the smallest one says nothing.
        if self.shrinks && fault.kind != "refused" {
            let small = shrink(text, seed, fault);
            report += &format!("smallest:\n{}{}\n", small.text, small.fault.detail);
            report += &small.schedule.map(|schedule| schedule.print()).unwrap_or_default();
        }
        report
    }
}

#[expect(clippy::print_stdout, reason = "a campaign may run for long and reports as it goes")]
fn say(text: &str) {
    println!("{text}");
}
