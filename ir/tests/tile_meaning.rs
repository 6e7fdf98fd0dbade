//! What the hand-written tile programs compute, against the mathematics written out in loops of f64.
//!
//! One test for each file of `tests/files/tile` that has a meaning of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::{Rng, SeedableRng};
use std::path::Path;
use tilewright_ir::base::DType;
use tilewright_ir::reference::HostTensor;
use tilewright_ir::tile::{TileProgram, interpret, parse};

fn program(name: &str) -> TileProgram {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/tile");
    parse(&std::fs::read_to_string(root.join(format!("{name}.tile"))).unwrap()).unwrap()
}

/// Inputs of small numbers, different for each program, always the same for one.
fn inputs(program: &TileProgram) -> Vec<HostTensor> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(program.name.len() as u64);
    let tensor = |input: &tilewright_ir::tile::Buffer| {
        let shape: Vec<_> = input.axes.iter().map(|&axis| program.axes.extent(axis)).collect();
        let values = (0..shape.iter().product()).map(|_| match input.dtype {
            DType::I32 => f64::from(random.random_range(-3..=3)),
            _ => random.random_range(-2.0..2.0),
        });
        HostTensor::from_f64(input.dtype, &shape, values.collect::<Vec<_>>())
    };
    program.inputs().map(tensor).collect()
}

/// Runs the named program; its outputs and its inputs as numbers.
fn run(name: &str) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let program = program(name);
    let inputs = inputs(&program);
    (interpret(&program, &inputs), inputs.iter().map(HostTensor::to_f64).collect())
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    assert!(!got.is_empty());
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let close = (got - expected).abs() <= 1e-12 * (1.0 + expected.abs());
        assert!(close, "element {index}: {got} for {expected}");
    }
}

/// Row-major values of a function of two positions.
fn table(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..rows * columns).map(|at| f(at / columns, at % columns)).collect()
}

fn sum(count: usize, f: impl Fn(usize) -> f64) -> f64 {
    (0..count).map(f).sum()
}

#[test]
fn matmul_packed() {
    let (got, inputs) = run("matmul_packed");
    let [a, b, bias] = inputs.as_slice() else { panic!("three inputs") };
    let expected =
        table(13, 21, |m, n| (sum(17, |k| a[m * 17 + k] * b[k * 21 + n]) + bias[n]).max(0.0));
    assert!(expected.contains(&0.0), "the epilogue shows");
    assert_close(&got[0], &expected);
}

#[test]
fn matmul_dots() {
    let (got, inputs) = run("matmul_dots");
    let [a, b] = inputs.as_slice() else { panic!("two inputs") };
    let expected = table(5, 19, |m, n| sum(11, |k| a[m * 11 + k] * b[k * 19 + n]));
    assert!(b.iter().any(|&b| b < 0.0), "the bias shows");
    assert_close(&got[0], &expected);
}

#[test]
fn softmax_fused() {
    let (got, inputs) = run("softmax_fused");
    let x = &inputs[0];
    let total = |i: usize| sum(11, |j| x[i * 11 + j].exp());
    assert_close(&got[0], &table(5, 11, |i, j| x[i * 11 + j].exp() / total(i)));
}

fn attention(inputs: &[Vec<f64>]) -> Vec<f64> {
    let [q, k, v] = inputs else { panic!("three inputs") };
    let (i_count, j_count, d_count, e_count) = (7, 10, 5, 3);
    table(2 * i_count, e_count, |bi, e| {
        let (b, i) = (bi / i_count, bi % i_count);
        let weight = |j: usize| {
            let dot = sum(d_count, |d| q[bi * d_count + d] * k[(b * j_count + j) * d_count + d]);
            (dot / (d_count as f64).sqrt()).exp()
        };
        // Position i sees the first i + 1 + len(j) - len(i) positions.
        let seen = i + 1 + j_count - i_count;
        sum(seen, |j| weight(j) * v[(b * j_count + j) * e_count + e]) / sum(seen, weight)
    })
}

#[test]
fn attention_streaming() {
    let (got, inputs) = run("attention_streaming");
    assert_close(&got[0], &attention(&inputs));
}

#[test]
fn attention_passes() {
    let (got, inputs) = run("attention_passes");
    assert_close(&got[0], &attention(&inputs));
}

#[test]
fn gelu_odd() {
    let (got, inputs) = run("gelu_odd");
    let a = &inputs[0];
    // erf by the trapezoidal rule, which is exact enough for a function this smooth and short.
    let erf = |x: f64| {
        let (steps, scale) = (20_000, std::f64::consts::FRAC_2_SQRT_PI);
        let width = x / f64::from(steps);
        let inner: f64 = (1..steps).map(|step| (-(f64::from(step) * width).powi(2)).exp()).sum();
        scale * width * (0.5 + inner + 0.5 * (-x * x).exp())
    };
    let root = f64::from(0.70710677_f32);
    let expected = table(13, 7, |y, x| {
        let a = a[x * 13 + y];
        0.5 * a + 0.5 * a * erf(a * root)
    });
    for (got, expected) in got[0].iter().zip(&expected) {
        assert!((got - expected).abs() < 1e-8, "{got} for {expected}");
    }
}

#[test]
fn zero_extent() {
    let (got, inputs) = run("zero_extent");
    assert_close(&got[0], &table(4, 6, |_, n| inputs[2][n]));
}

#[test]
fn variance() {
    let (got, inputs) = run("variance");
    let x = &inputs[0];
    let mean = |r: usize| sum(30, |at| x[r * 30 + at]) / 30.0;
    assert_close(&got[0], &table(3, 1, |r, _| mean(r)));
    let variance = |r: usize| sum(30, |at| (x[r * 30 + at] - mean(r)).powi(2)) / 30.0;
    assert_close(&got[1], &table(3, 1, |r, _| variance(r)));
}

#[test]
fn nearest() {
    let (got, inputs) = run("nearest");
    let distance = |p: usize, q: usize| {
        sum(3, |d| (inputs[0][p * 3 + d] - inputs[1][q * 3 + d]).powi(2)) as i64
    };
    let best = |p: usize| (0..4).min_by_key(|&q| distance(p, q)).unwrap();
    assert_close(&got[0], &table(9, 1, |p, _| best(p) as f64));
    let near = |p: usize| {
        let mut row = (0..4).map(|q| distance(p, q));
        row.clone().any(|distance| distance < 9) && !row.all(|distance| distance == 0)
    };
    assert_close(&got[1], &table(9, 1, |p, _| f64::from(u8::from(near(p)))));
    assert!(got[1].contains(&0.0) && got[1].contains(&1.0), "both answers occur");
}

#[test]
fn nested_loops() {
    let (got, inputs) = run("nested_loops");
    let [a, b, c] = inputs.as_slice() else { panic!("three inputs") };
    let inner = |row: usize, column: usize| sum(6, |at| a[row * 6 + at] * b[at * 7 + column]);
    assert_close(&got[0], &table(5, 4, |row, d| sum(7, |at| inner(row, at) * c[at * 4 + d])));
}

#[test]
fn carry_in_group() {
    let (got, inputs) = run("carry_in_group");
    let [a, b] = inputs.as_slice() else { panic!("two inputs") };
    let square = |m: usize, n: usize| sum(9, |k| a[m * 9 + k] * b[k * 5 + n]).powi(2);
    let top = |m: usize| (0..5).map(|n| square(m, n)).fold(0.0, f64::max);
    assert_close(&got[0], &table(7, 5, |m, _| top(m)));
}

#[test]
fn memory_that_nothing_wrote_is_nan() {
    let text = "tile t { extents m=3 output C: f32[m] phase C { group T: f32[m] grid m by 2 {
                store C = load T } } }";
    assert!(interpret(&parse(text).unwrap(), &[])[0].iter().all(|value| value.is_nan()));
}
