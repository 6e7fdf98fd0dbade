//! The program in which a candidate runs.
//!
//! It takes four open memory files and the launcher's process id, maps what the plan in the second one says, gives up
//! every right it can, and then answers the doorbell: so many calls over the slots in turn, then the answer.
//! It knows no expected value, reads no clock and prints nothing. Invariant: everything that a candidate could use
//! against the launcher is gone before the first call.

mod layout;
mod memory;
mod pool;
mod sandbox;
mod sys;

use layout::{Control, MAGIC, Plan, STATE_FAILED, STATE_READY};
use memory::{Files, Memory};
use pool::{Entry, Job, Pool};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Turns of the loop that waits for the doorbell before it sleeps.
const SPINS_BEFORE_SLEEP: u32 = 20_000;

fn main() -> ExitCode {
    let words: Vec<u32> = std::env::args().skip(1).map_while(|word| word.parse().ok()).collect();
    let [control, image, inputs, outputs, plan_bytes, parent] = words[..] else {
        return ExitCode::from(2);
    };
    let file = |number: u32| number.cast_signed();
    let files = Files {
        control: file(control),
        image: file(image),
        inputs: file(inputs),
        outputs: file(outputs),
    };
    if !sys::die_with_parent(parent) {
        return ExitCode::from(3);
    }
    let Ok(control) = map_control(files) else { return ExitCode::from(4) };
    let Err((stage, error)) = serve(control, files, plan_bytes as usize);
    control.stage.store(stage, Ordering::Relaxed);
    control.error.store(error, Ordering::Relaxed);
    control.state.0.store(STATE_FAILED, Ordering::SeqCst);
    sys::futex_wake(&control.state.0);
    ExitCode::from(1)
}

fn map_control(files: Files) -> Result<&'static Control, u32> {
    let protection = sys::PROT_READ | sys::PROT_WRITE;
    let (bytes, shared) = (size_of::<Control>(), sys::MAP_SHARED);
    // SAFETY: not fixed, the kernel picks a free range.
    let page =
        unsafe { sys::map(std::ptr::null_mut(), bytes, protection, shared, files.control, 0) }?;
    // SAFETY: the launcher made the file at least as long as a `Control`; the page stays mapped for ever, and all
    // fields are atomics.
    Ok(unsafe { &*page.cast::<Control>() })
}

/// Sets up and answers for ever. The error is the index of a stage and an errno.
fn serve(
    control: &'static Control,
    files: Files,
    plan_bytes: usize,
) -> Result<std::convert::Infallible, (u32, u32)> {
    let at = |stage: u32| move |error: u32| (stage, error);
    let plan = read_plan(files, plan_bytes).map_err(at(0))?;
    let memory = memory::map_all(&plan, files).map_err(at(1))?;
    sys::close_all();
    sys::ask_for_tiles();
    let pool = Pool::start(&memory.scratch, &plan.cpus).map_err(at(3))?;
    sandbox::note_faults(control).map_err(at(2))?;
    sandbox::limit_resources(&plan).map_err(at(2))?;
    control.filtered.store(u32::from(sandbox::filter_calls()), Ordering::Relaxed);
    control.state.0.store(STATE_READY, Ordering::SeqCst);
    sys::futex_wake(&control.state.0);
    let jobs = jobs(&plan, &memory);
    let mut seen = 0;
    loop {
        seen = next_request(control, seen);
        answer(control, &jobs, &memory, &pool);
        control.answer.0.store(seen, Ordering::SeqCst);
        sys::futex_wake(&control.answer.0);
    }
}

fn read_plan(files: Files, bytes: usize) -> Result<Plan, u32> {
    const INVALID: u32 = 22;
    let (protection, shared) = (sys::PROT_READ, sys::MAP_SHARED);
    // SAFETY: not fixed, the kernel picks a free range.
    let start =
        unsafe { sys::map(std::ptr::null_mut(), bytes, protection, shared, files.image, 0) }?;
    // SAFETY: the launcher sealed the file with at least that many bytes, so nobody changes them.
    let words = unsafe { std::slice::from_raw_parts(start.cast::<u64>(), bytes / 8) };
    let mut words = words.iter();
    let mut plan = Plan::default();
    plan.visit(&mut |word| *word = words.next().copied().unwrap_or(0));
    if plan.magic == MAGIC { Ok(plan) } else { Err(INVALID) }
}

fn jobs(plan: &Plan, memory: &Memory) -> Vec<Job> {
    let job = |phase: &layout::Phase| {
        let entry = memory.image.wrapping_add(phase.entry as usize);
        // SAFETY: the launcher checked that the entry lies in the image; what it does there is the candidate's
        // matter, and this process exists to contain it.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(entry) };
        Job { entry, iterations: phase.iterations, threads: phase.threads }
    };
    plan.phases.iter().map(job).collect()
}

/// Waits until the doorbell shows another number than `seen`.
fn next_request(control: &Control, seen: u32) -> u32 {
    let mut spins = 0;
    loop {
        let now = control.doorbell.0.load(Ordering::SeqCst);
        if now != seen {
            return now;
        }
        if spins < SPINS_BEFORE_SLEEP {
            spins += 1;
            std::hint::spin_loop();
        } else {
            sys::futex_wait(&control.doorbell.0, seen);
        }
    }
}

fn answer(control: &Control, jobs: &[Job], memory: &Memory, pool: &Pool) {
    let calls = control.calls.load(Ordering::Relaxed);
    let mut slot = control.slot.load(Ordering::Relaxed) as usize;
    for _ in 0..calls {
        let arguments = memory.arguments[slot].as_ptr();
        for job in jobs {
            pool.run(*job, arguments);
        }
        slot = if slot + 1 == memory.arguments.len() { 0 } else { slot + 1 };
    }
}
