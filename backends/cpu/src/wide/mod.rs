//! The wide path: nests as machine code of 256- and 512-bit vectors.
//!
//! Cranelift lowers vectors of 128 bits. Here a nest becomes a leaf (`program`), a function of one frame without calls,
//! whose registers a linear scan gives out (`allocate`) and whose instructions an assembler writes (`encode`). The
//! phase's function, made by Cranelift, fills the frame and calls it.
//! Invariant: vectors never spill. A leaf that needs more registers than there are is refused.

mod allocate;
mod encode;
mod fuse;
mod interleave;
pub mod interpret;
mod isa;
mod live;
mod lower;
pub(crate) mod permission;
mod print;
pub mod program;
mod prune;
pub mod tiles;

pub use encode::{encode, least_isa};
pub(crate) use fuse::fuse;
pub use interleave::interleave;
pub use isa::{Isa, Refusal};
pub(crate) use lower::{BlockShape, PARTIALS_MAX, Surroundings, Word, lower};
pub(crate) use prune::prune;

/// The listing of what `encode` wrote, one instruction a line, without the constants behind the code.
pub fn disassemble(bytes: &[u8]) -> String {
    let mut out = String::new();
    let code = crate::listing::bytes_to_return(bytes);
    crate::listing::disassemble_x86(&bytes[..code], &mut out);
    out
}
