//! What a form is expected to cost on a machine, and how often it goes over each axis.
//!
//! Reductions of one level over the same axes are one traversal; a rolled reduction has the level of those whose running
//! values it reads. Each traversal computes what lies between it and the values of lower levels, and reads those values:
//! from memory, unless this traversal is their only reader and they can be made block by block within it. The times are
//! for ranking: a vector operation takes part of a cycle, a function several, a byte according to where it lies.
//! Invariant: the cost depends on graph, extents and target alone.

use crate::base::{AxisId, AxisSet, BinaryOp, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet};

/// Cycles in a nanosecond, for the scale only.
const CYCLES_PER_NS: f64 = 3.0;
/// What starting a traversal of its own costs, beside its work.
const TRAVERSAL_NS: f64 = 500.0;

/// What is expected of a form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) time_ns: f64,
    /// Exponentials that may overflow where the class is known not to.
    pub(super) risks: u32,
    /// Traversals of each axis, a second read for an output included.
    pub(super) passes: BTreeMap<AxisId, u32>,
}

/// A traversal: its level and the axes that it reduces. Maps reduce none.
type Traversal = (u32, AxisSet);

/// The cost of a form at the extents of its graph.
pub(super) fn cost(graph: &Graph, target: &Target, risks: u32) -> Cost {
    let levels = levels(graph);
    let mut model = Model { graph, target, levels: &levels, readers: BTreeMap::new() };
    let cones = model.cones();
    model.note_readers(&cones);
    let time_ns = cones.iter().map(|(traversal, cone)| model.traversal_ns(*traversal, cone)).sum();
    Cost { time_ns, risks, passes: passes(graph, &levels, &cones) }
}

/// The level of each node: how many traversals come before its value is there.
pub(super) fn levels(graph: &Graph) -> Vec<u32> {
    let mut levels = vec![0_u32; graph.nodes.len()];
    for id in graph.ids() {
        let op = graph.node(id).op;
        let below = op.operands().map(|operand| levels[operand.index()]).max().unwrap_or(0);
        levels[id.index()] = match op {
            Op::Before(_) | Op::After(_) => below.saturating_sub(1),
            _ if op.is_traversal() => below + 1,
            _ => below,
        };
    }
    levels
}

/// The nodes that a traversal evaluates, and the values that it reads.
#[derive(Debug, Default)]
struct Cone {
    /// Reductions, or outputs.
    heads: BTreeSet<NodeId>,
    inside: BTreeSet<NodeId>,
    reads: BTreeSet<NodeId>,
}

struct Model<'g> {
    graph: &'g Graph,
    target: &'g Target,
    levels: &'g [u32],
    /// The traversals that read a value.
    readers: BTreeMap<NodeId, BTreeSet<Traversal>>,
}

impl Model<'_> {
    fn cones(&self) -> BTreeMap<Traversal, Cone> {
        let mut cones: BTreeMap<Traversal, Cone> = BTreeMap::new();
        for id in self.graph.ids() {
            let axes = match self.graph.node(id).op {
                Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => axes,
                Op::Scan(_, axis, _) => AxisSet::one(axis),
                _ => continue,
            };
            let cone = cones.entry((self.levels[id.index()], axes)).or_default();
            cone.heads.insert(id);
        }
        for output in &self.graph.outputs {
            let level = self.levels[output.node.index()];
            // An epilogue over the axes of its reductions is theirs; what has more axes is a traversal of its own.
            cones.entry((level, AxisSet::EMPTY)).or_default().heads.insert(output.node);
        }
        for (traversal, cone) in &mut cones {
            self.fill(*traversal, cone);
        }
        cones
    }

    fn fill(&self, (_, axes): Traversal, cone: &mut Cone) {
        let is_map = axes.is_empty();
        let mut stack: Vec<NodeId> = vec![];
        for &head in &cone.heads {
            match is_map {
                true => stack.push(head),
                false => stack.extend(self.graph.node(head).op.operands()),
            }
        }
        while let Some(id) = stack.pop() {
            let op = self.graph.node(id).op;
            match op {
                Op::Before(_) | Op::After(_) | Op::Held | Op::Literal(_) => {}
                Op::Input(_) | Op::Reduce(..) | Op::Roll(..) | Op::Scan(..) => {
                    cone.reads.insert(id);
                }
                _ => {
                    if cone.inside.insert(id) {
                        stack.extend(op.operands());
                    }
                }
            }
        }
    }

    fn note_readers(&mut self, cones: &BTreeMap<Traversal, Cone>) {
        for (traversal, cone) in cones {
            for &read in &cone.reads {
                self.readers.entry(read).or_default().insert(*traversal);
            }
        }
    }

    fn traversal_ns(&self, traversal: Traversal, cone: &Cone) -> f64 {
        let inside = cone.inside.iter().map(|&id| self.work_cycles(id, &cone.heads));
        let heads = cone.heads.iter().map(|&id| self.head_cycles(id, traversal));
        let reads = cone.reads.iter().map(|&id| self.read_ns(id, traversal));
        let cycles: f64 = inside.chain(heads).sum();
        let moved: f64 = reads.sum();
        let written: f64 = match traversal.1.is_empty() {
            true => cone.heads.iter().map(|&id| self.bytes_ns(id)).sum(),
            false => 0.0,
        };
        // A map without anything to compute is the epilogue of what it reads.
        let idle = cone.inside.is_empty() && traversal.1.is_empty();
        let start = if idle { 0.0 } else { TRAVERSAL_NS };
        start + cycles / CYCLES_PER_NS + moved + written
    }

    fn volume(&self, axes: AxisSet) -> f64 {
        axes.iter().map(|axis| self.graph.axes.extent(axis) as f64).product()
    }

    fn lanes(&self, id: NodeId) -> f64 {
        self.target.lanes(u64::from(self.graph.node(id).dtype.bits()).div_ceil(8)) as f64
    }

    /// Cycles of an element-wise node over all of its elements. The product under a contraction is part of it.
    fn work_cycles(&self, id: NodeId, heads: &BTreeSet<NodeId>) -> f64 {
        let node = self.graph.node(id);
        let contracted = |&head: &NodeId| {
            self.factors(head).is_some() && self.graph.node(head).op.operands().next() == Some(id)
        };
        if heads.iter().any(contracted) {
            return 0.0;
        }
        self.volume(node.axes) * op_cycles(node.op) / self.lanes(id)
    }

    /// The factors of a contraction: neither has all of the axes.
    fn factors(&self, head: NodeId) -> Option<(NodeId, NodeId)> {
        let (Op::Reduce(ReduceOp::Sum, _, term) | Op::Roll(ReduceOp::Sum, _, term, _)) =
            self.graph.node(head).op
        else {
            return None;
        };
        let Op::Binary(BinaryOp::Mul, x, y) = self.graph.node(term).op else { return None };
        let all = self.graph.node(term).axes;
        let shared = [x, y].iter().any(|&factor| self.graph.node(factor).axes == all);
        (!shared).then_some((x, y))
    }

    fn head_cycles(&self, head: NodeId, traversal: Traversal) -> f64 {
        if traversal.1.is_empty() {
            return 0.0;
        }
        let operand = self.graph.node(head).op.operands().next();
        let axes = operand.map_or(AxisSet::EMPTY, |operand| self.graph.node(operand).axes);
        let volume = self.volume(axes | self.graph.node(head).axes);
        let cycles = match self.graph.node(head).op {
            // Two multiplications and additions in a cycle; loads are shared by a register tile.
            _ if self.factors(head).is_some() => 0.6,
            Op::Scan(..) => 4.0,
            _ => 0.5,
        };
        let rescaled = match self.graph.node(head).op {
            // The state is scaled once for each block of the stream.
            Op::Roll(..) => volume / 128.0,
            _ => 0.0,
        };
        (volume * cycles + rescaled) / self.lanes(head)
    }

    /// The time to fetch a value for a traversal; none for one that is made block by block within it.
    fn read_ns(&self, id: NodeId, traversal: Traversal) -> f64 {
        let node = self.graph.node(id);
        let is_input = matches!(node.op, Op::Input(_));
        let only = self.readers.get(&id).is_some_and(|readers| readers.len() == 1);
        let streamed = !traversal.1.is_empty() && node.axes.contains_all(traversal.1);
        let epilogue = traversal.1.is_empty() && only;
        if !is_input && only && (streamed || epilogue) {
            return 0.0;
        }
        let times = if is_input { 1.0 } else { 2.0 };
        times * self.bytes_ns(id)
    }

    fn bytes_ns(&self, id: NodeId) -> f64 {
        let node = self.graph.node(id);
        let bytes = self.volume(node.axes) * f64::from(node.dtype.bits()) / 8.0;
        let fits = |name: &str| bytes <= self.target.memory_bytes(name) as f64;
        let per_ns = match () {
            () if fits("L1") => 100.0,
            () if fits("L2") => 60.0,
            () if fits("L3") => 25.0,
            () => 10.0,
        };
        bytes / per_ns
    }
}

/// Cycles of one vector of results.
fn op_cycles(op: Op) -> f64 {
    match op {
        Op::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not, _) => 0.5,
        Op::Unary(UnaryOp::Floor | UnaryOp::Round, _) => 1.0,
        Op::Unary(UnaryOp::Recip | UnaryOp::Sqrt | UnaryOp::Rsqrt, _) => 5.0,
        Op::Unary(..) => 15.0,
        Op::Binary(BinaryOp::Div, ..) => 5.0,
        Op::Binary(BinaryOp::Pow, ..) => 40.0,
        Op::Gather(..) => 4.0,
        Op::Index(_) | Op::Len(_) => 0.0,
        _ => 0.5,
    }
}

/// How often each axis is traversed: once for each level of reductions over it, and once more if an output along it
/// needs one of them.
fn passes(
    graph: &Graph,
    levels: &[u32],
    cones: &BTreeMap<Traversal, Cone>,
) -> BTreeMap<AxisId, u32> {
    let mut at_levels: BTreeMap<AxisId, BTreeSet<u32>> = BTreeMap::new();
    for &(level, axes) in cones.keys() {
        for axis in axes.iter() {
            at_levels.entry(axis).or_default().insert(level);
        }
    }
    let mut passes: BTreeMap<AxisId, u32> = BTreeMap::new();
    for (axis, reduced) in &at_levels {
        let first = *reduced.first().expect("an axis is listed with a level");
        let again = graph.outputs.iter().any(|output| {
            let node = graph.node(output.node);
            node.axes.contains(*axis) && levels[output.node.index()] >= first
        });
        let count = u32::try_from(reduced.len()).expect("there are fewer levels than nodes");
        passes.insert(*axis, count + u32::from(again));
    }
    passes
}
