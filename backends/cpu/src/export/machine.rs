//! Machines that code is made for without running there: an architecture, and on x86-64 a set of vectors.
//!
//! The code generator of the process takes what the host has; here it takes what a name promises, no more, so that the
//! same input gives the same bytes on every host. Invariant: `features` names everything that the code may use beyond
//! the architecture's own base.

use super::features;
use crate::host;
use crate::wide::Isa;
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable as _};
use std::fmt;
use std::str::FromStr as _;
use target_lexicon::Triple;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::target::{MemoryLevel, Target};

/// An architecture with ELF objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit x86 with System V calls.
    X86_64,
    /// 64-bit Arm, little endian.
    Aarch64,
    /// 64-bit RISC-V with vectors of at least 128 bits.
    Riscv64,
}

impl Arch {
    /// In the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::X86_64, Self::Aarch64, Self::Riscv64];

    /// The name in options and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The architecture of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// That of the host, if it is one of these.
    pub fn host() -> Option<Self> {
        Self::parse(std::env::consts::ARCH)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What exported code runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Machine {
    /// The architecture.
    pub arch: Arch,
    /// The wide vectors; `None`: those of 128 bits alone.
    pub wide: Option<Isa>,
}

impl Machine {
    /// The machine with the vectors of that name; without a name the widest that the host has, which elsewhere are those
    /// of 128 bits.
    ///
    /// # Errors
    /// A set of vectors that there is not, or not on that architecture.
    pub fn named(arch: Arch, vectors: Option<&str>) -> Result<Self, Unsupported> {
        let refused = |what: String| Unsupported { what, place: format!("code for {arch}") };
        let wide = match vectors {
            None if Some(arch) == Arch::host() => host::wide()?,
            None | Some("portable") => None,
            Some(name) => {
                let known = Isa::ALL.into_iter().find(|isa| isa.name() == name);
                let isa = known.ok_or_else(|| {
                    let known =
                        "`portable`, `avx2`, `avx512`, `avx512vnni`, `avx512bf16` or `avx512amx`";
                    refused(format!("the instruction set `{name}`, which is none of {known}"))
                })?;
                Some(isa)
            }
        };
        match wide {
            Some(isa) if arch != Arch::X86_64 => {
                Err(refused(format!("`{isa}`, which only x86_64 has: use `portable`")))
            }
            _ => Ok(Self { arch, wide }),
        }
    }

    /// What a processor must have beyond the base of its architecture, in a fixed order.
    pub fn features(self) -> Vec<&'static str> {
        features::needed(self)
    }

    /// The target triple.
    pub fn triple(self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Aarch64 => "aarch64-unknown-linux-gnu",
            Arch::Riscv64 => "riscv64gc-unknown-linux-gnu",
        }
    }

    /// Cranelift's code generator with these features alone.
    pub(crate) fn isa(self) -> Result<OwnedTargetIsa, Unsupported> {
        let refused = |what: String| Unsupported { what, place: format!("code for {}", self.arch) };
        let mut flags = settings::builder();
        for (name, value) in host::SETTINGS {
            flags.set(name, value).map_err(|error| refused(format!("setting {name}: {error}")))?;
        }
        let triple = Triple::from_str(self.triple()).map_err(|error| refused(error.to_string()))?;
        let mut builder = isa::lookup(triple).map_err(|error| refused(error.to_string()))?;
        for flag in features::flags(self) {
            builder.enable(flag).map_err(|error| refused(format!("setting {flag}: {error}")))?;
        }
        builder.finish(settings::Flags::new(flags)).map_err(|error| refused(error.to_string()))
    }

    /// The machine as planner and space see it. For the host's architecture it is the host, so that what was tuned here
    /// is found in the store; elsewhere it is a typical one of `threads` threads.
    pub(crate) fn target(self, threads: u64) -> Target {
        if Some(self.arch) == Arch::host() {
            return host::target(self.wide);
        }
        let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
        Target {
            backend: "cpu".to_string(),
            isa: self.arch.to_string(),
            features: vec![],
            slow: vec![],
            multiply_adds: 0,
            chip: "typical".to_string(),
            vector_bytes: self.wide.map_or(16, Isa::vector_bytes),
            vector_registers: match (self.wide, self.arch) {
                (Some(isa), _) => isa.vectors() as u64,
                (None, Arch::X86_64) => 16,
                (None, Arch::Aarch64 | Arch::Riscv64) => 32,
            },
            accumulates_in_place: self.wide.is_some(),
            threads,
            memory: vec![
                level("L1", 32 << 10),
                level("L2", 512 << 10),
                level("L3", 4 << 20),
                level("memory", 0),
            ],
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.arch, self.wide.map_or("portable", Isa::name))
    }
}
