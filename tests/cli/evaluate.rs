//! Proposals from the command line, and stores that are joined and checked.

use crate::user::User;
use serde_json::Value;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn proposals_are_judged_and_told_where_they_stand() {
    let user = User::new();
    user.write(
        "some.ndjson",
        "{\"set\": {\"threads\": 1}}\n\n{\"form\": \"written\", \"set\": {\"threads\": 1}}\n",
    );
    let arguments = ["evaluate", "product.tw", "--set", "small", "--proposals", "some.ndjson"];
    let answers = lines(&user.ok(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["status"], "accepted");
    assert!(answers[0]["time_ns"]["median"].as_f64().unwrap() > 0.0);
    assert!(answers[0]["incumbent"].is_null(), "nothing was known before");
    assert_eq!(answers[1]["incumbent"]["record"], answers[0]["record"]);
    assert_eq!(answers[1]["tried"]["evaluations"], 2);
    assert!(!answers[1]["next"].as_array().unwrap().is_empty());
    // Its records are those of the store, in the store's words.
    let best = user.json(&["best", "product.tw", "--set", "small"]);
    assert!(answers.iter().any(|answer| answer["record"] == best["record"]));
    user.write("odd.ndjson", "{\"set\": {\"threads\": 1}}\n{\"set\": {\"thread\": 1}}\n");
    user.fails(
        &["evaluate", "product.tw", "--proposals", "odd.ndjson"],
        2,
        &["odd.ndjson:2", "thread"],
    );
    user.write("odd.ndjson", "{\"form\": \"f0\"}\n");
    user.fails(&["evaluate", "product.tw", "--proposals", "odd.ndjson"], 2, &["written"]);
    user.write("odd.ndjson", "{\"sort\": 1}\n");
    user.fails(&["evaluate", "product.tw", "--proposals", "odd.ndjson"], 2, &["sort", "form"]);
}

#[test]
fn stores_are_joined_checked_and_cleaned() {
    let user = User::new();
    user.write("one.ndjson", "{\"set\": {\"threads\": 1}}\n");
    let arguments = ["evaluate", "product.tw", "--set", "small", "--proposals", "one.ndjson"];
    let other = user.path().join("other.sqlite");
    user.ok_with(&arguments, &other);
    assert_eq!(user.json(&["records", "merge", "other.sqlite"])["records"], 1);
    assert_eq!(user.json(&["records", "merge", "other.sqlite"])["records"], 0);
    assert_eq!(user.json(&["records", "verify"])["records"], 1);
    let export = user.ok(&["export"]);
    user.write("rows.ndjson", &export);
    assert_eq!(user.json(&["records", "import", "rows.ndjson"])["records"], 0);
    user.write("rows.ndjson", &export.replace("\"seed\":", "\"seed\":1"));
    user.fails(&["records", "import", "rows.ndjson"], 5, &["TW0802", "is not what it was"]);
    let best = user.json(&["best", "product.tw", "--set", "small"]);
    let record = best["record"].as_str().unwrap();
    let gone = user.json(&["records", "quarantine", &record[..10], "--why", "it crashed at noon"]);
    assert!(gone["best"].is_null());
    user.fails(&["best", "product.tw", "--set", "small"], 5, &["TW0806"]);
    user.fails(&["records", "merge", "nowhere.sqlite"], 7, &["nowhere.sqlite"]);
    assert_eq!(user.json(&["records", "verify"])["records"], 2, "nothing is deleted");
}
