//! Keys of classes: an order of values that does not depend on when they were found.
//!
//! The key of a class is that of its flattest term: its height and a hash of what it is made of. Where rules or the
//! extraction have to take one of several equals first, they go by key; the number of a class depends on the order in
//! which rules ran.
//! Invariant: the flattest term is made of the flattest terms of lower classes, so keys have an end.

use super::language::Math;
use egg::Language as _;

/// The key of a class, or of one of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    height: u32,
    hash: u64,
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo).
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn mixed(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The key of a node, those of its operands given.
pub(super) fn key(node: &Math, of: impl Fn(egg::Id) -> Key) -> Key {
    let mut key = Key { height: 0, hash: mixed(OFFSET, node.to_string().as_bytes()) };
    for &child in node.children() {
        let child = of(child);
        key.height = key.height.max(child.height.saturating_add(1));
        key.hash = mixed(key.hash, &child.hash.to_le_bytes());
    }
    key
}
