//! The bytes of a foreign library.
//!
//! Invariant: only a file is read, and no more than a library may have: a pipe would never end.

use std::io;
use std::path::Path;

/// The bytes that a library may have.
const BYTES_MAX: u64 = 1 << 30;

/// Reads a library.
pub(in crate::cli) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let known = std::fs::metadata(path)?;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_string()));
    if !known.is_file() {
        return refuse("it is no file");
    }
    if known.len() > BYTES_MAX {
        return refuse("it has more than 1 GiB");
    }
    std::fs::read(path)
}
