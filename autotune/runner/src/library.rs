//! A shared library as candidate: loaded behind the first lock, called behind the second.
//!
//! The function has the interface of exported kernels: arrays, workspace, its bytes, a parallel loop, and a code to
//! return. Invariant: nothing of the library runs before the first lock is in force.

use crate::layout::{Control, Plan};
use crate::memory::{Files, Memory};
use crate::sys;
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::Ordering;

/// Most arguments of a function. More are handed over than it takes, which conventions of C allow.
const ARGUMENTS_MAX: usize = 24;

type Word = u64;
type Function = extern "C" fn(
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
    Word,
) -> i32;
type WorkspaceBytes = extern "C" fn(u64) -> u64;

/// A loaded function with the arguments of each slot.
#[derive(Debug)]
pub(crate) struct Library {
    function: Function,
    arguments: Vec<[Word; ARGUMENTS_MAX]>,
}

/// Loads the library and finds its function; the error has been written to the control page.
pub(crate) fn load(
    plan: &Plan,
    memory: &Memory,
    files: Files,
    control: &Control,
) -> Result<Library, u32> {
    const NO_LIBRARY_ERROR: u32 = 79;
    let told = |text: &CStr| {
        tell(control, text);
        NO_LIBRARY_ERROR
    };
    let path = CString::new(format!("/proc/self/fd/{}", files.library)).map_err(|_| 22_u32)?;
    let name: Vec<u8> = plan.symbol.iter().map(|&byte| byte as u8).collect();
    let ask = [&name[..], b"_workspace_bytes"].concat();
    let name = CString::new(name).map_err(|_| 22_u32)?;
    let ask = CString::new(ask).map_err(|_| 22_u32)?;
    let library = sys::load(&path).map_err(told)?;
    // SAFETY: the loader's handle begins with the address that the library was moved by.
    let base = unsafe { library.cast::<u64>().read() };
    control.base.store(base, Ordering::Relaxed);
    // SAFETY: the handle was just made.
    let function = unsafe { sys::find(library, &name) }.map_err(told)?;
    // SAFETY: the launcher asked for a function of this name; that it is one is the candidate's matter.
    let function = unsafe { std::mem::transmute::<*mut c_void, Function>(function) };
    // SAFETY: the handle was just made.
    if let Ok(ask) = unsafe { sys::find(library, &ask) } {
        // SAFETY: as above.
        let ask = unsafe { std::mem::transmute::<*mut c_void, WorkspaceBytes>(ask) };
        control.workspace_bytes.store(ask(1), Ordering::Relaxed);
    }
    let arguments = memory.arguments.iter().map(|slot| words(plan, slot)).collect();
    Ok(Library { function, arguments })
}

/// The arrays, the workspace, its bytes, and no parallel loop.
fn words(plan: &Plan, slot: &[*mut u8]) -> [Word; ARGUMENTS_MAX] {
    let mut words = [0; ARGUMENTS_MAX];
    for (word, pointer) in words.iter_mut().zip(slot) {
        *word = *pointer as u64;
    }
    if plan.workspace_bytes > 0 {
        words[slot.len()] = plan.workspace_bytes;
    }
    words
}

impl Library {
    /// Calls the function on a slot and notes what it returns and leaves.
    pub(crate) fn call(&self, slot: usize, control: &Control) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x] =
            self.arguments[slot];
        usual_modes();
        let code =
            (self.function)(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);
        if code != 0 {
            control.code.store(code.cast_unsigned(), Ordering::Relaxed);
        }
        if !has_usual_modes() {
            control.modes.store(1, Ordering::Relaxed);
        }
    }
}

/// The modes of C: every exception masked, rounding to nearest, subnormals kept.
#[cfg(target_arch = "x86_64")]
const MODES: u32 = 0x1f80;

/// Floating-point modes as C has them, whatever a constructor or an earlier call left.
fn usual_modes() {
    #[cfg(target_arch = "x86_64")]
    {
        let modes = MODES;
        // SAFETY: reads one word; these are the modes that compiled code expects.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const modes, options(nostack)) };
    }
}

/// Whether the modes are those of C.
fn has_usual_modes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // The low six bits only tell what has happened.
        const TOLD: u32 = 0x3f;
        let mut modes = 0_u32;
        // SAFETY: writes one word, which is there.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut modes, options(nostack)) };
        modes & !TOLD == MODES
    }
    #[cfg(not(target_arch = "x86_64"))]
    true
}

fn tell(control: &Control, text: &CStr) {
    for (word, bytes) in control.message.iter().zip(text.to_bytes().chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
}
