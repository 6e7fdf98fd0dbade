//! What one thread of a pool and its caller say to each other: a state, an order and a range of iterations.
//!
//! The caller writes an order while the worker is idle and publishes it; the worker takes it, or the caller takes it
//! back if the worker has not come by then. Ranges are taken from the front by their thread and from the back by others.
//! Invariant: a worker reads an order only after it has taken it, and the caller returns only after every order that was
//! taken is finished, so what an order points to lives as long as anybody reads it.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A job: called as `(thread, first, end)`.
pub(super) type Job = dyn Fn(usize, u64, u64) + Sync;

/// Nothing to do; the worker looks at the state again and again.
const IDLE: u32 = 0;
/// Nothing to do; the worker sleeps.
const PARKED: u32 = 1;
/// There is an order that nobody has taken.
const PUBLISHED: u32 = 2;
/// The worker follows the order.
const TAKEN: u32 = 3;
/// The worker ends.
const STOPPED: u32 = 4;

/// What to do: a job and how its iterations are counted.
#[derive(Clone, Copy)]
pub(super) struct Order {
    /// The job; alive until every thread that took the order has finished.
    pub(super) job: *const Job,
    /// Threads among which the ranges lie.
    pub(super) threads: usize,
    /// Iterations of the job.
    pub(super) iterations: u64,
    /// Iterations that are taken together: one, unless there are more than 2^32.
    pub(super) grain: u64,
}

/// What a thread finds when it looks for an order.
pub(super) enum Found {
    /// No order.
    Nothing,
    /// An order, which is taken now.
    Order(Order),
    /// The end.
    Stop,
}

/// The place of one thread. Two lines, since processors fetch lines in pairs.
#[repr(align(128))]
pub(super) struct Slot {
    state: AtomicU32,
    order: UnsafeCell<Option<Order>>,
    /// Units that nobody has taken: the first in the low half, the end in the high half.
    range: AtomicU64,
}

// SAFETY: `order` is written by the caller in states that the worker leaves alone (idle, parked) and read by the worker
// once it has moved the state from published to taken; the state's acquire and release order the two.
unsafe impl Sync for Slot {}
// SAFETY: as above; an order is plain data.
unsafe impl Send for Slot {}

impl Slot {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(IDLE), order: UnsafeCell::new(None), range: AtomicU64::new(0) }
    }

    /// Fills the range; nobody may be taking units.
    pub(super) fn fill(&self, first: u32, end: u32) {
        self.range.store(pack(first, end), Ordering::Relaxed);
    }

    /// Publishes an order to an idle worker; `true` if it sleeps and has to be woken. Only the caller that has the pool
    /// publishes, and only after it has collected the order before.
    pub(super) fn publish(&self, order: Order) -> bool {
        // SAFETY: the state is idle or parked, so the worker does not look at the order.
        unsafe { *self.order.get() = Some(order) };
        self.state.swap(PUBLISHED, Ordering::AcqRel) == PARKED
    }

    /// Takes an unclaimed order back; `true` if the worker does not follow it, now or ever.
    pub(super) fn is_free(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            TAKEN => false,
            PUBLISHED => self
                .state
                .compare_exchange(PUBLISHED, IDLE, Ordering::Relaxed, Ordering::Acquire)
                .is_ok(),
            _ => true,
        }
    }

    /// For the worker: what there is to do.
    pub(super) fn look(&self) -> Found {
        match self.state.load(Ordering::Relaxed) {
            PUBLISHED => {}
            STOPPED => return Found::Stop,
            _ => return Found::Nothing,
        }
        let taken =
            self.state.compare_exchange(PUBLISHED, TAKEN, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return Found::Nothing;
        }
        // SAFETY: the state is taken, so the caller does not write the order.
        let order = unsafe { *self.order.get() };
        Found::Order(order.expect("an order is written before it is published"))
    }

    /// For the worker: the order is done, and nothing of it is read any more.
    pub(super) fn finish(&self) {
        self.state.store(IDLE, Ordering::Release);
    }

    /// For the worker: whether it may sleep. If so, it sleeps until `is_parked` is false.
    pub(super) fn park(&self) -> bool {
        self.state.compare_exchange(IDLE, PARKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// For the worker: whether it is still to sleep.
    pub(super) fn is_parked(&self) -> bool {
        self.state.load(Ordering::Acquire) == PARKED
    }

    /// Tells the worker to end; nobody publishes any more.
    pub(super) fn stop(&self) {
        self.state.store(STOPPED, Ordering::Release);
    }

    /// Takes units from the front: a quarter of those that are left, so that the last ones are small.
    pub(super) fn take(&self) -> Option<(u32, u32)> {
        self.split(|first, end| {
            let cut = first + ((end - first) / 4).max(1);
            ((first, cut), (cut, end))
        })
    }

    /// Takes the later half of the units that are left, for another thread.
    pub(super) fn steal(&self) -> Option<(u32, u32)> {
        self.split(|first, end| {
            let cut = first + (end - first) / 2;
            ((cut, end), (first, cut))
        })
    }

    /// Parts what is left into what is taken and what stays. A pair of bounds never comes back while a job runs, since
    /// its first unit has been taken; so comparing the word is enough.
    fn split(&self, part: impl Fn(u32, u32) -> ((u32, u32), (u32, u32))) -> Option<(u32, u32)> {
        let mut word = self.range.load(Ordering::Relaxed);
        loop {
            let (first, end) = unpack(word);
            if first >= end {
                return None;
            }
            let (taken, left) = part(first, end);
            let left = pack(left.0, left.1);
            match self.range.compare_exchange_weak(word, left, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(taken),
                Err(found) => word = found,
            }
        }
    }
}

fn pack(first: u32, end: u32) -> u64 {
    u64::from(first) | u64::from(end) << 32
}

fn unpack(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}
