//! Expression trees from graph nodes: a node used more than once becomes a `let`.
//!
//! Invariant: the text of the result is linear in the number of nodes, and no tree is deeper than `DEPTH_MAX`, so
//! recursive readers of expressions cannot exhaust the stack.

use super::super::{Let, Local};
use crate::base::{Expr, LocalId, Namer};
use crate::graph::{Graph, NodeId, Op};

/// The deepest tree; a deeper expression is cut by a `let`.
const DEPTH_MAX: u32 = 40;

/// Builds trees for one program after another pass of it.
pub(super) struct Trees<'a> {
    graph: &'a Graph,
    pub(super) namer: Namer,
    pub(super) locals: Vec<Local>,
    /// Uses of a node within the current call; 0 outside of it.
    uses: Vec<u32>,
    built: Vec<Option<(Expr, u32)>>,
}

impl<'a> Trees<'a> {
    pub(super) fn new(graph: &'a Graph, namer: Namer) -> Self {
        let count = graph.nodes.len();
        Self { graph, namer, locals: vec![], uses: vec![0; count], built: vec![None; count] }
    }

    /// A fresh local named after a node.
    pub(super) fn local(&mut self, node: NodeId, base: &str) -> LocalId {
        let name = match &self.graph.names[node.index()] {
            Some(name) => self.namer.fresh(name),
            None => self.namer.numbered(base),
        };
        let id = LocalId(u32::try_from(self.locals.len()).expect("fewer than 2^32 locals"));
        let graph_node = self.graph.node(node);
        self.locals.push(Local { name, dtype: graph_node.dtype, axes: graph_node.axes });
        id
    }

    /// A fresh local of the type and axes of another one.
    pub(super) fn local_like(&mut self, like: LocalId, name: &str) -> LocalId {
        let name = self.namer.fresh(name);
        let id = LocalId(u32::try_from(self.locals.len()).expect("fewer than 2^32 locals"));
        self.locals.push(Local { name, ..self.locals[like.index()].clone() });
        id
    }

    /// The expressions of `roots`, and the lets they share. `leaf` says where a node's value is already at hand.
    pub(super) fn build(
        &mut self,
        roots: &[NodeId],
        leaf: impl Fn(NodeId) -> Option<Expr>,
    ) -> (Vec<Let>, Vec<Expr>) {
        let nodes = self.reach(roots, &leaf);
        let mut lets = vec![];
        for &node in &nodes {
            let (mut expr, mut depth) = match leaf(node) {
                Some(expr) => (expr, 0),
                None => self.compose(node),
            };
            let shared = self.uses[node.index()] > 1 && !expr.children().is_empty();
            if shared || depth >= DEPTH_MAX {
                let local = self.local(node, "t");
                lets.push(Let { local, expr });
                (expr, depth) = (Expr::Local(local), 0);
            }
            self.built[node.index()] = Some((expr, depth));
        }
        let exprs = roots.iter().map(|&root| self.operand(root).0).collect();
        for node in nodes {
            self.uses[node.index()] = 0;
            self.built[node.index()] = None;
        }
        (lets, exprs)
    }

    /// The nodes below the roots down to the leaves, operands first; counts their uses.
    fn reach(&mut self, roots: &[NodeId], leaf: &impl Fn(NodeId) -> Option<Expr>) -> Vec<NodeId> {
        let mut nodes = vec![];
        let mut stack = roots.to_vec();
        while let Some(node) = stack.pop() {
            self.uses[node.index()] += 1;
            if self.uses[node.index()] == 1 {
                nodes.push(node);
                if leaf(node).is_none() {
                    stack.extend(self.graph.node(node).op.operands());
                }
            }
        }
        nodes.sort_unstable();
        nodes
    }

    fn operand(&mut self, node: NodeId) -> (Expr, u32) {
        let slot = &mut self.built[node.index()];
        let cheap = slot.as_ref().is_some_and(|(expr, _)| expr.children().is_empty());
        let value = if cheap { slot.clone() } else { slot.take() };
        value.expect("operands are built before their users, and a shared one is a local")
    }

    fn compose(&mut self, node: NodeId) -> (Expr, u32) {
        let graph_node = *self.graph.node(node);
        let mut depth = 0;
        let mut part = |trees: &mut Self, operand| {
            let (expr, below) = trees.operand(operand);
            depth = depth.max(below + 1);
            expr
        };
        let expr = match graph_node.op {
            Op::Literal(value) => Expr::literal(value, graph_node.dtype),
            Op::Index(axis) => Expr::Index(axis),
            Op::Len(axis) => Expr::Len(axis),
            Op::Unary(op, x) => Expr::unary(op, part(self, x)),
            Op::Binary(op, x, y) => {
                let x = part(self, x);
                Expr::binary(op, x, part(self, y))
            }
            Op::Compare(op, x, y) => {
                let x = part(self, x);
                Expr::compare(op, x, part(self, y))
            }
            Op::Select(c, x, y) => {
                let c = part(self, c);
                let x = part(self, x);
                Expr::select(c, x, part(self, y))
            }
            Op::Cast(x) => Expr::cast(graph_node.dtype, part(self, x)),
            Op::Gather(x, picks) => {
                let Expr::Load(buffer) = part(self, x) else {
                    unreachable!("what is gathered is an input or stored by an earlier pass")
                };
                let pick = |(axis, index)| (axis, part(self, index));
                Expr::At(buffer, picks.iter().map(pick).collect())
            }
            Op::Wrap(x) => Expr::wrap(graph_node.dtype, part(self, x)),
            Op::Input(_)
            | Op::Reduce(..)
            | Op::Scan(..)
            | Op::Roll(..)
            | Op::Before(_)
            | Op::After(_)
            | Op::Held => {
                unreachable!("inputs, reductions and running values are leaves of every expression")
            }
        };
        (expr, depth)
    }
}
