//! From a text to checked kernels: a file of ten thousand lines, made of the catalogue's kernels under fresh names.
//!
//! A library of kernels of that size is checked at every start of a program, and by an editor at every key, so it has
//! to take less than 100 ms.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::collections::BTreeSet;
use std::hint::black_box;
use tilewright::ir::check::check;
use tilewright::ir::syntax;

/// Copies of the catalogue's files, everything in them under fresh names, until there are this many lines.
fn library(lines: usize) -> String {
    let mut text = String::new();
    let mut written = 0;
    for (copy, entry) in tilewright::kernels::all().iter().cycle().enumerate() {
        if written >= lines {
            break;
        }
        let fresh = renamed(entry.source, copy);
        written += fresh.lines().count();
        text.push_str(&fresh);
    }
    text
}

/// The same file with other names for its kernels, functions and constants.
fn renamed(source: &str, copy: usize) -> String {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let named = |words: &[&str]| -> BTreeSet<&str> {
        source
            .lines()
            .filter(|line| words.iter().any(|word| line.starts_with(word)))
            .filter_map(|line| line.split(|char| !is_name(char)).nth(1))
            .collect()
    };
    // A kernel may have the name of a function that it calls, so only its own places change.
    let (called, kernels) = (named(&["fn ", "const "]), named(&["kernel "]));
    let mut text = String::new();
    let mut before = "";
    for part in source.split_inclusive(|char| !is_name(char)) {
        let word = part.trim_end_matches(|char| !is_name(char));
        text.push_str(word);
        let is_kernel = ["kernel", "for"].contains(&before) && kernels.contains(word);
        if is_kernel || called.contains(word) {
            text.push_str(&format!("_{copy}"));
        }
        text.push_str(&part[word.len()..]);
        before = word;
    }
    text
}

fn whole_file(criterion: &mut Criterion) {
    let real = std::env::args().any(|argument| argument == "--bench");
    let text = library(if real { 10_000 } else { 200 });
    let lines = u64::try_from(text.lines().count()).unwrap_or_default();
    let mut group = criterion.benchmark_group("check");
    group.throughput(Throughput::Elements(lines));
    group.bench_function("parse_10000_lines", |bencher| {
        bencher.iter(|| syntax::parse(black_box(&text)));
    });
    group.bench_function("parse_and_check_10000_lines", |bencher| {
        bencher.iter(|| check(black_box(&text)).expect("the catalogue has no faults"));
    });
    group.finish();
}

criterion_group!(benches, whole_file);
criterion_main!(benches);
