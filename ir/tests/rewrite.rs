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

use tilewright_ir::graph::Graph;
use tilewright_ir::plan;
use tilewright_ir::reference::{self, Family, HostTensor, compare};

fn judge(what: &str, bound: &Graph, form: &Graph) -> usize {
    let mut wrong = 0;
    let plan = plan::build(form);
    plan::verify(&plan).unwrap_or_else(|faults| panic!("{what}: {faults:?}\n{}", form.print()));
    for &family in Family::ALL {
        for seed in 0..9 {
            let inputs = reference::draw(bound, family, seed);
            let expected = reference::evaluate(bound, &inputs);
            for block in [1, 2, 3, 64] {
                let got = plan::interpret_in_blocks(&plan, &inputs, block);
                for ((expected, got), output) in expected.iter().zip(&got).zip(&bound.outputs) {
                    let shape = output.tensor.shape(&bound.axes);
                    let got =
                        HostTensor::from_f64(output.tensor.dtype, &shape, got.iter().copied());
                    let verdict = compare(expected, &got);
                    if verdict.wrong > 0 {
                        println!(
                            "WRONG {what} {} seed {seed} block {block}: {verdict:?}",
                            family.name()
                        );
                        wrong += 1;
                    }
                }
            }
        }
    }
    wrong
}

#[test]
fn numbers() {
    let path = std::env::var("TW").unwrap_or("../kernels/attention.tw".into());
    let text = std::fs::read_to_string(path).unwrap();
    let file = check::check(&text).unwrap();
    let mut wrong = 0;
    for kernel in &file.kernels {
        let rewriter = Rewriter::new(&kernel.graph, Limits::default());
        for round in 0..6_u64 {
            let mut sizes = Sizes::new();
            for (position, axis) in kernel.graph.axes.ids().enumerate() {
                let extents = [1, 2, 3, 5, 7, 4];
                let extent = extents
                    [(position as u64 * 7 + round * 5 + position as u64 * round) as usize % 6];
                let extent = if round == 5 && position == 0 { 0 } else { extent };
                sizes.insert(kernel.graph.axes.name(axis).to_string(), extent);
            }
            let Ok(bound) = kernel.bind(&sizes) else { continue };
            if bound.axes.volume(bound.axes.ids().collect()) > 400 {
                continue;
            }
            for form in rewriter.forms(&bound, &target(), 6) {
                wrong += judge(
                    &format!("{} {sizes:?} {:?}", kernel.graph.name, form.passes),
                    &bound,
                    &form.graph,
                );
            }
        }
    }
    assert_eq!(wrong, 0);
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

#[test]
fn lowers() {
    let path = std::env::var("TW").unwrap_or("../kernels/attention.tw".into());
    let text = std::fs::read_to_string(path).unwrap();
    let file = check::check(&text).unwrap();
    for kernel in &file.kernels {
        let (_, sizes) = kernel.size_sets.last().cloned().unwrap_or_else(|| (String::new(), Sizes::new()));
        let graph = kernel.bind(&sizes).unwrap();
        let rewriter = Rewriter::new(&kernel.graph, Limits::default());
        for form in rewriter.forms(&graph, &target(), 4) {
            let plan = plan::build(&form.graph);
            let space = tilewright_ir::schedule::Space::new(&plan, &target());
            for schedule in [space.default_schedule(), space.naive_schedule()] {
                match tilewright_ir::lower::lower_in(&space, &schedule) {
                    Err(faults) => println!("{}: {faults:?}", kernel.graph.name),
                    Ok(program) => if let Err(faults) = tilewright_ir::tile::verify(&program, &target()) {
                        println!("{}\n{}\n{}\n{}", faults[0], plan::print(&plan), schedule.print(), tilewright_ir::tile::print(&program));
                    }
                }
            }
        }
    }
}
