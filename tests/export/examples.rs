//! The examples of `examples/export`, by the commands of their README.
//!
//! Invariant: a command is run as the README has it, but for the program, which is built already, and the folder.

use std::path::Path;
use std::process::Command;

/// The commands of the README's first block.
fn commands(text: &str) -> Vec<&str> {
    let block = text.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    block.lines().collect()
}

#[test]
fn the_commands_of_the_readme_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let text = std::fs::read_to_string(root.join("examples/export/README.md")).unwrap();
    let mut said = String::new();
    for command in commands(&text) {
        let command = command
            .replace("cargo run --release --", env!("CARGO_BIN_EXE_tilewright"))
            .replace("target/export", &out);
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(root)
            .env("TILEWRIGHT_STORE", folder.path().join("store.sqlite"))
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {complaint}");
        said.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(said.matches("alone: code 0, 0 elements wrong\n").count(), 2, "{said}");
    assert_eq!(said.matches("parallel: code 0, 0 elements wrong\n").count(), 2, "{said}");
    assert_eq!(said.matches("NULL: kind 1 of argument 2\n").count(), 2, "{said}");
    assert_eq!(said.matches(": code 0, all right: true\n").count(), 2, "{said}");
}
