//! The right to use tile registers, which Linux gives to a process that asks for it.
//!
//! A process that never asks is killed by its first instruction on tiles. The right holds for all threads until the
//! process ends or starts another program.
//! Invariant: the system is asked once in a process, by what compiles; exported code asks for itself.

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)` on x86-64.
pub(crate) const REQUEST: (u32, u32, u32) = (158, 0x1023, 18);

/// Whether the processor has tile registers and this process may use them.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_tiles() -> bool {
    use std::sync::OnceLock;
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| processor_has() && granted())
}

#[cfg(target_arch = "x86_64")]
fn processor_has() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    /// Bits of leaf 7, edx: products of tiles of bf16, tiles, products of tiles of bytes.
    const WANTED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    /// The last leaf that is asked.
    const LEAF: u32 = 7;
    __cpuid(0).eax >= LEAF && __cpuid_count(LEAF, 0).edx & WANTED == WANTED
}

/// Asks the system, which refuses where it does not save tiles between threads.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn granted() -> bool {
    let (number, request, feature) = REQUEST;
    // SAFETY: the call takes two numbers and sets an attribute of this process.
    unsafe { libc::syscall(number.into(), u64::from(request), u64::from(feature)) == 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn granted() -> bool {
    false
}
