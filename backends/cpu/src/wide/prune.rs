//! Drops operations of a leaf whose result nothing reads.
//!
//! The lowering advances pointers and indices whether or not something reads them afterwards.
//! Invariant: what is dropped has no effect but its own result.

use super::program::{Leaf, Limit, Node, Op, Register};
use std::collections::BTreeSet;

/// The leaf without dead operations.
pub(crate) fn prune(mut leaf: Leaf) -> Leaf {
    loop {
        let mut read = BTreeSet::new();
        collect(&leaf.body, &mut read);
        let before = count(&leaf.body);
        leaf.body = kept(std::mem::take(&mut leaf.body), &read);
        leaf.constants.retain(|op| is_read(op, &read));
        if count(&leaf.body) == before {
            return leaf;
        }
    }
}

/// The registers that something other than their own update reads.
fn collect(nodes: &[Node], read: &mut BTreeSet<Register>) {
    for node in nodes {
        match node {
            Node::Op(op) => {
                let own = op.assigned();
                read.extend(op.read().into_iter().filter(|&register| Some(register) != own));
            }
            Node::Loop { index, end, body, .. } => {
                read.insert(Register::Scalar(*index));
                if let Limit::Scalar(end) = end {
                    read.insert(Register::Scalar(*end));
                }
                collect(body, read);
            }
            Node::If { condition, then, otherwise } => {
                read.insert(Register::Scalar(*condition));
                collect(then, read);
                collect(otherwise, read);
            }
            Node::IfAny { mask, then } => {
                read.insert(Register::Predicate(*mask));
                collect(then, read);
            }
        }
    }
}

fn is_read(op: &Op, read: &BTreeSet<Register>) -> bool {
    op.assigned().is_none_or(|register| read.contains(&register))
}

fn kept(nodes: Vec<Node>, read: &BTreeSet<Register>) -> Vec<Node> {
    let keep = |node: Node| match node {
        Node::Op(op) => is_read(&op, read).then_some(Node::Op(op)),
        Node::Loop { index, end, step, entered, body } => {
            Some(Node::Loop { index, end, step, entered, body: kept(body, read) })
        }
        Node::If { condition, then, otherwise } => {
            let (then, otherwise) = (kept(then, read), kept(otherwise, read));
            Some(Node::If { condition, then, otherwise })
        }
        Node::IfAny { mask, then } => Some(Node::IfAny { mask, then: kept(then, read) }),
    };
    nodes.into_iter().filter_map(keep).collect()
}

fn count(nodes: &[Node]) -> usize {
    let of = |node: &Node| match node {
        Node::Op(_) => 1,
        Node::Loop { body, .. } => 1 + count(body),
        Node::If { then, otherwise, .. } => 1 + count(then) + count(otherwise),
        Node::IfAny { then, .. } => 1 + count(then),
    };
    nodes.iter().map(of).sum()
}
