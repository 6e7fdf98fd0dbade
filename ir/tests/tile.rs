//! The tile text by data: every file under `tests/files/tile` is a program in canonical form after its comment.
//!
//! Comment lines stand at the head of a file. `BLESS=1` rewrites a file to its canonical form.

use std::path::{Path, PathBuf};
use tilewright_ir::tile::{parse, print};

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/tile").join(folder);
    let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "tile")).collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", root.display());
    files
}

/// The comment lines at the head, and the rest.
fn split_head(source: &str) -> (&str, &str) {
    let lines = source.split_inclusive('\n').take_while(|line| line.starts_with('#'));
    source.split_at(lines.map(str::len).sum())
}

#[test]
fn files_are_canonical() {
    for path in files("") {
        let source = std::fs::read_to_string(&path).unwrap();
        let program = parse(&source).unwrap_or_else(|faults| panic!("{path:?}: {faults:#?}"));
        let (head, body) = split_head(&source);
        let printed = print(&program);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, format!("{head}{printed}")).unwrap();
        } else {
            assert_eq!(printed, body, "{path:?}");
        }
        assert_eq!(parse(&printed).as_ref(), Ok(&program), "{path:?}");
        assert_eq!(program.canonical(), program, "{path:?}");
    }
}
