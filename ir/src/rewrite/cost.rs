//! What a form is expected to cost on a machine, and how often it goes over each axis.
//!
//! Reductions of one level over the same axes are one traversal; a rolled reduction has the level of those whose running
//! values it reads. Each traversal computes what lies between it and the values of lower levels, and reads those values.
//! Traversals follow each other block by block of the axes that all outputs have, so only the first that reads a tensor
//! fetches it from afar: the others find the block's part of it in a cache, and so they do with a function's values
//! that an earlier one computed. The times are for ranking.
//! Invariant: the cost depends on graph, extents and target alone.

use super::memory::{large, times_made};
use super::work::{self, CYCLES_PER_NS};
use crate::base::{AxisId, AxisSet, BinaryOp, ReduceOp};
use crate::graph::{Graph, NodeId, Op};
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet};

/// What starting a traversal costs, beside its work.
const TRAVERSAL_NS: f64 = 200.0;
/// What else grows with each traversal of an axis, as a part of the time.
const PASS_SHARE: f64 = 0.03;
/// Rows that are worked on together.
const ROWS: f64 = 8.0;
/// Elements of a stream between two rescales where its traversal contracts, and where it does not.
const BLOCK: (f64, f64) = (128.0, 4096.0);
/// Cycles to fold the lanes of a vector into one number.
const FOLD_CYCLES: f64 = 8.0;

/// What is expected of a form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) time_ns: f64,
    /// Exponentials that may overflow where the class is known not to.
    pub(super) risks: u32,
    /// Reductions that are stored whole although they do not fit on the chip and are larger than all tensors of the call
    /// together: what keeps a kernel from long axes.
    pub(super) large: u32,
    /// Traversals of each axis, a second read for an output included.
    pub(super) passes: BTreeMap<AxisId, u32>,
}

/// A traversal: its level, whether it is a map behind the reductions of that level, and the axes that it reduces.
pub(super) type Traversal = (u32, bool, AxisSet);

/// The cost of a form at the extents of its graph.
pub(super) fn cost(graph: &Graph, target: &Target, risks: u32) -> Cost {
    let levels = levels(graph);
    let shared = graph.outputs.iter().map(|output| graph.node(output.node).axes);
    // A block has all of an axis that something is reduced over.
    let reduced = graph.ids().filter_map(|id| match graph.node(id).op {
        Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => Some(axes),
        _ => None,
    });
    let reduced = reduced.fold(AxisSet::EMPTY, |all, axes| all | axes);
    let grid = shared.reduce(|all, axes| all & axes).unwrap_or(AxisSet::EMPTY) - reduced;
    let model = Model { graph, target, grid, running: running(graph) };
    let cones = cones(&model, &levels);
    let passes = passes(graph, &levels, &cones);
    let mut known = Known::default();
    for cone in cones.values() {
        cone.reads.iter().for_each(|&read| *known.readers.entry(read).or_default() += 1);
    }
    known.times_made = times_made(graph, &cones);
    let large = large(graph, target, &known.times_made);
    let mut time = Time::default();
    for (traversal, cone) in &cones {
        model.add(*traversal, cone, &mut known, &mut time);
    }
    let threads = (target.threads as f64).min(model.volume(grid)).max(1.0);
    // What is fetched from afar is on its way while what is there is worked on.
    let time_ns = time.start_ns + time.near_ns.max(time.far_ns) / threads;
    let count: u32 = passes.values().sum();
    Cost { time_ns: time_ns * (1.0 + PASS_SHARE * f64::from(count)), risks, large, passes }
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

/// Whether each node has a value within a traversal only.
fn running(graph: &Graph) -> Vec<bool> {
    let mut running = vec![false; graph.nodes.len()];
    for id in graph.ids() {
        let op = graph.node(id).op;
        running[id.index()] = match op {
            Op::Before(_) | Op::After(_) | Op::Held => true,
            _ if op.is_traversal() => false,
            _ => op.operands().any(|operand| running[operand.index()]),
        };
    }
    running
}

/// The nodes that a traversal evaluates, and the values that it reads.
#[derive(Debug, Default)]
pub(super) struct Cone {
    /// Reductions, or outputs.
    pub(super) heads: BTreeSet<NodeId>,
    inside: BTreeSet<NodeId>,
    pub(super) reads: BTreeSet<NodeId>,
}

/// What earlier traversals have done.
#[derive(Debug, Default)]
struct Known {
    /// How many traversals read a value.
    readers: BTreeMap<NodeId, u32>,
    fetched: BTreeSet<NodeId>,
    /// The reductions that traversals make again, each for itself, and how many do.
    times_made: BTreeMap<NodeId, usize>,
}

/// What the traversals of a form take together, in nanoseconds.
#[derive(Debug, Default)]
struct Time {
    start_ns: f64,
    /// Arithmetic, and what the caches give.
    near_ns: f64,
    /// What is fetched from where it lies, and written there.
    far_ns: f64,
}

struct Model<'g> {
    graph: &'g Graph,
    target: &'g Target,
    /// The axes that all outputs have and nothing is reduced over.
    grid: AxisSet,
    running: Vec<bool>,
}

/// The traversals in the order in which they run.
fn cones(model: &Model<'_>, levels: &[u32]) -> BTreeMap<Traversal, Cone> {
    let mut cones: BTreeMap<Traversal, Cone> = BTreeMap::new();
    for id in model.graph.ids() {
        let axes = match model.graph.node(id).op {
            Op::Reduce(_, axes, _) | Op::Roll(_, axes, ..) => axes,
            Op::Scan(_, axis, _) => AxisSet::one(axis),
            _ => continue,
        };
        cones.entry((levels[id.index()], false, axes)).or_default().heads.insert(id);
    }
    for output in &model.graph.outputs {
        // An epilogue over the axes of its reductions is theirs; what has more axes is a traversal of its own.
        let traversal = (levels[output.node.index()], true, AxisSet::EMPTY);
        cones.entry(traversal).or_default().heads.insert(output.node);
    }
    let mut made = BTreeSet::new();
    for ((_, is_map, _), cone) in &mut cones {
        model.fill(*is_map, cone, &made);
        made.extend(cone.inside.iter().copied());
    }
    cones
}

impl Model<'_> {
    /// Finds what a traversal evaluates and reads. Functions of the same operands that are `made` already are read.
    fn fill(&self, is_map: bool, cone: &mut Cone, made: &BTreeSet<NodeId>) {
        let mut stack: Vec<NodeId> = vec![];
        for &head in &cone.heads {
            match is_map {
                true => stack.push(head),
                false => stack.extend(self.graph.node(head).op.operands()),
            }
        }
        while let Some(id) = stack.pop() {
            let op = self.graph.node(id).op;
            let is_kept = made.contains(&id) && !self.running[id.index()] && work::is_costly(op);
            match op {
                Op::Before(_) | Op::After(_) | Op::Held | Op::Literal(_) => {}
                Op::Input(_) | Op::Reduce(..) | Op::Roll(..) | Op::Scan(..) => {
                    cone.reads.insert(id);
                }
                _ if is_kept => {
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

    /// Adds what a traversal takes.
    fn add(&self, traversal: Traversal, cone: &Cone, known: &mut Known, time: &mut Time) {
        let (_, is_map, stream) = traversal;
        let contracts = cone.heads.iter().any(|&head| self.factors(head).is_some());
        let block = if contracts { BLOCK.0 } else { BLOCK.1 };
        let blocks = (self.volume(stream) / block).ceil().max(1.0);
        let inside = cone.inside.iter().map(|&id| self.work_cycles(id, cone, (stream, blocks)));
        let heads = cone.heads.iter().map(|&id| {
            let times = known.times_made.get(&id).map_or(1.0, |&times| times as f64);
            times * self.head_cycles(id, is_map, blocks)
        });
        let cycles: f64 = inside.chain(heads).sum();
        time.near_ns += cycles / CYCLES_PER_NS;
        for &read in &cone.reads {
            let (near_ns, far_ns) = self.read_ns(read, (is_map, stream), known);
            time.near_ns += near_ns;
            time.far_ns += far_ns;
        }
        time.near_ns += f64::from(self.depth(cone)) * self.again_ns(cone, stream);
        if is_map {
            let written = cone.heads.iter().map(|&id| self.bytes(id) / self.speed(self.bytes(id)));
            time.far_ns += written.sum::<f64>();
        }
        // A map without anything to compute is the epilogue of what it reads.
        let idle = cone.inside.is_empty() && is_map;
        time.start_ns += if idle { 0.0 } else { TRAVERSAL_NS };
    }

    /// How often a traversal reads its current block again, since some of its states need others' values behind it.
    fn depth(&self, cone: &Cone) -> u32 {
        let mut depths = vec![0_u32; self.graph.nodes.len()];
        for id in self.graph.ids() {
            let op = self.graph.node(id).op;
            depths[id.index()] = match op {
                Op::After(state) if cone.heads.contains(&state) => depths[state.index()] + 1,
                _ if op.is_traversal() && !cone.heads.contains(&id) => 0,
                _ => op.operands().map(|of| depths[of.index()]).max().unwrap_or(0),
            };
        }
        cone.heads.iter().map(|head| depths[head.index()]).max().unwrap_or(0)
    }

    /// The time to read what a traversal streams once more, from the nearest cache.
    fn again_ns(&self, cone: &Cone, stream: AxisSet) -> f64 {
        let streamed = |id: &&NodeId| {
            let node = self.graph.node(**id);
            matches!(node.op, Op::Input(_)) && node.axes.contains_all(stream)
        };
        cone.reads.iter().filter(streamed).map(|&id| self.bytes(id)).sum::<f64>() / self.speed(0.0)
    }

    fn volume(&self, axes: AxisSet) -> f64 {
        axes.iter().map(|axis| self.graph.axes.extent(axis) as f64).product()
    }

    fn lanes(&self, id: NodeId) -> f64 {
        self.target.lanes(u64::from(self.graph.node(id).dtype.bits()).div_ceil(8)) as f64
    }

    /// Cycles of an element-wise node over all of its elements. The product under a contraction is part of it, and what
    /// changes with the blocks of a stream without varying along it is computed once for each block.
    fn work_cycles(&self, id: NodeId, cone: &Cone, (stream, blocks): (AxisSet, f64)) -> f64 {
        let node = self.graph.node(id);
        let contracted = |&head: &NodeId| {
            self.factors(head).is_some() && self.graph.node(head).op.operands().next() == Some(id)
        };
        if cone.heads.iter().any(contracted) {
            return 0.0;
        }
        let is_update = self.running[id.index()] && node.axes.is_disjoint(stream);
        let times = if is_update { blocks } else { 1.0 };
        times * self.volume(node.axes) * work::op_cycles(node.op) / self.lanes(id)
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

    fn head_cycles(&self, head: NodeId, is_map: bool, blocks: f64) -> f64 {
        if is_map {
            return 0.0;
        }
        let node = self.graph.node(head);
        let operand = node.op.operands().next();
        let axes = operand.map_or(AxisSet::EMPTY, |operand| self.graph.node(operand).axes);
        let terms = self.volume(axes | node.axes) / self.lanes(head);
        let rows = self.volume(node.axes) * blocks;
        match node.op {
            // Two multiplications and additions in a cycle; loads are shared by a register tile.
            Op::Roll(..) if self.factors(head).is_some() => terms * 0.6 + rows / self.lanes(head),
            _ if self.factors(head).is_some() => terms * 0.6,
            Op::Scan(..) => terms * 4.0,
            _ => terms * 0.5 + rows * FOLD_CYCLES,
        }
    }

    /// The times to fetch a value for a traversal, from a cache and from where it lies. None for one that is made block
    /// by block within it.
    fn read_ns(
        &self,
        id: NodeId,
        (is_map, stream): (bool, AxisSet),
        known: &mut Known,
    ) -> (f64, f64) {
        let node = self.graph.node(id);
        let is_input = matches!(node.op, Op::Input(_));
        if known.times_made.contains_key(&id) {
            return (0.0, 0.0);
        }
        let is_first = known.fetched.insert(id);
        let bytes = self.bytes(id);
        if is_input && is_first {
            return (0.0, bytes / self.speed(bytes));
        }
        let only = known.readers.get(&id) == Some(&1);
        // What a traversal only reads again, it has stored.
        let is_made_here = node.op.is_traversal() && (is_map || node.axes.contains_all(stream));
        if !is_input && only && is_made_here {
            return (0.0, 0.0);
        }
        let block = self.block_bytes(bytes, self.volume(node.axes & self.grid).max(1.0));
        // The first to read what is no input pays for the store, too.
        let times = if is_first { 2.0 } else { 1.0 };
        let time_ns = times * bytes / self.speed(block);
        if block > self.target.memory_bytes("L3") as f64 { (0.0, time_ns) } else { (time_ns, 0.0) }
    }

    /// Bytes of a value that lie between two traversals: as many rows as are worked on together, fewer where a cache is
    /// small for them, and all of it where one row is too long to stay.
    fn block_bytes(&self, bytes: f64, rows: f64) -> f64 {
        let row = bytes / rows;
        let most = self.target.memory_bytes("L2") as f64 / 2.0;
        match row > most {
            true => bytes,
            false => (row * rows.min(ROWS)).min(most),
        }
    }

    fn bytes(&self, id: NodeId) -> f64 {
        let node = self.graph.node(id);
        self.volume(node.axes) * f64::from(node.dtype.bits()) / 8.0
    }

    /// Bytes in a nanosecond of the nearest memory that holds so many bytes.
    fn speed(&self, bytes: f64) -> f64 {
        let fits = |name: &str| bytes <= self.target.memory_bytes(name) as f64;
        match () {
            // Loads that hit the nearest cache hide behind the arithmetic on them.
            () if fits("L1") => 400.0,
            () if fits("L2") => 60.0,
            () if fits("L3") => 60.0,
            () => 40.0,
        }
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
    for &(level, _, axes) in cones.keys() {
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
