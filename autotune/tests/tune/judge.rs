//! What the judge says to each piece of code.

use crate::code;
use crate::fake::{artifact, graph};
use std::time::Duration;
use tilewright_autotune::judge::{Judge, Passed, Rejection};
use tilewright_autotune::launch::{Session, SessionOptions};
use tilewright_ir::reference::Family;

const SEED: u64 = 20_260_101;

/// Checks, runs as the clock would, and checks again.
fn verdict(code: &[u8], slots: usize) -> Result<Passed, Rejection> {
    let graph = graph();
    let mut judge = Judge::new(&graph, SEED);
    let deadline = Duration::from_millis(200);
    let options = SessionOptions { slots, deadline, ..SessionOptions::default() };
    let mut session = Session::start(&artifact(code), &options)?;
    let passed = judge.check(&mut session)?;
    judge.poison(&mut session)?;
    session.run(50)?;
    judge.unchanged(&mut session, &passed)?;
    Ok(passed)
}

fn reason(code: &[u8]) -> &'static str {
    let one = verdict(code, 1).expect_err("sabotage").reason;
    let two = verdict(code, 2).expect_err("sabotage").reason;
    assert_eq!(one, two, "the number of slots makes no difference");
    one
}

#[test]
fn an_honest_kernel_passes_with_its_evidence() {
    for slots in 1..=3 {
        let passed = verdict(code::ADD, slots).unwrap();
        assert!((0.0..=1.0).contains(&passed.worst_ratio), "{}", passed.worst_ratio);
        assert!(passed.seed < 1 << 53);
        assert!(passed.call_ns_min() > 0.0 && passed.call_ns_min() < 1e9);
    }
}

#[test]
fn sabotage_is_told_apart() {
    assert_eq!(reason(code::SUBTRACT), "wrong");
    assert_eq!(reason(code::RETURN), "wrong");
    assert_eq!(reason(code::ADD_BUT_ONE), "wrong");
    // A check makes fewer calls than that.
    assert_eq!(reason(&code::add_at_first(40)), "nondeterministic");
    assert_eq!(reason(code::ILLEGAL), "crash");
    assert_eq!(reason(code::STORE_INPUT), "crash");
    assert_eq!(reason(code::ENDLESS), "timeout");
}

#[test]
fn the_evidence_names_case_element_and_numbers() {
    let evidence = verdict(code::ADD_BUT_ONE, 2).unwrap_err().evidence;
    let (case, rest) = evidence.split_once(": ").unwrap();
    let words: Vec<&str> = case.split(' ').collect();
    assert!(words[0] == "case" && words[2].parse::<u64>().is_ok(), "{evidence}");
    assert!(Family::ALL.iter().any(|family| family.name() == words[1]), "{evidence}");
    assert!(rest.starts_with("1 of 3960 elements of out, the first at [0, 0, 0]"), "{evidence}");
}

#[test]
fn every_check_draws_other_data() {
    let graph = graph();
    let mut judge = Judge::new(&graph, SEED);
    let mut session = Session::start(&artifact(code::ADD), &SessionOptions::default()).unwrap();
    let first = judge.check(&mut session).unwrap();
    let second = judge.check(&mut session).unwrap();
    assert_ne!(first.seed, second.seed);
}
