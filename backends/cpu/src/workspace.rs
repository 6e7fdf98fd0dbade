//! The memory that a call needs besides its arguments: device buffers, and scratch for each thread.
//!
//! Invariant: a workspace serves one call at a time (`&mut`), and every thread of it has scratch of its own, which begins
//! at a page. What no call has touched yet takes address space but no memory.

use crate::load::LoadError;
use crate::pages::{PAGE_BYTES, Pages};
use tilewright_ir::backend::Artifact;

/// Device buffers begin at multiples of a line.
const LINE_BYTES: u64 = 64;

/// Memory for one call at a time.
pub(crate) struct Workspace {
    pages: Pages,
    /// What code is given: the addresses of the arguments, which each call puts there, and of the device buffers.
    pointers: Vec<*mut u8>,
    /// The bytes of each thread's scratch; the first thread's begins where the pages do.
    scratch_bytes: u64,
    threads: u64,
}

// SAFETY: the pages are the workspace's own; addresses of arguments are read in the call that put them there.
unsafe impl Send for Workspace {}
// SAFETY: as above; through a shared reference addresses are only read.
unsafe impl Sync for Workspace {}

impl Workspace {
    /// Memory for the device buffers of an artifact, and for the scratch of so many threads.
    pub(crate) fn new(artifact: &Artifact, threads: u64) -> Result<Self, LoadError> {
        let refused = || LoadError::Memory("the device buffers and scratch".to_string());
        let scratch_bytes = artifact.launches.iter().map(|launch| launch.scratch_bytes).max();
        let scratch_bytes = scratch_bytes.unwrap_or(0).max(1).checked_next_multiple_of(PAGE_BYTES);
        let scratch_bytes = scratch_bytes.ok_or_else(refused)?;
        let mut end = scratch_bytes.checked_mul(threads).ok_or_else(refused)?;
        let mut starts = vec![];
        for &bytes in &artifact.device_bytes {
            starts.push(end);
            let lines = bytes.checked_next_multiple_of(LINE_BYTES);
            end = lines.and_then(|bytes| end.checked_add(bytes)).ok_or_else(refused)?;
        }
        let pages = Pages::new(end)?;
        let mut pointers = vec![std::ptr::null_mut(); artifact.argument_bytes.len()];
        pointers.extend(starts.iter().map(|&start| pages.start().wrapping_add(start as usize)));
        Ok(Self { pages, pointers, scratch_bytes, threads })
    }

    /// The addresses of the arguments, then those of the device buffers.
    pub(crate) fn pointers(&self) -> &[*mut u8] {
        &self.pointers
    }

    /// The address of an argument, to be put there.
    pub(crate) fn pointer_mut(&mut self, position: usize) -> &mut *mut u8 {
        &mut self.pointers[position]
    }

    /// The threads that have scratch here.
    pub(crate) fn threads(&self) -> u64 {
        self.threads
    }

    /// The scratch of a thread.
    pub(crate) fn scratch(&self, thread: usize) -> *mut u8 {
        self.pages.start().wrapping_add(thread * self.scratch_bytes as usize)
    }
}
