//! The steps of proofs, checked by numbers: what a rule replaces and what it puts there are evaluated in f64.
//!
//! The evaluator reads the terms of the e-graph themselves, element by element, and rolls in blocks of one and of two
//! elements; it shares nothing with the export of forms or the plan. Invariant: a wrong rule fails; a test has one.

use super::analysis::Graphs;
use super::language::Math;
use super::proof::Proof;
use super::rule::{How, Rule, RuleClass};
use super::{Form, Limits, Rewriter};
use crate::base::{AxisId, AxisSet, BinaryOp, Sizes};
use crate::check;
use crate::graph::{Graph, Op};
use crate::reference::{Family, draw, naive};
use crate::target::{MemoryLevel, Target};
use egg::{FlatTerm, Id, RecExpr};
use std::collections::BTreeSet;
use std::path::Path;

/// Two values of f64 arithmetic in different orders.
const CLOSE: f64 = 1e-9;

/// A term with the values of the inputs.
struct Numbers<'n> {
    graphs: &'n Graphs,
    graph: &'n Graph,
    inputs: &'n [Vec<f64>],
    term: &'n RecExpr<Math>,
    /// Elements of a block of a roll.
    block: usize,
}

/// The current block of a roll over some axes: its first element and the one behind its last.
type Block = (AxisSet, usize, usize);

impl Numbers<'_> {
    /// The elements of some axes in order.
    fn elements(&self, axes: AxisSet) -> Vec<Vec<(AxisId, usize)>> {
        let mut list = vec![vec![]];
        for axis in axes.iter() {
            let extent = self.graph.axes.extent(axis) as usize;
            let with = |element: &Vec<(AxisId, usize)>| -> Vec<Vec<(AxisId, usize)>> {
                (0..extent).map(|at| [&element[..], &[(axis, at)]].concat()).collect()
            };
            list = list.iter().flat_map(with).collect();
        }
        list
    }

    /// The block of a roll that a place stands in; one in the middle where the place is shown without its roll.
    fn block_of(&self, axes: AxisSet, blocks: &[Block]) -> (usize, usize) {
        let count = self.elements(axes).len();
        let open = blocks.iter().rev().find(|block| block.0 == axes);
        open.map_or((count / 3, count / 3 + count.div_ceil(3)), |block| (block.1, block.2))
    }

    fn reduce(
        &self,
        (op, axes, x): (BinaryOp, AxisSet, Id),
        (from, to): (usize, usize),
        at: &[usize],
        blocks: &[Block],
    ) -> f64 {
        let start = match op {
            BinaryOp::Max => f64::NEG_INFINITY,
            BinaryOp::Min => f64::INFINITY,
            BinaryOp::Mul => 1.0,
            _ => 0.0,
        };
        let elements = self.elements(axes);
        elements[from..to.min(elements.len())].iter().fold(start, |value, element| {
            let mut inner = at.to_vec();
            element.iter().for_each(|&(axis, place)| inner[axis.index()] = place);
            op.apply(value, self.at(x, &inner, blocks))
        })
    }

    fn axes(&self, j: Id) -> AxisSet {
        match &self.term[j] {
            Math::Axes(axes) => axes.0,
            other => unreachable!("a reduction names its axes, found {other}"),
        }
    }

    fn all(&self, op: BinaryOp, j: Id, x: Id, at: &[usize], blocks: &[Block]) -> f64 {
        self.reduce((op, self.axes(j), x), (0, usize::MAX), at, blocks)
    }

    fn running(
        &self,
        op: BinaryOp,
        (j, x): (Id, Id),
        after: bool,
        at: &[usize],
        blocks: &[Block],
    ) -> f64 {
        let axes = self.axes(j);
        let (first, end) = self.block_of(axes, blocks);
        self.reduce((op, axes, x), (0, if after { end } else { first }), at, blocks)
    }

    fn roll(&self, [j, term, scale, shift]: [Id; 4], at: &[usize], blocks: &[Block]) -> f64 {
        let axes = self.axes(j);
        let count = self.elements(axes).len();
        let mut value = 0.0;
        for first in (0..count).step_by(self.block) {
            let end = (first + self.block).min(count);
            let inner = [blocks, &[(axes, first, end)]].concat();
            let (scale, shift) = (self.at(scale, at, &inner), self.at(shift, at, &inner));
            value = value * scale + shift;
            value += self.reduce((BinaryOp::Add, axes, term), (first, end), at, &inner);
        }
        value
    }

    /// The value of a part at a coordinate.
    fn at(&self, id: Id, at: &[usize], blocks: &[Block]) -> f64 {
        let value = |id: &Id| self.at(*id, at, blocks);
        match &self.term[id] {
            Math::Number(number) => number.value(),
            Math::Axes(_) => f64::NAN,
            Math::Add([x, y]) => value(x) + value(y),
            Math::Mul([x, y]) => value(x) * value(y),
            Math::Neg([x]) => -value(x),
            Math::Recip([x]) => value(x).recip(),
            Math::Exp([x]) => value(x).exp(),
            Math::Exp2([x]) => value(x).exp2(),
            Math::Log([x]) => value(x).ln(),
            Math::Log2([x]) => value(x).log2(),
            Math::Sqrt([x]) => value(x).sqrt(),
            Math::Max([x, y]) => BinaryOp::Max.apply(value(x), value(y)),
            Math::Min([x, y]) => BinaryOp::Min.apply(value(x), value(y)),
            Math::Equal([x, y]) => f64::from(u8::from(value(x) == value(y))),
            Math::Where([c, x, y]) => value(if value(c) != 0.0 { x } else { y }),
            Math::Guard([x]) if value(x) == f64::NEG_INFINITY => 0.0,
            Math::Finite([x]) if value(x).is_infinite() => 0.0,
            Math::Guard([x]) | Math::Finite([x]) => value(x),
            Math::Sum([j, x]) => self.all(BinaryOp::Add, *j, *x, at, blocks),
            Math::MaxOf([j, x]) => self.all(BinaryOp::Max, *j, *x, at, blocks),
            Math::MinOf([j, x]) => self.all(BinaryOp::Min, *j, *x, at, blocks),
            Math::Roll(parts) => self.roll(*parts, at, blocks),
            Math::AfterSum([j, x]) => self.running(BinaryOp::Add, (*j, *x), true, at, blocks),
            Math::AfterMax([j, x]) => self.running(BinaryOp::Max, (*j, *x), true, at, blocks),
            Math::BeforeSum([j, x]) => self.running(BinaryOp::Add, (*j, *x), false, at, blocks),
            Math::BeforeMax([j, x]) => self.running(BinaryOp::Max, (*j, *x), false, at, blocks),
            Math::Ones([_, one]) => value(one),
            Math::Other(name, parts) => {
                self.other(self.graphs.analysis.opaque[name].op, parts, at, blocks)
            }
        }
    }

    fn other(&self, op: Op, parts: &[Id], at: &[usize], blocks: &[Block]) -> f64 {
        let value = |part: usize| self.at(parts[part], at, blocks);
        match op {
            Op::Input(position) => {
                let axes = self.graph.inputs[position].axes.iter();
                let place = axes.fold(0, |place, axis| {
                    place * self.graph.axes.extent(*axis) as usize + at[axis.index()]
                });
                self.inputs[position][place]
            }
            Op::Literal(value) => value,
            Op::Index(axis) => at[axis.index()] as f64,
            Op::Len(axis) => self.graph.axes.extent(axis) as f64,
            Op::Unary(op, _) => naive::unary(op, value(0)),
            Op::Binary(op, ..) => op.apply(value(0), value(1)),
            Op::Compare(op, ..) => f64::from(u8::from(op.apply(value(0), value(1)))),
            Op::Select(..) => value(if value(0) != 0.0 { 1 } else { 2 }),
            Op::Cast(_) | Op::Wrap(_) => value(0),
            Op::Gather(_, picks) => {
                let mut place = at.to_vec();
                for (part, (axis, _)) in (1..).zip(picks.iter()) {
                    let last = self.graph.axes.extent(axis) as i64 - 1;
                    place[axis.index()] = (value(part) as i64).clamp(0, last) as usize;
                }
                self.at(parts[0], &place, blocks)
            }
            Op::Reduce(op, axes, _) => {
                let fold = op.fold().expect("the kernels of this test search for no index");
                self.reduce((fold, axes, parts[0]), (0, usize::MAX), at, blocks)
            }
            Op::Scan(op, axis, _) => {
                let fold = op.fold().expect("the kernels of this test search for no index");
                let end = at[axis.index()] + 1;
                self.reduce((fold, AxisSet::one(axis), parts[0]), (0, end), at, blocks)
            }
            Op::Roll(..) | Op::Before(_) | Op::After(_) | Op::Held => {
                unreachable!("a text has no rolls")
            }
        }
    }
}

/// The place where two terms of a proof differ, with the rule that is named there.
fn place<'t>(
    before: &'t FlatTerm<Math>,
    after: &'t FlatTerm<Math>,
) -> Option<(String, &'t FlatTerm<Math>, &'t FlatTerm<Math>)> {
    if let Some(name) = after.forward_rule.or(after.backward_rule) {
        return Some((name.to_string(), before, after));
    }
    let mut children = before.children.iter().zip(&after.children);
    children.find_map(|(before, after)| place(before, after))
}

/// Checks every step from the text to a form; what is wrong, and the rules that were checked.
fn check_form(rewriter: &mut Rewriter, form: &Form, seed: u64) -> (BTreeSet<String>, Vec<String>) {
    let proof = Proof {
        roots: &rewriter.roots,
        names: &rewriter.names,
        graph: &form.graph,
        written: &rewriter.written,
        chosen: &form.choice,
    };
    let chains = proof.chains(&mut rewriter.graphs);
    let inputs = draw(&form.graph, Family::Uniform, seed);
    let inputs: Vec<Vec<f64>> = inputs.iter().map(|input| input.to_f64()).collect();
    let (mut checked, mut wrong) = (BTreeSet::new(), vec![]);
    for terms in chains {
        for pair in terms.windows(2) {
            let Some((rule, before, after)) = place(&pair[0], &pair[1]) else { continue };
            let text = |term: &FlatTerm<Math>| term.remove_rewrites().get_recexpr();
            let (before, after) = (text(before), text(after));
            for block in [1, 2] {
                let of = |term: &RecExpr<Math>| {
                    values(&rewriter.graphs, &form.graph, &inputs, term, block)
                };
                if !equal(&of(&before), &of(&after)) {
                    wrong.push(format!("{rule}, blocks of {block}: {before} = {after}"));
                }
            }
            checked.insert(rule);
        }
    }
    (checked, wrong)
}

fn values(
    graphs: &Graphs,
    graph: &Graph,
    inputs: &[Vec<f64>],
    term: &RecExpr<Math>,
    block: usize,
) -> Vec<f64> {
    let numbers = Numbers { graphs, graph, inputs, term, block };
    let root = Id::from(term.as_ref().len() - 1);
    let all: AxisSet = graph.axes.ids().collect();
    let elements = numbers.elements(all).into_iter().map(|element| {
        let mut at = vec![0; graph.axes.len()];
        element.iter().for_each(|&(axis, place)| at[axis.index()] = place);
        numbers.at(root, &at, &[])
    });
    elements.collect()
}

fn equal(one: &[f64], other: &[f64]) -> bool {
    let close = |(x, y): (&f64, &f64)| {
        x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= CLOSE * x.abs().max(y.abs()).max(1.0)
    };
    one.len() == other.len() && one.iter().zip(other).all(close)
}

fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "test".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: vec![level("L1", 1 << 15), level("memory", 0)],
    }
}

/// Extents of 3 along the stream, 2 elsewhere: enough for blocks of two sizes, and quick to go over.
fn small(text: &str) -> Graph {
    let file = check::check(text).expect("the files of the folder are right");
    let kernel = &file.kernels[0];
    let axes = &kernel.graph.axes;
    let extent = |name: &str| if ["j", "k", "n"].contains(&name) { 3 } else { 2 };
    let sizes: Sizes =
        axes.ids().map(|axis| (axes.name(axis).to_string(), extent(axes.name(axis)))).collect();
    let sizes = kernel.bind(&sizes).or_else(|_| kernel.bind(&kernel.size_sets[0].1));
    sizes.expect("the kernel has sizes")
}

#[test]
fn every_step_of_every_proof_has_equal_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/rewrite");
    let files = std::fs::read_dir(folder).expect("the folder is part of the project");
    let mut paths: Vec<_> = files.map(|file| file.expect("it can be read").path()).collect();
    paths.sort();
    let mut checked = BTreeSet::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let graph = small(&text);
        if graph.axes.volume(graph.axes.ids().collect()) > 200 {
            continue;
        }
        let mut rewriter = Rewriter::new(&graph, Limits::default());
        for form in rewriter.forms(&graph, &target(), 4) {
            let (rules, wrong) = check_form(&mut rewriter, &form, 5);
            assert!(wrong.is_empty(), "{}: {}", path.display(), wrong.join("\n"));
            checked.extend(rules);
        }
    }
    let wanted = ["sum-factor", "roll", "centre", "shift", "exp-product", "where-product"];
    let missing: Vec<_> = wanted.iter().filter(|rule| !checked.contains(**rule)).collect();
    assert!(missing.is_empty(), "no proof has {missing:?}, only {checked:?}");
}

/// The check is worth something: a rule that is wrong in its sign is found.
#[test]
fn a_wrong_rule_is_found() {
    let wrong = Rule {
        name: "wrong",
        class: RuleClass::Exact,
        meaning: "exp(-x) = exp(x)",
        how: How::Pattern("(exp (neg ?x))", "(exp ?x)"),
    };
    let right = Rule {
        name: "right",
        class: RuleClass::Exact,
        meaning: "exp(-x) = 1 / exp(x)",
        how: How::Pattern("(exp (neg ?x))", "(recip (exp ?x))"),
    };
    let graph = small("kernel f(x: f32[i,j]) -> f32[i] { sum[j](exp(-x)) }\nsizes a { i=2, j=3 }");
    for (rule, is_wrong) in [(wrong, true), (right, false)] {
        let mut rewriter = Rewriter::with_rules(&graph, Limits::default(), &[&rule]);
        let forms = rewriter.forms(&graph, &target(), 4);
        let mut found = vec![];
        let mut checked = BTreeSet::new();
        for form in &forms {
            let (rules, faults) = check_form(&mut rewriter, form, 5);
            found.extend(faults);
            checked.extend(rules);
        }
        // The form that uses the right rule is not among the best ones.
        assert!(!is_wrong || checked.contains(rule.name), "{}: {checked:?}", rule.name);
        assert_eq!(!found.is_empty(), is_wrong, "{}: {found:?}", rule.name);
    }
}
