//! The back ends that this build has registered. Today: the CPU it runs on.
//!
//! Invariant: detection happens once in a process, so two questions get the same answer.

use std::sync::OnceLock;
use tilewright_cpu::CpuBackend;
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
