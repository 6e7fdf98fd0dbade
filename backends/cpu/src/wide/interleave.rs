//! Puts independent computations of straight code side by side.
//!
//! The lowering writes one element's computation after the other. A processor looks ahead only a few dozen operations,
//! so of a chain such as an exponential it would run two or three at a time and wait for each of their steps. Here
//! chains that end in different stores or accumulators take turns.
//! Invariant: what reads a register still stands behind what assigned it, and operations of one chain keep their order.

use super::program::{Leaf, Node, Op, Register};
use std::collections::{BTreeMap, BTreeSet};

/// Chains shorter than this are as good one after the other.
const CHAIN_MIN: usize = 6;

/// Operations that several chains need: they come first, so their results are held all the time.
const SHARED_MAX: usize = 12;

/// The leaf with up to `width` chains side by side.
pub fn interleave(mut leaf: Leaf, width: usize) -> Leaf {
    leaf.body = blocks(std::mem::take(&mut leaf.body), width);
    leaf
}

fn blocks(nodes: Vec<Node>, width: usize) -> Vec<Node> {
    let (mut done, mut straight) = (vec![], vec![]);
    for node in nodes {
        match node {
            Node::Op(op) if may_move(&op) => straight.push(op),
            other => {
                flush(&mut straight, &mut done, width);
                done.push(inside(other, width));
            }
        }
    }
    flush(&mut straight, &mut done, width);
    done
}

/// Whether an operation may pass others of its piece: scalars are addresses, and tiles are registers of their own.
fn may_move(op: &Op) -> bool {
    !matches!(op.assigned(), Some(Register::Scalar(_))) && !matches!(op, Op::Tile(_))
}

fn inside(node: Node, width: usize) -> Node {
    match node {
        Node::Op(op) => Node::Op(op),
        Node::Loop { index, end, step, entered, body } => {
            Node::Loop { index, end, step, entered, body: blocks(body, width) }
        }
        Node::If { condition, then, otherwise } => {
            let (then, otherwise) = (blocks(then, width), blocks(otherwise, width));
            Node::If { condition, then, otherwise }
        }
        Node::IfAny { mask, then } => Node::IfAny { mask, then: blocks(then, width) },
    }
}

fn flush(straight: &mut Vec<Op>, done: &mut Vec<Node>, width: usize) {
    let ops = std::mem::take(straight);
    done.extend(ordered(ops, width).into_iter().map(Node::Op));
}

/// The operations of a straight piece, its chains in turns.
fn ordered(ops: Vec<Op>, width: usize) -> Vec<Op> {
    let Some(chains) = chains_of(&ops) else { return ops };
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut order: Vec<usize> = vec![];
    for (position, chain) in chains.iter().enumerate() {
        match chain {
            Some(chain) => members.entry(*chain).or_default().push(position),
            None => order.push(position),
        }
    }
    let longest = members.values().map(Vec::len).max().unwrap_or(0);
    if members.len() < 2 || longest < CHAIN_MIN || order.len() > SHARED_MAX {
        return ops;
    }
    let mut lists: Vec<Vec<usize>> = members.into_values().collect();
    lists.sort();
    for batch in lists.chunks(width.max(1)) {
        let longest = batch.iter().map(Vec::len).max().unwrap_or(0);
        for step in 0..longest {
            order.extend(batch.iter().filter_map(|chain| chain.get(step)));
        }
    }
    order.into_iter().map(|position| ops[position]).collect()
}

/// The chain of each operation; `None` where several need it, so that it stands before all of them. No answer where an
/// operation that several need depends on what a chain changes.
fn chains_of(ops: &[Op]) -> Option<Vec<Option<usize>>> {
    let changing = changing(ops);
    let mut roots = Groups::new(ops.len());
    let mut owner: BTreeMap<Register, usize> = BTreeMap::new();
    let mut last: BTreeMap<Register, usize> = BTreeMap::new();
    let mut users: Vec<Vec<usize>> = vec![vec![]; ops.len()];
    for (position, op) in ops.iter().enumerate() {
        for register in op.read().into_iter().chain(op.assigned()) {
            if changing.contains(&register) {
                let first = *owner.entry(register).or_insert(position);
                roots.join(first, position);
            }
        }
        for register in op.read() {
            if let Some(&from) = last.get(&register) {
                users[from].push(position);
            }
        }
        last.extend(op.assigned().map(|register| (register, position)));
    }
    let is_root = |position: usize| {
        let op: &Op = &ops[position];
        users[position].is_empty()
            || op.read().iter().chain(op.assigned().as_ref()).any(|of| changing.contains(of))
    };
    let mut chains: Vec<Option<usize>> = vec![None; ops.len()];
    let mut shared = vec![false; ops.len()];
    for position in (0..ops.len()).rev() {
        let own = is_root(position).then(|| roots.of(position));
        let mut reached: BTreeSet<usize> = own.into_iter().collect();
        shared[position] = users[position].iter().any(|&user| shared[user]);
        reached.extend(users[position].iter().filter_map(|&user| chains[user]));
        shared[position] |= reached.len() > 1;
        if shared[position] && own.is_some() {
            return None;
        }
        chains[position] = reached.first().copied().filter(|_| !shared[position]);
    }
    Some(chains)
}

/// The registers that are assigned more than once, or read before.
fn changing(ops: &[Op]) -> BTreeSet<Register> {
    let assigned: BTreeSet<Register> = ops.iter().filter_map(Op::assigned).collect();
    let (mut seen, mut changing) = (BTreeSet::new(), BTreeSet::new());
    for op in ops {
        let read = op.read().into_iter();
        changing.extend(read.filter(|of| assigned.contains(of) && !seen.contains(of)));
        if let Some(to) = op.assigned().filter(|to| !seen.insert(*to)) {
            changing.insert(to);
        }
    }
    changing
}

/// Sets of operations that have to stay in order.
struct Groups(Vec<usize>);

impl Groups {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn of(&self, mut member: usize) -> usize {
        while self.0[member] != member {
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, x: usize, y: usize) {
        let (x, y) = (self.of(x), self.of(y));
        self.0[x.max(y)] = x.min(y);
    }
}
