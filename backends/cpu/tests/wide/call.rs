//! Runs machine code of a leaf on memory between guard pages.
//!
//! Invariant: a buffer ends where its guard page begins or begins where one ends, so an access beyond it faults.

use std::ptr::NonNull;

const PAGE: usize = 4096;

/// Executable pages.
pub(crate) struct Code {
    start: NonNull<u8>,
    bytes: usize,
}

fn map(bytes: usize, protection: i32) -> NonNull<u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous private mapping at an address of the system's choice has no preconditions.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "the system gives memory");
    NonNull::new(start.cast()).expect("a mapping is not null")
}

impl Code {
    /// Maps `bytes`, writes them, then seals them.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let room = bytes.len().next_multiple_of(PAGE);
        let start = map(room, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the mapping is fresh, writable and at least as long.
        unsafe { start.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the range is the mapping made above, which nothing else knows.
        let sealed = unsafe { libc::mprotect(start.as_ptr().cast(), room, protection) };
        assert_eq!(sealed, 0, "the system seals pages");
        Self { start, bytes: room }
    }

    /// Calls the code on a frame whose pointers the caller vouches for.
    pub(crate) fn call(&self, frame: &[u64]) {
        // SAFETY: `encode` wrote a function of this signature at the beginning.
        let function = unsafe {
            std::mem::transmute::<*mut u8, extern "sysv64" fn(*const u64)>(self.start.as_ptr())
        };
        function(frame.as_ptr());
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing runs in it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Memory with an unmapped page on either side.
pub(crate) struct Guarded {
    start: NonNull<u8>,
    room: usize,
    offset: usize,
    bytes: usize,
}

impl Guarded {
    /// A copy of `bytes`, against the upper guard page or against the lower one.
    pub(crate) fn new(bytes: &[u8], upper: bool) -> Self {
        let room = bytes.len().max(1).next_multiple_of(PAGE);
        let start = map(room + 2 * PAGE, libc::PROT_NONE);
        let body = start.as_ptr().wrapping_add(PAGE);
        // SAFETY: the pages in the middle of the mapping made above.
        let opened =
            unsafe { libc::mprotect(body.cast(), room, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(opened, 0, "the system opens pages");
        let offset = PAGE + if upper { room - bytes.len() } else { 0 };
        let made = Self { start, room, offset, bytes: bytes.len() };
        // SAFETY: the pages are writable and as long as `bytes` from there.
        unsafe { made.pointer().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        made
    }

    fn pointer(&self) -> *mut u8 {
        self.start.as_ptr().wrapping_add(self.offset)
    }

    /// The address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.pointer() as u64
    }

    /// What it holds now.
    pub(crate) fn contents(&self) -> Vec<u8> {
        // SAFETY: the bytes are mapped, initialized and not written while they are copied.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.bytes) }.to_vec()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no pointer into it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.room + 2 * PAGE) };
    }
}
