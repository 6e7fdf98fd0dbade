//! Stores that are joined, and what a check finds in one that was changed.

use crate::fake::{FakeQueue, NOW, began, drive, log};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tilewright_autotune::protocol::{Began, CampaignEvent, Noted};
use tilewright_autotune::store::{DAMAGED, NewEvent, Store, Tail};

fn driven(store: &mut Store, began: &Began) {
    let (mut queue, stop) = (FakeQueue::default(), AtomicBool::new(false));
    assert!(drive(store, began, &mut queue, &stop, &mut |_| {}).unwrap());
}

fn noted(store: &mut Store, campaign: &str, text: &str) {
    let tail = store.tail(campaign).unwrap().unwrap();
    let event = CampaignEvent::Noted(Noted { text: text.to_string() });
    assert!(store.append(campaign, &tail, NOW, vec![NewEvent::from(event)]).unwrap().is_some());
}

fn records(store: &Store) -> BTreeSet<String> {
    store.list(None).unwrap().into_iter().map(|row| row.record).collect()
}

fn lines(store: &Store) -> String {
    let mut bytes = vec![];
    store.export(&mut bytes).unwrap();
    let mut text = String::from_utf8(bytes).unwrap();
    for campaign in store.campaigns().unwrap() {
        let start = Tail::start(&campaign.id);
        let visited = store.events_after(&campaign.id, &start, &mut |event| {
            text.push_str(&event.to_line());
            text.push('\n');
            Ok(())
        });
        visited.unwrap();
    }
    text
}

#[test]
fn two_stores_become_the_union_of_both() {
    let (mut one, mut other) = (Store::in_memory().unwrap(), Store::in_memory().unwrap());
    let (shared, alone) = (began("shared", 1, 24), began("alone", 2, 18));
    driven(&mut one, &shared);
    // The other store has the same campaign, one event further, and another one.
    let both = one.merge(&other).unwrap();
    assert_eq!((both.records, both.events), (0, 0));
    assert!(other.merge(&one).unwrap().events > 0);
    noted(&mut other, &shared.spec.id(), "later");
    driven(&mut other, &alone);
    let known: BTreeSet<String> = records(&one);
    let joined = one.merge(&other).unwrap();
    assert_eq!(joined.records as usize, records(&other).difference(&known).count());
    assert!(joined.records > 0);
    assert_eq!(records(&one), records(&other));
    assert_eq!(joined.events as usize, 1 + log(&other, &alone.spec.id()).len());
    assert!(joined.forks.is_empty());
    assert_eq!(one.verify().unwrap(), other.verify().unwrap());
    for began in [&shared, &alone] {
        assert_eq!(log(&one, &began.spec.id()), log(&other, &began.spec.id()));
    }
    let again = one.merge(&other).unwrap();
    assert_eq!((again.records, again.events), (0, 0));
    // What both have continued differently stays as it is here.
    noted(&mut one, &shared.spec.id(), "here");
    noted(&mut other, &shared.spec.id(), "there");
    noted(&mut other, &shared.spec.id(), "and there");
    noted(&mut other, &shared.spec.id(), "and there");
    let forked = one.merge(&other).unwrap();
    assert_eq!(forked.events, 0);
    assert!(forked.forks.contains(&shared.spec.id()));
    one.verify().unwrap();
}

#[test]
fn lines_go_out_and_in() {
    let mut store = Store::in_memory().unwrap();
    let began = began("lines", 3, 24);
    driven(&mut store, &began);
    let text = lines(&store);
    let mut copy = Store::in_memory().unwrap();
    let name = Path::new("some.ndjson");
    let joined = copy.import(name, &mut Cursor::new(&text)).unwrap();
    assert_eq!(joined.records, 24);
    assert_eq!(lines(&copy), text);
    // A digit of a time, of a hash, of a text: each line tells that it was changed, and nothing is taken.
    for (from, to) in [
        ("\"median\":1", "\"median\":2"),
        ("choice3 = ", "choice3 = 1"),
        ("\"seed\":7", "\"seed\":8"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let mut empty = Store::in_memory().unwrap();
        let fault = empty.import(name, &mut Cursor::new(&changed)).unwrap_err();
        assert_eq!(fault.code, DAMAGED, "{from}");
        assert_eq!(empty.verify().unwrap().records, 0);
    }
}

#[test]
fn what_was_changed_behind_the_back_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for (place, change) in [
        "UPDATE results SET median_ns = median_ns / 2 WHERE id = 3",
        "UPDATE results SET seed = 8 WHERE id = 3",
        "DELETE FROM results WHERE id = 3",
        "UPDATE events SET data = replace(data, '\"index\":1', '\"index\":2') WHERE sequence = 4",
        "DELETE FROM events WHERE sequence = 5",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{place}.sqlite"));
        let mut store = Store::open(&path).unwrap();
        driven(&mut store, &began("changed", 4, 12));
        store.verify().unwrap();
        drop(store);
        rusqlite::Connection::open(&path).unwrap().execute(change, []).unwrap();
        let fault = Store::open(&path).unwrap().verify().expect_err(change);
        assert_eq!(fault.code, DAMAGED, "{change}");
    }
}

#[test]
fn a_winner_in_quarantine_makes_room_for_the_next() {
    let mut store = Store::in_memory().unwrap();
    driven(&mut store, &began("quarantine", 5, 30));
    let task = crate::fake::task(0);
    let first = store.best(&task).unwrap().unwrap();
    let added = store.quarantine(&first, "it was wrong in production", NOW).unwrap();
    let second = store.best(&task).unwrap().unwrap();
    assert_ne!(second.schedule_hash, first.schedule_hash);
    let row = store.find(&added).unwrap().unwrap();
    assert_eq!(row.evidence.as_deref(), Some("it was wrong in production"));
    assert!(store.find(&first.record).unwrap().is_some(), "nothing is deleted");
}
