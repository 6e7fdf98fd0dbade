//! Campaigns whose processes are killed at any moment, alone and several on one store.
//!
//! `TILEWRIGHT_TEST_KILLS` and `TILEWRIGHT_TEST_SECONDS` make the tests longer.

use crate::fake::{FakeQueue, began, decisions, drive, log, outcomes, uninterrupted};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright_autotune::protocol::{Began, CampaignEvent};
use tilewright_autotune::store::Store;

/// Set for a child process of these tests: `store|name|seed|evaluations|microseconds`.
const DRIVER: &str = "TILEWRIGHT_TEST_DRIVER";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Not a test of its own: the process that drives a campaign. It prints a line for each new event.
#[test]
fn driver_process() {
    let Ok(words) = std::env::var(DRIVER) else { return };
    let words: Vec<&str> = words.split('|').collect();
    let [path, name, seed, evaluations, microseconds] = words.as_slice() else { unreachable!() };
    let began = began(name, seed.parse().unwrap(), evaluations.parse().unwrap());
    let mut store = Store::open(Path::new(path)).unwrap();
    let mut queue = FakeQueue::slow(Duration::from_micros(microseconds.parse().unwrap()));
    let known = store.tail(&began.spec.id()).unwrap().map_or(0, |tail| tail.events);
    let ended = drive(&mut store, &began, &mut queue, &AtomicBool::new(false), &mut |event| {
        if event.sequence >= known {
            writeln!(std::io::stdout(), "event {}", event.sequence).unwrap();
        }
    });
    assert!(ended.unwrap());
}

fn start(path: &Path, began: &Began, delay: Duration) -> Child {
    let spec = &began.spec;
    let evaluations = spec.budget.evaluations.expect("the tests count evaluations");
    let words = [
        path.display().to_string(),
        spec.name.clone(),
        spec.seed.to_string(),
        evaluations.to_string(),
        delay.as_micros().to_string(),
    ];
    Command::new(std::env::current_exe().expect("a running test has a file"))
        .args(["--exact", "kills::driver_process", "--nocapture"])
        .env(DRIVER, words.join("|"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test starts itself")
}

/// Lets a driver commit about so many events, then kills it at some moment. `true`: it had ended before.
fn kill_after(mut child: Child, events: usize, delay: Duration) -> bool {
    let lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
    let mut lines = lines.map_while(Result::ok).filter(|line| line.contains("event "));
    let seen = lines.by_ref().take(events).count();
    std::thread::sleep(delay);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    // Killed, or at its end; nothing else may happen to it.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_none_or(|code| code == 0), "{said}");
    seen < events && output.status.success()
}

/// What must hold of the log of a campaign that has ended, whatever happened to its processes.
#[track_caller]
fn is_as_if_uninterrupted(store: &Store, began: &Began) {
    let found = log(store, &began.spec.id());
    let expected = uninterrupted(began);
    assert!(decisions(&found) == decisions(&expected), "the decisions are others");
    assert!(outcomes(&found) == outcomes(&expected), "an outcome is lost or doubled");
}

#[test]
fn a_campaign_survives_kills_and_decides_as_if_there_were_none() {
    let kills = number("TILEWRIGHT_TEST_KILLS", 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let began = began("killed", 5, 12 * kills);
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for kill in 0..kills {
        let child = start(&path, &began, Duration::from_micros(200));
        let delay = Duration::from_micros(rng.random_range(0..3000));
        assert!(!kill_after(child, rng.random_range(0..18), delay), "ended after {kill} kills");
    }
    assert!(start(&path, &began, Duration::ZERO).wait().unwrap().success());
    let store = Store::open(&path).unwrap();
    is_as_if_uninterrupted(&store, &began);
    let opened = log(&store, &began.spec.id());
    let opened = opened.iter().filter(|event| matches!(event, CampaignEvent::Opened)).count();
    assert!(opened as u64 > kills / 2, "{opened} processes took it up");
    assert_eq!(store.list(None).unwrap().len() as u64, 12 * kills, "a row for each evaluation");
}

#[test]
fn campaigns_share_a_store_and_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let seconds = number("TILEWRIGHT_TEST_SECONDS", 3);
    // Each process replays the log, so many kills cost more than many evaluations.
    let evaluations = (6 * seconds).max(180);
    let drivers = (0..4).map(|place| {
        let (path, delay) = (path.clone(), Duration::from_millis(10));
        std::thread::spawn(move || {
            let began = began(&format!("campaign {place}"), place, evaluations);
            let mut rng = ChaCha8Rng::seed_from_u64(place);
            let mut kills = 0;
            loop {
                let child = start(&path, &began, delay);
                let wait = Duration::from_micros(rng.random_range(0..10_000));
                if kill_after(child, rng.random_range(1..90), wait) {
                    return (began, kills);
                }
                kills += 1;
            }
        })
    });
    let drivers: Vec<_> = drivers.collect();
    let ended: Vec<_> = drivers.into_iter().map(|driver| driver.join().unwrap()).collect();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.campaigns().unwrap().len(), 4);
    for (began, kills) in &ended {
        is_as_if_uninterrupted(&store, began);
        writeln!(std::io::stderr(), "{}: {kills} kills", began.spec.name).unwrap();
        assert!(*kills > 0);
    }
}
