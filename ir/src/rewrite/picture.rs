//! The e-graph as data for a picture: classes, the nodes of each, and which of them a form takes.
//!
//! Axes and numbers are part of the label of the node that uses them, so that the picture shows operations on values.
//! Invariant: every class that the chosen form uses is there and has exactly one chosen node; classes are numbered in
//! the order in which a walk from the outputs meets them, so that equal e-graphs give equal pictures.

use super::analysis::Graphs;
use super::export::Choice;
use super::language::Math;
use super::{Limits, Rewriter};
use crate::graph::{Graph, Op};
use crate::target::Target;
use egg::{Id, Language as _, Symbol};
use std::collections::{BTreeMap, VecDeque};

/// An e-graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EGraphPicture {
    /// The classes that the outputs reach.
    pub classes: Vec<ClassPicture>,
    /// The rules that the growth used, with how many equalities each found.
    pub used: BTreeMap<&'static str, usize>,
}

/// A class: values that are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPicture {
    /// The text's name for the value.
    pub name: Option<String>,
    /// The outputs that have this value.
    pub outputs: Vec<String>,
    /// The axes it varies over.
    pub axes: Vec<String>,
    /// The ways to compute it.
    pub nodes: Vec<NodePicture>,
}

/// One way to compute a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePicture {
    /// The operation, with its axes and numbers.
    pub label: String,
    /// The classes of the operands.
    pub operands: Vec<usize>,
    /// Whether the text has it.
    pub is_written: bool,
    /// Whether the chosen form has it.
    pub is_chosen: bool,
}

/// How many forms are looked through for the one to mark.
const FORMS_MAX: usize = 16;

/// The e-graph of a bound kernel, with one of its forms marked: that of this graph.
pub fn picture(written: &Graph, target: &Target, form: &Graph) -> EGraphPicture {
    let rewriter = Rewriter::new(written, Limits::default());
    let text = form.print();
    let forms = match text == written.print() {
        true => vec![],
        false => rewriter.forms(written, target, FORMS_MAX),
    };
    let chosen = forms.into_iter().find(|other| other.graph.print() == text);
    let choice = chosen.map_or_else(|| rewriter.written.clone(), |form| form.choice);
    let drawing = Drawing { rewriter: &rewriter, graph: written, choice: &choice };
    EGraphPicture { classes: drawing.classes(), used: rewriter.growth.used.clone() }
}

struct Drawing<'d> {
    rewriter: &'d Rewriter,
    graph: &'d Graph,
    choice: &'d Choice,
}

impl Drawing<'_> {
    fn graphs(&self) -> &Graphs {
        &self.rewriter.graphs
    }

    fn classes(&self) -> Vec<ClassPicture> {
        let order = self.order();
        let place: BTreeMap<Id, usize> =
            order.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        let used = self.used();
        order.iter().map(|&id| self.class(id, &place, used.contains(&id))).collect()
    }

    /// Every class that the outputs reach, breadth first; those that are only numbers or axes are left out.
    fn order(&self) -> Vec<Id> {
        let roots = self.rewriter.roots.iter().map(|&root| self.graphs().find(root));
        let mut queue: VecDeque<Id> = roots.collect();
        let mut order = vec![];
        while let Some(id) = queue.pop_front() {
            if order.contains(&id) {
                continue;
            }
            order.push(id);
            for node in &self.graphs()[id].nodes {
                queue.extend(self.shown(node));
            }
        }
        order
    }

    /// The operands that are values of their own in the picture.
    fn shown(&self, node: &Math) -> Vec<Id> {
        let operands = node.children().iter().map(|&child| self.graphs().find(child));
        operands.filter(|&id| self.inline(id).is_none()).collect()
    }

    /// The classes that the chosen form uses.
    fn used(&self) -> Vec<Id> {
        let roots = self.rewriter.roots.iter().map(|&root| self.graphs().find(root));
        let mut stack: Vec<Id> = roots.collect();
        let mut used = vec![];
        while let Some(id) = stack.pop() {
            if used.contains(&id) {
                continue;
            }
            used.push(id);
            if let Some(node) = self.choice.get(&id) {
                stack.extend(self.shown(node));
            }
        }
        used
    }

    fn class(&self, id: Id, place: &BTreeMap<Id, usize>, is_used: bool) -> ClassPicture {
        let class = &self.graphs()[id];
        let chosen = self.choice.get(&id).filter(|_| is_used);
        let canonical = |node: &Math| node.clone().map_children(|child| self.graphs().find(child));
        let chosen = chosen.map(canonical);
        let written = self.rewriter.written.get(&id).map(canonical);
        let mut nodes: Vec<NodePicture> = vec![];
        let mut kept: Vec<Math> = vec![];
        for node in class.nodes.iter().map(canonical) {
            if kept.contains(&node) {
                continue;
            }
            nodes.push(NodePicture {
                label: self.label(&node),
                operands: self.shown(&node).iter().map(|operand| place[operand]).collect(),
                is_written: written.as_ref() == Some(&node),
                is_chosen: chosen.as_ref() == Some(&node),
            });
            kept.push(node);
        }
        nodes.sort_by_key(|node| (!node.is_chosen, !node.is_written));
        let output = |(root, output): (&Id, &crate::graph::Output)| {
            (self.graphs().find(*root) == id).then(|| output.tensor.name.clone())
        };
        let outputs = self.rewriter.roots.iter().zip(&self.graph.outputs).filter_map(output);
        let axes = class.data.axes.iter().map(|axis| self.graph.axes.name(axis).to_string());
        ClassPicture {
            name: self.rewriter.names.get(&id).cloned(),
            outputs: outputs.collect(),
            axes: axes.collect(),
            nodes,
        }
    }

    /// The text of a class that is shown within the nodes that use it: axes and numbers.
    fn inline(&self, id: Id) -> Option<String> {
        self.graphs()[id].nodes.iter().find_map(|node| match node {
            Math::Axes(axes) => Some(self.graph.axes.names(axes.0.iter())),
            Math::Number(number) => Some(number.value().to_string()),
            _ => None,
        })
    }

    fn label(&self, node: &Math) -> String {
        let name = match node {
            Math::Other(name, _) => self.operation(*name),
            Math::MaxOf(_) => "max".to_string(),
            Math::MinOf(_) => "min".to_string(),
            other => other.to_string(),
        };
        let inlines: Vec<(bool, String)> = node
            .children()
            .iter()
            .filter_map(|&child| {
                let id = self.graphs().find(child);
                let is_axes = self.graphs()[id].data.named.is_some();
                Some((is_axes, self.inline(id)?))
            })
            .collect();
        let axes: String =
            inlines.iter().filter(|inline| inline.0).map(|(_, text)| format!("[{text}]")).collect();
        // A roll's numbers are the scale 1 and the shift 0 of one that needs none.
        let is_roll = matches!(node, Math::Roll(_));
        let numbers: Vec<&str> =
            inlines.iter().filter(|inline| !inline.0).map(|(_, text)| text.as_str()).collect();
        let numbers = if numbers.is_empty() || is_roll {
            String::new()
        } else {
            format!(" {}", numbers.join(", "))
        };
        format!("{name}{axes}{numbers}")
    }

    /// The name of an operation that the rules leave alone.
    fn operation(&self, name: Symbol) -> String {
        let opaque = &self.graphs().analysis.opaque[&name];
        let axes = |axes: crate::base::AxisSet| self.graph.axes.names(axes.iter());
        match opaque.op {
            Op::Input(position) => self.graph.inputs[position].name.clone(),
            Op::Unary(op, _) => op.name().to_string(),
            Op::Binary(op, ..) => op.name().to_string(),
            Op::Compare(op, ..) => op.name().to_string(),
            Op::Index(axis) => self.graph.axes.name(axis).to_string(),
            Op::Len(axis) => format!("len({})", self.graph.axes.name(axis)),
            Op::Literal(value) => value.to_string(),
            Op::Cast(_) => format!("to {}", opaque.dtype),
            Op::Wrap(_) => format!("wrap to {}", opaque.dtype),
            Op::Select(..) => "where".to_string(),
            Op::Gather(..) => "gather".to_string(),
            Op::Reduce(op, of, _) => format!("{}[{}]", op.name(), axes(of)),
            Op::Scan(op, axis, _) => {
                format!("running {}[{}]", op.name(), self.graph.axes.name(axis))
            }
            Op::Roll(..) | Op::Before(_) | Op::After(_) | Op::Held => "roll".to_string(),
        }
    }
}
