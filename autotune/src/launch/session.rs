//! One child process with one artifact: start, feed, run, read.
//!
//! Invariant: a slice of the child's memory is handed out only while the child stands still, and the borrow checker
//! keeps it so: everything that lets the child go on needs the session exclusively.

use super::affinity::{self, KeepOff};
use super::doorbell::{Doorbell, Silence};
use super::garbage::Garbage;
use super::layout::{STATE_FAILED, STATE_LOADING, STATE_READY};
use super::library::{Layout, Library, Loading, Shape, unloadable};
use super::locks::{self, Profile};
use super::place::Place;
use super::process::{Process, signal_name};
use super::runner::{self, Runner};
use super::shared::{Arrays, Shared};
use super::{Failure, SessionOptions};
use crate::clock::Stopwatch;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tilewright_ir::backend::Artifact;
use tilewright_ir::reference::HostTensor;

/// A child process that holds an artifact and its buffers.
#[derive(Debug)]
pub struct Session {
    process: Process,
    place: Place,
    doorbell: Doorbell,
    arrays: Arrays,
    /// The seed of each slot's garbage.
    seeds: Vec<Option<u64>>,
    next_slot: u64,
    stays: bool,
    deadline: Duration,
    spin: bool,
    frozen: bool,
    dead: Option<Failure>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // The child is dead before its memory goes to others.
        self.process.kill();
        self.arrays.keep();
    }
}

impl Session {
    /// Starts a child and maps the artifact there. Inputs and outputs hold garbage at first.
    ///
    /// # Errors
    /// `Refused` for an artifact that breaks its contract or the limits, `Start` if no child can be had.
    pub fn start(artifact: &Artifact, options: &SessionOptions) -> Result<Self, Failure> {
        let place = Place::new(artifact, None, options)?;
        Self::start_at(place, &artifact.image, None, options)
    }

    /// As `start`, with the arguments where a layout says, aligned to their elements alone.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_in(
        artifact: &Artifact,
        (shape, layout): (&Shape, Layout),
        options: &SessionOptions,
    ) -> Result<Self, Failure> {
        let place = Place::new(artifact, Some((shape, layout)), options)?;
        Self::start_at(place, &artifact.image, None, options)
    }

    /// Starts a child and loads a library there, between two locks. Arrays hold garbage at first.
    ///
    /// # Errors
    /// As `start`; `Start` also where the system has no locks; `TimedOut`, `Crashed` and `Unloadable` for what happens
    /// while the library is loaded.
    pub fn load(
        library: &Library,
        shape: &Shape,
        loading: Loading,
        options: &SessionOptions,
    ) -> Result<Self, Failure> {
        let mut place = Place::of_library(library, shape, loading, options)?;
        let image = place.image.take().unwrap_or_default();
        let mut session = Self::start_at(place, &image, Some(library), options)?;
        session.check_locks(library.profile)?;
        Ok(session)
    }

    fn start_at(
        mut place: Place,
        image: &[u8],
        library: Option<&Library>,
        options: &SessionOptions,
    ) -> Result<Self, Failure> {
        let runner = runner::find()?;
        let allowed = affinity::allowed();
        place.plan.cpus = affinity::processors(&allowed, place.plan.threads as usize, options.cpu);
        // A parent that has no processor of its own would take the child's time by spinning.
        let spin = place.plan.cpus.len() < allowed.len() && !place.plan.cpus.is_empty();
        place.settle();
        let mut shared =
            Shared::new(&place, image, options.new_memory).map_err(|error| no_memory(&error))?;
        shared.arrays.spoil(library.is_some());
        let plan_bytes = place.words().len() * 8;
        let file = library.map(|library| &library.file);
        let id = runner.start(&shared.files(), file, plan_bytes, options.start_limit)?;
        let mut session = Self {
            process: Process::new(id),
            seeds: vec![None; options.slots],
            place,
            doorbell: Doorbell::new(shared.control),
            arrays: shared.arrays,
            next_slot: 0,
            stays: false,
            deadline: options.deadline,
            spin,
            frozen: false,
            dead: None,
        };
        session.wait_ready(&runner, options.start_limit)?;
        for slot in 0..options.slots {
            session.poison(slot, slot as u64)?;
        }
        Ok(session)
    }

    fn wait_ready(&mut self, runner: &Runner, limit: Duration) -> Result<(), Failure> {
        let silence = self.doorbell.wait_ready(&mut self.process, limit);
        let state = self.doorbell.control().state.0.load(Ordering::Relaxed);
        let detail = match silence {
            Ok(STATE_READY) => return Ok(()),
            Ok(STATE_FAILED) => return Err(self.not_set_up(runner)),
            Err(Silence::Late) if state == STATE_LOADING => {
                self.process.kill();
                return Err(Failure::TimedOut { limit });
            }
            Err(Silence::Gone) | Ok(_) if state == STATE_LOADING => {
                return Err(self.crashed().while_loading());
            }
            Ok(state) => format!("it says {state}, which means nothing"),
            Err(Silence::Late) => format!("no sign of it within {limit:?}"),
            Err(Silence::Gone) => {
                self.process.ended().map_or_else(|| "its end".to_string(), |end| end.to_string())
            }
        };
        Err(runner.not_ready(&detail))
    }

    /// What the child says about a set-up that failed.
    fn not_set_up(&self, runner: &Runner) -> Failure {
        const STAGES: [&str; 6] = ["plan", "buffers", "limits", "threads", "locks", "library"];
        let control = self.doorbell.control();
        let stage = control.stage.load(Ordering::Relaxed) as usize;
        let error =
            io::Error::from_raw_os_error(control.error.load(Ordering::Relaxed).cast_signed());
        match STAGES.get(stage) {
            Some(&"library") => {
                Failure::Unloadable { detail: unloadable(&self.doorbell.message()) }
            }
            Some(&"locks") => Runner::not_locked(&error.to_string()),
            stage => runner.not_ready(&format!("{}: {error}", stage.unwrap_or(&"?"))),
        }
    }

    /// Asks the kernel, since the child may lie: two filters more than this process has, and one thread if the profile
    /// has no others.
    fn check_locks(&mut self, profile: Profile) -> Result<(), Failure> {
        let own = locks::state_of(std::process::id().cast_signed());
        let state = own.zip(locks::state_of(self.process.id()));
        let Some(((inherited, _), (filters, threads))) = state else {
            let detail = "the kernel does not say which filters are in force";
            return Err(Runner::not_locked(detail));
        };
        let filters = filters.saturating_sub(inherited);
        if filters == 2 && (threads == 1 || profile == Profile::Vendor) {
            return Ok(());
        }
        let detail = format!("{filters} locks are in force instead of 2, with {threads} threads");
        Err(self.die(Failure::Unloadable { detail }))
    }

    /// The bytes of workspace that a library asked for.
    pub fn workspace_wanted(&self) -> u64 {
        self.doorbell.control().workspace_bytes.load(Ordering::Relaxed)
    }

    /// Copies of the inputs and outputs.
    pub fn slots(&self) -> usize {
        self.seeds.len()
    }

    /// Whether the child's system calls are filtered: the candidate can do nothing but compute.
    pub fn is_filtered(&self) -> bool {
        self.doorbell.control().filtered.load(Ordering::Relaxed) == 1
    }

    /// The time from the doorbell to the answer that a run may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Changes the deadline of the runs to come.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Writes the inputs of one slot, in signature order.
    ///
    /// # Errors
    /// `Refused` if there is no such slot or the tensors do not have the artifact's sizes.
    pub fn set_inputs(&mut self, slot: usize, inputs: &[HostTensor]) -> Result<(), Failure> {
        let bytes: Vec<&[u8]> = inputs.iter().map(|tensor| tensor.bytes.as_slice()).collect();
        self.set_input_bytes(slot, &bytes)
    }

    /// Writes the raw bytes of the inputs of one slot, in signature order.
    ///
    /// # Errors
    /// As `set_inputs`.
    pub fn set_input_bytes(&mut self, slot: usize, inputs: &[&[u8]]) -> Result<(), Failure> {
        self.check_slot(slot)?;
        let wanted = &self.place.argument_bytes[..self.place.inputs];
        if !inputs.iter().map(|bytes| bytes.len() as u64).eq(wanted.iter().copied()) {
            let found: Vec<_> = inputs.iter().map(|bytes| bytes.len()).collect();
            return Err(Failure::refused(format!(
                "the inputs have {found:?} bytes, the artifact takes {wanted:?}"
            )));
        }
        for (argument, bytes) in inputs.iter().enumerate() {
            self.input_mut(slot, argument)?.copy_from_slice(bytes);
        }
        Ok(())
    }

    /// The memory of one input of a slot, to be written.
    ///
    /// # Errors
    /// `Refused` if there is no such slot or input.
    pub fn input_mut(&mut self, slot: usize, input: usize) -> Result<&mut [u8], Failure> {
        self.check_slot(slot)?;
        if input >= self.place.inputs {
            return Err(Failure::refused(format!("the artifact has no input {input}")));
        }
        let region = self.place.region(slot, input);
        let offset = region.file_offset + region.data_offset;
        Ok(self.arrays.inputs().slice_mut(offset, self.place.argument_bytes[input]))
    }

    /// Fills the outputs of one slot, and the bytes around them, with garbage that depends on `seed`: all NaN.
    ///
    /// # Errors
    /// `Refused` if there is no such slot.
    pub fn poison(&mut self, slot: usize, seed: u64) -> Result<(), Failure> {
        self.check_slot(slot)?;
        for argument in self.place.inputs..self.place.argument_bytes.len() {
            let region = self.place.region(slot, argument);
            let pages = self.arrays.outputs_mut().slice_mut(region.file_offset, region.map_bytes);
            Garbage::new(seed, argument).fill(pages);
        }
        self.seeds[slot] = Some(seed);
        Ok(())
    }

    /// Whether all calls of the runs to come are of slot 0. A clock that goes over the slots in turn measures what no cache
    /// holds; a judge that stays learns nothing of other arrays.
    pub fn stay(&mut self, stays: bool) {
        self.stays = stays;
        self.next_slot = 0;
    }

    /// Fills with garbage the outputs that the clock is going to run over.
    ///
    /// # Errors
    /// As `poison`.
    pub(crate) fn poison_ahead(&mut self, mut seed: impl FnMut() -> u64) -> Result<(), Failure> {
        let slots = if self.stays { 1 } else { self.slots() };
        (0..slots).try_for_each(|slot| self.poison(slot, seed()))
    }

    /// Runs `calls` calls over the slots in turn, going on where the last run ended (slot 0 at first).
    /// Returns the nanoseconds from the doorbell to the answer, by the parent's clock.
    ///
    /// # Errors
    /// `TimedOut` and `Crashed`; the session is dead then and every later call returns the same.
    pub fn run(&mut self, calls: u64) -> Result<u64, Failure> {
        let keep_off = self.keep_off();
        let stopwatch = self.ring(calls)?;
        let elapsed_ns = self.wait(stopwatch, self.spin);
        drop(keep_off);
        elapsed_ns
    }

    /// Runs `calls` calls beginning at `slot`.
    ///
    /// # Errors
    /// As `run`; `Refused` if there is no such slot.
    pub fn run_from(&mut self, slot: usize, calls: u64) -> Result<u64, Failure> {
        self.check_slot(slot)?;
        self.next_slot = slot as u64;
        self.run(calls)
    }

    /// Runs `calls` calls beginning at slot 0, and adds what the child computes after its answer: it stands still then. What
    /// it computes before is its own only if its data came while it stood still: `wake`, `freeze`, then the data.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_accounted(&mut self, calls: u64) -> Result<u64, Failure> {
        let elapsed_ns = self.run_from(0, calls)?;
        let answered_ns = self.process.processor_ns();
        self.freeze()?;
        let later_ns = self.process.processor_ns().saturating_sub(answered_ns);
        Ok(elapsed_ns + later_ns)
    }

    /// Wakes the child, so that no time of a run to come begins with its sleep.
    ///
    /// # Errors
    /// As `run`.
    pub fn wake(&mut self) -> Result<(), Failure> {
        self.run_from(0, 0).map(drop)
    }

    /// Keeps this thread off the child's processors, if it is going to spin.
    fn keep_off(&self) -> Option<KeepOff> {
        self.spin.then(|| KeepOff::new(&self.place.plan.cpus))
    }

    /// Rings the doorbell without waiting for the answer.
    pub(crate) fn ring(&mut self, calls: u64) -> Result<Stopwatch, Failure> {
        if let Some(failure) = &self.dead {
            return Err(failure.clone());
        }
        self.thaw();
        let slot = self.next_slot;
        if !self.stays {
            self.next_slot = (slot + calls % self.place.plan.slots) % self.place.plan.slots;
        }
        Ok(self.doorbell.ring(slot, self.stays, calls))
    }

    /// Waits for the answer to `ring` without using a processor.
    pub(crate) fn wait_asleep(&mut self, stopwatch: Stopwatch) -> Result<u64, Failure> {
        self.wait(stopwatch, false)
    }

    fn wait(&mut self, stopwatch: Stopwatch, spin: bool) -> Result<u64, Failure> {
        let answer = self.doorbell.wait(&mut self.process, stopwatch, self.deadline, spin);
        let elapsed_ns = answer.map_err(|silence| match silence {
            Silence::Late => {
                self.process.kill();
                self.die(Failure::TimedOut { limit: self.deadline })
            }
            Silence::Gone => self.crashed(),
        })?;
        let control = self.doorbell.control();
        let (code, modes) =
            (control.code.load(Ordering::Relaxed), control.modes.load(Ordering::Relaxed));
        match code {
            0 if modes == 0 => Ok(elapsed_ns),
            0 => Err(self.die(Failure::LeftModes)),
            code => Err(self.die(Failure::Returned { code: code.cast_signed() })),
        }
    }

    /// Stops the child, so that nothing in it can change a buffer.
    ///
    /// # Errors
    /// `Crashed` if it is gone.
    pub fn freeze(&mut self) -> Result<(), Failure> {
        if let Some(failure) = &self.dead {
            return Err(failure.clone());
        }
        if !self.frozen {
            self.process.stop().map_err(|_| self.crashed())?;
            self.frozen = true;
        }
        Ok(())
    }

    /// Lets a frozen child go on.
    pub fn thaw(&mut self) {
        if self.frozen {
            self.process.go_on();
            self.frozen = false;
        }
    }

    /// The raw little-endian bytes of the outputs of one slot, in signature order. Freezes the child first; the
    /// next `run` thaws it.
    ///
    /// # Errors
    /// `Refused` if there is no such slot, `Crashed` if the child is gone, `StrayWrite` if bytes around an output
    /// have changed.
    pub fn outputs(&mut self, slot: usize) -> Result<Vec<&[u8]>, Failure> {
        self.freeze()?;
        self.given(slot)
    }

    /// The outputs of the first slots, as `outputs` gives those of one.
    ///
    /// # Errors
    /// As `outputs`.
    pub fn all_outputs(&mut self, slots: usize) -> Result<Vec<Vec<&[u8]>>, Failure> {
        self.freeze()?;
        (0..slots).map(|slot| self.given(slot)).collect()
    }

    /// The outputs of a slot of a frozen child.
    fn given(&self, slot: usize) -> Result<Vec<&[u8]>, Failure> {
        self.check_slot(slot)?;
        let written = self.place.inputs..self.place.argument_bytes.len();
        written.into_iter().try_for_each(|argument| self.check_margins(slot, argument))?;
        let slice = |argument: usize| {
            let region = self.place.region(slot, argument);
            let offset = region.file_offset + region.data_offset;
            self.arrays.outputs().slice(offset, self.place.argument_bytes[argument])
        };
        Ok(self.place.outputs().map(slice).collect())
    }

    /// The bytes of an output's pages that do not belong to it still hold their garbage.
    fn check_margins(&self, slot: usize, argument: usize) -> Result<(), Failure> {
        let Some(seed) = self.seeds[slot] else { return Ok(()) };
        let region = self.place.region(slot, argument);
        let pages = self.arrays.outputs().slice(region.file_offset, region.map_bytes);
        let start = region.data_offset as usize;
        let end = start + self.place.argument_bytes[argument] as usize;
        let garbage = Garbage::new(seed, argument);
        let change = garbage
            .first_change(pages, end..pages.len())
            .or_else(|| garbage.first_change(pages, 0..start));
        let Some(at) = change else { return Ok(()) };
        let place = self.place.describe(region.address + at as u64);
        let detail = place.expect("a byte of a region has a name");
        Err(Failure::StrayWrite { argument, detail })
    }

    fn check_slot(&self, slot: usize) -> Result<(), Failure> {
        let slots = self.slots();
        if slot < slots {
            return Ok(());
        }
        Err(Failure::refused(format!("slot {slot} of a session with {slots}")))
    }

    fn die(&mut self, failure: Failure) -> Failure {
        self.dead = Some(failure.clone());
        failure
    }

    /// The failure of a child that has ended.
    fn crashed(&mut self) -> Failure {
        let status = self.process.ended().expect("only called once the child has ended");
        let failure = match status.signal() {
            Some(signal) => Failure::Crashed { signal, detail: self.evidence(signal) },
            None => Failure::Crashed { signal: 0, detail: exit_detail(status) },
        };
        self.die(failure)
    }

    /// The signal, and what the child's handler noted about it. For people: the child may lie.
    fn evidence(&self, signal: i32) -> String {
        let name = signal_name(signal);
        let control = self.doorbell.control();
        if control.signal.load(Ordering::Acquire).cast_signed() != signal {
            return name;
        }
        let at = |address| self.place.describe(address);
        let instruction = control.instruction.load(Ordering::Relaxed);
        let instruction = at(instruction).unwrap_or_else(|| self.of_library(instruction));
        let fault = at(control.fault.load(Ordering::Relaxed));
        let fault = fault.unwrap_or_else(|| "outside every buffer".to_string());
        format!("{name}: instruction in {instruction}; address in {fault}")
    }
}

impl Session {
    /// Names an instruction outside of the image.
    fn of_library(&self, instruction: u64) -> String {
        // No library is larger than this, and nothing else lies so near.
        const NEAR: u64 = 1 << 26;
        let base = self.doorbell.control().base.load(Ordering::Relaxed);
        match instruction.checked_sub(base) {
            Some(offset) if base > 0 && offset < NEAR => format!("the library, at {offset:#x}"),
            _ => "outside the image".to_string(),
        }
    }
}

fn exit_detail(status: ExitStatus) -> String {
    format!("it ended with status {}", status.code().unwrap_or(-1))
}

fn no_memory(error: &io::Error) -> Failure {
    Failure::refused(format!("the buffers cannot be had: {error}"))
}
