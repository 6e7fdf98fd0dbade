//! A fork-join pool for a kernel's own parallel loop.
//!
//! Waking a sleeping thread costs tens of microseconds, so workers spin for a while after each job before they sleep.
//! Every thread begins with its own part of the iterations, the same for each call, so that what it had in its caches is
//! still there; who has finished takes half of what another one has left. One caller has the pool at a time, and whoever
//! comes meanwhile runs its iterations itself. No thread is bound to a processor.
//! Invariant: `run` returns only when every iteration has finished, so borrowed data may be used by the workers.

mod caller;
mod slot;

pub use caller::{sequentially, threads_max};

use slot::{Found, Job, Order, Slot};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Looks of a worker at its state before it sleeps: about 0.5 ms.
const LOOKS_BEFORE_SLEEP: u32 = 20_000;
/// Looks of a caller at a worker before it lets others run; there may be fewer processors than threads.
const LOOKS_BEFORE_YIELD: u32 = 5_000;

struct Shared {
    /// The first is the caller's.
    slots: Box<[Slot]>,
    /// What a job on a worker panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Whether `panic` holds something.
    has_panicked: AtomicBool,
}

/// Threads that share the iterations of a launch with the calling thread.
pub struct Pool {
    shared: Arc<Shared>,
    /// Whether a caller has the pool.
    is_taken: AtomicBool,
    /// The workers; the first of them has the second slot. Only the caller that has the pool adds some.
    workers: Mutex<Vec<JoinHandle<()>>>,
    workers_started: AtomicUsize,
    /// `caller::forks` when the pool was made.
    forks: u64,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads_max = self.shared.slots.len();
        f.debug_struct("Pool").field("threads_max", &threads_max).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of at most `threads_max` threads, the caller among them. Threads start when a job needs them.
    pub fn new(threads_max: usize) -> Self {
        caller::count_forks();
        let shared = Shared {
            slots: (0..threads_max.max(1)).map(|_| Slot::new()).collect(),
            panic: Mutex::new(None),
            has_panicked: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            is_taken: AtomicBool::new(false),
            workers: Mutex::default(),
            workers_started: AtomicUsize::new(0),
            forks: caller::forks(),
        }
    }

    /// The pool that all kernels of this process share, so that their threads are never more than its processors.
    pub fn of_process() -> &'static Self {
        static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());
        let known = POOL.load(Ordering::Acquire);
        // SAFETY: what the pointer has ever pointed to is never freed.
        if let Some(pool) = unsafe { known.as_ref() }
            && pool.is_of_this_process()
        {
            return pool;
        }
        // A process that was forked leaves its parent's pool alone: its threads are not here.
        let fresh = Box::into_raw(Box::new(Self::new(caller::processors())));
        match POOL.compare_exchange(known, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the box was leaked, so it lives for ever.
            Ok(_) => unsafe { &*fresh },
            Err(other) => {
                // SAFETY: `fresh` comes from a box that nobody else knows.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: another thread has put a leaked box there.
                unsafe { &*other }
            }
        }
    }

    /// The right to use the pool's threads; `None` while another caller has it, and in a process that was forked.
    pub fn turn(&self) -> Option<Turn<'_>> {
        // Most often nobody has it; a look first spares those who do not get it the write.
        let is_free = self.is_of_this_process()
            && !self.is_taken.load(Ordering::Relaxed)
            && !self.is_taken.swap(true, Ordering::Acquire);
        is_free.then(|| Turn { pool: self })
    }

    /// Runs `job(thread, first, end)` over disjoint chunks that cover `0..iterations`, on at most `threads` threads:
    /// on the calling one alone if another caller has the pool.
    ///
    /// # Panics
    /// If the job does, on whatever thread; then iterations may be left out.
    pub fn run(&self, iterations: u64, threads: u64, job: &(dyn Fn(usize, u64, u64) + Sync)) {
        match self.turn() {
            Some(mut turn) => turn.run(iterations, threads, job),
            None => job(0, 0, iterations),
        }
    }

    fn is_of_this_process(&self) -> bool {
        self.forks == caller::forks()
    }

    /// Starts workers until there are so many, and tells how many there are.
    fn start(&self, wanted: usize) -> usize {
        let started = self.workers_started.load(Ordering::Relaxed);
        if started >= wanted {
            return wanted;
        }
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        while workers.len() < wanted {
            let (shared, thread) = (Arc::clone(&self.shared), workers.len() + 1);
            let builder = std::thread::Builder::new().name("tilewright".to_string());
            // Where no thread can be had, the others do its work.
            let Ok(worker) = builder.spawn(move || work(&shared, thread)) else { break };
            workers.push(worker);
        }
        self.workers_started.store(workers.len(), Ordering::Relaxed);
        workers.len()
    }

    fn wake(&self, worker: usize) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers[worker].thread().unpark();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let workers = self.workers.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.forks != caller::forks() {
            // The handles are of threads of another process.
            std::mem::forget(std::mem::take(workers));
            return;
        }
        for (slot, worker) in self.shared.slots.iter().skip(1).zip(&*workers) {
            slot.stop();
            worker.thread().unpark();
        }
        for worker in workers.drain(..) {
            // A worker catches what its jobs panic with, so there is nothing to hear.
            let _ = worker.join();
        }
    }
}

/// The right of one caller to use a pool's threads.
#[derive(Debug)]
pub struct Turn<'p> {
    pool: &'p Pool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.is_taken.store(false, Ordering::Release);
    }
}

impl Turn<'_> {
    /// Runs `job(thread, first, end)` over disjoint chunks that cover `0..iterations`, on at most `threads` threads,
    /// of which the calling one is number 0.
    ///
    /// # Panics
    /// As `Pool::run`.
    pub fn run(&mut self, iterations: u64, threads: u64, job: &(dyn Fn(usize, u64, u64) + Sync)) {
        let slots = &*self.pool.shared.slots;
        let threads = threads.min(iterations).min(slots.len() as u64) as usize;
        let threads = 1 + self.pool.start(threads.saturating_sub(1));
        if threads <= 1 {
            return job(0, 0, iterations);
        }
        let order = Order {
            job: erase(job),
            threads,
            iterations,
            grain: iterations.div_ceil(u64::from(u32::MAX)),
        };
        self.pool.shared.forget_panic();
        order.share_out(slots);
        let join = Join { shared: &self.pool.shared, threads };
        for (thread, slot) in slots.iter().enumerate().take(threads).skip(1) {
            if slot.publish(order) {
                self.pool.wake(thread - 1);
            }
        }
        drain(slots, 0, &order, job);
        drop(join);
        self.pool.shared.resume_panic();
    }
}

/// Waits for the workers when it goes, also if the caller's part of the job panics.
struct Join<'a> {
    shared: &'a Shared,
    threads: usize,
}

impl Drop for Join<'_> {
    fn drop(&mut self) {
        for slot in self.shared.slots.iter().take(self.threads).skip(1) {
            let mut looks = 0;
            while !slot.is_free() {
                looks += 1;
                if looks < LOOKS_BEFORE_YIELD {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }
}

impl Shared {
    /// What a worker panicked with while the caller panicked, too, was of no use.
    fn forget_panic(&self) {
        // A look first: the workers read this line.
        if self.has_panicked.load(Ordering::Relaxed) {
            self.has_panicked.store(false, Ordering::Relaxed);
        }
    }

    fn resume_panic(&self) {
        if self.has_panicked.load(Ordering::Relaxed) {
            self.forget_panic();
            let payload = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(payload) = payload {
                resume_unwind(payload);
            }
        }
    }
}

impl Order {
    /// Gives every thread a part of the units, the first ones to the caller.
    fn share_out(&self, slots: &[Slot]) {
        let units = self.iterations.div_ceil(self.grain);
        let bound = |thread: usize| (units * thread as u64 / self.threads as u64) as u32;
        for (thread, slot) in slots.iter().enumerate().take(self.threads) {
            slot.fill(bound(thread), bound(thread + 1));
        }
    }
}

/// Forgets how long a job lives; `run` waits for all workers before it returns.
fn erase<'job>(job: &'job (dyn Fn(usize, u64, u64) + Sync + 'job)) -> *const Job {
    let pointer: *const (dyn Fn(usize, u64, u64) + Sync + 'job) = job;
    // SAFETY: the two pointer types differ only in the lifetime bound of the trait object.
    unsafe { std::mem::transmute(pointer) }
}

fn work(shared: &Shared, thread: usize) {
    caller::never_parallel();
    let slot = &shared.slots[thread];
    let mut looks = 0;
    loop {
        match slot.look() {
            Found::Stop => return,
            Found::Order(order) => {
                // SAFETY: the caller keeps the job alive until the slot says that the order is done.
                let job = unsafe { &*order.job };
                let run = AssertUnwindSafe(|| drain(&shared.slots, thread, &order, job));
                if let Err(payload) = catch_unwind(run) {
                    *shared.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
                    shared.has_panicked.store(true, Ordering::Relaxed);
                }
                slot.finish();
                looks = 0;
            }
            Found::Nothing if looks < LOOKS_BEFORE_SLEEP => {
                looks += 1;
                std::hint::spin_loop();
            }
            Found::Nothing => {
                looks = 0;
                let is_asleep = slot.park();
                while is_asleep && slot.is_parked() {
                    std::thread::park();
                }
            }
        }
    }
}

/// Runs what is left of the thread's own part, then of the others'.
fn drain(slots: &[Slot], thread: usize, order: &Order, job: &(dyn Fn(usize, u64, u64) + Sync)) {
    loop {
        while let Some((first, end)) = slots[thread].take() {
            let (first, end) = (u64::from(first) * order.grain, u64::from(end) * order.grain);
            job(thread, first, end.min(order.iterations));
        }
        let mut others = (thread + 1..order.threads).chain(0..thread);
        let Some((first, end)) = others.find_map(|other| slots[other].steal()) else { return };
        slots[thread].fill(first, end);
    }
}
