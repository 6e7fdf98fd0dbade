//! Diagnostics as text with source excerpts, and as JSON.
//!
//! The text has no colour and is ASCII but for the source itself, so it reads the same in a terminal, a log and a test.
//! Invariant: rendering is bounded; of a long line only the part around the place is shown.

use super::excerpt::{Excerpt, Lines};
use super::{Diagnostic, Severity, Span};
use codespan_reporting::diagnostic as report;
use codespan_reporting::term;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Renders diagnostics as text, in order, each followed by a blank line. `name` is shown as the file's name.
pub fn to_text(name: &str, source: &str, faults: &[Diagnostic]) -> String {
    let clean = without_controls(source);
    let lines = Lines::new(&clean);
    let config = term::Config { chars: term::Chars::ascii(), ..term::Config::default() };
    let mut out = String::new();
    for fault in faults {
        let labels = fault.labels.iter().map(|label| label.span);
        let spans: Vec<_> = fault.span.into_iter().chain(labels).collect();
        let excerpt = Excerpt::new(name, &lines, &spans);
        let before = out.len();
        if term::emit_to_string(&mut out, &config, &excerpt, &report_of(&excerpt, fault)).is_err() {
            // Spans are clamped to the text, so this is out of reach; a message without excerpt is never wrong.
            out.truncate(before);
            out.push_str(&format!("{fault}\n\n"));
        }
    }
    // The excerpts have spaces at line ends, which nobody sees and editors remove.
    let out = without_controls(&out);
    out.split_inclusive('\n').map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Replaces the characters that command a terminal by as many `?` as they have bytes, so that spans stay right.
fn without_controls(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // The line ends of other systems are no commands: a space at a line's end is not seen.
        let ends_line = c == '\r' && chars.peek() == Some(&'\n');
        if ends_line {
            clean.push(' ');
        } else if commands(c) {
            clean.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

fn report_of(excerpt: &Excerpt<'_>, fault: &Diagnostic) -> report::Diagnostic<()> {
    let place = fault.span.map(|span| report::Label::primary((), excerpt.range(span)));
    let others = fault.labels.iter().map(|label| {
        report::Label::secondary((), excerpt.range(label.span)).with_message(&label.text)
    });
    let found = fault.found.iter().map(|found| format!("found {found}"));
    let expected = fault.expected.iter().map(|expected| format!("expected {expected}"));
    let help = fault.help.iter().map(|help| format!("help: {help}"));
    let severity = match fault.severity {
        Severity::Error => report::Severity::Error,
        Severity::Warning => report::Severity::Warning,
    };
    report::Diagnostic::new(severity)
        .with_code(fault.code)
        .with_message(&fault.message)
        .with_labels(place.into_iter().chain(others).collect())
        .with_notes(found.chain(expected).chain(help).collect())
}

/// Renders diagnostics as a JSON array of `{severity, code, message, span, labels, found, expected, help}`. A span
/// is `{start, end, line, column}`: byte offsets, and line and column from 1; what is absent is `null`.
pub fn to_json(source: &str, faults: &[Diagnostic]) -> Value {
    let lines = Lines::new(source);
    let place = |span: Span| {
        let (line, column) = lines.place(lines.clamp(span.start));
        json!({ "start": span.start, "end": span.end, "line": line, "column": column })
    };
    let fault = |fault: &Diagnostic| {
        let labels = fault.labels.iter();
        let labels = labels.map(|label| json!({ "span": place(label.span), "text": label.text }));
        json!({
            "severity": fault.severity.name(),
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
        assert!(long.len() < 300 && long.contains("f:1:6") && long.contains("xx.."), "{long}");
    }
}
