//! The wide path: leaves as machine code against what they mean.

#![cfg(target_arch = "x86_64")]

mod call;
mod dots;
mod draw;
mod listing;
mod random;
mod small;
mod tiles;
