//! What an exported function returns where it refuses a call.
//!
//! Invariant: a number is never given another meaning; the header of every library lists them from here.

/// Return codes: the kind in the low byte, the position of the argument (from 1) above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// NULL where there must be memory.
    Null = 1,
    /// An address that is not a multiple of the alignment.
    Misaligned = 2,
    /// An output, or the workspace, in memory that another argument takes.
    Overlap = 3,
    /// A workspace that is too small.
    Workspace = 4,
    /// A parallel loop that is malformed, or did not run each iteration once.
    Parallel = 5,
    /// The system has no memory for a workspace.
    Memory = 6,
    /// The processor lacks an instruction that the code uses.
    Processor = 7,
}

impl Fault {
    /// The name in the header, without its prefix, and what it says there.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Null, "NULL", "an array that has elements, or `run` of the parallel loop, is NULL"),
        (Self::Misaligned, "MISALIGNED", "an address is no multiple of its alignment"),
        (
            Self::Overlap,
            "OVERLAP",
            "an output or the workspace shares memory with another argument",
        ),
        (Self::Workspace, "WORKSPACE", "the workspace is too small"),
        (
            Self::Parallel,
            "PARALLEL",
            "the parallel loop has no threads, or did not run each iteration once",
        ),
        (Self::Memory, "MEMORY", "the system gave no memory for the workspace"),
        (
            Self::Processor,
            "PROCESSOR",
            "the processor lacks instructions that the code was built for",
        ),
    ];
}
