//! The files of the project as the tidy tests see them.
//!
//! Build folders and hidden folders other than `.ci` and `.cargo` are not part of the project.

use std::path::{Path, PathBuf};

/// A text file: its path relative to the root, with `/`, and its text.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files whose name ends in one of `endings`, in path order.
pub(crate) fn files(endings: &[&str]) -> Vec<SourceFile> {
    let mut paths = vec![];
    collect(root(), &mut paths);
    paths.sort();
    let mut files = vec![];
    for path in paths {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        if !endings.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        if let Ok(text) = std::fs::read_to_string(&path) {
            files.push(SourceFile { path: name, text });
        }
    }
    assert!(!files.is_empty(), "no file ends in {endings:?}");
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name);
        if path.is_dir() {
            if !hidden && name != "target" && name != "shared" {
                collect(&path, paths);
            }
        } else if !hidden {
            paths.push(path);
        }
    }
}

/// Fails with all complaints at once.
pub(crate) fn none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}
