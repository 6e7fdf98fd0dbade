//! Memory of our own: for images, device buffers and scratch.
//!
//! Pages of 4 KiB cost a fault each at their first use and entries of the small tables that translate addresses ever
//! after; where the memory is large, the system is asked for pages of 2 MiB.
//! Invariant: pages are zero until somebody writes to them, belong to one value, and go with it.

use crate::load::LoadError;
use std::ptr::NonNull;

/// A page, and what memory of a thread of its own begins at.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// A huge page; memory from so many bytes on is asked to lie in such pages.
const HUGE_BYTES: usize = 2 << 20;

pub(crate) fn map_pages(bytes: usize) -> Result<NonNull<u8>, LoadError> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous private mapping at an address of the system's choice has no preconditions.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(LoadError::Memory(format!("{bytes} bytes")));
    }
    NonNull::new(start.cast()).ok_or_else(|| LoadError::Memory(format!("{bytes} bytes")))
}

/// Zeroed memory that begins at a page, at a huge one if it is large.
pub(crate) struct Pages {
    mapped: NonNull<u8>,
    mapped_bytes: usize,
    start: NonNull<u8>,
}

// SAFETY: plain memory owned by this value.
unsafe impl Send for Pages {}
// SAFETY: as above; a shared reference gives out the address only.
unsafe impl Sync for Pages {}

impl Pages {
    pub(crate) fn new(bytes: u64) -> Result<Self, LoadError> {
        let refused = || LoadError::Memory(format!("{bytes} bytes"));
        let bytes = usize::try_from(bytes.max(1)).map_err(|_| refused())?;
        if bytes < HUGE_BYTES {
            let mapped = map_pages(bytes)?;
            return Ok(Self { mapped, mapped_bytes: bytes, start: mapped });
        }
        // The system puts huge pages where their addresses are multiples of their size.
        let mapped_bytes = bytes.checked_add(HUGE_BYTES).ok_or_else(refused)?;
        let mapped = map_pages(mapped_bytes)?;
        let ahead = mapped.as_ptr().align_offset(HUGE_BYTES);
        let start = NonNull::new(mapped.as_ptr().wrapping_add(ahead)).ok_or_else(refused)?;
        let pages = Self { mapped, mapped_bytes, start };
        pages.ask_for_huge(bytes);
        Ok(pages)
    }

    /// The first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// A wish, which the system need not fulfil.
    fn ask_for_huge(&self, bytes: usize) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is our own mapping, and the advice changes no contents.
        unsafe {
            libc::madvise(self.start().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages are ours and no pointer into them outlives a call.
        unsafe { libc::munmap(self.mapped.as_ptr().cast(), self.mapped_bytes) };
    }
}
