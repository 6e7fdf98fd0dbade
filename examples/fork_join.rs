//! What a fork and join costs: medians of empty jobs on the pool that compiled kernels use.
//!
//! `cargo run --release --example fork_join [THREADS]` prints one JSON object: nanoseconds for each kind of job while the
//! workers spin, and after they have gone to sleep. `rayon` is the same with `rayon::scope`'s workers awake.
#![expect(clippy::print_stdout, reason = "the example's answer")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
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
    let rayon = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let rayon = rayon.expect("the system gives threads");
    let broadcast = time(SAMPLES / 10, None, || _ = rayon.broadcast(|_| ()));
    let answer = json!({
        "threads": threads,
        "timer_ns": timer,
        "spinning_ns": spinning,
        "sleeping_ns": sleeping,
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

/// The lowest decile, the median and the highest decile, in nanoseconds.
fn time(samples: usize, pause: Option<Duration>, mut job: impl FnMut()) -> [u64; 3] {
    let mut times: Vec<u64> = (0..samples)
        .map(|_| {
            if let Some(pause) = pause {
                std::thread::sleep(pause);
            }
            let start = Instant::now();
            job();
            start.elapsed().as_nanos() as u64
        })
        .collect();
    times.sort_unstable();
    [times[samples / 10], times[samples / 2], times[samples * 9 / 10]]
}
