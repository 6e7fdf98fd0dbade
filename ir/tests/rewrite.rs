//! Forms.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use tilewright_ir::base::Sizes;
use tilewright_ir::check;
use tilewright_ir::rewrite::{Limits, Rewriter};
use tilewright_ir::target::{MemoryLevel, Target};

fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".into(),
        isa: "x86_64".into(),
        features: vec![],
        chip: String::new(),
        vector_bytes: 16,
        vector_registers: 16,
        threads: 2,
        memory: vec![
            level("L1", 32768),
            level("L2", 1 << 20),
            level("L3", 1 << 24),
            level("memory", 0),
        ],
    }
}

#[test]
fn show() {
    let path = std::env::var("TW").unwrap_or("../kernels/attention.tw".into());
    let text = std::fs::read_to_string(path).unwrap();
    let file = check::check(&text).unwrap();
    for kernel in &file.kernels {
        let (_, sizes) =
            kernel.size_sets.last().cloned().unwrap_or_else(|| (String::new(), Sizes::new()));
        let graph = kernel.bind(&sizes).unwrap();
        let start = std::time::Instant::now();
        let rewriter = Rewriter::new(&kernel.graph, Limits::default());
        let grown = start.elapsed();
        let forms = rewriter.forms(&graph, &target(), 4);
        println!("{} {:?} {grown:?} {:?}", kernel.graph.name, rewriter.growth, start.elapsed());
        for form in forms {
            println!("{:.0} ns {:?}", form.predicted_ns, form.passes);
            if std::env::var("V").is_ok() {
                println!("{}", form.graph.print());
            }
        }
    }
}
