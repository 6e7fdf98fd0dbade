//! Plans, schedules and lowerings of a set of graphs, checked against each other.

use tilewright_ir::base::{BinaryOp, DType, ReduceOp};
use tilewright_ir::graph::{Graph, GraphBuilder, Output, Tensor};
use tilewright_ir::schedule::Space;
use tilewright_ir::target::{MemoryLevel, Target};
use tilewright_ir::{lower, plan, tile};

fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        threads: 2,
        memory: vec![level("L1", 32 << 10), level("L2", 1 << 20)],
    }
}

fn matmul(m: u64, n: u64, k: u64) -> Graph {
    let mut builder = GraphBuilder::new("matmul");
    let [am, an, ak] = ["m", "n", "k"].map(|name| builder.axis(name));
    let a = builder.input("A", DType::F32, &[am, ak]);
    let b = builder.input("B", DType::F32, &[ak, an]);
    let product = builder.binary(BinaryOp::Mul, a, b);
    let sum = builder.reduce(ReduceOp::Sum, [ak].into_iter().collect(), product);
    let tensor = Tensor { name: "C".to_string(), dtype: DType::F32, axes: vec![am, an] };
    let graph = builder.finish(vec![Output { tensor, node: sum }]);
    graph.bind(&[("m", m), ("n", n), ("k", k)].map(|(a, b)| (a.to_string(), b)).into()).unwrap()
}

#[test]
fn smoke() {
    let plan = plan::build(&matmul(512, 512, 512));
    let space = Space::new(&plan, &target());
    println!("{}", space.default_schedule().print());
    println!("{}", space.naive_schedule().print());
    let program = lower::lower(&plan, &space.default_schedule(), &target()).unwrap();
    println!("{}", tile::print(&program));
    let program = lower::lower(&plan, &space.naive_schedule(), &target()).unwrap();
    println!("{}", tile::print(&program));
}
