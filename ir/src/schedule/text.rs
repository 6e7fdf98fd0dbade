//! Schedules and their text.
//!
//! ```text
//! schedule NAME { choose p.grid.m = 64  choose p.vector = n  choose p.order = (m, n) }
//! ```
//!
//! Line ends mean nothing and `#` begins a comment. Invariant: `parse(print(s)) == s`.

use super::ChoiceValue;
use crate::base::StableHash;
use crate::diag::{Diagnostic, Span};
use crate::text::{Parsed, Parser, TokenKind, quote_name};
use std::fmt::Write;

/// One line of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// The name of the choice.
    pub name: String,
    /// Its value.
    pub value: ChoiceValue,
}

/// A schedule: settings in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The kernel it is for.
    pub kernel: String,
    /// The settings.
    pub settings: Vec<Setting>,
}

impl Schedule {
    /// The value set for a name.
    pub fn get(&self, name: &str) -> Option<&ChoiceValue> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| &setting.value)
    }

    /// The canonical text.
    pub fn print(&self) -> String {
        let mut out = format!("schedule {} {{\n", quote_name(&self.kernel));
        for Setting { name, value } in &self.settings {
            let name: Vec<_> = name.split('.').map(quote_part).collect();
            let value = match value {
                ChoiceValue::Count(count) => count.to_string(),
                ChoiceValue::Word(word) => quote_part(word),
                ChoiceValue::Words(words) => {
                    let words: Vec<_> = words.iter().map(|word| quote_part(word)).collect();
                    format!("({})", words.join(", "))
                }
            };
            writeln!(out, "  choose {} = {value}", name.join("."))
                .expect("writing to a string does not fail");
        }
        out.push_str("}\n");
        out
    }

    /// Parses a schedule text.
    ///
    /// # Errors
    /// Every fault that can be seen, with its place.
    pub fn parse(source: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut parser = Parser::new(source);
        let schedule = placed(&mut parser).ok().map(|text| Self {
            kernel: text.kernel,
            settings: text.settings.into_iter().map(|(setting, _)| setting).collect(),
        });
        parser.finish(schedule)
    }

    /// The hash of the canonical text.
    pub fn hash(&self) -> StableHash {
        crate::base::hash_text("schedule", &self.print())
    }

    /// The settings in which `self` and `other` differ: name, value here, value there.
    pub fn diff<'a>(
        &'a self,
        other: &'a Self,
    ) -> Vec<(&'a str, Option<&'a ChoiceValue>, Option<&'a ChoiceValue>)> {
        let here = self
            .settings
            .iter()
            .map(|setting| (setting.name.as_str(), Some(&setting.value), other.get(&setting.name)));
        let only_there = other.settings.iter().filter(|setting| self.get(&setting.name).is_none());
        let only_there =
            only_there.map(|setting| (setting.name.as_str(), None, Some(&setting.value)));
        here.filter(|(_, here, there)| here != there).chain(only_there).collect()
    }
}

/// A schedule with the places of its parts.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) kernel: String,
    pub(super) kernel_span: Span,
    pub(super) settings: Vec<(Setting, Span)>,
}

/// Parses a schedule.
pub(super) fn placed(parser: &mut Parser) -> Parsed<Placed> {
    parser.expect_word("schedule")?;
    let (kernel, kernel_span) = parser.name()?;
    parser.expect("{")?;
    let mut settings = vec![];
    while !parser.at("}") && !parser.at_end() {
        let start = parser.span().start;
        match setting(parser) {
            Ok((setting, end)) => settings.push((setting, Span { start, end })),
            Err(_) => parser.recover(|parser| parser.at_word("choose")),
        }
    }
    parser.expect("}")?;
    if !parser.at_end() {
        return Err(parser.unexpected("the end of the text"));
    }
    Ok(Placed { kernel, kernel_span, settings })
}

/// `choose NAME = VALUE`, and where it ends.
fn setting(parser: &mut Parser) -> Parsed<(Setting, u32)> {
    parser.expect_word("choose")?;
    let mut name = part(parser)?;
    while parser.accept(".") {
        name.push('.');
        name.push_str(&part(parser)?);
    }
    parser.expect("=")?;
    let value = if parser.accept("(") {
        ChoiceValue::Words(parser.list(")", part)?)
    } else if matches!(parser.peek().kind, TokenKind::Number(_)) {
        ChoiceValue::Count(parser.count()?)
    } else {
        ChoiceValue::Word(part(parser)?)
    };
    Ok((Setting { name, value }, parser.last_end()))
}

/// A word, reserved or not, or a quoted name.
fn part(parser: &mut Parser) -> Parsed<String> {
    match parser.peek().kind.clone() {
        TokenKind::Word(word) | TokenKind::Name(word) => {
            parser.advance();
            Ok(word)
        }
        _ => Err(parser.unexpected("a word")),
    }
}

/// A word as it stands in a schedule: nothing is reserved there.
fn quote_part(word: &str) -> String {
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let continues = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if starts && continues { word.to_string() } else { crate::text::quote('`', word) }
}
