//! The text room: tokens, names and expressions, shared by the texts of the pass program and the tile program.
//!
//! An expression is written with the usual operators, calls for functions, `load A` for the elements of a buffer,
//! `at A[i: x, j: y]` for those with the axes i and j replaced by indices,
//! `index(i)` and `len(i)` for an axis, `f64(x)` for a cast, `reduce max[j](x)` and `mma[k](a, b, c)`. A bare number
//! is `f32`; another type is its suffix (`0.5f64`, `3i32`, `inff64`). A minus in front of a number belongs to the
//! number; the negation of a number is written `neg(3)`.
//! Invariant: `parse(print(x)) == x`, and no text, however hostile, makes the parser panic or overflow the stack.

mod expr_parse;
mod expr_print;
mod lexer;
mod names;
mod number;
mod parser;

pub use expr_parse::Resolve;
pub use expr_print::{ExprNames, print_expr};
pub use lexer::{Token, TokenKind, lex};
pub(crate) use names::{HasAxes, Names, duplicate, extents};
pub use number::{parse_literal, print_literal, print_strides};
pub use parser::{Failed, Parsed, Parser};

/// The codes of the faults that the text room itself can find.
pub mod code {
    /// A character or a token that no text has.
    pub const MALFORMED: &str = "TW0501";
    /// Another token was expected here.
    pub const UNEXPECTED: &str = "TW0502";
    /// A name that is not declared.
    pub const UNKNOWN_NAME: &str = "TW0503";
    /// The text nests deeper than the parser follows.
    pub const TOO_DEEP: &str = "TW0504";
    /// A number that its type does not hold.
    pub const NUMBER: &str = "TW0505";
    /// A name that is declared twice.
    pub const DUPLICATE: &str = "TW0506";
    /// More axes than a program may have, or a text that is too long.
    pub const TOO_LARGE: &str = "TW0507";
}

/// Words with a meaning of their own; a name that is one of them is written in backquotes.
const RESERVED: &[&str] = &[
    "at", "carry", "choose", "device", "extents", "false", "for", "grid", "group", "inf", "input",
    "last", "let", "load", "nan", "output", "pass", "phase", "plan", "reduce", "result", "stage",
    "state", "store", "stream", "tile", "true", "yield",
];

/// A name as a text shows it: bare where it is a word of its own, else in backquotes with escapes.
pub fn quote_name(name: &str) -> String {
    let mut chars = name.chars();
    let bare = chars.next().is_some_and(lexer::starts_word)
        && chars.all(lexer::continues_word)
        && !RESERVED.contains(&name)
        && number::constant(name).is_none();
    if bare { name.to_string() } else { quote('`', name) }
}

/// A text between two quote characters, with escapes.
pub fn quote(mark: char, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            other if other == mark => {
                out.push('\\');
                out.push(other);
            }
            other => out.push(other),
        }
    }
    out.push(mark);
    out
}
