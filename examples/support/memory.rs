//! Buffers of the examples that measure: page-aligned, large ones in huge pages, as the libraries beside them have theirs.
//!
//! Invariant: a buffer holds exactly as many bytes as were asked for, zeros at first, and does not move.

use memmap2::{Advice, MmapMut};
use std::io;
use std::ops::{Deref, DerefMut};

/// Bytes of a huge page on x86-64.
const HUGE_BYTES: usize = 2 << 20;

/// Bytes of memory.
pub(crate) struct Buffer {
    map: MmapMut,
    start: usize,
    bytes: usize,
}

impl Buffer {
    /// A buffer of zeros. Where the system has no huge pages it has small ones.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        let map = MmapMut::map_anon(bytes.next_multiple_of(HUGE_BYTES) + HUGE_BYTES)?;
        let start = map.as_ptr().align_offset(HUGE_BYTES);
        if bytes >= HUGE_BYTES {
            // A system that refuses gives small pages, which is all that is lost.
            let _ = map.advise(Advice::HugePage);
        }
        let mut buffer = Self { map, start, bytes };
        buffer.fill(0);
        Ok(buffer)
    }

    /// A buffer with these bytes.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.copy_from_slice(bytes);
        Ok(buffer)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.start..self.start + self.bytes]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.start..self.start + self.bytes]
    }
}
