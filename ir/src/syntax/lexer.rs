//! Cuts a text into tokens and comments.
//!
//! A newline is a token, because it ends a statement; a run of newlines is one. Keywords are ordinary names: the parser
//! knows by place what `where` or `sizes` means.
//! Invariant: tokens cover the text in order and the last one is `End`; time is linear in the length.

use super::ast::Comment;
use super::short;
use crate::base::DType;
use crate::diag::{Diagnostic, Faults, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Name,
    Number,
    Newline,
    Semicolon,
    Comma,
    Colon,
    At,
    Arrow,
    DotDot,
    Assign,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    Plus,
    Minus,
    Star,
    Slash,
    Bang,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    EqualEqual,
    BangEqual,
    AndAnd,
    OrOr,
    /// A symbol of other languages, or a character of none.
    Foreign,
    End,
}

/// Symbols, longest first where one is the start of another.
const SYMBOLS: &[(&str, TokenKind)] = &[
    ("->", TokenKind::Arrow),
    ("..", TokenKind::DotDot),
    ("==", TokenKind::EqualEqual),
    ("!=", TokenKind::BangEqual),
    ("<=", TokenKind::LessEqual),
    (">=", TokenKind::GreaterEqual),
    ("&&", TokenKind::AndAnd),
    ("||", TokenKind::OrOr),
    ("**", TokenKind::Foreign),
    ("//", TokenKind::Foreign),
    ("(", TokenKind::LeftParen),
    (")", TokenKind::RightParen),
    ("[", TokenKind::LeftBracket),
    ("]", TokenKind::RightBracket),
    ("{", TokenKind::LeftBrace),
    ("}", TokenKind::RightBrace),
    (",", TokenKind::Comma),
    (";", TokenKind::Semicolon),
    (":", TokenKind::Colon),
    ("@", TokenKind::At),
    ("=", TokenKind::Assign),
    ("+", TokenKind::Plus),
    ("-", TokenKind::Minus),
    ("*", TokenKind::Star),
    ("/", TokenKind::Slash),
    ("!", TokenKind::Bang),
    ("<", TokenKind::Less),
    (">", TokenKind::Greater),
];

/// The characters, besides letters and digits, that start a token or stand between tokens.
const KNOWN: &str = " \t\r\n#_()[]{},;:@=+-*/!<>";

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// A text in pieces.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    pub(super) comments: Vec<Comment>,
    pub(super) faults: Faults,
}

struct Lexer<'a> {
    source: &'a str,
    offset: usize,
    out: Lexed,
}

/// A byte range as a span; the caller has checked that the text is shorter than 4 GiB.
pub(super) fn span(start: usize, end: usize) -> Span {
    let cut = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { start: cut(start), end: cut(end) }
}

/// Whether the line before the one that `offset` stands on is blank.
pub(super) fn blank_line_before(source: &str, offset: usize) -> bool {
    let mut newlines = 0;
    for byte in source.as_bytes()[..offset].iter().rev() {
        match byte {
            b'\n' => newlines += 1,
            b' ' | b'\t' | b'\r' => {}
            _ => break,
        }
        if newlines == 2 {
            return true;
        }
    }
    false
}

/// Cuts a text into tokens.
pub(super) fn lex(source: &str) -> Lexed {
    let mut lexer = Lexer { source, offset: 0, out: Lexed::default() };
    if source.starts_with('\u{feff}') {
        lexer.offset = '\u{feff}'.len_utf8();
    }
    while let Some(&byte) = source.as_bytes().get(lexer.offset) {
        match byte {
            b' ' | b'\t' => lexer.offset += 1,
            b'\r' => lexer.carriage_return(),
            b'\n' => lexer.newline(),
            b'#' => lexer.comment(),
            b'0'..=b'9' => lexer.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => lexer.name(),
            _ => lexer.symbol(),
        }
    }
    let end = lexer.offset;
    lexer.push(TokenKind::End, end);
    lexer.out
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        &self.source.as_bytes()[self.offset..]
    }

    /// The length of the run of bytes for which `holds`, starting `skip` bytes from here.
    fn run(&self, skip: usize, holds: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest().get(skip..).unwrap_or_default();
        rest.iter().take_while(|&&byte| holds(byte)).count()
    }

    fn push(&mut self, kind: TokenKind, end: usize) {
        self.out.tokens.push(Token { kind, span: span(self.offset, end) });
        self.offset = end;
    }

    fn newline(&mut self) {
        if self.out.tokens.last().is_some_and(|token| token.kind == TokenKind::Newline) {
            self.offset += 1;
        } else {
            self.push(TokenKind::Newline, self.offset + 1);
        }
    }

    /// A carriage return before a line feed means nothing; alone it would hide where a comment ends.
    fn carriage_return(&mut self) {
        if self.rest().get(1) != Some(&b'\n') && self.rest().len() > 1 {
            let fault = Diagnostic::new("TW0101", "a carriage return stands alone")
                .at(span(self.offset, self.offset + 1))
                .found("a carriage return (U+000D) without a line feed")
                .expected("a line feed, or a carriage return and a line feed, at a line's end")
                .help("save the file with the line ends of Unix or Windows");
            self.out.faults.push(fault);
        }
        self.offset += 1;
    }

    fn comment(&mut self) {
        let length = self.run(0, |byte| !matches!(byte, b'\n' | b'\r'));
        let own_line = self.out.tokens.last().is_none_or(|token| token.kind == TokenKind::Newline);
        let text = self.source[self.offset..self.offset + length].trim_end();
        self.out.comments.push(Comment {
            span: span(self.offset, self.offset + text.len()),
            text: text.to_string(),
            own_line,
            blank_before: blank_line_before(self.source, self.offset),
        });
        self.offset += length;
    }

    fn name(&mut self) {
        let length = self.run(0, is_name_byte);
        self.push(TokenKind::Name, self.offset + length);
    }

    fn number(&mut self) {
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        let mut length = self.run(0, digits);
        let after = |length: usize, step: usize| self.rest().get(length + step).copied();
        if after(length, 0) == Some(b'.') && after(length, 1).is_some_and(|b| b.is_ascii_digit()) {
            length += 1 + self.run(length + 1, digits);
        }
        if matches!(after(length, 0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(after(length, 1), Some(b'+' | b'-')));
            let exponent = self.run(length + 1 + sign, |byte| byte.is_ascii_digit());
            length += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let tail = self.run(length, is_name_byte);
        if tail > 0 {
            self.run_together(length, tail);
            length += tail;
        }
        self.push(TokenKind::Number, self.offset + length);
    }

    fn run_together(&mut self, length: usize, tail: usize) {
        let (number, name) = (self.offset, self.offset + length);
        let (digits, word) = (&self.source[number..name], &self.source[name..name + tail]);
        let fault = Diagnostic::new("TW0103", "a number and a name run together")
            .at(span(number, name + tail))
            .found(format!("`{}`", short(&self.source[number..name + tail])))
            .expected("digits, with at most one point and an exponent")
            .help(match word {
                _ if DType::parse(word).is_some() => format!("write `{digits} : {word}`"),
                "f" | "F" | "h" | "u" | "l" | "L" => {
                    format!("a number takes its type from its context: write `{digits}`")
                }
                _ if digits == "0" => "numbers are decimal; names begin with a letter".to_string(),
                _ => format!(
                    "write `{} * {}`; names begin with a letter",
                    short(digits),
                    short(word)
                ),
            });
        self.out.faults.push(fault);
    }

    fn symbol(&mut self) {
        let rest = &self.source[self.offset..];
        if let Some((text, kind)) = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text)) {
            self.push(*kind, self.offset + text.len());
        } else {
            self.foreign();
        }
    }

    /// A run of characters that start no token: one token, and one fault from the parser.
    fn foreign(&mut self) {
        let known = |char: char| char.is_ascii_alphanumeric() || KNOWN.contains(char);
        let rest = &self.source[self.offset..];
        let length = rest.find(known).unwrap_or(rest.len());
        self.push(TokenKind::Foreign, self.offset + length.max(1));
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
