//! Compiled kernels as files for other programs: object, static library and shared library, all ELF.
//!
//! An artifact's bytes become the text of a section, with an entry behind them that does what the loader does in a
//! process (`glue`), in three system calls and one question to the processor (`services`). `code` resolves every call
//! within the section, so that the files need nothing from outside: no library, no relocation but of tables.
//! Invariant: the same functions give the same bytes.

mod archive;
mod code;
mod entry;
mod fault;
mod features;
mod frames;
mod glue;
mod machine;
mod object;
mod services;
mod shared;

pub use fault::Fault;
pub use machine::{Arch, Machine};

use crate::wide::Isa;
use code::Text;
use tilewright_ir::backend::{Artifact, Unsupported};

/// The alignment of a workspace in bytes.
pub const WORKSPACE_ALIGN: u64 = 64;
/// The most threads of a parallel loop.
pub const THREADS_MAX: u64 = 1 << 16;
/// A workspace of at most so many bytes, of one thread, lies on the stack if the caller gives none.
pub const STACK_BYTES_MAX: u64 = 2048;

/// One function of a library.
#[derive(Clone, Debug)]
pub struct Function {
    /// The symbol; that of the query of its workspace ends with `_workspace_bytes`.
    pub symbol: String,
    /// The code.
    pub artifact: Artifact,
    /// The alignment in bytes that each argument must have: inputs, then outputs.
    pub aligns: Vec<u64>,
}

impl Function {
    /// The most threads that any phase makes use of.
    pub fn threads(&self) -> u64 {
        let spread = self.artifact.launches.iter().filter(|launch| glue::is_spread(launch));
        spread.map(|launch| launch.threads.min(launch.iterations)).max().unwrap_or(1)
    }

    /// The least machine with vectors as long that runs the function.
    pub fn machine(&self, machine: Machine) -> Machine {
        let named = |name| Isa::ALL.into_iter().find(|isa| isa.name() == name);
        let least = self.artifact.least_isa.and_then(named);
        Machine { wide: machine.wide.and(least).or(machine.wide), ..machine }
    }

    /// Workspace bytes whatever the number of threads: the device buffers.
    pub fn device_bytes(&self) -> u64 {
        let bytes = self.artifact.device_bytes.iter().map(|&bytes| aligned(bytes));
        bytes.fold(0, u64::saturating_add)
    }

    /// Workspace bytes of each thread.
    pub fn scratch_bytes(&self) -> u64 {
        let bytes = self.artifact.launches.iter().map(|launch| launch.scratch_bytes).max();
        // Every phase writes a word of its scratch.
        aligned(bytes.unwrap_or(0).max(1))
    }

    /// Whether all sizes are ones that the entry can compute with.
    fn fits(&self) -> bool {
        let scratch = self.scratch_bytes().saturating_mul(self.threads().min(THREADS_MAX));
        let workspace = scratch.saturating_add(self.device_bytes());
        let arrays = self.artifact.argument_bytes.iter().copied().max().unwrap_or(0);
        workspace.max(arrays) < 1 << 62
    }

    /// Where each device buffer begins in the workspace.
    fn device_offsets(&self) -> Vec<u64> {
        let mut next = 0;
        let place = |&bytes: &u64| {
            let start = next;
            next += aligned(bytes);
            start
        };
        self.artifact.device_bytes.iter().map(place).collect()
    }
}

fn aligned(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(WORKSPACE_ALIGN).unwrap_or(u64::MAX)
}

/// The files of a library, without its header.
#[derive(Clone, Debug)]
pub struct Library {
    /// A relocatable object, `.o`.
    pub object: Vec<u8>,
    /// A static library, `.a`.
    pub archive: Vec<u8>,
    /// A shared library, `.so`.
    pub shared: Vec<u8>,
}

/// The library `name` of these functions.
///
/// # Errors
/// `Unsupported` where the code generator cannot make the entry, or the code is too large for its calls.
pub fn library(
    name: &str,
    machine: Machine,
    functions: &[Function],
) -> Result<Library, Unsupported> {
    if let Some(function) = functions.iter().find(|function| !function.fits()) {
        let what = "arrays or a workspace of more memory than there are addresses".to_string();
        return Err(Unsupported { what, place: format!("`{}`", function.symbol) });
    }
    let isa = machine.isa()?;
    let texts: Vec<Text> = functions
        .iter()
        .map(|function| code::text(function, machine, &*isa))
        .collect::<Result<_, _>>()?;
    let refused = |what: String| Unsupported { what, place: format!("library `{name}`") };
    let object = object::object(machine, &texts).map_err(refused)?;
    let symbols: Vec<&str> = texts.iter().flat_map(Text::exported).collect();
    let archive = archive::archive(&object, &symbols);
    let shared = shared::shared(name, machine, &texts).map_err(refused)?;
    Ok(Library { object, archive, shared })
}
