//! Schedules against each other, records taken again, winners for few threads, and the schemas of all answers.

use crate::user::{User, stderr};
use serde_json::Value;

const TUNE: [&str; 6] = ["tune", "product.tw", "--seconds", "20", "--evaluations", "3"];

#[test]
fn two_schedules_are_compared() {
    let user = User::new();
    // On one thread: a pool beside other tests waits for its processors.
    let arguments = ["compare", "product.tw", "default", "naive", "--set", "larger"];
    let json = user.json(&[&arguments[..], &["--threads", "1", "--seconds", "2"]].concat());
    assert_eq!(json["verdict"], "faster", "{json}");
    assert!(json["ratio"]["hi"].as_f64().unwrap() < 0.9, "{json}");
    assert!(json["one"]["time_ns"]["median"].as_f64().unwrap() > 0.0);
    assert!(!json["differs"].as_array().unwrap().is_empty());
    // Both are in the store, and either may be named by its record.
    let record = json["other"]["record"].as_str().unwrap();
    let by_record = ["compare", "product.tw", &record[..12], "naive", "--set", "larger"];
    let text = user.ok(&[&by_record[..], &["--seconds", "1"]].concat());
    assert!(text.contains("undisturbed"), "{text}");
    user.fails(&["compare", "product.tw", "fast", "naive"], 2, &["`fast`", "`default`"]);
    user.fails(
        &["compare", "product.tw", "stored", "naive", "--set", "small"],
        2,
        &["no schedule"],
    );
    user.fails(&["compare", "product.tw", "default", "naive", "--effect", "-1"], 2, &["--effect"]);
}

#[test]
fn a_record_is_taken_again() {
    let user = User::new();
    user.ok(&[&TUNE[..], &["--set", "larger"]].concat());
    let best = user.json(&["best", "product.tw", "--set", "larger"]);
    let record = best["record"].as_str().unwrap();
    assert_eq!(best["digest"].as_str().unwrap().len(), 32);
    let verify = ["records", "verify-record", &record[..12], "product.tw", "--seconds", "2"];
    let json = user.json(&verify);
    for same in ["same_machine", "same_program", "same_bits"] {
        assert_eq!(json[same], true, "{same}: {json}");
    }
    assert!(json["worst_ratio"].as_f64().unwrap() <= 1.0);
    assert!(json["time_ns"]["median"].as_f64().unwrap() > 0.0);
    user.write(
        "other.tw",
        "kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A + B) }",
    );
    let other = ["records", "verify-record", &record[..12], "other.tw"];
    user.fails(&other, 5, &["TW0807", "another text"]);
    user.fails(&["records", "verify-record", "0000000000", "product.tw"], 5, &["TW0806"]);
    // Bits that are not those of the record are found.
    let store = rusqlite::Connection::open(user.path().join("store.sqlite")).unwrap();
    store.execute("UPDATE results SET digest = 'ab' WHERE role = 'winner'", []).unwrap();
    let output = user.run(&verify);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("other bits"), "{}", stderr(&output));
}

#[test]
fn notes_go_where_records_go() {
    let user = User::new();
    let empty = user.json(&["notes", "product.tw", "--set", "larger"]);
    assert_eq!(empty["notes"].as_array().unwrap().len(), 0);
    user.write("idea.txt", "panels of 64 columns\nare slow here\n");
    user.ok(&["notes", "product.tw", "--set", "larger", "--add", "try k in the lanes"]);
    user.ok(&["notes", "product.tw", "--set", "larger", "--add-file", "idea.txt"]);
    let text = user.ok(&["notes", "product.tw", "--set", "larger"]);
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with(' ')).collect();
    assert_eq!(told, ["  try k in the lanes", "  panels of 64 columns", "  are slow here"]);
    // They are about these sizes and this number of threads.
    for other in [["--set", "small"], ["--threads", "1"]] {
        let found = user.json(&[&["notes", "product.tw"][..], &other].concat());
        assert_eq!(found["notes"].as_array().unwrap().len(), 0, "{other:?}");
    }
    user.fails(&["notes", "product.tw", "--add", " "], 2, &["some text"]);
    let lines = user.ok(&["export"]);
    user.write("notes.ndjson", &lines);
    let other = User::new();
    other.write("notes.ndjson", &lines);
    let joined = other.json(&["records", "import", "notes.ndjson"]);
    assert_eq!(joined["notes"], 2, "{joined}");
    assert_eq!(other.json(&["records", "import", "notes.ndjson"])["notes"], 0);
    assert_eq!(other.json(&["records", "verify"])["notes"], 2);
    other.write("forged.ndjson", &lines.replace("slow", "fast"));
    other.fails(&["records", "import", "forged.ndjson"], 5, &["TW0802", "not what it was"]);
}

#[test]
fn winners_for_one_thread_are_their_own() {
    let user = User::new();
    user.ok(&[&TUNE[..], &["--threads", "1"]].concat());
    let best = user.json(&["best", "product.tw", "--threads", "1"]);
    assert!(!best["schedule"].as_str().unwrap().contains("threads = 2"), "{best}");
    let run = user.json(&["run", "product.tw", "--threads", "1", "--verify"]);
    assert_eq!(run["schedule"]["origin"], "stored");
    if std::thread::available_parallelism().unwrap().get() > 1 {
        user.fails(&["best", "product.tw"], 5, &["TW0806"]);
        assert_eq!(user.json(&["run", "product.tw"])["schedule"]["origin"], "default");
    }
}

#[test]
fn every_answer_has_a_schema() {
    let user = User::new();
    let all = user.json(&["schema"]);
    let names: Vec<&String> = all["schemas"].as_object().unwrap().keys().collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let schema: Value = serde_json::from_str(&user.ok(&["schema", name])).unwrap();
        assert_eq!(schema, all["schemas"][name]);
        assert!(schema["title"].is_string() && schema["$schema"].is_string(), "{schema}");
    }
    // What is written has the fields that its schema demands, and no others.
    user.ok(&TUNE);
    let record = user.json(&["best", "product.tw"]);
    let schema = &all["schemas"]["record"];
    for required in schema["required"].as_array().unwrap() {
        assert!(record.get(required.as_str().unwrap()).is_some(), "{required}");
    }
    for field in record.as_object().unwrap().keys() {
        assert!(schema["properties"].get(field).is_some(), "{field}");
    }
    user.fails(&["schema", "answers"], 2, &["`answers`", "answer, record"]);
}
