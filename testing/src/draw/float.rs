//! Float expressions: arithmetic, functions, casts, choices.
//!
//! Arguments are mostly brought into the domain of a function and results mostly kept small; now and then neither is
//! done, so that infinities and NaN occur, too.

use super::value::{Type, Value, corners, hull, level};
use super::{FLOATS, Maker};
use tilewright_ir::DType;

/// A function, the domain its argument is usually brought into, and its values there.
type Function = (&'static str, Domain, fn(f64) -> f64);

#[derive(Clone, Copy)]
enum Domain {
    All,
    /// Above 0.
    Positive,
    /// Not near 0.
    Nonzero,
    /// At most so large that `exp` stays small.
    Exponent,
    /// A turn or so.
    Angle,
}

const FUNCTIONS: [Function; 20] = [
    ("abs", Domain::All, f64::abs),
    ("tanh", Domain::All, f64::tanh),
    ("exp", Domain::Exponent, f64::exp),
    ("exp2", Domain::Exponent, f64::exp2),
    ("log", Domain::Positive, f64::ln),
    ("log2", Domain::Positive, f64::log2),
    ("sqrt", Domain::Positive, f64::sqrt),
    ("rsqrt", Domain::Positive, |x| x.powf(-0.5)),
    ("recip", Domain::Nonzero, f64::recip),
    ("erf", Domain::All, f64::tanh),
    ("sin", Domain::Angle, f64::sin),
    ("cos", Domain::Angle, f64::cos),
    ("floor", Domain::All, f64::floor),
    ("round", Domain::All, f64::round),
    ("gelu", Domain::All, |x| x.max(-1.0)),
    ("gelu_tanh", Domain::Angle, |x| x.max(-1.0)),
    ("sigmoid", Domain::All, |x| 1.0 / (1.0 + (-x).exp())),
    ("silu", Domain::All, |x| x.max(-1.0)),
    ("relu", Domain::All, |x| x.max(0.0)),
    ("-", Domain::All, |x| -x),
];

/// Beyond this a value is usually made small before it is used further.
const LARGE: f64 = 1e6;

impl Maker<'_, '_> {
    /// A float expression with at most so many operations within each other.
    pub(super) fn float(&mut self, depth: u32) -> Value {
        if depth == 0 {
            return self.float_leaf();
        }
        let value = match self.below(30) {
            0 => self.float_leaf(),
            1..5 => self.function_of(depth),
            5..11 => self.arithmetic(depth),
            11..14 => self.reduction(depth),
            14..16 => self.contraction(depth),
            16..18 => self.choice(depth),
            18..21 => self.library(depth),
            21 => self.converted(depth),
            22 => self.power(depth),
            23..25 => self.user_function(depth),
            25..27 => self.scan(depth),
            27..29 => self.gather(depth, Type::is_float),
            _ => self.float_of_integer(depth),
        };
        if value.size() > LARGE && !self.one_in(12) { self.tame(value) } else { value }
    }

    fn float_leaf(&mut self) -> Value {
        if self.one_in(16) {
            let number = self.pick(&["0.5", "2.0", "1e-3", "0.25", "3.0", "1.5"]);
            let value: f64 = number.parse().unwrap_or(1.0);
            if self.constant && value == 0.5 {
                return Value::atom("HALF", 0, Type::Fraction, (value, value));
            }
            return Value::atom(number, 0, Type::Fraction, (value, value));
        }
        match self.known(Type::is_float) {
            Some(value) => value,
            None => {
                let value = self.integer(0);
                self.cast(value, self.float)
            }
        }
    }

    /// `x : dtype`; right after a reduction the type would be its accumulator, which not every type can be.
    pub(super) fn cast(&mut self, value: Value, dtype: DType) -> Value {
        // A number has to be one of the type.
        let number = value.ty == Type::Fraction && value.axes == 0;
        let dtype = if number && dtype.bits() < 32 { DType::F32 } else { dtype };
        let head = value.text.split('(').next().unwrap_or_default();
        let reduces = value.level == level::ATOM && head.contains('[');
        let accumulates = dtype.is_float() && self.one_in(2);
        let operand = match reduces && !accumulates {
            true => format!("({})", value.text),
            false => value.operand(level::ATOM),
        };
        let text = format!("{operand} : {dtype}");
        let range = value.range;
        Value { ty: Type::Of(dtype), ..value }.rewritten(text, level::TYPED, range)
    }

    /// A large value made small: bounded, scaled or turned.
    fn tame(&mut self, value: Value) -> Value {
        let value = if value.ty == Type::Whole { self.cast(value, self.float) } else { value };
        let (text, ty) = (value.text.clone(), value.ty);
        let size = value.size();
        let scaled = size.is_finite() && size < 1e30;
        let (text, level, range) = match self.below(4) {
            0 => (format!("tanh({text})"), level::ATOM, (-1.0, 1.0)),
            1 => (format!("min(max({text}, -3), 5)"), level::ATOM, (-3.0, 5.0)),
            2 if scaled => {
                let digits = size.max(1.0).log10().ceil();
                let factor = 10f64.powf(-digits);
                let text = format!("{} * 1e-{digits}", value.operand(level::MUL));
                (text, level::MUL, (value.range.0 * factor, value.range.1 * factor))
            }
            _ => {
                let x = value.operand(level::MUL);
                (format!("{x} / (1 + abs({text}))"), level::MUL, (-1.0, 1.0))
            }
        };
        Value { ty: ty.fractional(), ..value }.rewritten(text, level, range)
    }

    /// An argument in a domain, but for one in ten.
    fn within(&mut self, value: Value, domain: Domain) -> Value {
        let (low, high) = value.range;
        if self.one_in(10) {
            return value;
        }
        let away = |value: &Value| {
            let text = format!("abs({}) + 0.5", value.text);
            let value = Value { ty: value.ty.fractional(), ..value.clone() };
            let size = value.size();
            value.rewritten(text, level::ADD, (0.5, size + 0.5))
        };
        match domain {
            Domain::Positive if low <= 0.01 => away(&self.fraction(value)),
            Domain::Nonzero if low <= 0.1 && high >= -0.1 => away(&self.fraction(value)),
            Domain::Exponent if high > 20.0 => self.tame(value),
            Domain::Angle if value.size() > 1000.0 => self.tame(value),
            _ => value,
        }
    }

    /// The value in a type with fractions.
    pub(super) fn fraction(&mut self, value: Value) -> Value {
        match value.ty {
            Type::Of(dtype) if !dtype.is_float() => self.cast(value, self.float),
            _ => value,
        }
    }

    fn function_of(&mut self, depth: u32) -> Value {
        let (name, domain, f) = FUNCTIONS[self.below(FUNCTIONS.len())];
        let value = self.float(depth - 1);
        let value = self.within(value, domain);
        let (low, high) = value.range;
        let middle = 0f64.clamp(low, high.max(low));
        let range = hull([f(low), f(high), f(middle)].into_iter());
        let (text, level) = match name {
            "-" => (format!("-{}", value.operand(level::PREFIX)), level::PREFIX),
            _ => (format!("{name}({})", value.text), level::ATOM),
        };
        Value { ty: value.ty.fractional(), ..value }.rewritten(text, level, range)
    }

    fn arithmetic(&mut self, depth: u32) -> Value {
        let x = self.float(depth - 1);
        let y = if self.one_in(5) { self.integer(depth - 1) } else { self.float(depth - 1) };
        let (x, y) = if self.one_in(2) { (x, y) } else { (y, x) };
        let (x, y) = self.compatible(x, y);
        match self.below(12) {
            0..3 => self.infix("+", &x, &y),
            3..5 => self.infix("-", &x, &y),
            5..8 => self.infix("*", &x, &y),
            8 => {
                let y = self.within(y, Domain::Nonzero);
                let (x, y) = self.compatible(x, y);
                self.infix("/", &x, &y)
            }
            9 => self.extreme("min", &x, &y),
            10 => self.extreme("max", &x, &y),
            _ => {
                // A multiple and a shift of the first; a whole number times 2 is a whole number.
                let x = if x.ty == Type::Whole { self.cast(x, self.float) } else { x };
                let factor = self.pick(&["2", "0.5", "3"]);
                let x = self.fraction(x);
                let text = format!("{factor} * {} + 1", x.operand(level::PREFIX));
                let range = (x.range.0 * 3.0, x.range.1 * 3.0 + 1.0);
                let ty = Type::Fraction.join(x.ty);
                Value { ty, ..x }.rewritten(text, level::ADD, range)
            }
        }
    }

    /// Two numbers that may meet: a fraction without a type and an integer with one may not.
    pub(super) fn compatible(&mut self, x: Value, y: Value) -> (Value, Value) {
        let typed = |ty| matches!(ty, Type::Of(dtype) if !dtype.is_float());
        match (x.ty, y.ty) {
            (Type::Fraction, ty) if typed(ty) => (x, self.fraction(y)),
            (ty, Type::Fraction) if typed(ty) => (self.fraction(x), y),
            _ => (x, y),
        }
    }

    /// `x op y`, in parentheses where they are needed and sometimes where not.
    pub(super) fn infix(&mut self, op: &str, x: &Value, y: &Value) -> Value {
        let own = if ["+", "-"].contains(&op) { level::ADD } else { level::MUL };
        let text = format!("{} {op} {}", x.operand(own), y.operand(own + 1));
        let range = match op {
            "+" => (x.range.0 + y.range.0, x.range.1 + y.range.1),
            "-" => (x.range.0 - y.range.1, x.range.1 - y.range.0),
            "*" => corners(x.range, y.range, |x, y| x * y),
            _ => corners(x.range, y.range, |x, y| x / y),
        };
        let ty = if op == "*" { x.ty.product(y.ty) } else { x.ty.join(y.ty) };
        let divided = op == "/" && ty == Type::Whole;
        let ty = if divided { Type::Fraction } else { ty };
        let (text, level) =
            if self.one_in(6) { (format!("({text})"), level::ATOM) } else { (text, own) };
        Value { text, level, axes: x.axes | y.axes, ty, range }
    }

    /// `min(x, y)` and `max(x, y)`
    pub(super) fn extreme(&mut self, op: &str, x: &Value, y: &Value) -> Value {
        let f = if op == "min" { f64::min } else { f64::max };
        let range = (f(x.range.0, y.range.0), f(x.range.1, y.range.1));
        let text = format!("{op}({}, {})", x.text, y.text);
        Value::atom(text, x.axes | y.axes, x.ty.join(y.ty), range)
    }

    fn power(&mut self, depth: u32) -> Value {
        let x = self.float(depth - 1);
        if self.one_in(2) {
            let power = self.pick(&["2", "3", "0.5", "-1", "-2"]);
            let whole = ["2", "3"].contains(&power);
            let domain = if whole { Domain::All } else { Domain::Positive };
            let x = self.within(x, domain);
            let text = format!("pow({}, {power})", x.text);
            let range = if whole { corners(x.range, x.range, |x, y| x * x * y) } else { x.range };
            return Value::atom(text, x.axes, x.ty.fractional(), range);
        }
        let y = self.float(depth - 1);
        let y = if y.size() > 4.0 { self.tame(y) } else { y };
        let x = self.within(x, Domain::Positive);
        let text = format!("pow({}, {})", x.text, y.text);
        let range = corners(x.range, y.range, f64::powf);
        Value::atom(text, x.axes | y.axes, x.ty.join(y.ty).fractional(), range)
    }

    fn choice(&mut self, depth: u32) -> Value {
        let c = self.truth(depth - 1);
        let x = self.float(depth - 1);
        if self.one_in(4) {
            let text = format!("mask({}, {})", c.text, x.text);
            // A masked value is made finite again, or its results would be few.
            let value = Value::atom(text, c.axes | x.axes, x.ty, x.range);
            return if self.one_in(3) {
                value
            } else {
                let text = format!("exp({})", value.text);
                let range = (0.0, value.range.1.exp());
                Value { ty: value.ty.fractional(), ..value }.rewritten(text, level::ATOM, range)
            };
        }
        let y = self.number(depth - 1);
        let (x, y) = self.compatible(x, y);
        let text = format!("where({}, {}, {})", c.text, x.text, y.text);
        let range = (x.range.0.min(y.range.0), x.range.1.max(y.range.1));
        Value::atom(text, c.axes | x.axes | y.axes, x.ty.join(y.ty), range)
    }

    fn converted(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        let dtype = self.pick(FLOATS);
        let overflows = value.size() > dtype.max_finite() / 2.0;
        let value = if overflows && !self.one_in(10) { self.tame(value) } else { value };
        self.cast(value, dtype)
    }

    fn float_of_integer(&mut self, depth: u32) -> Value {
        let value = if self.one_in(3) { self.truth(depth - 1) } else { self.integer(depth - 1) };
        self.cast(value, self.float)
    }
}
