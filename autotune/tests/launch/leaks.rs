//! Sessions leave nothing behind: no descriptor, no mapping, no zombie, no orphan.
//!
//! Each test runs in a process of its own, since other tests of this program come and go.

use crate::code::{self, artifact};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use tilewright_autotune::launch::{Session, SessionOptions};

/// A child process of this process.
#[derive(Debug)]
struct Child {
    id: String,
    /// The letter of `/proc/PID/stat`.
    state: char,
}

/// Whether a child is the one that makes the others: it alone has files.
fn is_server(id: &str) -> bool {
    let input = fs::read_link(format!("/proc/{id}/fd/0"));
    input.is_ok_and(|path| path.to_string_lossy().starts_with("socket:"))
}

/// The children of this process but the server, zombies included.
fn children() -> Vec<Child> {
    all_children().into_iter().filter(|child| !is_server(&child.id)).collect()
}

fn all_children() -> Vec<Child> {
    let own = std::process::id().to_string();
    let mut children = vec![];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold spaces; the state and the parent follow its closing bracket.
        let mut words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = words.next().and_then(|word| word.chars().next());
        if let (Some(state), true) = (state, words.next() == Some(&own)) {
            children.push(Child { id: entry.file_name().into_string().unwrap(), state });
        }
    }
    children
}

fn counts() -> [usize; 3] {
    let mappings = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    [fs::read_dir("/proc/self/fd").unwrap().count(), mappings, children().len()]
}

fn one_session(round: u64) {
    let codes = [code::ADD, code::ILLEGAL, code::STORE_PAST_END, code::ENDLESS];
    // Most end well; some crash, and a few have to be killed.
    let which = if round.is_multiple_of(50) { 3 } else { (round % 3) as usize };
    let options = SessionOptions {
        slots: 2,
        threads: 1 + (round % 2) as usize,
        deadline: if which == 3 { Duration::from_millis(5) } else { Duration::from_secs(10) },
        ..SessionOptions::default()
    };
    let mut session = Session::start(&artifact(codes[which], 16, 2), &options).unwrap();
    let reason = session.run(3).map_err(|failure| failure.reason());
    let wanted = [None, Some("crash"), Some("crash"), Some("timeout")];
    assert_eq!(reason.err(), wanted[which], "round {round}");
    if round.is_multiple_of(2) && which == 0 {
        session.freeze().unwrap();
    }
}

const VARIABLE: &str = "TILEWRIGHT_TEST_ALONE";

/// A command that runs one test of this file in a process of its own.
fn alone(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("leaks::{test}");
    command.args(["--exact", &test, "--nocapture"]).env(VARIABLE, "1");
    command
}

/// Runs `work` in a process of its own; the test of that name calls this and nothing else.
#[track_caller]
fn run_alone(test: &str, work: impl FnOnce()) {
    if std::env::var_os(VARIABLE).is_some() {
        return work();
    }
    let output = alone(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{error}");
}

#[test]
fn three_hundred_sessions_leave_nothing() {
    run_alone("three_hundred_sessions_leave_nothing", || {
        (0..10).for_each(one_session);
        let before = counts();
        (0..300).for_each(one_session);
        let after = counts();
        assert_eq!([after[0], after[2]], [before[0], before[2]], "descriptors, children");
        // The allocator may map a little more by itself.
        assert!(after[1] <= before[1] + 8, "{} mappings, then {}", before[1], after[1]);
        assert_eq!(after[2], 0, "{:?}", children());
    });
}

#[test]
fn a_frozen_child_stands_still() {
    run_alone("a_frozen_child_stands_still", || {
        let options = SessionOptions { threads: 2, ..SessionOptions::default() };
        let mut session = Session::start(&artifact(code::ADD, 16, 2), &options).unwrap();
        session.freeze().unwrap();
        let children = children();
        assert!(matches!(&children[..], [child] if child.state == 'T'), "{children:?}");
        session.run(1).unwrap();
        assert!(session.outputs(0).is_ok());
    });
}

#[test]
fn a_child_has_no_files_and_no_writable_code() {
    run_alone("a_child_has_no_files_and_no_writable_code", || {
        let options = SessionOptions { slots: 2, threads: 2, ..SessionOptions::default() };
        let session = Session::start(&artifact(code::ADD, 16, 2), &options).unwrap();
        let child = std::path::Path::new("/proc").join(&children()[0].id);
        // The child has given up being looked at: only the superuser still may.
        match (fs::read_dir(child.join("fd")), fs::read_to_string(child.join("maps"))) {
            (Ok(files), Ok(mappings)) => {
                assert_eq!(files.count(), 0);
                assert!(!mappings.contains("wx"), "{mappings}");
                let code = mappings.lines().filter(|line| line.contains("r-xs"));
                assert_eq!(code.count(), 1, "{mappings}");
                let inputs = mappings.lines().filter(|line| line.contains("r--s"));
                // Two inputs in each of two slots, and the plan.
                assert_eq!(inputs.count(), 5, "{mappings}");
            }
            (Err(error), _) | (_, Err(error)) => {
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            }
        }
        drop(session);
    });
}

#[test]
fn processor_time_has_an_end() {
    run_alone("processor_time_has_an_end", || {
        let cpu_time_max = Duration::from_secs(1);
        let options = SessionOptions { cpu_time_max, ..SessionOptions::default() };
        let mut session = Session::start(&artifact(code::ENDLESS, 1, 1), &options).unwrap();
        let failure = session.run(1).unwrap_err();
        assert!(failure.to_string().contains("SIGXCPU"), "{failure}");
    });
}

#[test]
fn a_child_killed_by_others_is_a_crash() {
    run_alone("a_child_killed_by_others_is_a_crash", || {
        let artifact = artifact(code::RETURN, 1, 1);
        let mut session = Session::start(&artifact, &SessionOptions::default()).unwrap();
        let status = Command::new("kill").args(["-9", &children()[0].id]).status().unwrap();
        assert!(status.success());
        let failure = session.run(1).unwrap_err();
        assert_eq!(failure.to_string(), "the candidate crashed: SIGKILL");
        assert_eq!((failure.blames_candidate(), failure.reason()), (false, "killed"));
        drop(session);
        assert!(children().is_empty());
    });
}

#[test]
fn a_server_that_was_ended_or_stopped_is_replaced() {
    run_alone("a_server_that_was_ended_or_stopped_is_replaced", || {
        let options =
            SessionOptions { start_limit: Duration::from_millis(300), ..SessionOptions::default() };
        let start = || Session::start(&artifact(code::ADD, 16, 2), &options);
        drop(start().unwrap());
        for signal in ["-9", "-STOP"] {
            let server = all_children().into_iter().find(|child| is_server(&child.id)).unwrap();
            assert!(Command::new("kill").args([signal, &server.id]).status().unwrap().success());
            let mut session = start().unwrap();
            session.run(3).unwrap();
        }
    });
}

/// A parent that waits to be killed.
#[expect(clippy::print_stdout, reason = "the test that started this process reads it")]
fn wait_for_the_end() {
    let options = SessionOptions { deadline: Duration::from_secs(60), ..SessionOptions::default() };
    let mut session = Session::start(&artifact(code::ENDLESS, 1, 1), &options).unwrap();
    println!("child {} .", children()[0].id);
    assert!(session.run(1).is_err(), "the endless loop has an end");
}

#[test]
fn a_child_dies_with_its_parent() {
    if std::env::var_os(VARIABLE).is_some() {
        return wait_for_the_end();
    }
    let mut parent = alone("a_child_dies_with_its_parent").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let id = lines
        .find_map(|line| Some(line.unwrap().split("child ").nth(1)?.split(' ').next()?.to_string()))
        .unwrap();
    let stat = format!("/proc/{id}/stat");
    assert!(fs::exists(&stat).unwrap());
    parent.kill().unwrap();
    parent.wait().unwrap();
    let is_gone = || {
        std::thread::sleep(Duration::from_millis(10));
        // An orphan that nobody reaps stays as a zombie.
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    };
    assert!((0..500).any(|_| is_gone()), "child {id} lives");
}
