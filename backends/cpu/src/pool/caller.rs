//! Who calls, and how many threads it may use.
//!
//! A thread that is one of many that compute, a worker of rayon or of a pool here, gets no others: the processors are
//! taken already. `sequentially` says the same for threads that cannot be told from others.
//! Invariant: the answer depends on the calling thread alone, and asking costs no system call but the first time.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// How many scopes of `sequentially` the thread is in.
    static ALONE: Cell<u32> = const { Cell::new(0) };
    /// The processors that the thread may run on; 0: not asked yet.
    static PROCESSORS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`, in which kernels that this thread calls use this thread only, whatever their schedules say.
///
/// Workers of a rayon pool need no such scope: there, calls use one thread anyway.
pub fn sequentially<T>(work: impl FnOnce() -> T) -> T {
    struct Scope;
    impl Drop for Scope {
        fn drop(&mut self) {
            ALONE.with(|depth| depth.set(depth.get() - 1));
        }
    }
    ALONE.with(|depth| depth.set(depth.get() + 1));
    let _scope = Scope;
    work()
}

/// As `sequentially`, for the rest of the thread's life.
pub(super) fn never_parallel() {
    ALONE.with(|depth| depth.set(depth.get() + 1));
}

/// The most threads that a call from this thread may use, itself among them.
pub fn threads_max() -> usize {
    if ALONE.with(Cell::get) > 0 || is_rayon_worker() {
        return 1;
    }
    PROCESSORS.with(|processors| {
        if processors.get() == 0 {
            processors.set(available());
        }
        processors.get()
    })
}

/// The processors that this thread may run on, by its affinity and its control group.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The processors of the machine, whatever this thread may use of them.
pub(super) fn processors() -> usize {
    // SAFETY: asks for a number.
    let configured = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    usize::try_from(configured).unwrap_or(1).max(available())
}

#[cfg(feature = "rayon")]
fn is_rayon_worker() -> bool {
    // There is one rayon-core in a program, whatever versions of rayon there are, so this sees every pool of it.
    rayon::current_thread_index().is_some()
}

#[cfg(not(feature = "rayon"))]
fn is_rayon_worker() -> bool {
    false
}

/// Processes that this one was forked from since the first pool was made: a pool's threads stay in the process that
/// started them.
pub(super) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Counts forks from now on.
pub(super) fn count_forks() {
    extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler adds to an atomic, which is allowed in a child of a process with threads.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        assert_eq!(refused, 0, "a process has room for one more handler");
    });
}
