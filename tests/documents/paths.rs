//! Paths that documents name in backticks, and the targets of their links.
//!
//! A word in backticks is a path of the project if it begins with one of its folders, or is a document at its root.
//! Parts in capitals, `..` and `*` make it a pattern, whose fixed beginning has to exist.

use crate::blocks::{Document, root};

const FOLDERS: [&str; 12] = [
    "ir/",
    "backends/",
    "autotune/",
    "kernels/",
    "src/",
    "tests/",
    "benches/",
    "docs/",
    "examples/",
    ".ci/",
    "python/",
    "fuzz/",
];

/// The paths that do not exist.
pub(crate) fn missing(document: &Document) -> Vec<String> {
    let mut complaints = vec![];
    for (index, line) in document.text.lines().enumerate() {
        let named = line.split('`').skip(1).step_by(2).filter(|word| is_path(word));
        let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let links = links.map(|(target, _)| target).filter(|target| is_link(target));
        let links = links.map(|target| root().join(folder).join(before_anchor(target)));
        let paths = named.map(|word| root().join(fixed(word))).chain(links);
        for path in paths.filter(|path| !path.exists()) {
            complaints.push(format!("{}:{}: {}", document.path, index + 1, path.display()));
        }
    }
    complaints
}

fn before_anchor(target: &str) -> &str {
    target.split('#').next().unwrap_or_default()
}

/// A kernel text has `](`, too, but no name of a file after it.
fn is_link(target: &str) -> bool {
    let file = before_anchor(target);
    !target.contains("://") && [".md", ".rs", ".tw"].iter().any(|ending| file.ends_with(ending))
}

fn is_path(word: &str) -> bool {
    let shaped = !word.contains([' ', '(', '{']);
    shaped && FOLDERS.iter().any(|folder| word.starts_with(folder))
}

/// The part of a path before the first pattern: `kernels/NAME.tw` gives `kernels/`.
fn fixed(word: &str) -> String {
    let fixed = |part: &&str| !part.contains(['*', '{']) && *part != ".." && !is_pattern(part);
    word.split('/').take_while(fixed).collect::<Vec<_>>().join("/")
}

fn is_pattern(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default();
    stem.len() > 1 && stem.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
