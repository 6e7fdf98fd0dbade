//! Campaigns from the command line: they run, stop, are steered and go on.

use crate::user::{User, stderr};
use serde_json::Value;

const FILE: &str = "\
name = \"night\"
seed = 3
[budget]
evaluations = 8
[policy]
batch = 4
[[kernel]]
file = \"product.tw\"
set = \"small\"
fix = [\"threads = 1\"]
[[kernel]]
file = \"product.tw\"
set = \"larger\"
size = { m = 17 }
";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_campaign_runs_ends_and_is_steered_on() {
    let user = User::new();
    user.write("night.toml", FILE);
    let events = lines(&user.ok(&["campaign", "run", "night.toml", "--json"]));
    assert_eq!(events[0]["data"]["event"], "began");
    assert_eq!(events.last().unwrap()["data"]["event"], "ended");
    let status = user.json(&["campaign", "status"]);
    assert_eq!(status["phase"], "ended");
    assert_eq!(status["evaluated"], 8);
    assert_eq!(status["jobs"][0]["evaluated"], 4);
    assert!(status["jobs"][0]["confirmed"]["time_ns"]["median"].as_f64().unwrap() > 0.0);
    // The winner is what `run` and `best` take.
    let best = user.json(&["best", "product.tw", "--set", "small"]);
    assert_eq!(best["role"], "winner");
    assert_eq!(best["record"], status["jobs"][0]["confirmed"]["record"]);
    // The same command has nothing to do, until the budget grows.
    let again = lines(&user.ok(&["campaign", "run", "night.toml", "--json"]));
    assert_eq!(again.len(), events.len());
    user.ok(&["campaign", "steer", "night", "--evaluations", "10", "--note", "a little more"]);
    user.ok(&["campaign", "run", "night.toml"]);
    let status = user.json(&["campaign", "status", "night.toml"]);
    assert_eq!((&status["evaluated"], &status["phase"]), (&10.into(), &"ended".into()));
    assert_eq!(status["notes"][0], "a little more");
    let log = lines(&user.ok(&["campaign", "log", "night"]));
    let finished = log.iter().filter(|event| event["data"]["event"] == "finished");
    assert_eq!(finished.count(), 10);
    for pair in log.windows(2) {
        assert_eq!(pair[1]["previous"], pair[0]["hash"]);
    }
}

#[test]
fn what_a_campaign_may_not_do_is_refused_before_it_begins() {
    let user = User::new();
    for (from, to, code, told) in [
        ("batch = 4", "batch = 100000000", 3, "1024"),
        ("batch = 4", "forbid = [\"no_such=1\"]", 3, "no_such"),
        ("batch = 4", "memory_mib = 0", 4, "allowed"),
    ] {
        user.write("bad.toml", &FILE.replace(from, to));
        user.fails(&["campaign", "run", "bad.toml"], code, &[told]);
    }
    user.write("night.toml", &FILE.replace("batch = 4", "forbid = [\"unroll = 1\"]"));
    user.ok(&["campaign", "run", "night.toml"]);
    let log = lines(&user.ok(&["campaign", "log"]));
    let proposed = log.iter().filter(|event| event["data"]["event"] == "proposed");
    for event in proposed {
        let schedule = event["data"]["schedule"].as_str().unwrap();
        assert!(!schedule.contains("unroll = 1\n"), "{schedule}");
    }
    user.write("other.schedule", "schedule another { choose threads = 1 }");
    let steer = ["campaign", "steer", "--propose", "other.schedule"];
    user.fails(&steer, 2, &["another", "product"]);
    user.fails(&["campaign", "steer", "--evaluations", "0"], 2, &["positive"]);
    // A log is nothing without its records.
    let log = user.ok(&["campaign", "log"]);
    let other = User::new();
    other.write("log.ndjson", &log);
    other.fails(&["records", "import", "log.ndjson"], 5, &["TW0802", "is missing"]);
    other.write("all.ndjson", &(user.ok(&["export"]) + &log));
    other.ok(&["records", "import", "all.ndjson"]);
    other.ok(&["records", "verify"]);
}

#[test]
fn a_campaign_is_named_or_the_only_one() {
    let user = User::new();
    user.fails(&["campaign", "status"], 5, &["TW0823", "none"]);
    user.write("night.toml", FILE);
    user.ok(&["campaign", "run", "night.toml"]);
    user.fails(&["campaign", "log", "day"], 5, &["TW0823", "night"]);
    user.write("night.toml", &FILE.replace("evaluations = 8", "evaluations = 9"));
    user.fails(&["campaign", "run", "night.toml"], 5, &["TW0823", "steer"]);
    user.write("bad.toml", &FILE.replace("[budget]", "[budgets]"));
    let output = user.run(&["campaign", "run", "bad.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("bad.toml:3"), "{}", stderr(&output));
}
