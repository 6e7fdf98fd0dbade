//! The text of a tensor graph: the kernel language with every function inlined and every shared value named.
//!
//! Values keep their names; a shared one without a name is `v1`, `v2`, .. A number, an index or a `len` whose type does
//! not follow from the other operand is written with its type, so that no operand is left to be weak.
//! Invariant: for a graph without rolls that the checker or a rewrite of its graphs made, `check(print(g))` gives an
//! equal graph; the language has no rolls.
//! Extents are not part of the text.

use super::{Graph, NodeId, Op, Picks, Tensor};
use crate::base::{
    AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, StableHash, UnaryOp, hash_text,
};
use crate::check::types;
use crate::rewrite::RuleClass;
use crate::syntax::ast::Infix;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Above any infix operator: prefix operators, then `: type`, then what needs no parentheses anywhere.
const PREFIX: u8 = 6;
const POSTFIX: u8 = 7;
const PRIMARY: u8 = 8;
/// An expression that nests deeper than this is cut by a name.
const DEPTH_MAX: u32 = 24;

impl Graph {
    /// The canonical text: a kernel without functions.
    pub fn print(&self) -> String {
        Printer::new(self).kernel()
    }

    /// The hash of the canonical text. Bound and unbound graphs have the same.
    pub fn hash(&self) -> StableHash {
        hash_text("graph", &self.print())
    }
}

/// Text with how tightly its outermost operator binds.
struct Text {
    text: String,
    tightness: u8,
}

struct Printer<'g> {
    graph: &'g Graph,
    /// The names of the nodes that have a line of their own.
    lines: Vec<Option<String>>,
}

fn primary(text: impl Into<String>) -> Text {
    Text { text: text.into(), tightness: PRIMARY }
}

impl Text {
    fn within(self, tightness: u8) -> String {
        if self.tightness < tightness { format!("({})", self.text) } else { self.text }
    }

    fn typed(self, dtype: DType) -> Self {
        Self { text: format!("{} : {dtype}", self.within(POSTFIX)), tightness: POSTFIX }
    }
}

fn is_leaf(op: Op) -> bool {
    matches!(op, Op::Input(_) | Op::Literal(_) | Op::Index(_) | Op::Len(_) | Op::Held)
}

/// Which nodes are named: by the text, because they are shared or subscripted, or because they nest too deep.
fn named_lines(graph: &Graph) -> Vec<Option<String>> {
    let mut uses = vec![0_u32; graph.nodes.len()];
    for output in &graph.outputs {
        uses[output.node.index()] += 1;
    }
    for node in &graph.nodes {
        node.op.operands().for_each(|operand| uses[operand.index()] += 1);
    }
    let tensors = graph.inputs.iter().chain(graph.outputs.iter().map(|output| &output.tensor));
    let mut taken: BTreeSet<&str> = tensors.map(|tensor| tensor.name.as_str()).collect();
    taken.extend(graph.names.iter().flatten().map(String::as_str));
    taken.extend(graph.axes.ids().map(|axis| graph.axes.name(axis)));
    taken.extend(graph.splits.iter().map(|split| split.name.as_str()));
    let mut fresh =
        (1..).map(|number| format!("v{number}")).filter(|name| !taken.contains(&**name));
    let mut subscripted = vec![false; graph.nodes.len()];
    for node in &graph.nodes {
        if let Op::Gather(x, _) = node.op {
            subscripted[x.index()] = true;
        }
    }
    let mut depth = vec![0_u32; graph.nodes.len()];
    let mut lines = vec![None; graph.nodes.len()];
    for id in graph.ids() {
        let (op, index) = (graph.node(id).op, id.index());
        depth[index] = 1 + op.operands().map(|operand| depth[operand.index()]).max().unwrap_or(0);
        if is_leaf(op) {
            continue;
        }
        lines[index] = graph.names[index].clone();
        let wanted = uses[index] > 1 || subscripted[index] || depth[index] > DEPTH_MAX;
        if lines[index].is_none() && wanted {
            lines[index] = fresh.next();
        }
        if lines[index].is_some() {
            depth[index] = 0;
        }
    }
    lines
}

impl<'g> Printer<'g> {
    fn new(graph: &'g Graph) -> Self {
        Self { graph, lines: named_lines(graph) }
    }

    fn kernel(&self) -> String {
        let graph = self.graph;
        let list = |tensors: Vec<String>| tensors.join(", ");
        let inputs = list(graph.inputs.iter().map(|tensor| self.tensor(tensor)).collect());
        let outputs = graph.outputs.iter().map(|output| self.tensor(&output.tensor));
        let outputs = parenthesised(&outputs.collect::<Vec<_>>());
        let attribute = match graph.permits {
            RuleClass::Exact => "@exact\n",
            RuleClass::Reassociating => "@reassoc\n",
            RuleClass::Range | RuleClass::Approximate => "",
        };
        let (name, conditions) = (&graph.name, self.conditions());
        let split = match graph.split.is_empty() {
            true => String::new(),
            false => format!("@split({})\n", graph.axes.names(graph.split.iter())),
        };
        let mut out =
            format!("{attribute}{split}kernel {name}({inputs}) -> {outputs}{conditions} {{\n");
        for id in graph.ids() {
            if let Some(name) = &self.lines[id.index()] {
                let weak = self.is_weak_operation(id);
                let mut value = self.operation(id);
                if weak {
                    value = value.typed(graph.node(id).dtype);
                }
                let _ = writeln!(out, "  {name} = {}", value.text);
            }
        }
        let results = graph.outputs.iter().map(|output| self.strong(output.node).text);
        let _ = writeln!(out, "  {}\n}}", parenthesised(&results.collect::<Vec<_>>()));
        out
    }

    fn tensor(&self, tensor: &Tensor) -> String {
        let axes: Vec<_> = tensor.dimensions().map(|axes| self.graph.name_of(axes)).collect();
        let axes = if axes.is_empty() { String::new() } else { format!("[{}]", axes.join(",")) };
        let strides = tensor.strides.iter().map(|strides| {
            let strides: Vec<_> =
                strides.iter().map(|stride| stride.show(&self.graph.axes)).collect();
            format!(" strides({})", strides.join(", "))
        });
        format!("{}: {}{axes}{}", tensor.name, tensor.dtype, strides.collect::<String>())
    }

    /// ` where k = kg*128 + ki, w == 3, ..`: splits and axes of a stated extent; nothing without any.
    fn conditions(&self) -> String {
        let splits = self.graph.splits.iter().map(|split| {
            let mut terms = vec![];
            let (mut number, mut lens) = (1_u64, vec![]);
            for part in split.parts.iter().rev() {
                let mut factors = vec![part.clone()];
                factors.extend((number > 1).then(|| number.to_string()));
                factors.extend(lens.iter().map(|name| format!("len({name})")));
                terms.push(factors.join("*"));
                match self.graph.fixed_extent(part) {
                    Some(extent) => number = number.saturating_mul(extent),
                    None => lens.push(part.as_str()),
                }
            }
            terms.reverse();
            format!("{} = {}", split.name, terms.join(" + "))
        });
        let in_split = |axis| self.graph.splits.iter().any(|split| split.axes.contains(&axis));
        let axes = &self.graph.axes;
        let fixed = axes.ids().filter(|&axis| axes.is_fixed(axis) && !in_split(axis));
        let fixed = fixed.map(|axis| format!("{} == {}", axes.name(axis), axes.extent(axis)));
        let all: Vec<_> = splits.chain(fixed).collect();
        if all.is_empty() { String::new() } else { format!(" where {}", all.join(", ")) }
    }

    fn axes(&self, axes: AxisSet) -> String {
        let names: Vec<_> = axes.iter().map(|axis| self.graph.axes.name(axis)).collect();
        names.join(",")
    }

    /// Whether the text of a node, as an operand, would be weak.
    fn is_weak(&self, id: NodeId) -> bool {
        match self.graph.node(id).op {
            Op::Literal(_) => self.graph.node(id).dtype != DType::Bool,
            Op::Index(_) | Op::Len(_) => true,
            _ => self.lines[id.index()].is_none() && self.is_weak_operation(id),
        }
    }

    /// Whether an operation of whole numbers may be left weak: it will be computed in `i32` all the same.
    fn is_weak_operation(&self, id: NodeId) -> bool {
        let is_number = |id: NodeId| matches!(self.graph.node(id).op, Op::Literal(_));
        let Op::Binary(op, x, y) = self.graph.node(id).op else { return false };
        let whole = matches!(
            op,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max
        );
        whole
            && self.graph.node(id).dtype == DType::I32
            && self.is_weak(x)
            && self.is_weak(y)
            && !(is_number(x) && is_number(y))
    }

    /// A node as an operand whose type follows from elsewhere.
    fn operand(&self, id: NodeId) -> Text {
        match &self.lines[id.index()] {
            Some(name) => primary(name.as_str()),
            None => self.operation(id),
        }
    }

    /// A node as an operand whose type must follow from its text.
    fn strong(&self, id: NodeId) -> Text {
        let text = self.operand(id);
        if self.is_weak(id) { text.typed(self.graph.node(id).dtype) } else { text }
    }

    /// Two operands of one type: at least one of the texts must say which.
    fn pair(&self, x: NodeId, y: NodeId, both_may_be_weak: bool) -> (Text, Text) {
        if self.is_weak(x) && self.is_weak(y) && !both_may_be_weak {
            (self.strong(x), self.operand(y))
        } else {
            (self.operand(x), self.operand(y))
        }
    }

    fn operation(&self, id: NodeId) -> Text {
        let node = self.graph.node(id);
        match node.op {
            Op::Input(input) => primary(self.graph.inputs[input].name.as_str()),
            Op::Literal(value) => number(value, node.dtype),
            Op::Index(axis) => primary(self.graph.axes.name(axis)),
            Op::Len(axis) => primary(format!("len({})", self.graph.axes.name(axis))),
            Op::Unary(op, x) => self.unary(op, x),
            Op::Binary(op, x, y) if op.is_infix() => {
                let (x, y) = self.pair(x, y, self.is_weak_operation(id));
                infix(Infix::Binary(op), x, y)
            }
            Op::Binary(op, x, y) => {
                let (x, y) = self.pair(x, y, self.is_weak_operation(id));
                primary(format!("{op}({}, {})", x.text, y.text))
            }
            Op::Compare(op, x, y) => self.compare(op, x, y),
            Op::Select(c, x, y) => {
                let (x, y) = self.pair(x, y, false);
                primary(format!("where({}, {}, {})", self.strong(c).text, x.text, y.text))
            }
            Op::Cast(x) => self.cast(x, node.dtype),
            Op::Gather(x, picks) => self.gather(x, picks),
            Op::Wrap(x) => primary(format!("wrap({})", self.strong(x).text)).typed(node.dtype),
            Op::Reduce(op, axes, x) => self.fold(op, op.name(), axes, x),
            Op::Scan(op, axis, x) => {
                let name = op.scan_name().expect("a verified graph scans what has a scan");
                self.fold(op, name, AxisSet::one(axis), x)
            }
            Op::Roll(op, axes, term, update) => self.roll(op, axes, term, update),
            Op::Before(x) => primary(format!("before({})", self.strong(x).text)),
            Op::After(x) => primary(format!("after({})", self.strong(x).text)),
            Op::Held => primary("held"),
        }
    }

    /// A reduction or a scan, with its accumulator where that is not the usual one.
    fn fold(&self, op: ReduceOp, name: &str, axes: AxisSet, x: NodeId) -> Text {
        let call = format!("{name}[{}]({})", self.axes(axes), self.strong(x).text);
        let operand = self.graph.node(x).dtype;
        if types::accumulator(op, operand) == operand {
            primary(call)
        } else {
            primary(call).typed(operand)
        }
    }

    /// `roll[j](term) from update`, with the reduction's name where it is no sum. The kernel language has no rolls, so
    /// this is for readers only.
    fn roll(&self, op: ReduceOp, axes: AxisSet, term: NodeId, update: NodeId) -> Text {
        let name = if op == ReduceOp::Sum { String::new() } else { format!("_{op}") };
        let (term, update) = (self.strong(term).text, self.strong(update).within(PRIMARY));
        let text = format!("roll{name}[{}]({term}) from {update}", self.axes(axes));
        Text { text, tightness: 0 }
    }

    fn unary(&self, op: UnaryOp, x: NodeId) -> Text {
        let operand = self.strong(x);
        let sign = match op {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "!",
            _ => return primary(format!("{op}({})", operand.text)),
        };
        Text { text: format!("{sign}{}", operand.within(PREFIX)), tightness: PREFIX }
    }

    fn compare(&self, op: CompareOp, x: NodeId, y: NodeId) -> Text {
        let whole = self.graph.node(x).dtype == DType::I32;
        let (x, y) = self.pair(x, y, whole);
        infix(Infix::Compare(op), x, y)
    }

    /// `X[i, idx]`: one subscript for each axis, in the order of the checker.
    fn gather(&self, x: NodeId, picks: Picks) -> Text {
        let subscript = |axis: AxisId| match picks.of(axis) {
            Some(index) => self.operand(index).text,
            None => self.graph.axes.name(axis).to_string(),
        };
        let subscripts: Vec<_> = self.graph.dimensions(x).into_iter().map(subscript).collect();
        let separator = if subscripts.iter().any(|text| text.contains(' ')) { ", " } else { "," };
        primary(format!("{}[{}]", self.operand(x).text, subscripts.join(separator)))
    }

    /// A type right after a reduction would be its accumulator, right after a number the number's own.
    fn cast(&self, x: NodeId, dtype: DType) -> Text {
        let inline = self.lines[x.index()].is_none();
        match self.graph.node(x).op {
            Op::Literal(_) => self.strong(x).typed(dtype),
            Op::Reduce(..) | Op::Scan(..) if inline => {
                let call = self.operand(x);
                let tightness = call.tightness.min(POSTFIX - u8::from(call.tightness == PRIMARY));
                Text { text: call.text, tightness }.typed(dtype)
            }
            _ => self.operand(x).typed(dtype),
        }
    }
}

fn parenthesised(parts: &[String]) -> String {
    match parts {
        [only] => only.clone(),
        _ => format!("({})", parts.join(", ")),
    }
}

fn infix(op: Infix, x: Text, y: Text) -> Text {
    let tightness = op.precedence();
    // Comparisons do not chain, so neither side may be one.
    let left = if matches!(op, Infix::Compare(_)) { tightness + 1 } else { tightness };
    let text = format!("{} {} {}", x.within(left), op.symbol(), y.within(tightness + 1));
    Text { text, tightness }
}

/// The shortest digits that give the number back in its type.
fn number(value: f64, dtype: DType) -> Text {
    if dtype == DType::Bool {
        return primary(if value == 0.0 { "false" } else { "true" });
    }
    let magnitude = value.abs();
    let digits = if value.is_nan() {
        "nan".to_string()
    } else if value.is_infinite() {
        "inf".to_string()
    } else if dtype == DType::F32 {
        shorter(format!("{}", magnitude as f32), format!("{:e}", magnitude as f32))
    } else {
        shorter(format!("{magnitude}"), format!("{magnitude:e}"))
    };
    match value.is_sign_negative() && !value.is_nan() {
        // A minus binds like a prefix operator; the checker folds it into the number.
        true => Text { text: format!("-{digits}"), tightness: PREFIX },
        false => primary(digits),
    }
}

fn shorter(plain: String, scientific: String) -> String {
    if scientific.len() < plain.len() { scientific } else { plain }
}
