//! The program as its user meets it: every subcommand, its JSON, its exit codes, bad input.
//!
//! Each test has a store of its own in a folder that vanishes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

mod bench;
mod build;
mod campaign;
mod compare;
mod evaluate;
mod forms;
mod inputs;
mod interrupts;
mod judge;
mod schedules;
mod store;
mod user;
mod warnings;

use user::{KERNEL, User, stderr};

#[test]
fn check_names_kernels_axes_and_sizes() {
    let user = User::new();
    let text = user.ok(&["check", "product.tw"]);
    assert_eq!(
        text,
        "product: A, B -> C; axes m, k, n\n  sizes small: k=7, m=5, n=9\n  sizes larger: k=65, m=33, n=31\n"
            .replace("-> C", &format!("-> {}", output_name(&user)))
    );
    let json = user.json(&["check", "product.tw"]);
    assert_eq!(json["kernels"][0]["sizes"]["small"]["k"], 7);
    assert_eq!(json["diagnostics"].as_array().unwrap().len(), 0);
}

/// The language names an output that the text does not name.
fn output_name(user: &User) -> String {
    let json = user.json(&["check", "product.tw"]);
    json["kernels"][0]["outputs"][0]["name"].as_str().unwrap().to_string()
}

#[test]
fn faults_of_a_text_are_exit_code_3_all_at_once() {
    let user = User::new();
    user.write("bad.tw", "kernel bad(A: f32[m]) -> f32[m] { A + Q + P }\n");
    user.fails(&["check", "bad.tw"], 3, &["bad.tw", "Q", "P", "TW0"]);
    user.fails(&["run", "bad.tw", "--size", "m=3"], 3, &["Q", "P"]);
    let output = user.run(&["check", "bad.tw", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = json["diagnostics"].as_array().unwrap();
    assert!(faults.len() >= 2, "{json}");
    assert!(faults.iter().all(|fault| fault["code"].as_str().unwrap().starts_with("TW")));
}

#[test]
fn usage_faults_list_what_there_is() {
    let user = User::new();
    user.fails(&["run", "product.tw", "--size", "q=3"], 2, &["`q`", "m, k, n"]);
    user.fails(&["run", "product.tw", "--set", "huge"], 2, &["`huge`", "small, larger"]);
    user.fails(&["run", "product.tw", "--kernel", "other"], 2, &["`other`", "product"]);
    user.fails(&["run", "product.tw", "--input", "Q=q.npy"], 2, &["`Q`", "A, B"]);
    user.fails(&["run", "product.tw", "--size", "m=x"], 2, &["whole number"]);
    user.fails(&["run", "product.tw", "--size", "m=1,m=2"], 2, &["`m`", "twice"]);
    user.fails(&["explain", "product.tw", "--stage", "odd"], 2, &["graph", "disassembly"]);
    user.fails(&["frobnicate"], 2, &["unrecognized subcommand"]);
    user.fails(&["check", "nowhere.tw"], 7, &["nowhere.tw"]);
    user.write("bare.tw", "kernel bare(x: f32[i]) -> f32[i] { x }\n");
    user.fails(&["run", "bare.tw"], 2, &["`i`"]);
    user.write(
        "two.tw",
        "kernel one(x: f32[i]) -> f32[i] { x }\nkernel two(x: f32[i]) -> f32[i] { x + x }\n",
    );
    user.fails(&["run", "two.tw", "--size", "i=3"], 2, &["one, two"]);
}

#[test]
fn errors_are_json_when_asked_for() {
    let user = User::new();
    let output = user.run(&["run", "product.tw", "--set", "huge", "--json"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 2);
    assert_eq!(error["error"]["kind"], "usage");
}

#[test]
fn run_verifies_and_writes_arrays() {
    let user = User::new();
    let json = user.json(&["run", "product.tw", "--verify", "--output-dir", "out"]);
    assert_eq!(json["schedule"]["origin"], "default");
    assert_eq!(json["outputs"][0]["verify"]["passed"], true);
    let file = json["outputs"][0]["file"].as_str().unwrap();
    assert!(user.path().join(file).exists());
    let text = user.ok(&["run", "product.tw", "--set", "larger", "--verify", "--threads", "1"]);
    assert!(text.contains("correct"), "{text}");
}

#[test]
fn run_reads_arrays_and_refuses_other_shapes_and_types() {
    let user = User::new();
    let write = |name: &str, rows: usize, columns: usize| {
        let ones = ndarray::Array2::<f32>::ones((rows, columns));
        ndarray_npy::write_npy(user.path().join(name), &ones).unwrap();
    };
    write("a.npy", 5, 7);
    write("b.npy", 7, 9);
    write("wrong.npy", 7, 5);
    ndarray_npy::write_npy(user.path().join("f64.npy"), &ndarray::Array2::<f64>::ones((5, 7)))
        .unwrap();
    let inputs = ["--input", "A=a.npy", "--input", "B=b.npy"];
    let json = user.json(&[&["run", "product.tw"], &inputs[..]].concat());
    assert_eq!(json["outputs"][0]["min"], 7.0);
    assert_eq!(json["outputs"][0]["max"], 7.0);
    let shape = ["m=7", "m=5"];
    user.fails(&["run", "product.tw", "--set", "small", "--input", "A=wrong.npy"], 2, &shape);
    user.fails(&["run", "product.tw", "--input", "A=f64.npy"], 2, &["f32", "`A`"]);
    user.fails(&["run", "product.tw", "--input", "A=none.npy"], 7, &["none.npy"]);
}

#[test]
fn run_takes_a_schedule_and_refuses_a_wrong_one() {
    let user = User::new();
    let samples = user.ok(&["space", "product.tw", "--sample", "1", "--seed", "5"]);
    user.write("good.schedule", &samples);
    let run = ["run", "product.tw", "--verify", "--schedule"];
    let json = user.json(&[&run[..], &["good.schedule"]].concat());
    assert_eq!(json["schedule"]["origin"], "given");
    assert_eq!(json["outputs"][0]["verify"]["passed"], true);
    user.write("bad.schedule", "schedule product {\n  choose nothing.at.all = 3\n}\n");
    user.fails(&[&run[..], &["bad.schedule"]].concat(), 3, &["nothing.at.all"]);
}

#[test]
fn explain_shows_every_stage_and_compares_them() {
    let user = User::new();
    let json = user.json(&["explain", "product.tw"]);
    let stages: Vec<_> =
        json["stages"].as_array().unwrap().iter().map(|stage| &stage["stage"]).collect();
    let expected = ["forms", "graph", "plan", "schedule", "tile", "leaves", "clif", "disassembly"];
    assert_eq!(stages, expected);
    for stage in json["stages"].as_array().unwrap() {
        assert!(!stage["text"].as_str().unwrap().is_empty(), "{stage}");
    }
    assert!(user.ok(&["explain", "product.tw", "--stage", "tile"]).starts_with("tile product"));
    let json = user.json(&["explain", "product.tw", "--verify-stages"]);
    assert_eq!(json["broken"], Value::Null, "{json}");
    assert_eq!(json["stages"].as_array().unwrap().len(), 3);
}

#[test]
fn space_describes_and_samples() {
    let user = User::new();
    let json = user.json(&["space", "product.tw"]);
    assert!(json["combinations"].as_f64().unwrap() > 1.0);
    let choices = json["choices"].as_array().unwrap();
    assert!(choices.iter().all(|choice| !choice["meaning"].as_str().unwrap().is_empty()));
    let sample = |seed| user.ok(&["space", "product.tw", "--sample", "3", "--seed", seed]);
    assert_eq!(sample("4"), sample("4"));
    assert_ne!(sample("4"), sample("5"));
}

#[test]
fn the_store_is_empty_before_tuning() {
    let user = User::new();
    user.fails(&["best", "product.tw"], 5, &["TW0806", "product"]);
    assert_eq!(user.json(&["list"])["records"].as_array().unwrap().len(), 0);
    assert_eq!(user.ok(&["export"]), "");
    assert!(!user.path().join("store.sqlite").exists(), "reading creates no store");
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let user = User::new();
    user.write("store.sqlite", "this is a letter to my aunt, not a database at all");
    user.fails(&["list"], 5, &["TW0802"]);
    user.fails(&["run", "product.tw"], 5, &["TW0802"]);
    let kept = std::fs::read_to_string(user.path().join("store.sqlite")).unwrap();
    assert!(kept.starts_with("this is a letter"));
}

#[test]
fn tune_stores_a_winner_that_run_and_best_use() {
    let user = User::new();
    // On a busy machine measuring the ceilings takes long; they are kept and cost the run nothing then.
    let device = user.json(&["describe-device"]);
    assert!(device["ceilings"].as_array().unwrap().len() > 1, "{device}");
    let tune = ["tune", "product.tw", "--seconds", "40", "--evaluations", "6"];
    let events = user.ok(&[&tune[..], &["--json"]].concat());
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "start");
    let result = events.last().unwrap();
    assert_eq!(result["event"], "result");
    for field in [
        "kernel",
        "sizes",
        "target",
        "best",
        "naive_ns",
        "speedup",
        "evaluated",
        "rejected",
        "record",
    ] {
        assert!(result.get(field).is_some(), "{field} is missing: {result}");
    }
    assert_eq!(result["evaluated"], 6);
    let record = result["record"].as_str().unwrap();
    let run = user.json(&["run", "product.tw", "--verify"]);
    assert_eq!(run["schedule"]["origin"], "stored");
    assert_eq!(run["outputs"][0]["verify"]["passed"], true);
    assert_eq!(run["schedule"]["text"], result["best"]["schedule"]);
    let best = user.json(&["best", "product.tw"]);
    assert_eq!(best["record"], record);
    assert!(user.json(&["list"])["records"].as_array().unwrap().len() > 1);
    let export = user.ok(&["export"]);
    assert!(export.lines().any(|line| line.contains(record)));
    // Another size is another task.
    user.fails(&["best", "product.tw", "--set", "larger"], 5, &["TW0806"]);
}

#[test]
fn an_interrupt_ends_a_run_with_what_it_has() {
    let user = User::new();
    let mut child = user
        .command(&["tune", "product.tw", "--seconds", "60", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    // Wait for a candidate that counts, then interrupt.
    events
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|event| event["role"] == "search" && event["status"] == "accepted")
        .unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let last = events.map(Result::unwrap).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
    let result: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(result["event"], "result");
    assert!(!result["record"].is_null(), "{result}");
    assert_eq!(user.json(&["best", "product.tw"])["record"], result["record"]);
}

#[test]
fn a_missing_runner_is_said() {
    let user = User::new();
    let output = user
        .command(&["tune", "product.tw", "--seconds", "5"])
        .env("TILEWRIGHT_RUNNER", user.path().join("no-runner"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
    assert!(stderr(&output).contains("no-runner"), "{}", stderr(&output));
}

#[test]
fn every_stage_of_every_catalogue_kernel_agrees() {
    let user = User::new();
    for entry in tilewright::kernels::all() {
        user.write("kernel.tw", entry.source);
        let explain = ["explain", "kernel.tw", "--set", "small_odd", "--verify-stages"];
        let json = user.json(&explain);
        assert_eq!(json["broken"], Value::Null, "{}: {json}", entry.name);
    }
}

#[test]
fn stages_of_a_polynomial_in_f64_agree() {
    let user = User::new();
    let body = "((x + 1) * x + 2) * x - 3";
    user.write("poly.tw", &format!("kernel poly(x: f64[i]) -> f64[i] {{ {body} }}\n"));
    for seed in ["1", "2", "3"] {
        let sizes = ["poly.tw", "--size", "i=1001", "--seed", seed];
        let json = user.json(&[&["explain", "--verify-stages"], &sizes[..]].concat());
        assert_eq!(json["broken"], Value::Null, "{json}");
    }
}

#[test]
fn describe_device_gives_the_target() {
    let user = User::new();
    let json = user.json(&["describe-device", "--no-measure"]);
    assert_eq!(json["target"]["backend"], "cpu");
    assert_eq!(json["target_hash"].as_str().unwrap().len(), 32);
}

#[test]
fn fmt_takes_several_files_and_standard_input() {
    let user = User::new();
    let canonical = user.ok(&["fmt", "product.tw"]);
    for (name, text) in [("a.tw", &canonical), ("b.tw", &KERNEL.replace('\n', "\r\n"))] {
        user.write(name, text);
    }
    user.write("faulty.tw", "kernel f(x: f32[i]) -> f32[i] { x + }\n");
    user.fails(&["fmt", "a.tw", "b.tw"], 2, &["--write", "--check"]);
    user.fails(
        &["fmt", "--check", "b.tw", "a.tw", "product.tw"],
        1,
        &["b.tw", "product.tw", "line 1"],
    );
    user.fails(
        &["fmt", "--check", "faulty.tw", "b.tw", "none.tw"],
        3,
        &["TW0102", "b.tw", "none.tw"],
    );
    user.fails(&["fmt", "--write", "none.tw", "b.tw"], 7, &["none.tw", "wrote b.tw"]);
    user.ok(&["fmt", "--check", "a.tw", "b.tw"]);
    user.fails(&["fmt", "--write", "faulty.tw"], 3, &["TW0102"]);
    assert!(std::fs::read_to_string(user.path().join("faulty.tw")).unwrap().contains("x + }"));
    let lines = user.ok(&["fmt", "--json", "a.tw", "product.tw"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["canonical"], &lines[1]["canonical"]), (&true.into(), &false.into()));
    let output = user
        .command(&["fmt", "-"])
        .stdin(std::fs::File::open(user.path().join("product.tw")).unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), canonical);
}

#[test]
fn fmt_is_a_fixed_point() {
    let user = User::new();
    let once = user.ok(&["fmt", "product.tw"]);
    user.write("once.tw", &once);
    assert_eq!(user.ok(&["fmt", "once.tw"]), once);
    user.ok(&["fmt", "once.tw", "--check"]);
    user.write("ugly.tw", "kernel   k( x:f32[i] )->f32[i]{x}\n");
    user.fails(&["fmt", "ugly.tw", "--check"], 1, &["canonical"]);
    user.ok(&["fmt", "ugly.tw", "--write"]);
    user.ok(&["fmt", "ugly.tw", "--check"]);
}

#[test]
fn a_closed_pipe_is_quiet() {
    let user = User::new();
    let mut child = user
        .command(&["explain", "product.tw"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("panicked") && !said.contains("pipe"), "{said}");
}

#[test]
fn help_documents_exit_codes_and_variables() {
    let help = User::new().ok(&["--help"]);
    for word in ["Exit codes", "TILEWRIGHT_STORE", "describe-device"] {
        assert!(help.contains(word), "{help}");
    }
}

/// The bytes of a .npy file of version 1 with this shape in its header.
fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn headers_of_arrays_are_not_believed() {
    let user = User::new();
    let run = ["run", "product.tw", "--input", "A=a.npy"];
    let shapes = [
        "(68719476736,)",
        "(0, 4611686018427387904, 4611686018427387904)",
        "(5, 4611686018427387904)",
        "(5, 8)",
        "()",
    ];
    for shape in shapes {
        std::fs::write(user.path().join("a.npy"), npy(shape, &[0; 140])).unwrap();
        user.fails(&run, 2, &["a.npy has shape", "m=5, k=7"]);
    }
    for shape in ["(-5, 7)", "(5, 9223372036854775808000)", "5, 7"] {
        std::fs::write(user.path().join("a.npy"), npy(shape, &[0; 140])).unwrap();
        user.fails(&run, 2, &["a.npy", "header"]);
    }
    std::fs::write(user.path().join("a.npy"), npy("(5, 7)", &[0; 139])).unwrap();
    user.fails(&run, 2, &["a.npy ends too early", "its header says", "numpy.save"]);
    user.fails(&["run", "product.tw", "--input", "A=/dev/zero"], 2, &["no .npy file"]);
}

#[test]
fn sizes_beyond_the_memory_are_refused() {
    let user = User::new();
    let size = "m=1000000,k=1000000,n=1000000";
    for command in [&["run"][..], &["explain", "--verify-stages"], &["tune", "--seconds", "2"]] {
        let arguments = [command, &["product.tw", "--size", size]].concat();
        user.fails(&arguments, 4, &["GB of memory are free", "product"]);
    }
}

#[test]
fn a_long_sum_has_legal_schedules_and_keeps_the_bound() {
    let user = User::new();
    user.write("total.tw", "kernel total(x: f32[i]) -> f32[] { sum[i](x) }\n");
    let run = ["run", "total.tw", "--size", "i=10000000", "--verify"];
    let json = user.json(&run);
    assert_eq!(json["outputs"][0]["verify"]["passed"], true, "{json}");
}

#[test]
fn twenty_thousand_names_pass_every_stage() {
    let user = User::new();
    let names: String = (1..20_000).map(|n| format!("a{n} = a{} + x\n", n - 1)).collect();
    let text = format!("kernel chain(x: f32[i]) -> f32[i] {{\na0 = x\n{names}a19999\n}}\n");
    user.write("chain.tw", &text);
    let json = user.json(&["explain", "chain.tw", "--size", "i=4", "--verify-stages"]);
    assert_eq!(json["broken"], Value::Null, "{json}");
}

#[test]
fn faults_of_a_file_name_the_file_and_command_no_terminal() {
    let user = User::new();
    std::fs::write(user.path().join("bytes.tw"), b"kernel k\n\xff").unwrap();
    user.fails(&["run", "bytes.tw"], 3, &["TW0107", "bytes.tw:2:1"]);
    let output = user.run(&["check", "bytes.tw", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["diagnostics"][0]["code"], "TW0107");
    user.write("red.tw", "kernel k(x: f32[i]) -> f32[i] { \u{1b}[31mred }\n");
    user.fails(&["check", "red.tw"], 3, &["?[31mred"]);
    assert!(!stderr(&user.run(&["check", "red.tw"])).contains('\u{1b}'));
    user.write("empty.tw", "");
    user.fails(&["run", "empty.tw"], 2, &["empty.tw has no kernel"]);
}
