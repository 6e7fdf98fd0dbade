//! Kernels whose results are written out: no reference stands between the language's meaning and the test.
//!
//! Every kernel runs with its default, its naive and a drawn schedule. Equality is to the bit, but any NaN is a NaN.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tilewright::Kernel;
use tilewright::ir::reference::HostTensor;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// Runs a kernel of one input with axes `i`, `j` and compares its outputs.
#[track_caller]
fn check(text: &str, [i, j]: [u64; 2], input: &[f64], wanted: &[&[f64]]) {
    let kernel = Kernel::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let bound = kernel.bind([("i", i), ("j", j)]).unwrap();
    let graph = bound.graph();
    let input = HostTensor::from_f64(graph.inputs[0].dtype, &[i, j], input.iter().copied());
    let space = bound.space();
    let drawn = space.sample(&mut ChaCha8Rng::seed_from_u64(3));
    for schedule in [space.default_schedule(), space.naive_schedule(), drawn] {
        let compiled = bound.compile(&schedule).unwrap_or_else(|error| panic!("{error}"));
        let output = |output: &tilewright::ir::graph::Output| {
            let axes = output.tensor.axes.iter();
            let shape: Vec<u64> = axes.map(|&axis| graph.axes.extent(axis)).collect();
            HostTensor::zeros(output.tensor.dtype, &shape)
        };
        let mut outputs: Vec<HostTensor> = graph.outputs.iter().map(output).collect();
        let mut written: Vec<&mut [u8]> =
            outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
        compiled.call_bytes(&[&input.bytes], &mut written).unwrap();
        for (found, wanted) in outputs.iter().zip(wanted) {
            let found = found.to_f64();
            let same = |(&x, &y): (&f64, &f64)| x == y || x.is_nan() && y.is_nan();
            let equal = found.len() == wanted.len() && found.iter().zip(*wanted).all(same);
            assert!(equal, "{text}: {found:?}, not {wanted:?}\n{}", schedule.print());
        }
        assert_eq!(outputs.len(), wanted.len(), "{text}");
    }
}

#[test]
fn scans_keep_every_prefix() {
    let rows = [1.0, 2.0, 4.0, -1.0, 0.5, 8.0];
    let along = "kernel k(x: f32[i,j]) -> f32[i,j] { cumsum[j](x) }";
    check(along, [2, 3], &rows, &[&[1.0, 3.0, 7.0, -1.0, -0.5, 7.5]]);
    let across = "kernel k(x: f32[i,j]) -> f32[j,i] { cumsum[i](x) }";
    check(across, [2, 3], &rows, &[&[1.0, 0.0, 2.0, 2.5, 4.0, 12.0]]);
    let product = "kernel k(x: f32[i,j]) -> f32[i,j] { cumprod[j](x) }";
    check(product, [2, 3], &rows, &[&[1.0, 2.0, 8.0, -1.0, -0.5, -4.0]]);
    let extremes = "kernel k(x: f32[i,j]) -> (a: f32[i,j], b: f32[i,j]) {
      (cummax[j](x), cummin[j](x))
    }";
    let high: &[f64] = &[1.0, 2.0, 4.0, -1.0, 0.5, 8.0];
    let low: &[f64] = &[1.0, 1.0, 1.0, -1.0, -1.0, -1.0];
    check(extremes, [2, 3], &rows, &[high, low]);
    check(along, [2, 0], &[], &[&[]]);
    check(along, [1, 1], &[3.5], &[&[3.5]]);
}

#[test]
fn scans_hand_on_infinity_and_nan() {
    let sum = "kernel k(x: f32[i,j]) -> f32[i,j] { cumsum[j](x) }";
    let row = [1.0, INF, 2.0, -INF, 5.0, 6.0];
    check(sum, [1, 6], &row, &[&[1.0, INF, INF, NAN, NAN, NAN]]);
    let max = "kernel k(x: f32[i,j]) -> f32[i,j] { cummax[j](x) }";
    check(max, [1, 4], &[-INF, 1.0, NAN, 9.0], &[&[-INF, 1.0, NAN, NAN]]);
}

#[test]
fn running_sums_of_more_than_a_block() {
    let sum = "kernel k(x: f32[i,j]) -> f32[i,j] { cumsum[j](x) }";
    let ones = vec![1.0; 5000];
    let wanted: Vec<f64> = (1..=5000).map(f64::from).collect();
    check(sum, [1, 5000], &ones, &[&wanted]);
}

#[test]
fn integers_wrap_in_the_accumulator() {
    let sum = "kernel k(n: i32[i,j]) -> i32[i,j] { cumsum[j](n) }";
    let most = f64::from(i32::MAX);
    check(sum, [1, 3], &[most, 1.0, 1.0], &[&[most, -most - 1.0, -most]]);
}

#[test]
fn a_search_takes_the_first_and_the_first_nan() {
    let both = "kernel k(x: f32[i,j]) -> (a: i32[i], b: i32[i]) { (argmax[j](x), argmin[j](x)) }";
    let rows = [
        [3.0, 7.0, 7.0, -1.0, -1.0],
        [1.0, NAN, 9.0, NAN, -9.0],
        [-INF, -INF, -INF, -INF, -INF],
        [INF, INF, 0.0, -0.0, 0.0],
        [0.0, -0.0, -INF, NAN, INF],
    ];
    let input: Vec<f64> = rows.into_iter().flatten().collect();
    check(both, [5, 5], &input, &[&[1.0, 1.0, 0.0, 0.0, 3.0], &[3.0, 1.0, 0.0, 2.0, 3.0]]);
    check(both, [2, 0], &[], &[&[-1.0, -1.0], &[-1.0, -1.0]]);
}

#[test]
fn a_search_over_several_axes_counts_row_by_row() {
    let both = "kernel k(n: i32[i,j]) -> (a: i32, b: i32[j]) { (argmax[i,j](n), argmin[i](n)) }";
    check(both, [2, 3], &[1.0, 2.0, 3.0, 9.0, 0.0, 9.0], &[&[3.0], &[0.0, 1.0, 0.0]]);
}

#[test]
fn reductions_over_nothing_and_of_nan() {
    let truths = "kernel k(x: f32[i,j]) -> (a: bool[i], b: bool[i]) {
      (any[j](x > 0), all[j](x > 0))
    }";
    check(truths, [2, 0], &[], &[&[0.0, 0.0], &[1.0, 1.0]]);
    check(truths, [2, 2], &[1.0, NAN, 2.0, 1.0], &[&[1.0, 1.0], &[0.0, 1.0]]);
    let numbers = "kernel k(x: f32[i,j]) -> (a: f32[i], b: f32[i], c: f32[i]) {
      (product[j](x), min[j](x), max[j](x))
    }";
    check(numbers, [1, 0], &[], &[&[1.0], &[INF], &[-INF]]);
    check(numbers, [1, 3], &[2.0, -3.0, 0.5], &[&[-3.0], &[-3.0], &[2.0]]);
    check(numbers, [1, 3], &[2.0, NAN, 0.5], &[&[NAN], &[NAN], &[NAN]]);
    let whole = "kernel k(n: i32[i,j]) -> (a: i32[i], b: i32[i]) { (min[j](n), max[j](n)) }";
    check(whole, [1, 0], &[], &[&[f64::from(i32::MAX)], &[f64::from(i32::MIN)]]);
}
