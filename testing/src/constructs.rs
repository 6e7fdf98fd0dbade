//! The constructs of a text, by name, so that a tally shows which of them random files really have.
//!
//! Invariant: `required` follows the language's own tables, so that an operator, a type or a library function that the
//! generator never draws makes a test fail.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tilewright_ir::syntax::ast::{
    Body, Call, ConstraintKind, Expr, ExprKind, Item, Kernel, Prefix, SizeSet, TensorDecl,
};
use tilewright_ir::syntax::parse;
use tilewright_ir::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// What has no table: forms of the signature, of size sets and of expressions.
const FORMS: &[&str] = &[
    "@approx",
    "@exact",
    "@reassoc",
    "argmax over several axes",
    "argmin over several axes",
    "axis that no tensor has",
    "bound by another axis",
    "bound by a constant",
    "const",
    "extent 0",
    "extent 1",
    "extent prime",
    "extent set by a constant",
    "extent set by a split",
    "fn",
    "fn call",
    "fn call in a fn",
    "fn with axes",
    "gather of a named value",
    "gather of an input",
    "index of an axis",
    "index of a split",
    "inf",
    "input without axes",
    "kernels",
    "len",
    "let",
    "limit !=",
    "limit <",
    "limit <=",
    "limit ==",
    "limit >=",
    "limit in",
    "mask",
    "mean",
    "nan",
    "output without axes",
    "outputs",
    "predicate on indices",
    "size sets",
    "split axis",
    "split by len",
    "split of three",
    "split twice",
    "stride 0",
    "stride backwards",
    "stride by a constant",
    "stride by a number",
    "stride by len",
    "true",
    "false",
    "where",
    "wrap",
];

/// Every construct that random files have to have.
pub fn required() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = FORMS.iter().map(ToString::to_string).collect();
    names.extend(UnaryOp::ALL.iter().map(|op| match op {
        UnaryOp::Neg => "prefix -".to_string(),
        UnaryOp::Not => "!".to_string(),
        op => op.name().to_string(),
    }));
    names.extend(BinaryOp::ALL.iter().map(|op| op.name().to_string()));
    names.extend(CompareOp::ALL.iter().map(|op| op.name().to_string()));
    names.extend(ReduceOp::ALL.iter().map(|op| op.name().to_string()));
    names.extend(ReduceOp::ALL.iter().filter_map(|op| op.scan_name()).map(str::to_string));
    for dtype in DType::all() {
        names.extend([format!("input:{dtype}"), format!("output:{dtype}")]);
        if dtype != DType::Bool {
            names.extend([format!("cast:{dtype}"), format!("accumulator:{dtype}")]);
        }
        if dtype.is_integer() && dtype != DType::Bool {
            names.insert(format!("wrap:{dtype}"));
        }
    }
    for item in parse(tilewright_ir::check::LIBRARY_TEXT).file.items {
        if let Item::Function(function) = item {
            names.insert(function.name.text);
        }
    }
    names
}

/// In how many files of these seeds each construct is.
pub fn drawn(seeds: Range<u64>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for seed in seeds {
        for construct in of(&crate::draw::file(seed)) {
            *counts.entry(construct).or_default() += 1;
        }
    }
    counts
}

/// Every construct that a text has at least once.
pub(crate) fn of(text: &str) -> BTreeSet<String> {
    let mut found = Found::default();
    let mut kernels = 0;
    for item in &parse(text).file.items {
        match item {
            Item::Function(function) => {
                found.add("fn");
                if !function.axes.is_empty() {
                    found.add("fn with axes");
                }
                found.in_function = true;
                found.body(&function.body);
                found.in_function = false;
            }
            Item::Kernel(kernel) => {
                kernels += 1;
                found.kernel(kernel);
            }
            Item::Constant(_) => found.add("const"),
            Item::Sizes(sizes) => found.sizes(sizes),
            Item::Faulty(..) => {}
        }
    }
    if kernels > 1 {
        found.add("kernels");
    }
    found.names
}

/// What the kernel whose body is walked declares.
#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    axes: BTreeSet<String>,
    splits: BTreeSet<String>,
    inputs: BTreeSet<String>,
    sets: usize,
    in_function: bool,
}

impl Found {
    fn add(&mut self, name: impl Into<String>) {
        self.names.insert(name.into());
    }

    fn kernel(&mut self, kernel: &Kernel) {
        self.axes.clear();
        self.splits.clear();
        self.inputs.clear();
        self.sets = 0;
        for tensor in &kernel.inputs {
            self.inputs.extend(tensor.name.iter().map(|name| name.text.clone()));
            self.tensor(tensor, "input");
        }
        kernel.outputs.iter().for_each(|one| self.tensor(one, "output"));
        for attribute in &kernel.attributes {
            self.add(format!("@{}", attribute.name.text));
        }
        self.constraints(kernel);
        if kernel.outputs.len() > 1 {
            self.add("outputs");
        }
        self.body(&kernel.body);
    }

    fn tensor(&mut self, tensor: &TensorDecl, place: &str) {
        if let Some(dtype) = tensor.dtype.dtype {
            self.add(format!("{place}:{dtype}"));
        }
        self.axes.extend(tensor.axes.iter().map(|name| name.text.clone()));
        if tensor.axes.is_empty() {
            self.add(format!("{place} without axes"));
        }
        for stride in tensor.strides.iter().flatten() {
            self.add(match &stride.kind {
                ExprKind::Number(text) if text == "0" => "stride 0",
                ExprKind::Number(_) => "stride by a number",
                ExprKind::Prefix(..) => "stride backwards",
                _ => "stride by len",
            });
            if names_in(stride).any(|name| name == "FEW") {
                self.add("stride by a constant");
            }
        }
    }

    fn constraints(&mut self, kernel: &Kernel) {
        let mut splits = 0;
        for constraint in &kernel.constraints {
            match &constraint.kind {
                ConstraintKind::Split(sum) => {
                    splits += 1;
                    self.add("split axis");
                    self.splits.insert(constraint.axis.text.clone());
                    let parts = names_in(sum).count();
                    let by_len = calls_in(sum) > 0;
                    if by_len {
                        self.add("split by len");
                    } else if parts > 2 {
                        self.add("split of three");
                    }
                    self.axes.extend(names_in(sum).map(str::to_string));
                }
                ConstraintKind::Range(..) => self.add("limit in"),
                ConstraintKind::Compare(op, bound) => {
                    self.add(format!("limit {}", op.name()));
                    for name in names_in(bound) {
                        let constant = name == "FEW";
                        self.add(if constant {
                            "bound by a constant"
                        } else {
                            "bound by another axis"
                        });
                    }
                    if !self.axes.contains(&constraint.axis.text) {
                        self.axes.insert(constraint.axis.text.clone());
                        self.add("axis that no tensor has");
                    }
                }
            }
        }
        if splits > 1 {
            self.add("split twice");
        }
    }

    fn sizes(&mut self, sizes: &SizeSet) {
        self.sets += 1;
        if self.sets > 1 {
            self.add("size sets");
        }
        for (name, extent) in &sizes.extents {
            if self.splits.contains(&name.text) {
                self.add("extent set by a split");
            }
            if names_in(extent).next().is_some() {
                self.add("extent set by a constant");
            }
            let ExprKind::Number(text) = &extent.kind else { continue };
            let Ok(number) = text.parse::<u64>() else { continue };
            match number {
                0 | 1 => self.add(format!("extent {number}")),
                7.. if (2..number).all(|divisor| number % divisor > 0) => self.add("extent prime"),
                _ => {}
            }
        }
    }

    fn body(&mut self, body: &Body) {
        for statement in &body.statements {
            if statement.name.is_some() {
                self.add("let");
            }
            self.expr(&statement.value);
        }
    }

    fn expr(&mut self, value: &Expr) {
        match &value.kind {
            ExprKind::Prefix(Prefix::Neg, _) => self.add("prefix -"),
            ExprKind::Prefix(Prefix::Not, _) => self.add("!"),
            ExprKind::Infix(op, x, y) => {
                self.add(op.symbol());
                let compares = CompareOp::ALL.iter().any(|one| one.name() == op.symbol());
                if compares && self.is_index(x) && self.is_index(y) {
                    self.add("predicate on indices");
                }
            }
            ExprKind::Call(call) => self.call(call),
            ExprKind::Subscript(name, _) => {
                let input = self.inputs.contains(&name.text);
                self.add(if input { "gather of an input" } else { "gather of a named value" });
            }
            ExprKind::Typed(x, ty) => {
                let kind = match &x.kind {
                    ExprKind::Call(call) if call.axes.is_some() => "accumulator",
                    ExprKind::Call(call) if call.name.text == "wrap" => "wrap",
                    _ => "cast",
                };
                if let Some(dtype) = ty.dtype {
                    self.add(format!("{kind}:{dtype}"));
                }
            }
            ExprKind::Name(name) => {
                if ["inf", "nan", "true", "false"].contains(&name.as_str()) {
                    self.add(name.clone());
                } else if self.splits.contains(name) {
                    self.add("index of a split");
                } else if !self.in_function && self.axes.contains(name) {
                    self.add("index of an axis");
                }
            }
            ExprKind::Number(_) | ExprKind::Paren(_) | ExprKind::Tuple(_) | ExprKind::Faulty => {}
        }
        value.children().into_iter().for_each(|child| self.expr(child));
    }

    fn call(&mut self, call: &Call) {
        let name = &call.name.text;
        if is_drawn(name) {
            self.add("fn call");
            if self.in_function {
                self.add("fn call in a fn");
            }
            return;
        }
        self.add(name.clone());
        let several = call.axes.as_ref().is_some_and(|axes| axes.len() > 1);
        if several && ["argmax", "argmin"].contains(&name.as_str()) {
            self.add(format!("{name} over several axes"));
        }
    }

    /// Whether an expression is made of axis indices, extents and numbers.
    fn is_index(&self, value: &Expr) -> bool {
        match &value.kind {
            ExprKind::Name(name) => self.axes.contains(name),
            ExprKind::Number(_) => true,
            ExprKind::Call(call) if call.name.text == "len" => true,
            ExprKind::Infix(_, x, y) => self.is_index(x) && self.is_index(y),
            _ => false,
        }
    }
}

/// The names in an expression, those in calls left out.
fn names_in(value: &Expr) -> Box<dyn Iterator<Item = &str> + '_> {
    match &value.kind {
        ExprKind::Name(name) => Box::new(std::iter::once(name.as_str())),
        ExprKind::Call(_) => Box::new(std::iter::empty()),
        _ => Box::new(value.children().into_iter().flat_map(names_in)),
    }
}

fn calls_in(value: &Expr) -> usize {
    let own = usize::from(matches!(value.kind, ExprKind::Call(_)));
    own + value.children().into_iter().map(calls_in).sum::<usize>()
}

/// Whether this is a name that the generator gives to functions.
fn is_drawn(name: &str) -> bool {
    let number = name.strip_prefix('f').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}
