//! The instruction sets of the wide path: how many registers they have, how wide, and what a processor needs for them.
//!
//! Invariant: `encode` writes no instruction outside of the features that `Isa::features` names.

#[cfg(target_arch = "x86_64")]
use super::permission;
use super::program::Narrow;
use std::fmt;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// 256-bit vectors, predicates in vector registers.
    Avx2,
    /// 512-bit vectors, predicates in mask registers.
    Avx512,
    /// As `Avx512`, with sums of products of bytes and of 16-bit integers.
    Avx512Vnni,
    /// As `Avx512Vnni`, with sums of products of bf16.
    Avx512Bf16,
    /// As `Avx512Bf16`, with tile registers (AMX).
    Avx512Amx,
}

impl Isa {
    /// From the widest.
    pub const ALL: [Self; 5] =
        [Self::Avx512Amx, Self::Avx512Bf16, Self::Avx512Vnni, Self::Avx512, Self::Avx2];

    /// The name in texts and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Avx512Amx => "avx512amx",
        }
    }

    /// Whether vectors have 512 bits and predicates registers of their own.
    pub fn is_avx512(self) -> bool {
        self != Self::Avx2
    }

    /// Whether it adds products of narrow elements in groups.
    pub fn has_dot(self, of: Narrow) -> bool {
        match of {
            Narrow::Bytes | Narrow::Words => self >= Self::Avx512Vnni,
            Narrow::Bf16 => self >= Self::Avx512Bf16,
        }
    }

    /// The least set with vectors of this length.
    pub fn base(self) -> Self {
        if self.is_avx512() { Self::Avx512 } else { Self::Avx2 }
    }

    /// Whether it has tile registers.
    pub fn has_tiles(self) -> bool {
        self == Self::Avx512Amx
    }

    /// Bytes of a vector register.
    pub fn vector_bytes(self) -> u64 {
        match self {
            Self::Avx2 => 32,
            Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Avx512Amx => 64,
        }
    }

    /// Vector registers.
    pub fn vectors(self) -> usize {
        match self {
            Self::Avx2 => 16,
            Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Avx512Amx => 32,
        }
    }

    /// Mask registers that hold predicates; none where vectors do.
    pub fn predicates(self) -> usize {
        match self {
            Self::Avx2 => 0,
            Self::Avx512 | Self::Avx512Vnni | Self::Avx512Bf16 | Self::Avx512Amx => 7,
        }
    }

    /// What a processor needs, by the names that it reports.
    pub fn features(self) -> &'static [&'static str] {
        match self {
            Self::Avx2 => &["avx2", "fma", "f16c", "bmi2"],
            Self::Avx512 => &["avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "f16c", "bmi2"],
            Self::Avx512Vnni => &[
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
                "fma",
                "f16c",
                "bmi2",
            ],
            Self::Avx512Bf16 => &[
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
                "avx512bf16",
                "fma",
                "f16c",
                "bmi2",
            ],
            Self::Avx512Amx => &[
                "avx512f",
                "avx512bw",
                "avx512dq",
                "avx512vl",
                "avx512vnni",
                "avx512bf16",
                "amx-tile",
                "amx-bf16",
                "amx-int8",
                "fma",
                "f16c",
                "bmi2",
            ],
        }
    }

    /// Whether this processor, and the operating system on it, have the set. For tile registers that asks the system
    /// once for the right to use them, for the whole process.
    pub fn detected(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("fma")
                && std::is_x86_feature_detected!("f16c")
                && std::is_x86_feature_detected!("bmi2");
            let avx512 = std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512dq")
                && std::is_x86_feature_detected!("avx512vl");
            let vnni = std::is_x86_feature_detected!("avx512vnni");
            let bf16 = std::is_x86_feature_detected!("avx512bf16");
            match self {
                Self::Avx2 => avx2,
                Self::Avx512 => avx2 && avx512,
                Self::Avx512Vnni => avx2 && avx512 && vnni,
                Self::Avx512Bf16 => avx2 && avx512 && vnni && bf16,
                Self::Avx512Amx => avx2 && avx512 && vnni && bf16 && permission::has_tiles(),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a leaf has no machine code in an instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The set lacks an operation, or it is not written for it.
    Missing(Isa, String),
    /// More registers are live at once than there are: what kind, needed, there are.
    Pressure(&'static str, usize, usize),
    /// The leaf breaks its own rules.
    Malformed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(isa, what) => write!(f, "{isa} has no {what}"),
            Self::Pressure(kind, needed, available) => {
                write!(f, "{needed} {kind} are live at once, of {available}")
            }
            Self::Malformed(what) => write!(f, "the leaf is malformed: {what}"),
        }
    }
}

impl std::error::Error for Refusal {}
