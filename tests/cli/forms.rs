//! The forms of a kernel: shown, chosen, run, searched, stored.

use crate::user::{User, stderr};
use serde_json::Value;

const ATTENTION: &str = "\
kernel attention(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> O: f32[i,e] {
  p = softmax[j](sum[d](Q * K) * rsqrt(len(d)))
  sum[j](p * V)
}
sizes small { i=6, j=40, d=8, e=12 }
";

fn user() -> User {
    let user = User::new();
    user.write("attention.tw", ATTENTION);
    user
}

/// `written`, then the ids of the others.
fn ids(user: &User) -> Vec<String> {
    let json = user.json(&["explain", "attention.tw", "--stage", "forms"]);
    let variants = json["variants"].as_array().unwrap();
    variants.iter().map(|form| form["id"].as_str().unwrap().to_string()).collect()
}

#[test]
fn explain_shows_the_forms_first() {
    let user = user();
    let text = user.ok(&["explain", "attention.tw"]);
    assert!(text.starts_with("# forms\n# form written: d once, j 3 times; predicted "), "{text}");
    assert!(text.contains("d once, j once; predicted"), "{text}");
    assert!(text.contains("roll[j]") && text.contains("# e-graph: "), "{text}");
    let alone = user.ok(&["explain", "attention.tw", "--stage", "forms"]);
    assert!(text.contains(&alone));
    // A kernel with one form has nothing to choose.
    let product = user.ok(&["explain", "product.tw"]);
    assert!(product.starts_with("# graph\n"), "{product}");
}

#[test]
fn explain_tells_programs_about_forms() {
    let user = user();
    let json = user.json(&["explain", "attention.tw", "--stage", "forms"]);
    let variants = json["variants"].as_array().unwrap();
    assert_eq!(variants[0]["id"], "written");
    assert_eq!(variants[0]["passes"]["j"], 3);
    assert!(variants.len() > 1 && variants.iter().any(|form| form["passes"]["j"] == 1));
    for form in variants {
        assert!(form["predicted_ns"].as_f64().unwrap() > 0.0);
        assert!(form["program"].as_str().unwrap().starts_with("kernel attention("));
        assert!(form["steps"].is_array());
    }
    let egraph = &json["egraph"];
    assert_eq!(egraph["stop_reason"], "saturated");
    assert!(egraph["nodes"].as_u64() > egraph["classes"].as_u64());
    assert!(egraph["iterations"].is_u64() && egraph["time_ms"].is_f64());
    let all = user.json(&["explain", "product.tw"]);
    assert_eq!(all["variants"].as_array().unwrap().len(), 1);
    let none = user.json(&["explain", "attention.tw", "--size", "j=0", "--stage", "forms"]);
    assert_eq!(none["variants"].as_array().unwrap().len(), 1);
    assert_eq!(none["egraph"], Value::Null);
}

#[test]
fn every_form_runs_and_is_right() {
    let user = user();
    for id in ids(&user) {
        let json = user.json(&["run", "attention.tw", "--form", &id, "--verify"]);
        assert_eq!(json["schedule"]["form"], id.as_str());
        assert_eq!(json["outputs"][0]["verify"]["passed"], true, "{id}");
        let plan = user.ok(&["explain", "attention.tw", "--form", &id, "--stage", "plan"]);
        assert_eq!(plan.contains("before"), id != "written" && plan.contains("group"), "{plan}");
        let stages = ["explain", "attention.tw", "--form", &id, "--verify-stages"];
        assert!(user.ok(&stages).contains("code"), "{id}");
    }
    // A schedule may name every form, the one as written too.
    for id in ids(&user) {
        let text = format!("schedule attention {{ choose form = {id} choose threads = 1 }}");
        user.write("f.schedule", &text);
        let given = ["run", "attention.tw", "--schedule", "f.schedule", "--verify"];
        assert_eq!(user.json(&given)["schedule"]["form"], id.as_str());
        let stage = ["explain", "attention.tw", "--schedule", "f.schedule", "--stage", "schedule"];
        let canonical = user.ok(&stage);
        assert_eq!(canonical.contains(&format!("choose form = {id}")), id != "written");
    }
    let known = ids(&user).join(", ");
    user.fails(&["run", "attention.tw", "--form", "f1"], 2, &["TW0407", "f1", &known]);
    user.write("f.schedule", "schedule attention { choose form = f1 }");
    let given = ["run", "attention.tw", "--schedule", "f.schedule"];
    user.fails(&given, 3, &["TW0407", "f.schedule:1:22", &known]);
    user.fails(&[&given[..], &["--form", "written"]].concat(), 2, &["--schedule", "--form"]);
}

#[test]
fn space_shows_the_forms_and_the_choices_of_one() {
    let user = user();
    let ids = ids(&user);
    for id in &ids {
        let json = user.json(&["space", "attention.tw", "--form", id]);
        let first = &json["choices"][0];
        assert_eq!(
            (first["name"].as_str(), first["default"].as_str()),
            (Some("form"), Some(&**id))
        );
        assert_eq!(first["domain"]["one_of"], Value::from(ids.clone()));
        assert_eq!(json["choices"][1]["name"], "threads");
        let sample = user.ok(&["space", "attention.tw", "--form", id, "--sample", "1"]);
        assert_eq!(sample.contains(&format!("choose form = {id}")), id != "written", "{sample}");
    }
    let default = user.json(&["space", "attention.tw"])["form"].clone();
    assert_eq!(default, user.json(&["run", "attention.tw"])["schedule"]["form"]);
    assert_eq!(user.json(&["space", "product.tw"])["choices"][0]["name"], "threads");
}

#[test]
fn tune_searches_all_forms() {
    let user = user();
    let tune = ["tune", "attention.tw", "--seconds", "60", "--evaluations", "20", "--json"];
    let events = user.ok(&tune);
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids = ids(&user);
    assert_eq!(events[0]["forms"], ids.len());
    let result = events.last().unwrap();
    let forms = result["forms"].as_array().unwrap();
    let found: Vec<_> = forms.iter().map(|form| form["id"].as_str().unwrap()).collect();
    assert_eq!(found, ids);
    let tried = |form: &&Value| form["evaluated"].as_u64().unwrap() > 0;
    assert_eq!(forms.iter().filter(tried).count(), ids.len(), "{result}");
    let sum: u64 = forms.iter().map(|form| form["evaluated"].as_u64().unwrap()).sum();
    assert_eq!(sum, result["evaluated"].as_u64().unwrap());
    let measured = forms.iter().filter(|form| form["best_ns"].is_f64()).count();
    assert!(measured > 1, "{result}");
    assert!((-1.0..=1.0).contains(&result["form_agreement"].as_f64().unwrap()), "{result}");
}

#[test]
fn a_stored_winner_of_a_form_is_read_back() {
    let user = user();
    let id = ids(&user).pop().unwrap();
    let fix = format!("form={id}");
    let tune = ["tune", "attention.tw", "--seconds", "30", "--evaluations", "2", "--fix", &fix];
    let text = user.ok(&tune);
    assert!(text.contains(&format!("form      {id}: ")), "{text}");
    let best = user.ok(&["best", "attention.tw"]);
    assert!(best.contains(&format!("{{\n  choose form = {id}\n")), "{best}");
    let run = user.json(&["run", "attention.tw", "--verify"]);
    assert_eq!(run["schedule"]["origin"], "stored");
    assert_eq!(run["schedule"]["form"], id.as_str());
    assert_eq!(run["outputs"][0]["verify"]["passed"], true);
    assert_eq!(user.json(&["explain", "attention.tw", "--stage", "graph"])["form"], id.as_str());
    // Another form has no winner here, and its default is taken.
    let written = user.run(&["run", "attention.tw", "--form", "written"]);
    assert!(stderr(&written).ends_with("with the default schedule\n"), "{}", stderr(&written));
    let same = user.json(&["run", "attention.tw", "--form", &id]);
    assert_eq!(same["schedule"]["origin"], "stored");

    // The schedule of the winner is one that can be given, and timed alone.
    user.write("best.schedule", &best);
    let given = user.json(&["run", "attention.tw", "--schedule", "best.schedule"]);
    assert_eq!(given["schedule"]["text"], run["schedule"]["text"]);
    // One that names no form is of the form as written.
    user.write("own.schedule", "schedule attention { choose threads = 1 }");
    let own = ["tune", "attention.tw", "--schedule", "own.schedule", "--seconds", "20", "--json"];
    let events = user.ok(&own);
    let result: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(result["forms"].as_array().unwrap().len(), 1, "{result}");
    assert_eq!(result["forms"][0]["id"], "written");
    user.fails(&["tune", "attention.tw", "--fix", "form=f1"], 3, &["TW0407", &id]);
}

#[test]
fn forms_are_drawn() {
    let user = user();
    let draw = |file: &str, more: &[&str]| {
        user.ok(&[&["explain", "attention.tw", "--draw", file], more].concat());
        std::fs::read_to_string(user.path().join(file)).unwrap()
    };
    let best = draw("best.svg", &[]);
    assert!(
        best.starts_with("<svg ") && best.contains("one pass over j, block by block; carried: ")
    );
    assert!(best.contains("What the rules found"));
    assert_eq!(best, draw("again.svg", &["--stage", "forms"]));
    let written = draw("written.svg", &["--form", "written", "--stage", "plan"]);
    assert!(written.contains("pass 3 of 3 over j") && !written.contains("What the rules found"));
    let dot = draw("best.dot", &[]);
    assert!(dot.starts_with("digraph tilewright {") && dot.contains("cluster_class0"));
    let json = user.json(&["explain", "attention.tw", "--draw", "best.svg"]);
    assert_eq!(json["drawn"], "best.svg");
    for file in ["best.png", "best", "best.SVG"] {
        user.fails(&["explain", "attention.tw", "--draw", file], 2, &[".svg", ".dot", file]);
    }
    user.fails(&["explain", "attention.tw", "--draw", "none/best.svg"], 7, &["none/best.svg"]);
}

/// The names and the types of an object's members, in order.
fn members(value: &Value) -> Vec<String> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "count",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let members = value.as_object().unwrap().iter();
    members.map(|(name, value)| format!("{name}: {}", kind(value))).collect()
}

#[test]
fn the_json_of_forms_has_its_schema() {
    let user = user();
    let json = user.json(&["explain", "attention.tw", "--stage", "forms"]);
    assert_eq!(
        members(&json),
        ["kernel: text", "form: text", "stages: list", "variants: list", "egraph: object"]
    );
    let egraph = [
        "nodes: count",
        "classes: count",
        "iterations: count",
        "time_ms: number",
        "stop_reason: text",
    ];
    assert_eq!(members(&json["egraph"]), egraph);
    let mut steps = 0;
    for form in json["variants"].as_array().unwrap() {
        let variant =
            ["id: text", "predicted_ns: number", "passes: object", "program: text", "steps: list"];
        assert_eq!(members(form), variant);
        assert!(members(&form["passes"]).iter().all(|member| member.ends_with(": count")));
        for step in form["steps"].as_array().unwrap() {
            steps += 1;
            let step_members = [
                "rule: text",
                "class: text",
                "meaning: text",
                "before: text",
                "after: text",
                "is_bookkeeping: bool",
            ];
            assert_eq!(members(step), step_members);
            assert_ne!(step["before"], step["after"], "{step}");
            let class = step["class"].as_str().unwrap();
            assert!(["exact", "reassociating", "range", "approximate"].contains(&class));
        }
    }
    assert!(steps > 3);
}

/// Steps that move signs and reciprocals are counted, and shown on request.
#[test]
fn all_steps_are_shown_on_request() {
    let user = user();
    let text =
        "kernel soft(x: f32[i,j]) -> f32[i] { 1 / (1 / sum[j](x)) }\nsizes a { i=4, j=64 }\n";
    user.write("folded.tw", text);
    let few = user.ok(&["explain", "folded.tw", "--stage", "forms"]);
    let all = user.ok(&["explain", "folded.tw", "--stage", "forms", "--all-steps"]);
    assert!(few.contains("(--all-steps)") && !few.contains("# by recip-recip"), "{few}");
    assert!(!all.contains("(--all-steps)") && all.contains("# by recip-recip"), "{all}");
}
