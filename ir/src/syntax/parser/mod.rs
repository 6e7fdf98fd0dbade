//! From tokens to the syntax tree, going on after faults.
//!
//! A function that meets a fault reports it and returns `Err(Reported)`; the nearest statement or item catches it, skips
//! to its own end and goes on. What could not be read becomes `ExprKind::Faulty`, about which the checker is silent.
//! Invariant: every loop consumes a token or ends, and recursion is counted, so time and stack are bounded.

mod expr;
mod habits;
mod item;

use super::ast::File;
use super::lexer::{Lexed, Token, TokenKind, blank_line_before, lex};
use super::{DEPTH_MAX, SOURCE_BYTES_MAX, ast, short};
use crate::diag::{Diagnostic, Faults, Span};

/// A parsed file with the faults of its syntax.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The tree; what is faulty is left out or marked.
    pub file: File,
    /// The first faults in text order, and how many more there are.
    pub faults: Faults,
}

/// A fault has been reported; the caller skips to a place where it can go on.
#[derive(Debug)]
struct Reported;

type Result<T> = std::result::Result<T, Reported>;

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    position: usize,
    /// Open brackets, inside which a newline means nothing.
    brackets: u32,
    depth: u32,
    faults: Faults,
}

/// Parses a text. Never fails: see `Parsed::faults`.
pub fn parse(source: &str) -> Parsed {
    if source.len() > SOURCE_BYTES_MAX {
        let fault = Diagnostic::new("TW0107", "the text is too long")
            .found(format!("{} bytes", source.len()))
            .expected(format!("at most {SOURCE_BYTES_MAX} bytes"));
        return Parsed {
            file: File::default(),
            faults: Faults::from(fault.help("split the file")),
        };
    }
    let Lexed { tokens, comments, faults } = lex(source);
    let mut parser = Parser { source, tokens, position: 0, brackets: 0, depth: 0, faults };
    let items = parser.items();
    Parsed { file: File { items, comments }, faults: parser.faults.sorted() }
}

impl Parser<'_> {
    /// The next token; inside brackets newlines are skipped.
    fn peek(&mut self) -> Token {
        if self.brackets > 0 {
            self.skip_newlines();
        }
        self.tokens[self.position]
    }

    fn kind(&mut self) -> TokenKind {
        self.peek().kind
    }

    /// Takes the next token; the last one, `End`, stays.
    fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.position += 1;
        }
        token
    }

    /// The end of the token taken last.
    fn last_end(&self) -> u32 {
        let taken = self.tokens[..self.position].iter().rev();
        taken
            .map(|token| (token.kind, token.span.end))
            .find(|&(kind, _)| kind != TokenKind::Newline)
            .map_or(0, |(_, end)| end)
    }

    fn span_from(&self, start: Span) -> Span {
        Span { start: start.start, end: self.last_end().max(start.end) }
    }

    fn text(&self, span: Span) -> &str {
        &self.source[span.start as usize..span.end as usize]
    }

    fn blank_before(&self, span: Span) -> bool {
        blank_line_before(self.source, span.start as usize)
    }

    fn at(&mut self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    fn at_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Name && self.text(token.span) == word
    }

    fn take(&mut self, kind: TokenKind) -> bool {
        let found = self.at(kind);
        if found {
            self.next();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.next();
        }
        found
    }

    fn skip_newlines(&mut self) {
        while self.tokens[self.position].kind == TokenKind::Newline {
            self.position += 1;
        }
    }

    /// After an operator or `=`: the operand may stand on the next line, unless that line is a statement of its own.
    fn skip_to_operand(&mut self) -> Result<()> {
        let before = self.position;
        self.skip_newlines();
        if self.position > before && self.name_defined_at(self.position).is_some() {
            self.position = before;
            return Err(self.unexpected("an expression"));
        }
        Ok(())
    }

    fn expect(&mut self, kind: TokenKind, expected: &str) -> Result<Token> {
        if self.at(kind) { Ok(self.next()) } else { Err(self.unexpected(expected)) }
    }

    fn name(&mut self, expected: &str) -> Result<ast::Name> {
        let token = self.expect(TokenKind::Name, expected)?;
        Ok(ast::Name { text: self.text(token.span).to_string(), span: token.span })
    }

    /// `open item, item, .. close`; a comma after the last item is fine. Newlines mean nothing inside.
    fn list<T>(
        &mut self,
        close: TokenKind,
        expected: &str,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let open = self.next();
        self.brackets += 1;
        let mut items = vec![];
        let result = loop {
            if self.at(close) {
                break Ok(());
            }
            match item(self) {
                Ok(item) => items.push(item),
                Err(reported) => break Err(reported),
            }
            if !self.take(TokenKind::Comma) {
                break self.end_of_list(close, open, expected);
            }
        };
        self.brackets -= 1;
        if result.is_ok() {
            self.position += 1;
        }
        result.map(|()| items)
    }

    fn end_of_list(&mut self, close: TokenKind, open: Token, expected: &str) -> Result<()> {
        if self.at(close) {
            return Ok(());
        }
        let token = self.peek();
        if token.kind == TokenKind::End {
            let fault = Diagnostic::new("TW0105", "a bracket is not closed")
                .at(open.span)
                .label(token.span, "the text ends here")
                .expected(expected)
                .help("close it, or remove it");
            return Err(self.report(fault));
        }
        if !self.ends_every_list(token) {
            return Err(self.unexpected(expected));
        }
        let found = format!("`{}`", self.text(token.span));
        let wanted = expected.rsplit(' ').next().unwrap_or(expected);
        let fault = Diagnostic::new("TW0105", "a bracket is not closed")
            .at(open.span)
            .label(token.span, "it has to be closed before this")
            .expected(expected)
            .help(format!("put {wanted} before {found}"))
            .found(found);
        Err(self.report(fault))
    }

    /// Whether no list, however deep, goes on at this token: it closes or begins something else.
    fn ends_every_list(&self, token: Token) -> bool {
        let begins_line =
            self.position > 0 && self.tokens[self.position - 1].kind == TokenKind::Newline;
        let closes = matches!(
            token.kind,
            TokenKind::RightParen
                | TokenKind::RightBracket
                | TokenKind::RightBrace
                | TokenKind::LeftBrace
                | TokenKind::Arrow
        );
        closes || begins_line && self.name_defined_at(self.position).is_some()
    }

    /// Counts one level of nesting around `inner`.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn too_deep(&mut self) -> Reported {
        let span = self.peek().span;
        let fault = Diagnostic::new("TW0104", "the expression nests too deep")
            .at(span)
            .expected(format!("at most {DEPTH_MAX} levels"))
            .help("give the inner part a name on a line of its own");
        self.report(fault)
    }

    fn report(&mut self, fault: Diagnostic) -> Reported {
        // A malformed number that stands in a wrong place has been reported.
        let malformed = |known: &Diagnostic| known.code == "TW0103" && known.span == fault.span;
        if !self.faults.as_slice().iter().any(malformed) {
            self.faults.push(fault);
        }
        Reported
    }

    /// Reports that the next token is not what may stand here.
    fn unexpected(&mut self, expected: &str) -> Reported {
        let mut token = self.peek();
        let help = self.way_out(token, expected);
        if token.kind == TokenKind::Newline {
            // The place is the end of the line, not the line break, which would show two lines.
            token.span.end = token.span.start;
        }
        let text = self.text(token.span);
        let found = match token.kind {
            TokenKind::End => "the end of the text".to_string(),
            TokenKind::Newline => "the end of the line".to_string(),
            _ => format!("`{}`", short(text)),
        };
        let code = habits::code_point(text).map(|code| format!("{found} ({code})"));
        let mut fault = if token.kind == TokenKind::Foreign {
            Diagnostic::new("TW0101", format!("{found} is no part of the language"))
        } else {
            Diagnostic::new("TW0102", format!("{found} cannot stand here"))
        };
        fault = fault.at(token.span).found(code.unwrap_or(found)).expected(expected);
        fault.help = help;
        self.report(fault)
    }

    /// What to write instead of a token, if it is a habit of another language.
    fn way_out(&self, token: Token, expected: &str) -> Option<String> {
        let position = self.position;
        let mut before = self.tokens[..position].iter().rev();
        let starts_line = position == 0 || self.tokens[position - 1].kind == TokenKind::Newline;
        let mut earlier = || before.find(|token| token.kind != TokenKind::Newline);
        let before =
            [earlier(), earlier()].map(|token| token.map_or("", |token| self.text(token.span)));
        let after = self.tokens.get(position + 1).map_or("", |token| self.text(token.span));
        let (kind, found) = (token.kind, self.text(token.span));
        habits::way_out(&habits::Glimpse { before, kind, found, after, starts_line, expected })
    }
}
