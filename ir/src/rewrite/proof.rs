//! Why a form equals the text: the rules that lead from one to the other, in order.
//!
//! The e-graph keeps for every union the rule that asked for it, and explains an equality as a chain of terms of which
//! each differs from the one before by one rule at one place. A step shows that place only, in the notation of the
//! kernel language; values that the text names are shown by their names.
//! Invariant: the first term is the text, the last the form, and every step names a rule of the table.

use super::analysis::Graphs;
use super::export::Choice;
use super::language::Math;
use super::rule::{How, Rule, RuleClass};
use super::rules::RULES;
use crate::graph::Graph;
use egg::{FlatTerm, Id, Language as _, RecExpr, Symbol};
use std::collections::BTreeMap;

/// A term larger than this is not explained: explanations write shared parts out.
const TERM_MAX: usize = 4000;
/// Longer texts of a place are cut.
const TEXT_MAX: usize = 160;

/// One step of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: &'static str,
    /// What it may change in floats.
    pub class: RuleClass,
    /// What it says.
    pub meaning: &'static str,
    /// The place before.
    pub before: String,
    /// The place after.
    pub after: String,
    /// Whether the step only moves signs and reciprocals about.
    pub is_bookkeeping: bool,
}

/// What a proof is about.
pub(super) struct Proof<'p> {
    pub(super) roots: &'p [Id],
    pub(super) names: &'p BTreeMap<Id, String>,
    /// The form, for the names of axes and inputs.
    pub(super) graph: &'p Graph,
    pub(super) written: &'p Choice,
    pub(super) chosen: &'p Choice,
}

impl Proof<'_> {
    /// The steps for all roots; none twice.
    pub(super) fn steps(&self, graphs: &mut Graphs) -> Vec<Step> {
        let mut steps: Vec<Step> = vec![];
        for terms in self.chains(graphs) {
            for pair in terms.windows(2) {
                let step = self.step(graphs, &pair[0], &pair[1]);
                steps.extend(step.filter(|step| !steps.contains(step)));
            }
        }
        steps
    }

    /// For each root the terms from the text to the form; each differs from the one before by one rule.
    pub(super) fn chains(&self, graphs: &mut Graphs) -> Vec<Vec<FlatTerm<Math>>> {
        let mut chains = vec![];
        for &root in self.roots {
            let (first, last) = (term(graphs, self.written, root), term(graphs, self.chosen, root));
            let (Some(first), Some(last)) = (first, last) else { continue };
            if tree_size(&first) > TERM_MAX || tree_size(&last) > TERM_MAX {
                continue;
            }
            let mut explanation = graphs.explain_equivalence(&first, &last);
            chains.push(explanation.make_flat_explanation().clone());
        }
        chains
    }

    /// The place in which two terms differ, if a rule of the table is named there.
    fn step(
        &self,
        graphs: &Graphs,
        before: &FlatTerm<Math>,
        after: &FlatTerm<Math>,
    ) -> Option<Step> {
        if let Some(name) = after.forward_rule.or(after.backward_rule) {
            let rule = rule(name)?;
            let text = |term: &FlatTerm<Math>| self.show(graphs, term);
            let is_bookkeeping = matches!(rule.how, How::Pattern(..));
            let (before, after) = (text(before), text(after));
            let Rule { name, class, meaning, .. } = *rule;
            return Some(Step { rule: name, class, meaning, before, after, is_bookkeeping });
        }
        let children = before.children.iter().zip(&after.children);
        children.into_iter().find_map(|(before, after)| self.step(graphs, before, after))
    }

    fn show(&self, graphs: &Graphs, term: &FlatTerm<Math>) -> String {
        let expression = term.remove_rewrites().get_recexpr();
        let printer = Printer { graphs, proof: self, expression: &expression };
        let root = Id::from(expression.as_ref().len() - 1);
        let mut text = printer.node(root, 0);
        if text.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            text.truncate(end);
            text.push_str(" ..");
        }
        text
    }
}

fn rule(name: Symbol) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name.as_str())
}

/// The chosen term of a class, shared parts once.
fn term(graphs: &Graphs, choice: &Choice, root: Id) -> Option<RecExpr<Math>> {
    fn add(
        graphs: &Graphs,
        choice: &Choice,
        id: Id,
        done: &mut BTreeMap<Id, Id>,
        term: &mut RecExpr<Math>,
    ) -> Option<Id> {
        let id = graphs.find(id);
        if let Some(&place) = done.get(&id) {
            return Some(place);
        }
        let mut node = choice.get(&id)?.clone();
        for child in node.children_mut() {
            *child = add(graphs, choice, *child, done, term)?;
        }
        let place = term.add(node);
        done.insert(id, place);
        Some(place)
    }
    let mut term = RecExpr::default();
    add(graphs, choice, root, &mut BTreeMap::new(), &mut term)?;
    Some(term)
}

/// Nodes of a term with shared parts written out.
fn tree_size(term: &RecExpr<Math>) -> usize {
    let mut sizes: Vec<usize> = vec![];
    for node in term.as_ref() {
        let below = node.children().iter().map(|&child| sizes[usize::from(child)]);
        sizes.push(below.fold(1_usize, usize::saturating_add));
    }
    sizes.last().copied().unwrap_or(0)
}

struct Printer<'p> {
    graphs: &'p Graphs,
    proof: &'p Proof<'p>,
    expression: &'p RecExpr<Math>,
}

impl Printer<'_> {
    /// The text of a part; `tightness` is what stands around it: 0 nothing, 1 a sum, 2 a product, 3 a prefix.
    fn part(&self, id: Id, tightness: u8) -> String {
        match self.name(id) {
            Some(name) => name,
            None => self.node(id, tightness),
        }
    }

    /// The text's name for a value.
    fn name(&self, id: Id) -> Option<String> {
        let class = self.graphs.lookup_expr(
            &self.expression[id].build_recexpr(|child| self.expression[child].clone()),
        )?;
        let class = self.graphs.find(class);
        self.proof.names.get(&class).cloned()
    }

    fn node(&self, id: Id, tightness: u8) -> String {
        let within =
            |own: u8, text: String| if own < tightness { format!("({text})") } else { text };
        let call = |name: &str, parts: &[Id]| {
            if parts.is_empty() {
                return name.to_string();
            }
            let parts: Vec<String> = parts.iter().map(|&part| self.part(part, 0)).collect();
            format!("{name}({})", parts.join(", "))
        };
        match &self.expression[id] {
            Math::Number(number) => format!("{}", number.value()),
            Math::Axes(axes) => self.proof.graph.axes.names(axes.0.iter()),
            Math::Add([x, y]) => {
                let first = self.part(*x, 1);
                within(
                    1,
                    match &self.expression[*y] {
                        Math::Neg([z]) if self.name(*y).is_none() => {
                            format!("{first} - {}", self.part(*z, 2))
                        }
                        _ => format!("{first} + {}", self.part(*y, 1)),
                    },
                )
            }
            Math::Mul([x, y]) => {
                let first = self.part(*x, 2);
                within(
                    2,
                    match &self.expression[*y] {
                        Math::Recip([z]) if self.name(*y).is_none() => {
                            format!("{first} / {}", self.part(*z, 3))
                        }
                        _ => format!("{first} * {}", self.part(*y, 2)),
                    },
                )
            }
            Math::Neg([x]) => format!("-{}", self.part(*x, 3)),
            Math::Recip([x]) => within(2, format!("1 / {}", self.part(*x, 3))),
            Math::Equal([x, y]) => {
                within(0, format!("{} == {}", self.part(*x, 1), self.part(*y, 1)))
            }
            Math::Sum([j, x]) => format!("sum[{}]({})", self.node(*j, 0), self.part(*x, 0)),
            Math::MaxOf([j, x]) => format!("max[{}]({})", self.node(*j, 0), self.part(*x, 0)),
            Math::MinOf([j, x]) => format!("min[{}]({})", self.node(*j, 0), self.part(*x, 0)),
            Math::AfterSum([j, x]) => {
                format!("after(sum[{}]({}))", self.node(*j, 0), self.part(*x, 0))
            }
            Math::AfterMax([j, x]) => {
                format!("after(max[{}]({}))", self.node(*j, 0), self.part(*x, 0))
            }
            Math::BeforeSum([j, x]) => {
                format!("before(sum[{}]({}))", self.node(*j, 0), self.part(*x, 0))
            }
            Math::BeforeMax([j, x]) => {
                format!("before(max[{}]({}))", self.node(*j, 0), self.part(*x, 0))
            }
            Math::Roll([j, term, scale, shift]) => self.roll(*j, *term, *scale, *shift),
            Math::Ones([j, _]) => format!("ones[{}]", self.node(*j, 0)),
            Math::Other(name, parts) => call(&self.operation(*name), parts),
            other => call(&other.to_string(), other.children()),
        }
    }

    fn roll(&self, j: Id, term: Id, scale: Id, shift: Id) -> String {
        let is = |id: Id, value: f64| matches!(&self.expression[id], Math::Number(number) if number.value() == value);
        let mut update = "held".to_string();
        if !is(scale, 1.0) {
            update.push_str(&format!(" * {}", self.part(scale, 2)));
        }
        if !is(shift, 0.0) {
            update.push_str(&format!(" + {}", self.part(shift, 1)));
        }
        format!("roll[{}]({}) from ({update})", self.node(j, 0), self.part(term, 0))
    }

    /// The name of an opaque operation.
    fn operation(&self, name: Symbol) -> String {
        use crate::graph::Op;
        match self.graphs.analysis.opaque[&name].op {
            Op::Input(position) => self.proof.graph.inputs[position].name.clone(),
            Op::Unary(op, _) => op.name().to_string(),
            Op::Binary(op, ..) => op.name().to_string(),
            Op::Compare(op, ..) => op.name().to_string(),
            Op::Index(axis) => self.proof.graph.axes.name(axis).to_string(),
            Op::Len(axis) => format!("len_{}", self.proof.graph.axes.name(axis)),
            Op::Cast(_) => self.graphs.analysis.opaque[&name].dtype.to_string(),
            _ => "op".to_string(),
        }
    }
}
