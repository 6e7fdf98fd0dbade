//! From a bound tensor graph to passes.
//!
//! `draft` decides the passes, this module decides which of their values are stored and writes them as expressions:
//! element-wise nodes are inlined into their readers, with a `let` for what a pass uses twice. Operations that a plan
//! does not have are rewritten before (`graph::legalise`).
//! Invariant: an intermediate exists only if a later pass reads it.

mod draft;
mod facts;
mod tree;
mod within;

use super::{Let, Pass, PassProgram, PassResult, Running, State, Value, ValueKind};
use crate::base::{AxisId, AxisSet, BufferId, Expr, LocalId, Namer, ReduceOp};
use crate::graph::{Graph, NodeId, Op, legalise};
use crate::rewrite::RuleClass;
use draft::{Draft, Homes};
use facts::Facts;
use std::collections::{BTreeMap, BTreeSet};
use tree::Trees;

/// Plans a bound graph.
pub fn build(graph: &Graph) -> PassProgram {
    let graph = &legalise(graph);
    let facts = Facts::new(graph);
    let mut drafts = draft::drafts(graph, &facts);
    keep_wanted(graph, &facts, &mut drafts);
    Writer::new(graph).write(&facts, &drafts)
}

/// Drops stored nodes that no later pass reads, and passes that then store nothing.
fn keep_wanted(graph: &Graph, facts: &Facts, drafts: &mut Vec<Draft>) {
    let homes = Homes::of(drafts);
    let mut wanted: BTreeSet<(usize, NodeId)> = BTreeSet::new();
    let mut seen = vec![usize::MAX; graph.nodes.len()];
    for position in (0..drafts.len()).rev() {
        let draft = &mut drafts[position];
        let group = draft.group;
        draft.stored.retain(|node| wanted.contains(&(position, *node)));
        let outputs = draft.outputs.iter().map(|&output| graph.outputs[output].node);
        let bodies = draft.states.iter().flat_map(|&state| graph.node(state).op.operands());
        let mut stack: Vec<NodeId> =
            draft.stored.iter().copied().chain(outputs).chain(bodies).collect();
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut seen[node.index()], position) == position {
                continue;
            }
            if let Some(at) = homes.find(node, group).filter(|&at| at < position) {
                wanted.insert((at, node));
            } else if !draft.states.contains(&node) && !is_running(graph.node(node).op) {
                stack.extend(graph.node(node).op.operands());
            }
        }
    }
    let stores = |draft: &Draft| !draft.stored.is_empty() || !draft.outputs.is_empty();
    drafts.retain(|draft| stores(draft) || draft.is_streaming(facts));
}

fn is_running(op: Op) -> bool {
    matches!(op, Op::Before(_) | Op::After(_))
}

/// Writes drafts as passes, in order.
struct Writer<'a> {
    graph: &'a Graph,
    trees: Trees<'a>,
    program: PassProgram,
    /// Where the value of a node can be loaded from.
    buffers: BTreeMap<NodeId, BufferId>,
    /// The locals that hold a reduction of a group before and after a block.
    running: BTreeMap<NodeId, (LocalId, LocalId)>,
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
            running: BTreeMap::new(),
            trees: Trees::new(graph, namer),
            program: PassProgram {
                name: graph.name.clone(),
                exact: graph.permits == RuleClass::Exact,
                axes: graph.axes.clone(),
                chunks: vec![],
                values,
                locals: vec![],
                groups: vec![],
                passes: vec![],
            },
        }
    }

    fn write(mut self, facts: &Facts, drafts: &[Draft]) -> PassProgram {
        let mut group = None;
        for draft in drafts {
            if draft.group.is_some() && draft.group != group {
                let first = draft.group.map(|group| facts.rolls.groups[group][0]);
                let stream = first.map(|first| self.graph.node(first).op);
                if let Some(Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..)) = stream {
                    self.program.groups.push(axes.iter().collect());
                }
            }
            group = draft.group;
            self.pass(draft);
        }
        self.program.locals = self.trees.locals;
        self.program
    }

    fn pass(&mut self, draft: &Draft) {
        // Another group may have computed the same values in its blocks.
        if draft.group.is_some() {
            draft.stored.iter().for_each(|node| _ = self.buffers.remove(node));
        }
        let targets = self.targets(draft);
        let (body_lets, mut states) = self.states(draft);
        let update_lets = self.updates(draft, &mut states);
        let (result_lets, results) = self.results(draft, &targets, &states);
        let name = match targets.first() {
            Some(target) => self.program.values[target.1.index()].name.clone(),
            None => self.trees.locals[states[0].local.index()].name.clone(),
        };
        let group = draft.group.map(|_| self.program.groups.len() - 1);
        self.program.passes.push(Pass {
            name,
            axes: draft.axes.clone(),
            stream: draft.stream.iter().collect(),
            scan: draft.scan,
            body_lets,
            states,
            update_lets,
            result_lets,
            results,
            optional: draft.optional,
            group,
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
            Some(Op::Reduce(op, ..) | Op::Roll(op, ..)) => op.name(),
            Some(Op::Scan(op, ..)) => op.scan_name().unwrap_or("scan"),
            _ => "map",
        };
        self.trees.namer.numbered(base)
    }

    fn states(&mut self, draft: &Draft) -> (Vec<Let>, Vec<State>) {
        let stream_of_group =
            self.program.groups.last().map(|axes| axes.iter().copied().collect::<AxisSet>());
        let reductions: Vec<(ReduceOp, NodeId)> = draft
            .states
            .iter()
            .map(|&state| match self.graph.node(state).op {
                Op::Reduce(op, _, operand) | Op::Scan(op, _, operand) => (op, operand),
                Op::Roll(op, _, term, _) => (op, term),
                _ => unreachable!("the states of a draft are reductions and scans"),
            })
            .collect();
        let roots: Vec<NodeId> = reductions.iter().map(|reduction| reduction.1).collect();
        let (graph, buffers, running) = (self.graph, &self.buffers, &self.running);
        let leaf = |node| leaf(graph, buffers, running, node);
        let (lets, bodies) = self.trees.build(&roots, leaf);
        let state = |((&node, (op, operand)), body): ((&NodeId, &(ReduceOp, NodeId)), Expr)| {
            let dtype = self.graph.node(node).dtype;
            let keeps = self.graph.node(*operand).dtype == dtype;
            let body = if keeps { body } else { Expr::cast(dtype, body) };
            let local = self.trees.local(node, op.name());
            let running = draft.group.filter(|_| stream_of_group == Some(draft.stream)).map(|_| {
                let name = self.trees.locals[local.index()].name.clone();
                let before = self.trees.local_like(local, &format!("{name}_before"));
                let after = self.trees.local_like(local, &format!("{name}_after"));
                self.running.insert(node, (before, after));
                Running { before, after, update: Expr::Local(before) }
            });
            State { local, op: *op, body, running }
        };
        let states = draft.states.iter().zip(&reductions).zip(bodies).map(state).collect();
        (lets, states)
    }

    /// Writes what rolls fold their blocks into. Each has lets of its own, since each holds another value.
    fn updates(&mut self, draft: &Draft, states: &mut [State]) -> Vec<Let> {
        let mut all = vec![];
        for (&node, state) in draft.states.iter().zip(states) {
            let Op::Roll(_, _, _, update) = self.graph.node(node).op else { continue };
            let Some(own) = &mut state.running else { continue };
            let (graph, buffers, running) = (self.graph, &self.buffers, &self.running);
            let before = own.before;
            let leaf = |node: NodeId| match graph.node(node).op {
                Op::Held => Some(Expr::Local(before)),
                _ => leaf(graph, buffers, running, node),
            };
            let (lets, mut updates) = self.trees.build(&[update], leaf);
            all.extend(lets);
            own.update = updates.pop().expect("one root in, one expression out");
        }
        all
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
        let (graph, buffers, running) = (self.graph, &self.buffers, &self.running);
        let leaf = |node: NodeId| match own.get(&node) {
            Some(&local) => Some(Expr::Local(local)),
            None => leaf(graph, buffers, running, node),
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

/// What stands for a value that is at hand: the load of a buffer, or a running value.
fn leaf(
    graph: &Graph,
    buffers: &BTreeMap<NodeId, BufferId>,
    running: &BTreeMap<NodeId, (LocalId, LocalId)>,
    node: NodeId,
) -> Option<Expr> {
    match graph.node(node).op {
        Op::Before(x) => running.get(&x).map(|&(before, _)| Expr::Local(before)),
        Op::After(x) => running.get(&x).map(|&(_, after)| Expr::Local(after)),
        _ => buffers.get(&node).map(|&buffer| Expr::Load(buffer)),
    }
}

fn buffer_id(position: usize) -> BufferId {
    BufferId(u32::try_from(position).expect("a program has fewer than 2^32 buffers"))
}
