//! Sessions of the program: `$ tilewright ..` lines with what they print, replayed in a folder with the named examples.
//!
//! A line `..` stands for any number of lines that are left out, ` ..` at the end of a line for the rest of it. What goes to
//! stderr is part of a session, after stdout. Sessions run with vectors of 256 bits, whatever the machine has.

use crate::blocks::{Block, Document, Kind};
use std::path::Path;
use std::process::{Command, Stdio};

/// Replays every session of a document; what does not fit.
pub(crate) fn replay(document: &Document) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut complaints = vec![];
    for block in &document.blocks {
        if let Some(name) = block.file() {
            std::fs::write(folder.path().join(name), &block.text).unwrap();
        }
        if block.kind == Kind::Session {
            complaints.extend(session(block, folder.path()));
        }
    }
    complaints
}

fn session(block: &Block, folder: &Path) -> Vec<String> {
    let mut complaints = vec![];
    let mut blessed = String::new();
    for step in block.text.split("$ ").skip(1) {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        let found = run(command, folder).unwrap_or_else(|what| what);
        let right = matches(expected, &found);
        let kept = if right { expected } else { found.as_str() };
        blessed.push_str(&format!("$ {command}\n{kept}"));
        if !right {
            complaints.push(block.complain(&format!("`{command}` prints\n{found}")));
        }
    }
    if !complaints.is_empty() {
        block.bless(&blessed);
    }
    complaints
}

fn run(command: &str, folder: &Path) -> Result<String, String> {
    let Some(arguments) = command.strip_prefix("tilewright ") else {
        return Err(format!("`{command}` is no call of the program"));
    };
    let output = Command::new(env!("CARGO_BIN_EXE_tilewright"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("TILEWRIGHT_STORE", folder.join("store.sqlite"))
        // Defaults differ between vectors, and those of 512 bits between processors, too.
        .env("TILEWRIGHT_ISA", "avx2")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Whether the lines are those of the document, where `..` stands for any.
fn matches(expected: &str, found: &str) -> bool {
    let lines = |text: &str| text.trim_end().lines().map(str::to_string).collect::<Vec<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let mut parts = expected.split(|line| line.trim() == "..");
    let mut rest = found.as_slice();
    let first = parts.next().unwrap_or_default();
    if rest.len() < first.len() || !agree(first, &rest[..first.len()]) {
        return false;
    }
    rest = &rest[first.len()..];
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| agree(part, window)) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    last.len() <= rest.len() && agree(last, &rest[rest.len() - last.len()..])
}

/// Whether as many lines are those of the document, whose ` ..` at the end of a line stands for its rest.
fn agree(expected: &[String], found: &[String]) -> bool {
    let line = |(expected, found): (&String, &String)| match expected.strip_suffix(" ..") {
        Some(start) => found.starts_with(start),
        None => expected == found,
    };
    expected.len() == found.len() && expected.iter().zip(found).all(line)
}

#[test]
fn left_out_lines_match_any() {
    assert!(matches("a\n..\nd\n", "a\nb\nc\nd\n"));
    assert!(matches("..\nb\n..\n", "a\nb\nc\n"));
    assert!(matches("a\n", "a\n"));
    assert!(matches("a ..\nb\n", "a 17\nb\n"));
    assert!(!matches("a ..\nb\n", "b 17\nb\n"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("a\n..\nb\n", "a\nc\n"));
}
