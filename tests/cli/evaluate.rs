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
fn texts_that_claim_to_be_equal_are_judged() {
    let user = User::new();
    let tile = user.json(&["explain", "product.tw", "--set", "small", "--stage", "tile"]);
    let tile = tile["stages"][0]["text"].as_str().unwrap().to_string();
    let kernel =
        |body: &str| format!("kernel other(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] {{ {body} }}");
    let lines_of = |proposals: &[serde_json::Value]| {
        proposals.iter().map(|of| format!("{of}\n")).collect::<String>()
    };
    let proposals = [
        serde_json::json!({ "tile": tile }),
        serde_json::json!({ "kernel": kernel("sum[k](B * A)") }),
        serde_json::json!({ "kernel": kernel("sum[k](A + B)") }),
    ];
    user.write("texts.ndjson", &lines_of(&proposals));
    let arguments = ["evaluate", "product.tw", "--set", "small", "--proposals", "texts.ndjson"];
    let answers = lines(&user.ok(&[&arguments[..], &["--json"]].concat()));
    let told: Vec<_> = answers.iter().map(|answer| (&answer["form"], &answer["status"])).collect();
    assert_eq!(told[0], (&"tile".into(), &"accepted".into()), "{}", answers[0]);
    assert_eq!(told[1], (&"kernel".into(), &"accepted".into()), "{}", answers[1]);
    assert_eq!(told[2], (&"kernel".into(), &"rejected".into()), "{}", answers[2]);
    assert_eq!(answers[2]["reason"], "wrong");
    assert_eq!(user.json(&["records", "verify"])["records"], 0, "only schedules are stored");
    let other = "kernel other(A: f64[m,k], B: f64[k,n]) -> C: f64[m,n] { sum[k](B * A) }";
    for (proposal, why) in [
        (serde_json::json!({ "kernel": other }), "TW0606"),
        (serde_json::json!({ "kernel": "kernel f(" }), "texts.ndjson:1"),
        (serde_json::json!({ "tile": "tile f {}", "form": "written" }), "stands alone"),
    ] {
        user.write("texts.ndjson", &lines_of(&[proposal]));
        user.fails(&arguments, 2, &[why]);
    }
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
