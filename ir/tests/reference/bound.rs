//! The constants of the bound: honest f32 results always pass, dishonest ones fail.

use super::kernels::{attention, bind, finish, matmul, softmax};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_ir::base::{Row, additions_max};
use tilewright_ir::graph::{Graph, GraphBuilder};
use tilewright_ir::reference::naive::{self, Arithmetic};
use tilewright_ir::reference::{
    Family, HostTensor, Verdict, compare, compare_exact, draw, evaluate, integers_are_exact,
    round_to,
};
use tilewright_ir::{AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};

type Sum = fn(DType, &[f64]) -> f64;

const SEEDS: u64 = 1000;

fn lanes(dtype: DType, terms: &[f64], count: usize) -> f64 {
    let mut sums = vec![0.0; count];
    for (index, term) in terms.iter().enumerate() {
        let sum = &mut sums[index % count];
        *sum = round_to(dtype, *sum + term);
    }
    while sums.len() > 1 {
        sums = sums.chunks(2).map(|pair| round_to(dtype, pair.iter().sum())).collect();
    }
    sums[0]
}

/// Lanes, in blocks of at most so many additions in a row, then a tree.
fn blocked(dtype: DType, terms: &[f64], count: usize, chain: usize) -> f64 {
    let blocks = terms.chunks(chain * count);
    let mut sums: Vec<f64> = blocks.map(|block| lanes(dtype, block, count)).collect();
    while sums.len() > 1 {
        sums = sums.chunks(2).map(|pair| round_to(dtype, pair.iter().sum())).collect();
    }
    sums.first().copied().unwrap_or(0.0)
}

/// The longest chain such that no term passes through more than 16 + sqrt(K) additions; the tree behind the chains has fewer
/// than the pieces in a row that are counted.
fn chain_max(terms: usize) -> usize {
    match Row::new([terms as u64]).chain_within(additions_max(terms as u64), 1) {
        0 => terms.max(1),
        chain => chain as usize,
    }
}

fn honest(sum: Sum) -> Arithmetic {
    Arithmetic { round: round_to, sum }
}

const HONEST: [Sum; 4] = [
    |dtype, terms| blocked(dtype, terms, 1, chain_max(terms.len())),
    |dtype, terms| blocked(dtype, terms, 4, chain_max(terms.len())),
    |dtype, terms| blocked(dtype, terms, 16, chain_max(terms.len())),
    |dtype, terms| blocked(dtype, terms, 256, chain_max(terms.len())),
];

/// 1,024 additions in a row, which is honest unless the terms are equal.
const LONG_CHAIN: Sum = |dtype, terms| blocked(dtype, terms, 1, 1024);

fn result(graph: &Graph, inputs: &[HostTensor], arithmetic: Arithmetic) -> HostTensor {
    let values = naive::evaluate(graph, inputs, arithmetic).remove(0);
    let tensor = &graph.outputs[0].tensor;
    let shape: Vec<u64> = tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
    HostTensor::from_f64(tensor.dtype, &shape, values)
}

fn verdict(graph: &Graph, inputs: &[HostTensor], arithmetic: Arithmetic) -> Verdict {
    compare(&evaluate(graph, inputs)[0], &result(graph, inputs, arithmetic))
}

/// `sum[k](X[i,k])` in f32.
fn row_sum() -> Graph {
    let mut b = GraphBuilder::new("row_sum");
    let [i, k] = ["i", "k"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, k]);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), x);
    finish(b, &[i], DType::F32, sum)
}

fn unary_chain(op: UnaryOp) -> Graph {
    let mut b = GraphBuilder::new("chain");
    let i = b.axis("i");
    let x = b.input("X", DType::F32, &[i]);
    let y = b.input("Y", DType::F32, &[i]);
    // The operand has an allowance, so that the derivative is tested too.
    let product = b.binary(BinaryOp::Mul, x, y);
    let operand = b.binary(BinaryOp::Add, product, y);
    let found = b.unary(op, operand);
    finish(b, &[i], DType::F32, found)
}

fn binary_chain(op: BinaryOp) -> Graph {
    let mut b = GraphBuilder::new("chain");
    let i = b.axis("i");
    let x = b.input("X", DType::F32, &[i]);
    let y = b.input("Y", DType::F32, &[i]);
    let product = b.binary(BinaryOp::Mul, x, y);
    let quotient = b.binary(BinaryOp::Div, x, y);
    let found = b.binary(op, product, quotient);
    finish(b, &[i], DType::F32, found)
}

#[test]
fn honest_operators_pass() {
    let unary = UnaryOp::ALL.iter().filter(|&&op| op != UnaryOp::Not).map(|&op| unary_chain(op));
    let binary = BinaryOp::ALL[..7].iter().map(|&op| binary_chain(op));
    for graph in unary.chain(binary) {
        let graph = bind(&graph, &[("i", 32)]);
        let mut decided = 0;
        for seed in 0..SEEDS {
            let family = Family::ALL[seed as usize % Family::ALL.len()];
            let inputs = draw(&graph, family, seed);
            let verdict = verdict(&graph, &inputs, honest(HONEST[0]));
            let op = graph.nodes.last().unwrap().op;
            assert_eq!(verdict.wrong, 0, "{op:?} {} seed {seed}: {verdict:?}", family.name());
            decided += verdict.elements - verdict.undecided;
        }
        // Powers of negative numbers with inexact exponents are undecided.
        assert!(decided > SEEDS * 26, "{:?}: {decided}", graph.nodes.last());
    }
}

#[test]
fn honest_sums_pass() {
    let mut worst: f64 = 0.0;
    for seed in 0..SEEDS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let terms = [random.random_range(1..200), 1024, 3000][seed as usize % 3];
        let graph = bind(&row_sum(), &[("i", 2), ("k", terms)]);
        for &family in Family::ALL {
            let inputs = draw(&graph, family, seed);
            let expected = &evaluate(&graph, &inputs)[0];
            let rows = inputs[0].to_f64();
            let long = ![Family::Equal, Family::Behind].contains(&family);
            let long = long.then_some(LONG_CHAIN);
            for sum in HONEST.into_iter().chain(long) {
                let sums = rows.chunks(terms as usize).map(|row| sum(DType::F32, row));
                let verdict = compare(expected, &HostTensor::from_f64(DType::F32, &[2], sums));
                assert_eq!(
                    verdict.wrong,
                    0,
                    "{} K={terms} seed {seed}: {verdict:?}",
                    family.name()
                );
                worst = worst.max(verdict.worst_ratio);
            }
        }
    }
    println!("worst ratio of an honest sum: {worst:.3}");
}

#[test]
fn honest_attention_passes() {
    let sizes = [("b", 1), ("h", 1), ("i", 4), ("j", 9), ("d", 8), ("e", 3)];
    for dtype in [DType::F32, DType::Bf16] {
        let graph = bind(&attention(dtype), &sizes);
        for seed in 0..SEEDS {
            let family = Family::ALL[seed as usize % Family::ALL.len()];
            let inputs = draw(&graph, family, seed);
            let verdict = verdict(&graph, &inputs, honest(HONEST[seed as usize % 4]));
            assert_eq!(verdict.wrong, 0, "{} seed {seed}: {verdict:?}", family.name());
        }
    }
}

#[test]
fn a_long_chain_of_equal_terms_fails() {
    let graph = bind(&row_sum(), &[("i", 8), ("k", 1024)]);
    let failed = (0..20).filter(|&seed| {
        let inputs = draw(&graph, Family::Equal, seed);
        !verdict(&graph, &inputs, honest(LONG_CHAIN)).passed()
    });
    assert!(failed.count() > 5);
}

fn narrow_sum(_: DType, terms: &[f64]) -> f64 {
    lanes(DType::F16, terms, 16)
}

fn dropped(dtype: DType, terms: &[f64]) -> f64 {
    lanes(dtype, &terms[1..], 4)
}

fn rounded(inputs: &[HostTensor], dtype: DType) -> Vec<HostTensor> {
    let narrow = inputs.iter().map(|x| {
        let values = x.to_f64().into_iter().map(|value| round_to(dtype, value));
        HostTensor::from_f64(x.dtype, &x.shape, values)
    });
    narrow.collect()
}

#[test]
fn narrower_types_and_dropped_terms_fail() {
    for terms in [16, 64, 256, 1024, 4096] {
        let graph = bind(&matmul(DType::F32), &[("i", 8), ("j", 8), ("k", terms)]);
        for seed in 0..10 {
            let inputs = draw(&graph, Family::Normal, seed);
            let expected = &evaluate(&graph, &inputs)[0];
            assert!(compare(expected, &result(&graph, &inputs, honest(HONEST[1]))).passed());
            let wrong = [
                ("f16 inputs", rounded(&inputs, DType::F16), honest(HONEST[1])),
                ("bf16 inputs", rounded(&inputs, DType::Bf16), honest(HONEST[1])),
                ("f16 accumulator", inputs.clone(), honest(narrow_sum)),
                ("a dropped term", inputs.clone(), honest(dropped)),
            ];
            for (fault, inputs, arithmetic) in wrong {
                let verdict = compare(expected, &result(&graph, &inputs, arithmetic));
                assert!(!verdict.passed(), "{fault} K={terms} seed {seed}: {verdict:?}");
            }
        }
    }
}

#[test]
fn integers_are_exact_to_the_bit() {
    for (dtype, terms) in
        [(DType::F32, 40), (DType::F32, 1000), (DType::Bf16, 300), (DType::I8, 77)]
    {
        let graph = bind(&matmul(dtype), &[("i", 6), ("j", 7), ("k", terms)]);
        for seed in 0..50 {
            assert!(integers_are_exact(&graph, seed), "{dtype}");
            let inputs = draw(&graph, Family::Integers, seed);
            let expected = &evaluate(&graph, &inputs)[0];
            for sum in HONEST {
                let verdict = compare_exact(expected, &result(&graph, &inputs, honest(sum)));
                assert!(verdict.passed(), "{dtype} {verdict:?}");
            }
            let verdict = compare_exact(expected, &result(&graph, &inputs, honest(dropped)));
            assert!(!verdict.passed(), "a dropped term of {dtype}");
            if dtype == DType::F32 {
                let inputs = rounded(&inputs, DType::F16);
                let verdict = compare_exact(expected, &result(&graph, &inputs, honest(HONEST[0])));
                assert!(!verdict.passed(), "f16 inputs, K={terms} seed {seed}");
            }
        }
    }
}

#[test]
fn integers_are_not_promised_where_operations_round() {
    let mut b = GraphBuilder::new("softmax");
    let [i, j] = ["i", "j"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, j]);
    let p = softmax(&mut b, j, x);
    let graph = bind(&finish(b, &[i, j], DType::F32, p), &[("i", 2), ("j", 4)]);
    assert!(!integers_are_exact(&graph, 1));
}
