//! Random kernels made of what the rules act on: exponentials under sums, maxima, quotients, nested reductions over one
//! axis, products of sums, masks, centred moments, sums of integers, several outputs.
//!
//! Invariant: a seed draws one text, and every text is a legal kernel with one size set.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Axes of a value, a subset of these in this order: rows, the stream, columns.
const AXES: [char; 3] = ['i', 'j', 'e'];
const EXTENTS: [u64; 8] = [1, 2, 3, 4, 5, 7, 11, 13];
/// One axis in so many is empty.
const EMPTY_EVERY: u32 = 40;
/// Points of the iteration space that the interpreters go over in a moment.
const POINTS_MAX: u64 = 500;

/// A value that a text names.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) name: String,
    /// Which of the axes.
    axes: [bool; 3],
    /// How it is computed; empty for an input.
    text: String,
}

/// A kernel under way.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    dtype: &'static str,
    values: Vec<Value>,
    outputs: Vec<usize>,
    extents: [u64; 3],
}

/// Floats that are inputs: rows, streams, columns. The integers and the mask are named in texts.
const INPUTS: [(&str, [bool; 3]); 6] = [
    ("x", [true, true, false]),
    ("y", [true, true, false]),
    ("w", [false, true, false]),
    ("u", [true, false, false]),
    ("V", [false, true, true]),
    ("g", [false, false, true]),
];
const INTEGERS: (&str, [bool; 3]) = ("n", [true, true, false]);
const BYTES: (&str, [bool; 3]) = ("q", [false, true, false]);
const MASKS: [(&str, [bool; 3]); 5] = [
    ("j <= i", [true, true, false]),
    ("M", [true, true, false]),
    ("j < 3", [false, true, false]),
    ("j + 2 > i", [true, true, false]),
    ("i + j < 6", [true, true, false]),
];

/// The kernel of a seed.
pub(crate) fn draw(seed: u64) -> Drawn {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let inputs =
        INPUTS.iter().map(|&(name, axes)| Value { name: name.into(), axes, text: String::new() });
    let dtype = if random.random_bool(0.06) { "f64" } else { "f32" };
    let mut drawn = Drawn { dtype, values: inputs.collect(), outputs: vec![], extents: [1; 3] };
    for _ in 0..random.random_range(2..9) {
        drawn.grow(&mut random);
    }
    let last = drawn.values.len() - 1;
    drawn.outputs.push(last);
    for back in 1..3 {
        if random.random_bool(0.25) && last - back >= INPUTS.len() {
            drawn.outputs.push(last - back);
        }
    }
    loop {
        let mut extent = || match random.random_range(0..EMPTY_EVERY) {
            0 => 0,
            _ => *EXTENTS.choose(&mut random).expect("there are extents"),
        };
        drawn.extents = [extent(), extent(), extent()];
        if drawn.extents.iter().product::<u64>() <= POINTS_MAX {
            return drawn;
        }
    }
}

fn union(one: [bool; 3], other: [bool; 3]) -> [bool; 3] {
    std::array::from_fn(|axis| one[axis] || other[axis])
}

fn without(axes: [bool; 3], removed: &str) -> [bool; 3] {
    std::array::from_fn(|axis| axes[axis] && !removed.contains(AXES[axis]))
}

fn names(axes: [bool; 3]) -> String {
    let names = (0..3).filter(|&axis| axes[axis]).map(|axis| AXES[axis].to_string());
    names.collect::<Vec<_>>().join(",")
}

impl Drawn {
    fn add(&mut self, axes: [bool; 3], text: String) -> Value {
        let name = format!("v{}", self.values.len() - INPUTS.len());
        self.values.push(Value { name, axes, text });
        self.values[self.values.len() - 1].clone()
    }

    /// Any value, the later ones more often.
    fn any(&self, random: &mut ChaCha8Rng) -> Value {
        let count = self.values.len();
        let from = if random.random_bool(0.7) { count.saturating_sub(4) } else { 0 };
        self.values[random.random_range(from..count)].clone()
    }

    /// A value along the stream.
    fn stream(&self, random: &mut ChaCha8Rng) -> Value {
        for _ in 0..6 {
            let value = self.any(random);
            if value.axes[1] {
                return value;
            }
        }
        self.values[random.random_range(0..3)].clone()
    }

    /// One more value, or a few that belong together.
    fn grow(&mut self, random: &mut ChaCha8Rng) {
        match random.random_range(0..16) {
            0..3 => self.binary(random),
            3 => self.unary(random),
            4 | 5 => self.reduce(random),
            6 | 7 => self.weighted(random),
            8..11 => self.exponentials(random),
            11 => self.quotient(random),
            12 => self.centred(random),
            13 => self.masked(random),
            14 => self.library(random),
            _ => self.integers(random),
        }
    }

    fn binary(&mut self, random: &mut ChaCha8Rng) {
        let (a, b) = (self.any(random), self.any(random));
        let (x, y) = (&a.name, &b.name);
        let text = match random.random_range(0..7) {
            0 => format!("{x} + {y}"),
            1 => format!("{x} - {y}"),
            2 | 3 => format!("{x} * {y}"),
            4 => format!("{x} / ({y} * {y} + 1)"),
            5 => format!("max({x}, {y})"),
            _ => format!("{x} / {y}"),
        };
        self.add(union(a.axes, b.axes), text);
    }

    fn unary(&mut self, random: &mut ChaCha8Rng) {
        let a = self.any(random);
        let x = &a.name;
        let text = match random.random_range(0..9) {
            0 => format!("-{x}"),
            1 => format!("{x} * 0.125"),
            2 => format!("1 / {x}"),
            3 => format!("exp({x} * 0.5)"),
            4 => format!("exp2(-{x})"),
            5 => format!("log({x} * {x} + 0.5)"),
            6 => format!("sqrt({x} * {x} + 1)"),
            7 => format!("rsqrt({x} * {x} + 0.1)"),
            _ => format!("tanh({x})"),
        };
        self.add(a.axes, text);
    }

    fn reduce(&mut self, random: &mut ChaCha8Rng) {
        let a = self.stream(random);
        let op = ["sum", "sum", "max", "min", "mean", "product"].choose(random).expect("there are");
        let over = match a.axes {
            [true, true, _] if random.random_bool(0.1) => "i,j",
            [_, true, true] if random.random_bool(0.1) => "j,e",
            _ => "j",
        };
        self.add(without(a.axes, over), format!("{op}[{over}]({})", a.name));
    }

    /// A product under a sum, perhaps with a factor that does not depend on the stream.
    fn weighted(&mut self, random: &mut ChaCha8Rng) {
        let (a, b) = (self.stream(random), self.any(random));
        let axes = without(union(a.axes, b.axes), "j");
        let (x, y) = (&a.name, &b.name);
        let text = match random.random_range(0..4) {
            0 => format!("sum[j]({x} * {y} * u)"),
            1 => format!("sum[j]({x} / (u * u + 1) * {y})"),
            _ => format!("sum[j]({x} * {y})"),
        };
        let axes = if text.contains('u') { union(axes, [true, false, false]) } else { axes };
        self.add(axes, text);
    }

    /// `exp(a - max a)` and sums of it: each part a value of its own, so that others read it too.
    fn exponentials(&mut self, random: &mut ChaCha8Rng) {
        let a = self.stream(random);
        let rest = without(a.axes, "j");
        let exp = if random.random_bool(0.2) { "exp2" } else { "exp" };
        let x = &a.name;
        let p = if random.random_bool(0.75) {
            let (op, sign) = if random.random_bool(0.15) { ("min", "-") } else { ("max", "") };
            let m = self.add(rest, format!("{op}[j]({x})"));
            let inner = if sign.is_empty() {
                format!("{x} - {}", m.name)
            } else {
                format!("{} - {x}", m.name)
            };
            self.add(a.axes, format!("{exp}({inner})"))
        } else {
            self.add(a.axes, format!("{exp}({x})"))
        };
        if random.random_bool(0.7) {
            let l = self.add(rest, format!("sum[j]({})", p.name));
            match random.random_range(0..4) {
                0 => drop(self.add(rest, format!("log({})", l.name))),
                1 => drop(self.add(a.axes, format!("{} / {}", p.name, l.name))),
                2 => {
                    let b = self.any(random);
                    let axes = without(union(a.axes, b.axes), "j");
                    self.add(axes, format!("sum[j]({} * {}) / {}", p.name, b.name, l.name));
                }
                _ => {}
            }
        }
    }

    fn quotient(&mut self, random: &mut ChaCha8Rng) {
        let a = self.stream(random);
        let x = &a.name;
        let text = match random.random_range(0..3) {
            0 => format!("{x} / sum[j]({x})"),
            1 => format!("{x} / sqrt(sum[j]({x} * {x}) + 1e-3)"),
            _ => format!("{x} / max[j](max({x}, -{x}))"),
        };
        self.add(a.axes, text);
    }

    fn centred(&mut self, random: &mut ChaCha8Rng) {
        let (a, b) = (self.stream(random), self.stream(random));
        let c = self.add(a.axes, format!("{0} - mean[j]({0})", a.name));
        let d = match random.random_bool(0.3) {
            true => self.add(b.axes, format!("{0} - mean[j]({0})", b.name)),
            false => c.clone(),
        };
        let axes = without(union(c.axes, d.axes), "j");
        self.add(axes, format!("sum[j]({} * {})", c.name, d.name));
    }

    fn masked(&mut self, random: &mut ChaCha8Rng) {
        let a = self.stream(random);
        let (mask, axes) = MASKS.choose(random).expect("there are masks");
        let other = ["-inf", "-inf", "0"].choose(random).expect("there are");
        let text = match random.random_bool(0.8) {
            true => format!("where({mask}, {}, {other})", a.name),
            false => format!("where({mask}, 0, {})", a.name),
        };
        self.add(union(a.axes, *axes), text);
    }

    fn library(&mut self, random: &mut ChaCha8Rng) {
        let a = self.stream(random);
        let (x, rest) = (&a.name, without(a.axes, "j"));
        let (axes, text) = match random.random_range(0..6) {
            0 => (a.axes, format!("softmax[j]({x})")),
            1 => (rest, format!("logsumexp[j]({x})")),
            2 => (a.axes, format!("log_softmax[j]({x})")),
            3 => (rest, format!("variance[j]({x})")),
            4 => (union(a.axes, [false, true, false]), format!("rmsnorm[j]({x}, w, 1e-3)")),
            _ => (a.axes, format!("cumsum[j]({x})")),
        };
        self.add(axes, text);
    }

    fn integers(&mut self, random: &mut ChaCha8Rng) {
        let a = self.any(random);
        let (n, ij) = INTEGERS;
        let (q, j) = BYTES;
        let dtype = self.dtype;
        let (axes, text) = match random.random_range(0..4) {
            0 => (without(ij, "j"), format!("sum[j]({n}) : {dtype}")),
            1 => (without(ij, "j"), format!("(sum[j]({n} * {n}) : {dtype}) * 0.5")),
            2 => {
                (union(without(j, "j"), without(a.axes, "j")), format!("sum[j]({} * {q})", a.name))
            }
            _ => (union(a.axes, ij), format!("{} * ({n} : {dtype})", a.name)),
        };
        self.add(axes, text);
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let dtype = self.dtype;
        let mut parameters: Vec<String> = INPUTS
            .iter()
            .map(|(name, axes)| format!("{name}: {dtype}[{}]", names(*axes)))
            .collect();
        parameters.extend(["n: i32[i,j]".to_string(), "q: i8[j]".into(), "M: bool[i,j]".into()]);
        let output = |(index, &value): (usize, &usize)| {
            let axes = names(self.values[value].axes);
            let axes = if axes.is_empty() { String::new() } else { format!("[{axes}]") };
            format!("o{index}: {dtype}{axes}")
        };
        let outputs: Vec<String> = self.outputs.iter().enumerate().map(output).collect();
        let mut text =
            format!("kernel f({}) -> ({}) {{\n", parameters.join(", "), outputs.join(", "));
        for value in self.needed() {
            text.push_str(&format!("  {} = {}\n", value.name, value.text));
        }
        let results: Vec<&str> =
            self.outputs.iter().map(|&value| self.values[value].name.as_str()).collect();
        let results = results.join(", ");
        let results = if self.outputs.len() > 1 { format!("({results})") } else { results };
        let [i, j, e] = self.extents;
        text + &format!("  {results}\n}}\nsizes a {{ i={i}, j={j}, e={e} }}\n")
    }

    /// The values that the outputs need, in order.
    fn needed(&self) -> Vec<&Value> {
        let mut needed: Vec<bool> = vec![false; self.values.len()];
        self.outputs.iter().for_each(|&value| needed[value] = true);
        for index in (0..self.values.len()).rev() {
            if !needed[index] {
                continue;
            }
            let words = self.values[index].text.split(|char: char| !char.is_alphanumeric());
            for word in words {
                if let Some(other) = self.values.iter().position(|value| value.name == word) {
                    needed[other] = true;
                }
            }
        }
        let values = self.values.iter().zip(needed);
        values
            .filter(|(value, needed)| *needed && !value.text.is_empty())
            .map(|(value, _)| value)
            .collect()
    }

    /// Smaller kernels: an output less, or an input in the place of a computed value.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut list = vec![];
        for output in 0..self.outputs.len() {
            let mut smaller = self.clone();
            smaller.outputs.remove(output);
            list.extend((!smaller.outputs.is_empty()).then_some(smaller));
        }
        for (index, value) in self.values.iter().enumerate().skip(INPUTS.len()) {
            let equal = self.values[..INPUTS.len()].iter().find(|input| input.axes == value.axes);
            if let Some(input) = equal
                && value.text != input.name
            {
                let mut smaller = self.clone();
                smaller.values[index].text.clone_from(&input.name);
                list.push(smaller);
            }
        }
        list.retain(|smaller| smaller.text() != self.text());
        list
    }
}
