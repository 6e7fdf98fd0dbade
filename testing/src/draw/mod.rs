//! Random kernel files that the checker accepts, over the whole language, each kernel with a size set.
//!
//! A typed grammar: every function here writes one kind of expression and knows its type, its axes and about how large
//! its elements are, so that most results are finite numbers that a comparison with the reference can decide.
//! Invariant: the same choices give the same text on every machine.

mod access;
mod float;
mod function;
mod integer;
mod reduction;
mod signature;
mod truth;
mod value;

use crate::choices::Choices;
use function::Signature;
use tilewright_ir::DType;
use value::{Type, Value};

/// The float types of inputs, outputs, casts and accumulators.
const FLOATS: &[DType] = &[DType::F32, DType::F64, DType::F32, DType::F64, DType::Bf16, DType::F16];
/// The integer types.
const INTEGERS: &[DType] = &[DType::I32, DType::I32, DType::I16, DType::I8, DType::U8, DType::I4];
/// The most elements of a kernel's iteration space: small, usual, rare.
const VOLUMES: [u64; 4] = [1 << 9, 1 << 11, 1 << 11, 1 << 15];
const EXTENTS: [u64; 21] =
    [1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 23, 31, 32, 33, 41, 64, 67, 70, 1500];
const AXES: [&str; 5] = ["i", "j", "k", "m", "n"];

/// The file of a seed.
pub fn file(seed: u64) -> String {
    file_of(&mut Choices::seeded(seed))
}

/// The file of some choices.
pub fn file_of(choices: &mut Choices<'_>) -> String {
    let kernels = [1, 1, 1, 2, 3][choices.below(5)];
    let mut maker = Maker::new(choices);
    let mut items: Vec<String> = maker.constants().into_iter().collect();
    for position in 0..kernels {
        let kernel = maker.kernel(position);
        items.append(&mut maker.functions);
        items.push(kernel);
    }
    items.join("\n")
}

/// An axis of the kernel.
#[derive(Clone, Debug)]
struct Axis {
    name: &'static str,
    extent: u64,
}

/// A name for two or three axes.
#[derive(Clone, Debug)]
struct Split {
    /// From the slowest to the fastest.
    parts: Vec<usize>,
    /// Whether the text fixes the inner extents.
    fixed: bool,
    /// Whether the last two of three parts have a name of their own.
    nested: bool,
}

impl Split {
    const NAME: &str = "s";
    const NESTED: &str = "t";

    fn axes(&self) -> u16 {
        self.parts.iter().fold(0, |axes, part| axes | 1 << part)
    }
}

/// What an expression may name: the kernel's own, or the parameters of a function.
#[derive(Clone, Debug, Default)]
struct Scope {
    known: Vec<Value>,
    /// By value: whether an expression names it.
    used: Vec<bool>,
    /// The values that subscripts can follow, with their axes in order.
    orders: Vec<(Value, Vec<usize>)>,
    /// The axes in the order in which the signature first names them.
    signature: Vec<usize>,
    /// The axes that have a name, and the names.
    axes: u16,
    names: [&'static str; 16],
    /// How many functions are being written around this one.
    depth: usize,
}

struct Maker<'c, 'a> {
    choices: &'c mut Choices<'a>,
    axes: Vec<Axis>,
    split: Option<Split>,
    /// Axes that no input has: the text states their extents.
    stated: u16,
    /// Whether the file has constants.
    constant: bool,
    scope: Scope,
    /// Function texts that no item of the file holds yet.
    functions: Vec<String>,
    signatures: Vec<Signature>,
    function_count: usize,
    /// The type of most float values.
    float: DType,
}

impl<'c, 'a> Maker<'c, 'a> {
    fn new(choices: &'c mut Choices<'a>) -> Self {
        Self {
            choices,
            axes: vec![],
            split: None,
            stated: 0,
            constant: false,
            scope: Scope::default(),
            functions: vec![],
            signatures: vec![],
            function_count: 0,
            float: DType::F32,
        }
    }

    fn below(&mut self, count: usize) -> usize {
        self.choices.below(count)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.choices.one_in(count)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.choices.pick(list)
    }

    /// The names of axes in the current scope, in the axes' order.
    fn axis_list(&self, axes: u16) -> Vec<&'static str> {
        let bits = (0..16).filter(|bit| axes >> bit & 1 == 1);
        bits.map(|bit| self.scope.names[bit]).collect()
    }

    /// The split, if its name can stand here for some of these axes.
    fn split_in(&self, axes: u16) -> Option<Split> {
        let split = self.split.clone();
        split.filter(|split| self.scope.depth == 0 && split.axes() & !axes == 0)
    }

    /// The axes as a list in brackets names them: a split sometimes stands for its parts.
    fn bracketed(&mut self, axes: u16) -> Vec<&'static str> {
        match self.split_in(axes) {
            Some(split) if self.one_in(2) => {
                let mut names = self.axis_list(axes & !split.axes());
                names.push(Split::NAME);
                names
            }
            _ => self.axis_list(axes),
        }
    }

    /// The product of the extents.
    fn volume(&self, axes: u16) -> f64 {
        let list = self.axes.iter().enumerate().filter(|(bit, _)| axes >> bit & 1 == 1);
        list.map(|(_, axis)| axis.extent as f64).product()
    }

    /// A value of the scope whose type passes a test; the latest that nothing has used yet more often.
    fn known(&mut self, wanted: impl Fn(Type) -> bool) -> Option<Value> {
        let known = self.scope.known.iter().enumerate();
        let list: Vec<usize> = known.filter(|(_, v)| wanted(v.ty)).map(|(at, _)| at).collect();
        let unused = list.iter().rfind(|&&at| !self.scope.used[at]).copied();
        let at = match unused {
            Some(unused) if self.choices.one_in(2) => unused,
            _ if list.is_empty() => return None,
            _ => list[self.choices.below(list.len())],
        };
        self.scope.used[at] = true;
        Some(self.scope.known[at].clone())
    }

    /// Makes a value known to the expressions that follow.
    fn learn(&mut self, value: Value) {
        self.scope.known.push(value);
        self.scope.used.push(false);
    }

    /// Constants of the file, if it has any: a fraction and a whole number that every type holds.
    fn constants(&mut self) -> Option<String> {
        self.constant = self.one_in(8);
        self.constant.then(|| "const HALF = 1 / 2\nconst FEW = 2 + 1\n".to_string())
    }

    /// A number of any kind.
    fn number(&mut self, depth: u32) -> Value {
        if self.one_in(5) { self.integer(depth) } else { self.float(depth) }
    }

    /// Statements that give values names.
    fn statements(&mut self, prefix: &str, count: usize) -> String {
        let mut text = String::new();
        for position in 0..count {
            let depth = 1 + self.below(3) as u32;
            let value = match self.below(10) {
                0..7 => self.float(depth),
                7..9 => self.integer(depth),
                _ => self.truth(depth),
            };
            if self.one_in(20) {
                text += "\n  # the next value\n";
            }
            let name = format!("{prefix}{position}");
            text += &format!("  {name} = {}\n", value.text);
            let value = Value::atom(name, value.axes, value.ty, value.range);
            if self.scope.depth == 0 && value.axes != 0 {
                let axes = self.scope.signature.iter().copied();
                let order = axes.filter(|&bit| value.axes >> bit & 1 == 1).collect();
                self.scope.orders.push((value.clone(), order));
            }
            self.learn(value);
        }
        text
    }
}
