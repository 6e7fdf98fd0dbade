//! The work of a graph: contractions count twice their volume, masks by position are not forced.

use tilewright_autotune::stats::{Work, over_lanes, work};
use tilewright_ir::base::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use tilewright_ir::graph::{Graph, GraphBuilder, NodeId, Output, Tensor};
use tilewright_ir::target::Target;

fn finish(
    builder: GraphBuilder,
    node: NodeId,
    dtype: DType,
    axes: &[AxisId],
    sizes: &[(&str, u64)],
) -> Graph {
    let tensor = Tensor::new("out", dtype, axes);
    let sizes = sizes.iter().map(|(name, extent)| (name.to_string(), *extent)).collect();
    builder.finish(vec![Output { tensor, node }]).bind(&sizes).expect("every axis has a size")
}

#[test]
fn a_matmul_is_two_mnk() {
    let mut b = GraphBuilder::new("matmul");
    let (m, n, k) = (b.axis("m"), b.axis("n"), b.axis("k"));
    let left = b.input("A", DType::F32, &[m, k]);
    let right = b.input("B", DType::F32, &[k, n]);
    let product = b.binary(BinaryOp::Mul, left, right);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), product);
    let graph = finish(b, sum, DType::F32, &[m, n], &[("m", 6), ("n", 10), ("k", 7)]);
    let expected =
        Work { flops: 2.0 * 6.0 * 10.0 * 7.0, bytes: 4.0 * (6.0 * 7.0 + 7.0 * 10.0 + 6.0 * 10.0) };
    assert_eq!(work(&graph), expected);
}

#[test]
fn casts_signs_and_selects_are_free_and_bytes_follow_the_type() {
    let mut b = GraphBuilder::new("relu");
    let i = b.axis("i");
    let x = b.input("x", DType::Bf16, &[i]);
    let wide = b.cast(DType::F32, x);
    let negative = b.unary(UnaryOp::Neg, wide);
    let zero = b.literal(0.0, DType::F32);
    let is_negative = b.compare(CompareOp::Lt, wide, zero);
    let chosen = b.select(is_negative, negative, wide);
    let scaled = b.binary(BinaryOp::Mul, chosen, chosen);
    let graph = finish(b, scaled, DType::F32, &[i], &[("i", 100)]);
    assert_eq!(work(&graph), Work { flops: 100.0, bytes: 600.0 });
}

/// Attention over `i` and `j`, with or without the causal mask: its matrix products alone dominate.
fn attention(causal: bool, extent: u64) -> f64 {
    let mut b = GraphBuilder::new("attention");
    let (i, j, d, e) = (b.axis("i"), b.axis("j"), b.axis("d"), b.axis("e"));
    let q = b.input("Q", DType::F32, &[i, d]);
    let k = b.input("K", DType::F32, &[j, d]);
    let v = b.input("V", DType::F32, &[j, e]);
    let qk = b.binary(BinaryOp::Mul, q, k);
    let mut scores = b.reduce(ReduceOp::Sum, AxisSet::one(d), qk);
    if causal {
        let (row, column) = (b.index(i), b.index(j));
        let visible = b.compare(CompareOp::Le, column, row);
        let hidden = b.literal(f64::NEG_INFINITY, DType::F32);
        scores = b.select(visible, scores, hidden);
    }
    let top = b.reduce(ReduceOp::Max, AxisSet::one(j), scores);
    let shifted = b.binary(BinaryOp::Sub, scores, top);
    let weights = b.unary(UnaryOp::Exp, shifted);
    let total = b.reduce(ReduceOp::Sum, AxisSet::one(j), weights);
    let share = b.binary(BinaryOp::Div, weights, total);
    let weighted = b.binary(BinaryOp::Mul, share, v);
    let out = b.reduce(ReduceOp::Sum, AxisSet::one(j), weighted);
    let sizes = [("i", extent), ("j", extent), ("d", 64), ("e", 64)];
    let graph = finish(b, out, DType::F32, &[i, e], &sizes);
    work(&graph).flops
}

#[test]
fn a_causal_mask_halves_the_work_and_no_more() {
    let full = attention(false, 512);
    let pairs = 512.0 * 512.0;
    // Two products of 64 and per pair: maximum, difference, exponential, sum, quotient.
    assert_eq!(full, pairs * (2.0 * 64.0 + 2.0 * 64.0 + 5.0));
    let share = attention(true, 512) / full;
    // A mask of many positions is counted at some, and the error of that is taken off.
    assert!((0.49..0.506).contains(&share), "{share}");
    // Of one position nothing is hidden.
    assert_eq!(attention(true, 1), attention(false, 1));
}

/// `sum[k](where(mask, A, 0) * B)` over m, n, k.
fn masked_product(
    mask: impl Fn(&mut GraphBuilder, AxisId, AxisId) -> NodeId,
    n_extent: u64,
) -> Work {
    let mut b = GraphBuilder::new("masked");
    let (m, n, k) = (b.axis("m"), b.axis("n"), b.axis("k"));
    let left = b.input("A", DType::F32, &[m, k]);
    let right = b.input("B", DType::F32, &[k, n]);
    let mask = mask(&mut b, m, k);
    let zero = b.literal(0.0, DType::F32);
    let left = b.select(mask, left, zero);
    let product = b.binary(BinaryOp::Mul, left, right);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), product);
    let sizes = [("m", 6), ("n", n_extent), ("k", 100)];
    work(&finish(b, sum, DType::F32, &[m, n], &sizes))
}

fn first_indices(b: &mut GraphBuilder, axis: AxisId, count: f64) -> NodeId {
    let (index, count) = (b.index(axis), b.literal(count, DType::I32));
    b.compare(CompareOp::Lt, index, count)
}

#[test]
fn what_a_mask_hides_is_not_read() {
    let work = |count: f64| masked_product(|b, _, k| first_indices(b, k, count), 10);
    let part = Work { flops: 2.0 * 60.0 * 25.0, bytes: 4.0 * (6.0 * 25.0 + 25.0 * 10.0 + 60.0) };
    assert_eq!(work(25.0), part);
    assert_eq!(work(0.0), Work { flops: 0.0, bytes: 4.0 * 60.0 });
    // Every row of A hides other rows of B, but all of B is asked for by some.
    let diagonal = masked_product(
        |b, m, k| {
            let (row, column) = (b.index(m), b.index(k));
            b.compare(CompareOp::Le, column, row)
        },
        10,
    );
    assert_eq!(diagonal.bytes, 4.0 * (1.0 + 2.0 + 3.0 + 4.0 + 5.0 + 6.0 + 6.0 * 10.0 + 60.0));
}

#[test]
fn where_the_data_chooses_nothing_behind_it_is_forced() {
    let mask = |b: &mut GraphBuilder, m: AxisId, k: AxisId| {
        let (given, zero) = (b.input("S", DType::I8, &[m, k]), b.literal(0.0, DType::I8));
        b.compare(CompareOp::Gt, given, zero)
    };
    assert_eq!(masked_product(mask, 10), Work { flops: 0.0, bytes: 600.0 + 4.0 * 60.0 });
}

#[test]
fn an_empty_output_asks_for_nothing() {
    let all = |b: &mut GraphBuilder, _: AxisId, k: AxisId| first_indices(b, k, 100.0);
    assert_eq!(masked_product(all, 0), Work { flops: 0.0, bytes: 0.0 });
}

#[test]
fn an_empty_axis_forces_nothing() {
    assert_eq!(attention(true, 0), 0.0);
}

/// Products in tile registers may be faster than multiply-adds in vectors, and no honest time may count as impossible.
#[test]
fn tile_registers_raise_the_ceiling_of_narrow_products() {
    let product = |dtype: DType| {
        let mut b = GraphBuilder::new("product");
        let x = b.axis("x");
        let (one, other) = (b.input("a", dtype, &[x]), b.input("b", dtype, &[x]));
        let product = b.binary(BinaryOp::Mul, one, other);
        finish(b, product, dtype, &[x], &[("x", 4)])
    };
    let target = |features: &[&str]| Target {
        backend: "fake".to_string(),
        isa: "x86_64".to_string(),
        features: features.iter().map(|name| (*name).to_string()).collect(),
        slow: vec![],
        multiply_adds: 2,
        chip: "a chip".to_string(),
        vector_bytes: 64,
        vector_registers: 32,
        accumulates_in_place: true,
        threads: 1,
        memory: vec![],
    };
    let tiles = target(&["amx-bf16", "amx-int8", "avx512bf16"]);
    let vectors = target(&["avx512bf16"]);
    for (dtype, in_tiles, in_vectors) in [
        (DType::F64, 1.0, 1.0),
        (DType::F32, 16.0 / 6.0, 1.0),
        (DType::F16, 4.0, 1.0),
        (DType::Bf16, 16.0, 2.0),
        (DType::I8, 32.0, 4.0),
    ] {
        let graph = product(dtype);
        assert_eq!(over_lanes(&graph, &tiles), in_tiles, "{dtype}");
        assert_eq!(over_lanes(&graph, &vectors), in_vectors, "{dtype}");
    }
    let slow = Target { slow: vec!["avx512bf16".to_string()], ..vectors };
    assert_eq!(over_lanes(&product(DType::Bf16), &slow), 1.0);
}
