//! What the user is told about a wrong schedule or plan text: one case for each code.

use super::graphs;
use super::target;
use rand::SeedableRng as _;
use tilewright_ir::plan;
use tilewright_ir::schedule::{Schedule, Space};

fn space(graph: &tilewright_ir::graph::Graph) -> Space {
    Space::new(&plan::build(graph), &target())
}

/// The codes that a schedule of the given lines is refused with.
fn codes(space: &Space, kernel: &str, lines: &str) -> Vec<&'static str> {
    let text = format!("schedule {kernel} {{ {lines}\n }}");
    let schedule = Schedule::parse(&text).unwrap();
    let faults = space.check(&schedule).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.code).collect()
}

#[test]
fn every_fault_has_its_code() {
    let space = space(&graphs::matmul(64, 64, 4096));
    let legal = "choose C.grid.m = 16 choose C.grid.order = (n, m) # a comment";
    let cases = [
        ("matmul", legal, vec![]),
        ("other", "", vec!["TW0401"]),
        ("matmul", "choose C.grid.x = 1 choose D.store = no", vec!["TW0402", "TW0402"]),
        ("matmul", "choose threads = 1 choose threads = 2", vec!["TW0403"]),
        ("matmul", "choose C.grid.m = 5", vec!["TW0404"]),
        ("matmul", "choose C.grid.order = (m)", vec!["TW0404"]),
        ("matmul", "choose C.vector = m # no buffer is contiguous along m", vec!["TW0404"]),
        ("matmul", "choose C.vector = n choose C.micro.n = 6", vec!["TW0405"]),
        ("matmul", "choose C.grid.n = 6", vec!["TW0405"]),
        ("matmul", "choose C.block.k = 2", vec!["TW0405"]),
        ("matmul", "choose C.micro.m = 8", vec!["TW0405"]),
    ];
    for (kernel, lines, wanted) in cases {
        assert_eq!(codes(&space, kernel, lines), wanted, "{lines}");
    }
}

#[test]
fn fixed_settings_hold_in_every_schedule() {
    let mut space = space(&graphs::attention(16, 64, 64));
    let lines = "choose threads = 1 choose O.vector = e choose O.micro.e = 16";
    let fixed = Schedule::parse(&format!("schedule attention {{ {lines} }}")).unwrap().settings;
    space.fix(&fixed).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut schedule = space.default_schedule();
    for round in 0..100 {
        for setting in &fixed {
            assert_eq!(schedule.get(&setting.name), Some(&setting.value), "round {round}");
        }
        space.check(&schedule).unwrap();
        let near = round % 2 == 0;
        schedule = if near { space.neighbour(&schedule, &mut rng) } else { space.sample(&mut rng) };
    }
    let illegal = Schedule::parse("schedule attention { choose threads = 3 }").unwrap().settings;
    assert_eq!(space.fix(&illegal).unwrap_err()[0].code, "TW0404");
}

#[test]
fn fixed_settings_that_break_a_rule_say_which() {
    let mut space = space(&graphs::matmul(64, 64, 4096));
    let lines = "choose C.vector = n choose C.grid.n = 6";
    let fixed = Schedule::parse(&format!("schedule matmul {{ {lines} }}")).unwrap().settings;
    let fault = &space.fix(&fixed).unwrap_err()[0];
    assert_eq!(fault.message, "a step of 6 cuts the vectors along n");
    assert_eq!(fault.found.as_deref(), Some("C.grid.n = 6"));
}

#[test]
fn too_much_memory_is_refused() {
    let space = space(&graphs::attention(16, 4094, 64));
    let found = codes(&space, "attention", "choose s.grid.i = 4094");
    assert_eq!(found, ["TW0406"]);
}

#[test]
fn schedule_texts_that_are_wrong_say_where() {
    for text in
        ["", "schedule", "schedule m { choose }", "schedule m { choose a = }", "schedule m {} x"]
    {
        let faults = Schedule::parse(text).unwrap_err();
        assert!(
            faults.iter().all(|fault| fault.code == "TW0502" && fault.span.is_some()),
            "{text}"
        );
    }
}

#[test]
fn broken_plans_are_refused() {
    let head = "plan p { extents i=2, j=3 input A: f32[i, j] output B: f32[i]";
    let bodies = [
        "}",
        "pass B[i] { result B = load B } }",
        "pass B[i] { result B = load A } }",
        "pass B[i] stream [j] { result B = 0 } }",
        "pass B[i] stream [j] { state s = sum(load A) result B = i32(s) } }",
        "pass B[i] stream [j] { state s = any(load A) result B = 0 } }",
        "pass B[i] stream [j] { state s = sum(load A + 1i32) result B = s } }",
        "pass B[j] { result B = 0 } }",
        "pass B[i] { result B = 0 } pass C[i] { result B = 0 } }",
        "pass B[i] { result B = reduce sum[j](load A) } }",
        "pass B[i] optional { result B = 0 } }",
        "pass B[i] stream [j] { state s = argmax(load A) result B = f32(s) } }",
        "pass B[i] scan [j] { state s = sum(load A) result B = s } }",
        "pass B[i] scan [i] { state s = sum(1) result B = s + 1 } }",
        "pass B[i] scan [i] { state s = sum(1) let t = s result B = t } }",
        "pass B[i] scan [i] { result B = 1 } }",
        "pass B[i] scan [i] { state s = sum(1) state t = max(1) result B = s } }",
        "pass B[i] scan [i] { state s = any(true) result B = 1 } }",
    ];
    for body in bodies {
        let plan = plan::parse(&format!("{head} {body}")).unwrap();
        assert!(plan::verify(&plan).is_err(), "{body}");
    }
    for text in [
        "plan p { input A: f32[x] }",
        "plan p { extents i=1, i=2 }",
        "plan p { pass q { let x = y } }",
    ] {
        assert!(plan::parse(text).is_err(), "{text}");
    }
}
