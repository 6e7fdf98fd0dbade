//! A foreign candidate: a shared library with one function of the exported interface.
//!
//! Invariant: its bytes are read once and sealed; what is hashed is what runs.

use super::locks::Profile;
use super::memory::{memory_file, seal};
use super::{Failure, place};
use std::fs::File;
use std::io::Write as _;
use tilewright_ir::graph::{Graph, Tensor};

/// A shared library whose bytes nobody can change any more.
#[derive(Debug)]
pub struct Library {
    pub(super) file: File,
    pub(super) symbol: String,
    pub(super) profile: Profile,
    hash: blake3::Hash,
    bytes: u64,
}

impl Library {
    /// Seals the bytes of a library, whose function has the name `symbol`.
    ///
    /// # Errors
    /// `Refused` if they are those of another kind of file, the name is none, or there is no memory for them.
    pub fn new(bytes: &[u8], symbol: &str, profile: Profile) -> Result<Self, Failure> {
        if !bytes.starts_with(b"\x7fELF") {
            let help = "compile it, `cc -O3 -fPIC -shared`";
            return Err(Failure::refused(format!("the file is no shared library (ELF); {help}")));
        }
        if symbol.is_empty() || symbol.contains('\0') {
            return Err(Failure::refused("the name of a function has letters and no NUL"));
        }
        let sealed = || -> std::io::Result<File> {
            let mut file = memory_file()?;
            file.write_all(bytes)?;
            seal(&file)?;
            Ok(file)
        };
        let file = sealed().map_err(|error| Failure::refused(error.to_string()))?;
        let (hash, bytes) = (blake3::hash(bytes), bytes.len() as u64);
        Ok(Self { file, symbol: symbol.to_string(), profile, hash, bytes })
    }

    /// The hash of its bytes.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name of its function.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// What it may do.
    pub fn profile(&self) -> Profile {
        self.profile
    }
}

/// What the loader says, without the name that the file has in the child, and with the way out that most need.
pub(super) fn unloadable(message: &str) -> String {
    let rest = match message.strip_prefix("/proc/self/fd/") {
        Some(named) => named.split_once(": ").map_or(named, |(_, rest)| rest),
        None => message,
    };
    match rest {
        "" => "the loader does not say why".to_string(),
        _ if rest.contains("undefined symbol") => {
            format!("{rest}; `--symbol`, or \"symbol\" of a proposal, names its function")
        }
        _ => rest.to_string(),
    }
}

/// Where arrays lie in their pages. An inaccessible page lies on both sides of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Aligned to 64 bytes, near the end: as the clock uses it.
    #[default]
    Usual,
    /// The last byte is the last of its page.
    Right,
    /// The first byte is the first of its page.
    Left,
}

impl Layout {
    /// The layout's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "aligned",
            Self::Right => "right",
            Self::Left => "left",
        }
    }
}

/// The arrays of a function: inputs, then outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes and alignment of each array.
    pub arrays: Vec<(u64, u64)>,
    /// How many are inputs.
    pub inputs: usize,
}

impl Shape {
    /// The arrays of a bound graph.
    pub fn of(graph: &Graph) -> Self {
        let array = |tensor: &Tensor| {
            let memory = tensor.memory(&graph.axes).expect("a bound graph has addresses");
            (tensor.dtype.bytes_of(memory.span), tensor.dtype.bytes())
        };
        let outputs = graph.outputs.iter().map(|output| array(&output.tensor));
        Self {
            arrays: graph.inputs.iter().map(array).chain(outputs).collect(),
            inputs: graph.inputs.len(),
        }
    }
}

/// How a session of a library begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Where the arrays lie.
    pub layout: Layout,
    /// Bytes of the workspace; 0: none.
    pub workspace_bytes: u64,
}

/// Most arrays of a function.
pub(super) const ARRAYS_MAX: usize = 20;

/// The alignment of the workspace.
pub(super) const WORKSPACE_ALIGN: u64 = place::ALIGNMENT;
