//! Random kernel texts that the checker accepts, with extents for their axes.
//!
//! Invariant: a seed gives the same text and extents on every machine.

use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::Sizes;

const AXES: [&str; 5] = ["i", "j", "k", "m", "n"];
const EXTENTS: [u64; 21] =
    [1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 23, 31, 32, 33, 41, 64, 67, 70, 1500];
const VOLUME_MAX: u64 = 1 << 15;
const UNARY: [&str; 20] = [
    "abs",
    "exp",
    "exp2",
    "log",
    "log2",
    "sqrt",
    "rsqrt",
    "recip",
    "tanh",
    "erf",
    "sin",
    "cos",
    "floor",
    "round",
    "gelu",
    "gelu_tanh",
    "sigmoid",
    "silu",
    "relu",
    "-",
];
/// Functions that are often given a positive argument, since most numbers are outside their domain.
const POSITIVE: [&str; 5] = ["log", "log2", "sqrt", "rsqrt", "recip"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Integer,
    Truth,
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    /// One bit per axis.
    axes: u8,
    kind: Kind,
}

/// A kernel with the extents it runs at.
pub(crate) struct RandomKernel {
    pub(crate) text: String,
    pub(crate) sizes: Sizes,
}

struct Maker {
    rng: ChaCha8Rng,
    /// Values that expressions may use: the inputs and the named ones.
    known: Vec<Value>,
    /// The axes of the inputs.
    axes: u8,
    /// The type of most inputs and outputs.
    float: &'static str,
}

/// The kernel of a seed.
pub(crate) fn random_kernel(seed: u64) -> RandomKernel {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let float = if rng.random_range(0..4) == 0 { "f64" } else { "f32" };
    let mut maker = Maker { rng, known: vec![], axes: 0, float };
    let text = maker.kernel();
    let sizes = maker.sizes();
    RandomKernel { text, sizes }
}

fn axis_names(axes: u8) -> Vec<&'static str> {
    AXES.iter().enumerate().filter(|(bit, _)| axes >> bit & 1 == 1).map(|(_, &name)| name).collect()
}

impl Maker {
    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    fn pick<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list.choose(&mut self.rng).expect("the list has rows")
    }

    fn kernel(&mut self) -> String {
        let inputs = self.inputs();
        let mut body = String::new();
        for position in 0..self.rng.random_range(0..4) {
            let depth = self.rng.random_range(1..4);
            let value = if self.chance(8) { self.integer(depth) } else { self.float(depth) };
            let name = format!("v{position}");
            body += &format!("  {name} = {}\n", value.text);
            self.known.push(Value { text: name, ..value });
        }
        let count = if self.chance(5) { 2 } else { 1 };
        let mut outputs = vec![];
        let mut results = vec![];
        for position in 0..count {
            let depth = self.rng.random_range(1..4);
            let value = match self.rng.random_range(0..60) {
                0 => self.truth(depth),
                1..5 => self.integer(depth),
                _ => self.float(depth),
            };
            outputs.push(self.output(position, &value));
            results.push(value.text);
        }
        let result =
            if count == 1 { results.remove(0) } else { format!("({})", results.join(", ")) };
        format!("kernel random({inputs}) -> ({}) {{\n{body}  {result}\n}}\n", outputs.join(", "))
    }

    fn inputs(&mut self) -> String {
        let pool = self.rng.random_range(1..=AXES.len().min(4));
        let mut tensors = vec![];
        for position in 0..self.rng.random_range(1..=4) {
            let axes: u8 = (0..3).fold(0, |axes, _| {
                let skip = self.chance(5);
                axes | if skip { 0 } else { 1 << self.rng.random_range(0..pool) }
            });
            let (dtype, kind) = match self.rng.random_range(0..12) {
                0 => ("i32", Kind::Integer),
                1 => ("f64", Kind::Float),
                2 => ("f32", Kind::Float),
                _ => (self.float, Kind::Float),
            };
            let text = format!("x{position}");
            tensors.push(format!("{text}: {dtype}{}", self.order(axes)));
            self.axes |= axes;
            self.known.push(Value { text, axes, kind });
        }
        tensors.join(", ")
    }

    fn order(&mut self, axes: u8) -> String {
        let mut names = axis_names(axes);
        names.shuffle(&mut self.rng);
        if names.is_empty() { String::new() } else { format!("[{}]", names.join(",")) }
    }

    fn output(&mut self, position: usize, value: &Value) -> String {
        let extra = if self.chance(6) { 1 << self.rng.random_range(0..AXES.len()) } else { 0 };
        self.axes |= extra;
        let dtype = match value.kind {
            Kind::Truth => "bool",
            Kind::Integer => "i32",
            Kind::Float if self.chance(8) => "f64",
            Kind::Float if self.chance(8) => "f32",
            Kind::Float => self.float,
        };
        format!("y{position}: {dtype}{}", self.order(value.axes | extra))
    }

    fn sizes(&mut self) -> Sizes {
        let names = axis_names(self.axes);
        loop {
            let sizes: Sizes = names
                .iter()
                .map(|name| {
                    let empty = self.chance(40);
                    let extent = EXTENTS[self.rng.random_range(0..EXTENTS.len())];
                    (name.to_string(), if empty { 0 } else { extent })
                })
                .collect();
            if sizes.values().product::<u64>() <= VOLUME_MAX {
                return sizes;
            }
        }
    }

    fn known(&mut self, kind: Kind) -> Option<Value> {
        let latest = self.known.last().filter(|value| value.kind == kind).cloned();
        if latest.is_some() && self.chance(3) {
            return latest;
        }
        let found: Vec<&Value> = self.known.iter().filter(|value| value.kind == kind).collect();
        found.choose(&mut self.rng).map(|&value| value.clone())
    }

    /// A nonempty part of a nonempty set.
    fn part(&mut self, axes: u8) -> u8 {
        loop {
            let part = self.rng.random::<u8>() & axes;
            if part != 0 {
                return part;
            }
        }
    }

    fn leaf(&mut self) -> Value {
        if let Some(value) = self.known(Kind::Float) {
            return value;
        }
        let value = self.known(Kind::Integer).expect("a kernel has an input");
        Value { text: format!("({} : {})", value.text, self.float), kind: Kind::Float, ..value }
    }

    fn float(&mut self, depth: u32) -> Value {
        if depth == 0 {
            return self.leaf();
        }
        match self.rng.random_range(0..20) {
            0..4 => self.unary(depth),
            4..9 => self.binary(depth),
            9..12 => self.reduction(depth),
            12..14 => self.contraction(depth),
            14 => self.choice(depth),
            15 => self.masked(depth),
            16..18 => self.library(depth),
            18 => {
                let value = self.float(depth - 1);
                let dtype = self.pick(&["f32", "f64"]);
                Value { text: format!("({} : {dtype})", value.text), ..value }
            }
            _ => {
                let value = self.integer(depth - 1);
                let text = format!("({} : {})", value.text, self.float);
                Value { text, kind: Kind::Float, ..value }
            }
        }
    }

    fn unary(&mut self, depth: u32) -> Value {
        let op = self.pick(&UNARY);
        let value = self.float(depth - 1);
        let text = &value.text;
        let text = match op {
            "-" => format!("(-({text}))"),
            _ if POSITIVE.contains(&op) && !self.chance(4) => format!("{op}(abs({text}) + 0.5)"),
            _ => format!("{op}({text})"),
        };
        Value { text, ..value }
    }

    fn binary(&mut self, depth: u32) -> Value {
        let x = self.float(depth - 1);
        if self.chance(6) {
            let (power, factor) =
                (self.pick(&["2", "3", "0.5", "-1", "-2"]), self.pick(&["0.5", "3", "-1"]));
            let powers = self.chance(2);
            let text = match powers {
                true => format!("pow({}, {power})", x.text),
                false => format!("({} * {factor} + 2)", x.text),
            };
            return Value { text, ..x };
        }
        let y = self.float(depth - 1);
        let (a, b) = (x.text, y.text);
        let text = match self.rng.random_range(0..12) {
            0..3 => format!("({a} + {b})"),
            3..5 => format!("({a} - {b})"),
            5..8 => format!("({a} * {b})"),
            8 => format!("({a} / {b})"),
            9 => format!("min({a}, {b})"),
            10 => format!("max({a}, {b})"),
            _ => format!("pow(abs({a}), {b})"),
        };
        Value { text, axes: x.axes | y.axes, kind: Kind::Float }
    }

    fn reduction(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        if value.axes == 0 {
            return value;
        }
        let removed = self.part(value.axes);
        let op = self.pick(&["sum", "sum", "max", "min", "mean", "product"]);
        let names = axis_names(removed).join(",");
        let text = format!("{op}[{names}]({})", value.text);
        let text = if self.chance(6) { format!("({text} : f64)") } else { text };
        Value { text, axes: value.axes & !removed, kind: Kind::Float }
    }

    /// A sum of products of two or three factors over axes of any of them.
    fn contraction(&mut self, depth: u32) -> Value {
        let count = if self.chance(3) { 3 } else { 2 };
        let mut factors = vec![];
        for _ in 0..count {
            let plain = !self.chance(4);
            factors.push(if plain { self.leaf() } else { self.float(depth - 1) });
        }
        let axes = factors.iter().fold(0, |axes, factor| axes | factor.axes);
        let texts: Vec<String> = factors.into_iter().map(|factor| factor.text).collect();
        let product = texts.join(" * ");
        if axes == 0 {
            return Value { text: format!("({product})"), axes, kind: Kind::Float };
        }
        let removed = self.part(axes);
        let text = format!("sum[{}]({product})", axis_names(removed).join(","));
        Value { text, axes: axes & !removed, kind: Kind::Float }
    }

    fn choice(&mut self, depth: u32) -> Value {
        let (c, x) = (self.truth(depth - 1), self.float(depth - 1));
        let y = self.float(depth - 1);
        let text = format!("where({}, {}, {})", c.text, x.text, y.text);
        Value { text, axes: c.axes | x.axes | y.axes, kind: Kind::Float }
    }

    fn masked(&mut self, depth: u32) -> Value {
        let (c, x) = (self.truth(depth - 1), self.float(depth - 1));
        let text = format!("mask({}, {})", c.text, x.text);
        Value { text, axes: c.axes | x.axes, kind: Kind::Float }
    }

    fn library(&mut self, depth: u32) -> Value {
        let value = self.float(depth - 1);
        if value.axes == 0 {
            return value;
        }
        let part = self.part(value.axes);
        let (names, x) = (axis_names(part).join(","), &value.text);
        let name = self.pick(&[
            "softmax",
            "logsumexp",
            "log_softmax",
            "variance",
            "rms",
            "layernorm",
            "rmsnorm",
        ]);
        let text = match name {
            "layernorm" => format!("{name}[{names}]({x}, 2, 0.5, 0.001)"),
            "rmsnorm" => format!("{name}[{names}]({x}, 2, 0.001)"),
            _ => format!("{name}[{names}]({x})"),
        };
        let reduces = ["logsumexp", "variance", "rms"].contains(&name);
        let axes = if reduces { value.axes & !part } else { value.axes };
        Value { text, axes, kind: Kind::Float }
    }

    fn index(&mut self) -> Option<Value> {
        let list = axis_names(self.axes);
        let name = *list.choose(&mut self.rng)?;
        let bit = AXES.iter().position(|&axis| axis == name).expect("the name is in the list");
        Some(Value { text: format!("({name} : i32)"), axes: 1 << bit, kind: Kind::Integer })
    }

    fn integer(&mut self, depth: u32) -> Value {
        if depth == 0 {
            let plain = self.chance(2);
            let found = if plain { self.known(Kind::Integer) } else { None };
            let index = found.or_else(|| self.index());
            let scalar = Value { text: "(3 : i32)".to_string(), axes: 0, kind: Kind::Integer };
            return index.unwrap_or(scalar);
        }
        let kind = Kind::Integer;
        let (x, y) = (self.integer(depth - 1), self.integer(depth - 1));
        let both = x.axes | y.axes;
        let (a, b) = (&x.text, &y.text);
        match self.rng.random_range(0..10) {
            0..2 => Value { text: format!("({a} + {b})"), axes: both, kind },
            2 => Value { text: format!("({a} - {b})"), axes: both, kind },
            3 => Value { text: format!("({a} * {b})"), axes: both, kind },
            4 => Value { text: format!("min({a}, {b})"), axes: both, kind },
            5 => Value { text: format!("max({a}, -({b}))"), axes: both, kind },
            6 => Value { text: format!("abs({a})"), ..x },
            7 => {
                let c = self.truth(depth - 1);
                let text = format!("where({}, {a}, {b})", c.text);
                Value { text, axes: c.axes | both, kind }
            }
            8 if x.axes != 0 => {
                let removed = self.part(x.axes);
                let op = self.pick(&["sum", "max", "min", "product"]);
                let text = format!("{op}[{}]({a})", axis_names(removed).join(","));
                Value { text, axes: x.axes & !removed, kind }
            }
            _ => {
                let c = self.truth(depth - 1);
                Value { text: format!("({} : i32)", c.text), kind, ..c }
            }
        }
    }

    fn truth(&mut self, depth: u32) -> Value {
        let kind = Kind::Truth;
        let compare = self.pick(&["<", "<=", ">", ">=", "==", "!="]);
        let below = depth.saturating_sub(1);
        match self.rng.random_range(0..8) {
            0..2 if depth > 0 => {
                let (x, y) = (self.truth(below), self.truth(below));
                let op = self.pick(&["&&", "||"]);
                let text = format!("({} {op} !({}))", x.text, y.text);
                Value { text, axes: x.axes | y.axes, kind }
            }
            2 if depth > 0 => {
                let x = self.truth(below);
                if x.axes == 0 {
                    return x;
                }
                let removed = self.part(x.axes);
                let op = self.pick(&["any", "all"]);
                let text = format!("{op}[{}]({})", axis_names(removed).join(","), x.text);
                Value { text, axes: x.axes & !removed, kind }
            }
            3..6 => {
                let (x, y) = (self.integer(below.min(1)), self.integer(0));
                let text = format!("({} {compare} {} + 1)", x.text, y.text);
                Value { text, axes: x.axes | y.axes, kind }
            }
            _ => {
                let x = self.leaf();
                let bound = self.pick(&["0", "0.5", "-0.25"]);
                Value { text: format!("({} {compare} {bound})", x.text), kind, ..x }
            }
        }
    }
}
