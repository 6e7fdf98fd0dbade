//! Buffers that end where unmapped memory begins, so that generated code that reads or writes too far crashes visibly.
//!
//! Invariant: the last byte of a buffer is followed by a page without access, and one lies before its first page too.
//! Inputs are read-only while code runs.

const PAGE: usize = 4096;
/// What bytes in front of a buffer and untouched elements hold.
const FILL: u8 = 0xaa;

/// One buffer between two pages without access.
#[derive(Debug)]
pub struct Guarded {
    start: *mut u8,
    mapped: usize,
    bytes: usize,
}

impl Guarded {
    /// A buffer of so many bytes, all `FILL`.
    ///
    /// # Panics
    /// When the system refuses memory.
    pub fn new(bytes: usize) -> Self {
        let body = bytes.max(1).next_multiple_of(PAGE);
        let mapped = body + 2 * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous private mapping at an address of the system's choice has no preconditions.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), mapped, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "the system gives {mapped} bytes");
        let mut buffer = Self { start: start.cast(), mapped, bytes };
        buffer.protect(libc::PROT_READ | libc::PROT_WRITE);
        buffer.body_mut().fill(FILL);
        buffer
    }

    /// A read-only buffer with these bytes.
    pub fn input(bytes: &[u8]) -> Self {
        let mut buffer = Self::new(bytes.len());
        buffer.bytes_mut().copy_from_slice(bytes);
        buffer.protect(libc::PROT_READ);
        buffer
    }

    fn protect(&mut self, protection: i32) {
        let body = self.start.wrapping_add(PAGE);
        // SAFETY: the range lies within the mapping of this value.
        let done = unsafe { libc::mprotect(body.cast(), self.mapped - 2 * PAGE, protection) };
        assert_eq!(done, 0, "the system protects a mapping");
    }

    fn body_mut(&mut self) -> &mut [u8] {
        let body = self.start.wrapping_add(PAGE);
        // SAFETY: the pages between the guards are readable, and writable until an input is sealed.
        unsafe { std::slice::from_raw_parts_mut(body, self.mapped - 2 * PAGE) }
    }

    /// The buffer's own bytes, the last of which ends its page.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.bytes;
        let body = self.body_mut();
        let front = body.len() - length;
        &mut body[front..]
    }

    /// The buffer's own bytes.
    pub fn bytes(&self) -> &[u8] {
        let own = self.start.wrapping_add(self.mapped - PAGE - self.bytes);
        // SAFETY: the last `bytes` bytes before the guard are readable and initialised.
        unsafe { std::slice::from_raw_parts(own, self.bytes) }
    }

    /// Whether nobody wrote in front of the buffer.
    pub fn front_is_intact(&mut self) -> bool {
        let length = self.bytes;
        let body = self.body_mut();
        let front = body.len() - length;
        body[..front].iter().all(|&byte| byte == FILL)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nothing borrows it any more.
        unsafe { libc::munmap(self.start.cast(), self.mapped) };
    }
}
