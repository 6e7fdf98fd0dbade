//! The operations whose bound is confirmed, each as a kernel text with sizes.
//!
//! Invariant: every operator of the tables in `base::op` has a row in f32 and f64 (`main` counts them); a way of being
//! dishonest that the bound cannot see stands here with the reason, and is listed openly in the record.

use super::dishonest::Way;
use tilewright::ir::base::{BinaryOp, CompareOp, UnaryOp};
use tilewright::ir::reference::Family;

/// Why a way changes nothing: the numbers are in the narrower type already, or are rounded to it anyway.
const SAME: &str = "the narrower type gives the same result";
/// Why a 16-bit accumulator is hardly judged: 16 u A is what its own roundings may add up to.
const SHORT: &str = "the stated allowance 16 u A of a 16-bit accumulator is wider";
/// Why a result near 1 with few digits hides what happened before it.
const HIDDEN: &str = "smaller than half an ulp of the 16-bit result, for so few elements";

/// One operation or composition.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) sizes: Vec<(&'static str, u64)>,
    /// The data on which a narrower type has to be seen.
    pub(crate) data: Family,
    /// What the bound cannot see, and why.
    pub(crate) blind: Vec<(Way, &'static str)>,
    /// Of so many seeds one is taken: rows with much work.
    pub(crate) every: u64,
}

impl Row {
    fn new(name: impl Into<String>, sizes: &[(&'static str, u64)], text: impl AsRef<str>) -> Self {
        Self {
            name: name.into(),
            text: format!("kernel row{}", text.as_ref()),
            sizes: sizes.to_vec(),
            data: Family::Normal,
            blind: vec![],
            every: 1,
        }
    }

    fn on(self, data: Family) -> Self {
        Self { data, ..self }
    }

    fn blind(mut self, ways: &[Way], reason: &'static str) -> Self {
        self.blind.extend(ways.iter().map(|&way| (way, reason)));
        self
    }

    fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }
}

const ELEMENTS: &[(&str, u64)] = &[("i", 256)];
/// A step of a computed operand shows what happened before it only where that is near a step.
const STEPS: &[(&str, u64)] = &[("i", 1024)];

/// Every row, in the order of the record.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![];
    for dtype in ["f32", "f64"] {
        rows.extend(unary(dtype));
        rows.extend(binary(dtype));
        rows.extend(reductions(dtype));
        rows.extend(compositions(dtype));
    }
    rows.extend(integers());
    rows.extend(truth());
    rows.extend(casts());
    rows.extend(narrow());
    rows
}

/// `op(x)` on inputs, and on an operand that has an allowance, so that the derivative counts.
fn unary(dtype: &str) -> Vec<Row> {
    let ops = UnaryOp::ALL.iter().filter(|&&op| op != UnaryOp::Not);
    let rows = ops.flat_map(|&op| {
        let positive = matches!(op, UnaryOp::Log | UnaryOp::Log2 | UnaryOp::Sqrt | UnaryOp::Rsqrt);
        let apply = |x: &str| match op {
            UnaryOp::Neg => format!("-({x})"),
            _ if positive => format!("{op}(abs({x}))"),
            _ => format!("{op}({x})"),
        };
        let steps = op.is_step();
        let data = if steps { Family::Close } else { Family::Normal };
        let direct = format!("(x: {dtype}[i]) -> {dtype}[i] {{ {} }}", apply("x"));
        let handed =
            format!("(x: {dtype}[i], y: {dtype}[i]) -> {dtype}[i] {{ {} }}", apply("x * y + y"));
        [
            Row::new(format!("{op} {dtype}"), ELEMENTS, direct)
                .on(data)
                .blind(if steps { &[Way::Results] } else { &[] }, SAME),
            Row::new(
                format!("{op} {dtype}, computed operand"),
                if steps { STEPS } else { ELEMENTS },
                handed,
            )
            .on(data),
        ]
    });
    rows.collect()
}

fn binary(dtype: &str) -> Vec<Row> {
    let ops = BinaryOp::ALL.iter().filter(|op| !matches!(op, BinaryOp::And | BinaryOp::Or));
    let mut rows = vec![];
    for &op in ops {
        let apply = |x: &str, y: &str| match op {
            BinaryOp::Pow => format!("pow(abs({x}), {y})"),
            _ if op.is_infix() => format!("({x}) {op} ({y})"),
            _ => format!("{op}({x}, {y})"),
        };
        for (what, text) in
            [("", apply("x", "y")), (", computed operands", apply("x * y", "x / y"))]
        {
            let text = format!("(x: {dtype}[i], y: {dtype}[i]) -> {dtype}[i] {{ {text} }}");
            rows.push(Row::new(format!("{op} {dtype}{what}"), ELEMENTS, text));
        }
    }
    for &op in CompareOp::ALL {
        let text = format!("(x: {dtype}[i], y: {dtype}[i]) -> bool[i] {{ x {op} y }}");
        rows.push(Row::new(format!("{op} {dtype}"), ELEMENTS, text).on(Family::Close));
    }
    let text = format!(
        "(x: {dtype}[i], y: {dtype}[i], z: {dtype}[i]) -> {dtype}[i] {{ where(x < y, z, x * y) }}"
    );
    rows.push(Row::new(format!("where {dtype}"), ELEMENTS, text));
    rows
}

fn reductions(dtype: &str) -> Vec<Row> {
    let mut rows = vec![];
    for terms in [1, 7, 64, 1000] {
        let sizes = [("i", 24), ("k", terms)];
        let text = format!("(x: {dtype}[i,k]) -> {dtype}[i] {{ sum[k](x) }}");
        rows.push(Row::new(format!("sum {dtype}, {terms} terms"), &sizes, text));
    }
    let text = format!("(x: {dtype}[i,k], y: {dtype}[i,k]) -> {dtype}[i] {{ sum[k](exp(x) * y) }}");
    rows.push(Row::new(format!("sum {dtype}, computed terms"), &[("i", 16), ("k", 100)], text));
    let text = format!("(x: {dtype}[i,j,k]) -> {dtype}[i] {{ mean[j,k](x) }}");
    rows.push(Row::new(format!("mean {dtype}, two axes"), &[("i", 16), ("j", 9), ("k", 11)], text));
    for terms in [3, 40] {
        let sizes = [("i", 24), ("k", terms)];
        let text = format!("(x: {dtype}[i,k]) -> {dtype}[i] {{ product[k](x) }}");
        rows.push(Row::new(format!("product {dtype}, {terms} terms"), &sizes, text));
    }
    let sizes = [("i", 256), ("k", 6)];
    for op in ["max", "min"] {
        let text = format!("(x: {dtype}[i,k]) -> {dtype}[i] {{ {op}[k](x) }}");
        rows.push(Row::new(format!("{op} reduction {dtype}"), &sizes, text));
        let text = format!("(x: {dtype}[i,k]) -> i32[i] {{ arg{op}[k](x) }}");
        let row = Row::new(format!("arg{op} {dtype}"), &sizes, text).on(Family::Close);
        rows.push(row.blind(&[Way::Results], SAME));
    }
    rows
}

fn compositions(dtype: &str) -> Vec<Row> {
    let t = dtype;
    let matmul = format!("(A: {t}[m,k], B: {t}[k,n]) -> {t}[m,n] {{ sum[k](A * B) }}");
    let rows = [("i", 12), ("j", 33)];
    let attention = format!(
        "(Q: {t}[i,d], K: {t}[j,d], V: {t}[j,e]) -> {t}[i,e] \
         {{ sum[j](softmax[j](sum[d](Q * K) * rsqrt(len(d))) * V) }}"
    );
    vec![
        Row::new(format!("contraction {t}, 48 terms"), &[("m", 12), ("n", 11), ("k", 48)], &matmul),
        Row::new(format!("contraction {t}, 600 terms"), &[("m", 9), ("n", 10), ("k", 600)], matmul)
            .every(10),
        Row::new(
            format!("softmax {t}"),
            &rows,
            format!("(x: {t}[i,j]) -> {t}[i,j] {{ softmax[j](x) }}"),
        ),
        Row::new(
            format!("logsumexp {t}"),
            // One number for each row: with few of them, cutting off may by chance be rounding.
            &[("i", 48), ("j", 33)],
            format!("(x: {t}[i,j]) -> {t}[i] {{ logsumexp[j](x) }}"),
        ),
        Row::new(
            format!("layernorm {t}"),
            &rows,
            format!(
                "(x: {t}[i,j], g: {t}[j], b: {t}[j]) -> {t}[i,j] \
                 {{ layernorm[j](x, g, b, 1e-5) }}"
            ),
        ),
        Row::new(
            format!("rmsnorm {t}"),
            &rows,
            format!("(x: {t}[i,j], g: {t}[j]) -> {t}[i,j] {{ rmsnorm[j](x, g, 1e-6) }}"),
        ),
        Row::new(
            format!("gelu of a contraction {t}"),
            &[("m", 8), ("n", 8), ("k", 32)],
            format!(
                "(x: {t}[m,k], W: {t}[k,n], b: {t}[n]) -> {t}[m,n] \
                 {{ gelu(sum[k](x * W) + b) }}"
            ),
        ),
        Row::new(format!("attention {t}"), &[("i", 16), ("j", 24), ("d", 16), ("e", 8)], attention),
    ]
}

fn integers() -> Vec<Row> {
    let mut rows = vec![];
    let all = "(x: i32[i], y: i32[i]) -> i32[i]";
    for (name, text) in [
        ("neg", "-x"),
        ("abs", "abs(x)"),
        ("+", "x + y"),
        ("-", "x - y"),
        ("*", "x * y"),
        ("/", "x / y"),
        ("min", "min(x, y)"),
        ("max", "max(x, y)"),
        ("where", "where(x < y, x, y)"),
    ] {
        let text = format!("{all} {{ {text} + 0 * y }}");
        rows.push(Row::new(format!("{name} i32"), ELEMENTS, text).on(Family::Wide));
    }
    for &op in CompareOp::ALL {
        let text = format!("(x: i32[i], y: i32[i]) -> bool[i] {{ x {op} y }}");
        rows.push(Row::new(format!("{op} i32"), ELEMENTS, text).on(Family::Close));
    }
    for op in ["sum", "product", "max", "min", "argmax", "argmin"] {
        let text = format!("(x: i32[i,k]) -> i32[i] {{ {op}[k](x) }}");
        let sizes = [("i", 256), ("k", 6)];
        let row = Row::new(format!("{op} reduction i32"), &sizes, text).on(Family::Wide);
        rows.push(if op.starts_with("arg") { row.blind(&[Way::Results], SAME) } else { row });
    }
    rows
}

fn truth() -> Vec<Row> {
    let mut rows = vec![];
    for (name, text) in [("not", "!x"), ("&&", "x && y"), ("||", "x || y")] {
        let text = format!("(x: bool[i], y: bool[i]) -> bool[i] {{ ({text}) == (y || !y) }}");
        rows.push(Row::new(format!("{name} bool"), ELEMENTS, text));
    }
    for op in ["all", "any"] {
        let text = format!("(x: bool[i,k]) -> bool[i] {{ {op}[k](x) }}");
        rows.push(Row::new(format!("{op} bool"), &[("i", 256), ("k", 4)], text));
    }
    rows
}

fn casts() -> Vec<Row> {
    let mut rows = vec![];
    for (from, to, same) in [
        ("f64", "f32", [Way::Inputs].as_slice()),
        ("f32", "f64", &[Way::Results]),
        ("f32", "i32", &[Way::Results]),
        ("f64", "i32", &[Way::Results]),
        ("i32", "f32", &[]),
    ] {
        let text = format!("(x: {from}[i]) -> {to}[i] {{ x : {to} }}");
        let data = if from == "i32" { Family::Wide } else { Family::Close };
        let row = Row::new(format!("cast {from} to {to}"), ELEMENTS, text).on(data);
        rows.push(row.blind(same, SAME));
    }
    rows
}

/// Types narrower than f32, in memory and as results.
fn narrow() -> Vec<Row> {
    let mut rows = vec![];
    for t in ["f16", "bf16"] {
        let text = format!("(x: f32[i]) -> {t}[i] {{ x : {t} }}");
        let same: &[Way] = if t == "f16" { &[Way::Inputs] } else { &[] };
        rows.push(Row::new(format!("cast f32 to {t}"), ELEMENTS, text).blind(same, SAME));
        let text = format!("(x: {t}[i]) -> {t}[i] {{ exp(x) }}");
        rows.push(Row::new(format!("exp {t}"), ELEMENTS, text));
        let text = format!("(x: {t}[i], y: {t}[i]) -> {t}[i] {{ x * y }}");
        rows.push(Row::new(format!("* {t}"), ELEMENTS, text));
        let text = format!("(x: {t}[i,k]) -> {t}[i] {{ sum[k](x) }}");
        rows.push(Row::new(format!("sum {t}, 64 terms"), &[("i", 64), ("k", 64)], text));
        let text = format!("(x: {t}[i,k]) -> {t}[i] {{ sum[k](x : {t}) : {t} }}");
        let row = Row::new(format!("sum in {t}, 64 terms"), &[("i", 64), ("k", 64)], text);
        let row = row.blind(&[Way::Inputs, Way::Results, Way::Accumulator, Way::Truncated], SHORT);
        let missed: &[Way] = if t == "bf16" { &[Way::Dropped, Way::Doubled] } else { &[] };
        rows.push(row.blind(missed, SHORT));
        rows.extend(compositions(t).into_iter().map(|row| {
            let hidden = row.name.starts_with("logsumexp");
            row.blind(if hidden { &[Way::Inputs, Way::Accumulator] } else { &[] }, HIDDEN)
        }));
    }
    let text = "(A: i8[m,k], B: i8[k,n]) -> i32[m,n] { sum[k](A * B) }";
    rows.push(Row::new("contraction i8, 48 terms", &[("m", 12), ("n", 11), ("k", 48)], text));
    rows
}
