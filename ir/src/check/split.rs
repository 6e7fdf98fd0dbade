//! Splits of the `where` clause: `k = kg*128 + ki` makes `k` a name for the axes `kg` and `ki`.
//!
//! The parts stand from the slowest to the fastest, each times what the parts after it count together. The factor
//! gives the inner part its extent; `kg*len(ki) + ki` leaves it open and so merges two axes. A part may be split again.
//! Invariant: a table that comes out is a forest: each name is a part at most once and none contains itself; names of
//! faulty splits are `faulty`, and the checker is silent about them.

use super::context::Context;
use super::value::Value;
use crate::base::{AxisId, AxisSet, BinaryOp, Sizes};
use crate::diag::{Diagnostic, Faults, Span};
use crate::graph::{self, Split};
use crate::syntax::ast::{
    Call, Constraint, ConstraintKind, Expr, ExprKind, Function, Infix, Kernel,
};
use std::collections::{BTreeMap, BTreeSet};

/// The splits of a kernel.
#[derive(Debug, Default)]
pub(super) struct SplitTable<'a> {
    /// In text order.
    splits: Vec<Declared<'a>>,
    /// The split that each part belongs to.
    parent: BTreeMap<&'a str, &'a str>,
    faulty: BTreeSet<&'a str>,
}

#[derive(Debug)]
struct Declared<'a> {
    name: &'a str,
    span: Span,
    parts: Vec<Part<'a>>,
}

#[derive(Clone, Debug)]
struct Part<'a> {
    name: &'a str,
    span: Span,
    /// What the factor before it says; `None` for the outermost part and for `len(..)`.
    extent: Option<u64>,
}

/// A part as it is written.
struct Term<'a> {
    name: &'a str,
    span: Span,
    factor: Factor<'a>,
}

/// What an index of a part is multiplied by.
#[derive(Clone, Debug, PartialEq)]
struct Factor<'a> {
    number: u64,
    lens: Vec<&'a str>,
}

impl<'a> SplitTable<'a> {
    fn find(&self, name: &str) -> Option<&Declared<'a>> {
        self.splits.iter().find(|split| split.name == name)
    }

    /// Whether the name belongs to a split with a fault.
    pub(super) fn faulty(&self, name: &str) -> bool {
        self.faulty.contains(name)
    }

    /// The outermost split that a name belongs to; `None` for an ordinary axis.
    pub(super) fn root_of(&self, name: &str) -> Option<&'a str> {
        let mut root = self.find(name).map(|split| split.name);
        let mut inner = name;
        while let Some(&parent) = self.parent.get(inner) {
            root = Some(parent);
            inner = parent;
        }
        root
    }

    /// The names below a root and the root itself, outer ones first.
    fn family(&self, root: &'a str) -> Vec<&'a str> {
        let parts = self.find(root).map(|split| split.parts.as_slice()).unwrap_or_default();
        let below = parts.iter().flat_map(|part| self.family(part.name));
        std::iter::once(root).chain(below).collect()
    }

    /// The axes that a name consists of in the end, outermost first.
    pub(super) fn leaves(&self, name: &'a str) -> Vec<&'a str> {
        let family = self.family(name).into_iter();
        family.filter(|name| self.find(name).is_none()).collect()
    }

    fn refuse(&mut self, name: &'a str) {
        let family = self.root_of(name).map_or(vec![name], |root| self.family(root));
        self.faulty.extend(family);
    }
}

impl<'a> Context<'a> {
    /// Reads the splits of a kernel's `where` clause.
    pub(super) fn splits(&mut self, kernel: &'a Kernel) -> SplitTable<'a> {
        let mut table = SplitTable::default();
        for constraint in &kernel.constraints {
            if let ConstraintKind::Split(value) = &constraint.kind {
                self.read_split(constraint, value, &mut table);
            }
        }
        self.refuse_cycles(&mut table);
        let tensors = kernel.inputs.iter().chain(&kernel.outputs);
        let signature = tensors.flat_map(|tensor| &tensor.axes).map(|name| name.text.as_str());
        self.require_axes(&signature.collect(), &mut table);
        table
    }

    fn read_split(
        &mut self,
        constraint: &'a Constraint,
        value: &'a Expr,
        table: &mut SplitTable<'a>,
    ) {
        let name = constraint.axis.text.as_str();
        let parts = match self.parts(name, value) {
            Ok(parts) => parts,
            Err(fault) => {
                self.fault(*fault);
                table.faulty.insert(name);
                names_in(value, &mut table.faulty);
                return;
            }
        };
        let again = table.find(name).map(|before| (name, before.span, constraint.axis.span));
        let shared = || {
            let mut seen = BTreeSet::new();
            parts.iter().find_map(|part| {
                let known = table.parent.get(part.name).and_then(|parent| table.find(parent));
                let place = known.map(|split| split.span).unwrap_or(constraint.span);
                let twice = !seen.insert(part.name) || known.is_some();
                twice.then_some((part.name, place, part.span))
            })
        };
        if let Some((axis, before, span)) = again.or_else(shared) {
            let fault = Diagnostic::new("TW0218", format!("axis `{axis}` is split or used twice"));
            let fault = fault.at(span).label(before, "its other place");
            self.fault(fault.help("give the parts of each split names of their own"));
            table.refuse(name);
            table.faulty.insert(name);
            table.faulty.extend(parts.iter().map(|part| part.name));
            return;
        }
        table.parent.extend(parts.iter().map(|part| (part.name, name)));
        table.splits.push(Declared { name, span: constraint.span, parts });
    }

    /// The parts of `outer*128 + inner`, with their extents where the factors say them.
    fn parts(&self, name: &str, value: &'a Expr) -> Result<Vec<Part<'a>>, Box<Diagnostic>> {
        let mut terms = vec![];
        sum_terms(value, &mut terms);
        let terms = terms.into_iter().map(|term| self.term(term));
        let terms = terms.collect::<Result<Vec<_>, _>>()?;
        let malformed = |span: Span, found: String| {
            let fault = Diagnostic::new("TW0217", format!("`{name}` cannot be split like this"));
            let fault =
                fault.at(span).found(found).expected(format!("`{name} = outer*128 + inner`"));
            Box::new(fault.help(
                "parts stand from the slowest to the fastest, each times what the ones after it count",
            ))
        };
        if terms.len() < 2 {
            return Err(malformed(value.span, "one part".to_string()));
        }
        let mut parts: Vec<Part<'a>> = vec![];
        let mut inner: Option<&Factor<'a>> = None;
        for term in terms.iter().rev() {
            match (inner, parts.last_mut()) {
                // The factor of a part counts what the part after it has.
                (Some(inner), Some(after)) => match term.factor.over(inner) {
                    Some(Factor { number, lens }) if lens.is_empty() => after.extent = Some(number),
                    Some(Factor { number: 1, lens }) if lens == [after.name] => {}
                    Some(_) => {
                        let found = format!("a factor that does not count `{}`", after.name);
                        return Err(malformed(term.span, found));
                    }
                    None => {
                        let found =
                            format!("a factor that that of `{}` does not divide", after.name);
                        return Err(malformed(term.span, found));
                    }
                },
                _ if term.factor == Factor::one() => {}
                _ => return Err(malformed(term.span, "a factor of the last part".to_string())),
            }
            parts.push(Part { name: term.name, span: term.span, extent: None });
            inner = Some(&term.factor);
        }
        parts.reverse();
        Ok(parts)
    }

    /// A part with its factor.
    fn term(&self, term: &'a Expr) -> Result<Term<'a>, Box<Diagnostic>> {
        let mut factors = vec![];
        product_factors(term, &mut factors);
        let (mut part, mut factor) = (None, Factor::one());
        for item in factors {
            match &item.kind {
                ExprKind::Name(name) if self.constant(name).is_none() && part.is_none() => {
                    part = Some((name.as_str(), item.span));
                }
                ExprKind::Call(call) if call.name.text == "len" => {
                    factor.lens.push(len_argument(call, item.span)?);
                }
                _ => factor.number = self.factor(item, factor.number)?,
            }
        }
        factor.lens.sort_unstable();
        part.map(|(name, span)| Term { name, span, factor })
            .ok_or_else(|| Box::new(no_part(term.span)))
    }

    fn factor(&self, item: &Expr, so_far: u64) -> Result<u64, Box<Diagnostic>> {
        let mut faults = Faults::default();
        let number = self.functions.constants.whole(item, "a factor of at least 1", &mut faults);
        if let Some(fault) = faults.into_vec().pop() {
            let unknown = ["TW0201", "TW0216"].contains(&fault.code);
            return Err(Box::new(if unknown { no_part(item.span) } else { fault }));
        }
        let product = number.and_then(|number| number.checked_mul(so_far));
        product.filter(|&product| product > 0).ok_or_else(|| {
            let fault = Diagnostic::new("TW0217", "a part of a split has at least one element");
            Box::new(fault.at(item.span).expected("a factor of at least 1, below 2^64"))
        })
    }

    fn refuse_cycles(&mut self, table: &mut SplitTable<'a>) {
        let mut cyclic = vec![];
        for split in &table.splits {
            let mut outer = split.name;
            for _ in 0..table.splits.len() {
                let Some(&parent) = table.parent.get(outer) else { break };
                outer = parent;
                if outer == split.name {
                    cyclic.push((split.name, split.span));
                    break;
                }
            }
        }
        if let Some(&(name, span)) = cyclic.first() {
            let fault = Diagnostic::new("TW0218", format!("`{name}` is a part of itself"));
            self.fault(fault.at(span).help("the parts of a split are other axes"));
        }
        for (name, _) in cyclic {
            let position = table.splits.iter().position(|split| split.name == name);
            let Some(position) = position else { continue };
            let split = table.splits.remove(position);
            table.faulty.insert(name);
            for part in split.parts {
                table.parent.remove(part.name);
                table.faulty.insert(part.name);
            }
        }
    }

    /// Every axis of a split stands in the signature, by itself or as a part of a name that does.
    fn require_axes(&mut self, signature: &BTreeSet<&str>, table: &mut SplitTable<'a>) {
        let mut missing: Vec<(&'a str, Span)> = vec![];
        for split in &table.splits {
            for part in split.parts.iter().filter(|part| table.find(part.name).is_none()) {
                let mut name = Some(part.name);
                while let Some(outer) = name.filter(|outer| !signature.contains(outer)) {
                    name = table.parent.get(outer).copied();
                }
                let reported = table.faulty.contains(part.name);
                if name.is_none() && !reported {
                    missing.push((part.name, part.span));
                }
            }
        }
        for (name, span) in missing {
            let outer = table.parent[name];
            let fault = Diagnostic::new("TW0201", format!("there is no axis `{name}`")).at(span);
            let expected = format!("`{outer}`, or all of its parts, in the signature");
            self.fault(fault.expected(expected));
            table.refuse(name);
        }
    }

    /// Makes the names of a split known whose axes are in the table.
    pub(super) fn declare_family(&mut self, root: &'a str) {
        for name in self.split_axes.family(root) {
            let leaves = self.split_axes.leaves(name);
            let axes: AxisSet =
                leaves.iter().filter_map(|leaf| self.builder.axes().find(leaf)).collect();
            self.scope.axes.insert(name, axes);
            if self.split_axes.find(name).is_some() {
                self.scope.splits.insert(name);
            }
        }
        for name in self.split_axes.family(root) {
            if self.scope.values.contains_key(name) {
                let span = self.split_axes.find(root).map_or(Span::default(), |split| split.span);
                let fault = Diagnostic::new("TW0202", format!("`{name}` is already defined"));
                self.fault(fault.at(span).help("an axis cannot have the name of a value"));
            }
        }
    }

    /// Puts the splits and the extents that they fix into the graph, once all axes are in its table.
    pub(super) fn finish_splits(&mut self) {
        let mut whole = Sizes::new();
        for split in &self.split_axes.splits {
            for part in &split.parts {
                let Some(extent) = part.extent else { continue };
                match self.builder.axes().find(part.name) {
                    Some(axis) => self.builder.axes_mut().fix(axis, extent),
                    None => _ = whole.insert(part.name.to_string(), extent),
                }
            }
        }
        for split in &self.split_axes.splits {
            let axes = self.split_axes.leaves(split.name);
            let axes: Vec<AxisId> =
                axes.iter().filter_map(|leaf| self.builder.axes().find(leaf)).collect();
            self.builder.split(Split {
                name: split.name.to_string(),
                parts: split.parts.iter().map(|part| part.name.to_string()).collect(),
                axes,
                fixed: whole.get(split.name).copied(),
            });
        }
        let mut axes = self.builder.axes().clone();
        let misfits = graph::solve(self.builder.splits(), &whole, &mut axes);
        for axis in axes.ids() {
            if let Some(extent) = axes.extent_if_bound(axis) {
                self.builder.axes_mut().fix(axis, extent);
            }
        }
        for misfit in misfits {
            let place = self.split_axes.find(&misfit.split).map_or(Span::default(), |at| at.span);
            let mut fault = misfit.fault(&axes);
            fault.code = "TW0217";
            self.fault(fault.at(place));
        }
    }

    /// The index along a split: that of its axes together, row-major.
    pub(super) fn split_index(&mut self, axes: AxisSet) -> Value {
        let mut list = axes.iter();
        let Some(outermost) = list.next() else { return Value::Faulty };
        let mut index = self.weak.index(outermost);
        for axis in list {
            let (len, own) = (self.weak_len(axis), self.weak.index(axis));
            let above = self.weak.binary(BinaryOp::Mul, index, len);
            index = self.weak.binary(BinaryOp::Add, above, own);
        }
        Value::Weak(index)
    }

    /// The extent of an axis as a factor: the number where the text fixes it.
    fn weak_len(&mut self, axis: AxisId) -> super::value::WeakId {
        let axes = self.builder.axes();
        match axes.extent_if_bound(axis).filter(|_| axes.is_fixed(axis)) {
            Some(extent) => self.weak.number(extent as f64, false),
            None => self.weak.len(axis),
        }
    }

    /// The axis parameters of a function for which a call gives exactly one name, that of a split.
    pub(super) fn split_parameters(
        &self,
        function: &'a Function,
        call: &Call,
    ) -> BTreeSet<&'a str> {
        let given = call.axes.as_deref().unwrap_or_default();
        if function.axes.len() != given.len() {
            return BTreeSet::new();
        }
        let pairs = function.axes.iter().zip(given);
        let splits = pairs.filter(|(_, name)| self.scope.splits.contains(name.text.as_str()));
        splits.map(|(parameter, _)| parameter.text.as_str()).collect()
    }
}

impl<'a> Factor<'a> {
    fn one() -> Self {
        Self { number: 1, lens: vec![] }
    }

    /// The quotient, if the other factor divides this one.
    fn over(&self, other: &Self) -> Option<Self> {
        if !self.number.is_multiple_of(other.number) {
            return None;
        }
        let mut lens = self.lens.clone();
        for len in &other.lens {
            let position = lens.iter().position(|own| own == len)?;
            lens.remove(position);
        }
        Some(Self { number: self.number / other.number, lens })
    }
}

fn no_part(span: Span) -> Diagnostic {
    let fault = Diagnostic::new("TW0217", "this is no part of a split").at(span);
    fault.expected("an axis, or an axis times numbers, constants and `len(axis)`")
}

/// The name in `len(name)`.
fn len_argument(call: &Call, span: Span) -> Result<&str, Box<Diagnostic>> {
    match call.arguments.as_slice() {
        [Expr { kind: ExprKind::Name(name), .. }] if call.axes.is_none() => Ok(name),
        _ => {
            let fault = Diagnostic::new("TW0210", "`len` takes the name of an axis");
            Err(Box::new(fault.at(span)))
        }
    }
}

fn sum_terms<'a>(expr: &'a Expr, terms: &mut Vec<&'a Expr>) {
    match &expr.kind {
        ExprKind::Infix(Infix::Binary(BinaryOp::Add), x, y) => {
            sum_terms(x, terms);
            sum_terms(y, terms);
        }
        ExprKind::Paren(x) => sum_terms(x, terms),
        _ => terms.push(expr),
    }
}

fn product_factors<'a>(expr: &'a Expr, factors: &mut Vec<&'a Expr>) {
    match &expr.kind {
        ExprKind::Infix(Infix::Binary(BinaryOp::Mul), x, y) => {
            product_factors(x, factors);
            product_factors(y, factors);
        }
        _ => factors.push(expr),
    }
}

/// All names in an expression, so that nothing is said about axes of a split that could not be read.
fn names_in<'a>(expr: &'a Expr, names: &mut BTreeSet<&'a str>) {
    if let ExprKind::Name(name) = &expr.kind {
        names.insert(name);
    }
    expr.children().into_iter().for_each(|part| names_in(part, names));
}
