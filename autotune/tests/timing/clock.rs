//! The clock through real sessions: more work takes more time, and failures come through.

use crate::code::{self, artifact};
use crate::{alone, work};
use std::time::Duration;
use tilewright_autotune::clock::{MeasureOptions, interleave, measure};
use tilewright_autotune::launch::{Session, SessionOptions};

fn options() -> MeasureOptions {
    MeasureOptions { samples: 9, ..MeasureOptions::default() }
}

fn working(iterations: u64, threads: usize) -> Session {
    let options = SessionOptions { threads, slots: 2, ..SessionOptions::default() };
    Session::start(&artifact(work::TURNS, iterations, threads as u64), &options).unwrap()
}

#[test]
fn more_work_takes_more_time() {
    let _machine = alone();
    let mut sessions = [working(10, 1), working(1000, 1)];
    let results = interleave(&mut sessions, 15, &options());
    let [small, large] = [0, 1].map(|index| {
        let measurement = results[index].as_ref().unwrap();
        assert_eq!(measurement.samples_ns.len(), 15);
        let (lo, median, hi) = (measurement.lo, measurement.median, measurement.hi);
        assert!(0.0 < lo && lo <= median && median <= hi, "{lo} {median} {hi}");
        measurement
    });
    // It is a hundred times the work. A busy machine widens the intervals; they still have to tell the two apart
    // and to allow about the right ratio.
    assert!(large.lo > 5.0 * small.hi, "{small:?}, then {large:?}");
    assert!(large.hi > 50.0 * small.lo && large.lo < 200.0 * small.hi, "{small:?}, then {large:?}");
}

#[test]
fn a_call_is_not_charged_for_the_doorbell() {
    let _machine = alone();
    // A doorbell and its answer take a microsecond and more; an empty call takes a few nanoseconds.
    let artifact = artifact(code::RETURN, 1, 1);
    let mut session = Session::start(&artifact, &SessionOptions::default()).unwrap();
    let measurement = measure(&mut session, &options()).unwrap();
    assert!(measurement.median < 200.0, "{} ns", measurement.median);
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
    assert_eq!((large.samples_ns.len(), small.samples_ns.len()), (5, 5));
    assert!(large.median > 10.0 * small.median);
    assert_eq!(reason(3).unwrap().samples_ns.len(), 5);
}
