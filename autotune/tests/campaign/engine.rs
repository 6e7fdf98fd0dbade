//! What the engine decides, and what goes into a log from outside.

use crate::fake::{
    FakeQueue, NOW, Points, began, decisions, drive, log, outcomes, schedule, uninterrupted,
};
use std::sync::atomic::{AtomicBool, Ordering};
use tilewright_autotune::campaign::{DIVERGED, HELD, Ledger, Summary};
use tilewright_autotune::protocol::{CampaignEvent, Next, Steered, Suggestion};
use tilewright_autotune::store::{NewEvent, Store};

fn add(store: &mut Store, campaign: &str, event: CampaignEvent) {
    let tail = store.tail(campaign).unwrap().expect("the campaign has begun");
    let event = NewEvent::from(event);
    assert!(store.append(campaign, &tail, NOW, vec![event]).unwrap().is_some());
}

fn summary(log: &[CampaignEvent]) -> Summary {
    let mut summary = Summary::default();
    log.iter().for_each(|event| summary.see(event));
    summary
}

#[test]
fn kernels_get_their_shares_and_the_best_are_confirmed() {
    let log = uninterrupted(&began("shares", 1, 90));
    let summary = summary(&log);
    assert_eq!((summary.evaluated, summary.phase.as_str()), (90, "ended"));
    assert_eq!([summary.jobs[0].evaluated, summary.jobs[1].evaluated], [30, 60]);
    assert!(summary.jobs.iter().all(|job| job.confirmed.is_some()));
    let rejected = outcomes(&log).iter().filter(|one| one.reason.is_some()).count() as u64;
    let counted: u64 = summary.jobs.iter().flat_map(|job| job.rejected.values()).sum();
    assert_eq!(counted, rejected);
    assert!(rejected > 0);
    // The seed of the first kernel lies near its best point and goes first after the default.
    assert_eq!(
        summary.jobs[0].best.expect("there is one").median_ns,
        summary.jobs[0].confirmed.as_ref().and_then(|c| c.time_ns).expect("timed").median
    );
}

#[test]
fn a_log_that_decides_otherwise_is_refused() {
    let log = uninterrupted(&began("other", 2, 40));
    let replay = |log: &[CampaignEvent]| {
        let mut ledger = Ledger::new(vec![Points, Points]);
        log.iter().try_for_each(|event| ledger.see(event)).map(|()| ledger)
    };
    let ledger = replay(&log).expect("a log follows from itself");
    assert!(ledger.state().is_ended() && ledger.work().is_empty());
    for (place, event) in log.iter().enumerate() {
        let mut changed = log.clone();
        match (&mut changed[place], event) {
            (CampaignEvent::Proposed(proposed), _) => proposed.schedule = schedule([1, 2]).print(),
            (CampaignEvent::Decided(decided), _) => decided.evaluated += 1,
            // Another time of the best, and what follows from it is another decision.
            (CampaignEvent::Finished(finished), _) => {
                let Some(time) = &mut finished.time_ns else { continue };
                time.median /= 1e3;
            }
            _ => continue,
        }
        let fault = replay(&changed).expect_err("the log was changed");
        assert_eq!(fault.code, DIVERGED);
    }
}

#[test]
fn a_campaign_is_stopped_steered_and_goes_on() {
    let mut store = Store::in_memory().unwrap();
    let (began, stop) = (began("steered", 3, 60), AtomicBool::new(false));
    let campaign = began.spec.id();
    let mut queue = FakeQueue::default();
    let mut seen = 0;
    let ended = drive(&mut store, &began, &mut queue, &stop, &mut |_| {
        seen += 1;
        stop.store(seen >= 30, Ordering::Relaxed);
    });
    assert!(!ended.unwrap());
    let wish = schedule([11; 24]);
    let propose = vec![Suggestion { job: 1, schedule: wish.print() }];
    let steered = Steered { evaluations: Some(120), propose, ..Steered::default() };
    add(&mut store, &campaign, CampaignEvent::Steered(steered));
    add(&mut store, &campaign, CampaignEvent::Stopped);
    let drive = |store: &mut Store, queue: &mut FakeQueue| {
        let go = AtomicBool::new(false);
        drive(store, &began, queue, &go, &mut |_| {}).unwrap()
    };
    assert!(drive(&mut store, &mut queue), "what `stop` asked for ends with the next run");
    let first = log(&store, &campaign);
    let summary = summary(&first);
    assert_eq!(summary.evaluated, 120);
    assert_eq!(summary.jobs[1].best_schedule.as_deref(), Some(wish.print().as_str()));
    // What has ended stays so, until its budget grows.
    assert!(drive(&mut store, &mut queue));
    assert_eq!(log(&store, &campaign).len(), first.len());
    let more = Steered { evaluations: Some(126), ..Steered::default() };
    add(&mut store, &campaign, CampaignEvent::Steered(more));
    assert!(drive(&mut store, &mut queue));
    let second = log(&store, &campaign);
    assert_eq!(outcomes(&second).len(), 126);
    let is_confirmed = |event: &&CampaignEvent| matches!(event, CampaignEvent::Decided(decided) if matches!(decided.next, Next::Confirm { .. }));
    assert_eq!(second[first.len()..].iter().filter(is_confirmed).count(), 1);
    assert_eq!(queue.done, 126 + 3, "each evaluation and each of the finals was done once");
}

/// A pause is meant for the process that runs, though that is still reading what was before it.
#[test]
fn a_pause_is_heard_while_the_log_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path).unwrap();
    let (began, stop) = (began("paused", 6, 60), AtomicBool::new(false));
    let campaign = began.spec.id();
    let mut queue = FakeQueue::default();
    let first = drive(&mut store, &began, &mut queue, &stop, &mut |event| {
        stop.store(event.sequence >= 30, Ordering::Relaxed);
    });
    assert!(!first.unwrap());
    stop.store(false, Ordering::Relaxed);
    let before = log(&store, &campaign).len();
    let second = drive(&mut store, &began, &mut queue, &stop, &mut |event| {
        if event.sequence == 5 {
            add(&mut Store::open(&path).unwrap(), &campaign, CampaignEvent::Stopped);
        }
    });
    assert!(!second.unwrap(), "it goes on though somebody asked for a pause");
    assert_eq!(log(&store, &campaign).len(), before + 1);
    assert!(drive(&mut store, &began, &mut queue, &stop, &mut |_| {}).unwrap());
}

#[test]
fn two_processes_cannot_drive_one_campaign() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path).unwrap();
    let (began, stop) = (began("held", 4, 30), AtomicBool::new(false));
    let mut codes = vec![];
    let ended = drive(&mut store, &began, &mut FakeQueue::default(), &stop, &mut |event| {
        if event.sequence == 10 {
            let mut other = Store::open(&path).unwrap();
            let fault = drive(&mut other, &began, &mut FakeQueue::default(), &stop, &mut |_| {});
            codes.push(fault.unwrap_err().code);
        }
    });
    assert!(ended.unwrap());
    assert_eq!(codes, [HELD]);
    assert_eq!(decisions(&log(&store, &began.spec.id())), decisions(&uninterrupted(&began)));
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".lock")
            })
            .count(),
        0
    );
}
