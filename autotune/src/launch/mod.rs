//! A candidate runs in a child process and returns nothing but bytes.
//!
//! A `Session` is one child with one artifact mapped: `set_inputs`, `poison`, `run`, `outputs`. The child is the
//! runner, a small program of its own (`autotune/runner`) that serves forks of itself. It is found in this order:
//!
//! 1. the path in the environment variable `TILEWRIGHT_RUNNER`, if set; an unusable file there is an error,
//! 2. the copy that the build embedded in this library, written to a sealed memory file and executed from there.
//!
//! Invariants: expected values never enter the child; inputs are read-only there, code is never writable; every
//! buffer lies between inaccessible pages; only the parent's clock counts; a dropped session leaves no process behind, and
//! of its memory at most what `shared` keeps for the next. Linux only.

mod affinity;
mod doorbell;
mod failure;
mod filter;
mod garbage;
#[path = "../../runner/src/layout.rs"]
mod layout;
mod library;
mod locks;
mod memory;
mod options;
mod place;
mod process;
mod runner;
mod server;
mod session;
mod shared;

pub use failure::Failure;
pub use library::{Layout, Library, Loading, Shape};
pub use locks::Profile;
pub use options::SessionOptions;
pub use runner::{
    CODE_RUNNER_EMBEDDED, CODE_RUNNER_FILE, CODE_RUNNER_LOCKS, CODE_RUNNER_SETUP, RUNNER_VARIABLE,
};
pub use session::Session;
