//! What a back end is: a tile program and a target in, an artifact or a reason out.
//!
//! An artifact is plain bytes with a launch list, so it can be kept, hashed, sent to another process and mapped there.
//! Invariant: a back end never panics on a verified program and never falls back in silence.

use crate::target::Target;
use crate::tile::TileProgram;
use std::fmt;

/// What a back end cannot do, and where in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The construct.
    pub what: String,
    /// The statement or name it stands in.
    pub place: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsupported: {} in {}", self.what, self.place)
    }
}

impl std::error::Error for Unsupported {}

/// One phase of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Offset of the entry in the image. Its C signature is
    /// `fn(arguments: *const *mut u8, scratch: *mut u8, first: u64, end: u64)`: runs grid iterations
    /// `first..end`. `arguments` holds the inputs, the outputs (both in signature order) and the device buffers.
    pub entry: u64,
    /// The number of grid iterations.
    pub iterations: u64,
    /// Scratch bytes that each thread needs, 64-byte aligned.
    pub scratch_bytes: u64,
    /// How many threads share the iterations.
    pub threads: u64,
}

/// Where the elements of an input lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLayout {
    /// Bits of an element.
    pub element_bits: u64,
    /// The extent of each axis, outermost first, and the elements from one index to the next.
    pub steps: Vec<(u64, i64)>,
}

impl InputLayout {
    /// The same places in the fewest axes: no axis of one element, none that goes on where the next one ends, and none
    /// at all where there is no element. Two layouts are alike if these are equal.
    #[must_use]
    pub fn normal(&self) -> Self {
        let Self { element_bits, steps } = self;
        let mut normal: Vec<(u64, i64)> = vec![];
        if steps.iter().any(|&(extent, _)| extent == 0) {
            return Self { element_bits: *element_bits, steps: vec![(0, 0)] };
        }
        for &(extent, stride) in steps.iter().filter(|(extent, _)| *extent > 1) {
            match normal.last_mut() {
                Some(outer) if outer.1 == stride.saturating_mul(extent.cast_signed()) => {
                    *outer = (outer.0 * extent, stride);
                }
                _ => normal.push((extent, stride)),
            }
        }
        Self { element_bits: *element_bits, steps: normal }
    }
}

/// Compiled code, position-independent and self-contained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Machine code and constants. Mapped read-only and executable at a 64-byte aligned address.
    pub image: Vec<u8>,
    /// Offset in the image of an `.eh_frame` section whose pointers are relative to themselves; `None`: no tables.
    pub unwind: Option<u64>,
    /// The phases in order.
    pub launches: Vec<Launch>,
    /// Bytes of each argument, inputs then outputs: from the lowest element to one past the highest. The pointer is that
    /// of the lowest element, which with negative strides is not the one at index 0.
    pub argument_bytes: Vec<u64>,
    /// How the elements of each input lie; empty for code that was not made of a tile program.
    pub input_layouts: Vec<InputLayout>,
    /// How many of the arguments are inputs.
    pub inputs: usize,
    /// Bytes of each device buffer; they follow the arguments.
    pub device_bytes: Vec<u64>,
    /// The least of the back end's instruction sets that has all of the code's instructions, where there are several.
    pub least_isa: Option<&'static str>,
}

/// A stretch of code with a known amount of work, to measure what the machine can do.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `fma_f32_128`, `fma_f32`, `read_L1`, `read_L2`, ...
    pub name: String,
    /// The code; one input buffer or none, no output.
    pub artifact: Artifact,
    /// Work of one call in `unit`s.
    pub work: f64,
    /// `flop` or `byte`.
    pub unit: &'static str,
}

/// A code generator.
pub trait Backend: Sync {
    /// The short name: `cpu`.
    fn name(&self) -> &'static str;

    /// The code generator for this machine if it had at most so many threads; `None` where that changes nothing.
    fn with_threads_max(&self, threads: u64) -> Option<Box<dyn Backend>> {
        let _ = threads;
        None
    }

    /// The machine it compiles for.
    fn target(&self) -> &Target;

    /// A text that identifies the code generator and its version; part of every store key.
    fn version(&self) -> String;

    /// Compiles a verified tile program.
    ///
    /// # Errors
    /// `Unsupported` names the construct that has no lowering here.
    fn compile(&self, program: &TileProgram) -> Result<Artifact, Unsupported>;

    /// Stages of the code below the tile program, for people: (`clif` | `disassembly`, text).
    ///
    /// # Errors
    /// As `compile`.
    fn listings(&self, program: &TileProgram) -> Result<Vec<(&'static str, String)>, Unsupported>;

    /// Code that measures the machine's ceilings.
    ///
    /// # Errors
    /// As `compile`.
    fn probes(&self) -> Result<Vec<Probe>, Unsupported>;
}
