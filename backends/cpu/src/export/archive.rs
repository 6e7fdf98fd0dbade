//! A static library: one object in the archive format that every Unix linker reads, with its index of symbols.
//!
//! Invariant: no date, owner or path is in it.

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER_BYTES: usize = 60;
/// The name of the only member.
const MEMBER: &str = "kernels.o/";

/// The archive of an object that defines these symbols.
pub(super) fn archive(object: &[u8], symbols: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = symbols.iter().flat_map(|name| name.bytes().chain([0])).collect();
    let index_bytes = (4 + 4 * symbols.len() + names.len()).next_multiple_of(2);
    let member = MAGIC.len() + HEADER_BYTES + index_bytes;
    let big_endian =
        |number: usize| u32::try_from(number).expect("an index is small").to_be_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(header("/", index_bytes));
    bytes.extend(big_endian(symbols.len()));
    symbols.iter().for_each(|_| bytes.extend(big_endian(member)));
    bytes.extend(names);
    bytes.resize(member, 0);
    bytes.extend(header(MEMBER, object.len()));
    bytes.extend(object);
    if object.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

/// Name, date, owner, group, mode and length.
fn header(name: &str, bytes: usize) -> Vec<u8> {
    let text = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{bytes:<10}`\n", 0, 0, 0, 644);
    debug_assert_eq!(text.len(), HEADER_BYTES);
    text.into_bytes()
}
