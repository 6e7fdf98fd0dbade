//! The tidy rules about files: length, opening comment, forbidden words, headers of test data.
//!
//! A file longer than the soft limit stands in `long-files.txt` with its length and a reason. The list may only
//! shrink: a file that has become shorter has its number lowered.

use super::tree::{files, none, root};
use std::collections::{BTreeMap, BTreeSet};

const LINES_SOFT: usize = 500;
const LINES_HARD: usize = 800;

/// Folders in which `unsafe` may stand, each file arguing every use.
const UNSAFE_ROOMS: &[&str] = &[
    "backends/cpu/",
    "autotune/src/launch/",
    "autotune/runner/",
    "testing/src/guard.rs",
    "testing/src/crash.rs",
    // A program that calls a library of C.
    "examples/export/",
];

fn long_files() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join("tests/suite/long-files.txt")).unwrap();
    let mut list = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut words = line.split_whitespace();
        let (path, lines) = (words.next().unwrap(), words.next().unwrap());
        assert!(words.next().is_some(), "{path} has no reason in long-files.txt");
        list.insert(path.to_string(), lines.parse().unwrap());
    }
    list
}

#[test]
fn files_are_short() {
    let allowed = long_files();
    let mut complaints = vec![];
    let mut long = BTreeSet::new();
    for file in files(&[".rs"]) {
        let lines = file.text.lines().count();
        if lines <= LINES_SOFT {
            continue;
        }
        long.insert(file.path.clone());
        match allowed.get(&file.path) {
            _ if lines > LINES_HARD => complaints.push(format!("{}: {lines} lines", file.path)),
            Some(&listed) if lines == listed => {}
            Some(listed) => complaints
                .push(format!("{}: {lines} lines, long-files.txt says {listed}", file.path)),
            None => complaints.push(format!("{}: {lines} lines", file.path)),
        }
    }
    for path in allowed.keys().filter(|path| !long.contains(*path)) {
        complaints.push(format!("{path} is no longer long: remove it from long-files.txt"));
    }
    none("a file has at most 500 lines", &complaints);
}

#[test]
fn every_source_file_says_what_it_owns() {
    let complaints: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();
    none("a source file opens with `//!`", &complaints);
}

#[test]
fn no_forbidden_words() {
    // Written in two halves, so that this file obeys the rule.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["to", "do!("],
        ["unimpl", "emented!("],
        ["#[ign", "ore"],
        ["#[al", "low("],
        ["/wo", "rk/"],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
    ];
    let mut complaints = vec![];
    for file in files(&[".rs", ".toml", ".md", ".tw", ".txt", ".tile", ".schedule", ".ci/run"]) {
        for word in words.map(|halves| halves.concat()) {
            for (index, line) in file.text.lines().enumerate() {
                if line.contains(&word) {
                    complaints.push(format!("{}:{}: {word}", file.path, index + 1));
                }
            }
        }
    }
    none("unfinished work, silenced lints and paths of one machine do not land", &complaints);
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let complaints: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| !UNSAFE_ROOMS.iter().any(|room| file.path.starts_with(room)))
        .filter(|file| file.text.lines().any(has_unsafe))
        .map(|file| file.path)
        .collect();
    none("unsafe code stays in the loader and the launcher", &complaints);
}

fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| {
        // A quoted word, as in the line above, is no code.
        code.contains(word) && !code.contains('"')
    })
}

#[test]
fn test_data_has_a_header() {
    let mut complaints = vec![];
    for file in files(&[".tw", ".txt", ".tile", ".schedule", ".plan"]) {
        let data = file.path.contains("tests/files/") || file.path.starts_with("kernels/");
        let first = file.text.lines().next().unwrap_or_default();
        if data && !first.starts_with('#') {
            complaints.push(file.path);
        }
    }
    none("a data file opens with a `#` line that says what it shows", &complaints);
}
