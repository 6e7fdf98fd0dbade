//! What the candidate may not do: limits, signals and the system call filter.
//!
//! The filter leaves only what the waiting loops need, so a candidate cannot open, map, fork, exit or send anything.
//! A signal handler notes where a fault happened and lets the fault kill the process; the note is for people, the
//! verdict comes from the wait status that the launcher sees.

use crate::layout::{Control, Plan};
use crate::sys::{self, SignalAction, number};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;

/// Most bytes of the first thread's stack.
const STACK_BYTES_MAX: u64 = 64 << 20;

const SA_SIGINFO: i32 = 0x4;
const SA_ONSTACK: i32 = 0x0800_0000;

/// From now on nothing can be opened.
pub(crate) fn limit_files() -> Result<(), u32> {
    sys::limit(sys::RLIMIT_NOFILE, 0, 0)
}

/// Bounds everything else. The address space comes last: threads have to exist by then.
pub(crate) fn limit_resources(plan: &Plan) -> Result<(), u32> {
    sys::limit(sys::RLIMIT_CORE, 0, 0)?;
    sys::limit(sys::RLIMIT_FSIZE, 0, 0)?;
    sys::limit(sys::RLIMIT_STACK, STACK_BYTES_MAX, 0)?;
    // The soft limit ends the process with a signal that says why, the hard one would not.
    sys::limit(sys::RLIMIT_CPU, plan.cpu_seconds_max, 1)?;
    sys::limit(sys::RLIMIT_AS, plan.address_bytes_max, 0)?;
    sys::give_up_privileges()
}

static NOTES: AtomicPtr<Control> = AtomicPtr::new(null_mut());

/// Replaces the handlers of the standard library by one that notes the first fault and then gets out of the way.
pub(crate) fn note_faults(control: &'static Control) -> Result<(), u32> {
    NOTES.store(std::ptr::from_ref(control).cast_mut(), Ordering::Relaxed);
    let handler: extern "C" fn(i32, *const u8, *mut u8) = on_fault;
    let action = SignalAction {
        handler: handler as usize,
        mask: [0; 16],
        flags: SA_SIGINFO | SA_ONSTACK,
        restorer: 0,
    };
    [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV]
        .into_iter()
        .try_for_each(|signal| sys::set_action(signal, &action))
}

/// Bytes from the start of a `siginfo_t` to the address of a fault.
const FAULT_OFFSET: usize = 16;

/// Bytes from the start of a `ucontext_t` to the program counter.
#[cfg(target_arch = "x86_64")]
const INSTRUCTION_OFFSET: Option<usize> = Some(168);
#[cfg(target_arch = "aarch64")]
const INSTRUCTION_OFFSET: Option<usize> = Some(440);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const INSTRUCTION_OFFSET: Option<usize> = None;

/// Bytes from the start of a `ucontext_t` to the signals that are blocked after the handler.
#[cfg(target_arch = "x86_64")]
const BLOCKED_OFFSET: usize = 296;
#[cfg(not(target_arch = "x86_64"))]
const BLOCKED_OFFSET: usize = 40;

extern "C" fn on_fault(signal: i32, information: *const u8, context: *mut u8) {
    let notes = NOTES.load(Ordering::Relaxed);
    // SAFETY: `note_faults` stored a reference that lives as long as the process before it installed this handler.
    let notes = unsafe { &*notes };
    static FIRST: AtomicBool = AtomicBool::new(true);
    if !FIRST.swap(false, Ordering::Relaxed) {
        // Another thread is writing its note; the process ends with that one.
        loop {
            std::hint::spin_loop();
        }
    }
    let read = |from: *const u8, offset: usize| {
        // SAFETY: the kernel passes a whole `siginfo_t` and `ucontext_t`; both fields are aligned words.
        unsafe { from.wrapping_add(offset).cast::<u64>().read() }
    };
    notes.fault.store(read(information, FAULT_OFFSET), Ordering::Relaxed);
    let instruction = INSTRUCTION_OFFSET.map_or(0, |offset| read(context, offset));
    notes.instruction.store(instruction, Ordering::Relaxed);
    notes.signal.store(signal.unsigned_abs(), Ordering::Release);
    // Going back raises the fault again; a fault whose signal is blocked ends the process, with no system call.
    let blocked = context.wrapping_add(BLOCKED_OFFSET).cast::<u64>();
    // SAFETY: the mask is an aligned word of the `ucontext_t`, which is this handler's own.
    unsafe { blocked.write(u64::MAX) };
}

/// One instruction of the kernel's packet filter.
#[repr(C)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    value: u32,
}

#[repr(C)]
struct Program {
    count: u16,
    instructions: *const Instruction,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const ARCHITECTURE: u32 = 0;

/// Leaves the calls of the waiting loops; any other kills the process. `false`: this system has no filters.
pub(crate) fn filter_calls() -> bool {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const NUMBER: u32 = 0;
    const MACHINE: u32 = 4;
    const ALLOW: u32 = 0x7fff_0000;
    const KILL_PROCESS: u32 = 0x8000_0000;
    let allowed =
        [number::FUTEX, number::SCHED_YIELD, number::RT_SIGRETURN, number::RESTART_SYSCALL];
    let step = |code, value| Instruction { code, if_true: 0, if_false: 0, value };
    let jump =
        |value, if_true, if_false| Instruction { code: JUMP_IF_EQUAL, if_true, if_false, value };
    let count = allowed.len() as u8;
    let mut instructions = vec![
        step(LOAD, MACHINE),
        // Another architecture jumps over the rest to the kill.
        jump(ARCHITECTURE, 0, count + 1),
        step(LOAD, NUMBER),
    ];
    for (index, call) in allowed.into_iter().enumerate() {
        instructions.push(jump(call as u32, count - index as u8, 0));
    }
    instructions.push(step(RETURN, KILL_PROCESS));
    instructions.push(step(RETURN, ALLOW));
    let program = Program { count: instructions.len() as u16, instructions: instructions.as_ptr() };
    let program = (&raw const program).cast::<c_void>();
    // SAFETY: the program and its instructions live through the call, and every jump stays inside.
    unsafe { sys::filter(program) }.is_ok()
}
