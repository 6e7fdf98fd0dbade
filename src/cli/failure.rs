//! Why the program ends without success, how it says so, and with which exit code.
//!
//! Invariant: one row of the table in `--help` for each code; codes are never reused.

use super::output::note;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use tilewright::Error;
use tilewright::ir::backend::Unsupported;
use tilewright::ir::diag::{Diagnostic, to_json, to_text};

/// A failure of the program.
#[derive(Debug)]
pub(super) enum Failure {
    /// A result is wrong; the report has been written already, this is its summary.
    Wrong(String),
    /// The command line asks for something that does not exist.
    Usage(String),
    /// Faults in a text.
    Text {
        /// The name of the text.
        name: String,
        /// The text.
        text: String,
        /// Its faults.
        faults: Vec<Diagnostic>,
    },
    /// Everything has been told already; this is the exit code.
    Told(u8),
    /// As `Text`, where the faults have been written to stdout as data already.
    TextReported,
    /// Faults without a text.
    Faults(Vec<Diagnostic>),
    /// The back end cannot.
    Unsupported(Unsupported),
    /// The store cannot, or has nothing.
    Store(Diagnostic),
    /// Candidates cannot be run on this machine.
    Runner(Diagnostic),
    /// Ctrl-C.
    Interrupted,
    /// A file cannot be read or written.
    File(String),
    /// Whoever read stdout has gone.
    Pipe,
}

impl Failure {
    /// A file that cannot be used.
    pub(super) fn file(path: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::File(format!("{}: {error}", path.display()))
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Pipe => 0,
            Self::Told(code) => *code,
            Self::Wrong(_) => 1,
            Self::Usage(_) => 2,
            Self::Text { .. } | Self::TextReported | Self::Faults(_) => 3,
            Self::Unsupported(_) => 4,
            Self::Store(_) => 5,
            Self::Interrupted => 6,
            Self::File(_) => 7,
            Self::Runner(_) => 8,
        }
    }

    /// Tells stderr, and gives the exit code.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        self.tell(json);
        ExitCode::from(self.code())
    }

    /// Tells stderr.
    pub(super) fn tell(&self, json: bool) {
        let text =
            if json { self.to_json().map(|value| value.to_string()) } else { self.to_text() };
        if let Some(text) = text {
            note(text.trim_end());
        }
    }

    /// What it says, in one piece.
    pub(super) fn message(&self) -> String {
        let text = self.to_text().unwrap_or_default();
        text.trim_end().trim_start_matches("error: ").to_string()
    }

    fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Pipe | Self::Told(_) | Self::TextReported => return None,
            Self::Wrong(text) | Self::Usage(text) | Self::File(text) => format!("error: {text}"),
            Self::Text { name, text, faults } => to_text(name, text, faults),
            Self::Faults(faults) => list(faults),
            Self::Unsupported(unsupported) => format!("error: {unsupported}"),
            Self::Store(fault) | Self::Runner(fault) => list(std::slice::from_ref(fault)),
            Self::Interrupted => "interrupted".to_string(),
        })
    }

    /// `{"error":{"exit_code","kind","message","diagnostics"}}`, with `what` and `place` where something is unsupported
    pub(super) fn to_json(&self) -> Option<Value> {
        let (kind, message, faults): (_, _, &[Diagnostic]) = match self {
            Self::Pipe | Self::Told(_) | Self::TextReported => return None,
            Self::Wrong(text) => ("wrong", text.clone(), &[]),
            Self::Usage(text) => ("usage", text.clone(), &[]),
            Self::File(text) => ("file", text.clone(), &[]),
            Self::Text { name, faults, .. } => ("text", format!("{name} has faults"), faults),
            Self::Faults(faults) => ("text", "there are faults".to_string(), faults),
            Self::Unsupported(unsupported) => ("unsupported", unsupported.to_string(), &[]),
            Self::Store(fault) => ("store", fault.message.clone(), std::slice::from_ref(fault)),
            Self::Runner(fault) => ("runner", fault.message.clone(), std::slice::from_ref(fault)),
            Self::Interrupted => ("interrupted", "interrupted".to_string(), &[]),
        };
        let text = if let Self::Text { text, .. } = self { text.as_str() } else { "" };
        let faults = to_json(text, faults);
        let mut error = json!({
            "exit_code": self.code(), "kind": kind, "message": message, "diagnostics": faults
        });
        if let Self::Unsupported(Unsupported { what, place }) = self {
            error["what"] = what.as_str().into();
            error["place"] = place.as_str().into();
        }
        Some(json!({ "error": error }))
    }
}

fn list(faults: &[Diagnostic]) -> String {
    faults.iter().map(|fault| format!("error: {fault}\n")).collect()
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::File(format!("standard output: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Diagnostics(faults) => faults.into(),
            Error::Unsupported(unsupported) => Self::Unsupported(unsupported),
            Error::Read { path, source } => Self::file(&path, &source),
            Error::Unknown { .. } | Error::Call(_) => Self::Usage(error.to_string()),
            Error::Load(load) => {
                let place = "the loader".to_string();
                Self::Unsupported(Unsupported { what: load.to_string(), place })
            }
        }
    }
}

impl From<Unsupported> for Failure {
    fn from(unsupported: Unsupported) -> Self {
        Self::Unsupported(unsupported)
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(mut faults: Vec<Diagnostic>) -> Self {
        // TW07 and TW081 are faults of running candidates, TW080 and most of TW082 of the store.
        let is_runner =
            |fault: &Diagnostic| fault.code.starts_with("TW07") || fault.code.starts_with("TW081");
        let is_store = |fault: &Diagnostic| {
            fault.code.starts_with("TW080") || ["TW0821", "TW0822", "TW0823"].contains(&fault.code)
        };
        if let Some(position) = faults.iter().position(is_runner) {
            return Self::Runner(faults.swap_remove(position));
        }
        match faults.iter().position(is_store) {
            Some(position) => Self::Store(faults.swap_remove(position)),
            None => Self::Faults(faults),
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(fault: Diagnostic) -> Self {
        vec![fault].into()
    }
}
