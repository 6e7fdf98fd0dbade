//! Code that breaks its contract ends as a failure with its evidence, and the next session is as good as new.

use crate::code::{self, artifact, sized};
use std::time::{Duration, Instant};
use tilewright_autotune::launch::{Failure, Session, SessionOptions};

fn options() -> SessionOptions {
    SessionOptions { deadline: Duration::from_millis(300), ..SessionOptions::default() }
}

/// The failure of code in a session of its own: on the first thread, then on any of two.
#[track_caller]
fn failures(code: &[u8]) -> [Failure; 2] {
    [1, 2].map(|threads| {
        let options = SessionOptions { threads, ..options() };
        let mut session = Session::start(&artifact(code, threads as u64, 2), &options).unwrap();
        let failure = session.run(1).unwrap_err();
        assert_eq!(session.run(1), Err(failure.clone()), "a dead session stays dead");
        assert_eq!(session.outputs(0), Err(failure.clone()));
        assert!(failure.blames_candidate());
        failure
    })
}

#[track_caller]
fn crashes(code: &[u8], signal: i32, words: &[&str]) {
    for failure in failures(code) {
        assert_eq!(failure.reason(), "crash");
        let Failure::Crashed { signal: found, detail } = failure else { unreachable!() };
        assert_eq!(found, signal, "{detail}");
        for word in words {
            assert!(detail.contains(word), "{detail}");
        }
    }
}

#[test]
fn an_illegal_instruction_is_a_crash() {
    crashes(code::ILLEGAL, libc::SIGILL, &["SIGILL", "instruction in the image, at byte 0"]);
}

#[test]
fn an_endless_loop_is_killed() {
    for failure in failures(code::ENDLESS) {
        assert_eq!(failure, Failure::TimedOut { limit: Duration::from_millis(300) });
        assert_eq!(failure.reason(), "timeout");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test compares the deadline with the clock")]
fn the_deadline_counts_from_the_doorbell() {
    let mut session = Session::start(&artifact(code::ENDLESS, 1, 1), &options()).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    session.set_deadline(Duration::from_millis(50));
    let start = Instant::now();
    assert_eq!(session.run(1).unwrap_err().reason(), "timeout");
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_millis(50) && elapsed < Duration::from_secs(5),
        "{elapsed:?}"
    );
}

#[test]
fn a_store_past_the_end_is_a_crash() {
    crashes(
        code::STORE_PAST_END,
        libc::SIGSEGV,
        &["at byte 4", "argument 2 of slot 0, 0 bytes past its end"],
    );
}

#[test]
fn a_store_before_the_page_is_a_crash() {
    crashes(code::STORE_BEFORE_PAGE, libc::SIGSEGV, &["argument 2 of slot 0, 4096 bytes before"]);
}

#[track_caller]
fn strays(code: &[u8], output_bytes: u64, detail: &str) {
    let artifact = sized(code, 1, 1, [64, 64, output_bytes]);
    let mut session = Session::start(&artifact, &options()).unwrap();
    session.outputs(0).unwrap();
    session.run(1).unwrap();
    let failure = session.outputs(0).unwrap_err();
    assert_eq!(failure.reason(), "stray_write");
    assert_eq!(failure, Failure::StrayWrite { argument: 2, detail: detail.to_string() });
}

#[test]
fn stores_beside_an_output_are_seen() {
    strays(code::STORE_BEFORE, 64, "argument 2 of slot 0, 1 bytes before its start");
    strays(code::STORE_IN_TAIL, 40, "argument 2 of slot 0, 0 bytes past its end");
}

#[test]
fn inputs_cannot_be_written() {
    crashes(code::STORE_INPUT, libc::SIGSEGV, &["address in argument 0 of slot 0, at byte 0"]);
    crashes(code::UNPROTECT_INPUT, libc::SIGSYS, &["SIGSYS"]);
}

#[test]
fn code_cannot_be_written_and_data_not_run() {
    crashes(code::WRITE_OWN_CODE, libc::SIGSEGV, &["address in the image"]);
    crashes(code::JUMP_TO_DATA, libc::SIGSEGV, &["instruction in argument 2"]);
}

#[test]
fn a_lost_stack_is_a_crash() {
    crashes(code::SMASH_STACK, libc::SIGSEGV, &["outside"]);
    crashes(code::RECURSE, libc::SIGSEGV, &["instruction in the image"]);
}

#[test]
fn bad_arithmetic_is_a_crash() {
    crashes(code::DIVIDE_BY_ZERO, libc::SIGFPE, &["SIGFPE"]);
}

#[test]
fn system_calls_are_crashes() {
    let probe = Session::start(&artifact(code::RETURN, 1, 1), &options()).unwrap();
    assert!(probe.is_filtered(), "this system has no filters for system calls");
    for call in [code::EXIT, code::FORK, code::SIGNAL_ONE] {
        crashes(call, libc::SIGSYS, &["forbidden system call"]);
    }
}

#[test]
fn the_limit_of_memory_is_checked_before_the_start() {
    let options = SessionOptions { memory_bytes_max: 1 << 20, ..options() };
    let artifact = sized(code::ADD, 1, 1, [64, 64, 1 << 20]);
    let failure = Session::start(&artifact, &options).unwrap_err();
    assert_eq!(failure.reason(), "refused");
    assert!(!failure.blames_candidate());
}
