//! Memory files: made, mapped, sealed, and gone when dropped.
//!
//! Invariant: a mapping is only ever reached through bounds-checked copies and slices of its own length.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

const MFD_EXEC: libc::c_uint = 0x10;
const F_SEAL_FUTURE_WRITE: libc::c_int = 0x10;

/// Makes an empty memory file that may be sealed, and executed or mapped executable.
pub(super) fn memory_file() -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag and need none.
    create(flags | MFD_EXEC).or_else(|_| create(flags))
}

fn create(flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: the name is a C string and lives through the call.
    let file = unsafe { libc::memfd_create(c"tilewright".as_ptr(), flags) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and belongs to nobody else.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(file) }))
}

/// Forbids every change of the file's bytes and length.
pub(super) fn seal(file: &File) -> io::Result<()> {
    add_seals(file, libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK)
}

/// Forbids new writable mappings; those that exist stay writable. Kernels before 5.1 cannot.
pub(super) fn seal_future(file: &File) -> io::Result<()> {
    add_seals(file, F_SEAL_FUTURE_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK)
}

fn add_seals(file: &File, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: changes an attribute of an open file, no memory is involved.
    let result =
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals | libc::F_SEAL_SEAL) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A shared, writable mapping of a whole memory file.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone in this process; another process may write to it, which the
// accessors take into account.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Makes the file `bytes` long and maps it.
    pub(super) fn new(file: &File, bytes: u64) -> io::Result<Self> {
        file.set_len(bytes)?;
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let (protection, fd) = (libc::PROT_READ | libc::PROT_WRITE, file.as_raw_fd());
        // All of it is filled before the candidate runs: pages that come one by one take three times as long.
        let kind = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: not fixed, the kernel picks a free range.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, kind, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// The first byte, aligned to a page.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The bytes of a range. The child may not run while the slice is alive: the session sees to it.
    pub(super) fn slice(&self, offset: u64, bytes: u64) -> &[u8] {
        let (offset, bytes) = self.range(offset, bytes);
        let start = self.start.as_ptr().wrapping_add(offset);
        // SAFETY: `range` checked the bounds, and the mapping outlives the borrow.
        unsafe { std::slice::from_raw_parts(start, bytes) }
    }

    /// As `slice`, writable.
    pub(super) fn slice_mut(&mut self, offset: u64, bytes: u64) -> &mut [u8] {
        let (offset, bytes) = self.range(offset, bytes);
        let start = self.start.as_ptr().wrapping_add(offset);
        // SAFETY: `range` checked the bounds, and the mapping outlives the borrow, which is unique.
        unsafe { std::slice::from_raw_parts_mut(start, bytes) }
    }

    fn range(&self, offset: u64, bytes: u64) -> (usize, usize) {
        let end = offset.checked_add(bytes).expect("a region's end is an address");
        assert!(end <= self.bytes as u64, "a region lies inside its file");
        (offset as usize, bytes as usize)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and no borrow is alive.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
