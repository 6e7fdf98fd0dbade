//! Diagnostics as text with source excerpts, and as JSON.
//!
//! The text has no colour and is ASCII but for the source itself, so it reads the same in a terminal, a log and a test.
//! Invariant: rendering is bounded; a line too long to show is named by line and column instead.

use super::{Diagnostic, Span};
use codespan_reporting::diagnostic as report;
use codespan_reporting::files::{Files, SimpleFile};
use codespan_reporting::term;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The longest source line that is shown.
const LINE_BYTES_MAX: usize = 400;

/// A source with its line starts, to find places quickly.
struct Source<'a> {
    file: SimpleFile<&'a str, &'a str>,
    text: &'a str,
}

/// Line and column of a byte, counted from 1; columns count characters.
struct Place {
    line: usize,
    column: usize,
}

impl<'a> Source<'a> {
    fn new(name: &'a str, text: &'a str) -> Self {
        Self { file: SimpleFile::new(name, text), text }
    }

    /// The nearest character boundary at or before an offset.
    fn clamp(&self, offset: u32) -> usize {
        let offset = (offset as usize).min(self.text.len());
        (0..=offset).rev().find(|&offset| self.text.is_char_boundary(offset)).unwrap_or(0)
    }

    fn range(&self, span: Span) -> std::ops::Range<usize> {
        let start = self.clamp(span.start);
        start..self.clamp(span.end).max(start)
    }

    fn line(&self, offset: usize) -> (usize, std::ops::Range<usize>) {
        let index = self.file.line_index((), offset).unwrap_or(0);
        (index, self.file.line_range((), index).unwrap_or(0..0))
    }

    fn place(&self, span: Span) -> Place {
        let offset = self.clamp(span.start);
        let (index, range) = self.line(offset);
        let start = range.start.min(offset);
        Place { line: index + 1, column: self.text[start..offset].chars().count() + 1 }
    }

    /// Whether the lines of a span are short enough to be shown.
    fn shows(&self, span: Span) -> bool {
        let range = self.range(span);
        [range.start, range.end]
            .into_iter()
            .all(|offset| self.line(offset).1.len() <= LINE_BYTES_MAX)
    }
}

/// Renders diagnostics as text, in order, each followed by a blank line. `name` is shown as the file's name.
pub fn to_text(name: &str, source: &str, faults: &[Diagnostic]) -> String {
    let clean = without_controls(source);
    let source = Source::new(name, &clean);
    let config = term::Config { chars: term::Chars::ascii(), ..term::Config::default() };
    let mut out = String::new();
    for fault in faults {
        let report = report_of(&source, fault);
        if term::emit_to_string(&mut out, &config, &source.file, &report).is_err() {
            // Spans are clamped to the text, so this is out of reach; a message without excerpt is never wrong.
            out.push_str(&format!("{fault}\n\n"));
        }
    }
    // The excerpts have spaces at line ends, which nobody sees and editors remove.
    let out = without_controls(&out);
    out.split_inclusive('\n').map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Replaces the characters that command a terminal by as many `?` as they have bytes, so that spans stay right.
fn without_controls(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if commands(c) {
            clean.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

fn report_of(source: &Source<'_>, fault: &Diagnostic) -> report::Diagnostic<()> {
    let mut spans = fault.span.iter().chain(fault.labels.iter().map(|label| &label.span));
    let shown = spans.all(|&span| source.shows(span));
    let mut notes = vec![];
    let mut labels = vec![];
    if let Some(span) = fault.span {
        if shown {
            labels.push(report::Label::primary((), source.range(span)));
        } else {
            let Place { line, column } = source.place(span);
            notes.push(format!("at line {line}, column {column}"));
        }
    }
    for label in &fault.labels {
        if shown {
            let secondary = report::Label::secondary((), source.range(label.span));
            labels.push(secondary.with_message(&label.text));
        } else {
            let Place { line, column } = source.place(label.span);
            notes.push(format!("line {line}, column {column}: {}", label.text));
        }
    }
    notes.extend(fault.found.iter().map(|found| format!("found {found}")));
    notes.extend(fault.expected.iter().map(|expected| format!("expected {expected}")));
    notes.extend(fault.help.iter().map(|help| format!("help: {help}")));
    report::Diagnostic::error()
        .with_code(fault.code)
        .with_message(&fault.message)
        .with_labels(labels)
        .with_notes(notes)
}

/// Renders diagnostics as a JSON array of `{code, message, span, labels, found, expected, help}`. A span is
/// `{start, end, line, column}`: byte offsets, and line and column from 1; what is absent is `null`.
pub fn to_json(source: &str, faults: &[Diagnostic]) -> Value {
    let source = Source::new("", source);
    let place = |span: Span| {
        let Place { line, column } = source.place(span);
        json!({ "start": span.start, "end": span.end, "line": line, "column": column })
    };
    let fault = |fault: &Diagnostic| {
        let labels = fault.labels.iter();
        let labels = labels.map(|label| json!({ "span": place(label.span), "text": label.text }));
        json!({
            "code": fault.code,
            "message": fault.message,
            "span": fault.span.map(place),
            "labels": labels.collect::<Vec<_>>(),
            "found": fault.found,
            "expected": fault.expected,
            "help": fault.help,
        })
    };
    faults.iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_counts_lines_and_characters_from_one() {
        let source = "# \u{e9}\n\u{e9} x\n";
        let start = u32::try_from(source.find('x').unwrap()).unwrap();
        let fault = Diagnostic::new("TW0201", "no").at(Span { start, end: start + 1 });
        let json = to_json(source, &[fault.label(Span { start: 0, end: 1 }, "here")]);
        assert_eq!(json[0]["span"]["line"], 2);
        assert_eq!(json[0]["span"]["column"], 3);
        assert_eq!(json[0]["labels"][0]["text"], "here");
        assert_eq!(json[0]["help"], Value::Null);
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let fault = Diagnostic::new("TW0201", "no").at(Span { start: 2, end: 3 });
        let text = to_text("f", "x \u{1b}[31m \u{9b}2J\0", &[fault.found("\u{7}")]);
        assert!(text.contains("1 | x ?[31m ??2J?") && text.contains("found ?"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn places_outside_of_the_text_and_long_lines_are_harmless() {
        let fault = Diagnostic::new("TW0201", "no").at(Span { start: 5, end: u32::MAX });
        assert!(to_text("f", "\u{e9}", std::slice::from_ref(&fault)).contains("f:1:2"));
        assert!(to_text("f", "", std::slice::from_ref(&fault)).contains("TW0201"));
        let long = to_text("f", &"x".repeat(1 << 20), &[fault]);
        assert!(long.len() < 200 && long.contains("line 1, column 6"), "{long}");
    }
}
