//! The texts of gradients, and of what is refused, as the files say.
//!
//! After `# ---- expected` stands what comes out of all kernels of a file; `BLESS=1` rewrites it. A line `# wrt x,y` at
//! the head names the inputs.

use super::files;
use tilewright_ir::check::check;
use tilewright_ir::diag::{self, Diagnostic};
use tilewright_ir::grad::grad;
use tilewright_ir::syntax;

const MARK: &str = "# ---- expected\n";

pub(super) fn wrt(source: &str) -> Vec<String> {
    let line = source.lines().find_map(|line| line.strip_prefix("# wrt "));
    line.map(|line| line.split(',').map(str::to_string).collect()).unwrap_or_default()
}

/// The source of a test file, without what is expected.
pub(super) fn source(text: &str) -> &str {
    text.split_once(MARK).map_or(text, |(source, _)| source)
}

fn expect(folder: &str, output: impl Fn(&str, &str) -> String) {
    let mut wrong = vec![];
    for (name, path) in files(folder) {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = source(&text);
        let found = output(&name, source);
        if text.split_once(MARK).map(|parts| parts.1) == Some(found.as_str()) {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, format!("{source}{MARK}{found}")).unwrap();
        }
        wrong.push(format!("{name}:\n{found}"));
    }
    assert!(wrong.is_empty(), "not as expected (BLESS=1 accepts it):\n{}", wrong.join("\n"));
}

fn show(name: &str, text: &str, faults: &[Diagnostic]) -> String {
    diag::to_text(&format!("{name}.tw"), text, faults)
}

#[test]
fn gradients_are_as_expected() {
    expect("tests/files/grad", |name, source| {
        let file = check(source).unwrap_or_else(|faults| panic!("{}", show(name, source, &faults)));
        let text = file.kernels.iter().map(|kernel| {
            let kernel = &kernel.graph.name;
            grad(source, Some(kernel), &wrt(source))
                .unwrap_or_else(|faults| panic!("{}", show(name, source, &faults)))
        });
        text.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn refusals_are_as_expected() {
    expect("tests/files/grad_refused", |name, source| {
        let kernel = source.lines().find_map(|line| line.strip_prefix("# kernel "));
        let faults = grad(source, kernel, &wrt(source)).expect_err("a refusal");
        show(name, source, &faults)
    });
}

#[test]
fn texts_are_canonical_without_warnings_and_deterministic() {
    for (name, path) in files("tests/files/grad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = source(&text);
        for kernel in check(source).unwrap().kernels {
            let make = || grad(source, Some(&kernel.graph.name), &wrt(source)).unwrap();
            let text = make();
            assert_eq!(text, make(), "{name}");
            assert_eq!(syntax::print(&syntax::parse(&text).file), text, "{name}");
            let checked = check(&text).unwrap();
            // A gradient that is the same for all elements along an axis is what it is.
            let unexpected: Vec<_> = checked
                .warnings
                .iter()
                .filter(|warning| warning.code != "TW0234")
                .cloned()
                .collect();
            assert!(unexpected.is_empty(), "{}", show(&name, &text, &unexpected));
            for (set, sizes) in &checked.kernels[0].size_sets {
                let bound = checked.kernels[0].bind(sizes);
                assert!(bound.is_ok(), "{name} at {set}: {bound:?}");
            }
            // The text says all that there is: the graph of the text prints the same.
            let again = checked.kernels[0].graph.print();
            assert_eq!(check(&again).unwrap().kernels[0].graph.print(), again, "{name}");
        }
    }
}
