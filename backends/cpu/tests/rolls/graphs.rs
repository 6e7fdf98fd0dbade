//! Graphs with rolls, made by hand, each beside the naive graph of the same mathematics.
//!
//! Invariant: both graphs of a pair are bound, verified, and have the same inputs and outputs.

use tilewright_ir::base::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, Sizes, UnaryOp};
use tilewright_ir::graph::{self, Graph, GraphBuilder, NodeId, Output, Tensor};

/// A naive graph and its rolled form.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) naive: Graph,
    pub(crate) rolled: Graph,
    /// Whether the rolled form has the value of the naive one for infinite inputs too.
    pub(crate) at_infinity: bool,
}

/// A builder with short names.
pub(crate) struct Maker {
    pub(crate) b: GraphBuilder,
    pub(crate) dtype: DType,
}

impl Maker {
    pub(crate) fn new(name: &str, axes: &str, dtype: DType) -> Self {
        let mut b = GraphBuilder::new(name);
        axes.chars().for_each(|axis| _ = b.axis(&axis.to_string()));
        Self { b, dtype }
    }

    pub(crate) fn axis(&mut self, name: &str) -> AxisId {
        self.b.axis(name)
    }

    pub(crate) fn set(&mut self, axes: &str) -> AxisSet {
        axes.chars().map(|axis| self.b.axis(&axis.to_string())).collect()
    }

    pub(crate) fn input(&mut self, name: &str, axes: &str) -> NodeId {
        let axes: Vec<AxisId> = axes.chars().map(|axis| self.b.axis(&axis.to_string())).collect();
        self.b.input(name, self.dtype, &axes)
    }

    pub(crate) fn number(&mut self, value: f64) -> NodeId {
        self.b.literal(value, self.dtype)
    }

    pub(crate) fn mul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.b.binary(BinaryOp::Mul, x, y)
    }

    pub(crate) fn sub(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.b.binary(BinaryOp::Sub, x, y)
    }

    pub(crate) fn add(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.b.binary(BinaryOp::Add, x, y)
    }

    pub(crate) fn div(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.b.binary(BinaryOp::Div, x, y)
    }

    pub(crate) fn exp(&mut self, x: NodeId) -> NodeId {
        self.b.unary(UnaryOp::Exp, x)
    }

    pub(crate) fn reduce(&mut self, op: ReduceOp, axes: &str, x: NodeId) -> NodeId {
        let axes = self.set(axes);
        self.b.reduce(op, axes, x)
    }

    pub(crate) fn roll(
        &mut self,
        axes: &str,
        term: NodeId,
        update: impl Fn(&mut Self, NodeId) -> NodeId,
    ) -> NodeId {
        let axes = self.set(axes);
        let node = *self.b.node(term);
        let held = self.b.held(node.dtype, node.axes - axes);
        let update = update(self, held);
        self.b.roll(ReduceOp::Sum, axes, term, update)
    }

    /// 0 where nothing has been seen, else the value.
    pub(crate) fn guard(&mut self, x: NodeId) -> NodeId {
        let lowest = self.number(f64::NEG_INFINITY);
        let zero = self.number(0.0);
        let none = self.b.compare(CompareOp::Eq, x, lowest);
        self.b.select(none, zero, x)
    }

    /// What terms scaled by the exponential of the old pivot are multiplied by for the new one.
    pub(crate) fn rescale(&mut self, pivot: NodeId) -> NodeId {
        let (before, after) = (self.b.before(pivot), self.b.after(pivot));
        let (old, new) = (self.guard(before), self.guard(after));
        let difference = self.sub(old, new);
        let (factor, one) = (self.exp(difference), self.number(1.0));
        let lowest = self.number(f64::NEG_INFINITY);
        let none = self.b.compare(CompareOp::Eq, before, lowest);
        self.b.select(none, one, factor)
    }

    pub(crate) fn finish(self, outputs: &[(&str, &str, NodeId)], sizes: &Sizes) -> Graph {
        let Self { mut b, .. } = self;
        let outputs = outputs.iter().map(|&(name, axes, node)| {
            let axes: Vec<AxisId> = axes.chars().map(|axis| b.axis(&axis.to_string())).collect();
            Output { tensor: Tensor::new(name, b.node(node).dtype, &axes), node }
        });
        let outputs = outputs.collect();
        let graph = b.finish(outputs);
        graph::verify(&graph).unwrap_or_else(|faults| panic!("{faults:?}\n{}", graph.print()));
        graph.bind(sizes).unwrap()
    }
}

pub(crate) fn sizes(list: &[(&str, u64)]) -> Sizes {
    list.iter().map(|(name, extent)| (name.to_string(), *extent)).collect()
}

pub(crate) fn pair(name: &str, sizes: &Sizes, make: impl Fn(bool) -> Graph) -> Pair {
    let (naive, rolled) = (make(false), make(true));
    Pair { name: format!("{name} {sizes:?}"), naive, rolled, at_infinity: true }
}

/// softmax(Q K^T) V, or its one-pass form; with a mask that hides later keys from earlier queries.
pub(crate) fn attention(dtype: DType, masked: bool, sizes: &Sizes) -> Pair {
    let make = |rolled: bool| {
        let mut m = Maker::new("attention", "bijde", dtype);
        let (q, k) = (m.input("Q", "bid"), m.input("K", "bjd"));
        let v = m.input("V", "bje");
        let product = m.mul(q, k);
        let dots = m.reduce(ReduceOp::Sum, "d", product);
        let scale = m.number(0.25);
        let mut s = m.mul(dots, scale);
        if masked {
            let (i, j) = (m.axis("i"), m.axis("j"));
            let (i, j) = (m.b.index(i), m.b.index(j));
            let seen = m.b.compare(CompareOp::Le, j, i);
            let hidden = m.number(f64::NEG_INFINITY);
            s = m.b.select(seen, s, hidden);
        }
        m.b.name(s, "s");
        let top = m.reduce(ReduceOp::Max, "j", s);
        m.b.name(top, "m");
        let (sum, weighted) = if rolled {
            let after = m.b.after(top);
            let pivot = m.guard(after);
            let difference = m.sub(s, pivot);
            let p = m.exp(difference);
            m.b.name(p, "p");
            let scale = m.rescale(top);
            m.b.name(scale, "r");
            let pv = m.mul(p, v);
            let l = m.roll("j", p, |m, held| m.mul(held, scale));
            m.b.name(l, "l");
            let o = m.roll("j", pv, |m, held| m.mul(held, scale));
            (l, o)
        } else {
            let pivot = m.guard(top);
            let difference = m.sub(s, pivot);
            let p = m.exp(difference);
            let pv = m.mul(p, v);
            (m.reduce(ReduceOp::Sum, "j", p), m.reduce(ReduceOp::Sum, "j", pv))
        };
        let o = m.div(weighted, sum);
        m.finish(&[("O", "bie", o)], sizes)
    };
    pair(&format!("attention {dtype} masked {masked}"), sizes, make)
}

/// log(sum(exp(x))) + the rows' largest values as a second output.
pub(crate) fn log_sum_exp(dtype: DType, sizes: &Sizes) -> Pair {
    let make = |rolled: bool| {
        let mut m = Maker::new("logsumexp", "ij", dtype);
        let x = m.input("X", "ij");
        let top = m.reduce(ReduceOp::Max, "j", x);
        let sum = if rolled {
            let after = m.b.after(top);
            let pivot = m.guard(after);
            let difference = m.sub(x, pivot);
            let p = m.exp(difference);
            let scale = m.rescale(top);
            m.roll("j", p, |m, held| m.mul(held, scale))
        } else {
            let pivot = m.guard(top);
            let difference = m.sub(x, pivot);
            let p = m.exp(difference);
            m.reduce(ReduceOp::Sum, "j", p)
        };
        let pivot = m.guard(top);
        let log = m.b.unary(UnaryOp::Log, sum);
        let y = m.add(log, pivot);
        m.finish(&[("Y", "i", y), ("M", "i", top)], sizes)
    };
    pair(&format!("logsumexp {dtype}"), sizes, make)
}

/// The variance of rows: the squares around the running mean, moved with it.
pub(crate) fn variance(dtype: DType, sizes: &Sizes) -> Pair {
    let make = |rolled: bool| {
        let mut m = Maker::new("variance", "ij", dtype);
        let x = m.input("X", "ij");
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let j = m.axis("j");
        let (len, index) = (m.b.len(j), m.b.index(j));
        let count = m.b.cast(dtype, len);
        let square = if rolled {
            let zero = m.b.literal(0.0, DType::I32);
            let there = m.b.compare(CompareOp::Ge, index, zero);
            let (one, none) = (m.number(1.0), m.number(0.0));
            let ones = m.b.select(there, one, none);
            let seen = m.reduce(ReduceOp::Sum, "j", ones);
            m.b.name(seen, "n");
            let (n0, n1) = (m.b.before(seen), m.b.after(seen));
            let (s0, s1) = (m.b.before(sum), m.b.after(sum));
            let at_least = m.b.binary(BinaryOp::Max, n0, one);
            let (old, new) = (m.div(s0, at_least), m.div(s1, n1));
            let centred = m.sub(x, new);
            let term = m.mul(centred, centred);
            m.roll("j", term, |m, held| {
                let moved = m.sub(old, new);
                let moved = m.mul(moved, moved);
                let moved = m.mul(n0, moved);
                m.add(held, moved)
            })
        } else {
            let mean = m.div(sum, count);
            let centred = m.sub(x, mean);
            let term = m.mul(centred, centred);
            m.reduce(ReduceOp::Sum, "j", term)
        };
        let y = m.div(square, count);
        m.finish(&[("Y", "i", y)], sizes)
    };
    pair(&format!("variance {dtype}"), sizes, make)
}

/// Attention whose running result is normalised after each block: two states besides the pivot.
pub(crate) fn normalised(dtype: DType, sizes: &Sizes) -> Pair {
    let make = |rolled: bool| {
        let mut m = Maker::new("normalised", "ije", dtype);
        let (s, v) = (m.input("S", "ij"), m.input("V", "je"));
        let top = m.reduce(ReduceOp::Max, "j", s);
        let o = if rolled {
            let after = m.b.after(top);
            let pivot = m.guard(after);
            let difference = m.sub(s, pivot);
            let p = m.exp(difference);
            let scale = m.rescale(top);
            let l = m.roll("j", p, |m, held| m.mul(held, scale));
            let (l0, l1) = (m.b.before(l), m.b.after(l));
            let share = m.div(p, l1);
            let term = m.mul(share, v);
            m.roll("j", term, |m, held| {
                let old = m.mul(l0, scale);
                let old = m.div(old, l1);
                m.mul(held, old)
            })
        } else {
            let pivot = m.guard(top);
            let difference = m.sub(s, pivot);
            let p = m.exp(difference);
            let l = m.reduce(ReduceOp::Sum, "j", p);
            let share = m.div(p, l);
            let term = m.mul(share, v);
            m.reduce(ReduceOp::Sum, "j", term)
        };
        m.finish(&[("O", "ie", o)], sizes)
    };
    pair(&format!("normalised {dtype}"), sizes, make)
}

/// All pairs at sizes that meet every edge.
pub(crate) fn all() -> Vec<Pair> {
    let mut pairs = vec![];
    for (i, j) in [(1, 1), (3, 5), (7, 13), (5, 0), (0, 5), (4, 16), (17, 37), (1, 64), (13, 101)] {
        let rows = sizes(&[("i", i), ("j", j)]);
        let cube = sizes(&[("i", i), ("j", j), ("e", 6)]);
        pairs.push(log_sum_exp(DType::F32, &rows));
        pairs.push(variance(DType::F32, &rows));
        pairs.push(normalised(DType::F32, &cube));
        for (b, d, e, masked) in [(2, 4, 8, false), (1, 3, 5, true), (2, 0, 1, false)] {
            let all = sizes(&[("b", b), ("i", i), ("j", j), ("d", d), ("e", e)]);
            pairs.push(attention(DType::F32, masked, &all));
        }
    }
    let rows = sizes(&[("i", 6), ("j", 23)]);
    pairs.push(log_sum_exp(DType::F64, &rows));
    pairs.push(variance(DType::F64, &rows));
    let all = sizes(&[("b", 1), ("i", 9), ("j", 19), ("d", 4), ("e", 5)]);
    pairs.push(attention(DType::F64, true, &all));
    pairs
}
