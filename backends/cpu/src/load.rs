//! Code that can be called, with checked buffers.
//!
//! A call lists the addresses of its arguments, takes a workspace that no other call has, and runs the launches in
//! order. A launch for several threads shares its iterations over the pool of the process, if the caller may use more
//! threads than its own and no other call has the pool.
//! Invariant: code runs on buffers whose lengths have been compared with what it was compiled for.

use crate::bound::{Bound, Input};
use crate::mapping::{Entry, Mapping};
use crate::pool::{self, Pool, Turn};
use crate::view::View;
use crate::workspace::Workspace;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use tilewright_ir::backend::Artifact;

/// Why an artifact cannot be loaded or called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The operating system refused memory: what was asked for.
    Memory(String),
    /// The number of buffers differs: expected, got.
    Count(usize, usize),
    /// A buffer's byte length differs: position among inputs then outputs, expected, got.
    Length(usize, u64, u64),
    /// The elements of an input do not lie where the code reads them: its position.
    Layout(usize),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(what) => write!(f, "the system refused memory for {what}"),
            Self::Count(expected, got) => {
                write!(f, "the kernel takes {expected} buffers; found {got}")
            }
            Self::Length(position, expected, got) => {
                write!(f, "buffer {position} holds {expected} bytes; found {got}")
            }
            Self::Layout(position) => {
                write!(f, "input {position} has other strides than the code was compiled for")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The most threads that have scratch, whatever a tile program written by hand asks for: a phase computes the same on
/// fewer.
fn threads_max() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    4 * cores.max(4)
}

/// Code ready to be called. Calls from several threads run side by side, each with a workspace of its own.
pub struct Loaded {
    code: Arc<Code>,
    /// Workspaces that no call has now.
    idle: Mutex<Vec<Workspace>>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let launches = &self.code.artifact.launches;
        f.debug_struct("Loaded").field("launches", launches).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Maps an artifact and allocates a first workspace (device buffers, scratch of each thread).
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn new(artifact: &Artifact) -> Result<Self, LoadError> {
        let code = Arc::new(Code::new(artifact)?);
        let idle = Mutex::new(vec![code.workspace()?]);
        Ok(Self { code, idle })
    }

    /// Runs the kernel: `inputs` are the memory of each input from its lowest element to its highest, which for a
    /// row-major one are its elements; `outputs` take dense row-major elements. Both are in signature order.
    ///
    /// # Errors
    /// When the number of buffers or a byte length differs from the kernel's; nothing is written then. When the system
    /// refuses memory for one more workspace.
    pub fn call(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), LoadError> {
        let inputs = inputs.iter().map(|input| View::bytes(input));
        self.call_with(inputs, outputs.iter_mut().map(|output| &mut **output))
    }

    /// As `call`, on elements where the caller has them.
    ///
    /// # Errors
    /// As `call`, and when the elements of an input do not lie as the code was compiled for.
    pub fn call_with<'a>(
        &self,
        inputs: impl IntoIterator<Item = View<'a>>,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(), LoadError> {
        let mut workspace = self.take_workspace()?;
        let placed = self.code.place(&mut workspace, inputs, outputs);
        if placed.is_ok() {
            // SAFETY: `place` compared every length, and the buffers are borrowed for this call.
            unsafe { self.code.run(&workspace) };
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        placed
    }

    /// Checks the buffers once and binds the code to them, for calls that cost no check.
    ///
    /// # Errors
    /// As `call_with`.
    pub fn bind<'a>(
        &self,
        mut inputs: Vec<Input<'a>>,
        mut outputs: Vec<&'a mut [u8]>,
    ) -> Result<Bound<'a>, LoadError> {
        let mut workspace = self.code.workspace()?;
        let views: Vec<View<'_>> = inputs.iter().map(Input::view).collect();
        self.code.place(&mut workspace, views, outputs.iter_mut().map(|output| &mut **output))?;
        let own = inputs.iter_mut().map(Input::own).chain(outputs.iter_mut().map(Some));
        let own = own.map(|own| own.map(|bytes| NonNull::from(&mut **bytes))).collect();
        // SAFETY: `place` compared every length, and the buffers are borrowed while the handle lives.
        Ok(unsafe { Bound::new(Arc::clone(&self.code), workspace, own) })
    }

    fn take_workspace(&self) -> Result<Workspace, LoadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.code.workspace(), Ok)
    }
}

/// One launch, ready to run.
struct Step {
    entry: Entry,
    iterations: u64,
    threads: u64,
}

/// An artifact where it can run.
pub(crate) struct Code {
    artifact: Artifact,
    steps: Vec<Step>,
    /// The most threads of a launch.
    threads: u64,
    /// Where the entries lie.
    _mapping: Mapping,
}

impl Code {
    fn new(artifact: &Artifact) -> Result<Self, LoadError> {
        let mapping = Mapping::new(artifact)?;
        mapping.write_perf_map(artifact);
        let steps = artifact.launches.iter().map(|launch| Step {
            entry: mapping.entry(launch),
            iterations: launch.iterations,
            threads: launch.threads.min(launch.iterations),
        });
        let steps: Vec<_> = steps.collect();
        let threads = steps.iter().map(|step| step.threads).max().unwrap_or(1);
        let threads = threads.clamp(1, threads_max());
        Ok(Self { steps, threads, _mapping: mapping, artifact: artifact.clone() })
    }

    /// A fresh workspace.
    pub(crate) fn workspace(&self) -> Result<Workspace, LoadError> {
        Workspace::new(&self.artifact, self.threads)
    }

    /// Puts the addresses of the arguments into a workspace, if they are what the code was compiled for.
    fn place<'a>(
        &self,
        workspace: &mut Workspace,
        inputs: impl IntoIterator<Item = View<'a>>,
        outputs: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Result<(), LoadError> {
        let expected = &*self.artifact.argument_bytes;
        let layouts = &*self.artifact.input_layouts;
        let count = |got| Err(LoadError::Count(expected.len(), got));
        let mut position = 0;
        for input in inputs {
            if position < self.artifact.inputs {
                let fits = input.fits(layouts.get(position), expected[position]);
                fits.map_err(|found| match found {
                    Some(found) => LoadError::Length(position, expected[position], found),
                    None => LoadError::Layout(position),
                })?;
                *workspace.pointer_mut(position) = input.lowest().cast_mut();
            }
            position += 1;
        }
        let inputs = position;
        for output in outputs {
            if inputs == self.artifact.inputs && position < expected.len() {
                if expected[position] != output.len() as u64 {
                    let found = output.len() as u64;
                    return Err(LoadError::Length(position, expected[position], found));
                }
                *workspace.pointer_mut(position) = output.as_mut_ptr();
            }
            position += 1;
        }
        let fits = inputs == self.artifact.inputs && position == expected.len();
        if fits { Ok(()) } else { count(position) }
    }

    /// Runs every launch.
    ///
    /// # Safety
    /// `workspace` was made for this code, `place` has filled it with arguments that live and that nobody else writes,
    /// and it serves no other call.
    #[inline]
    pub(crate) unsafe fn run(&self, workspace: &Workspace) {
        if self.threads > 1 {
            return self.run_shared(workspace);
        }
        let (pointers, scratch) = (workspace.pointers().as_ptr(), workspace.scratch(0));
        for step in &self.steps {
            // SAFETY: the caller gives buffers that fit, and the program was verified to stay within them.
            unsafe { (step.entry)(pointers, scratch, 0, step.iterations) };
        }
    }

    /// As `run`, with the threads that the caller may use.
    fn run_shared(&self, workspace: &Workspace) {
        let threads = self.threads.min(pool::threads_max() as u64).min(workspace.threads());
        let mut turn = if threads > 1 { Pool::of_process().turn() } else { None };
        for step in &self.steps {
            let task = Task { entry: step.entry, arguments: workspace.pointers().as_ptr() };
            let run = |thread, first, end| task.run(workspace.scratch(thread), first, end);
            match &mut turn {
                Some(turn) if step.threads > 1 => share(turn, step, threads, &run),
                Some(_) | None => run(0, 0, step.iterations),
            }
        }
    }
}

fn share(turn: &mut Turn<'_>, step: &Step, threads: u64, run: &(dyn Fn(usize, u64, u64) + Sync)) {
    turn.run(step.iterations, step.threads.min(threads), run);
}

/// One launch with its arguments, callable from any thread of the pool.
struct Task {
    entry: Entry,
    arguments: *const *mut u8,
}

// SAFETY: the arguments outlive the launch, and grid iterations write disjoint elements (tile::verify proves it).
unsafe impl Sync for Task {}

impl Task {
    fn run(&self, scratch: *mut u8, first: u64, end: u64) {
        // SAFETY: the caller of `Code::run` gives buffers that fit; the program was verified to stay within them;
        // `scratch` has the launch's scratch bytes and belongs to this thread alone.
        unsafe { (self.entry)(self.arguments, scratch, first, end) };
    }
}
