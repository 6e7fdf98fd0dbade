//! Warnings: said where a person and a program look, and no reason to fail.

use crate::user::{User, stderr};
use serde_json::Value;

const UNUSED: &str = "kernel k(x: f32[i], y: f32[i]) -> f32[i] { x }\nsizes s { i=3 }\n";

#[test]
fn a_warning_is_no_failure() {
    let user = User::new();
    user.write("unused.tw", UNUSED);
    for command in [&["check"][..], &["run", "--verify"], &["explain", "--stage", "graph"]] {
        let output = user.run(&[command, &["unused.tw"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("warning[TW0231]") && said.contains("unused.tw:1:21"), "{said}");
    }
    let json = user.json(&["check", "unused.tw"]);
    assert_eq!(json["kernels"].as_array().unwrap().len(), 1);
    assert_eq!(json["diagnostics"][0]["severity"], "warning");
    user.write("faulty.tw", "kernel k(x: f32[i], y: f32[i]) -> f32[i] { z }\n");
    let output = user.run(&["check", "faulty.tw", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = json["diagnostics"].as_array().unwrap();
    assert!(faults.iter().all(|fault| fault["severity"] == "error"), "{json}");
}

#[test]
fn a_file_without_a_kernel_is_said_to_have_none() {
    let user = User::new();
    for text in ["", "# only a comment\n", "\n\n", "fn f(x) { x }\n"] {
        user.write("empty.tw", text);
        let output = user.run(&["check", "empty.tw"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("there is no kernel"), "{}", stderr(&output));
        assert_eq!(user.json(&["check", "empty.tw"])["diagnostics"][0]["code"], "TW0110");
    }
}

#[test]
fn the_catalogue_has_no_warnings() {
    for entry in tilewright::kernels::all() {
        let (_, warnings) = tilewright::Kernel::parse_with_warnings(entry.source).unwrap();
        assert_eq!(warnings, [], "{}", entry.name);
    }
}
