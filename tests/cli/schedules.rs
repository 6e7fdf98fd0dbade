//! Schedules written by hand: judged and timed alone, shown in full, refused with the rule that they break.

use crate::user::User;

#[test]
fn one_schedule_is_judged_and_timed_alone() {
    let user = User::new();
    user.write("one.schedule", "schedule product { choose threads = 1 choose out.unroll = 8 }");
    let tune = ["tune", "product.tw", "--schedule", "one.schedule", "--seconds", "20"];
    let text = user.ok(&tune);
    assert!(text.contains("tried     1 candidate in"), "{text}");
    let unroll = text.lines().find(|line| line.starts_with("out.unroll ")).unwrap_or_default();
    assert!(unroll.ends_with(" 8"), "what differs from the default: {text}");
    let best = user.ok(&["best", "product.tw"]);
    assert!(best.contains("choose out.unroll = 8"), "{best}");
    user.fails(&[&tune[..], &["--fix", "threads=1"]].concat(), 2, &["--schedule", "--fix"]);
}

#[test]
fn a_schedule_is_explained_in_full() {
    let user = User::new();
    user.write("one.schedule", "schedule product { choose threads = 1 }");
    let explain = ["explain", "product.tw", "--stage", "schedule", "--schedule", "one.schedule"];
    let text = user.ok(&explain);
    assert!(text.contains("choose threads = 1") && text.contains("choose out.unroll"), "{text}");
}

#[test]
fn broken_rules_are_named() {
    let user = User::new();
    user.write("one.schedule", "schedule product { choose out.micro.n = 3 }");
    user.fails(
        &["tune", "product.tw", "--schedule", "one.schedule"],
        3,
        &["one.schedule:1:20", "out.micro.n = 3", "multiples of"],
    );
    let fixed = ["tune", "product.tw", "--fix", "out.vector=n", "--fix", "out.micro.n=3"];
    user.fails(&fixed, 3, &["out.micro.n = 3"]);
}
