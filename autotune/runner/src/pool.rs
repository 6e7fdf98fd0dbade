//! The threads that share the iterations of a launch.
//!
//! Iterations are shared as by the pool of the CPU back end, so that what is tuned here is what is run there: each thread
//! begins with its own part, the same in every call, and then takes half of what another one has left. Between launches
//! threads spin, since a wake-up costs more than most launches; after a while without work they sleep.
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
    /// What of each thread's part nobody has taken: the first unit in the low half, the end in the high half.
    parts: Vec<Line<AtomicU64>>,
    /// Workers that have not left the job.
    pending: Line<AtomicU32>,
    entry: AtomicUsize,
    arguments: AtomicUsize,
    iterations: AtomicU64,
    /// Iterations of a unit: one, unless there are more than 2^32.
    grain: AtomicU64,
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
            parts: scratch.iter().map(|_| Line(AtomicU64::new(0))).collect(),
            pending: Line(AtomicU32::new(0)),
            entry: AtomicUsize::new(0),
            arguments: AtomicUsize::new(0),
            iterations: AtomicU64::new(0),
            grain: AtomicU64::new(1),
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
        shared.grain.store(job.iterations.div_ceil(u64::from(u32::MAX)), Ordering::Relaxed);
        shared.threads.store(threads, Ordering::Relaxed);
        share_out(shared);
        shared.pending.0.store(self.workers, Ordering::Relaxed);
        shared.generation.0.fetch_add(1, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            sys::futex_wake(&shared.generation.0);
        }
        claim(shared, 0, self.scratch);
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
            claim(shared, index as usize, scratch);
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

/// Gives every thread of the job a part of its units.
fn share_out(shared: &Shared) {
    let threads = shared.threads.load(Ordering::Relaxed);
    let grain = shared.grain.load(Ordering::Relaxed);
    let units = shared.iterations.load(Ordering::Relaxed).div_ceil(grain);
    for (thread, part) in (0..threads).zip(&shared.parts) {
        let (first, end) = (units * thread / threads, units * (thread + 1) / threads);
        part.0.store(first | end << 32, Ordering::Relaxed);
    }
}

/// Runs what is left of the thread's own part, then of the others'.
fn claim(shared: &Shared, thread: usize, scratch: *mut u8) {
    let entry = shared.entry.load(Ordering::Relaxed);
    // SAFETY: the word was an `Entry` when `run` stored it, before this generation began.
    let entry = unsafe { std::mem::transmute::<usize, Entry>(entry) };
    let arguments = shared.arguments.load(Ordering::Relaxed) as *const *mut u8;
    let iterations = shared.iterations.load(Ordering::Relaxed);
    let grain = shared.grain.load(Ordering::Relaxed);
    let threads = shared.threads.load(Ordering::Relaxed) as usize;
    loop {
        while let Some((first, end)) = take(&shared.parts[thread].0) {
            entry(arguments, scratch, first * grain, (end * grain).min(iterations));
        }
        let mut others = (thread + 1..threads).chain(0..thread);
        let Some((first, end)) = others.find_map(|other| steal(&shared.parts[other].0)) else {
            return;
        };
        shared.parts[thread].0.store(first | end << 32, Ordering::Relaxed);
    }
}

/// Takes units from the front of a part: a quarter of those that are left, so that the last ones are small.
fn take(part: &AtomicU64) -> Option<(u64, u64)> {
    split(part, |first, end| {
        let cut = first + ((end - first) / 4).max(1);
        ((first, cut), (cut, end))
    })
}

/// Takes the later half of what is left of a part.
fn steal(part: &AtomicU64) -> Option<(u64, u64)> {
    split(part, |first, end| {
        let cut = first + (end - first) / 2;
        ((cut, end), (first, cut))
    })
}

type Units = (u64, u64);

/// Parts what is left into what is taken and what stays. A pair of bounds never comes back while a job runs, since its
/// first unit has been taken; so comparing the word is enough.
fn split(part: &AtomicU64, cut: impl Fn(u64, u64) -> (Units, Units)) -> Option<Units> {
    let mut word = part.load(Ordering::Relaxed);
    loop {
        let (first, end) = (word & u64::from(u32::MAX), word >> 32);
        if first >= end {
            return None;
        }
        let (taken, left) = cut(first, end);
        let left = left.0 | left.1 << 32;
        match part.compare_exchange_weak(word, left, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(taken),
            Err(found) => word = found,
        }
    }
}
