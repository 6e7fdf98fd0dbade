//! Sessions with a candidate child: honest code computes, hostile code is a failure and hurts nobody, nothing leaks.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets a failure has failed")]

mod code;
mod honest;
mod hostile;
mod leaks;
mod runner_file;
