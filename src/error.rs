//! What can go wrong for a library user, and whose turn it is then.
//!
//! Invariant: a fault of the text, sizes or schedule is a list of `Diagnostic`s; a fault of a call is a `CallError`
//! that names both sides; a limit of a back end is `Unsupported`. Nothing is written when a call fails.

use std::path::PathBuf;
use thiserror::Error;
use tilewright_cpu::LoadError;
use tilewright_ir::DType;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::diag::Diagnostic;

/// Any error of the library.
#[derive(Debug, Error)]
pub enum Error {
    /// Faults of a text, of sizes, of a schedule or of the store, all of them.
    #[error("{}", join(.0))]
    Diagnostics(Vec<Diagnostic>),
    /// A name that does not exist: what it names, the name, the names there are.
    #[error("there is no {kind} `{name}`; there is {}", known.join(", "))]
    Unknown {
        /// `kernel` or `size set`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// Arrays that do not fit the kernel.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The back end has no lowering for a construct.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The compiled code cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A kernel file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl From<Vec<Diagnostic>> for Error {
    fn from(faults: Vec<Diagnostic>) -> Self {
        Self::Diagnostics(faults)
    }
}

impl From<Diagnostic> for Error {
    fn from(fault: Diagnostic) -> Self {
        Self::Diagnostics(vec![fault])
    }
}

fn join(faults: &[Diagnostic]) -> String {
    faults.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}

/// How an array fails to fit a kernel's signature. Every variant names both sides, and its text opens with its code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// Too many or too few arrays.
    #[error("TW0601: `{kernel}` has {expected} {role}s ({names}), the call gives {found}")]
    Count {
        /// The kernel.
        kernel: String,
        /// `input` or `output`.
        role: &'static str,
        /// How many the signature has.
        expected: usize,
        /// Their names.
        names: String,
        /// How many the call gives.
        found: usize,
    },
    /// Another element type.
    #[error("TW0602: {role} `{name}` is {expected} in the signature, the array holds {found}")]
    DType {
        /// `input` or `output`.
        role: &'static str,
        /// The tensor.
        name: String,
        /// The signature's type.
        expected: DType,
        /// The array's type.
        found: DType,
    },
    /// Another shape.
    #[error(
        "TW0603: {role} `{name}` has shape [{expected}] in the signature, the array has {found:?}"
    )]
    Shape {
        /// `input` or `output`.
        role: &'static str,
        /// The tensor.
        name: String,
        /// The signature's shape, `i=4, k=5`.
        expected: String,
        /// The array's shape.
        found: Vec<usize>,
    },
    /// Two tensors that give one axis different extents, when sizes are taken from the arrays.
    #[error("TW0604: axis `{axis}` is {expected} in `{first}` and {found} in `{second}`")]
    Axis {
        /// The axis.
        axis: String,
        /// The tensor seen first, and the extent in it.
        first: String,
        /// The extent in the first.
        expected: u64,
        /// The tensor that disagrees.
        second: String,
        /// The extent in the second.
        found: u64,
    },
    /// Elements that do not lie as the signature says, when the caller did not choose what to do about it; or that
    /// cannot, because the signature puts several elements at one place and the array has different ones there.
    #[error(
        "TW0605: {role} `{name}` has strides {expected:?} in the signature, the array has strides {found:?} (choose \
         `Strided::Copy` to have it copied, or `Strided::Specialise`)"
    )]
    Strides {
        /// `input` or `output`.
        role: &'static str,
        /// The tensor.
        name: String,
        /// The signature's strides, in elements.
        expected: Vec<isize>,
        /// The array's strides, in elements.
        found: Vec<isize>,
    },
}
