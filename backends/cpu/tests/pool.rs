//! The pool under stress: every iteration runs once, whoever calls, however often, and whatever happens on the way.
//!
//! Threads outnumber the processors in most of these tests, so that every order of events turns up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tilewright_cpu::pool::{Pool, sequentially, threads_max};

/// Runs a job and checks that it visits every iteration once; the number of threads that took part.
fn visits(pool: &Pool, iterations: u64, threads: u64) -> usize {
    let counts: Vec<_> = (0..iterations).map(|_| AtomicU64::new(0)).collect();
    let own: Vec<_> = (0..threads.max(1)).map(|_| AtomicU64::new(0)).collect();
    pool.run(iterations, threads, &|thread, first, end| {
        for count in &counts[first as usize..end as usize] {
            count.fetch_add(1, Ordering::Relaxed);
        }
        own[thread].fetch_add(1, Ordering::Relaxed);
    });
    let missed = counts.iter().position(|count| count.load(Ordering::Relaxed) != 1);
    assert_eq!(missed, None, "of {iterations} iterations on {threads} threads");
    own.iter().filter(|calls| calls.load(Ordering::Relaxed) > 0).count()
}

#[test]
fn thousands_of_calls_visit_every_iteration_once() {
    let pool = Pool::new(4);
    for call in 0..4_000_u64 {
        visits(&pool, call % 97, 1 + call % 6);
        if call % 1_000 == 0 {
            // The workers fall asleep, now and then in the middle of the next call.
            thread::sleep(Duration::from_micros(700 + call));
        }
    }
}

#[test]
fn more_iterations_than_a_word_holds_are_taken_in_grains() {
    let pool = Pool::new(3);
    let iterations = (1_u64 << 32) * 5 + 3;
    let seen = AtomicU64::new(0);
    pool.run(iterations, 3, &|_, first, end| {
        assert!(first < end && end <= iterations);
        seen.fetch_add(end - first, Ordering::Relaxed);
    });
    assert_eq!(seen.into_inner(), iterations);
}

#[test]
fn unequal_iterations_are_shared() {
    let pool = Pool::new(2);
    let threads = [AtomicU64::new(0), AtomicU64::new(0)];
    pool.run(64, 2, &|thread, first, end| {
        // All the work lies in the caller's half.
        for _ in (first..end).filter(|&iteration| iteration < 32) {
            thread::sleep(Duration::from_micros(300));
            threads[thread].fetch_add(1, Ordering::Relaxed);
        }
    });
    let [caller, other] = threads.map(AtomicU64::into_inner);
    assert_eq!(caller + other, 32);
    assert!(other >= 8, "the other thread took {other} of 32 iterations");
}

#[test]
fn callers_that_come_together_do_their_own_work() {
    let pool = Pool::new(3);
    thread::scope(|scope| {
        for caller in 0..4_u64 {
            let pool = &pool;
            scope.spawn(move || {
                (0..500).for_each(|call| _ = visits(pool, 1 + call % 40, 1 + caller));
            });
        }
    });
}

#[test]
fn one_caller_has_the_pool() {
    let pool = Pool::new(2);
    let turn = pool.turn().unwrap();
    assert!(pool.turn().is_none());
    assert_eq!(visits(&pool, 10, 2), 1, "the second caller has its own thread only");
    drop(turn);
    assert!(pool.turn().is_some());
}

#[test]
fn a_job_that_calls_the_pool_again_runs_inside() {
    let pool = Pool::new(3);
    let seen = AtomicUsize::new(0);
    pool.run(16, 3, &|_, first, end| {
        for _ in first..end {
            pool.run(10, 3, &|_, first, end| {
                _ = seen.fetch_add((end - first) as usize, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(seen.into_inner(), 160);
}

#[test]
fn panics_reach_the_caller_and_leave_the_pool_whole() {
    let pool = Pool::new(3);
    for call in 0..200_u64 {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(30, 3, &|_, first, end| {
                assert!(!(first..end).contains(&(call % 30)), "iteration {}", call % 30);
            });
        }));
        let payload = outcome.unwrap_err();
        assert_eq!(*payload.downcast::<String>().unwrap(), format!("iteration {}", call % 30));
        visits(&pool, 30, 3);
    }
}

#[test]
fn pools_come_and_go() {
    for round in 0..100_u64 {
        let pools: Vec<_> = (0..4).map(|_| Pool::new(3)).collect();
        for pool in pools.iter().take((round % 5) as usize) {
            visits(pool, 20, 3);
        }
        if round % 10 == 0 {
            // Some are dropped while their workers sleep.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_forked_process_does_without_its_parents_threads() {
    let pool = Pool::new(3);
    visits(&pool, 50, 3);
    // SAFETY: the child only runs the code below, which needs no lock that another thread may hold: it makes no output
    // and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let own = Pool::new(3);
        let whole = catch_unwind(AssertUnwindSafe(|| {
            assert_eq!(visits(&pool, 50, 3), 1);
            visits(&own, 50, 3);
            visits(Pool::of_process(), 50, 3);
            drop(pool);
        }));
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(i32::from(whole.is_err())) };
    }
    assert!(child > 0, "the system forks");
    let mut status = 0;
    // SAFETY: waits for our own child and writes its status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child ends well");
    visits(&pool, 50, 3);
}

#[test]
fn who_computes_with_others_gets_no_threads() {
    assert_eq!(threads_max(), thread::available_parallelism().unwrap().get());
    assert_eq!(sequentially(|| sequentially(threads_max) + threads_max()), 2);
    assert_eq!(threads_max(), thread::available_parallelism().unwrap().get());
    let unwound = catch_unwind(|| sequentially(|| std::panic::resume_unwind(Box::new(()))));
    assert!(unwound.is_err());
    assert_eq!(threads_max(), thread::available_parallelism().unwrap().get());
    let workers = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    assert_eq!(workers.install(threads_max), 1, "a worker of rayon");
    let seen = AtomicUsize::new(0);
    Pool::new(2).run(2, 2, &|thread, _, _| {
        if thread == 1 {
            seen.fetch_max(threads_max(), Ordering::Relaxed);
        }
    });
    assert!(seen.into_inner() <= 1, "a worker of a pool");
}
