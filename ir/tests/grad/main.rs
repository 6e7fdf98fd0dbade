//! Backward kernels against finite differences, in double precision.
//!
//! The files of `tests/files/grad` show the text of each gradient. Their kernels, in f64, and those of the catalogue, are
//! differentiated, evaluated at random points, and compared element by element with central differences of the forward
//! kernel. Two step sizes tell how far these may be off.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod differences;
#[path = "../machine/mod.rs"]
mod machine;
mod streams;
mod texts;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The kernel texts of a folder, in order, with their names.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tw"));
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no test");
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.into_iter().map(|path| (name(&path), path)).collect()
}
