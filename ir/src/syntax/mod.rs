//! The kernel language: lexer, parser, syntax tree, canonical printer.
//!
//! The parser knows no meaning: it accepts the whole language, also what the checker does not support yet, and goes on
//! after a fault, so that a file shows all its faults at once.
//! Invariants: `print(parse(x)) == x` for a canonical text; comments are kept; every text, however hostile, is parsed in
//! time linear in its length and in bounded stack (`DEPTH_MAX`, `HEIGHT_MAX`).

pub mod ast;
mod lexer;
mod parser;
mod print;

pub use parser::{Parsed, parse};
pub(crate) use print::expr as print_expr;
pub use print::print;

use crate::diag::{Diagnostic, Span};

/// The deepest nesting of brackets and prefix operators.
pub const DEPTH_MAX: u32 = 256;
/// The highest expression tree, which bounds chains such as `a + b + c + ..`.
pub const HEIGHT_MAX: u32 = 512;
/// The longest text in bytes.
pub const SOURCE_BYTES_MAX: usize = 1 << 26;

/// The text of a file's bytes.
///
/// # Errors
/// One diagnostic that says where the bytes are no UTF-8.
pub fn text_of(bytes: &[u8]) -> Result<&str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|fault| {
        let offset = u32::try_from(fault.valid_up_to()).unwrap_or(u32::MAX);
        let fault = Diagnostic::new("TW0107", "the file is not UTF-8 text")
            .at(Span { start: offset, end: offset })
            .found(format!("a byte that is no text at offset {offset}"))
            .help("save the file as UTF-8; a kernel text needs ASCII only, except in comments");
        vec![fault]
    })
}

/// The beginning of a text, for a message.
pub(crate) fn short(text: &str) -> String {
    let shown = |char: char| if char.is_control() { '?' } else { char };
    let cut: String = text.chars().take(24).map(shown).collect();
    if text.chars().nth(24).is_some() { format!("{cut}..") } else { cut }
}
