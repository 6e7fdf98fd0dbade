//! `judge`: libraries of our own as foreign ones, what is said about them, and what is no library.
#![cfg(target_os = "linux")]

use crate::user::User;
use serde_json::Value;

const JUDGE: [&str; 5] = ["judge", "product.tw", "--set", "larger", "--candidate"];

/// A user with a library of the kernel at its larger sizes.
fn user() -> User {
    let user = User::new();
    let build = ["build", "product.tw", "--set", "larger", "--threads", "1", "--out", "out"];
    user.ok(&build);
    user
}

#[test]
fn our_own_library_passes_and_a_seed_repeats_it() {
    let user = user();
    let judge = [&JUDGE[..], &["out/libproduct.so"]].concat();
    let json = user.json(&judge);
    assert_eq!((&json["verdict"], &json["tier"]), (&"passed".into(), &2.into()), "{json}");
    assert_eq!(json["candidate"]["symbol"], "tw_product");
    assert_eq!(json["candidate"]["profile"], "strict");
    assert!(json["worst_ratio"].as_f64().unwrap() <= 1.0, "{json}");
    assert_eq!(json["time"], Value::Null);
    let seed = json["seed"].to_string();
    let again = user.json(&[&judge[..], &["--seed", &seed]].concat());
    assert_eq!(again, json);
    let first = user.json(&[&judge[..], &["--tier", "1"]].concat());
    assert_eq!((&first["verdict"], &first["tier"]), (&"passed".into(), &1.into()), "{first}");
    assert!(user.ok(&judge).contains("tw_product"), "the text names the function");
}

#[test]
fn a_time_has_a_verdict_and_its_samples() {
    let user = user();
    let json =
        user.json(&[&JUDGE[..], &["out/libproduct.so", "--time", "--seconds", "2"]].concat());
    let time = &json["time"];
    assert!(["faster", "tie", "slower"].map(Value::from).contains(&time["verdict"]), "{json}");
    assert!(time["ratio_lo"].as_f64() <= time["ratio"].as_f64(), "{json}");
    let samples = |who: &str| time[who]["samples_ns"].as_array().unwrap().len();
    assert!(samples("candidate") >= 5 && samples("candidate") == samples("incumbent"), "{json}");
    assert_eq!(time["incumbent_origin"], "default schedule");
}

#[test]
fn a_rejection_is_data_and_an_exit_code() {
    let user = user();
    // The size that the library was not made for.
    let small = ["judge", "product.tw", "--set", "small", "--candidate", "out/libproduct.so"];
    let output = user.run(&[&small[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        ["crash", "wrong", "stray_write"].map(Value::from).contains(&json["verdict"]),
        "{json}"
    );
    assert!(json["evidence"].as_str().is_some_and(|evidence| !evidence.is_empty()), "{json}");
    let other = [&JUDGE[..], &["out/libproduct.so", "--symbol", "other", "--json"]].concat();
    let json: Value = serde_json::from_slice(&user.run(&other).stdout).unwrap();
    assert_eq!(json["verdict"], "load", "{json}");
    assert_eq!(json["tier"], Value::Null);
    user.fails(&[&JUDGE[..], &["nowhere.so"]].concat(), 7, &["nowhere.so"]);
    user.fails(&[&JUDGE[..], &["out/libproduct.so", "--profile", "kind"]].concat(), 2, &["vendor"]);
}
