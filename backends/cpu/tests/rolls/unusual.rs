//! Rolled graphs of unusual shape: narrow and strided inputs, several stream axes, several groups, passes around a
//! group, reductions of running values, other folds than sums.

use super::graphs::{Maker, Pair, pair, sizes};
use tilewright_ir::base::{BinaryOp, DType, ReduceOp, Sizes};
use tilewright_ir::graph::{Extent, NodeId};

/// The weighted mean of `v` along the axes, with weights that are the exponentials of `s`.
fn softmax_mean(m: &mut Maker, rolled: bool, axes: &str, s: NodeId, v: NodeId) -> NodeId {
    let top = m.reduce(ReduceOp::Max, axes, s);
    let pivot = if rolled { m.b.after(top) } else { top };
    let pivot = m.guard(pivot);
    let difference = m.sub(s, pivot);
    let p = m.exp(difference);
    let pv = m.mul(p, v);
    let [l, o] = [p, pv].map(|term| match rolled {
        true => {
            let scale = m.rescale(top);
            m.roll(axes, term, |m, held| m.mul(held, scale))
        }
        false => m.reduce(ReduceOp::Sum, axes, term),
    });
    m.div(o, l)
}

/// Decoding with grouped heads: the keys and values lack the axis r of the queries.
fn grouped(sizes: &Sizes) -> Pair {
    pair("grouped", sizes, |rolled| {
        let mut m = Maker::new("grouped", "grjde", DType::F32);
        let (q, k, v) = (m.input("Q", "grd"), m.input("K", "gjd"), m.input("V", "gje"));
        let product = m.mul(q, k);
        let s = m.reduce(ReduceOp::Sum, "d", product);
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        m.finish(&[("O", "gre", o)], sizes)
    })
}

/// Inputs and output in a narrow type, computed in f32.
fn narrow(dtype: DType, sizes: &Sizes) -> Pair {
    pair(&format!("narrow {dtype}"), sizes, |rolled| {
        let mut m = Maker::new("narrow", "ijde", dtype);
        let [q, k, v] = [("Q", "id"), ("K", "jd"), ("V", "je")].map(|(name, axes)| {
            let x = m.input(name, axes);
            m.b.cast(DType::F32, x)
        });
        m.dtype = DType::F32;
        let product = m.mul(q, k);
        let s = m.reduce(ReduceOp::Sum, "d", product);
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        let o = m.b.cast(dtype, o);
        m.finish(&[("O", "ie", o)], sizes)
    })
}

/// Keys lie transposed, values have gaps, scores run backwards.
fn strided(sizes: &Sizes) -> Pair {
    pair("strided", sizes, |rolled| {
        let mut m = Maker::new("strided", "ijde", DType::F32);
        let (q, k, v) = (m.input("Q", "id"), m.input("K", "jd"), m.input("V", "je"));
        m.b.set_strides("Q", vec![Extent::number(-16), Extent::number(1)]);
        m.b.set_strides("K", vec![Extent::number(1), Extent::number(64)]);
        m.b.set_strides("V", vec![Extent::number(20), Extent::number(2)]);
        let product = m.mul(q, k);
        let s = m.reduce(ReduceOp::Sum, "d", product);
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        m.finish(&[("O", "ie", o)], sizes)
    })
}

/// A stream of two axes.
fn two_axes(sizes: &Sizes) -> Pair {
    pair("two axes", sizes, |rolled| {
        let mut m = Maker::new("two_axes", "ijk", DType::F32);
        let (s, v) = (m.input("S", "ijk"), m.input("V", "jk"));
        let o = softmax_mean(&mut m, rolled, "jk", s, v);
        m.finish(&[("O", "i", o)], sizes)
    })
}

/// Projections before and behind, keys from a projection that all queries share, and a second group.
fn layer(sizes: &Sizes) -> Pair {
    pair("layer", sizes, |rolled| {
        let mut m = Maker::new("layer", "ijcdef", DType::F32);
        let (x, y, w, u) =
            (m.input("X", "ic"), m.input("Y", "jc"), m.input("W", "cd"), m.input("U", "ce"));
        let contract = |m: &mut Maker, a, b, axis| {
            let product = m.mul(a, b);
            m.reduce(ReduceOp::Sum, axis, product)
        };
        let (q, k, v) =
            (contract(&mut m, x, w, "c"), contract(&mut m, y, w, "c"), contract(&mut m, y, u, "c"));
        let s = contract(&mut m, q, k, "d");
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        let z = m.input("Z", "ef");
        let p = contract(&mut m, o, z, "e");
        let mean = softmax_mean(&mut m, rolled, "f", p, p);
        m.finish(&[("P", "if", p), ("M", "i", mean)], sizes)
    })
}

/// The largest number less the sum of all, where each block moves the running maximum by its sum.
fn largest_less_sum(dtype: DType, sizes: &Sizes) -> Pair {
    pair(&format!("largest less sum {dtype}"), sizes, |rolled| {
        let mut m = Maker::new("largest", "ij", dtype);
        let x = m.input("X", "ij");
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let y = if rolled {
            let (before, after) = (m.b.before(sum), m.b.after(sum));
            let term = m.sub(x, after);
            let stream = m.set("j");
            let row = m.set("i");
            let held = m.b.held(dtype, row);
            let moved = m.sub(before, after);
            let update = m.add(held, moved);
            m.b.roll(ReduceOp::Max, stream, term, update)
        } else {
            let term = m.sub(x, sum);
            m.reduce(ReduceOp::Max, "j", term)
        };
        m.finish(&[("Y", "i", y)], sizes)
    })
}

/// The sum of all differences from the sum, in integers that wrap.
fn centred(dtype: DType, sizes: &Sizes) -> Pair {
    pair(&format!("centred {dtype}"), sizes, |rolled| {
        let mut m = Maker::new("centred", "ij", dtype);
        let x = m.input("X", "ij");
        let sum = m.reduce(ReduceOp::Sum, "j", x);
        let y = if rolled {
            let j = m.axis("j");
            let (index, first) = (m.b.index(j), m.b.literal(0.0, DType::I32));
            let there = m.b.compare(tilewright_ir::base::CompareOp::Ge, index, first);
            let (one, zero) = (m.number(1.0), m.number(0.0));
            let ones = m.b.select(there, one, zero);
            let seen = m.reduce(ReduceOp::Sum, "j", ones);
            let (seen, before, after) = (m.b.before(seen), m.b.before(sum), m.b.after(sum));
            let term = m.sub(x, after);
            m.roll("j", term, |m, held| {
                let moved = m.sub(before, after);
                let moved = m.mul(moved, seen);
                m.add(held, moved)
            })
        } else {
            let term = m.sub(x, sum);
            m.reduce(ReduceOp::Sum, "j", term)
        };
        m.finish(&[("Y", "i", y)], sizes)
    })
}

/// A term that reduces running values over an axis that is not of the stream, and an update with an axis that the term
/// lacks.
fn inner_reduction(sizes: &Sizes) -> Pair {
    pair("inner reduction", sizes, |rolled| {
        let mut m = Maker::new("inner", "ijh", DType::F32);
        let (x, a, w) = (m.input("X", "hj"), m.input("A", "j"), m.input("W", "i"));
        let sum = m.reduce(ReduceOp::Sum, "j", a);
        let (h, j) = (m.axis("h"), m.axis("j"));
        let rows = m.b.len(h);
        let rows = m.b.cast(DType::F32, rows);
        let zero = m.number(0.0);
        let nothing = m.mul(w, zero);
        let y = if rolled {
            let (before, after) = (m.b.before(sum), m.b.after(sum));
            let centred = m.sub(x, after);
            let term = m.reduce(ReduceOp::Sum, "h", centred);
            let index = m.b.index(j);
            let first = m.b.literal(0.0, DType::I32);
            let there = m.b.compare(tilewright_ir::base::CompareOp::Ge, index, first);
            let one = m.number(1.0);
            let ones = m.b.select(there, one, zero);
            let seen = m.reduce(ReduceOp::Sum, "j", ones);
            let seen = m.b.before(seen);
            let (stream, row) = (m.set("j"), m.set("i"));
            let held = m.b.held(DType::F32, row);
            let moved = m.sub(before, after);
            let moved = m.mul(moved, seen);
            let moved = m.mul(moved, rows);
            let update = m.add(held, moved);
            let update = m.add(update, nothing);
            m.b.roll(ReduceOp::Sum, stream, term, update)
        } else {
            let centred = m.sub(x, sum);
            let term = m.reduce(ReduceOp::Sum, "h", centred);
            let all = m.reduce(ReduceOp::Sum, "j", term);
            m.b.binary(BinaryOp::Add, all, nothing)
        };
        m.finish(&[("Y", "i", y)], sizes)
    })
}

/// Two layers of a perceptron: the roll of a plain sum draws the hidden values into its loop.
pub(crate) fn perceptron(sizes: &Sizes) -> Pair {
    pair("perceptron", sizes, |rolled| {
        let mut m = Maker::new("perceptron", "ikhf", DType::F32);
        let (x, w, u) = (m.input("X", "ik"), m.input("W", "kh"), m.input("U", "hf"));
        let product = m.mul(x, w);
        let dots = m.reduce(ReduceOp::Sum, "k", product);
        let hidden = m.b.unary(tilewright_ir::base::UnaryOp::Tanh, dots);
        let term = m.mul(hidden, u);
        let y = match rolled {
            true => m.roll("h", term, |_, held| held),
            false => m.reduce(ReduceOp::Sum, "h", term),
        };
        m.finish(&[("Y", "if", y)], sizes)
    })
}

/// The scores are an output too, so they are stored whole and the group reads them.
fn scores_kept(sizes: &Sizes) -> Pair {
    pair("scores kept", sizes, |rolled| {
        let mut m = Maker::new("kept", "ijde", DType::F32);
        let (q, k, v) = (m.input("Q", "id"), m.input("K", "jd"), m.input("V", "je"));
        let product = m.mul(q, k);
        let s = m.reduce(ReduceOp::Sum, "d", product);
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        m.finish(&[("O", "ie", o), ("S", "ij", s)], sizes)
    })
}

/// Keys and values of a paged cache: a table says where the row of each place lies.
fn paged(sizes: &Sizes) -> Pair {
    pair("paged", sizes, |rolled| {
        let mut m = Maker::new("paged", "ijdep", DType::F32);
        let (q, k, v) = (m.input("Q", "id"), m.input("K", "pd"), m.input("V", "pe"));
        let (j, p) = (m.axis("j"), m.axis("p"));
        let table = m.b.input("T", DType::I32, &[j]);
        let [k, v] = [k, v].map(|x| m.b.gather(x, &[(p, table)]));
        let product = m.mul(q, k);
        let s = m.reduce(ReduceOp::Sum, "d", product);
        let o = softmax_mean(&mut m, rolled, "j", s, v);
        m.finish(&[("O", "ie", o)], sizes)
    })
}

/// All of them, each at a few sizes.
pub(crate) fn all() -> Vec<Pair> {
    let mut pairs = vec![];
    for (i, j) in [(1, 1), (5, 13), (9, 0), (0, 3), (12, 70)] {
        let both = |more: &[(&str, u64)]| sizes(&[&[("i", i), ("j", j)], more].concat());
        pairs.push(grouped(&sizes(&[("g", 2), ("r", i), ("j", j), ("d", 8), ("e", 6)])));
        pairs.push(narrow(DType::Bf16, &both(&[("d", 4), ("e", 9)])));
        pairs.push(narrow(DType::F16, &both(&[("d", 5), ("e", 8)])));
        pairs.push(perceptron(&sizes(&[("i", i), ("h", j), ("k", 5), ("f", 7)])));
        pairs.push(scores_kept(&both(&[("d", 4), ("e", 5)])));
        pairs.push(centred(DType::I32, &both(&[])));
        pairs.push(centred(DType::I16, &both(&[])));
        pairs.push(paged(&both(&[("d", 4), ("e", 8), ("p", 11)])));
        pairs.push(two_axes(&both(&[("k", 7)])));
        pairs.push(layer(&both(&[("c", 6), ("d", 4), ("e", 5), ("f", 9)])));
        pairs.push(Pair { at_infinity: false, ..largest_less_sum(DType::F32, &both(&[])) });
        pairs.push(Pair { at_infinity: false, ..largest_less_sum(DType::F64, &both(&[])) });
        pairs.push(Pair { at_infinity: false, ..inner_reduction(&both(&[("h", 3)])) });
        if j < 64 {
            pairs.push(strided(&both(&[("d", 4), ("e", 5)])));
        }
    }
    pairs
}
