//! Tokens: words, names in backquotes, numbers, texts in double quotes, symbols; `#` begins a comment.
//!
//! Line ends mean nothing. Invariant: the list of tokens always ends with `End`, and every span lies in the source.

use super::code;
use crate::diag::{Diagnostic, Span};

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word: a name or a keyword.
    Word(String),
    /// A name in backquotes; never a keyword.
    Name(String),
    /// A number with its suffix, as written.
    Number(String),
    /// A text in double quotes.
    Text(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The end of the source.
    End,
}

/// One token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// A longer text is refused; it also keeps every offset within 32 bits.
const SOURCE_BYTES_MAX: usize = 1 << 20;

/// Longest first, so that `<=` is not `<` and `=`.
const SYMBOLS: [&str; 28] = [
    "->", "<=", ">=", "==", "!=", "&&", "||", "..", "{", "}", "(", ")", "[", "]", ",", ":", ";",
    "=", "<", ">", "+", "-", "*", "/", "!", "@", ".", "?",
];

/// Whether a word may begin with this character.
pub(super) fn starts_word(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_'
}

/// Whether a word may go on with this character.
pub(super) fn continues_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// Cuts a source into tokens; what is no token is reported and left out.
pub fn lex(source: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Token> {
    let mut lexer = Lexer { source, position: 0, tokens: vec![], diagnostics };
    if source.len() > SOURCE_BYTES_MAX {
        lexer.diagnostics.push(
            Diagnostic::new(code::TOO_LARGE, "the text is longer than 1 MiB")
                .help("split the program"),
        );
        lexer.position = source.len();
    }
    while lexer.skip_blank() {
        lexer.token();
    }
    let end = lexer.span(lexer.source.len());
    lexer.tokens.push(Token { kind: TokenKind::End, span: end });
    lexer.tokens
}

struct Lexer<'a> {
    source: &'a str,
    position: usize,
    tokens: Vec<Token>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.position..]
    }

    fn span(&self, start: usize) -> Span {
        let offset = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Span { start: offset(start), end: offset(self.position) }
    }

    /// Skips blanks and comments; whether anything is left.
    fn skip_blank(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            let comment = if trimmed.starts_with('#') {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                0
            };
            let skipped = rest.len() - trimmed.len() + comment;
            self.position += skipped;
            if skipped == 0 {
                return !self.rest().is_empty();
            }
        }
    }

    fn push(&mut self, start: usize, kind: TokenKind) {
        let span = self.span(start);
        self.tokens.push(Token { kind, span });
    }

    fn fault(&mut self, start: usize, message: &str, expected: &str) {
        let span = self.span(start);
        let found = format!("`{}`", self.source[start..self.position].escape_debug());
        let fault = Diagnostic::new(code::MALFORMED, message).at(span).found(found);
        self.diagnostics.push(fault.expected(expected));
    }

    fn token(&mut self) {
        let start = self.position;
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        if starts_word(first) {
            let word: String = rest.chars().take_while(|&char| continues_word(char)).collect();
            self.position += word.len();
            self.push(start, TokenKind::Word(word));
        } else if first.is_ascii_digit() {
            self.number(start);
        } else if first == '`' || first == '"' {
            self.quoted(start, first);
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.position += symbol.len();
            self.push(start, TokenKind::Symbol(symbol));
        } else {
            self.position += first.len_utf8();
            self.fault(start, "this character begins no token", "a name, a number or a symbol");
        }
    }

    /// Digits, a fraction, an exponent, and the letters of a suffix.
    fn number(&mut self, start: usize) {
        let bytes = self.source.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut end = digits(start);
        if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
            end = digits(end + 1);
        }
        if bytes.get(end) == Some(&b'e') {
            let signed = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if is_digit(end + 1 + signed) {
                end = digits(end + 1 + signed);
            }
        }
        while bytes.get(end).is_some_and(|&byte| continues_word(char::from(byte))) {
            end += 1;
        }
        self.position = end;
        self.push(start, TokenKind::Number(self.source[start..end].to_string()));
    }

    fn quoted(&mut self, start: usize, mark: char) {
        let mut text = String::new();
        let mut chars = self.source[start + 1..].char_indices();
        while let Some((offset, char)) = chars.next() {
            if char == mark {
                self.position = start + 1 + offset + 1;
                let kind = if mark == '`' { TokenKind::Name(text) } else { TokenKind::Text(text) };
                return self.push(start, kind);
            }
            match char {
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                '\n' => break,
                other => text.push(other),
            }
        }
        // The rest of the line belongs to the broken quotation.
        self.position += self.rest().find('\n').unwrap_or(self.rest().len());
        self.fault(start, "the quotation is not closed on its line", "a closing quote");
    }
}
