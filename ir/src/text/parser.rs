//! A cursor over tokens that collects every fault.
//!
//! A method that returns `Parsed` has already reported what it could not read; the caller skips to where it can go on.
//! Invariant: the cursor never moves past `End`, and every loop that parses moves it forward or stops.

use super::lexer::{Token, TokenKind, lex};
use super::{code, parse_literal};
use crate::base::{DType, Literal};
use crate::diag::{Diagnostic, Span};

/// A fault was reported; there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// A value, or a fault that is already reported.
pub type Parsed<T> = Result<T, Failed>;

/// Faults beyond this number are dropped, so that a hostile text costs no more than its length.
const FAULTS_MAX: usize = 64;

/// The cursor.
#[derive(Debug)]
pub struct Parser {
    tokens: Vec<Token>,
    position: usize,
    pub(super) depth: u32,
    diagnostics: Vec<Diagnostic>,
}

impl Parser {
    /// A cursor at the start of a source.
    pub fn new(source: &str) -> Self {
        let mut diagnostics = vec![];
        let tokens = lex(source, &mut diagnostics);
        diagnostics.truncate(FAULTS_MAX);
        Self { tokens, position: 0, depth: 0, diagnostics }
    }

    /// The value, unless a fault was reported.
    ///
    /// # Errors
    /// All faults, in the order of their places.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        match value {
            Some(value) if self.diagnostics.is_empty() => Ok(value),
            _ => Err(self.diagnostics),
        }
    }

    /// Reports a fault.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < FAULTS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether nothing has been reported so far.
    pub fn is_clean(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// The token under the cursor.
    pub fn peek(&self) -> &Token {
        &self.tokens[self.position]
    }

    pub(super) fn peek_second(&self) -> &Token {
        &self.tokens[(self.position + 1).min(self.tokens.len() - 1)]
    }

    /// The place of the token under the cursor.
    pub fn span(&self) -> Span {
        self.peek().span
    }

    /// Where the token before the cursor ends.
    pub(crate) fn last_end(&self) -> u32 {
        self.position.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    /// The token under the cursor; moves on.
    pub fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != TokenKind::End {
            self.position += 1;
        }
        token
    }

    /// Whether the source is used up.
    pub fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    /// Whether the cursor is at this symbol.
    pub fn at(&self, symbol: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Symbol(here) if here == symbol)
    }

    /// Whether the cursor is at this word.
    pub fn at_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(here) if here == word)
    }

    /// Whether the cursor is at this word followed by an opening parenthesis: an attribute.
    pub fn at_attribute(&self, word: &str) -> bool {
        self.at_word(word) && self.peek_second().kind == TokenKind::Symbol("(")
    }

    /// Moves over the symbol if it is here.
    pub fn accept(&mut self, symbol: &str) -> bool {
        let here = self.at(symbol);
        if here {
            self.advance();
        }
        here
    }

    /// Moves over the word if it is here.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        if here {
            self.advance();
        }
        here
    }

    /// Reports that something else was expected here.
    pub fn unexpected(&mut self, expected: &str) -> Failed {
        let found = match &self.peek().kind {
            TokenKind::Word(text) | TokenKind::Number(text) => format!("`{text}`"),
            TokenKind::Name(name) => format!("the name {}", super::quote_name(name)),
            TokenKind::Text(text) => super::quote('"', text),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::End => "the end of the text".to_string(),
        };
        let fault = Diagnostic::new(code::UNEXPECTED, format!("{expected} must stand here"));
        self.report(fault.at(self.span()).found(found).expected(expected));
        Failed
    }

    /// Moves over a symbol that has to be here.
    ///
    /// # Errors
    /// Reported.
    pub fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Moves over a word that has to be here.
    ///
    /// # Errors
    /// Reported.
    pub fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    /// A name, bare or in backquotes.
    ///
    /// # Errors
    /// Reported.
    pub fn name(&mut self) -> Parsed<(String, Span)> {
        let span = self.span();
        let name = match &self.peek().kind {
            TokenKind::Name(name) => name.clone(),
            TokenKind::Word(word) if super::quote_name(word) == *word => word.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.advance();
        Ok((name, span))
    }

    /// A whole number without sign or suffix.
    ///
    /// # Errors
    /// Reported.
    pub fn count(&mut self) -> Parsed<u64> {
        let TokenKind::Number(text) = &self.peek().kind else {
            return Err(self.unexpected("a whole number"));
        };
        match text.parse() {
            Ok(count) => {
                self.advance();
                Ok(count)
            }
            Err(_) => Err(self.unexpected("a whole number below 2^64")),
        }
    }

    /// `strides(1, -8)`, if it stands here: whole numbers with a sign.
    pub fn strides(&mut self) -> Parsed<Option<Vec<i64>>> {
        if !self.at_attribute("strides") {
            return Ok(None);
        }
        self.advance();
        self.expect("(")?;
        self.list(")", Self::signed).map(Some)
    }

    fn signed(&mut self) -> Parsed<i64> {
        let negative = self.accept("-");
        let place = self.span();
        let count = i64::try_from(self.count()?).map_err(|_| {
            let fault = Diagnostic::new(code::UNEXPECTED, "a stride is too large").at(place);
            self.report(fault.expected("a whole number below 2^63"));
            Failed
        })?;
        Ok(if negative { -count } else { count })
    }

    /// The name of an element type.
    ///
    /// # Errors
    /// Reported.
    pub fn dtype(&mut self) -> Parsed<DType> {
        let dtype = match &self.peek().kind {
            TokenKind::Word(word) => DType::parse(word),
            _ => None,
        };
        match dtype {
            Some(dtype) => {
                self.advance();
                Ok(dtype)
            }
            None => {
                let names: Vec<_> = DType::all().map(DType::name).collect();
                Err(self.unexpected(&format!("a type ({})", names.join(", "))))
            }
        }
    }

    /// Whether a number or a constant, with or without a minus, is under the cursor.
    pub fn at_literal(&self) -> bool {
        let token = if self.at("-") { self.peek_second() } else { self.peek() };
        match &token.kind {
            TokenKind::Number(_) => true,
            TokenKind::Word(word) => super::number::constant(word).is_some(),
            _ => false,
        }
    }

    /// A number or a constant with its sign.
    ///
    /// # Errors
    /// Reported.
    pub fn literal(&mut self) -> Parsed<Literal> {
        if !self.at_literal() {
            return Err(self.unexpected("a number"));
        }
        let start = self.span().start;
        let negative = self.accept("-");
        let token = self.advance();
        let (TokenKind::Number(text) | TokenKind::Word(text)) = token.kind else {
            return Err(Failed);
        };
        parse_literal(&text, negative).map_err(|why| {
            let fault = Diagnostic::new(code::NUMBER, why).found(format!("`{text}`"));
            let span = Span { start, end: token.span.end };
            self.report(
                fault.at(span).help("a bare number is f32; write the type as a suffix: 3i32"),
            );
            Failed
        })
    }

    /// `item, item, ..` up to `close`, which is consumed. An empty list is allowed.
    ///
    /// # Errors
    /// Reported; the cursor is then somewhere in the list.
    pub fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![];
        if self.accept(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(close) {
                return Ok(items);
            }
            if !self.accept(",") {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
    }

    /// Skips to the next token for which `stop` holds, to a closing brace of the current block, or to the end. Blocks
    /// in braces on the way are skipped whole.
    pub fn recover(&mut self, stop: impl Fn(&Self) -> bool) {
        let mut open = 0_usize;
        while !self.at_end() {
            if open == 0 && (self.at("}") || stop(self)) {
                return;
            }
            if self.at("{") {
                open += 1;
            } else if self.at("}") {
                open -= 1;
            }
            self.advance();
        }
    }
}
