//! Dependencies point one way, and each one from outside has a reason.
//!
//! The table below is DESIGN's: src -> {autotune, backends/*, kernels} -> ir.

use super::tree::{files, none, root};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Each crate of the workspace and the crates of the workspace that it may use.
const DIRECTIONS: &[(&str, &[&str])] = &[
    (
        "tilewright",
        &[
            "tilewright-autotune",
            "tilewright-cpu",
            "tilewright-ir",
            "tilewright-kernels",
            "tilewright-testing",
        ],
    ),
    ("tilewright-autotune", &["tilewright-ir"]),
    ("tilewright-cpu", &["tilewright-ir"]),
    ("tilewright-ir", &[]),
    ("tilewright-kernels", &[]),
    ("tilewright-runner", &[]),
    ("tilewright-testing", &["tilewright-cpu", "tilewright-ir"]),
];

fn manifests() -> BTreeMap<String, Table> {
    let mut manifests = BTreeMap::new();
    for file in files(&["Cargo.toml"]) {
        // The fuzz targets are a workspace of their own, for another toolchain.
        if file.path.starts_with("fuzz/") {
            continue;
        }
        let table: Table = file.text.parse().unwrap();
        if let Some(package) = table.get("package") {
            manifests.insert(package["name"].as_str().unwrap().to_string(), table);
        }
    }
    manifests
}

fn dependencies<'a>(manifest: &'a Table, kinds: &[&str]) -> BTreeSet<&'a str> {
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind).and_then(Value::as_table));
    tables.flat_map(|table| table.keys().map(String::as_str)).collect()
}

#[test]
fn dependencies_point_one_way() {
    let manifests = manifests();
    let names: Vec<_> = manifests.keys().map(String::as_str).collect();
    let expected: Vec<_> = DIRECTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "a crate is missing in DIRECTIONS or in the workspace");
    let mut complaints = vec![];
    for (name, allowed) in DIRECTIONS {
        // Tests obey the same directions: a crate's tests never reach upwards.
        let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
        for dependency in dependencies(&manifests[*name], &kinds) {
            if manifests.contains_key(dependency) && !allowed.contains(&dependency) {
                complaints.push(format!("{name} -> {dependency}"));
            }
        }
    }
    none("an edge between crates that the design does not have", &complaints);
}

#[test]
fn every_dependency_has_a_reason() {
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let manifest: Table =
        std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let shared = manifest["workspace"]["dependencies"].as_table().unwrap();
    let complaints: Vec<_> = shared
        .keys()
        .filter(|name| !name.starts_with("tilewright"))
        .filter(|name| !reasons.contains(&format!("| {name} |")))
        .cloned()
        .collect();
    none("a dependency without a line in docs/dependencies.md", &complaints);
    for (name, manifest) in manifests() {
        let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
        for dependency in dependencies(&manifest, &kinds) {
            assert!(
                shared.contains_key(dependency),
                "{name} names {dependency} outside [workspace.dependencies]"
            );
        }
    }
}

#[test]
fn every_dependency_line_is_used() {
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let used: BTreeSet<String> = manifests()
        .values()
        .flat_map(|manifest| {
            dependencies(manifest, &["dependencies", "build-dependencies", "dev-dependencies"])
                .into_iter()
                .map(str::to_string)
                .collect::<Vec<_>>()
        })
        .collect();
    let listed = reasons.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let complaints: Vec<_> = listed
        .filter(|name| !["dependency", "---"].contains(name) && !used.contains(*name))
        .map(str::to_string)
        .collect();
    none("docs/dependencies.md explains what nothing uses", &complaints);
}

#[test]
fn every_crate_obeys_the_lints() {
    for (name, manifest) in manifests() {
        let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherited, Some(&Value::Boolean(true)), "{name} does not inherit the lints");
    }
}
