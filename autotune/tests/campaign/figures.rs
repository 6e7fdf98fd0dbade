//! What a long campaign costs: memory and the size of the store.
//!
//! `TILEWRIGHT_TEST_EVALUATIONS` makes the test longer.

use crate::fake::{FakeQueue, began, drive};
use std::io::Write;
use std::sync::atomic::AtomicBool;
use tilewright_autotune::store::Store;

/// The size of a record and its events, at most.
const BYTES: u64 = 5_000;

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

#[test]
fn a_long_campaign_is_small() {
    let text = std::env::var("TILEWRIGHT_TEST_EVALUATIONS").ok();
    let evaluations: u64 = text.and_then(|text| text.parse().ok()).unwrap_or(1000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let began = began("long", 8, evaluations);
    let mut store = Store::open(&path).unwrap();
    let mut resident = vec![];
    let mut seen = 0;
    let stop = AtomicBool::new(false);
    let ended = drive(&mut store, &began, &mut FakeQueue::default(), &stop, &mut |_| {
        seen += 1;
        if seen % (evaluations / 4) == 0 {
            resident.push(resident_kib());
        }
    });
    assert!(ended.unwrap());
    drop(store);
    let bytes = std::fs::metadata(&path).unwrap().len();
    writeln!(std::io::stderr(), "{evaluations} evaluations: {bytes} bytes, {resident:?} KiB")
        .unwrap();
    assert!(bytes <= evaluations * BYTES, "{bytes} bytes for {evaluations} evaluations");
    let (first, last) = (resident[1], resident[resident.len() - 1]);
    // The cache of SQLite, 2 MiB, fills; the search keeps 800 outcomes, about 3 KiB each, and a hash of every schedule.
    assert!(last <= first + 8192 + evaluations / 4, "{resident:?} KiB");
}
