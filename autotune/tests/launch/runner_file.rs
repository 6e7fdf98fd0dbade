//! The environment variable that names another runner: what is said when there is none.
//!
//! Each case runs in a process of its own, since the environment belongs to the whole process.

use crate::code::{self, artifact};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;
use tilewright_autotune::launch::{Failure, RUNNER_VARIABLE, Session, SessionOptions};

const PROBE: &str = "runner_file::probe";

/// Set: `probe` gives up all its files first.
const NO_FILES: &str = "TILEWRIGHT_TEST_NO_FILES";

/// Less time to start than usual.
fn options() -> SessionOptions {
    SessionOptions { start_limit: Duration::from_secs(2), ..SessionOptions::default() }
}

/// Starts a session and prints what became of it; the other tests run it with a variable.
#[test]
fn probe() {
    if std::env::var_os(NO_FILES).is_some() {
        let own = ["--nofile=3:3", "--pid", &std::process::id().to_string()];
        assert!(Command::new("prlimit").args(own).status().unwrap().success());
    }
    match Session::start(&artifact(code::RETURN, 1, 1), &options()) {
        Ok(mut session) => {
            session.run(1).unwrap();
            println!("answer: ready");
        }
        Err(failure @ Failure::Start(_)) => println!("answer: {} {failure}", failure.reason()),
        Err(failure) => panic!("{failure}"),
    }
}

/// What `probe` says with an environment variable set.
fn probe_with(variable: &str, value: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", PROBE, "--nocapture"];
    let output = Command::new(program).args(arguments).env(variable, value).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split("answer: ").nth(1));
    line.unwrap_or_else(|| panic!("{text}")).to_string()
}

#[track_caller]
fn says(path: &str, code: &str) {
    let answer = probe_with(RUNNER_VARIABLE, path);
    assert!(answer.starts_with(&format!("start {code}: ")), "{answer}");
    assert!(answer.contains(RUNNER_VARIABLE) && answer.contains(path), "{answer}");
}

#[test]
fn an_empty_variable_means_the_embedded_runner() {
    assert_eq!(probe_with(RUNNER_VARIABLE, ""), "ready");
}

#[test]
fn a_file_that_is_no_program_is_an_error() {
    says("/nowhere/runner", "TW0701");
    says("/proc/self/status", "TW0701");
}

#[test]
fn a_program_that_is_no_runner_is_an_error() {
    says("/bin/true", "TW0703");
}

#[test]
fn a_runner_that_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent");
    std::fs::write(&path, "#!/bin/sh\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap();
    says(path, "TW0703");
    assert!(probe_with(RUNNER_VARIABLE, path).contains("no sign of it within 2s"));
}

#[test]
fn a_system_without_memory_files_is_an_error() {
    let answer = probe_with(NO_FILES, "1");
    assert!(answer.starts_with("start TW0702: "), "{answer}");
    assert!(answer.contains(&format!("set {RUNNER_VARIABLE} to the path")), "{answer}");
}
