//! Names that files, linkers and C take.
//!
//! Invariant: a name that passes is an identifier of C and C++ that is no keyword; a parameter that is one is changed.

use tilewright_ir::diag::Diagnostic;

/// Words that are no names in C, in C++, or in a header of ours.
const RESERVED: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "int16_t",
    "int32_t",
    "int64_t",
    "int8_t",
    "linux",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "parallel",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "tilewright_body",
    "tilewright_parallel",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "typeof_unqual",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "uint8_t",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "workspace",
    "workspace_bytes",
    "xor",
    "xor_eq",
];

/// Longer names are refused: files have a limit, and nobody wants them.
const BYTES_MAX: usize = 200;

fn is_identifier(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(known)
}

/// Refuses the name of a library that is no part of a file name.
pub(super) fn check_library(name: &str) -> Result<(), Diagnostic> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte);
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if begins && name.len() <= BYTES_MAX && name.bytes().all(known) {
        return Ok(());
    }
    let fault = Diagnostic::new("TW1001", "the library cannot have this name");
    Err(fault
        .found(format!("`{name}`"))
        .expected("letters, digits and `_-.+`, at most 200, the first a letter, a digit or `_`")
        .help("choose a name with `--name`"))
}

/// Refuses a prefix of symbols that is none.
pub(super) fn check_prefix(prefix: &str) -> Result<(), Diagnostic> {
    if (prefix.is_empty() || is_identifier(prefix)) && prefix.len() <= BYTES_MAX {
        return Ok(());
    }
    let fault = Diagnostic::new("TW1001", "symbols cannot have this prefix");
    Err(fault
        .found(format!("`{prefix}`"))
        .expected("letters, digits and `_`, at most 200, the first no digit")
        .help("choose another `--prefix`, or leave it out for `tw_`"))
}

/// Refuses a symbol that is no name in C.
pub(super) fn check_symbol(symbol: &str) -> Result<(), Diagnostic> {
    if is_identifier(symbol) && !RESERVED.contains(&symbol) {
        return Ok(());
    }
    let fault = Diagnostic::new("TW1001", "C has no function of this name");
    Err(fault
        .found(format!("`{symbol}`"))
        .expected("an identifier that is no word of C or C++")
        .help("give symbols a `--prefix`"))
}

/// The names of parameters: those of the text, with `_` behind one that C or the header has in other use.
pub(super) fn parameters<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: Vec<String> = vec![];
    for name in names {
        let mut name = name.to_string();
        while RESERVED.contains(&name.as_str()) || taken.contains(&name) {
            name.push('_');
        }
        taken.push(name);
    }
    taken
}

/// A name in capitals, for the guard of a header.
pub(super) fn guard(name: &str) -> String {
    let shown =
        |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    format!("TILEWRIGHT_{}_H", name.chars().map(shown).collect::<String>())
}
