//! Constants, functions, kernels, size sets, and the statements in their bodies.
//!
//! After a fault in a statement the parser goes on at the next line; after one in an item's head, at the item's body or
//! at the next line that starts an item.
//! Invariant: a body that parsed has exactly one statement without a name, the last.

use super::super::ast::{
    Attribute, Body, Constant, Constraint, ConstraintKind, Expr, ExprKind, Function, Item, Kernel,
    Name, SizeSet, Statement, TensorDecl,
};
use super::super::lexer::TokenKind;
use super::expr::compare_operator;
use super::{Parser, Reported, Result};
use crate::diag::{Diagnostic, Span};

/// What may stand at the outermost level.
pub(super) const ITEM_EXPECTED: &str = "`kernel`, `fn`, `sizes` or `const`";

/// The words that start an item at the beginning of a line.
const ITEM_WORDS: [&str; 4] = ["const", "fn", "kernel", "sizes"];

impl Parser<'_> {
    pub(super) fn items(&mut self) -> Vec<Item> {
        let mut items = vec![];
        loop {
            self.skip_separators();
            if self.at(TokenKind::End) {
                return items;
            }
            let first = self.position;
            match self.item() {
                Ok(item) => items.push(item),
                Err(Reported) => items.push(self.skip_to_item(first)),
            }
        }
    }

    fn skip_separators(&mut self) {
        while matches!(self.kind(), TokenKind::Newline | TokenKind::Semicolon) {
            self.next();
        }
    }

    /// Goes to the next line that starts an item. `first` is the token with which the faulty one began.
    fn skip_to_item(&mut self, first: usize) -> Item {
        (self.brackets, self.depth) = (0, 0);
        let start = self.tokens[first].span;
        let name = self.tokens.get(first + 1).filter(|token| token.kind == TokenKind::Name);
        let name =
            name.map(|token| Name { text: self.text(token.span).to_string(), span: token.span });
        loop {
            let starts_line =
                self.position == 0 || self.tokens[self.position - 1].kind == TokenKind::Newline;
            let word = ITEM_WORDS.iter().any(|word| self.at_word(word));
            if self.at(TokenKind::End) || starts_line && (word || self.at(TokenKind::At)) {
                return Item::Faulty(name, self.span_from(start));
            }
            self.next();
        }
    }

    fn item(&mut self) -> Result<Item> {
        let start = self.peek().span;
        let attributes = self.attributes()?;
        if self.take_word("kernel") {
            return Ok(Item::Kernel(self.kernel(start, attributes)?));
        }
        if !attributes.is_empty() {
            return Err(self.unexpected("`kernel`, to which the attribute belongs"));
        }
        if self.take_word("fn") {
            Ok(Item::Function(self.function(start)?))
        } else if self.take_word("sizes") {
            Ok(Item::Sizes(self.size_set(start)?))
        } else if self.take_word("const") {
            Ok(Item::Constant(self.constant(start)?))
        } else {
            Err(self.unexpected(ITEM_EXPECTED))
        }
    }

    fn attributes(&mut self) -> Result<Vec<Attribute>> {
        let mut attributes = vec![];
        while self.at(TokenKind::At) {
            let start = self.next().span;
            let name = self.name("the name of an attribute")?;
            let arguments = match self.kind() {
                TokenKind::LeftParen => {
                    self.list(TokenKind::RightParen, "`,` or `)`", Self::attribute_argument)?
                }
                _ => vec![],
            };
            attributes.push(Attribute { name, arguments, span: self.span_from(start) });
            self.skip_newlines();
        }
        Ok(attributes)
    }

    fn attribute_argument(&mut self) -> Result<(Name, Option<Name>)> {
        let name = self.name("`name=number` or an axis")?;
        if !self.at(TokenKind::Assign) {
            return Ok((name, None));
        }
        self.next();
        let number = self.expect(TokenKind::Number, "a number")?;
        Ok((name, Some(Name { text: self.text(number.span).to_string(), span: number.span })))
    }

    fn constant(&mut self, start: Span) -> Result<Constant> {
        let name = self.name("the name of the constant")?;
        self.expect(TokenKind::Assign, "`=` and the value")?;
        self.skip_to_operand()?;
        let value = self.expr()?;
        if !matches!(self.kind(), TokenKind::Newline | TokenKind::Semicolon | TokenKind::End) {
            return Err(self.unexpected("an operator, or the end of the line"));
        }
        let span = self.span_from(start);
        Ok(Constant { name, value, span, blank_before: self.blank_before(start) })
    }

    fn function(&mut self, start: Span) -> Result<Function> {
        let name = self.name("the name of the function")?;
        let axes = match self.kind() {
            TokenKind::LeftBracket => {
                self.list(TokenKind::RightBracket, "`,` or `]`", |parser| {
                    parser.name("the name of an axis parameter")
                })?
            }
            _ => vec![],
        };
        if !self.at(TokenKind::LeftParen) {
            return Err(self.unexpected("`(` and the parameters"));
        }
        let parameters = self.list(TokenKind::RightParen, "`,` or `)`", |parser| {
            parser.name("the name of a parameter")
        })?;
        self.skip_newlines();
        let body = self.body()?;
        let span = self.span_from(start);
        let blank_before = self.blank_before(start);
        Ok(Function { name, axes, parameters, body, span, blank_before })
    }

    fn kernel(&mut self, start: Span, attributes: Vec<Attribute>) -> Result<Kernel> {
        let name = self.name("the name of the kernel")?;
        if !self.at(TokenKind::LeftParen) {
            return Err(self.unexpected("`(` and the inputs"));
        }
        let inputs = self.list(TokenKind::RightParen, "`,` or `)`", Self::input)?;
        self.skip_newlines();
        self.expect(TokenKind::Arrow, "`->` and the output")?;
        self.skip_newlines();
        let outputs = match self.kind() {
            TokenKind::LeftParen => self.list(TokenKind::RightParen, "`,` or `)`", Self::output)?,
            _ => vec![self.output()?],
        };
        self.skip_newlines();
        let constraints = if self.take_word("where") { self.constraints()? } else { vec![] };
        let body = self.body()?;
        let span = self.span_from(start);
        let blank_before = self.blank_before(start);
        Ok(Kernel { attributes, name, inputs, outputs, constraints, body, span, blank_before })
    }

    fn input(&mut self) -> Result<TensorDecl> {
        let name = self.name("`name: type[axes]`")?;
        self.expect(TokenKind::Colon, "`:` and the type of the tensor")?;
        self.tensor(name.span, Some(name))
    }

    fn output(&mut self) -> Result<TensorDecl> {
        let before = self.position;
        let name = self.name("`name: type[axes]`, or a type")?;
        if self.take(TokenKind::Colon) {
            return self.tensor(name.span, Some(name));
        }
        self.position = before;
        self.tensor(name.span, None)
    }

    fn tensor(&mut self, start: Span, name: Option<Name>) -> Result<TensorDecl> {
        let dtype = self.type_name()?;
        let axes = match self.kind() {
            TokenKind::LeftBracket => {
                self.list(TokenKind::RightBracket, "`,` or `]`", |parser| {
                    parser.name("the name of an axis")
                })?
            }
            _ => vec![],
        };
        let strides = if self.take_word("strides") {
            if !self.at(TokenKind::LeftParen) {
                return Err(self.unexpected("`(` and one stride for each axis"));
            }
            Some(self.list(TokenKind::RightParen, "`,` or `)`", Self::expr)?)
        } else {
            None
        };
        Ok(TensorDecl { name, dtype, axes, strides, span: self.span_from(start) })
    }

    fn constraints(&mut self) -> Result<Vec<Constraint>> {
        let mut constraints = vec![];
        loop {
            self.skip_newlines();
            constraints.push(self.constraint()?);
            let more = self.take(TokenKind::Comma);
            self.skip_newlines();
            if !more || self.at(TokenKind::LeftBrace) {
                return Ok(constraints);
            }
        }
    }

    fn constraint(&mut self) -> Result<Constraint> {
        let axis = self.name("the name of an axis")?;
        let start = axis.span;
        let kind = if self.take_word("in") {
            let low = self.expr()?;
            self.expect(TokenKind::DotDot, "`..`")?;
            ConstraintKind::Range(low, self.expr()?)
        } else if self.take(TokenKind::Assign) {
            ConstraintKind::Split(self.expr()?)
        } else {
            let kind = self.kind();
            let Some(op) = compare_operator(kind) else {
                return Err(self.unexpected("`in low..high`, or a comparison"));
            };
            self.next();
            ConstraintKind::Compare(op, self.expr()?)
        };
        Ok(Constraint { axis, kind, span: self.span_from(start) })
    }

    fn body(&mut self) -> Result<Body> {
        let start = self.expect(TokenKind::LeftBrace, "`{` and the body")?.span;
        let mut statements: Vec<Statement> = vec![];
        loop {
            self.skip_separators();
            if matches!(self.kind(), TokenKind::RightBrace | TokenKind::End) || self.at_item() {
                break;
            }
            let first = self.position;
            let statement = match self.statement() {
                Ok(statement) => statement,
                Err(Reported) => self.skip_statement(first),
            };
            self.refuse_loose_result(statements.last());
            statements.push(statement);
        }
        if !self.at(TokenKind::RightBrace) {
            let end = self.peek().span;
            let what =
                if self.at_item() { "something else begins here" } else { "the text ends here" };
            let fault = Diagnostic::new("TW0105", "a body is not closed").at(start);
            let fault = fault.label(end, what).expected("`}`");
            self.report(fault.help("put `}` after the result"));
            return Ok(Body { statements, span: self.span_from(start) });
        }
        self.next();
        let span = self.span_from(start);
        self.require_result(&statements, span);
        Ok(Body { statements, span })
    }

    /// Whether a line begins here that starts an item: the body before it has no end.
    fn at_item(&mut self) -> bool {
        let starts_line =
            self.position > 0 && self.tokens[self.position - 1].kind == TokenKind::Newline;
        let named = self.tokens.get(self.position + 1).map(|token| token.kind);
        starts_line
            && named == Some(TokenKind::Name)
            && !self.at_word("const")
            && ITEM_WORDS.iter().any(|word| self.at_word(word))
    }

    fn statement(&mut self) -> Result<Statement> {
        let start = self.peek().span;
        let blank_before = self.blank_before(start);
        let first = self.expr()?;
        let (name, value) = if self.at(TokenKind::Assign) {
            let name = self.defined_name(first)?;
            self.next();
            self.skip_to_operand()?;
            (Some(name), self.expr()?)
        } else {
            (None, first)
        };
        match self.kind() {
            TokenKind::Newline | TokenKind::Semicolon | TokenKind::RightBrace | TokenKind::End => {
                Ok(Statement { name, value, span: self.span_from(start), blank_before })
            }
            _ => Err(self.unexpected("an operator, or the end of the statement")),
        }
    }

    fn defined_name(&mut self, expr: Expr) -> Result<Name> {
        match expr.kind {
            ExprKind::Name(text) => Ok(Name { text, span: expr.span }),
            _ => {
                let fault = Diagnostic::new("TW0102", "only a name can be defined")
                    .at(expr.span)
                    .expected("`name = value`")
                    .help("equality is `==`");
                Err(self.report(fault))
            }
        }
    }

    /// After a fault: goes to the end of the statement that began with the token `first`, or to the next line that reads
    /// `name =` (an open bracket may have run over the line's end). What it defined is unknown but counts as defined.
    fn skip_statement(&mut self, first: usize) -> Statement {
        (self.brackets, self.depth) = (0, 0);
        let ends = |kind| matches!(kind, TokenKind::Newline | TokenKind::Semicolon);
        let mut braces = self.braces_since(first);
        while !self.at(TokenKind::End) && !self.at_item() {
            match self.kind() {
                TokenKind::RightBrace if braces == 0 => break,
                TokenKind::RightBrace => braces -= 1,
                TokenKind::LeftBrace => braces += 1,
                kind if ends(kind) && braces == 0 => break,
                _ => {}
            }
            let new_line = self.position > first && ends(self.tokens[self.position - 1].kind);
            if new_line && braces == 0 && self.name_defined_at(self.position).is_some() {
                break;
            }
            self.next();
        }
        // `let name = ..` is faulty and defines the name all the same.
        let name = self.name_defined_at(first).or_else(|| self.name_defined_at(first + 1));
        let span = self.span_from(self.tokens[first].span);
        let value = Expr { kind: ExprKind::Faulty, span, height: 1 };
        Statement { name, value, span, blank_before: false }
    }

    /// How many braces have been opened and not closed since the token `first`.
    fn braces_since(&self, first: usize) -> u32 {
        self.tokens[first..self.position].iter().fold(0, |open: u32, token| match token.kind {
            TokenKind::LeftBrace => open + 1,
            TokenKind::RightBrace => open.saturating_sub(1),
            _ => open,
        })
    }

    /// The name if the tokens at `first` read `name =`.
    pub(super) fn name_defined_at(&self, first: usize) -> Option<Name> {
        let [name, assign] = self.tokens.get(first..first + 2)? else { return None };
        let defines = name.kind == TokenKind::Name && assign.kind == TokenKind::Assign;
        defines.then(|| Name { text: self.text(name.span).to_string(), span: name.span })
    }

    /// Reports a value without a name that is not the last statement.
    fn refuse_loose_result(&mut self, before: Option<&Statement>) {
        let Some(Statement { name: None, value, span, .. }) = before else { return };
        if !matches!(value.kind, ExprKind::Faulty) {
            let fault = Diagnostic::new("TW0106", "this value is not used")
                .at(*span)
                .found("a value without a name before the last line")
                .expected("`name = value`")
                .help(
                    "give it a name; or, if it goes on in the next line, end this one with the \
                     operator",
                );
            self.report(fault);
        }
    }

    fn require_result(&mut self, statements: &[Statement], body: Span) {
        if statements.last().is_none_or(|last| last.name.is_some()) {
            let end = Span { start: body.end - 1, end: body.end };
            let fault = Diagnostic::new("TW0106", "the body has no result")
                .at(end)
                .found(if statements.is_empty() { "an empty body" } else { "only definitions" })
                .expected("an expression without a name as the last line")
                .help("write what the result is, for example the name of the last value");
            self.report(fault);
        }
    }

    fn size_set(&mut self, start: Span) -> Result<SizeSet> {
        let name = self.name("the name of the size set")?;
        let kernel = match self.take_word("for") {
            true => Some(self.name("the name of a kernel")?),
            false => None,
        };
        self.skip_newlines();
        if !self.at(TokenKind::LeftBrace) {
            return Err(self.unexpected("`{` and the extents"));
        }
        let extents = self.list(TokenKind::RightBrace, "`,` or `}`", Self::extent)?;
        let span = self.span_from(start);
        Ok(SizeSet { name, kernel, extents, span, blank_before: self.blank_before(start) })
    }

    fn extent(&mut self) -> Result<(Name, Expr)> {
        let axis = self.name("`axis=extent`")?;
        self.expect(TokenKind::Assign, "`=`")?;
        Ok((axis, self.expr()?))
    }
}
