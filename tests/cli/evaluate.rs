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
    let odd = ["evaluate", "product.tw", "--set", "small", "--proposals", "odd.ndjson"];
    let answers = lines(&user.ok(&[&odd[..], &["--json"]].concat()));
    assert_eq!(
        (&answers[0]["status"], &answers[1]["status"]),
        (&"accepted".into(), &"rejected".into())
    );
    assert!(answers[1]["evidence"].as_str().unwrap().contains("thread"), "{}", answers[1]);
    user.write("odd.ndjson", "{\"form\": \"f0\"}\n");
    let answers = lines(&user.ok(&[&odd[..], &["--json"]].concat()));
    assert_eq!((&answers[0]["form"], &answers[0]["reason"]), (&"form".into(), &"illegal".into()));
    assert!(answers[0]["evidence"].as_str().unwrap().contains("written"), "{}", answers[0]);
    for (line, why) in [
        ("{\"sort\": 1}", &["odd.ndjson:1", "sort", "form"][..]),
        ("{\"set\": \"x\"}", &["odd.ndjson:1", "expected a map"]),
        ("[1]", &["odd.ndjson:1", "object"]),
        ("{\"schedule\": \"x\", \"symbol\": \"f\"}", &["stands alone"]),
        ("{\"profile\": \"strict\"}", &["goes with `library`"]),
    ] {
        user.write("odd.ndjson", &format!("{line}\n"));
        user.fails(&odd, 2, why);
    }
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
    let phase = tile.lines().find(|line| line.trim_start().starts_with("phase ")).unwrap();
    let name = phase.split(" threads").next().unwrap().trim_end_matches(['{', ' ']);
    let many = tile.replace(phase, &format!("{name} threads(2147483648) {{"));
    let proposals = [
        serde_json::json!({ "kernel": other }),
        serde_json::json!({ "kernel": "kernel f(" }),
        serde_json::json!({ "kernel": "" }),
        serde_json::json!({ "tile": many }),
        serde_json::json!({ "library": "nowhere.so" }),
        serde_json::json!({ "library": "nowhere.so", "profile": "lax" }),
    ];
    user.write("texts.ndjson", &lines_of(&proposals));
    let answers = lines(&user.ok(&[&arguments[..], &["--json"]].concat()));
    for (answer, why) in
        answers.iter().zip(["TW0606", "TW0", "one kernel", "threads", "nowhere.so", "strict"])
    {
        let (reason, evidence) = (&answer["reason"], answer["evidence"].as_str().unwrap());
        assert!(["illegal", "refused"].contains(&reason.as_str().unwrap()), "{answer}");
        assert!(evidence.contains(why), "{answer}");
    }
    let both = serde_json::json!({ "tile": "tile f {}", "form": "written" });
    user.write("texts.ndjson", &lines_of(&[both]));
    user.fails(&arguments, 2, &["stands alone"]);
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
