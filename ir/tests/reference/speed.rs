//! The reference is fast enough to judge large cases, and its numbers do not depend on threads.

use super::kernels::{attention, bind, matmul};
use std::time::SystemTime;
use tilewright_ir::DType;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{Family, draw, evaluate};

fn seconds(graph: &Graph) -> f64 {
    let inputs = draw(graph, Family::Normal, 1);
    let start = SystemTime::now();
    let expected = evaluate(graph, &inputs);
    let seconds = start.elapsed().unwrap().as_secs_f64();
    assert!(expected[0].values.iter().all(|value| value.is_finite()));
    assert_eq!(expected[0].undecided, 0);
    println!("{}: {seconds:.2} s", graph.name);
    seconds
}

#[test]
fn large_cases_take_about_a_second() {
    let graph = bind(&matmul(DType::F32), &[("i", 1024), ("j", 1024), ("k", 1024)]);
    // A wide margin: the machine may be busy.
    assert!(seconds(&graph) < 20.0);
    let sizes = [("b", 1), ("h", 16), ("i", 512), ("j", 512), ("d", 128), ("e", 128)];
    assert!(seconds(&bind(&attention(DType::F32), &sizes)) < 20.0);
}

#[test]
fn threads_do_not_change_a_bit() {
    let sizes = [("b", 1), ("h", 3), ("i", 70), ("j", 300), ("d", 24), ("e", 17)];
    for graph in [
        bind(&attention(DType::F32), &sizes),
        bind(&matmul(DType::Bf16), &[("i", 67), ("j", 130), ("k", 517)]),
    ] {
        let inputs = draw(&graph, Family::Normal, 3);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| evaluate(&graph, &inputs))
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
    }
}
