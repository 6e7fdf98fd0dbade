//! The back ends that this build has registered. Today: the CPU it runs on, and CPUs that code is exported for.
//!
//! Invariant: detection happens once in a process, so two questions get the same answer.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use tilewright_cpu::CpuBackend;
use tilewright_cpu::export::Machine;
use tilewright_ir::backend::{Backend, Unsupported};

/// The code generator for the machine this process runs on.
///
/// # Errors
/// When there is no code generator for this machine.
pub fn backend() -> Result<&'static dyn Backend, Unsupported> {
    static HOST: OnceLock<Result<CpuBackend, Unsupported>> = OnceLock::new();
    match HOST.get_or_init(CpuBackend::host) {
        Ok(backend) => Ok(backend),
        Err(unsupported) => Err(unsupported.clone()),
    }
}

/// The code generator for a machine that need not be this one. Each is made once in a process and kept.
///
/// Elsewhere than on the host's architecture it has so many threads, which default schedules make use of.
///
/// # Errors
/// When there is no code generator for that machine.
pub fn backend_for(machine: Machine, threads: u64) -> Result<&'static dyn Backend, Unsupported> {
    static MADE: Mutex<BTreeMap<(Machine, u64), &'static CpuBackend>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&known) = made.get(&(machine, threads)) {
        return Ok(known);
    }
    let fresh: &'static CpuBackend =
        Box::leak(Box::new(CpuBackend::for_machine(machine, threads)?));
    made.insert((machine, threads), fresh);
    Ok(fresh)
}

/// A code generator as it would be with at most so many threads. Each is made once in a process and kept.
pub(crate) fn limited(backend: &'static dyn Backend, threads_max: u64) -> &'static dyn Backend {
    type Known = BTreeMap<(usize, u64), &'static dyn Backend>;
    static MADE: Mutex<Known> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    // It lives as long as the process, so its address is its own.
    let key = (std::ptr::from_ref(backend).addr(), threads_max);
    if let Some(&known) = made.get(&key) {
        return known;
    }
    let Some(fresh) = backend.with_threads_max(threads_max) else { return backend };
    let fresh: &'static dyn Backend = Box::leak(fresh);
    made.insert(key, fresh);
    fresh
}
