//! From a bound tensor graph to passes.
//!
//! `draft` decides the passes, this module decides which of their values are stored and writes them as expressions:
//! element-wise nodes are inlined into their readers, with a `let` for what a pass uses twice. Operations that a plan
//! does not have are rewritten before (`graph::legalise`).
//! Invariant: an intermediate exists only if a later pass reads it.

mod draft;
mod facts;
mod tree;

use super::{Let, Pass, PassProgram, PassResult, State, Value, ValueKind};
use crate::base::{AxisId, BufferId, Expr, LocalId, Namer, ReduceOp};
use crate::graph::{Graph, NodeId, Op, legalise};
use draft::Draft;
use facts::Facts;
use std::collections::BTreeMap;
use tree::Trees;

/// Plans a bound graph.
pub fn build(graph: &Graph) -> PassProgram {
    let graph = &legalise(graph);
    let facts = Facts::new(graph);
    let mut drafts = draft::drafts(graph, &facts);
    keep_wanted(graph, &mut drafts);
    Writer::new(graph).write(&drafts)
}

/// Drops stored nodes that no later pass reads, and passes that then store nothing.
fn keep_wanted(graph: &Graph, drafts: &mut Vec<Draft>) {
    let mut stored_at: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (position, draft) in drafts.iter().enumerate() {
        for &node in &draft.stored {
            stored_at.entry(node).or_insert(position);
        }
    }
    let mut wanted = vec![false; graph.nodes.len()];
    let mut seen = vec![usize::MAX; graph.nodes.len()];
    for position in (0..drafts.len()).rev() {
        let draft = &mut drafts[position];
        draft.stored.retain(|node| wanted[node.index()] && stored_at[node] == position);
        let outputs = draft.outputs.iter().map(|&output| graph.outputs[output].node);
        let bodies = draft.states.iter().flat_map(|&state| graph.node(state).op.operands());
        let mut stack: Vec<NodeId> =
            draft.stored.iter().copied().chain(outputs).chain(bodies).collect();
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut seen[node.index()], position) == position {
                continue;
            }
            if stored_at.get(&node).is_some_and(|&at| at < position) {
                wanted[node.index()] = true;
            } else if !draft.states.contains(&node) {
                stack.extend(graph.node(node).op.operands());
            }
        }
    }
    drafts.retain(|draft| !draft.stored.is_empty() || !draft.outputs.is_empty());
}

/// Writes drafts as passes, in order.
struct Writer<'a> {
    graph: &'a Graph,
    trees: Trees<'a>,
    program: PassProgram,
    /// Where the value of a node can be loaded from.
    buffers: BTreeMap<NodeId, BufferId>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut namer = Namer::new(&graph.axes);
        let inputs = graph.inputs.iter().map(|tensor| (tensor, ValueKind::Input));
        let outputs = graph.outputs.iter().map(|output| (&output.tensor, ValueKind::Output));
        let values = inputs.chain(outputs).map(|(tensor, kind)| {
            namer.reserve(&tensor.name);
            let (name, axes) = (tensor.name.clone(), tensor.axes.clone());
            let strides = tensor.strides_if_strided(&graph.axes);
            Value { name, kind, dtype: tensor.dtype, axes, strides }
        });
        let values = values.collect();
        let buffers = graph.ids().filter_map(|node| match graph.node(node).op {
            Op::Input(position) => Some((node, buffer_id(position))),
            _ => None,
        });
        Self {
            graph,
            buffers: buffers.collect(),
            trees: Trees::new(graph, namer),
            program: PassProgram {
                name: graph.name.clone(),
                axes: graph.axes.clone(),
                values,
                locals: vec![],
                passes: vec![],
            },
        }
    }

    fn write(mut self, drafts: &[Draft]) -> PassProgram {
        for draft in drafts {
            self.pass(draft);
        }
        self.program.locals = self.trees.locals;
        self.program
    }

    fn pass(&mut self, draft: &Draft) {
        let targets = self.targets(draft);
        let (body_lets, states) = self.states(draft);
        let (result_lets, results) = self.results(draft, &targets, &states);
        let name = self.program.values[targets[0].1.index()].name.clone();
        self.program.passes.push(Pass {
            name,
            axes: draft.axes.clone(),
            stream: draft.stream.iter().collect(),
            scan: draft.scan,
            body_lets,
            states,
            result_lets,
            results,
            optional: draft.optional,
        });
        let values = &self.program.values;
        let readable =
            |target: &(NodeId, BufferId)| values[target.1.index()].kind == ValueKind::Intermediate;
        self.buffers.extend(targets.into_iter().filter(readable));
    }

    /// The nodes a pass stores and where: outputs first, then new intermediates.
    fn targets(&mut self, draft: &Draft) -> Vec<(NodeId, BufferId)> {
        let inputs = self.graph.inputs.len();
        let output =
            |&position: &usize| (self.graph.outputs[position].node, buffer_id(inputs + position));
        let mut targets: Vec<_> = draft.outputs.iter().map(output).collect();
        for &node in &draft.stored {
            let name = self.value_name(draft, node);
            let axes: Vec<AxisId> = draft.axes.clone();
            let dtype = self.graph.node(node).dtype;
            targets.push((node, buffer_id(self.program.values.len())));
            let kind = ValueKind::Intermediate;
            self.program.values.push(Value { name, kind, dtype, axes, strides: None });
        }
        targets
    }

    /// The text's name for the value or for the reduction in it, else the reduction's and a number.
    fn value_name(&mut self, draft: &Draft, node: NodeId) -> String {
        let state = draft.states.iter().find(|&&state| state <= node).copied();
        let named = [Some(node), state].into_iter().flatten();
        let mut named = named.filter_map(|node| self.graph.names[node.index()].as_ref());
        if let Some(name) = named.next() {
            return self.trees.namer.fresh(name);
        }
        let base = match state.map(|state| self.graph.node(state).op) {
            Some(Op::Reduce(op, ..)) => op.name(),
            Some(Op::Scan(op, ..)) => op.scan_name().unwrap_or("scan"),
            _ => "map",
        };
        self.trees.namer.numbered(base)
    }

    fn states(&mut self, draft: &Draft) -> (Vec<Let>, Vec<State>) {
        let reductions: Vec<(ReduceOp, NodeId)> = draft
            .states
            .iter()
            .map(|&state| match self.graph.node(state).op {
                Op::Reduce(op, _, operand) | Op::Scan(op, _, operand) => (op, operand),
                _ => unreachable!("the states of a draft are reductions and scans"),
            })
            .collect();
        let roots: Vec<NodeId> = reductions.iter().map(|reduction| reduction.1).collect();
        let buffers = &self.buffers;
        let (lets, bodies) =
            self.trees.build(&roots, |node| buffers.get(&node).map(|&b| Expr::Load(b)));
        let state = |((&node, (op, operand)), body): ((&NodeId, &(ReduceOp, NodeId)), Expr)| {
            let dtype = self.graph.node(node).dtype;
            let keeps = self.graph.node(*operand).dtype == dtype;
            let body = if keeps { body } else { Expr::cast(dtype, body) };
            State { local: self.trees.local(node, op.name()), op: *op, body }
        };
        let states = draft.states.iter().zip(&reductions).zip(bodies).map(state).collect();
        (lets, states)
    }

    fn results(
        &mut self,
        draft: &Draft,
        targets: &[(NodeId, BufferId)],
        states: &[State],
    ) -> (Vec<Let>, Vec<PassResult>) {
        let own: BTreeMap<NodeId, LocalId> =
            draft.states.iter().copied().zip(states.iter().map(|state| state.local)).collect();
        let roots: Vec<NodeId> = targets.iter().map(|target| target.0).collect();
        let buffers = &self.buffers;
        let leaf = |node: NodeId| match own.get(&node) {
            Some(&local) => Some(Expr::Local(local)),
            None => buffers.get(&node).map(|&buffer| Expr::Load(buffer)),
        };
        let (lets, values) = self.trees.build(&roots, leaf);
        let result = |(&(node, buffer), value): (&(NodeId, BufferId), Expr)| {
            let dtype = self.program.values[buffer.index()].dtype;
            let same = self.graph.node(node).dtype == dtype;
            PassResult { buffer, value: if same { value } else { Expr::cast(dtype, value) } }
        };
        (lets, targets.iter().zip(values).map(result).collect())
    }
}

fn buffer_id(position: usize) -> BufferId {
    BufferId(u32::try_from(position).expect("a program has fewer than 2^32 buffers"))
}
