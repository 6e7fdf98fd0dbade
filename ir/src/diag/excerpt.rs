//! The lines of a source that one message shows.
//!
//! A message shows the lines that its places stand on and some around them. Of a long line only the part around the
//! place is shown, between two dots; line and column are those of the whole source.
//! Invariant: what is shown of a source is bounded, however long its lines are.

use super::Span;
use codespan_reporting::files::{Error, Files};
use std::ops::Range;

/// The longest line that is shown whole, in bytes.
const LINE_BYTES_MAX: usize = 160;
/// How much of a longer line is shown.
const WINDOW_BYTES: usize = 112;
/// How much of that stands before the place.
const BEFORE_BYTES: usize = 40;
/// Lines that are shown after the beginning and before the end of a place of several lines.
const CONTEXT_LINES: usize = 4;
/// Stands for the part of a line that is left out.
const CUT: &str = "..";

/// A source with the starts of its lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect();
        Self { text, starts }
    }

    /// The nearest character boundary at or before an offset.
    pub(super) fn clamp(&self, offset: u32) -> usize {
        boundary(self.text, offset as usize)
    }

    /// The position of the line of a byte.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset).saturating_sub(1)
    }

    fn range(&self, line: usize) -> Range<usize> {
        let end = self.starts.get(line + 1).map_or(self.text.len(), |&next| next - 1);
        self.starts[line]..end
    }

    /// Line and column of a byte, counted from 1; columns count characters.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        (line + 1, self.text[self.starts[line]..offset].chars().count() + 1)
    }
}

fn boundary(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset).rev().find(|&offset| text.is_char_boundary(offset)).unwrap_or(0)
}

/// A line of an excerpt.
struct Shown {
    /// The position of the line in the source.
    line: usize,
    /// The bytes of the source that are shown.
    source: Range<usize>,
    /// Where they stand in the excerpt.
    start: usize,
    /// The whole line in the excerpt, marks of cuts included.
    excerpt: Range<usize>,
}

/// The lines that one message shows.
pub(super) struct Excerpt<'a> {
    name: &'a str,
    lines: &'a Lines<'a>,
    text: String,
    shown: Vec<Shown>,
}

impl<'a> Excerpt<'a> {
    /// The lines of a source on which the places stand, and those around them.
    pub(super) fn new(name: &'a str, lines: &'a Lines<'a>, spans: &[Span]) -> Self {
        let mut excerpt = Self { name, lines, text: String::new(), shown: vec![] };
        let offsets: Vec<_> = spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .map(|at| lines.clamp(at))
            .collect();
        let mut wanted: Vec<_> = offsets
            .iter()
            .map(|&offset| lines.line(offset))
            .flat_map(|line| line.saturating_sub(CONTEXT_LINES)..=line + CONTEXT_LINES)
            .filter(|&line| line < lines.starts.len())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        for line in wanted {
            excerpt.show(line, &offsets);
        }
        excerpt
    }

    fn show(&mut self, line: usize, offsets: &[usize]) {
        let whole = self.lines.range(line);
        let mut source = whole.clone();
        if whole.len() > LINE_BYTES_MAX {
            let inside = offsets.iter().filter(|&offset| self.lines.line(*offset) == line);
            let focus = inside.min().copied().unwrap_or(whole.start);
            let start = focus.saturating_sub(BEFORE_BYTES).max(whole.start);
            let end = (start + WINDOW_BYTES).min(whole.end);
            let boundary = |offset| boundary(self.lines.text, offset);
            source = boundary(start)..boundary(end);
        }
        let first = self.text.len();
        self.text.push_str(if source.start > whole.start { CUT } else { "" });
        let start = self.text.len();
        self.text.push_str(&self.lines.text[source.clone()]);
        self.text.push_str(if source.end < whole.end { CUT } else { "" });
        let excerpt = first..self.text.len();
        self.text.push('\n');
        self.shown.push(Shown { line, source, start, excerpt });
    }

    /// A place of the source in the excerpt; what is cut off lies at the cut.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let offset = |offset: u32| {
            let offset = self.lines.clamp(offset);
            let line = self.lines.line(offset);
            let Some(shown) = self.shown.iter().find(|shown| shown.line == line) else { return 0 };
            match offset {
                _ if offset < shown.source.start => shown.excerpt.start,
                _ if offset > shown.source.end => shown.excerpt.end,
                _ => shown.start + (offset - shown.source.start),
            }
        };
        let start = offset(span.start);
        start..offset(span.end).max(start)
    }

    fn at(&self, byte: usize) -> Result<&Shown, Error> {
        let after = self.shown.partition_point(|shown| shown.excerpt.start <= byte);
        let given = self.shown.len();
        self.shown.get(after.saturating_sub(1)).ok_or(Error::LineTooLarge { given, max: given })
    }

    fn known(&self, line: usize) -> Result<&Shown, Error> {
        let found = self.shown.iter().find(|shown| shown.line == line);
        found.ok_or(Error::LineTooLarge { given: line, max: self.shown.len() })
    }
}

impl<'a> Files<'a> for Excerpt<'_> {
    type FileId = ();
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, (): ()) -> Result<&'a str, Error> {
        Ok(self.name)
    }

    fn source(&'a self, (): ()) -> Result<&'a str, Error> {
        Ok(&self.text)
    }

    fn line_index(&'a self, (): (), byte: usize) -> Result<usize, Error> {
        Ok(self.at(byte)?.line)
    }

    fn line_range(&'a self, (): (), line: usize) -> Result<Range<usize>, Error> {
        let shown = self.known(line)?;
        Ok(shown.excerpt.start..shown.excerpt.end + 1)
    }

    fn column_number(&'a self, (): (), line: usize, byte: usize) -> Result<usize, Error> {
        let shown = self.known(line)?;
        let inside = byte.saturating_sub(shown.start) + shown.source.start;
        Ok(self.lines.place(boundary(self.lines.text, inside.min(shown.source.end))).1)
    }
}
