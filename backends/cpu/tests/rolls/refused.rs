//! What the rules of graphs and plans say about running values in wrong places.

use super::graphs::Maker;
use tilewright_ir::base::{DType, ReduceOp};
use tilewright_ir::graph::{Graph, GraphBuilder, NodeId, Output, Tensor, verify};
use tilewright_ir::plan;

/// A graph over `X[i, j]` whose output is made by `make`.
fn graph(make: impl Fn(&mut Maker, NodeId) -> NodeId) -> Graph {
    let mut m = Maker::new("refused", "ij", DType::F32);
    let x = m.input("X", "ij");
    let y = make(&mut m, x);
    let Maker { b, .. } = m;
    let axes: Vec<_> = b.node(y).axes.iter().collect();
    let output = Output { tensor: Tensor::new("Y", b.node(y).dtype, &axes), node: y };
    GraphBuilder::finish(b, vec![output])
}

#[track_caller]
fn refused(why: &str, make: impl Fn(&mut Maker, NodeId) -> NodeId) {
    let faults = verify(&graph(make)).expect_err(why);
    assert!(faults.iter().any(|fault| fault.contains(why)), "{faults:?}");
}

#[test]
fn running_values_stay_in_their_rolls() {
    refused("output Y is a running value", |m, x| {
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        m.b.after(sum)
    });
    refused("its term reads what it holds", |m, x| {
        let row = m.set("i");
        let held = m.b.held(DType::F32, row);
        let term = m.mul(x, held);
        m.roll("j", term, |_, held| held)
    });
    refused("what its update holds has another type or other axes", |m, x| {
        let none = m.set("");
        let stream = m.set("j");
        let held = m.b.held(DType::F32, none);
        m.b.roll(ReduceOp::Sum, stream, x, held)
    });
    refused("it reads a running value of another traversal", |m, x| {
        let sum = m.reduce(ReduceOp::Sum, "i", x);
        let after = m.b.after(sum);
        let term = m.mul(x, after);
        m.roll("j", term, |_, held| held)
    });
    refused("it reduces running values over what they traverse", |m, x| {
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let after = m.b.after(sum);
        let term = m.mul(x, after);
        m.reduce(ReduceOp::Sum, "j", term)
    });
    refused("it scans running values", |m, x| {
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let after = m.b.after(sum);
        let term = m.mul(x, after);
        let i = m.axis("i");
        let scan = m.b.scan(ReduceOp::Sum, i, term);
        m.roll("j", scan, |_, held| held)
    });
    refused("only a reduction or a roll has running values", |m, x| {
        let j = m.axis("j");
        let scan = m.b.scan(ReduceOp::Sum, j, x);
        let after = m.b.after(scan);
        m.mul(x, after)
    });
}

#[test]
fn no_group_waits_for_itself() {
    let why = "its traversal needs the final value of a reduction in it";
    refused(why, |m, x| {
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let (after, term) = (m.b.after(sum), m.mul(x, sum));
        m.roll("j", term, |m, held| m.mul(held, after))
    });
    refused(why, |m, x| {
        // Each of two groups needs what the other has in the end.
        let (first, second) = (m.reduce(ReduceOp::Sum, "j", x), m.reduce(ReduceOp::Max, "j", x));
        let (a, b) = (m.b.after(first), m.b.after(second));
        let (with_second, with_first) = (m.mul(x, second), m.mul(x, first));
        let one = m.roll("j", with_second, |m, held| m.mul(held, a));
        let other = m.roll("j", with_first, |m, held| m.mul(held, b));
        m.mul(one, other)
    });
}

/// A plan of one group that sums, with some lines replaced.
fn plan_text(from: &str, to: &str) -> String {
    let text = "plan p { extents i=3, j=5 input X: f32[i, j] output Y: f32[i]
        value r: f32[i] value m_end: f32[i]
        group [j] {
          pass m_end[i] stream [j] { state m = max(load X) before m0 after m1 result m_end = m }
          pass r[i] { result r = m0 - m1 }
          pass Y[i] stream [j] {
            state s = sum(load X - m1) before s0 after s1
            update s = s0 + load r
            result Y = s - load m_end
          }
        } }";
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

#[test]
fn plans_keep_blocks_and_final_values_apart() {
    let legal = plan::parse(&plan_text("", "")).unwrap();
    plan::verify(&legal).unwrap();
    assert_eq!(plan::parse(&plan::print(&legal)).unwrap(), legal);
    let cases = [
        ("result Y = s - load m_end", "result Y = s - load r", "r has no value here"),
        ("load X - m1)", "load X - load m_end)", "m_end has no value here"),
        ("result Y = s - load m_end", "result Y = s0 - load m_end", "not defined here"),
        ("result r = m0 - m1", "result r = m0 - s1", "no local value of the name s1"),
        ("pass r[i] {", "pass r[i] stream [j] {", "states without a stream, or a stream without"),
        ("value r: f32[i]", "output r: f32[i]", "r is stored in each block"),
        (" before s0 after s1\n            update s = s0 + load r", "", "running values where"),
        ("group [j]", "group [i]", "no member streams the axes of its group"),
    ];
    for (from, to, why) in cases {
        let faults = match plan::parse(&plan_text(from, to)) {
            Ok(plan) => format!("{:?}", plan::verify(&plan).expect_err(why)),
            Err(faults) => format!("{faults:?}"),
        };
        assert!(faults.contains(why), "{why}: {faults}");
    }
}
