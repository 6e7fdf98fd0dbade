//! Reductions, sums of products, and the library's functions over axes.

use super::Maker;
use super::value::{Type, Value, corners, level};
use tilewright_ir::DType;

/// Functions of the library over axes: name, arguments after the first, and whether the axes are removed.
const LIBRARY: [(&str, &str, bool); 8] = [
    ("softmax", "", false),
    ("logsumexp", "", true),
    ("log_softmax", "", false),
    ("variance", "", true),
    ("rms", "", true),
    ("layernorm", ", 2, 0.5, 0.001", false),
    ("rmsnorm", ", 2, 0.001", false),
    ("rope", ", 0.75", false),
];

impl Maker<'_, '_> {
    /// A part of the axes that have a name here.
    pub(super) fn removable(&mut self, axes: u16) -> Option<u16> {
        let named = axes & self.scope.axes;
        (named != 0).then(|| self.choices.part(named))
    }

    /// `op[axes](x)`, sometimes with an accumulator.
    pub(super) fn reduction(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        let Some(removed) = self.removable(value.axes) else { return value };
        let op = self.pick(&["sum", "sum", "mean", "max", "min", "product"]);
        let terms = self.volume(removed);
        let value = if self.one_in(4) { self.masked(op, &value) } else { value };
        let value =
            if op == "product" && terms > 4.0 { self.near_one(value, terms) } else { value };
        let range = reduced_range(op, value.range, terms);
        let accumulator = self.any_accumulator(value.ty.is_float(), range);
        let ty = if op == "mean" { value.ty.fractional() } else { value.ty.accumulator(op) };
        self.reduced(op, &value, removed, (ty, accumulator), range)
    }

    /// A value where indices lie in a triangle or band, elsewhere what a reduction starts with.
    fn masked(&mut self, op: &str, value: &Value) -> Value {
        let (rest, known) = match op {
            "product" => ("1", 1.0),
            "max" if value.ty.is_float() => ("-inf", value.range.0),
            "min" if value.ty.is_float() => ("inf", value.range.1),
            _ => ("0", 0.0),
        };
        let c = self.index_predicate();
        let text = format!("where({}, {}, {rest})", c.text, value.text);
        let range = (value.range.0.min(known), value.range.1.max(known));
        Value::atom(text, c.axes | value.axes, value.ty, range)
    }

    /// One of the axes that have a name here.
    pub(super) fn one_axis(&mut self, axes: u16) -> Option<u16> {
        let part = self.removable(axes)?;
        Some(part & part.wrapping_neg())
    }

    /// `cumsum[axis](x)` and the other running reductions.
    pub(super) fn scan(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        let Some(axis) = self.one_axis(value.axes) else { return value };
        let (name, op) = self.pick(&[
            ("cumsum", "sum"),
            ("cumprod", "product"),
            ("cummax", "max"),
            ("cummin", "min"),
        ]);
        let terms = self.volume(axis);
        let value =
            if op == "product" && terms > 4.0 { self.near_one(value, terms) } else { value };
        let (low, high) = reduced_range(op, value.range, terms);
        let range = (low.min(value.range.0), high.max(value.range.1));
        let accumulator = self.any_accumulator(value.ty.is_float(), range);
        let (axes, ty) = (value.axes, value.ty.accumulator(op));
        let result = self.reduced(name, &value, axis, (ty, accumulator), range);
        Value { axes, ..result }
    }

    /// An accumulator that the text states.
    pub(super) fn accumulator(&mut self, float: bool) -> Option<DType> {
        let wide = [DType::F32, DType::F64];
        (float && self.one_in(4)).then(|| self.pick(&wide))
    }

    /// As `accumulator`, now and then one of 16 bits where it does not overflow.
    fn any_accumulator(&mut self, float: bool, (low, high): (f64, f64)) -> Option<DType> {
        let fits = low > -1e4 && high < 1e4;
        if float && fits && self.one_in(16) {
            return Some(self.pick(&[DType::F16, DType::Bf16]));
        }
        self.accumulator(float)
    }

    /// The text of a reduction.
    pub(super) fn reduced(
        &mut self,
        op: &str,
        value: &Value,
        removed: u16,
        (ty, accumulator): (Type, Option<DType>),
        range: (f64, f64),
    ) -> Value {
        let names = self.bracketed(removed).join(", ");
        let text = format!("{op}[{names}]({})", value.text);
        let axes = value.axes & !removed;
        match accumulator {
            Some(dtype) => {
                let text = format!("{text} : {dtype}");
                Value { text, level: level::TYPED, axes, ty: Type::Of(dtype), range }
            }
            None => Value::atom(text, axes, ty, range),
        }
    }

    /// Factors of a long product, most of which would end as zero or infinity.
    fn near_one(&mut self, value: Value, terms: f64) -> Value {
        if self.one_in(8) {
            return value;
        }
        let value = self.fraction(value);
        let scale = (value.size().clamp(1.0, 1e30) * terms).log10().ceil();
        let text = format!("1 + {} * 1e-{scale}", value.operand(level::MUL));
        Value { ty: Type::Fraction.join(value.ty), ..value }.rewritten(text, level::ADD, (0.5, 1.5))
    }

    /// A sum of products of two or three factors over axes of any of them.
    pub(super) fn contraction(&mut self, depth: u32) -> Value {
        let count = if self.one_in(3) { 3 } else { 2 };
        let mut product: Option<Value> = None;
        for _ in 0..count {
            let plain = !self.one_in(4);
            let factor = if plain { self.float(0) } else { self.float(depth - 1) };
            let factor = if self.one_in(6) { self.masked("sum", &factor) } else { factor };
            product = Some(match product {
                Some(product) => self.infix("*", &product, &factor),
                None => factor,
            });
        }
        let product = match product {
            Some(product) if product.axes & self.scope.axes != 0 => product,
            _ => return self.float(0),
        };
        let removed = self.choices.part(product.axes & self.scope.axes);
        let range = reduced_range("sum", product.range, self.volume(removed));
        let accumulator = self.accumulator(true);
        let ty = product.ty.accumulator("sum");
        self.reduced("sum", &product, removed, (ty, accumulator), range)
    }

    /// A function of the library over axes.
    pub(super) fn library(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        let Some(part) = self.removable(value.axes) else { return value };
        let (name, arguments, removes) = LIBRARY[self.below(LIBRARY.len())];
        // The index along the pair is that of one axis.
        let part = if name == "rope" { part & part.wrapping_neg() } else { part };
        let names = self.bracketed(part).join(", ");
        let text = format!("{name}[{names}]({}{arguments})", value.text);
        let (low, high) = value.range;
        let range = match name {
            "softmax" => (0.0, 1.0),
            "logsumexp" => (low, high + 10.0),
            "log_softmax" => (low - high - 10.0, 0.0),
            "variance" => (0.0, (high - low) * (high - low)),
            "rms" => (0.0, value.size()),
            "rope" => (-2.0 * value.size(), 2.0 * value.size()),
            _ => (-8.0, 8.0),
        };
        let axes = if removes { value.axes & !part } else { value.axes };
        Value::atom(text, axes, value.ty.fractional(), range)
    }
}

/// The range of a reduction of so many terms.
pub(super) fn reduced_range(op: &str, range: (f64, f64), terms: f64) -> (f64, f64) {
    match op {
        "sum" => corners(range, (0.0, terms), |x, n| x * n),
        "product" => {
            let size = range.0.abs().max(range.1.abs()).powf(terms.min(4.0));
            (-size, size)
        }
        _ => range,
    }
}
