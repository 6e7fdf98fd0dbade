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
    /// Where each device buffer begins.
    device: Vec<u64>,
    /// The bytes of each thread's scratch; the first thread's begins where the pages do.
    scratch_bytes: u64,
    threads: u64,
}

impl Workspace {
    /// Memory for the device buffers of an artifact, and for the scratch of so many threads.
    pub(crate) fn new(artifact: &Artifact, threads: u64) -> Result<Self, LoadError> {
        let refused = || LoadError::Memory("the device buffers and scratch".to_string());
        let scratch_bytes = artifact.launches.iter().map(|launch| launch.scratch_bytes).max();
        let scratch_bytes = scratch_bytes.unwrap_or(0).max(1).checked_next_multiple_of(PAGE_BYTES);
        let scratch_bytes = scratch_bytes.ok_or_else(refused)?;
        let mut end = scratch_bytes.checked_mul(threads).ok_or_else(refused)?;
        let mut device = vec![];
        for &bytes in &artifact.device_bytes {
            device.push(end);
            let lines = bytes.checked_next_multiple_of(LINE_BYTES);
            end = lines.and_then(|bytes| end.checked_add(bytes)).ok_or_else(refused)?;
        }
        Ok(Self { pages: Pages::new(end)?, device, scratch_bytes, threads })
    }

    /// The first byte of each device buffer.
    pub(crate) fn device(&self) -> impl Iterator<Item = *mut u8> {
        self.device.iter().map(|&offset| self.pages.start().wrapping_add(offset as usize))
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
