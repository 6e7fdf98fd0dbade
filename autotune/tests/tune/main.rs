//! Tuning runs over a back end that is made of sabotage, and the judge against each kind of it.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod campaign;
mod code;
mod fake;
mod judge;
mod runs;
mod standing;
