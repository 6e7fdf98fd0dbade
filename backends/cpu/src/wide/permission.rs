//! The right to use tile registers, which Linux gives to a process that asks for it.
//!
//! A process that never asks is killed by its first instruction on tiles. The right holds for all threads until the
//! process ends or starts another program.
//! Invariant: the system is asked once in a process.

use std::sync::OnceLock;

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[cfg(target_os = "linux")]
const REQUEST: (libc::c_long, libc::c_long, libc::c_long) = (libc::SYS_arch_prctl, 0x1023, 18);

/// Bits of leaf 7, edx: products of tiles of bf16, tiles, products of tiles of bytes.
const WANTED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
/// The last leaf that is asked.
const LEAF: u32 = 7;

/// Whether the processor has tile registers and this process may use them.
pub(super) fn has_tiles() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| processor_has() && granted())
}

fn processor_has() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    __cpuid(0).eax >= LEAF && __cpuid_count(LEAF, 0).edx & WANTED == WANTED
}

/// Asks the system, which refuses where it does not save tiles between threads.
#[cfg(target_os = "linux")]
fn granted() -> bool {
    let (number, request, feature) = REQUEST;
    // SAFETY: the call takes two numbers and sets an attribute of this process.
    unsafe { libc::syscall(number, request, feature) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}
