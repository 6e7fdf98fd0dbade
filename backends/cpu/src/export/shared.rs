//! A shared library, written without a linker: since nothing in it needs an outside symbol or a relocation, it is tables
//! around the code.
//!
//! Three segments: tables to read, code, and the words that change (the dynamic section, the processor's answers). They
//! follow each other in the file, and lie a page further apart in memory. Invariant: file offsets and addresses agree
//! modulo the largest page of the architecture.

use super::code::{ALIGN, Text};
use super::frames::POINTER_AT;
use super::machine::{Arch, Machine};
use super::object::file_flags;
use object::elf;

const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;
const SECTION_HEADER_BYTES: u64 = 64;
const SYMBOL_BYTES: u64 = 24;

/// A section: its name, type, flags, alignment, bytes of an entry, the section that it refers to, its content.
struct Section {
    name: &'static str,
    kind: u32,
    flags: u32,
    align: u64,
    entry_bytes: u64,
    link: u32,
    info: u32,
    bytes: Vec<u8>,
    offset: u64,
    address: u64,
}

/// The sections in the order of the file; the numbers are those of the section table.
const DYNSYM: usize = 1;
const DYNSTR: usize = 2;
const HASH: usize = 3;
const FRAMES_INDEX: usize = 4;
const FRAMES: usize = 5;
const TEXT: usize = 6;
const DYNAMIC: usize = 7;
const ANSWER: usize = 8;
const NAMES: usize = 9;

/// An exported symbol: name, offset in the code, bytes.
type Export<'a> = (&'a str, u64, u64);

/// The shared library `lib{name}.so` of these texts.
///
/// # Errors
/// Code too large for its distances.
pub(super) fn shared(name: &str, machine: Machine, texts: &[Text]) -> Result<Vec<u8>, String> {
    let (code, starts) = joined(texts);
    let exports = exports(texts, &starts);
    let frames = frames(texts);
    let mut sections = sections(name, &exports, code, &frames);
    place(&mut sections, page(machine.arch));
    fill_symbols(&mut sections, &exports);
    fill_dynamic(&mut sections);
    fill_answers(&mut sections, texts, &starts)?;
    fill_frames(&mut sections, texts, &starts)?;
    Ok(file(&sections, machine.arch))
}

/// The largest page that a system of the architecture may use.
fn page(arch: Arch) -> u64 {
    match arch {
        Arch::X86_64 | Arch::Riscv64 => 4 << 10,
        Arch::Aarch64 => 64 << 10,
    }
}

/// All code, and where each text begins in it.
fn joined(texts: &[Text]) -> (Vec<u8>, Vec<u64>) {
    let mut code: Vec<u8> = vec![];
    let place = |text: &Text| {
        code.resize(code.len().next_multiple_of(ALIGN as usize), 0);
        let start = code.len() as u64;
        code.extend(&text.bytes);
        start
    };
    let starts = texts.iter().map(place).collect();
    (code, starts)
}

fn exports<'a>(texts: &'a [Text], starts: &[u64]) -> Vec<Export<'a>> {
    let all = texts.iter().zip(starts).flat_map(|(text, start)| {
        let exported = text.symbols.iter().filter(|symbol| symbol.exported);
        exported.map(move |symbol| (symbol.name.as_str(), start + symbol.offset, symbol.bytes))
    });
    all.collect()
}

/// The unwinding tables of all texts, with a terminator; their pointers are still to be filled in.
fn frames(texts: &[Text]) -> Vec<u8> {
    let mut bytes: Vec<u8> = texts.iter().flat_map(|text| text.frames.bytes.clone()).collect();
    bytes.extend([0; 4]);
    bytes
}

fn sections(name: &str, exports: &[Export<'_>], code: Vec<u8>, frames: &[u8]) -> Vec<Section> {
    let section = |name, (kind, flags), align, (entry_bytes, link, info), bytes| Section {
        name,
        kind,
        flags,
        align,
        entry_bytes,
        link,
        info,
        bytes,
        offset: 0,
        address: 0,
    };
    let symbols = exports.len() + 1;
    let pointers = frame_count(frames);
    let read = elf::SHF_ALLOC;
    let names: Vec<u8> = NAMES_OF.iter().flat_map(|name| name.bytes().chain([0])).collect();
    vec![
        section("", (elf::SHT_NULL, 0), 0, (0, 0, 0), vec![]),
        section(
            NAMES_OF[DYNSYM],
            (elf::SHT_DYNSYM, read),
            8,
            (SYMBOL_BYTES, DYNSTR as u32, 1),
            vec![0; symbols * SYMBOL_BYTES as usize],
        ),
        section(NAMES_OF[DYNSTR], (elf::SHT_STRTAB, read), 1, (0, 0, 0), strings(name, exports)),
        section(NAMES_OF[HASH], (elf::SHT_HASH, read), 8, (4, DYNSYM as u32, 0), hashes(exports)),
        section(
            NAMES_OF[FRAMES_INDEX],
            (elf::SHT_PROGBITS, read),
            4,
            (0, 0, 0),
            vec![0; 12 + 8 * pointers],
        ),
        section(NAMES_OF[FRAMES], (elf::SHT_PROGBITS, read), 8, (0, 0, 0), frames.to_vec()),
        section(
            NAMES_OF[TEXT],
            (elf::SHT_PROGBITS, read | elf::SHF_EXECINSTR),
            ALIGN,
            (0, 0, 0),
            code,
        ),
        section(
            NAMES_OF[DYNAMIC],
            (elf::SHT_DYNAMIC, read | elf::SHF_WRITE),
            16,
            (16, DYNSTR as u32, 0),
            vec![0; 16 * DYNAMIC_WORDS],
        ),
        section(
            NAMES_OF[ANSWER],
            (elf::SHT_PROGBITS, read | elf::SHF_WRITE),
            8,
            (0, 0, 0),
            vec![0; (4 * exports.len()).next_multiple_of(8).max(8)],
        ),
        section(NAMES_OF[NAMES], (elf::SHT_STRTAB, 0), 1, (0, 0, 0), names),
    ]
}

const NAMES_OF: [&str; 10] = [
    "",
    ".dynsym",
    ".dynstr",
    ".hash",
    ".eh_frame_hdr",
    ".eh_frame",
    ".text",
    ".dynamic",
    ".data",
    ".shstrtab",
];

/// Segments: three to load, the dynamic section, the index of the tables, and that the stack holds no code.
const SEGMENTS: u64 = 6;

fn place(sections: &mut [Section], page: u64) {
    let mut offset = HEADER_BYTES + SEGMENTS * PROGRAM_HEADER_BYTES;
    for (number, section) in sections.iter_mut().enumerate().skip(1) {
        offset = offset.next_multiple_of(section.align);
        section.offset = offset;
        section.address = match number {
            _ if section.flags & elf::SHF_ALLOC == 0 => 0,
            DYNAMIC | ANSWER => offset + 2 * page,
            TEXT => offset + page,
            _ => offset,
        };
        offset += section.bytes.len() as u64;
    }
}

/// The file's own name, then the symbols.
fn strings(name: &str, exports: &[Export<'_>]) -> Vec<u8> {
    let own = file_name(name);
    let names = [own.as_str()].into_iter().chain(exports.iter().map(|(name, ..)| *name));
    let mut bytes = vec![0];
    names.for_each(|name| bytes.extend(name.bytes().chain([0])));
    bytes
}

fn file_name(name: &str) -> String {
    format!("lib{name}.so")
}

/// The table by which a loader finds a symbol.
fn hashes(exports: &[Export<'_>]) -> Vec<u8> {
    let symbols = exports.len() as u32 + 1;
    let buckets = symbols;
    let mut heads = vec![0_u32; buckets as usize];
    let mut next = vec![0_u32; symbols as usize];
    for (number, (name, ..)) in (1..).zip(exports) {
        let bucket = (elf::hash(name.as_bytes()) % buckets) as usize;
        next[number as usize] = heads[bucket];
        heads[bucket] = number;
    }
    let words = [buckets, symbols].into_iter().chain(heads).chain(next);
    words.flat_map(u32::to_le_bytes).collect()
}

fn fill_symbols(sections: &mut [Section], exports: &[Export<'_>]) {
    let text = sections[TEXT].address;
    let mut name =
        1 + sections[DYNSTR].bytes[1..].iter().position(|&byte| byte == 0).unwrap_or(0) + 1;
    let mut bytes = vec![0; SYMBOL_BYTES as usize];
    for (symbol, offset, length) in exports {
        bytes.extend((name as u32).to_le_bytes());
        bytes.extend([elf::STB_GLOBAL << 4 | elf::STT_FUNC, elf::STV_DEFAULT]);
        bytes.extend((TEXT as u16).to_le_bytes());
        bytes.extend((text + offset).to_le_bytes());
        bytes.extend(length.to_le_bytes());
        name += symbol.len() + 1;
    }
    sections[DYNSYM].bytes = bytes;
}

const DYNAMIC_WORDS: usize = 7;

fn fill_dynamic(sections: &mut [Section]) {
    let words: [(i64, u64); DYNAMIC_WORDS] = [
        (elf::DT_SONAME, 1),
        (elf::DT_HASH, sections[HASH].address),
        (elf::DT_STRTAB, sections[DYNSTR].address),
        (elf::DT_SYMTAB, sections[DYNSYM].address),
        (elf::DT_STRSZ, sections[DYNSTR].bytes.len() as u64),
        (elf::DT_SYMENT, SYMBOL_BYTES),
        (elf::DT_NULL, 0),
    ];
    let bytes = words
        .into_iter()
        .flat_map(|(tag, value)| tag.to_le_bytes().into_iter().chain(value.to_le_bytes()));
    sections[DYNAMIC].bytes = bytes.collect();
}

/// A distance in 32 bits.
fn distance(from: u64, to: u64) -> Result<[u8; 4], String> {
    let distance = i32::try_from(to.cast_signed() - from.cast_signed());
    let distance = distance.map_err(|_| "more code than a distance of 2 GiB".to_string())?;
    Ok(distance.to_le_bytes())
}

fn fill_answers(sections: &mut [Section], texts: &[Text], starts: &[u64]) -> Result<(), String> {
    let answer = sections[ANSWER].address;
    let text = &mut sections[TEXT];
    for ((one, start), number) in texts.iter().zip(starts).zip(0..) {
        if let Some(at) = one.answer_at {
            let at = start + at;
            let field = distance(text.address + at + 4, answer + 4 * number)?;
            write(&mut text.bytes, at, field);
        }
    }
    Ok(())
}

fn write(bytes: &mut [u8], at: u64, field: [u8; 4]) {
    let at = usize::try_from(at).expect("an offset into memory");
    bytes[at..at + 4].copy_from_slice(&field);
}

fn frame_count(frames: &[u8]) -> usize {
    let mut count = 0;
    let mut head = 0;
    while let Some(words) = frames.get(head..head + 8) {
        let word = |at: usize| {
            u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]])
        };
        count += usize::from(word(4) != 0);
        head += 4 + word(0) as usize;
    }
    count
}

/// Fills in the pointers of the tables, and the index by which an unwinder finds the entry of an address.
fn fill_frames(sections: &mut [Section], texts: &[Text], starts: &[u64]) -> Result<(), String> {
    let (text, table) = (sections[TEXT].address, sections[FRAMES].address);
    let index = sections[FRAMES_INDEX].address;
    let mut rows = vec![];
    let mut base = 0;
    for (one, start) in texts.iter().zip(starts) {
        for pointer in &one.frames.pointers {
            let entry = base + pointer.entry;
            let function = text + start + pointer.function;
            let field = distance(table + entry + POINTER_AT, function)?;
            write(&mut sections[FRAMES].bytes, entry + POINTER_AT, field);
            rows.push((function, table + entry));
        }
        base += one.frames.bytes.len() as u64;
    }
    rows.sort_unstable();
    // Version 1; the pointer to the tables and the rows are distances, the count is a number.
    let mut bytes = vec![1, 0x1b, 0x03, 0x3b];
    bytes.extend(distance(index + 4, table)?);
    bytes.extend((rows.len() as u32).to_le_bytes());
    for (function, entry) in rows {
        bytes.extend(distance(index, function)?);
        bytes.extend(distance(index, entry)?);
    }
    sections[FRAMES_INDEX].bytes = bytes;
    Ok(())
}

fn file(sections: &[Section], arch: Arch) -> Vec<u8> {
    let end = sections.iter().map(|section| section.offset + section.bytes.len() as u64).max();
    let table = end.unwrap_or(0).next_multiple_of(8);
    let mut bytes = file_header(sections, arch, table);
    bytes.extend(program_headers(sections, page(arch)));
    for section in &sections[1..] {
        bytes.resize(section.offset as usize, 0);
        bytes.extend(&section.bytes);
    }
    bytes.resize(table as usize, 0);
    let mut name = 0_u32;
    for section in sections {
        let words = [
            u64::from(name) | u64::from(section.kind) << 32,
            u64::from(section.flags),
            section.address,
            section.offset,
            section.bytes.len() as u64,
            u64::from(section.link) | u64::from(section.info) << 32,
            section.align,
            section.entry_bytes,
        ];
        bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
        name += section.name.len() as u32 + 1;
    }
    bytes
}

fn file_header(sections: &[Section], arch: Arch, table: u64) -> Vec<u8> {
    let machine = match arch {
        Arch::X86_64 => elf::EM_X86_64,
        Arch::Aarch64 => elf::EM_AARCH64,
        Arch::Riscv64 => elf::EM_RISCV,
    };
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(elf::ET_DYN.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0, HEADER_BYTES, table].into_iter().flat_map(u64::to_le_bytes));
    bytes.extend(file_flags(arch).to_le_bytes());
    let halves = [
        HEADER_BYTES,
        PROGRAM_HEADER_BYTES,
        SEGMENTS,
        SECTION_HEADER_BYTES,
        sections.len() as u64,
        NAMES as u64,
    ];
    bytes.extend(halves.into_iter().flat_map(|half| (half as u16).to_le_bytes()));
    bytes
}

/// Type, flags, (offset, address, bytes), alignment.
type Segment = (u32, u32, (u64, u64, u64), u64);

fn program_headers(sections: &[Section], page: u64) -> Vec<u8> {
    let end = |number: usize| sections[number].offset + sections[number].bytes.len() as u64;
    let part = |first: usize, last: usize| {
        (sections[first].offset, sections[first].address, end(last) - sections[first].offset)
    };
    let (read, write, execute) = (elf::PF_R, elf::PF_R | elf::PF_W, elf::PF_R | elf::PF_X);
    let segments: [Segment; SEGMENTS as usize] = [
        (elf::PT_LOAD, read, (0, 0, end(FRAMES)), page),
        (elf::PT_LOAD, execute, part(TEXT, TEXT), page),
        (elf::PT_LOAD, write, part(DYNAMIC, ANSWER), page),
        (elf::PT_DYNAMIC, write, part(DYNAMIC, DYNAMIC), 8),
        (elf::PT_GNU_EH_FRAME, read, part(FRAMES_INDEX, FRAMES_INDEX), 4),
        (elf::PT_GNU_STACK, write, (0, 0, 0), 16),
    ];
    let mut bytes = vec![];
    for (kind, flags, (offset, address, length), align) in segments {
        let words = [offset, address, address, length, length, align];
        bytes.extend([kind, flags].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
    }
    bytes
}
