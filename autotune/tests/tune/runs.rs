//! Whole runs: they end, count what they rejected, believe only what passed, and record everything.

use crate::code;
use crate::fake::{Fake, graph};
use std::sync::atomic::{AtomicBool, Ordering};
use tilewright_autotune::protocol::{Event, RecordRow, Role, Status};
use tilewright_autotune::store::{Store, Task};
use tilewright_autotune::tune::{TuneOptions, TuneReport, tune};
use tilewright_ir::plan;

const EVALUATIONS: u64 = 30;

fn options() -> TuneOptions {
    TuneOptions {
        budget_seconds: 60.0,
        budget_evaluations: Some(EVALUATIONS),
        seed: 7,
        threads: 1,
        batch: 5,
        started_unix: 1_800_000_000,
        ..TuneOptions::default()
    }
}

fn run(backend: &Fake, options: &TuneOptions, store: &mut Store) -> (TuneReport, Vec<Event>) {
    let mut events = vec![];
    let mut observe = |event: &Event| events.push(event.clone());
    let stop = AtomicBool::new(false);
    let report = tune(backend, &graph(), options, store, &mut observe, &stop)
        .expect("the machine starts processes");
    (report, events)
}

/// Half of the candidates are sabotage; call 0 is the baseline and call 1 the default schedule.
fn half_sabotage(call: usize) -> Option<Vec<u8>> {
    let honest = |turns: usize| {
        let mut image = code::delayed(u32::try_from(turns).expect("a small count"), code::ADD);
        // What follows the return is never run; it makes each image another.
        image.extend(call.to_le_bytes());
        image
    };
    Some(match call % 10 {
        _ if call == 0 => honest(400_000),
        2 => return None,
        3 => code::delayed(call as u32, code::SUBTRACT),
        4 => code::delayed(call as u32, code::ILLEGAL),
        5 if call < 10 => code::ENDLESS.to_vec(),
        6 => code::delayed(call as u32, &code::add_at_first(12)),
        7 => code::ADD.to_vec(),
        _ => honest(20_000 + 1000 * (EVALUATIONS as usize - call)),
    })
}

#[test]
fn sabotage_costs_one_record_each_and_never_wins() {
    let mut store = Store::in_memory().unwrap();
    let backend = Fake::new(half_sabotage);
    let (report, events) = run(&backend, &options(), &mut store);
    assert_eq!(report.evaluated, EVALUATIONS);
    let count = |reason: &str| report.rejected.get(reason).copied().unwrap_or(0);
    assert_eq!(count("compile"), 3, "{:?}", report.rejected);
    assert!(count("wrong") >= 3, "{:?}", report.rejected);
    assert_eq!(count("crash"), 3, "{:?}", report.rejected);
    // What forgets to work after twelve calls shows at once or later, or is called slow before that.
    let told = count("nondeterministic") + count("wrong") + count("slow");
    assert!(told >= 6, "{:?}", report.rejected);
    assert_eq!(count("duplicate"), 2, "{:?}", report.rejected);
    assert!(count("timeout") >= 1, "{:?}", report.rejected);

    let best = report.best.as_ref().expect("half of the candidates are honest");
    assert!(best.worst_ratio <= 1.0);
    assert!(best.time_ns.lo <= best.time_ns.median && best.time_ns.median <= best.time_ns.hi);
    // Plain ADD of all elements beats every delayed one by far.
    assert!(report.speedup().unwrap() > 5.0, "{:?}", report.speedup());
    assert_eq!(report.flops, 3960.0);

    let Some(Event::Result(result)) = events.last() else { panic!("the last event is the result") };
    assert_eq!(*result, report.result());
    let candidates = events.iter().filter_map(|event| match event {
        Event::Candidate(candidate) if candidate.role == Role::Search => candidate.index,
        _ => None,
    });
    assert_eq!(candidates.collect::<Vec<_>>(), (0..EVALUATIONS).collect::<Vec<_>>());
    for event in &events {
        assert_eq!(serde_json::from_str::<Event>(&event.to_line()).unwrap(), *event);
    }
}

#[test]
fn what_is_right_in_one_layout_alone_never_wins() {
    // The second candidate of the search is the fastest, and wrong where an array is aligned to its elements only.
    let backend = Fake::new(|call| {
        let slow = code::delayed(20_000 + call as u32, code::ADD);
        Some(if call == 2 { code::add_where_aligned() } else { slow })
    });
    let mut store = Store::in_memory().unwrap();
    let (report, _) = run(&backend, &options(), &mut store);
    let rows = store.list(None).unwrap();
    let refused = rows.iter().find(|row| row.role == Role::Winner && row.reason.is_some());
    let refused = refused.expect("it is judged in other layouts before it is shown");
    assert_eq!((refused.reason.as_deref(), refused.tier), (Some("wrong"), Some(1)));
    let evidence = refused.evidence.as_deref().unwrap();
    assert!(evidence.contains("in the right layout"), "{evidence}");
    let winner = store.find(report.record.as_deref().unwrap()).unwrap().unwrap();
    assert!(winner.schedule_hash != refused.schedule_hash && winner.tier == Some(2));
}

#[test]
fn everything_is_recorded_and_the_next_run_starts_from_it() {
    let mut store = Store::in_memory().unwrap();
    let backend = Fake::new(half_sabotage);
    let (report, events) = run(&backend, &options(), &mut store);
    let told = events.iter().filter(|event| matches!(event, Event::Candidate(_))).count();
    let rows = store.list(None).unwrap();
    assert_eq!(rows.len(), told);
    assert!(rows.iter().all(|row| (row.status == Status::Accepted) == row.time_ns.is_some()));
    let record = report.record.as_deref().unwrap();
    let winner = store.find(record).unwrap().unwrap();
    assert_eq!(winner.role, Role::Winner);
    assert!(!winner.samples_ns.is_empty() && winner.seed.is_some());
    assert!(winner.created >= options().started_unix);
    // The winner alone has been judged in every layout; what ran and was refused may have passed the first tier.
    let tier = |row: &RecordRow| row.tier.filter(|_| row.status == Status::Accepted);
    assert_eq!(tier(&winner), Some(2));
    let others = rows.iter().filter(|row| row.record != winner.record);
    assert!(others.filter_map(tier).all(|tier| tier == 1));

    let graph = graph();
    let task = Task::of(&graph, &plan::build(&graph), &backend);
    let best = store.best(&task).unwrap().unwrap();
    assert_eq!(Some(best.schedule.clone()), report.best.map(|best| best.schedule.print()));

    // The default schedule first, then what the store knows.
    let honest = Fake::new(|call| Some(code::delayed(call as u32 + 1, code::ADD)));
    let few = TuneOptions { budget_evaluations: Some(2), ..options() };
    let (_, events) = run(&honest, &few, &mut store);
    let tried: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Candidate(candidate) if candidate.role == Role::Search => {
                Some(candidate.schedule.as_str())
            }
            _ => None,
        })
        .collect();
    assert!(tried.contains(&best.schedule_hash.as_str()), "{tried:?}");
}

#[test]
fn a_back_end_that_compiles_nothing_gives_a_report_without_a_winner() {
    let mut store = Store::in_memory().unwrap();
    let (report, events) = run(&Fake::new(|_| None), &options(), &mut store);
    assert_eq!((report.best.clone(), report.naive.clone()), (None, None));
    assert_eq!(report.rejected.get("compile"), Some(&EVALUATIONS));
    assert_eq!(report.record, None);
    let unsupported = report.unsupported.expect("the back end has said why");
    assert_eq!(unsupported.to_string(), "unsupported: this in add");
    assert!(events.last().unwrap().to_line().contains(r#""best":null"#));
}

#[test]
fn a_run_of_what_no_back_end_compiles_ends_early() {
    let mut store = Store::in_memory().unwrap();
    let endless = TuneOptions { budget_evaluations: None, ..options() };
    let (report, _) = run(&Fake::new(|_| None), &endless, &mut store);
    assert!(report.unsupported.is_some());
    assert!((30..60).contains(&report.evaluated), "{}", report.evaluated);
    assert!(report.elapsed_seconds < 20.0, "{} s", report.elapsed_seconds);
    // One that compiles anything is searched to the end.
    let few = TuneOptions { budget_evaluations: Some(45), ..options() };
    let backend = Fake::new(|call| (call == 1).then(|| code::ADD.to_vec()));
    let (report, _) = run(&backend, &few, &mut store);
    assert_eq!((report.unsupported, report.evaluated), (None, 45));
}

#[test]
fn a_stopped_run_reports_what_it_has() {
    let mut store = Store::in_memory().unwrap();
    let backend = Fake::new(|call| Some(code::delayed(10 * call as u32 + 1, code::ADD)));
    let stop = AtomicBool::new(false);
    let mut seen = 0;
    let mut observe = |event: &Event| {
        seen += u32::from(matches!(event, Event::Candidate(_)));
        stop.store(seen >= 4, Ordering::Relaxed);
    };
    let report = tune(&backend, &graph(), &options(), &mut store, &mut observe, &stop).unwrap();
    assert!(report.stopped);
    assert_eq!(report.evaluated, 3, "the baseline is no candidate");
    assert!(report.best.is_some());

    let stop = AtomicBool::new(true);
    let report = tune(&backend, &graph(), &options(), &mut store, &mut |_| {}, &stop).unwrap();
    assert_eq!((report.evaluated, report.best), (0, None));
}

#[test]
fn the_time_budget_holds_for_everything() {
    let mut store = Store::in_memory().unwrap();
    let backend = Fake::new(|call| Some(code::delayed(20_000 + call as u32, code::ADD)));
    let short = TuneOptions { budget_seconds: 3.0, budget_evaluations: None, ..options() };
    let (report, _) = run(&backend, &short, &mut store);
    assert!(report.evaluated > 0 && report.best.is_some());
    // A finalist takes at least three samples whatever the time, and other tests share the machine.
    assert!(report.elapsed_seconds < 4.5, "{} s", report.elapsed_seconds);
}

#[test]
fn an_absurd_number_of_threads_is_refused() {
    let mut store = Store::in_memory().unwrap();
    let backend = Fake::new(|_| None);
    let absurd = TuneOptions { threads: 1_000_000, ..options() };
    let stop = AtomicBool::new(false);
    let error = tune(&backend, &graph(), &absurd, &mut store, &mut |_| {}, &stop).unwrap_err();
    assert_eq!(error.code, "TW0812");
}
