//! The program in which a candidate runs.
//!
//! Started with the launcher's process id and its socket, it makes a child for each request (`server`). A child takes four open
//! memory files, or a fifth that is a library, maps what the plan in the second one says, gives up every right it can, and
//! then answers the doorbell: so many calls over the slots in turn, then the answer.
//! It knows no expected value, reads no clock and prints nothing. Invariant: everything that a candidate could use
//! against the launcher is gone before the first call.

mod layout;
mod library;
mod locks;
mod memory;
mod pool;
mod sandbox;
mod server;
mod sys;

use layout::{Control, LIBRARY, MAGIC, Plan, STATE_FAILED, STATE_LOADING, STATE_READY};
use library::Library;
use memory::{Files, Memory};
use pool::{Entry, Job, Pool};
use server::Request;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Turns of the loop that waits for the doorbell before it sleeps.
const SPINS_BEFORE_SLEEP: u32 = 20_000;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map_while(|word| word.parse().ok());
    let (Some(parent), None) = (words.next(), words.next()) else { return ExitCode::from(2) };
    if !sys::die_with_parent(parent) {
        return ExitCode::from(3);
    }
    match server::serve() {
        Some(request) => child(&request, parent),
        None => ExitCode::SUCCESS,
    }
}

fn child(request: &Request, parent: u32) -> ExitCode {
    // What kills the server with its parent does not pass on to copies of it.
    if !sys::die_with_parent(parent) {
        return ExitCode::from(3);
    }
    let Ok(control) = map_control(request.files) else { return ExitCode::from(4) };
    let Err((stage, error)) = serve(control, request.files, request.plan_bytes);
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
    let plan = read_plan(files, plan_bytes).map_err(|error| (0, error))?;
    let memory = memory::map_all(&plan, files).map_err(|error| (1, error))?;
    let candidate = match plan.library {
        LIBRARY => prepare_library(control, &plan, &memory, files)?,
        _ => prepare_image(control, &plan, &memory)?,
    };
    control.state.0.store(STATE_READY, Ordering::SeqCst);
    sys::futex_wake(&control.state.0);
    let mut seen = 0;
    let mut spins_max = SPINS_BEFORE_SLEEP;
    loop {
        seen = next_request(control, seen, spins_max);
        let calls = control.calls.load(Ordering::Relaxed);
        answer(control, calls, &candidate, &memory);
        control.answer.0.store(seen, Ordering::SeqCst);
        sys::futex_wake(&control.answer.0);
        // What a library does after its answer counts as its time: an honest one sleeps.
        let is_library = matches!(candidate, Candidate::Library(_));
        spins_max = if is_library && calls > 0 { 0 } else { SPINS_BEFORE_SLEEP };
    }
}

/// What is called.
enum Candidate {
    Image(Vec<Job>, Pool),
    Library(Library),
}

fn prepare_image(
    control: &'static Control,
    plan: &Plan,
    memory: &Memory,
) -> Result<Candidate, (u32, u32)> {
    sys::close_all();
    sys::ask_for_tiles();
    let pool = Pool::start(&memory.scratch, &plan.cpus).map_err(|error| (3, error))?;
    let limits = |error| (2, error);
    sandbox::note_faults(control).map_err(limits)?;
    sandbox::limit_resources(plan).map_err(limits)?;
    sandbox::limit_files().map_err(limits)?;
    control.filtered.store(u32::from(sandbox::filter_calls()), Ordering::Relaxed);
    Ok(Candidate::Image(jobs(plan, memory), pool))
}

/// Two locks: before the library is loaded and after.
fn prepare_library(
    control: &'static Control,
    plan: &Plan,
    memory: &Memory,
    files: Files,
) -> Result<Candidate, (u32, u32)> {
    let (limits, locks) = (|error| (2, error), |error| (4, error));
    if let Some(&cpu) = plan.cpus.first() {
        sys::pin(cpu);
    }
    sandbox::note_faults(control).map_err(limits)?;
    sandbox::limit_resources(plan).map_err(limits)?;
    sys::close_all_but(files.library);
    sys::ask_for_tiles();
    locks::restrict_files().map_err(locks)?;
    locks::filter(plan, memory, 0).map_err(locks)?;
    control.state.0.store(STATE_LOADING, Ordering::SeqCst);
    sys::futex_wake(&control.state.0);
    let library = library::load(plan, memory, files, control).map_err(|error| (5, error))?;
    sys::close_all();
    sandbox::limit_files().map_err(limits)?;
    sandbox::note_faults(control).map_err(limits)?;
    locks::filter(plan, memory, 1).map_err(locks)?;
    Ok(Candidate::Library(library))
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
fn next_request(control: &Control, seen: u32, spins_max: u32) -> u32 {
    let mut spins = 0;
    loop {
        let now = control.doorbell.0.load(Ordering::SeqCst);
        if now != seen {
            return now;
        }
        if spins < spins_max {
            spins += 1;
            std::hint::spin_loop();
        } else {
            sys::futex_wait(&control.doorbell.0, seen);
        }
    }
}

fn answer(control: &Control, calls: u64, candidate: &Candidate, memory: &Memory) {
    let mut slot = control.slot.load(Ordering::Relaxed) as usize;
    let stays = control.stays.load(Ordering::Relaxed) == 1;
    for _ in 0..calls {
        match candidate {
            Candidate::Image(jobs, pool) => {
                let arguments = memory.arguments[slot].as_ptr();
                jobs.iter().for_each(|job| pool.run(*job, arguments));
            }
            Candidate::Library(library) => library.call(slot, control),
        }
        slot = match slot + 1 {
            _ if stays => slot,
            next if next == memory.arguments.len() => 0,
            next => next,
        };
    }
}
