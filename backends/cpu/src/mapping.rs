//! An artifact's image where it can run.
//!
//! Invariant: a page is never writable and executable at once: the image is written, then sealed read-execute, and
//! never changes again. Unwinding tables are registered while the mapping lives. With `TILEWRIGHT_PERF_MAP=1` each
//! mapping adds its symbols to `/tmp/perf-PID.map`, which `perf report` reads.

use crate::load::LoadError;
use crate::pages::map_pages;
use std::io::Write as _;
use std::ptr::NonNull;
use tilewright_ir::backend::{Artifact, Launch};

unsafe extern "C" {
    fn __register_frame(begin: *const u8);
    fn __deregister_frame(begin: *const u8);
}

/// The signature of every launch.
pub(crate) type Entry = unsafe extern "C" fn(*const *mut u8, *mut u8, u64, u64);

/// A mapped image.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    unwind: Option<usize>,
}

// SAFETY: the mapping is read-only after construction and owned by this value alone.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared reads of immutable pages are free of races.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(artifact: &Artifact) -> Result<Self, LoadError> {
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

    pub(crate) fn entry(&self, launch: &Launch) -> Entry {
        let offset = usize::try_from(launch.entry).expect("an entry lies within the image");
        assert!(offset < self.bytes, "an entry lies within the image");
        let address = self.start.as_ptr().wrapping_add(offset);
        // SAFETY: the back end wrote a function of this signature at every launch's entry.
        unsafe { std::mem::transmute::<*mut u8, Entry>(address) }
    }

    /// Names the code of every launch for `perf report`, where the environment asks for it.
    pub(crate) fn write_perf_map(&self, artifact: &Artifact) {
        if std::env::var_os("TILEWRIGHT_PERF_MAP").is_none_or(|value| value != "1") {
            return;
        }
        let path = format!("/tmp/perf-{}.map", std::process::id());
        let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) else {
            return;
        };
        let code_end = artifact.unwind.unwrap_or(artifact.image.len() as u64);
        for (index, launch) in artifact.launches.iter().enumerate() {
            let start = self.start.as_ptr() as u64 + launch.entry;
            let end = artifact.launches.get(index + 1).map_or(code_end, |next| next.entry);
            let bytes = end.saturating_sub(launch.entry);
            // A profile without symbols is no reason to fail a kernel.
            let _ = writeln!(file, "{start:x} {bytes:x} tilewright_phase_{index}");
        }
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
