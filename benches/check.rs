//! From a text to checked kernels: a file of ten thousand lines, made of the catalogue's kernels under fresh names.
//!
//! A library of kernels of that size is checked at every start of a program, and by an editor at every key, so it has
//! to take less than 100 ms.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tilewright::ir::check::check;
use tilewright::ir::syntax;

/// Kernels of the catalogue, each with its size sets, until there are this many lines.
fn library(lines: usize) -> String {
    let mut text = String::new();
    let mut written = 0;
    for (copy, entry) in tilewright::kernels::all().iter().cycle().enumerate() {
        if written >= lines {
            break;
        }
        for (name, fresh) in names(entry.source, copy) {
            assert!(entry.source.contains(&name), "{}", entry.name);
            text.push_str(&rename(entry.source, &name, &fresh));
        }
        written = text.lines().count();
    }
    text
}

/// The one kernel of a catalogue file with a fresh name.
fn names(source: &str, copy: usize) -> Vec<(String, String)> {
    let kernels = source.lines().filter_map(|line| line.strip_prefix("kernel "));
    let names = kernels.filter_map(|rest| rest.split('(').next());
    names.map(|name| (name.to_string(), format!("{name}_{copy}"))).collect()
}

fn rename(source: &str, name: &str, fresh: &str) -> String {
    source.replace(&format!("kernel {name}("), &format!("kernel {fresh}("))
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
