//! The kept texts of plans, default schedules and their tile programs. `BLESS=1` writes them anew; read the diff.

use super::{graphs, target};
use std::fs;
use std::path::{Path, PathBuf};
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::{Schedule, Space};
use tilewright_ir::{lower, plan, tile};

/// Graph, and what its files show.
fn cases() -> Vec<(&'static str, &'static str, Graph)> {
    vec![
        ("matmul", "a contraction in one pass", graphs::matmul(512, 384, 640)),
        ("linear_gelu", "an epilogue on a contraction", graphs::linear_gelu(256, 512, 128)),
        ("softmax", "an optional map that two passes read", graphs::softmax(64, 1000)),
        ("layernorm", "a pass that reads the mean", graphs::layernorm(128, 768)),
        ("attention", "a chain of fused passes", graphs::attention(4, 510, 64)),
        ("rolled_attention", "passes in a group", graphs::rolled_attention(4, 510, 64)),
        ("squarings", "lets where a tree would explode", graphs::squarings()),
        ("gated", "two states of one pass", graphs::gated()),
        ("corners", "outputs of every kind", graphs::corners()),
        ("scans", "passes that scan, and what reads them", graphs::scans(48, 1000)),
        ("searches", "positions as minima", graphs::searches(48, 1000)),
    ]
}

fn folder(level: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files").join(level)
}

/// Compares a text with the kept one.
fn kept(level: &str, name: &str, header: &str, text: &str, complaints: &mut Vec<String>) -> String {
    let extension = if level == "lower" { "tile" } else { level };
    let path = folder(level).join(format!("{name}.{extension}"));
    let text = format!("# {header}\n{text}");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found != text {
        complaints.push(format!("{} is not what is printed now:\n{text}", path.display()));
    }
    found
}

#[test]
fn texts_are_as_kept() {
    let mut complaints = vec![];
    for (name, shows, graph) in cases() {
        let plan = plan::build(&graph);
        let header = format!("{name}: {shows}");
        let text = kept("plan", name, &header, &plan::print(&plan), &mut complaints);
        assert_eq!(plan::parse(&text), Ok(plan.clone()), "{name}");
        let space = Space::new(&plan, &target());
        let schedule = space.default_schedule();
        let header = format!("{name}: the default schedule on the test machine");
        let text = kept("schedule", name, &header, &schedule.print(), &mut complaints);
        assert_eq!(Schedule::parse(&text), Ok(schedule.clone()), "{name}");
        let header = format!("{name}: the default schedule, lowered");
        let program = lower::lower(&plan, &schedule, &target()).unwrap();
        let text = kept("lower", name, &header, &tile::print(&program), &mut complaints);
        assert_eq!(tile::parse(&text), Ok(program), "{name}");
    }
    assert!(complaints.is_empty(), "{}\nBLESS=1 keeps these texts", complaints.join("\n"));
}
