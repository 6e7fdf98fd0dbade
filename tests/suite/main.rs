//! Rules about the project itself: sizes of files, directions of dependencies, headers of test data.
//!
//! These tests read the source tree and run nothing of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

mod codes;
mod manifests;
mod tidy;
mod tree;
