//! Kernels with results computed by hand: `tests/files/gather/*.tw`, shared by the tests of all levels.
//!
//! After the line `# ---- cases` stand the cases: a line of sizes (`i=3 k=2`), a line for each input (`x = 1 2 3`), and
//! a line for each output (`-> 4 5 6`), all row-major. Invariant: a file has at least one case.

use std::collections::BTreeMap;
use std::path::Path;

const MARK: &str = "# ---- cases\n";

/// A kernel text and its cases.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) cases: Vec<Case>,
}

/// Sizes, inputs by name, and the outputs in order.
#[derive(Default)]
pub(crate) struct Case {
    pub(crate) sizes: BTreeMap<String, u64>,
    pub(crate) inputs: BTreeMap<String, Vec<f64>>,
    pub(crate) outputs: Vec<Vec<f64>>,
}

/// All files, in order of their names. `root` is the root of the repository.
pub(crate) fn all(root: &Path) -> Vec<File> {
    let folder = root.join("tests/files/gather");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap();
    let (source, rest) = text.split_once(MARK).unwrap_or_else(|| panic!("{path:?} has no cases"));
    let mut cases: Vec<Case> = vec![];
    for line in rest.lines() {
        if let Some(values) = line.strip_prefix("->") {
            cases.last_mut().unwrap().outputs.push(numbers(values));
        } else if let Some((name, values)) = line.split_once(" =") {
            let inputs = &mut cases.last_mut().unwrap().inputs;
            inputs.insert(name.to_string(), numbers(values));
        } else {
            let size = |word: &str| {
                let (axis, extent) = word.split_once('=').unwrap();
                (axis.to_string(), extent.parse().unwrap())
            };
            cases.push(Case { sizes: line.split(' ').map(size).collect(), ..Case::default() });
        }
    }
    assert!(!cases.is_empty(), "{path:?} has no cases");
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    File { name, source: source.to_string(), cases }
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}
