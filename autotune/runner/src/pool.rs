//! The threads that share the iterations of a launch.
//!
//! Threads claim chunks of iterations from one counter, so a slow thread takes fewer. Between launches they spin,
//! since a wake-up costs more than most launches; after a while without work they sleep.
//! Invariant: `run` returns only after every thread has left the job, so a job's words never change under a reader.

use crate::sys;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Turns of the spinning loops before a thread lets others run, and before it sleeps.
const SPINS_BEFORE_YIELD: u32 = 2_000;
const SPINS_BEFORE_SLEEP: u32 = 20_000;

/// The entry of a launch.
pub(crate) type Entry = extern "C" fn(*const *mut u8, *mut u8, u64, u64);

/// One launch to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) entry: Entry,
    pub(crate) iterations: u64,
    pub(crate) threads: u64,
}

#[repr(align(64))]
struct Line<T>(T);

struct Shared {
    /// Changes when there is a new job; a futex.
    generation: Line<AtomicU32>,
    /// Workers that sleep on the generation.
    sleepers: AtomicU32,
    /// The next unclaimed iteration.
    next: Line<AtomicU64>,
    /// Workers that have not left the job.
    pending: Line<AtomicU32>,
    entry: AtomicUsize,
    arguments: AtomicUsize,
    iterations: AtomicU64,
    chunk: AtomicU64,
    threads: AtomicU64,
}

/// The calling thread and its workers.
pub(crate) struct Pool {
    shared: &'static Shared,
    workers: u32,
    scratch: *mut u8,
}

impl Pool {
    /// Starts one worker for each scratch buffer but the first, which is the calling thread's.
    /// A thread is bound to its entry of `cpus`, if there is one.
    pub(crate) fn start(scratch: &[*mut u8], cpus: &[u64]) -> Result<Self, u32> {
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            generation: Line(AtomicU32::new(0)),
            sleepers: AtomicU32::new(0),
            next: Line(AtomicU64::new(0)),
            pending: Line(AtomicU32::new(0)),
            entry: AtomicUsize::new(0),
            arguments: AtomicUsize::new(0),
            iterations: AtomicU64::new(0),
            chunk: AtomicU64::new(1),
            threads: AtomicU64::new(1),
        }));
        let workers = scratch.len() as u32 - 1;
        shared.pending.0.store(workers, Ordering::Release);
        for (index, own) in scratch.iter().enumerate().skip(1) {
            let (own, cpu) = (*own as usize, cpus.get(index).copied());
            let work = move || worker(shared, index as u64, own as *mut u8, cpu);
            std::thread::Builder::new()
                .spawn(work)
                .map_err(|error| error.raw_os_error().unwrap_or(0).unsigned_abs())?;
        }
        // A new thread still makes system calls of its own; the filter must not meet them.
        while shared.pending.0.load(Ordering::Acquire) > 0 {
            sys::yield_now();
        }
        if let Some(&cpu) = cpus.first() {
            sys::pin(cpu);
        }
        Ok(Self { shared, workers, scratch: scratch[0] })
    }

    /// Runs every iteration of the job.
    pub(crate) fn run(&self, job: Job, arguments: *const *mut u8) {
        let threads = job.threads.min(job.iterations).min(u64::from(self.workers) + 1);
        if job.iterations == 0 {
            return;
        }
        if threads <= 1 {
            (job.entry)(arguments, self.scratch, 0, job.iterations);
            return;
        }
        let shared = self.shared;
        shared.entry.store(job.entry as usize, Ordering::Relaxed);
        shared.arguments.store(arguments as usize, Ordering::Relaxed);
        shared.iterations.store(job.iterations, Ordering::Relaxed);
        shared.chunk.store((job.iterations / (threads * 8)).max(1), Ordering::Relaxed);
        shared.threads.store(threads, Ordering::Relaxed);
        shared.next.0.store(0, Ordering::Relaxed);
        shared.pending.0.store(self.workers, Ordering::Relaxed);
        shared.generation.0.fetch_add(1, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            sys::futex_wake(&shared.generation.0);
        }
        claim(shared, self.scratch);
        let mut spins = 0;
        while shared.pending.0.load(Ordering::Acquire) > 0 {
            pause(&mut spins);
        }
    }
}

fn pause(spins: &mut u32) {
    *spins += 1;
    if spins.is_multiple_of(SPINS_BEFORE_YIELD) {
        // There may be fewer processors than threads.
        sys::yield_now();
    } else {
        spin_loop();
    }
}

fn worker(shared: &'static Shared, index: u64, scratch: *mut u8, cpu: Option<u64>) {
    if let Some(cpu) = cpu {
        sys::pin(cpu);
    }
    shared.pending.0.fetch_sub(1, Ordering::Release);
    let mut seen = 0;
    loop {
        seen = next_generation(shared, seen);
        if index < shared.threads.load(Ordering::Relaxed) {
            claim(shared, scratch);
        }
        shared.pending.0.fetch_sub(1, Ordering::Release);
    }
}

/// Waits until the generation is another than `seen`. Generations are never skipped: a worker has to leave each.
fn next_generation(shared: &Shared, seen: u32) -> u32 {
    let mut spins = 0;
    loop {
        let now = shared.generation.0.load(Ordering::Acquire);
        if now != seen {
            return now;
        }
        if spins < SPINS_BEFORE_SLEEP {
            pause(&mut spins);
        } else {
            shared.sleepers.fetch_add(1, Ordering::SeqCst);
            sys::futex_wait(&shared.generation.0, seen);
            shared.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Runs chunks of the current job until none is left.
fn claim(shared: &Shared, scratch: *mut u8) {
    let entry = shared.entry.load(Ordering::Relaxed);
    // SAFETY: the word was an `Entry` when `run` stored it, before this generation began.
    let entry = unsafe { std::mem::transmute::<usize, Entry>(entry) };
    let arguments = shared.arguments.load(Ordering::Relaxed) as *const *mut u8;
    let iterations = shared.iterations.load(Ordering::Relaxed);
    let chunk = shared.chunk.load(Ordering::Relaxed);
    loop {
        let first = shared.next.0.fetch_add(chunk, Ordering::Relaxed);
        if first >= iterations {
            return;
        }
        entry(arguments, scratch, first, (first + chunk).min(iterations));
    }
}
