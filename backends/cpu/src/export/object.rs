//! A relocatable object: one section of code for each function, its unwinding tables, and the remembered answers.
//!
//! A section for each function lets a linker drop those that nobody calls. Invariant: no symbol is undefined.

use super::code::{ALIGN, Text};
use super::frames::POINTER_AT;
use super::machine::{Arch, Machine};
use object::write::{Object, Relocation, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionKind, SymbolFlags,
    SymbolKind, SymbolScope, elf,
};

/// The flags in the head of a file: on RISC-V floats are passed in registers.
pub(super) fn file_flags(arch: Arch) -> u32 {
    match arch {
        Arch::Riscv64 => elf::EF_RISCV_FLOAT_ABI_DOUBLE,
        Arch::X86_64 | Arch::Aarch64 => 0,
    }
}

/// A relocation of 32 bits relative to themselves.
fn relative(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => elf::R_X86_64_PC32,
        Arch::Aarch64 => elf::R_AARCH64_PREL32,
        Arch::Riscv64 => elf::R_RISCV_32_PCREL,
    }
}

/// The object of these texts.
///
/// # Errors
/// What the writer refuses.
pub(super) fn object(machine: Machine, texts: &[Text]) -> Result<Vec<u8>, String> {
    let architecture = match machine.arch {
        Arch::X86_64 => Architecture::X86_64,
        Arch::Aarch64 => Architecture::Aarch64,
        Arch::Riscv64 => Architecture::Riscv64,
    };
    let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
    object.flags = FileFlags::Elf {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_flags: file_flags(machine.arch),
    };
    let relative = relative(machine.arch);
    let answer = texts
        .iter()
        .any(|text| text.answer_at.is_some())
        .then(|| add_answers(&mut object, texts.len() as u64));
    for (text, number) in texts.iter().zip(0..) {
        add_text(&mut object, text, answer.map(|answers| (answers, number)), relative)?;
    }
    // Code that needs no executable stack says so.
    object.add_section(vec![], b".note.GNU-stack".to_vec(), SectionKind::Other);
    object.write().map_err(|error| error.to_string())
}

/// A word for each function: they need not demand the same.
fn add_answers(object: &mut Object<'_>, count: u64) -> SymbolId {
    let section = object.section_id(StandardSection::UninitializedData);
    let symbol = object.add_symbol(Symbol {
        name: b"tilewright.processor".to_vec(),
        value: 0,
        size: 4 * count,
        kind: SymbolKind::Data,
        scope: SymbolScope::Compilation,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    object.add_symbol_bss(symbol, section, 4 * count, 4);
    symbol
}

fn add_text(
    object: &mut Object<'_>,
    text: &Text,
    answer: Option<(SymbolId, i64)>,
    relative: u32,
) -> Result<(), String> {
    let name = format!(".text.{}", text.name).into_bytes();
    let section = object.add_section(vec![], name, SectionKind::Text);
    object.append_section_data(section, &text.bytes, ALIGN);
    for symbol in &text.symbols {
        object.add_symbol(Symbol {
            name: symbol.name.clone().into_bytes(),
            value: symbol.offset,
            size: symbol.bytes,
            kind: SymbolKind::Text,
            scope: if symbol.exported { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    let mut relocate = |section, offset, symbol, addend| {
        let flags = RelocationFlags::Elf { r_type: relative };
        object
            .add_relocation(section, Relocation { offset, symbol, addend, flags })
            .map_err(|error| error.to_string())
    };
    if let (Some(at), Some((answers, number))) = (text.answer_at, answer) {
        // Relative to the end of the field.
        relocate(section, at, answers, 4 * number - 4)?;
    }
    if !text.frames.bytes.is_empty() {
        let code = object.section_symbol(section);
        let frames = object.section_id(StandardSection::EhFrame);
        let start = object.append_section_data(frames, &text.frames.bytes, 8);
        for pointer in &text.frames.pointers {
            let offset = start + pointer.entry + POINTER_AT;
            let addend = pointer.function.cast_signed();
            let flags = RelocationFlags::Elf { r_type: relative };
            object
                .add_relocation(frames, Relocation { offset, symbol: code, addend, flags })
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
