//! The front end on files of texts: tests/files/{check,diagnostics,print} of the repository, and the catalogue.
//!
//! A file is a text and, after the line `# ---- expected`, what comes out of it. `BLESS=1` rewrites the second part; read
//! the difference before you keep it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tilewright_ir::check::check;
use tilewright_ir::{diag, graph, syntax};

const MARK: &str = "# ---- expected\n";
/// What follows is one line of JSON for each diagnostic.
const JSON_MARK: &str = "# ---- as JSON\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The kernel texts of a folder, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of tests");
    let entries = entries.map(|entry| entry.expect("a readable entry").path());
    let is_kernel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tw");
    let mut paths: Vec<_> = entries.filter(is_kernel).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no test");
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// Compares what a text gives with the second part of its file.
fn expect(folder: &str, output: impl Fn(&str, &str) -> String) {
    let mut wrong = vec![];
    for path in files(folder) {
        let text = fs::read_to_string(&path).expect("a readable text");
        let (source, expected) = text.split_once(MARK).unwrap_or((&text, &text));
        let found = output(&name(&path), source);
        if found == expected {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, format!("{source}{MARK}{found}")).expect("a writable file");
        }
        wrong.push(format!("{}:\n{found}", path.display()));
    }
    assert!(wrong.is_empty(), "not as expected (BLESS=1 accepts it):\n{}", wrong.join("\n"));
}

#[test]
fn diagnostics_are_as_expected() {
    expect("tests/files/diagnostics", |name, source| {
        let faults = check(source).expect_err("a text with faults");
        let places: Vec<_> = faults.iter().filter_map(|fault| fault.span).collect();
        assert!(places.is_sorted(), "{name} is in order");
        let data = diag::to_json(source, &faults);
        let data = data.as_array().unwrap().iter().map(|fault| format!("{fault}\n"));
        diag::to_text(name, source, &faults) + JSON_MARK + &data.collect::<String>()
    });
}

/// The texts of this folder have a meaning all the same.
#[test]
fn warnings_are_as_expected() {
    expect("tests/files/warnings", |name, source| {
        let file = check(source).unwrap_or_else(|f| panic!("{}", diag::to_text(name, source, &f)));
        let data = diag::to_json(source, &file.warnings);
        let data = data.as_array().unwrap().iter().map(|fault| format!("{fault}\n"));
        diag::to_text(name, source, &file.warnings) + JSON_MARK + &data.collect::<String>()
    });
}

#[test]
fn graphs_are_as_expected() {
    expect("tests/files/check", |name, source| {
        let file = check(source).unwrap_or_else(|f| panic!("{}", diag::to_text(name, source, &f)));
        let graphs: Vec<_> = file.kernels.iter().map(|kernel| &kernel.graph).collect();
        graphs.iter().for_each(|graph| survives_the_round_trip(graph));
        graphs.iter().map(|graph| graph.print()).collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn printing_is_as_expected() {
    expect("tests/files/print", |name, source| {
        let parsed = syntax::parse(source);
        assert!(
            parsed.faults.is_empty(),
            "{}",
            diag::to_text(name, source, parsed.faults.as_slice())
        );
        let canonical = syntax::print(&parsed.file);
        assert_eq!(syntax::print(&syntax::parse(&canonical).file), canonical, "{name}");
        canonical
    });
}

#[test]
fn every_code_of_the_front_end_has_a_file() {
    let codes = |path: &PathBuf, word: &str| {
        let text = fs::read_to_string(path).unwrap();
        text.split(word).skip(1).map(|rest| rest[..6].to_string()).collect::<Vec<_>>()
    };
    let errors = files("tests/files/diagnostics");
    let errors = errors.iter().flat_map(|path| codes(path, "error["));
    let warnings = files("tests/files/warnings");
    let warnings = warnings.iter().flat_map(|path| codes(path, "warning["));
    let shown: BTreeSet<String> = errors.chain(warnings).collect();
    // A file of test data is text, so the code for bytes that are none is shown below.
    let missing: Vec<_> = diag::code::ALL
        .iter()
        .map(|(code, _)| *code)
        .filter(|code| ["TW01", "TW02", "TW03"].contains(&&code[..4]))
        .filter(|code| *code != "TW0107" && !shown.contains(*code))
        .collect();
    assert!(missing.is_empty(), "codes without a file: {missing:?}");
    let unknown: Vec<_> = shown.iter().filter(|code| diag::code::meaning(code).is_none()).collect();
    assert!(unknown.is_empty(), "codes without a row: {unknown:?}");
}

/// A message says what is wrong and where, what stands there, what may stand there, and one way out.
#[test]
fn every_diagnostic_is_whole() {
    let mut bare = vec![];
    for path in files("tests/files/diagnostics") {
        let text = fs::read_to_string(&path).unwrap();
        let source = text.split_once(MARK).map_or(text.as_str(), |(source, _)| source);
        for fault in check(source).expect_err("a text with faults") {
            let parts = [&fault.found, &fault.expected, &fault.help];
            let place = fault.span.is_some() || fault.code == "TW0108";
            if !place || parts.iter().any(|part| part.is_none()) {
                bare.push(format!("{}: {fault}", name(&path)));
            }
        }
    }
    assert!(bare.is_empty(), "no place, found, expected or help:\n{}", bare.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let faults = tilewright_ir::check::check_bytes(b"# \xff\n").expect_err("no UTF-8");
    assert_eq!(faults[0].code, "TW0107");
    assert_eq!(faults[0].span.unwrap().start, 2);
}

#[test]
fn the_catalogue_is_canonical_and_bound() {
    for path in files("kernels") {
        let (name, source) = (name(&path), fs::read_to_string(&path).unwrap());
        assert_eq!(syntax::print(&syntax::parse(&source).file), source, "{name}");
        let file =
            check(&source).unwrap_or_else(|f| panic!("{}", diag::to_text(&name, &source, &f)));
        let [kernel] = file.kernels.as_slice() else { panic!("{name} holds one kernel") };
        assert_eq!(format!("{}.tw", kernel.graph.name), name);
        survives_the_round_trip(&kernel.graph);
        let small = kernel.size_sets.iter().filter(|(set, _)| set.starts_with("small")).count();
        assert!(small >= 3, "{name} has several small sizes");
        assert!(!kernel.size_sets[0].0.starts_with("small"), "{name} is tuned at a real size");
        for (_, sizes) in &kernel.size_sets {
            assert!(kernel.bind(sizes).is_ok(), "{name}");
        }
    }
}

fn survives_the_round_trip(graph: &graph::Graph) {
    assert_eq!(graph::verify(graph), Ok(()), "{}", graph.print());
    let text = graph.print();
    let again = check(&text).map_err(|faults| diag::to_text("graph", &text, &faults));
    let again = again.expect("a graph's text has no fault");
    assert_eq!(again.kernels[0].graph.print(), text);
    // Two graphs with a NaN are never equal; their texts are.
    if !text.contains("nan") {
        assert_eq!(&again.kernels[0].graph, graph, "{text}");
    }
}
