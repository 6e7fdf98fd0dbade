//! The graphs that the tests of the plan share: small forms of the kernels that matter, and their corners.
//!
//! Invariant: every graph is bound and passes `graph::verify`.

use tilewright_ir::base::{AxisId, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use tilewright_ir::graph::{self, Graph, GraphBuilder, NodeId, Output, Tensor};

/// A builder with short names for what the graphs below are made of.
pub(crate) struct Kernel {
    builder: GraphBuilder,
    sizes: Vec<(String, u64)>,
    outputs: Vec<Output>,
}

impl Kernel {
    pub(crate) fn new(name: &str, sizes: &[(&str, u64)]) -> Self {
        let mut builder = GraphBuilder::new(name);
        sizes.iter().for_each(|(axis, _)| {
            builder.axis(axis);
        });
        let sizes = sizes.iter().map(|(axis, size)| (axis.to_string(), *size)).collect();
        Self { builder, sizes, outputs: vec![] }
    }

    fn axes(&mut self, axes: &str) -> Vec<AxisId> {
        axes.chars().map(|axis| self.builder.axis(&axis.to_string())).collect()
    }

    /// An `f32` input; each letter of `axes` is an axis.
    pub(crate) fn input(&mut self, name: &str, axes: &str) -> NodeId {
        self.typed(name, DType::F32, axes)
    }

    pub(crate) fn typed(&mut self, name: &str, dtype: DType, axes: &str) -> NodeId {
        let axes = self.axes(axes);
        self.builder.input(name, dtype, &axes)
    }

    pub(crate) fn number(&mut self, value: f64) -> NodeId {
        self.builder.literal(value, DType::F32)
    }

    pub(crate) fn un(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        self.builder.unary(op, x)
    }

    pub(crate) fn bin(&mut self, op: BinaryOp, x: NodeId, y: NodeId) -> NodeId {
        self.builder.binary(op, x, y)
    }

    pub(crate) fn add(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.bin(BinaryOp::Add, x, y)
    }

    pub(crate) fn sub(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.bin(BinaryOp::Sub, x, y)
    }

    pub(crate) fn mul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.bin(BinaryOp::Mul, x, y)
    }

    pub(crate) fn div(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.bin(BinaryOp::Div, x, y)
    }

    pub(crate) fn times(&mut self, x: NodeId, factor: f64) -> NodeId {
        let factor = self.number(factor);
        self.mul(x, factor)
    }

    pub(crate) fn reduce(&mut self, op: ReduceOp, axes: &str, x: NodeId) -> NodeId {
        let axes = self.axes(axes).into_iter().collect();
        self.builder.reduce(op, axes, x)
    }

    pub(crate) fn sum(&mut self, axes: &str, x: NodeId) -> NodeId {
        self.reduce(ReduceOp::Sum, axes, x)
    }

    pub(crate) fn dot(&mut self, axes: &str, x: NodeId, y: NodeId) -> NodeId {
        let product = self.mul(x, y);
        self.sum(axes, product)
    }

    /// The mean along one axis.
    pub(crate) fn mean(&mut self, axis: &str, x: NodeId) -> NodeId {
        let sum = self.sum(axis, x);
        let axis = self.builder.axis(axis);
        let len = self.builder.len(axis);
        let len = self.builder.cast(DType::F32, len);
        self.div(sum, len)
    }

    pub(crate) fn gelu(&mut self, x: NodeId) -> NodeId {
        let scaled = self.times(x, std::f64::consts::FRAC_1_SQRT_2 as f32 as f64);
        let erf = self.un(UnaryOp::Erf, scaled);
        let one = self.number(1.0);
        let gate = self.add(erf, one);
        let half = self.times(x, 0.5);
        self.mul(half, gate)
    }

    /// Softmax along one axis, 0 where a row holds nothing.
    pub(crate) fn softmax(&mut self, axis: &str, x: NodeId) -> NodeId {
        let max = self.reduce(ReduceOp::Max, axis, x);
        self.builder.name(max, "m");
        let low = self.number(f64::NEG_INFINITY);
        let zero = self.number(0.0);
        let empty = self.builder.compare(CompareOp::Eq, max, low);
        let pivot = self.builder.select(empty, zero, max);
        let shifted = self.sub(x, pivot);
        let e = self.un(UnaryOp::Exp, shifted);
        self.builder.name(e, "e");
        let l = self.sum(axis, e);
        self.builder.name(l, "l");
        let none = self.builder.compare(CompareOp::Eq, l, zero);
        let quotient = self.div(e, l);
        self.builder.select(none, zero, quotient)
    }

    /// An output in the node's type.
    pub(crate) fn output(&mut self, name: &str, axes: &str, node: NodeId) {
        let axes = self.axes(axes);
        let dtype = self.builder.node(node).dtype;
        let tensor = Tensor::new(name, dtype, &axes);
        self.outputs.push(Output { tensor, node });
    }

    pub(crate) fn finish(self) -> Graph {
        let graph = self.builder.finish(self.outputs);
        graph::verify(&graph).unwrap();
        graph.bind(&self.sizes.into_iter().collect()).unwrap()
    }
}

pub(crate) fn matmul(m: u64, n: u64, k: u64) -> Graph {
    let mut kernel = Kernel::new("matmul", &[("m", m), ("n", n), ("k", k)]);
    let (a, b) = (kernel.input("A", "mk"), kernel.input("B", "kn"));
    let c = kernel.dot("k", a, b);
    kernel.output("C", "mn", c);
    kernel.finish()
}

fn batched_matmul() -> Graph {
    let mut kernel = Kernel::new("batched", &[("b", 3), ("m", 5), ("n", 7), ("k", 11)]);
    let (a, b) = (kernel.input("A", "bmk"), kernel.input("B", "bnk"));
    let c = kernel.dot("k", a, b);
    kernel.output("C", "bmn", c);
    kernel.finish()
}

pub(crate) fn linear_gelu(m: u64, n: u64, k: u64) -> Graph {
    let mut kernel = Kernel::new("linear_gelu", &[("m", m), ("n", n), ("k", k)]);
    let (x, w) = (kernel.input("X", "mk"), kernel.input("W", "kn"));
    let bias = kernel.input("bias", "n");
    let y = kernel.dot("k", x, w);
    let y = kernel.add(y, bias);
    let y = kernel.gelu(y);
    kernel.output("Y", "mn", y);
    kernel.finish()
}

pub(crate) fn softmax(i: u64, j: u64) -> Graph {
    let mut kernel = Kernel::new("softmax", &[("i", i), ("j", j)]);
    let x = kernel.input("X", "ij");
    let y = kernel.softmax("j", x);
    kernel.output("Y", "ij", y);
    kernel.finish()
}

pub(crate) fn layernorm(i: u64, j: u64) -> Graph {
    let mut kernel = Kernel::new("layernorm", &[("i", i), ("j", j)]);
    let x = kernel.input("X", "ij");
    let (gain, shift) = (kernel.input("G", "j"), kernel.input("H", "j"));
    let mean = kernel.mean("j", x);
    kernel.builder.name(mean, "mean");
    let centred = kernel.sub(x, mean);
    let square = kernel.mul(centred, centred);
    let variance = kernel.mean("j", square);
    let epsilon = kernel.number(0.0078125);
    let variance = kernel.add(variance, epsilon);
    let scale = kernel.un(UnaryOp::Rsqrt, variance);
    let y = kernel.mul(centred, scale);
    let y = kernel.mul(y, gain);
    let y = kernel.add(y, shift);
    kernel.output("Y", "ij", y);
    kernel.finish()
}

/// Mean and mean of squares in one traversal.
fn moments() -> Graph {
    let mut kernel = Kernel::new("moments", &[("i", 4), ("j", 13)]);
    let x = kernel.input("X", "ij");
    let mean = kernel.mean("j", x);
    let square = kernel.mul(x, x);
    let of_squares = kernel.mean("j", square);
    let squared = kernel.mul(mean, mean);
    let variance = kernel.sub(of_squares, squared);
    kernel.output("mean", "i", mean);
    kernel.output("variance", "i", variance);
    kernel.finish()
}

fn rmsnorm() -> Graph {
    let mut kernel = Kernel::new("rmsnorm", &[("i", 5), ("j", 9)]);
    let (x, gain) = (kernel.input("X", "ij"), kernel.input("G", "j"));
    let square = kernel.mul(x, x);
    let mean = kernel.mean("j", square);
    let scale = kernel.un(UnaryOp::Rsqrt, mean);
    let y = kernel.mul(x, scale);
    let y = kernel.mul(y, gain);
    kernel.output("Y", "ij", y);
    kernel.finish()
}

/// Causal attention of one head per `h`.
pub(crate) fn attention(h: u64, i: u64, d: u64) -> Graph {
    let sizes = [("h", h), ("i", i), ("j", i + 2), ("d", d), ("e", d)];
    let mut kernel = Kernel::new("attention", &sizes);
    let (q, k) = (kernel.input("Q", "hid"), kernel.input("K", "hjd"));
    let v = kernel.input("V", "hje");
    let s = kernel.dot("d", q, k);
    let s = kernel.times(s, 0.25);
    let [ai, aj] = ["i", "j"].map(|axis| kernel.builder.axis(axis));
    let (row, column) = (kernel.builder.index(ai), kernel.builder.index(aj));
    let seen = kernel.builder.compare(CompareOp::Le, column, row);
    let low = kernel.number(f64::NEG_INFINITY);
    let s = kernel.builder.select(seen, s, low);
    kernel.builder.name(s, "s");
    let p = kernel.softmax("j", s);
    kernel.builder.name(p, "p");
    let o = kernel.dot("j", p, v);
    kernel.output("O", "hie", o);
    kernel.finish()
}

/// The streaming form of attention: a running maximum, and two sums that move with it.
pub(crate) fn rolled_attention(h: u64, i: u64, d: u64) -> Graph {
    let sizes = [("h", h), ("i", i), ("j", i + 2), ("d", d), ("e", d)];
    let mut kernel = Kernel::new("rolled_attention", &sizes);
    let (q, k) = (kernel.input("Q", "hid"), kernel.input("K", "hjd"));
    let v = kernel.input("V", "hje");
    let s = kernel.dot("d", q, k);
    kernel.builder.name(s, "s");
    let top = kernel.reduce(ReduceOp::Max, "j", s);
    kernel.builder.name(top, "m");
    let (before, after) = (kernel.builder.before(top), kernel.builder.after(top));
    let [low, zero, one] = [f64::NEG_INFINITY, 0.0, 1.0].map(|value| kernel.number(value));
    let [none, empty] = [before, after].map(|x| kernel.builder.compare(CompareOp::Eq, x, low));
    let pivot = kernel.builder.select(empty, zero, after);
    let shifted = kernel.sub(s, pivot);
    let p = kernel.un(UnaryOp::Exp, shifted);
    kernel.builder.name(p, "p");
    let old = kernel.builder.select(none, zero, before);
    let moved = kernel.sub(old, pivot);
    let moved = kernel.un(UnaryOp::Exp, moved);
    let r = kernel.builder.select(none, one, moved);
    kernel.builder.name(r, "r");
    let weighted = kernel.mul(p, v);
    let stream = kernel.axes("j").into_iter().collect();
    let [l, o] = [p, weighted].map(|term| {
        let axes = kernel.builder.node(term).axes - stream;
        let held = kernel.builder.held(DType::F32, axes);
        let update = kernel.mul(held, r);
        kernel.builder.roll(ReduceOp::Sum, stream, term, update)
    });
    kernel.builder.name(l, "l");
    let o = kernel.div(o, l);
    kernel.output("O", "hie", o);
    kernel.finish()
}

/// Two products over the same axes, one gating the other.
pub(crate) fn gated() -> Graph {
    let mut kernel = Kernel::new("gated", &[("m", 6), ("n", 8), ("k", 10)]);
    let x = kernel.input("X", "mk");
    let (up, gate) = (kernel.input("U", "kn"), kernel.input("W", "kn"));
    let up = kernel.dot("k", x, up);
    let gate = kernel.dot("k", x, gate);
    let minus = kernel.un(UnaryOp::Neg, gate);
    let e = kernel.un(UnaryOp::Exp, minus);
    let one = kernel.number(1.0);
    let below = kernel.add(e, one);
    let silu = kernel.div(gate, below);
    let y = kernel.mul(silu, up);
    kernel.output("Y", "mn", y);
    kernel.finish()
}

/// Two layers; the hidden one is also an output.
fn mlp() -> Graph {
    let mut kernel = Kernel::new("mlp", &[("m", 5), ("f", 9), ("n", 6), ("k", 7)]);
    let x = kernel.input("X", "mk");
    let (first, second) = (kernel.input("W", "kf"), kernel.input("V", "fn"));
    let hidden = kernel.dot("k", x, first);
    let hidden = kernel.gelu(hidden);
    let y = kernel.dot("f", hidden, second);
    kernel.output("Y", "mn", y);
    kernel.output("hidden", "mf", hidden);
    kernel.finish()
}

/// One value for two outputs of other axis orders, an input as an output, constants, a broadcast, rank 0.
pub(crate) fn corners() -> Graph {
    let mut kernel = Kernel::new("corners", &[("i", 3), ("j", 5)]);
    let x = kernel.input("X", "ij");
    let e = kernel.un(UnaryOp::Exp, x);
    let total = kernel.sum("ij", e);
    let rows = kernel.sum("j", x);
    let one = kernel.number(1.5);
    kernel.output("E", "ij", e);
    kernel.output("T", "ji", e);
    kernel.output("same", "ij", x);
    kernel.output("one", "i", one);
    kernel.output("wide", "ij", rows);
    kernel.output("total", "", total);
    kernel.output("rows", "i", rows);
    kernel.output("again", "i", rows);
    kernel.finish()
}

/// A chain whose tree would have 2^60 leaves.
pub(crate) fn squarings() -> Graph {
    let mut kernel = Kernel::new("squarings", &[("i", 3)]);
    let mut x = kernel.input("X", "i");
    for _ in 0..60 {
        x = kernel.mul(x, x);
    }
    kernel.output("Y", "i", x);
    kernel.finish()
}

/// Integers, truth values, products, minima.
fn integers() -> Graph {
    let mut kernel = Kernel::new("integers", &[("i", 4), ("j", 6)]);
    let x = kernel.typed("X", DType::I32, "ij");
    let low = kernel.reduce(ReduceOp::Min, "j", x);
    let high = kernel.reduce(ReduceOp::Max, "i", x);
    let zero = kernel.builder.literal(0.0, DType::I32);
    let positive = kernel.builder.compare(CompareOp::Gt, x, zero);
    let any = kernel.reduce(ReduceOp::Any, "j", positive);
    let all = kernel.reduce(ReduceOp::All, "ij", positive);
    let product = kernel.reduce(ReduceOp::Product, "j", x);
    kernel.output("low", "i", low);
    kernel.output("high", "j", high);
    kernel.output("any", "i", any);
    kernel.output("all", "", all);
    kernel.output("product", "i", product);
    kernel.finish()
}

/// Narrow inputs and outputs around a wide accumulator.
fn narrow() -> Graph {
    let mut kernel = Kernel::new("narrow", &[("m", 4), ("n", 12), ("k", 9)]);
    let (a, b) = (kernel.typed("A", DType::Bf16, "mk"), kernel.typed("B", DType::Bf16, "kn"));
    let (a, b) = (kernel.builder.cast(DType::F32, a), kernel.builder.cast(DType::F32, b));
    let c = kernel.dot("k", a, b);
    let c = kernel.builder.cast(DType::Bf16, c);
    kernel.output("C", "mn", c);
    kernel.finish()
}

/// Scans: one that is read and stored, one of a scan, one inside of a softmax, one of a reduction, one reduced.
pub(crate) fn scans(rows: u64, columns: u64) -> Graph {
    let mut kernel = Kernel::new("scans", &[("i", rows), ("j", columns)]);
    let x = kernel.input("X", "ij");
    let (i, j) = (kernel.builder.axis("i"), kernel.builder.axis("j"));
    let along = kernel.builder.scan(ReduceOp::Sum, j, x);
    let both = kernel.builder.scan(ReduceOp::Max, i, along);
    let p = kernel.softmax("i", along);
    let sums = kernel.sum("i", x);
    let of_sums = kernel.builder.scan(ReduceOp::Min, j, sums);
    let largest = kernel.reduce(ReduceOp::Max, "j", along);
    kernel.output("along", "ij", along);
    kernel.output("both", "ji", both);
    kernel.output("p", "ij", p);
    kernel.output("of_sums", "j", of_sums);
    kernel.output("largest", "i", largest);
    kernel.finish()
}

/// Positions of the largest and smallest, over one axis and over two.
pub(crate) fn searches(rows: u64, columns: u64) -> Graph {
    let mut kernel = Kernel::new("searches", &[("i", rows), ("j", columns)]);
    let x = kernel.input("X", "ij");
    let class = kernel.reduce(ReduceOp::Argmax, "j", x);
    let place = kernel.reduce(ReduceOp::Argmin, "ij", x);
    kernel.output("class", "i", class);
    kernel.output("place", "", place);
    kernel.finish()
}

/// Every graph of the tests, with a name.
pub(crate) fn all() -> Vec<(&'static str, Graph)> {
    vec![
        ("matmul", matmul(13, 17, 19)),
        ("matmul_one", matmul(1, 1, 1)),
        ("matmul_row", matmul(1, 9, 23)),
        ("matmul_column", matmul(31, 1, 5)),
        ("matmul_no_terms", matmul(4, 5, 0)),
        ("matmul_no_rows", matmul(0, 5, 3)),
        ("batched", batched_matmul()),
        ("linear_gelu", linear_gelu(7, 10, 12)),
        ("softmax", softmax(5, 11)),
        ("softmax_empty", softmax(3, 0)),
        ("layernorm", layernorm(4, 13)),
        ("moments", moments()),
        ("rmsnorm", rmsnorm()),
        ("attention", attention(2, 7, 4)),
        ("gated", gated()),
        ("mlp", mlp()),
        ("corners", corners()),
        ("squarings", squarings()),
        ("integers", integers()),
        ("narrow", narrow()),
        ("scans", scans(5, 70)),
        ("scans_one", scans(1, 1)),
        ("scans_empty", scans(3, 0)),
        ("searches", searches(4, 9)),
        ("searches_empty", searches(2, 0)),
    ]
}
