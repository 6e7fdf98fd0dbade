//! A fork-join pool for a kernel's own parallel loop.
//!
//! Waking a sleeping thread costs tens of microseconds, so workers spin for a while after each job before they sleep.
//! Invariant: `run` returns only when every iteration has finished, so borrowed data may be used by the workers.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Spins of a worker before it sleeps; about a millisecond.
const SPINS: u32 = 200_000;
/// Chunks handed to each thread on average: enough to even out unequal iterations.
const CHUNKS_PER_THREAD: u64 = 8;

/// A job: called as `(thread, first, end)`.
type Job = dyn Fn(usize, u64, u64) + Sync;

struct Shared {
    generation: AtomicU64,
    job: Mutex<Option<JobPointer>>,
    next: AtomicU64,
    iterations: AtomicU64,
    chunk: AtomicU64,
    active: AtomicUsize,
    finished: AtomicUsize,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

#[derive(Clone, Copy)]
struct JobPointer(*const Job);

// SAFETY: `Pool::run` keeps the job alive until every worker has finished with it, and the job is `Sync`.
unsafe impl Send for JobPointer {}

/// Threads that share the iterations of a launch with the calling thread.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One job at a time: a second caller waits here.
    turn: Mutex<()>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &(self.workers.len() + 1)).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of `threads` threads, the caller among them.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            generation: AtomicU64::new(0),
            job: Mutex::new(None),
            next: AtomicU64::new(0),
            iterations: AtomicU64::new(0),
            chunk: AtomicU64::new(1),
            active: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads.max(1))
            .map(|thread| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || work(&shared, thread))
            })
            .collect();
        Self { shared, workers, turn: Mutex::new(()) }
    }

    /// Runs `job(thread, first, end)` over disjoint chunks that cover `0..iterations`, on at most `threads` threads.
    pub fn run(&self, iterations: u64, threads: u64, job: &(dyn Fn(usize, u64, u64) + Sync)) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = usize::try_from(threads).unwrap_or(1).clamp(1, self.workers.len() + 1);
        let shared = &*self.shared;
        let pointer = erase(job);
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(JobPointer(pointer));
        shared.next.store(0, Ordering::Relaxed);
        shared.iterations.store(iterations, Ordering::Relaxed);
        shared
            .chunk
            .store((iterations / (threads as u64 * CHUNKS_PER_THREAD)).max(1), Ordering::Relaxed);
        shared.active.store(threads, Ordering::Relaxed);
        shared.finished.store(0, Ordering::Relaxed);
        shared.generation.fetch_add(1, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            let _guard = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            shared.wake.notify_all();
        }
        drain(shared, 0, job);
        while shared.finished.load(Ordering::Acquire) < self.workers.len() {
            std::hint::spin_loop();
        }
    }
}

/// Forgets how long a job lives; `run` waits for all workers before it returns.
fn erase<'job>(job: &'job (dyn Fn(usize, u64, u64) + Sync + 'job)) -> *const Job {
    let pointer: *const (dyn Fn(usize, u64, u64) + Sync + 'job) = job;
    // SAFETY: the two pointer types differ only in the lifetime bound of the trait object.
    unsafe { std::mem::transmute(pointer) }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker cannot panic: generated code does not unwind. Joining is all that is left to do either way.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, thread: usize) {
    let mut seen = 0;
    loop {
        seen = wait_for_generation(shared, seen);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        if thread < shared.active.load(Ordering::Relaxed) {
            let pointer = *shared.job.lock().unwrap_or_else(PoisonError::into_inner);
            let JobPointer(job) = pointer.expect("a generation starts with a job");
            // SAFETY: `run` keeps the job alive until `finished` counts this worker.
            drain(shared, thread, unsafe { &*job });
        }
        shared.finished.fetch_add(1, Ordering::Release);
    }
}

fn drain(shared: &Shared, thread: usize, job: &(dyn Fn(usize, u64, u64) + Sync)) {
    let iterations = shared.iterations.load(Ordering::Relaxed);
    let chunk = shared.chunk.load(Ordering::Relaxed);
    loop {
        let first = shared.next.fetch_add(chunk, Ordering::Relaxed);
        if first >= iterations {
            return;
        }
        job(thread, first, (first + chunk).min(iterations));
    }
}

fn wait_for_generation(shared: &Shared, seen: u64) -> u64 {
    for _ in 0..SPINS {
        let generation = shared.generation.load(Ordering::Acquire);
        if generation != seen {
            return generation;
        }
        std::hint::spin_loop();
    }
    let mut guard = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
    shared.sleepers.fetch_add(1, Ordering::SeqCst);
    while shared.generation.load(Ordering::SeqCst) == seen {
        guard = shared.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    shared.sleepers.fetch_sub(1, Ordering::SeqCst);
    shared.generation.load(Ordering::SeqCst)
}
