//! What the planner asks about a graph: users, reduction levels, and which node every use of a value goes through.
//!
//! The level of a reduction or scan is one more than the highest level below it, so those of one level never depend
//! on each other. Invariant: every walk here is iterative; the cost is linear up to a logarithm.

use crate::graph::{Graph, NodeId, Op, Rolls};

/// Facts about the nodes of a graph, by node index.
pub(super) struct Facts {
    /// The nodes that read a node's value; running values of a reduction are values of their own.
    pub(super) users: Vec<Vec<NodeId>>,
    /// The highest reduction level in the cone of a node, itself included; 0 without reductions. A gather from anything
    /// but an input is one level above what it reads. All members of a group have the level of the highest.
    pub(super) levels: Vec<u32>,
    /// As `levels`, but for members of a group their own.
    pub(super) inner: Vec<u32>,
    /// The groups of reductions.
    pub(super) rolls: Rolls,
    /// The positions of the outputs that hold a node.
    pub(super) outputs: Vec<Vec<usize>>,
    dominators: Dominators,
}

impl Facts {
    pub(super) fn new(graph: &Graph) -> Self {
        let count = graph.nodes.len();
        let mut users = vec![vec![]; count];
        for node in graph.ids() {
            let op = graph.node(node).op;
            for operand in op.operands().filter(|_| !is_running(op)) {
                if users[operand.index()].last() != Some(&node) {
                    users[operand.index()].push(node);
                }
            }
        }
        let rolls = Rolls::of(graph);
        let (inner, levels) = levels(graph, &rolls);
        let mut outputs = vec![vec![]; count];
        for (position, output) in graph.outputs.iter().enumerate() {
            outputs[output.node.index()].push(position);
        }
        let dominators = Dominators::new(&users, &outputs);
        Self { users, levels, inner, rolls, outputs, dominators }
    }

    /// Whether a value is used more than once, outputs included.
    pub(super) fn is_shared(&self, node: NodeId) -> bool {
        self.users[node.index()].len() + self.outputs[node.index()].len() > 1
    }

    /// The next node that every use of `node` goes through, if there is one.
    pub(super) fn gate(&self, node: NodeId) -> Option<NodeId> {
        let parent = self.dominators.parent[node.index()];
        (parent < self.users.len())
            .then(|| NodeId(u32::try_from(parent).expect("node indices fit u32")))
    }
}

fn is_running(op: Op) -> bool {
    matches!(op, Op::Before(_) | Op::After(_))
}

/// The level of each node: that of a group's member within the group, and that of its group.
fn levels(graph: &Graph, rolls: &Rolls) -> (Vec<u32>, Vec<u32>) {
    let mut of_group = vec![0; rolls.groups.len()];
    let mut rounds = 0..=rolls.groups.len();
    loop {
        let mut levels: Vec<u32> = vec![0; graph.nodes.len()];
        for node in graph.ids() {
            let op = graph.node(node).op;
            let level = op.operands().map(|operand| {
                // What is gathered from has to be stored whole before.
                let stored = matches!(op, Op::Gather(x, _) if x == operand && !is_input(graph, x));
                let whole = rolls.member[operand.index()].filter(|_| !is_running(op));
                let of_group = whole.map_or(0, |group| of_group[group]);
                levels[operand.index()].max(of_group) + u32::from(stored)
            });
            levels[node.index()] = level.max().unwrap_or(0) + u32::from(op.is_traversal());
        }
        let highest = |group: &Vec<NodeId>| group.iter().map(|node| levels[node.index()]).max();
        let found: Vec<u32> = rolls.groups.iter().filter_map(highest).collect();
        // No group needs its own final values, so each round settles at least one of them.
        if found == of_group || rounds.next().is_none() {
            let member = |node: NodeId| rolls.member[node.index()].map(|group| of_group[group]);
            let whole = graph.ids().map(|node| member(node).unwrap_or(levels[node.index()]));
            let whole = whole.collect();
            return (levels, whole);
        }
        of_group = found;
    }
}

/// Whether a node reads an input.
pub(super) fn is_input(graph: &Graph, node: NodeId) -> bool {
    matches!(graph.node(node).op, Op::Input(_))
}

/// The post-dominator tree of the use graph; index `count` is the exit that all outputs lead to.
struct Dominators {
    parent: Vec<usize>,
    depth: Vec<u32>,
    /// An ancestor farther up, so that a climb takes logarithmic time.
    jump: Vec<usize>,
}

impl Dominators {
    fn new(users: &[Vec<NodeId>], outputs: &[Vec<usize>]) -> Self {
        let exit = users.len();
        let mut tree = Self {
            parent: vec![exit; exit + 1],
            depth: vec![0; exit + 1],
            jump: vec![exit; exit + 1],
        };
        for node in (0..exit).rev() {
            let leaves = !outputs[node].is_empty() || users[node].is_empty();
            let start = if leaves { Some(exit) } else { None };
            let gate = users[node].iter().map(|user| user.index()).fold(start, |gate, user| {
                Some(gate.map_or(user, |gate| tree.common_ancestor(gate, user)))
            });
            tree.hang(node, gate.unwrap_or(exit));
        }
        tree
    }

    fn hang(&mut self, node: usize, parent: usize) {
        let far = self.jump[parent];
        let step = self.depth[parent] - self.depth[far];
        let next = self.depth[far] - self.depth[self.jump[far]];
        self.parent[node] = parent;
        self.depth[node] = self.depth[parent] + 1;
        self.jump[node] = if step == next { self.jump[far] } else { parent };
    }

    fn common_ancestor(&self, mut low: usize, mut high: usize) -> usize {
        if self.depth[low] < self.depth[high] {
            std::mem::swap(&mut low, &mut high);
        }
        while self.depth[low] > self.depth[high] {
            let far = self.jump[low];
            low = if self.depth[far] >= self.depth[high] { far } else { self.parent[low] };
        }
        while low != high {
            if self.jump[low] == self.jump[high] {
                (low, high) = (self.parent[low], self.parent[high]);
            } else {
                (low, high) = (self.jump[low], self.jump[high]);
            }
        }
        low
    }
}
