//! Measures how the e-graph and its time grow with a kernel, and draws the plot.
//!
//! `cargo run --release --example plot_growth -- FOLDER` writes `egraph_growth.json` and `egraph_growth.svg` into the folder;
//! `-- FOLDER --draw` only draws the plot of the record that lies there. The kernels are n residual layers
//! `p + softmax[j](p * w)`, nine operators each. Invariant: each time is the median of several runs.

use serde_json::{Value, json};
use std::path::Path;
use tilewright::Kernel;
use tilewright::draw::{Plot, Series};
use tilewright::ir::rewrite::{Limits, Rewriter};

const LAYERS: [usize; 8] = [1, 2, 3, 4, 5, 6, 8, 10];
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("the folder of the record is missing")?;
    let path = Path::new(folder).join("egraph_growth.json");
    if arguments.get(1).is_none_or(|word| word != "--draw") {
        std::fs::write(&path, format!("{}\n", record()?))?;
    }
    let record: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    std::fs::write(path.with_extension("svg"), plot(&record).svg())?;
    Ok(())
}

/// The text of a kernel with so many layers.
fn text(layers: usize) -> String {
    let mut text = String::from("kernel layers(x: f32[i,j], w: f32[j]) -> f32[i,j] {\n  p0 = x\n");
    for layer in 0..layers {
        let next = layer + 1;
        text.push_str(&format!("  p{next} = p{layer} + softmax[j](p{layer} * w)\n"));
    }
    text + &format!("  p{layers}\n}}\nsizes small {{ i=64, j=256 }}\n")
}

fn record() -> Result<Value, Box<dyn std::error::Error>> {
    let mut rows = vec![];
    for layers in LAYERS {
        let kernel = Kernel::parse(&text(layers))?;
        let bound = kernel.bind_sizes(&kernel.size_sets()[0].1)?;
        let graph = bound.graph();
        let mut times = vec![];
        let mut last = None;
        for _ in 0..RUNS {
            let rewriter = Rewriter::new(graph, Limits::default());
            times.push(rewriter.growth.time_us);
            last = Some(rewriter.growth);
        }
        times.sort_unstable();
        let growth = last.expect("there are runs");
        rows.push(json!({
            "operators": 9 * layers, "nodes": growth.nodes, "classes": growth.classes,
            "iterations": growth.iterations, "time_ms": times[RUNS / 2] as f64 / 1e3,
            "stop_reason": growth.stop_reason,
        }));
    }
    let kernel = "n residual layers p + softmax[j](p * w), nine operators each";
    Ok(json!({"event": "egraph_growth", "kernel": kernel, "runs": RUNS, "rows": rows}))
}

fn plot(record: &Value) -> Plot {
    let rows = record["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let series = |name: &str, key: &str| Series {
        name: name.to_string(),
        points: rows
            .iter()
            .map(|row| (row["operators"].as_f64().unwrap_or(0.0), row[key].as_f64().unwrap_or(0.0)))
            .collect(),
    };
    Plot {
        title: "The e-graph of a growing kernel".to_string(),
        subtitle: record["kernel"].as_str().unwrap_or_default().to_string(),
        across: "operators of the kernel".to_string(),
        series: vec![series("nodes", "nodes"), series("time in ms", "time_ms")],
    }
}
