//! The winner of an earlier run: measured again in turns with the best of this one, and never replaced by a slower one.

use crate::fake::{Fake, graph};
use std::sync::atomic::{AtomicBool, Ordering};
use tilewright_autotune::protocol::{Event, RecordRow, Role, TimeNs};
use tilewright_autotune::store::{NewRecord, Store, Task};
use tilewright_autotune::tune::{TuneOptions, TuneReport, tune};
use tilewright_ir::backend::Backend;
use tilewright_ir::plan;
use tilewright_ir::schedule::{ChoiceValue, Schedule, Setting, Space};

const CHOICE: &str = "out.unroll";

/// The default of the choice, 4, is the fastest by far; 8 is the next.
fn turns(value: &str) -> u32 {
    match value {
        "4" => 20_000,
        "8" => 60_000,
        _ => 200_000,
    }
}

fn backend() -> Fake {
    Fake::by_choice(CHOICE, turns)
}

fn options(fixed: Option<u64>) -> TuneOptions {
    let setting = |value| Setting { name: CHOICE.to_string(), value: ChoiceValue::Count(value) };
    TuneOptions {
        fixed: fixed.map(setting).into_iter().collect(),
        budget_seconds: 60.0,
        budget_evaluations: Some(4),
        threads: 1,
        batch: 4,
        started_unix: 1_800_000_000,
        ..TuneOptions::default()
    }
}

fn run(options: &TuneOptions, store: &mut Store) -> TuneReport {
    let stop = AtomicBool::new(false);
    tune(&backend(), &graph(), options, store, &mut |_| {}, &stop).expect("the machine can run")
}

fn task() -> Task {
    let graph = graph();
    Task::of(&graph, &plan::build(&graph), &backend())
}

fn stored(store: &Store) -> RecordRow {
    store.best(&task()).expect("the store is sound").expect("a winner is stored")
}

/// The default schedule with another value of the choice.
fn schedule(value: u64) -> Schedule {
    let mut space = Space::new(&plan::build(&graph()), backend().target());
    space.fix(&options(Some(value)).fixed).expect("the value is legal");
    space.default_schedule()
}

fn row(role: Role, value: u64, median: f64) -> NewRecord {
    NewRecord {
        time_ns: Some(TimeNs { median, lo: median, hi: median }),
        worst_ratio: Some(0.5),
        ..NewRecord::new(role, &schedule(value), 1_700_000_000)
    }
}

#[test]
fn a_run_with_a_fixed_choice_does_not_replace_a_faster_winner() {
    let mut store = Store::in_memory().unwrap();
    let first = run(&options(None), &mut store);
    assert!(first.standing.is_none());
    assert_eq!(Some(stored(&store).record), first.record);

    let second = run(&options(Some(8)), &mut store);
    let best = second.best.as_ref().unwrap();
    assert!(best.schedule.print().contains("out.unroll = 8"), "{}", best.schedule.print());
    let standing = second.standing.as_ref().expect("the stored winner is faster");
    assert_eq!(Some(&standing.record), first.record.as_ref());
    assert!(standing.time_ns.median < best.time_ns.median);
    assert_eq!(Some(stored(&store).record), first.record, "the stored winner stays");
    assert_eq!(second.result().stays.unwrap().record, standing.record);
    // What was found is stored all the same.
    assert!(store.find(second.record.as_deref().unwrap()).unwrap().is_some());
}

#[test]
fn an_accepted_schedule_of_a_killed_run_is_not_replaced_by_a_slower_one() {
    let mut store = Store::in_memory().unwrap();
    store.record(&task(), &row(Role::Search, 4, 1e4)).unwrap();
    let report = run(&options(Some(8)), &mut store);
    assert!(report.standing.is_some());
    assert_eq!(stored(&store).schedule, schedule(4).print());
}

#[test]
fn a_stored_time_that_was_lucky_does_not_keep_the_winner() {
    let mut store = Store::in_memory().unwrap();
    store.record(&task(), &row(Role::Winner, 1, 1.0)).unwrap();
    let report = run(&options(Some(8)), &mut store);
    assert!(report.standing.is_none(), "{:?}", report.standing);
    assert_eq!(Some(stored(&store).record), report.record);
}

#[test]
fn an_interrupted_run_asks_the_stored_winner_too() {
    let mut store = Store::in_memory().unwrap();
    store.record(&task(), &row(Role::Winner, 4, 1e9)).unwrap();
    let stop = AtomicBool::new(false);
    let mut observe = |event: &Event| {
        if matches!(event, Event::Candidate(_)) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let report =
        tune(&backend(), &graph(), &options(Some(8)), &mut store, &mut observe, &stop).unwrap();
    assert!(report.stopped);
    assert_eq!(stored(&store).schedule, schedule(4).print());
}

#[test]
fn the_winner_of_a_search_is_told_once() {
    let mut store = Store::in_memory().unwrap();
    let mut winners = 0;
    let mut observe = |event: &Event| {
        winners += u32::from(
            matches!(event, Event::Candidate(candidate) if candidate.role == Role::Winner),
        );
    };
    let stop = AtomicBool::new(false);
    tune(&backend(), &graph(), &options(None), &mut store, &mut observe, &stop).unwrap();
    assert_eq!(winners, 1);
}
