//! The clock and the ceilings on the real machine; a program of its own, so that no other test runs meanwhile.
//!
//! Other programs may share the machine all the same: the checks are about orders of magnitude.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test that meets a failure has failed")]

mod ceilings;
mod clock;
#[expect(dead_code, reason = "the tests of sessions use the rest")]
#[path = "../launch/code.rs"]
mod code;
mod work;

use std::sync::{Mutex, MutexGuard};

/// Only one test at a time has the machine.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
