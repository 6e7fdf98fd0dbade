//! Puts an artifact's bytes where they can run, and calls them with checked buffers.
//!
//! Invariant: a page is never writable and executable at once: the image is written, then sealed read-execute, and
//! never changes again. Unwinding tables are registered while the mapping lives. With `TILEWRIGHT_PERF_MAP=1` each
//! mapping adds its symbols to `/tmp/perf-PID.map`, which `perf report` reads.

use crate::pool::Pool;
use crate::view::View;
use std::fmt;
use std::io::Write as _;
use std::ptr::NonNull;
use tilewright_ir::backend::{Artifact, Launch};

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

unsafe extern "C" {
    fn __register_frame(begin: *const u8);
    fn __deregister_frame(begin: *const u8);
}

/// The signature of every launch.
type Entry = unsafe extern "C" fn(*const *mut u8, *mut u8, u64, u64);

/// A mapped image.
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    unwind: Option<usize>,
}

// SAFETY: the mapping is read-only after construction and owned by this value alone.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared reads of immutable pages are free of races.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(artifact: &Artifact) -> Result<Self, LoadError> {
        let bytes = artifact.image.len().max(1).next_multiple_of(4096);
        let start = map_pages(bytes)?;
        // SAFETY: `start` heads `bytes` fresh writable bytes, at least as many as the image holds.
        unsafe {
            start.as_ptr().copy_from_nonoverlapping(artifact.image.as_ptr(), artifact.image.len());
        }
        // SAFETY: the range is the mapping made above, which nothing else knows.
        let sealed = unsafe {
            libc::mprotect(start.as_ptr().cast(), bytes, libc::PROT_READ | libc::PROT_EXEC)
        };
        let unwind = artifact.unwind.and_then(|offset| usize::try_from(offset).ok());
        let mapping = Self { start, bytes, unwind };
        if sealed != 0 {
            return Err(LoadError::Memory(format!("{bytes} executable bytes")));
        }
        if let Some(table) = mapping.unwind_table() {
            // SAFETY: the table is a well-formed .eh_frame section with a terminator, written by `unwind::section`.
            unsafe { __register_frame(table) }
        }
        Ok(mapping)
    }

    fn unwind_table(&self) -> Option<*const u8> {
        self.unwind.map(|offset| self.start.as_ptr().wrapping_add(offset).cast_const())
    }

    fn entry(&self, launch: &Launch) -> Entry {
        let offset = usize::try_from(launch.entry).expect("an entry lies within the image");
        assert!(offset < self.bytes, "an entry lies within the image");
        let address = self.start.as_ptr().wrapping_add(offset);
        // SAFETY: the back end wrote a function of this signature at every launch's entry.
        unsafe { std::mem::transmute::<*mut u8, Entry>(address) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(table) = self.unwind_table() {
            // SAFETY: the same pointer was registered in `new`.
            unsafe { __deregister_frame(table) };
        }
        // SAFETY: the mapping is ours, and no entry outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

fn map_pages(bytes: usize) -> Result<NonNull<u8>, LoadError> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous private mapping at an address of the system's choice has no preconditions.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(LoadError::Memory(format!("{bytes} bytes")));
    }
    NonNull::new(start.cast()).ok_or_else(|| LoadError::Memory(format!("{bytes} bytes")))
}

/// Zeroed memory aligned to a page, for device buffers and scratch.
struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: plain memory owned by this value.
unsafe impl Send for Pages {}

impl Pages {
    fn new(bytes: u64) -> Result<Self, LoadError> {
        let bytes = usize::try_from(bytes.max(1))
            .map_err(|_| LoadError::Memory(format!("{bytes} bytes")))?;
        Ok(Self { start: map_pages(bytes)?, bytes })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages are ours and no pointer into them outlives a call.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Code ready to be called, with its workspace.
pub struct Loaded {
    artifact: Artifact,
    mapping: Mapping,
    device: Vec<Pages>,
    scratch: Vec<Pages>,
    pool: Option<Pool>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("launches", &self.artifact.launches).finish_non_exhaustive()
    }
}

/// The most threads that are started, whatever a tile program written by hand asks for: each waits on a processor, and a
/// phase computes the same on fewer.
fn threads_max() -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    4 * cores.max(4)
}

impl Loaded {
    /// Maps an artifact and allocates its workspace (device buffers, scratch of each thread).
    ///
    /// # Errors
    /// When the system refuses memory.
    pub fn new(artifact: &Artifact) -> Result<Self, LoadError> {
        let mapping = Mapping::new(artifact)?;
        let wanted = artifact.launches.iter().map(|launch| launch.threads).max().unwrap_or(1);
        let threads = wanted.clamp(1, threads_max());
        let scratch_bytes =
            artifact.launches.iter().map(|launch| launch.scratch_bytes).max().unwrap_or(0);
        let loaded = Self {
            device: artifact
                .device_bytes
                .iter()
                .map(|&bytes| Pages::new(bytes))
                .collect::<Result<_, _>>()?,
            scratch: (0..threads).map(|_| Pages::new(scratch_bytes)).collect::<Result<_, _>>()?,
            pool: (threads > 1).then(|| Pool::new(usize::try_from(threads).unwrap_or(1))),
            mapping,
            artifact: artifact.clone(),
        };
        loaded.write_perf_map();
        Ok(loaded)
    }

    /// Runs the kernel: `inputs` are the memory of each input from its lowest element to its highest, which for a
    /// row-major one are its elements; `outputs` take dense row-major elements. Both are in signature order.
    ///
    /// # Errors
    /// When the number of buffers or a byte length differs from the kernel's; nothing is written then.
    pub fn call(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), LoadError> {
        let inputs: Vec<_> = inputs.iter().map(|input| View::bytes(input)).collect();
        self.call_views(&inputs, outputs)
    }

    /// As `call`, on elements where the caller has them.
    ///
    /// # Errors
    /// As `call`, and when the elements of an input do not lie as the code was compiled for.
    pub fn call_views(
        &mut self,
        inputs: &[View<'_>],
        outputs: &mut [&mut [u8]],
    ) -> Result<(), LoadError> {
        self.check(inputs, outputs)?;
        let pointers: Vec<*mut u8> = inputs
            .iter()
            .map(|input| input.lowest().cast_mut())
            .chain(outputs.iter_mut().map(|output| output.as_mut_ptr()))
            .chain(self.device.iter().map(|pages| pages.start.as_ptr()))
            .collect();
        for launch in &self.artifact.launches {
            let entry = self.mapping.entry(launch);
            self.run_launch(entry, launch, &pointers);
        }
        Ok(())
    }

    fn check(&self, inputs: &[View<'_>], outputs: &[&mut [u8]]) -> Result<(), LoadError> {
        let expected = &self.artifact.argument_bytes;
        let got = inputs.len() + outputs.len();
        if got != expected.len() || inputs.len() != self.artifact.inputs {
            return Err(LoadError::Count(expected.len(), got));
        }
        for (position, (&expected, input)) in expected.iter().zip(inputs).enumerate() {
            let fits = input.fits(self.artifact.input_layouts.get(position), expected);
            fits.map_err(|found| match found {
                Some(found) => LoadError::Length(position, expected, found),
                None => LoadError::Layout(position),
            })?;
        }
        let written = expected.iter().enumerate().skip(inputs.len());
        for ((position, &expected), output) in written.zip(outputs) {
            if expected != output.len() as u64 {
                return Err(LoadError::Length(position, expected, output.len() as u64));
            }
        }
        Ok(())
    }

    fn run_launch(&self, entry: Entry, launch: &Launch, pointers: &[*mut u8]) {
        let task = Task { entry, arguments: pointers.as_ptr() };
        match &self.pool {
            Some(pool) if launch.threads > 1 => {
                let scratch: Vec<usize> =
                    self.scratch.iter().map(|pages| pages.start.as_ptr() as usize).collect();
                pool.run(launch.iterations, launch.threads, &|thread, first, end| {
                    task.run(scratch[thread] as *mut u8, first, end);
                });
            }
            Some(_) | None => task.run(self.scratch[0].start.as_ptr(), 0, launch.iterations),
        }
    }

    fn write_perf_map(&self) {
        if std::env::var_os("TILEWRIGHT_PERF_MAP").is_none_or(|value| value != "1") {
            return;
        }
        let path = format!("/tmp/perf-{}.map", std::process::id());
        let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) else {
            return;
        };
        for (index, launch) in self.artifact.launches.iter().enumerate() {
            let start = self.mapping.start.as_ptr() as u64 + launch.entry;
            let end =
                self.artifact.launches.get(index + 1).map_or(self.code_end(), |next| next.entry);
            // A profile without symbols is no reason to fail a kernel.
            let _ = writeln!(
                file,
                "{start:x} {:x} tilewright_phase_{index}",
                end.saturating_sub(launch.entry)
            );
        }
    }

    fn code_end(&self) -> u64 {
        self.artifact.unwind.unwrap_or(self.artifact.image.len() as u64)
    }
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
        // SAFETY: `Loaded::check` compared every length; the program was verified to stay within them; `scratch` has
        // the launch's scratch bytes and belongs to this thread alone.
        unsafe { (self.entry)(self.arguments, scratch, first, end) };
    }
}
