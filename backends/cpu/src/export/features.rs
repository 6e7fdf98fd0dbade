//! What exported code demands of a processor, and how an x86-64 processor says that it has it.
//!
//! Invariant: each name that `Isa::features` lists has a row here, so the check in exported code leaves nothing out.

use super::machine::{Arch, Machine};
use crate::wide::Isa;

/// A register of the answers of `cpuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Leaf 1, ecx.
    BaseC,
    /// Leaf 7, ebx.
    SevenB,
    /// Leaf 7, ecx.
    SevenC,
    /// Leaf 7, edx.
    SevenD,
    /// Leaf 7, subleaf 1, eax.
    SevenOneA,
    /// Leaf `0x8000_0001`, ecx.
    ExtendedC,
}

/// A feature of x86-64: its name, Cranelift's flag for it (none: Cranelift makes no use of it), where `cpuid` tells.
struct Row(&'static str, Option<&'static str>, Word, u32);

const ROWS: &[Row] = &[
    Row("sse3", Some("has_sse3"), Word::BaseC, 0),
    Row("ssse3", Some("has_ssse3"), Word::BaseC, 9),
    Row("sse4.1", Some("has_sse41"), Word::BaseC, 19),
    Row("sse4.2", Some("has_sse42"), Word::BaseC, 20),
    Row("popcnt", Some("has_popcnt"), Word::BaseC, 23),
    Row("fma", Some("has_fma"), Word::BaseC, 12),
    Row("avx", Some("has_avx"), Word::BaseC, 28),
    Row("f16c", None, Word::BaseC, 29),
    Row("bmi1", Some("has_bmi1"), Word::SevenB, 3),
    Row("avx2", Some("has_avx2"), Word::SevenB, 5),
    Row("bmi2", Some("has_bmi2"), Word::SevenB, 8),
    Row("avx512f", Some("has_avx512f"), Word::SevenB, 16),
    Row("avx512dq", Some("has_avx512dq"), Word::SevenB, 17),
    Row("avx512bw", None, Word::SevenB, 30),
    Row("avx512vl", Some("has_avx512vl"), Word::SevenB, 31),
    Row("avx512vbmi", Some("has_avx512vbmi"), Word::SevenC, 1),
    Row("avx512vnni", None, Word::SevenC, 11),
    Row("avx512fp16", None, Word::SevenD, 23),
    Row("amx-bf16", None, Word::SevenD, 22),
    Row("amx-tile", None, Word::SevenD, 24),
    Row("amx-int8", None, Word::SevenD, 25),
    Row("avxvnni", None, Word::SevenOneA, 4),
    Row("avx512bf16", None, Word::SevenOneA, 5),
    Row("lzcnt", Some("has_lzcnt"), Word::ExtendedC, 5),
];

/// The base of 2009, x86-64-v2: below it the portable path has no rounding instruction.
const PORTABLE: [&str; 5] = ["sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"];
/// What Cranelift uses beside wide vectors, which every processor with AVX2 has.
const BESIDE_WIDE: [&str; 3] = ["avx", "bmi1", "lzcnt"];

fn rows(machine: Machine) -> impl Iterator<Item = &'static Row> {
    let mut names: Vec<&str> = vec![];
    if machine.arch == Arch::X86_64 {
        names.extend(PORTABLE);
    }
    if let Some(isa) = machine.wide {
        names.extend(BESIDE_WIDE);
        names.extend(Isa::Avx2.features());
        names.extend(isa.features());
    }
    ROWS.iter().filter(move |row| names.contains(&row.0))
}

/// The names of what a machine's code needs.
pub(super) fn needed(machine: Machine) -> Vec<&'static str> {
    match machine.arch {
        Arch::X86_64 => rows(machine).map(|row| row.0).collect(),
        // Advanced SIMD belongs to the base of Armv8-A.
        Arch::Aarch64 => vec![],
        Arch::Riscv64 => vec!["v"],
    }
}

/// The flags of Cranelift that say the same.
pub(super) fn flags(machine: Machine) -> Vec<&'static str> {
    match machine.arch {
        Arch::X86_64 => rows(machine).filter_map(|row| row.1).collect(),
        Arch::Aarch64 => vec![],
        Arch::Riscv64 => vec!["has_v", "has_zvl128b"],
    }
}

/// The bits that must be set in a word of `cpuid`; 0: none.
pub(super) fn mask(machine: Machine, word: Word) -> u32 {
    // The operating system has switched on the instruction that tells which registers it saves.
    let saves = if word == Word::BaseC && machine.wide.is_some() { 1 << 27 } else { 0 };
    rows(machine).filter(|row| row.2 == word).fold(saves, |mask, row| mask | 1 << row.3)
}

/// The register states that the operating system must save, as bits of XCR0.
pub(super) fn saved_states(machine: Machine) -> u32 {
    match machine.wide {
        None => 0,
        Some(Isa::Avx2) => 0x06,
        Some(Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16) => 0xe6,
        Some(Isa::Avx512Amx) => 0x6_00e6,
    }
}

#[cfg(test)]
mod tests {
    use super::{Isa, ROWS};

    #[test]
    fn every_feature_of_a_vector_set_is_checked() {
        for isa in Isa::ALL {
            for feature in isa.features() {
                assert!(ROWS.iter().any(|row| row.0 == *feature), "{isa}: {feature}");
            }
        }
    }
}
