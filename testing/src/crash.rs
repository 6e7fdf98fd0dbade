//! Which draws were under way when generated code crashed.
//!
//! A fault of memory in generated code ends the process; a handler of the signal first prints the seeds that every
//! thread was at, so that the draw can be replayed. Invariant: the handler only writes to standard error and leaves.

use std::sync::atomic::{AtomicU64, Ordering};

/// Threads whose seeds are kept.
const SLOTS: usize = 64;
static SEEDS: [AtomicU64; SLOTS] = [const { AtomicU64::new(u64::MAX) }; SLOTS];

/// Prints the seeds of all threads when the process gets a fatal signal. A fuzzer has handlers of its own.
pub fn install() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        let handler: extern "C" fn(i32) = report;
        // SAFETY: the handler makes only calls that a signal handler may make.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
}

/// Notes the seed that a thread is at.
pub fn at(thread: usize, seed: u64) {
    SEEDS[thread % SLOTS].store(seed, Ordering::Relaxed);
}

extern "C" fn report(signal: i32) {
    write(b"generated code crashed; the draws under way:\n");
    for seed in &SEEDS {
        let seed = seed.load(Ordering::Relaxed);
        if seed != u64::MAX {
            write(b"TILEWRIGHT_SEED=");
            let mut digits = [0; 20];
            write(decimal(seed, &mut digits));
            write(b"\n");
        }
    }
    // SAFETY: the default action ends the process, as it would have without a handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: as above.
    unsafe { libc::raise(signal) };
}

fn write(bytes: &[u8]) {
    // SAFETY: the bytes are readable for the length given.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}
