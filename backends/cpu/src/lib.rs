//! Tile programs to machine code for the CPU.
//!
//! Cranelift 0.135 does control flow, addresses and portable 128-bit bodies. A tile program becomes one function for
//! each phase; the functions and their unwinding tables are one position-independent image.
//! Invariant: generated code calls nothing and holds no address, so the image may be mapped anywhere, in any process.

mod backend;
mod bound;
pub mod emit;
pub mod export;
pub mod host;
mod listing;
pub mod load;
pub mod machine;
mod mapping;
pub mod math;
mod pace;
mod pages;
pub mod pool;
mod probe;
mod unwind;
pub mod view;
pub mod wide;
mod workspace;

pub use backend::CpuBackend;
pub use bound::{Bound, Input};
pub use load::{LoadError, Loaded};
pub use view::View;
