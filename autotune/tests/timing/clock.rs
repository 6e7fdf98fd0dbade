//! The clock through real sessions: more work takes more time, and failures come through.

use crate::code::{self, artifact};
use crate::{alone, work};
use std::time::Duration;
use tilewright_autotune::clock::{MeasureOptions, interleave, measure};
use tilewright_autotune::launch::{Session, SessionOptions};

/// Attempts at a measurement that a busy machine may spoil.
const ATTEMPTS: usize = 10;

fn options() -> MeasureOptions {
    MeasureOptions { samples: 9, ..MeasureOptions::default() }
}

fn working(iterations: u64, threads: usize) -> Session {
    let options = SessionOptions { threads, slots: 2, ..SessionOptions::default() };
    Session::start(&artifact(work::TURNS, iterations, threads as u64), &options).unwrap()
}

/// Whether something holds once in a few attempts: a neighbour on the machine spoils one, and a clock that does not work
/// fails all of them.
fn once(attempt: impl FnMut() -> bool) -> bool {
    std::iter::repeat_with(attempt).take(ATTEMPTS).any(|holds| holds)
}

#[test]
fn more_work_takes_more_time() {
    let _machine = alone();
    let mut sessions = [working(10, 1), working(1000, 1)];
    let mut seen = vec![];
    let about_a_hundred_times = || {
        let results = interleave(&mut sessions, 15, &options());
        let [small, large] = [0, 1].map(|index| {
            let measurement = results[index].as_ref().unwrap();
            // Fewer where the budget ends first.
            assert!((1..=15).contains(&measurement.samples_ns.len()));
            let (lo, median, hi) = (measurement.lo, measurement.median, measurement.hi);
            assert!(0.0 < lo && lo <= median && median <= hi, "{lo} {median} {hi}");
            (lo, hi)
        });
        seen.push((small, large));
        // A busy machine widens the intervals; they have to tell the two apart and to allow about the right ratio.
        large.0 > 5.0 * small.1 && large.1 > 50.0 * small.0 && large.0 < 200.0 * small.1
    };
    assert!(once(about_a_hundred_times), "it is a hundred times the work: {seen:?}");
}

#[test]
fn a_call_is_not_charged_for_the_doorbell() {
    let _machine = alone();
    // A doorbell and its answer take a microsecond and more; an empty call takes a few nanoseconds.
    let artifact = artifact(code::RETURN, 1, 1);
    let mut session = Session::start(&artifact, &SessionOptions::default()).unwrap();
    let is_short = || measure(&mut session, &options()).unwrap().median < 200.0;
    assert!(once(is_short), "an empty call takes longer than 200 ns");
}

#[test]
fn interleaved_sessions_keep_their_order_and_their_failures() {
    let _machine = alone();
    let hostile = Session::start(
        &artifact(code::ENDLESS, 1, 1),
        &SessionOptions { deadline: Duration::from_millis(20), ..SessionOptions::default() },
    );
    let mut sessions = [working(1000, 1), hostile.unwrap(), working(10, 1), working(1000, 2)];
    let results = interleave(&mut sessions, 5, &options());
    let reason = |index: usize| results[index].as_ref().map_err(|failure| failure.reason());
    assert_eq!(reason(1).unwrap_err(), "timeout");
    let (large, small) = (reason(0).unwrap(), reason(2).unwrap());
    for measurement in [large, small, reason(3).unwrap()] {
        assert!((1..=5).contains(&measurement.samples_ns.len()));
    }
    // The sessions before and after the failed one are still told apart.
    let in_order = || {
        let results = interleave(&mut sessions, 5, &options());
        let median = |index: usize| results[index].as_ref().map_or(0.0, |found| found.median);
        median(0) > 10.0 * median(2)
    };
    assert!(once(in_order), "{} and {}", large.median, small.median);
}
