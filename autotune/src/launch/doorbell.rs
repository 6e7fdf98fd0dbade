//! The doorbell and the answer: the parent's side of the control page.
//!
//! Invariant: whatever the child writes to the page, the parent only compares the answer with the number it rang.

use super::layout::Control;
use super::memory::Mapping;
use super::process::Process;
use crate::clock::Stopwatch;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than this the parent does not spin: a wake-up is small against the rest.
const SPIN_MAX: Duration = Duration::from_millis(20);
/// The first and the longest time between two looks at whether the child lives.
const NAP_MIN: Duration = Duration::from_micros(200);
const NAP_MAX: Duration = Duration::from_millis(10);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// The limit has passed.
    Late,
    /// The child has ended.
    Gone,
}

/// The control page.
#[derive(Debug)]
pub(super) struct Doorbell {
    page: Mapping,
    rung: u32,
}

impl Doorbell {
    pub(super) fn new(page: Mapping) -> Self {
        Self { page, rung: 0 }
    }

    pub(super) fn control(&self) -> &Control {
        let start = self.page.start().cast::<Control>();
        // SAFETY: the page is long enough and aligned, zeroes are a valid `Control`, and every field is atomic, so
        // that another process may write it.
        unsafe { start.as_ref() }
    }

    /// What the loader said in the child.
    pub(super) fn message(&self) -> String {
        let words = self.control().message.iter();
        let bytes: Vec<u8> = words
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .take_while(|&byte| byte != 0)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks for `calls` calls of `slot`, or beginning there and of all slots in turn. Time counts from here.
    pub(super) fn ring(&mut self, slot: u64, stays: bool, calls: u64) -> Stopwatch {
        self.rung = self.rung.wrapping_add(1);
        let control = self.control();
        control.slot.store(slot, Ordering::Relaxed);
        control.stays.store(stays.into(), Ordering::Relaxed);
        control.calls.store(calls, Ordering::Relaxed);
        let stopwatch = Stopwatch::start();
        control.doorbell.0.store(self.rung, Ordering::SeqCst);
        futex(&control.doorbell.0, libc::FUTEX_WAKE, u32::MAX >> 1, None);
        stopwatch
    }

    /// Waits for the answer to the last ring; nanoseconds since then.
    pub(super) fn wait(
        &self,
        process: &mut Process,
        stopwatch: Stopwatch,
        limit: Duration,
        spin: bool,
    ) -> Result<u64, Silence> {
        let spin_max = if spin { SPIN_MAX } else { Duration::ZERO };
        let word = &self.control().answer.0;
        wait_until(word, self.rung, process, stopwatch, (limit, spin_max))?;
        Ok(stopwatch.elapsed_ns())
    }

    /// Waits until the child says that it is ready or has failed to become so; returns the state.
    pub(super) fn wait_ready(
        &self,
        process: &mut Process,
        limit: Duration,
    ) -> Result<u32, Silence> {
        let word = &self.control().state.0;
        let limits = (limit, Duration::ZERO);
        match wait_until(word, super::layout::STATE_READY, process, Stopwatch::start(), limits) {
            // A child that has failed says so and ends.
            Err(Silence::Gone) if word.load(Ordering::SeqCst) != 0 => {}
            other => other?,
        }
        Ok(word.load(Ordering::SeqCst))
    }
}

/// Spins, then sleeps, until the word holds `wanted`.
fn wait_until(
    word: &AtomicU32,
    wanted: u32,
    process: &mut Process,
    stopwatch: Stopwatch,
    (limit, spin_max): (Duration, Duration),
) -> Result<(), Silence> {
    let mut nap = NAP_MIN;
    let mut look = NAP_MIN;
    loop {
        let seen = word.load(Ordering::SeqCst);
        if seen == wanted {
            return Ok(());
        }
        let elapsed = stopwatch.elapsed();
        if elapsed >= limit {
            return Err(Silence::Late);
        }
        if elapsed >= look {
            // The answer may have come between the two looks.
            if process.ended().is_some() && word.load(Ordering::SeqCst) != wanted {
                return Err(Silence::Gone);
            }
            look = elapsed + nap;
        }
        if elapsed < spin_max {
            spin(word, wanted);
        } else {
            futex(word, libc::FUTEX_WAIT, seen, Some(nap.min(limit - elapsed)));
            nap = (nap * 2).min(NAP_MAX);
        }
    }
}

fn spin(word: &AtomicU32, wanted: u32) {
    for _ in 0..64 {
        if word.load(Ordering::Acquire) == wanted {
            return;
        }
        std::hint::spin_loop();
    }
}

fn futex(word: &AtomicU32, operation: i32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word and the timeout live through the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout) };
}
