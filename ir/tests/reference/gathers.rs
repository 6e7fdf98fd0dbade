//! What the reference says of gathers beyond their values: doubt, shuffles, and the indices that are drawn.

use super::kernels::{bind, finish};
use tilewright_ir::graph::{Graph, GraphBuilder};
use tilewright_ir::reference::{Family, HostTensor, draw, evaluate, permutable_axes, shuffle};
use tilewright_ir::{AxisSet, BinaryOp, DType, ReduceOp};

/// `Y[t,d] = E[ids[t], d]`.
fn rows(table: u64) -> Graph {
    let mut b = GraphBuilder::new("rows");
    let [t, v, d] = ["t", "v", "d"].map(|name| b.axis(name));
    let ids = b.input("ids", DType::I32, &[t]);
    let table_node = b.input("E", DType::F32, &[v, d]);
    let y = b.gather(table_node, &[(v, ids)]);
    bind(&finish(b, &[t, d], DType::F32, y), &[("t", 64), ("v", table), ("d", 2)])
}

#[test]
fn an_index_in_doubt_leaves_its_element_undecided() {
    let mut b = GraphBuilder::new("doubt");
    let [i, k, v] = ["i", "k", "v"].map(|name| b.axis(name));
    let terms = b.input("X", DType::F32, &[i, k]);
    let table = b.input("E", DType::F32, &[v]);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), terms);
    let index = b.cast(DType::I32, sum);
    let y = b.gather(table, &[(v, index)]);
    let graph = bind(&finish(b, &[i], DType::F32, y), &[("i", 2), ("k", 3), ("v", 4)]);
    // The first sum is a half up to rounding, so it rounds to 0 or 1; the second is 2.
    let terms = HostTensor::from_f64(DType::F32, &[2, 3], [0.1, 0.2, 0.2, 0.5, 0.5, 1.0]);
    let table = HostTensor::from_f64(DType::F32, &[4], [10.0, 20.0, 30.0, 40.0]);
    let expected = &evaluate(&graph, &[terms, table])[0];
    assert_eq!(expected.allowances, [f64::INFINITY, 0.0]);
    assert_eq!((expected.values[1], expected.undecided), (30.0, 1));
}

#[test]
fn a_gather_hands_on_the_allowance_of_what_it_reads() {
    let mut b = GraphBuilder::new("stored");
    let i = b.axis("i");
    let x = b.input("X", DType::F32, &[i]);
    let square = b.binary(BinaryOp::Mul, x, x);
    let (index, one) = (b.index(i), b.literal(1.0, DType::I32));
    let next = b.binary(BinaryOp::Add, index, one);
    let y = b.gather(square, &[(i, next)]);
    let graph = bind(&finish(b, &[i], DType::F32, y), &[("i", 3)]);
    let x = HostTensor::from_f64(DType::F32, &[3], [1.0, 2.0, 1000.0]);
    let expected = &evaluate(&graph, &[x])[0];
    assert_eq!(expected.values, [4.0, 1e6, 1e6]);
    let e = &expected.allowances;
    assert!(e[0] > 0.0 && e[1] > 1000.0 * e[0] && e[1] == e[2], "{e:?}");
}

#[test]
fn an_axis_that_is_gathered_along_is_not_shuffled() {
    let graph = rows(16);
    let names = |axis| graph.axes.name(axis).to_string();
    assert_eq!(permutable_axes(&graph).iter().map(names).collect::<Vec<_>>(), ["t", "d"]);
    let inputs = draw(&graph, Family::Normal, 3);
    let (moved, expected) = shuffle(&graph, &inputs, &evaluate(&graph, &inputs), 5);
    assert_ne!(moved, inputs);
    assert_eq!(evaluate(&graph, &moved)[0].values, expected[0].values);
}

#[test]
fn indices_are_drawn_inside_mostly_and_beyond_the_ends_sometimes() {
    for table in [0, 1, 5, 1000] {
        let graph = rows(table);
        for &family in Family::ALL {
            let (mut inside, mut outside, mut last) = (0, 0, 0);
            for seed in 0..40 {
                for index in draw(&graph, family, seed)[0].to_f64() {
                    let within = index >= 0.0 && index < table as f64;
                    *(if within { &mut inside } else { &mut outside }) += 1;
                    last += u32::from(index == table as f64 - 1.0);
                }
            }
            assert!(table == 0 || inside > 4 * outside, "{family:?} {table}: {inside} {outside}");
            // Forty seeds of one number each need not meet an end.
            let met = family == Family::Equal || outside > 0 && last > 0;
            assert!(met, "{family:?} {table}: {outside} {last}");
        }
    }
}
