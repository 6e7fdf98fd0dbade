//! `bench`: records, comparisons, and their exit codes.

use super::user::{User, stderr};
use serde_json::Value;

const BENCH: [&str; 6] = ["bench", "product.tw", "--threads", "1", "--seconds", "0.02"];

/// A user with a record of the kernel.
fn with_record() -> User {
    let user = User::new();
    let text = user.ok(&[&BENCH[..], &["--record", "record.json"]].concat());
    assert!(text.starts_with("product: ") && text.contains(" a call ("), "{text}");
    user
}

/// Writes the record with every call so many times as long.
fn stretch(user: &User, factor: f64) -> Value {
    let text = std::fs::read_to_string(user.path().join("record.json")).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    for group in record["groups"].as_array_mut().unwrap() {
        for round in group.as_array_mut().unwrap() {
            round["call_ns"] = (round["call_ns"].as_f64().unwrap() * factor).into();
        }
    }
    user.write("stretched.json", &record.to_string());
    record
}

#[test]
fn a_comparison_fails_only_if_slower() {
    let user = with_record();
    let against = |record| [&BENCH[..], &["--against", record]].concat();
    stretch(&user, 50.0);
    let json = user.json(&against("stretched.json"));
    assert_eq!(json["verdict"], "faster");
    assert!(json["comparison"]["by_chain"]["hi"].as_f64().unwrap() < 0.5, "{json}");
    // A machine under load may stretch a time, but not this far.
    let text = user.ok(&[&against("record.json")[..], &["--effect", "900"]].concat());
    assert!(text.contains("tie with the record"), "{text}");
    stretch(&user, 0.02);
    let output = user.run(&against("stretched.json"));
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("slower than the record"));
    assert!(stderr(&output).contains("measuring again"));
}

#[test]
fn a_record_of_something_else_is_refused_or_a_tie() {
    let user = with_record();
    let against = |record| [&BENCH[..], &["--against", record]].concat();
    let mut record = stretch(&user, 0.02);
    record["machine"]["chip"] = "another chip".into();
    user.write("other.json", &record.to_string());
    let json = user.json(&against("other.json"));
    assert_eq!((&json["verdict"], &json["comparison"]), (&"tie".into(), &Value::Null));
    let larger = [&against("record.json")[..], &["--set", "larger"]].concat();
    user.fails(&larger, 2, &["the record is of product at k=7", "k=65"]);
    user.write("broken.json", "{}");
    user.fails(&against("broken.json"), 7, &["broken.json"]);
    record["groups"] = Value::Array(vec![]);
    user.write("empty.json", &record.to_string());
    user.fails(&against("empty.json"), 7, &["not a record"]);
    user.fails(&[&BENCH[..4], &["--seconds", "0"]].concat(), 2, &["--seconds"]);
}
