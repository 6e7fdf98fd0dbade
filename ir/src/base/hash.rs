//! Stable content hashes: the hash of a program is the hash of its canonical text.
//!
//! Invariant: a hash never depends on memory layout, process or map order, so it may be stored and compared
//! between machines and versions that print the same text.

use std::fmt;

/// A 128-bit content hash, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StableHash(pub [u8; 16]);

impl fmt::Display for StableHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StableHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes pieces of bytes; where one ends counts. `kind` as for `hash_text`.
pub fn hash_bytes(kind: &str, pieces: &[&[u8]]) -> StableHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_le_bytes());
        hasher.update(piece);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    StableHash(bytes)
}

/// Hashes a canonical text. `kind` keeps equal texts of different levels apart.
pub fn hash_text(kind: &str, text: &str) -> StableHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    hasher.update(&[0]);
    hasher.update(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    StableHash(bytes)
}
