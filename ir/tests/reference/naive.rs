//! The evaluator agrees with the naive one on random graphs, sizes and inputs.
//!
//! A graph that computes in f64 is judged in double-double, so there the naive evaluator is an honest implementation
//! and has to pass.

use super::kernels::{bind, wide};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_ir::graph::{Graph, GraphBuilder, NodeId, Output, Tensor, verify};
use tilewright_ir::reference::naive::{self, Arithmetic};
use tilewright_ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright_ir::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

type Random = ChaCha8Rng;

fn some_axes(axes: &[AxisId], random: &mut Random) -> Vec<AxisId> {
    axes.iter().copied().filter(|_| random.random()).collect()
}

fn pick(builder: &GraphBuilder, known: &[NodeId], dtype: DType, random: &mut Random) -> NodeId {
    let fitting: Vec<NodeId> =
        known.iter().copied().filter(|&node| builder.node(node).dtype == dtype).collect();
    *fitting.choose(random).expect("every type has a node")
}

/// Adds one random operation.
fn grow(b: &mut GraphBuilder, known: &[NodeId], dtype: DType, random: &mut Random) -> NodeId {
    let x = pick(b, known, dtype, random);
    let y = pick(b, known, dtype, random);
    let axes: Vec<AxisId> = b.node(x).axes.iter().collect();
    match random.random_range(0..9) {
        0 => b.unary(*UnaryOp::ALL[..15].choose(random).unwrap(), x),
        1 | 2 => b.binary(*BinaryOp::ALL[..6].choose(random).unwrap(), x, y),
        3 => b.binary(BinaryOp::Mul, x, y),
        4 => {
            let z = pick(b, known, dtype, random);
            let c = b.compare(*CompareOp::ALL.choose(random).unwrap(), x, y);
            b.select(c, y, z)
        }
        5 | 6 if !axes.is_empty() => {
            let mut reduced: AxisSet = some_axes(&axes, random).into_iter().collect();
            reduced |= AxisSet::one(*axes.choose(random).unwrap());
            let op =
                *[ReduceOp::Sum, ReduceOp::Sum, ReduceOp::Product, ReduceOp::Max, ReduceOp::Min]
                    .choose(random)
                    .unwrap();
            let product = b.binary(BinaryOp::Mul, x, y);
            let x = if op == ReduceOp::Sum { product } else { x };
            b.reduce(op, reduced, x)
        }
        7 if !axes.is_empty() => {
            let axis = AxisSet::one(*axes.choose(random).unwrap());
            let op = *[ReduceOp::Argmax, ReduceOp::Argmin].choose(random).unwrap();
            let found = b.reduce(op, axis, x);
            b.cast(dtype, found)
        }
        8 if !axes.is_empty() => {
            let axis = *axes.choose(random).unwrap();
            let ops = [ReduceOp::Sum, ReduceOp::Product, ReduceOp::Max, ReduceOp::Min];
            b.scan(*ops.choose(random).unwrap(), axis, x)
        }
        _ => {
            let narrow = b.cast(DType::Bf16, x);
            b.cast(dtype, narrow)
        }
    }
}

fn random_graph(input: DType, random: &mut Random) -> Graph {
    let mut b = GraphBuilder::new("random");
    let axes: Vec<AxisId> = ["i", "j", "k", "l"].iter().map(|name| b.axis(name)).collect();
    let dtype = wide(input);
    let mut known = vec![];
    for name in ["X", "Y", "Z"] {
        let axes = some_axes(&axes, random);
        let x = b.input(name, input, &axes);
        known.push(b.cast(dtype, x));
    }
    let index = b.index(*axes.choose(random).unwrap());
    known.push(b.cast(dtype, index));
    known.push(b.literal(0.5, dtype));
    for _ in 0..random.random_range(1..9) {
        let node = grow(&mut b, &known, dtype, random);
        known.push(node);
    }
    let mut outputs = vec![];
    for name in ["out", "second"].into_iter().take(random.random_range(1..3)) {
        let node =
            if name == "out" { known[known.len() - 1] } else { pick(&b, &known, dtype, random) };
        // An output may be repeated along axes that its value lacks, and have any order.
        let mut order: Vec<AxisId> = b.node(node).axes.iter().collect();
        if random.random_range(0..4) == 0 {
            order = axes.clone();
        }
        order.reverse();
        outputs.push(Output { tensor: Tensor::new(name, dtype, &order), node });
    }
    b.finish(outputs)
}

fn random_case(input: DType, seed: u64) -> (Graph, Vec<HostTensor>) {
    let mut random = Random::seed_from_u64(seed);
    let graph = random_graph(input, &mut random);
    assert_eq!(verify(&graph), Ok(()), "seed {seed}");
    let long = random.random_range(0..4);
    let extents: Vec<(&str, u64)> = ["i", "j", "k", "l"]
        .into_iter()
        .enumerate()
        .map(|(place, name)| (name, random.random_range(1..if place == long { 40 } else { 6 })))
        .collect();
    let used: Vec<(&str, u64)> =
        extents.into_iter().filter(|(name, _)| graph.axes.find(name).is_some()).collect();
    let graph = bind(&graph, &used);
    let family = *Family::ALL.choose(&mut random).unwrap();
    let inputs = draw(&graph, family, seed);
    (graph, inputs)
}

#[test]
fn random_graphs_have_the_values_of_the_naive_evaluator() {
    let mut elements = 0;
    for seed in 0..3000 {
        let (graph, inputs) = random_case([DType::F32, DType::Bf16][seed as usize % 2], seed);
        let all = naive::evaluate(&graph, &inputs, Arithmetic::exact());
        for (expected, naive) in evaluate(&graph, &inputs).iter().zip(&all) {
            assert_eq!(expected.values.len(), naive.len(), "seed {seed}");
            for (index, (&value, &other)) in expected.values.iter().zip(naive).enumerate() {
                let allowance = expected.allowances[index];
                assert!(allowance >= 0.0, "seed {seed} element {index}");
                // A small part of what an f32 computation may be off by, near 1e-12 of the terms; all of it where a
                // function of steps or waves has cut it off.
                let share = if allowance > 1e-2 * value.abs() { 1.0 } else { 1e-5 };
                let near = (value - other).abs() <= share * allowance + 1e-12 * value.abs();
                let same = value == other || (value.is_nan() && other.is_nan());
                assert!(near || same, "seed {seed} element {index}: {value} {other}\n{graph:#?}");
                elements += u64::from(allowance.is_finite());
            }
        }
    }
    assert!(elements > 100_000, "{elements}");
}

#[test]
fn kernels_in_f64_are_judged_in_double_double() {
    let mut judged = 0;
    for seed in 0..1000 {
        let (graph, inputs) = random_case(DType::F64, seed);
        let all = naive::evaluate(&graph, &inputs, Arithmetic::exact());
        for ((expected, naive), output) in
            evaluate(&graph, &inputs).iter().zip(&all).zip(&graph.outputs)
        {
            let axes = output.tensor.axes.iter();
            let shape: Vec<u64> = axes.map(|&axis| graph.axes.extent(axis)).collect();
            let got = HostTensor::from_f64(DType::F64, &shape, naive.iter().copied());
            let verdict = compare(expected, &got);
            assert!(verdict.wrong == 0, "seed {seed}: {verdict:?}\n{graph:#?}");
            judged += verdict.elements - verdict.undecided;
        }
    }
    assert!(judged > 20_000, "{judged}");
}
