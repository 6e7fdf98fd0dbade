//! What a fork and join costs: medians of empty jobs on the pool that compiled kernels use.
//!
//! `cargo run --release --example fork_join [THREADS]` prints one JSON object: nanoseconds for each kind of job while the
//! workers spin, and after they have gone to sleep, and what the split of the work makes of rows that stay in the caches:
//! each thread begins with the same rows in every call, or takes the next ones from a counter.
#![expect(clippy::print_stdout, reason = "the example's answer")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use serde_json::json;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tilewright::cpu::pool::Pool;

/// Samples of each kind while the workers spin.
const SAMPLES: usize = 20_000;
/// Samples after a sleep.
const SAMPLES_ASLEEP: usize = 300;

fn main() {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let pool = Pool::new(threads);
    let all = threads as u64;
    let empty = |iterations: u64| move |pool: &Pool| pool.run(iterations, all, &|_, _, _| {});
    let timer = time(SAMPLES, None, || {});
    let spinning = json!({
        "one_iteration_each": time(SAMPLES, None, || empty(all)(&pool)),
        "eight_iterations_each": time(SAMPLES, None, || empty(8 * all)(&pool)),
        "1000_iterations_each": time(SAMPLES, None, || empty(1000 * all)(&pool)),
        "all_threads_must_come": time(SAMPLES, None, || rendezvous(&pool, all)),
    });
    let asleep = Some(Duration::from_millis(2));
    let sleeping = json!({
        "one_iteration_each": time(SAMPLES_ASLEEP, asleep, || empty(all)(&pool)),
        "all_threads_must_come": time(SAMPLES_ASLEEP, asleep, || rendezvous(&pool, all)),
    });
    let mut rows = Rows::new(threads);
    let mut split = [vec![], vec![]];
    for _ in 0..SAMPLES / 200 {
        // Several in a row, since each leaves the rows where its own next call finds them.
        split[0].push(once(|| (0..ROW_CALLS).for_each(|_| rows.in_parts(&pool, all))) / ROW_CALLS);
        let counted = once(|| (0..ROW_CALLS).for_each(|_| rows.by_a_counter(&pool, all)));
        split[1].push(counted / ROW_CALLS);
    }
    let [parts, counter] = split.map(deciles);
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let rayon = rayon.expect("the system gives threads");
    let broadcast = time(SAMPLES / 10, None, || _ = rayon.broadcast(|_| ()));
    let answer = json!({
        "threads": threads,
        "timer_ns": timer,
        "spinning_ns": spinning,
        "sleeping_ns": sleeping,
        "rows_in_caches_ns": { "own_parts": parts, "shared_counter": counter },
        "rayon_broadcast_ns": broadcast,
    });
    println!("{answer:#}");
}

/// A job in which every thread waits for all others.
fn rendezvous(pool: &Pool, threads: u64) {
    let come = AtomicU64::new(0);
    pool.run(threads, threads, &|_, first, end| {
        come.fetch_add(end - first, Ordering::SeqCst);
        while come.load(Ordering::SeqCst) < threads {
            std::hint::spin_loop();
        }
    });
}

/// Rows that fit into the second caches of the threads together, with a sum in each.
struct Rows(Vec<[AtomicU32; ROW]>);

/// Calls of a sample.
const ROW_CALLS: u64 = 40;
/// Elements of a row: 4 KiB.
const ROW: usize = 1024;

impl Rows {
    /// 640 KiB for each thread.
    fn new(threads: usize) -> Self {
        Self((0..160 * threads).map(|_| [const { AtomicU32::new(1) }; ROW]).collect())
    }

    fn visit(&self, first: u64, end: u64) {
        for row in &self.0[first as usize..end as usize] {
            for element in row {
                element.store(element.load(Ordering::Relaxed).wrapping_mul(3), Ordering::Relaxed);
            }
        }
    }

    fn in_parts(&mut self, pool: &Pool, threads: u64) {
        pool.run(self.0.len() as u64, threads, &|_, first, end| self.visit(first, end));
    }

    fn by_a_counter(&mut self, pool: &Pool, threads: u64) {
        let (next, count) = (AtomicU64::new(0), self.0.len() as u64);
        let chunk = (count / (8 * threads)).max(1);
        pool.run(threads, threads, &|_, _, _| {
            loop {
                let first = next.fetch_add(chunk, Ordering::Relaxed);
                if first >= count {
                    return;
                }
                self.visit(first, (first + chunk).min(count));
            }
        });
    }
}

/// Times a job so many times, each after a pause.
fn time(samples: usize, pause: Option<Duration>, mut job: impl FnMut()) -> [u64; 3] {
    let sample = |_| {
        if let Some(pause) = pause {
            std::thread::sleep(pause);
        }
        once(&mut job)
    };
    deciles((0..samples).map(sample).collect())
}

fn once(job: impl FnOnce()) -> u64 {
    let start = Instant::now();
    job();
    start.elapsed().as_nanos() as u64
}

/// The lowest decile, the median and the highest decile, in nanoseconds.
fn deciles(mut times: Vec<u64>) -> [u64; 3] {
    times.sort_unstable();
    [1, 5, 9].map(|tenth| times[times.len() * tenth / 10])
}
