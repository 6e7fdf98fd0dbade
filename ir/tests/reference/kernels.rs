//! Kernels that the tests of the reference share, built by hand.

use tilewright_ir::graph::{Graph, GraphBuilder, NodeId, Output, Tensor};
use tilewright_ir::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Binds sizes by name.
pub(crate) fn bind(graph: &Graph, sizes: &[(&str, u64)]) -> Graph {
    let sizes = sizes.iter().map(|&(name, extent)| (name.to_string(), extent)).collect();
    graph.bind(&sizes).unwrap()
}

/// Finishes a graph of one output in the type of `dtype`.
pub(crate) fn finish(
    mut builder: GraphBuilder,
    axes: &[AxisId],
    dtype: DType,
    node: NodeId,
) -> Graph {
    let node = builder.cast(dtype, node);
    let tensor = Tensor::new("out", dtype, axes);
    builder.finish(vec![Output { tensor, node }])
}

/// The type that intermediates of a kernel on `dtype` have.
pub(crate) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ if dtype.is_float() => DType::F32,
        _ => DType::I32,
    }
}

/// `C[i,j] = sum[k](A[i,k] * B[k,j])`.
pub(crate) fn matmul(dtype: DType) -> Graph {
    let mut b = GraphBuilder::new("matmul");
    let [i, j, k] = ["i", "j", "k"].map(|name| b.axis(name));
    let x = b.input("A", dtype, &[i, k]);
    let y = b.input("B", dtype, &[k, j]);
    let (x, y) = (b.cast(wide(dtype), x), b.cast(wide(dtype), y));
    let product = b.binary(BinaryOp::Mul, x, y);
    let sum = b.reduce(ReduceOp::Sum, AxisSet::one(k), product);
    let out = if dtype.is_float() { dtype } else { DType::I32 };
    finish(b, &[i, j], out, sum)
}

/// The stable softmax along an axis; 0 where a row is empty or all -inf.
pub(crate) fn softmax(b: &mut GraphBuilder, axis: AxisId, x: NodeId) -> NodeId {
    let dtype = b.node(x).dtype;
    let axes = AxisSet::one(axis);
    let largest = b.reduce(ReduceOp::Max, axes, x);
    let (low, zero, one) =
        (b.literal(f64::NEG_INFINITY, dtype), b.literal(0.0, dtype), b.literal(1.0, dtype));
    let empty = b.compare(CompareOp::Eq, largest, low);
    let pivot = b.select(empty, zero, largest);
    let shifted = b.binary(BinaryOp::Sub, x, pivot);
    let p = b.unary(UnaryOp::Exp, shifted);
    let sum = b.reduce(ReduceOp::Sum, axes, p);
    let nothing = b.compare(CompareOp::Eq, sum, zero);
    let divisor = b.select(nothing, one, sum);
    b.binary(BinaryOp::Div, p, divisor)
}

/// Causal attention over `Q[b,h,i,d]`, `K[b,h,j,d]`, `V[b,h,j,e]`.
pub(crate) fn attention(dtype: DType) -> Graph {
    let mut g = GraphBuilder::new("attention");
    let [b, h, i, j, d, e] = ["b", "h", "i", "j", "d", "e"].map(|name| g.axis(name));
    let q = g.input("Q", dtype, &[b, h, i, d]);
    let k = g.input("K", dtype, &[b, h, j, d]);
    let v = g.input("V", dtype, &[b, h, j, e]);
    let ty = wide(dtype);
    let [q, k, v] = [q, k, v].map(|x| g.cast(ty, x));
    let product = g.binary(BinaryOp::Mul, q, k);
    let sum = g.reduce(ReduceOp::Sum, AxisSet::one(d), product);
    let len = g.len(d);
    let len = g.cast(ty, len);
    let scale = g.unary(UnaryOp::Rsqrt, len);
    let s = g.binary(BinaryOp::Mul, sum, scale);
    let (ii, jj, li, lj) = (g.index(i), g.index(j), g.len(i), g.len(j));
    let shift = g.binary(BinaryOp::Sub, lj, li);
    let limit = g.binary(BinaryOp::Add, ii, shift);
    let visible = g.compare(CompareOp::Le, jj, limit);
    let low = g.literal(f64::NEG_INFINITY, ty);
    let s = g.select(visible, s, low);
    let p = softmax(&mut g, j, s);
    let pv = g.binary(BinaryOp::Mul, p, v);
    let out = g.reduce(ReduceOp::Sum, AxisSet::one(j), pv);
    finish(g, &[b, h, i, e], dtype, out)
}
