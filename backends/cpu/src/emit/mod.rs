//! Machine phases to Cranelift IR.
//!
//! `phase` makes the function, decodes grid iterations and loops over blocks; `nest` makes the loops of one nest and
//! its register tiles, `reduce` and `scan` what runs inside of them; `value` computes expressions lane by lane;
//! `address` forms pointers; `lanes` knows which Cranelift type holds which element type, `memory` how elements lie in
//! memory, `convert` how types become others.
//! `leaf` makes nests calls of the wide path's functions, which lie behind the phase's own.
//! Invariant: nothing outside of a phase's own image is called, and no symbol is left in it.

mod address;
mod convert;
mod direct;
mod gather;
mod lanes;
mod leaf;
mod memory;
mod nest;
mod phase;
mod reduce;
mod scan;
mod value;
mod visit;

pub use leaf::LeafCode;
pub use phase::{CompiledPhase, compile};
