//! The one door to stdout, and the notes on stderr.
//!
//! Invariant: a failed write is an `io::Error` that reaches `main`, so a closed pipe is never a panic.

use serde_json::Value;
use std::io::{self, BufWriter, Stdout, Write};

/// Where data goes.
#[derive(Debug)]
pub(super) struct Output {
    stdout: BufWriter<Stdout>,
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { stdout: BufWriter::new(io::stdout()), json }
    }

    /// Whether the user asked for JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes data, with a line break if it has none.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            self.stdout.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes one JSON value on a line of its own.
    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.stdout, "{value}")
    }

    /// Writes a line and makes it visible at once, for streams of events.
    pub(super) fn line_now(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdout, "{line}")?;
        self.stdout.flush()
    }

    /// The raw writer, for streams that others write.
    pub(super) fn writer(&mut self) -> &mut dyn Write {
        &mut self.stdout
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Tells the user something that is not data. A closed stderr is no reason to stop.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
