//! Sizes that a recursion, a tree or a search over everything would not survive.

use super::graphs::{self, Kernel};
use super::target;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tilewright_ir::base::{BinaryOp, UnaryOp};
use tilewright_ir::graph::{Graph, GraphBuilder};
use tilewright_ir::schedule::Space;
use tilewright_ir::{lower, plan, tile};

/// A chain of `length` element-wise nodes around a sum.
fn chain(length: usize) -> Graph {
    let mut kernel = Kernel::new("chain", &[("i", 2), ("j", 3)]);
    let mut x = kernel.input("X", "ij");
    for _ in 0..length / 2 {
        x = kernel.times(x, 0.5);
    }
    let mut y = kernel.sum("j", x);
    for _ in 0..length / 2 {
        y = kernel.un(UnaryOp::Neg, y);
        y = kernel.bin(BinaryOp::Max, y, y);
    }
    kernel.output("Y", "i", y);
    kernel.finish()
}

#[test]
fn sixty_squarings_stay_sixty_lets() {
    let plan = plan::build(&graphs::squarings());
    assert_eq!(plan.passes[0].result_lets.len(), 59);
}

#[test]
fn a_hundred_thousand_nodes_plan_and_lower() {
    let short = plan::build(&chain(10_000));
    assert_eq!(plan::parse(&plan::print(&short)).unwrap(), short);
    let graph = chain(100_000);
    assert!(graph.nodes.len() > 100_000);
    let plan = plan::build(&graph);
    plan::verify(&plan).unwrap();
    let space = Space::new(&plan, &target());
    let program = lower::lower_in(&space, &space.default_schedule()).unwrap();
    assert_eq!(program.phases.len(), 1);
}

/// `length` values, each made of the two before it; every fourth multiplies by a sum over one of them.
fn shared(length: usize) -> Graph {
    let mut kernel = Kernel::new("shared", &[("i", 4), ("j", 8)]);
    let mut before = kernel.input("X", "ij");
    let mut last = kernel.times(before, 1.5);
    for index in 0..length {
        let next = match index % 4 {
            0 => {
                let sum = kernel.sum("j", before);
                kernel.bin(BinaryOp::Mul, last, sum)
            }
            _ => kernel.bin(BinaryOp::Add, last, before),
        };
        (before, last) = (last, next);
    }
    kernel.output("Y", "ij", last);
    kernel.finish()
}

#[test]
fn programs_grow_with_their_text() {
    let length = |count| {
        let plan = plan::build(&shared(count));
        plan::verify(&plan).unwrap();
        let space = Space::new(&plan, &target());
        let program = lower::lower_in(&space, &space.default_schedule()).unwrap();
        tile::verify(&program, &target()).unwrap();
        (plan::print(&plan).len(), tile::print(&program).len())
    };
    let (short, long) = (length(200), length(800));
    assert!(long.0 < 6 * short.0 && long.1 < 6 * short.1, "{short:?} {long:?}");
}

#[test]
fn real_sizes_have_legal_schedules() {
    let graphs = [
        graphs::matmul(4096, 11008, 4096),
        graphs::linear_gelu(1, 4096, 4096),
        graphs::softmax(4096, 131_072),
        graphs::layernorm(8192, 8192),
        graphs::attention(32, 2046, 128),
    ];
    for graph in graphs {
        let plan = plan::build(&graph);
        let space = Space::new(&plan, &target());
        let default = space.default_schedule();
        let mut schedules = vec![default.clone(), space.naive_schedule()];
        schedules.extend((0..50).map(|seed| space.sample(&mut ChaCha8Rng::seed_from_u64(seed))));
        let drawn = schedules.iter().skip(2).filter(|schedule| **schedule != default).count();
        assert!(drawn > 40, "{}: {drawn} of 50 are drawn", graph.name);
        for schedule in schedules {
            let program = lower::lower_in(&space, &schedule).unwrap();
            let verified = tile::verify(&program, &target());
            assert!(verified.is_ok(), "{verified:?}\n{}", tile::print(&program));
        }
    }
}

#[test]
fn names_that_are_words_of_the_text_are_quoted_or_fresh() {
    // Names of nodes that are words of the text, or no words at all, reach the plan as fresh identifiers.
    let mut builder = GraphBuilder::new("names");
    let i = builder.axis("i");
    let x = builder.input("let", tilewright_ir::DType::F32, &[i]);
    let e = builder.unary(UnaryOp::Exp, x);
    builder.name(e, "yield me");
    let sum = builder.reduce(tilewright_ir::ReduceOp::Sum, [i].into_iter().collect(), e);
    builder.name(sum, "let");
    let y = builder.binary(BinaryOp::Div, e, sum);
    let axes = vec![i];
    let tensor = tilewright_ir::graph::Tensor::new("i", tilewright_ir::DType::F32, &axes);
    let graph = builder.finish(vec![tilewright_ir::graph::Output { tensor, node: y }]);
    let plan = plan::build(&graph.bind(&[("i".to_string(), 5)].into()).unwrap());
    assert_eq!(plan::parse(&plan::print(&plan)).unwrap(), plan);
    let space = Space::new(&plan, &target());
    let program = lower::lower_in(&space, &space.default_schedule()).unwrap();
    assert_eq!(tile::parse(&tile::print(&program)).unwrap(), program);
}

#[test]
fn every_kernel_of_the_catalogue_lowers() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "tw")).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let checked = tilewright_ir::check::check(&std::fs::read_to_string(&file).unwrap());
        for kernel in checked.unwrap().kernels {
            for (name, sizes) in &kernel.size_sets {
                let plan = plan::build(&kernel.bind(sizes).unwrap());
                plan::verify(&plan).unwrap();
                let space = Space::new(&plan, &target());
                let sample = |seed| space.sample(&mut ChaCha8Rng::seed_from_u64(seed));
                let mut schedules = vec![space.default_schedule(), space.naive_schedule()];
                schedules.extend((0..5).map(sample));
                for schedule in schedules {
                    let program = lower::lower_in(&space, &schedule)
                        .unwrap_or_else(|faults| panic!("{} {name}: {faults:?}", plan.name));
                    let verified = tile::verify(&program, &target());
                    assert!(verified.is_ok(), "{name}: {verified:?}\n{}", tile::print(&program));
                }
            }
        }
    }
}
