//! Single rules of the bound that a kernel author relies on.

use super::kernels::{bind, finish, matmul, softmax};
use tilewright_ir::graph::{Graph, GraphBuilder, Output, Tensor};
use tilewright_ir::reference::{
    Family, HostTensor, compare, draw, evaluate, permutable_axes, permute, shuffle,
};
use tilewright_ir::{AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

fn softmax_graph(rows: u64, columns: u64) -> Graph {
    let mut b = GraphBuilder::new("softmax");
    let [i, j] = ["i", "j"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, j]);
    let p = softmax(&mut b, j, x);
    bind(&finish(b, &[i, j], DType::F32, p), &[("i", rows), ("j", columns)])
}

#[test]
fn a_row_of_minus_infinity_has_softmax_zero_exactly() {
    let graph = softmax_graph(2, 5);
    let mut x = HostTensor::zeros(DType::F32, &[2, 5]);
    (0..5).for_each(|index| x.set(index, f64::NEG_INFINITY));
    let expected = &evaluate(&graph, &[x])[0];
    assert_eq!(expected.values[..5], [0.0; 5]);
    assert_eq!(expected.allowances[..5], [0.0; 5]);
    assert_eq!(expected.undecided, 0);
    assert!((expected.values[5] - 0.2).abs() < 1e-15 && expected.allowances[5] > 0.0);
}

#[test]
fn masked_elements_cost_nothing() {
    let graph = softmax_graph(1, 4);
    let inf = f64::INFINITY;
    let x = HostTensor::from_f64(DType::F32, &[1, 4], [1.0, -inf, 2.0, -inf]);
    let expected = &evaluate(&graph, &[x])[0];
    assert_eq!([expected.values[1], expected.allowances[1]], [0.0, 0.0]);
    assert!(expected.allowances.iter().all(|e| *e < 1e-5));
}

#[test]
fn nan_poisons_its_row_only() {
    let graph = softmax_graph(2, 3);
    let x = HostTensor::from_f64(DType::F32, &[2, 3], [0.0, f64::NAN, 1.0, 0.0, 0.0, 0.0]);
    let expected = &evaluate(&graph, &[x])[0];
    assert!(expected.values[..3].iter().all(|value| value.is_nan()));
    assert!(expected.allowances.iter().all(|e| e.is_finite()));
    assert!(expected.values[3..].iter().all(|value| (value - 1.0 / 3.0).abs() < 1e-15));
}

#[test]
fn the_extreme_of_zeros_of_both_signs_divides_into_doubt() {
    let mut b = GraphBuilder::new("zeros");
    let [i, k] = ["i", "k"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, k]);
    let zero = b.literal(0.0, DType::F32);
    let larger = b.binary(BinaryOp::Max, x, zero);
    let each = b.unary(UnaryOp::Recip, larger);
    let least = b.reduce(ReduceOp::Min, AxisSet::one(k), x);
    let whole = b.unary(UnaryOp::Recip, least);
    let outputs = [("each", &[i, k][..], each), ("whole", &[i][..], whole)];
    let outputs = outputs
        .map(|(name, axes, node)| Output { tensor: Tensor::new(name, DType::F32, axes), node });
    let graph = bind(&b.finish(outputs.to_vec()), &[("i", 3), ("k", 2)]);
    let terms = [0.0, -0.0, 0.0, 0.0, -1.0, -0.0];
    let x = HostTensor::from_f64(DType::F32, &[3, 2], terms);
    let expected = evaluate(&graph, &[x]);
    let doubt = |index: usize| -> Vec<bool> {
        expected[index].allowances.iter().map(|e| e.is_infinite()).collect()
    };
    assert_eq!(doubt(0), [false, true, false, false, false, true]);
    assert_eq!(doubt(1), [true, false, false]);
}

#[test]
fn a_comparison_within_its_allowances_is_undecided() {
    let mut b = GraphBuilder::new("step");
    let [i, k] = ["i", "k"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, k]);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), x);
    let (one, zero) = (b.literal(1.0, DType::F32), b.literal(0.0, DType::F32));
    let positive = b.compare(CompareOp::Gt, sum, zero);
    let y = b.select(positive, one, zero);
    let graph = bind(&finish(b, &[i], DType::F32, y), &[("i", 3), ("k", 3)]);
    let terms = [0.1, 0.2, -0.3, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0];
    let x = HostTensor::from_f64(DType::F32, &[3, 3], terms);
    let expected = &evaluate(&graph, &[x])[0];
    assert_eq!(expected.allowances, [f64::INFINITY, 0.0, 0.0]);
    assert_eq!(expected.undecided, 1);
}

#[test]
fn the_allowance_of_a_sum_is_the_stated_one() {
    let mut b = GraphBuilder::new("sum");
    let k = b.axis("k");
    let x = b.input("X", DType::F32, &[k]);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), x);
    let graph = bind(&finish(b, &[], DType::F32, sum), &[("k", 4)]);
    let x = HostTensor::from_f64(DType::F32, &[4], [1.0, -2.0, 3.0, 4.0]);
    let expected = &evaluate(&graph, &[x])[0];
    let u = DType::F32.unit_roundoff();
    assert_eq!(expected.values, [6.0]);
    let stated = (16.0 + 2.0 * 6.0 / 10.0) * u * 10.0;
    assert!((expected.allowances[0] - stated).abs() < 1e-15 * stated.max(1.0));
}

#[test]
fn overflow_of_the_type_is_accepted_and_nothing_else() {
    let mut b = GraphBuilder::new("square");
    let i = b.axis("i");
    let x = b.input("X", DType::F32, &[i]);
    let y = b.binary(BinaryOp::Mul, x, x);
    let graph = bind(&finish(b, &[i], DType::F32, y), &[("i", 2)]);
    let x = HostTensor::from_f64(DType::F32, &[2], [1e20, 1e10]);
    let expected = &evaluate(&graph, &[x])[0];
    let inf = f64::INFINITY;
    assert!(compare(expected, &HostTensor::from_f64(DType::F32, &[2], [inf, 1e20])).passed());
    assert!(!compare(expected, &HostTensor::from_f64(DType::F32, &[2], [-inf, 1e20])).passed());
    assert!(!compare(expected, &HostTensor::from_f64(DType::F32, &[2], [inf, inf])).passed());
}

#[test]
fn a_shuffled_case_has_the_shuffled_reference() {
    let graph = bind(&matmul(DType::F32), &[("i", 5), ("j", 6), ("k", 40)]);
    assert_eq!(permutable_axes(&graph).len(), 3);
    let inputs = draw(&graph, Family::Normal, 1);
    let expected = evaluate(&graph, &inputs);
    let (inputs, shuffled) = shuffle(&graph, &inputs, &expected, 9);
    let again = &evaluate(&graph, &inputs)[0];
    assert_ne!(shuffled[0].values, expected[0].values);
    for (index, &value) in again.values.iter().enumerate() {
        assert!((value - shuffled[0].values[index]).abs() < 1e-13);
        let (e, f) = (again.allowances[index], shuffled[0].allowances[index]);
        assert!((e - f).abs() < 1e-10 * e);
    }
}

#[test]
fn indexed_axes_stay_in_order() {
    let mut b = GraphBuilder::new("first");
    let [i, j] = ["i", "j"].map(|name| b.axis(name));
    let x = b.input("X", DType::F32, &[i, j]);
    let y = b.reduce(ReduceOp::Argmax, AxisSet::one(j), x);
    let index = b.index(i);
    let sum = b.binary(BinaryOp::Add, y, index);
    let graph = bind(&finish(b, &[i], DType::I32, sum), &[("i", 2), ("j", 3)]);
    assert!(permutable_axes(&graph).is_empty());
    let x = HostTensor::from_f64(DType::F32, &[2, 3], [1.0, 5.0, 5.0, 0.0, 0.0, 0.0]);
    assert_eq!(evaluate(&graph, &[x])[0].values, [1.0, 1.0]);
}

#[test]
fn every_prefix_of_a_scan_has_the_allowance_of_its_own_sum() {
    let mut b = GraphBuilder::new("prefix");
    let j = b.axis("j");
    let x = b.input("X", DType::F32, &[j]);
    let sums = b.scan(ReduceOp::Sum, j, x);
    let graph = bind(&finish(b, &[j], DType::F32, sums), &[("j", 300)]);
    assert!(permutable_axes(&graph).is_empty());
    let numbers: Vec<f64> = (0..300).map(|index| f64::from(index % 7) - 3.0).collect();
    let all = &evaluate(&graph, &[HostTensor::from_f64(DType::F32, &[300], numbers.clone())])[0];
    for terms in [1, 2, 65, 256, 257, 300] {
        let mut b = GraphBuilder::new("sum");
        let j = b.axis("j");
        let x = b.input("X", DType::F32, &[j]);
        let sum = b.reduce(ReduceOp::Sum, AxisSet::one(j), x);
        let graph = bind(&finish(b, &[], DType::F32, sum), &[("j", terms as u64)]);
        let prefix = HostTensor::from_f64(DType::F32, &[terms as u64], numbers[..terms].to_vec());
        let one = &evaluate(&graph, &[prefix])[0];
        assert_eq!(all.values[terms - 1], one.values[0], "{terms}");
        let (e, f) = (all.allowances[terms - 1], one.allowances[0]);
        assert!((e - f).abs() <= 1e-12 * f, "{terms}: {e} {f}");
    }
}

#[test]
fn permute_moves_whole_slices() {
    let x = HostTensor::from_f64(DType::I4, &[2, 3], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(permute(&x, 1, &[2, 0, 1]).to_f64(), [2.0, 0.0, 1.0, 5.0, 3.0, 4.0]);
    assert_eq!(permute(&x, 0, &[1, 0]).to_f64(), [3.0, 4.0, 5.0, 0.0, 1.0, 2.0]);
}

#[test]
fn the_same_seed_gives_the_same_inputs() {
    let graph = bind(&matmul(DType::Bf16), &[("i", 4), ("j", 4), ("k", 8)]);
    for &family in Family::ALL {
        assert_eq!(Family::parse(family.name()), Some(family));
        assert_eq!(draw(&graph, family, 5), draw(&graph, family, 5));
        assert_ne!(draw(&graph, family, 5), draw(&graph, family, 6), "{}", family.name());
    }
}

#[test]
fn reductions_over_nothing() {
    for (op, value) in [
        (ReduceOp::Sum, 0.0),
        (ReduceOp::Product, 1.0),
        (ReduceOp::Max, f64::NEG_INFINITY),
        (ReduceOp::Min, f64::INFINITY),
    ] {
        let mut b = GraphBuilder::new("empty");
        let [i, j] = ["i", "j"].map(|name| b.axis(name));
        let x = b.input("X", DType::F32, &[i, j]);
        let e = b.unary(UnaryOp::Exp, x);
        let y = b.reduce(op, AxisSet::one(j), e);
        let graph = bind(&finish(b, &[i], DType::F32, y), &[("i", 2), ("j", 0)]);
        let expected = &evaluate(&graph, &[HostTensor::zeros(DType::F32, &[2, 0])])[0];
        assert_eq!(
            (&expected.values[..], &expected.allowances[..]),
            (&[value; 2][..], &[0.0; 2][..])
        );
    }
}

/// Instructions that add products of bf16 take subnormal factors for zero.
#[test]
fn a_subnormal_factor_in_bf16_may_be_flushed() {
    let mut b = GraphBuilder::new("dot");
    let (i, k) = (b.axis("i"), b.axis("k"));
    let inputs = ["X", "Y"].map(|name| b.input(name, DType::Bf16, &[i, k]));
    let [x, y] = inputs.map(|input| b.cast(DType::F32, input));
    let product = b.binary(BinaryOp::Mul, x, y);
    let node = b.reduce(ReduceOp::Sum, AxisSet::one(k), product);
    let outputs = vec![Output { tensor: Tensor::new("out", DType::F32, &[i]), node }];
    let graph = bind(&b.finish(outputs), &[("i", 3), ("k", 2)]);
    let tiny = 1e-39;
    let x = HostTensor::from_f64(DType::Bf16, &[3, 2], [1.0, tiny, 1.0, 2.0, 1.0, tiny]);
    let y = HostTensor::from_f64(DType::Bf16, &[3, 2], [1.0, 1e37, 1.0, 2.0, 1.0, f64::INFINITY]);
    let [out] = evaluate(&graph, &[x, y]).try_into().unwrap();
    assert!(out.allowances[0] > 0.009, "a hundredth may be missing: {out:?}");
    assert!(out.allowances[1] < 1e-4, "ordinary factors are no freer: {out:?}");
    assert_eq!(out.undecided, 1, "a flushed factor of an infinity makes NaN: {out:?}");
}

#[test]
fn a_power_of_two_scales_without_rounding() {
    let mut b = GraphBuilder::new("halves");
    let i = b.axis("i");
    let x = b.input("X", DType::F32, &[i]);
    let [two, three] = [2.0, 3.0].map(|number| b.literal(number, DType::F32));
    let half = b.binary(BinaryOp::Div, x, two);
    let whole = b.unary(UnaryOp::Floor, half);
    let third = b.binary(BinaryOp::Div, x, three);
    let outputs = [half, whole, third].map(|node| Output {
        tensor: Tensor::new(format!("out{}", node.index()), DType::F32, &[i]),
        node,
    });
    let graph = bind(&b.finish(outputs.into()), &[("i", 4)]);
    let x = HostTensor::from_f64(DType::F32, &[4], [6.0, -7.0, 0.0, 1e-39]);
    let [half, whole, third] = evaluate(&graph, &[x]).try_into().unwrap();
    assert_eq!(half.allowances[..3], [0.0; 3]);
    assert!(half.allowances[3] > 0.0, "a subnormal may be flushed");
    assert_eq!((&whole.values[..3], whole.undecided), (&[3.0, -4.0, 0.0][..], 0));
    assert!(third.allowances[0] > 0.0, "a quotient by three is rounded");
}
