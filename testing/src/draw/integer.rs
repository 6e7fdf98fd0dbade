//! Integer expressions: indices, extents, arithmetic that wraps, rounded floats.

use super::reduction::reduced_range;
use super::value::{Type, Value, full_range, level};
use super::{INTEGERS, Maker, Split};
use tilewright_ir::DType;

impl Maker<'_, '_> {
    /// An integer expression with at most so many operations within each other.
    pub(super) fn integer(&mut self, depth: u32) -> Value {
        if depth == 0 {
            return self.integer_leaf();
        }
        match self.below(20) {
            0 => self.integer_leaf(),
            18 => self.gather(depth, Type::is_whole),
            19 => {
                let (x, y) = (self.integer(depth - 1), self.integer(depth - 1));
                // Two numbers without a type divide exactly.
                let x = self.typed_integer(x);
                self.wrapped("/", &x, &y)
            }
            1..8 => self.integer_arithmetic(depth),
            8..10 => {
                let x = self.integer(depth - 1);
                let x = self.typed_integer(x);
                let size = x.size();
                let text = format!("abs({})", x.text);
                x.rewritten(text, level::ATOM, (0.0, size))
            }
            10 => self.integer_choice(depth),
            11..13 => self.integer_reduction(depth),
            13 => self.search(depth),
            14 => {
                let x = self.integer(depth - 1);
                let x = self.typed_integer(x);
                let Some(axis) = self.one_axis(x.axes) else { return x };
                let op = self.pick(&["cumsum", "cumprod", "cummax", "cummin"]);
                let ty = x.ty.accumulator(if op == "cumsum" { "sum" } else { "max" });
                let axes = x.axes;
                let accumulator = self.integer_accumulator();
                let value = self.reduced(op, &x, axis, (ty, accumulator), (-2e9, 2e9));
                Value { axes, ..value }
            }
            15 => {
                let c = self.truth(depth - 1);
                let dtype = self.pick(INTEGERS);
                self.cast(c, dtype)
            }
            _ => {
                let x =
                    if self.one_in(3) { self.integer(depth - 1) } else { self.float(depth - 1) };
                // A fraction without a type rounds in `f32`.
                let x = if x.ty == Type::Fraction { self.cast(x, self.float) } else { x };
                let dtype = self.pick(INTEGERS);
                let full = full_range(dtype);
                if self.one_in(3) {
                    let text = format!("wrap({}) : {dtype}", x.text);
                    return Value { ty: Type::Of(dtype), ..x }.rewritten(text, level::TYPED, full);
                }
                let value = self.cast(x, dtype);
                let range = (value.range.0.max(full.0), value.range.1.min(full.1));
                Value { range, ..value }
            }
        }
    }

    /// `argmax[axes](x)` and `argmin`: which element is the largest.
    fn search(&mut self, depth: u32) -> Value {
        let value = if self.one_in(4) { self.integer(depth - 1) } else { self.float(depth - 1) };
        let value = if value.ty.is_float() { value } else { self.typed_integer(value) };
        let op = self.pick(&["argmax", "argmin"]);
        let ty = Type::Of(DType::I32);
        if self.scope.depth == 0 && self.one_in(2) {
            let Some(part) = self.removable(value.axes) else { return self.integer(depth - 1) };
            // A split may in the end not be written, and then its parts stand in another order.
            let part = part & !self.split.as_ref().map_or(0, Split::axes);
            if part == 0 {
                return self.integer(depth - 1);
            }
            let order = self.scope.signature.iter().filter(|&&bit| part >> bit & 1 == 1);
            let names: Vec<&str> = order.map(|&bit| self.scope.names[bit]).collect();
            let text = format!("{op}[{}]({})", names.join(", "), value.text);
            return Value::atom(text, value.axes & !part, ty, (-1.0, self.volume(part)));
        }
        let Some(axis) = self.one_axis(value.axes) else { return self.integer(depth - 1) };
        let range = (-1.0, self.volume(axis));
        self.reduced(op, &value, axis, (ty, None), range)
    }

    fn integer_accumulator(&mut self) -> Option<DType> {
        self.one_in(4).then(|| self.pick(INTEGERS))
    }

    fn integer_leaf(&mut self) -> Value {
        if self.one_in(2)
            && let Some(value) = self.known(|ty| !ty.is_float() && !ty.is_truth())
        {
            return value;
        }
        self.index()
    }

    /// An axis index, an extent, or a small number.
    fn index(&mut self) -> Value {
        if self.scope.axes == 0 || self.one_in(5) {
            let dtype = self.pick(INTEGERS);
            let number = self.below(8) as f64;
            let text = format!("({number} : {dtype})");
            return Value::atom(text, 0, Type::Of(dtype), (number, number));
        }
        if let Some(split) = self.split_in(self.scope.axes)
            && self.one_in(3)
        {
            let extent = self.volume(split.axes());
            let axes = split.axes();
            let inner = split.nested && self.one_in(3);
            if inner {
                let axes = axes & !(1 << split.parts[0]);
                return Value::atom(super::Split::NESTED, axes, Type::Whole, (0.0, extent));
            }
            return Value::atom(super::Split::NAME, axes, Type::Whole, (0.0, extent));
        }
        let bits: Vec<usize> = (0..16).filter(|bit| self.scope.axes >> bit & 1 == 1).collect();
        let bit = bits[self.below(bits.len())];
        let (name, extent) = (self.scope.names[bit], self.axes[bit].extent as f64);
        if self.one_in(4) {
            return Value::atom(format!("len({name})"), 0, Type::Whole, (extent, extent));
        }
        Value::atom(name, 1 << bit, Type::Whole, (0.0, extent))
    }

    /// An integer with a type of its own.
    pub(super) fn typed_integer(&mut self, value: Value) -> Value {
        let dtype = self.pick(INTEGERS);
        if value.ty == Type::Whole { self.cast(value, dtype) } else { value }
    }

    fn integer_arithmetic(&mut self, depth: u32) -> Value {
        let x = self.integer(depth - 1);
        if self.one_in(5) {
            // A number that every integer type holds.
            let number = self.below(8) as f64;
            let named = self.constant && number == 3.0;
            let text = if named { "FEW".to_string() } else { number.to_string() };
            let y = Value::atom(text, 0, Type::Whole, (number, number));
            let x = self.typed_integer(x);
            let op = self.pick(&["+", "-", "*"]);
            return self.wrapped(op, &x, &y);
        }
        let y = self.integer(depth - 1);
        match self.below(8) {
            0..2 => self.wrapped("+", &x, &y),
            2..4 => self.wrapped("-", &x, &y),
            4..6 => self.wrapped("*", &x, &y),
            6 => self.extreme("min", &x, &y),
            _ => self.extreme("max", &x, &y),
        }
    }

    fn wrapped(&mut self, op: &str, x: &Value, y: &Value) -> Value {
        let value = self.infix(op, x, y);
        let full = match value.ty {
            Type::Of(dtype) => full_range(dtype),
            _ => (-2e9, 2e9),
        };
        let fits = value.range.0 >= full.0 && value.range.1 <= full.1;
        Value { range: if fits { value.range } else { full }, ..value }
    }

    fn integer_choice(&mut self, depth: u32) -> Value {
        let c = self.truth(depth - 1);
        let (x, y) = (self.integer(depth - 1), self.integer(depth - 1));
        let text = format!("where({}, {}, {})", c.text, x.text, y.text);
        let range = (x.range.0.min(y.range.0), x.range.1.max(y.range.1));
        Value::atom(text, c.axes | x.axes | y.axes, x.ty.join(y.ty), range)
    }

    fn integer_reduction(&mut self, depth: u32) -> Value {
        let value = self.integer(depth - 1);
        let Some(removed) = self.removable(value.axes) else { return value };
        let value = self.typed_integer(value);
        let op = self.pick(&["sum", "max", "min", "product", "sum"]);
        let ty = value.ty.accumulator(op);
        let (low, high) = reduced_range(op, value.range, self.volume(removed));
        let range = (low.max(-2e9), high.min(2e9));
        let accumulator = self.integer_accumulator();
        self.reduced(op, &value, removed, (ty, accumulator), range)
    }
}
