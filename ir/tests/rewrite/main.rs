//! The rewriter on kernels whose best number of passes is known.
//!
//! Each file of `tests/files/rewrite` says in its head how often its best form traverses each axis. Every form of every
//! file is interpreted in blocks of several sizes and judged against the reference of the text, whatever the inputs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../machine/mod.rs"]
mod machine;
mod numbers;
mod structure;

use std::collections::BTreeMap;
use std::path::Path;
use tilewright_ir::base::Sizes;
use tilewright_ir::check::{self, CheckedKernel};
use tilewright_ir::target::Target;

/// A kernel with the passes it should come down to.
struct Case {
    name: String,
    kernel: CheckedKernel,
    sizes: Sizes,
    passes: BTreeMap<String, u32>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/rewrite");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_stem().unwrap().to_str().unwrap().to_string();
    let text = std::fs::read_to_string(path).unwrap();
    let head = text.lines().find_map(|line| line.strip_prefix("# passes "));
    let head = head.unwrap_or_else(|| panic!("{name}: a line `# passes axis=count ..`"));
    let count = |part: &str| {
        let (axis, count) = part.split_once('=').unwrap();
        (axis.to_string(), count.parse().unwrap())
    };
    let passes = head.split_whitespace().map(count).collect();
    let file = check::check(&text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
    let kernel = file.kernels.into_iter().next().unwrap();
    let (_, sizes) = kernel.size_sets.first().cloned().unwrap();
    Case { name, kernel, sizes, passes }
}

/// A machine with caches and wide vectors, so that sizes and traffic matter.
fn target() -> Target {
    let caches = [("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)];
    Target { vector_bytes: 256, ..machine::target(&caches) }
}
