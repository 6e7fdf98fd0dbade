//! The tile text by data: `tests/files/tile/*.tile` are verified programs in canonical form after a comment, and
//! `tests/files/tile/refused/*.tile` are followed by the faults they have, as `#!` lines.
//!
//! `BLESS=1` rewrites the canonical forms and the faults. What the programs compute is in `tile_meaning.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::target::{MemoryLevel, Target};
use tilewright_ir::tile::{parse, print, verify};

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/tile").join(folder);
    let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "tile")).collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", root.display());
    files
}

fn target() -> Target {
    Target {
        backend: "cpu".into(),
        isa: "x86_64".into(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "test".into(),
        vector_bytes: 32,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: vec![MemoryLevel { name: "L2".into(), bytes: 1 << 20 }],
    }
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The comment lines at the head, and the rest.
fn split_head(source: &str) -> (&str, &str) {
    let lines = source.split_inclusive('\n').take_while(|line| line.starts_with('#'));
    source.split_at(lines.map(str::len).sum())
}

#[test]
fn files_are_canonical_and_verified() {
    for path in files("") {
        let source = std::fs::read_to_string(&path).unwrap();
        let program = parse(&source).unwrap_or_else(|faults| panic!("{path:?}: {faults:#?}"));
        let (head, body) = split_head(&source);
        let printed = print(&program);
        if blessing() {
            std::fs::write(&path, format!("{head}{printed}")).unwrap();
        } else {
            assert_eq!(printed, body, "{path:?}");
        }
        assert_eq!(parse(&printed).as_ref(), Ok(&program), "{path:?}");
        assert_eq!(program.canonical(), program, "{path:?}");
        assert_eq!(verify(&program, &target()), Ok(()), "{path:?}");
    }
}

/// `#! 3:7 TW0502: message; found; expected (help)`, one line for each fault.
fn show(source: &str, faults: &[Diagnostic]) -> String {
    let mut out = String::new();
    for fault in faults {
        let place = fault.span.map_or(String::new(), |span| {
            let before = &source[..span.start as usize];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
            format!("{line}:{column} ")
        });
        writeln!(out, "#! {place}{}", fault.to_string().replace('\n', " ")).unwrap();
    }
    out
}

#[test]
fn faults_are_reported() {
    for path in files("refused") {
        let source = std::fs::read_to_string(&path).unwrap();
        let text: String =
            source.split_inclusive('\n').filter(|line| !line.starts_with("#!")).collect();
        let faults = match parse(&text) {
            Ok(program) => verify(&program, &target()).expect_err("the program is refused"),
            Err(faults) => faults,
        };
        let shown = format!("{text}{}", show(&text, &faults));
        if blessing() {
            std::fs::write(&path, shown).unwrap();
        } else {
            assert_eq!(shown, source, "{path:?}");
        }
    }
}
