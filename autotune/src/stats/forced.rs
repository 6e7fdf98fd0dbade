//! Which elements of each value a kernel has to make or read, whatever the algorithm.
//!
//! An output asks for all of its elements; a mask that depends on positions alone hides those where it is false from what
//! lies behind it. Where a choice hangs on data nothing behind it is forced: the data may choose otherwise. An element of a value
//! that lacks an axis of its user is asked for where any element of the user is.
//! Invariant: a lower bound; what is not understood counts as not forced.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use tilewright_ir::base::{AxisId, AxisSet, BinaryOp, UnaryOp};
use tilewright_ir::graph::{Graph, NodeId, Op};

/// A condition on positions alone, and whether it has to hold or not to.
type Condition = (NodeId, bool);

/// Where all of some conditions hold.
type Region = BTreeSet<Condition>;

/// Regions that are kept for one value; those of more users are not asked.
const REGIONS_MAX: usize = 6;
/// Positions at which conditions are evaluated, and positions of the axes that a value lacks for each of its own.
const POINTS: u64 = 1 << 16;
const POINTS_BESIDE: u64 = 256;

/// What the elements of a value are where it is not live.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rest {
    NegativeInfinity,
    Zero,
}

/// The part of a value that may be another number than `rest`; `None`: which part that is hangs on data.
#[derive(Clone, Debug)]
struct Live {
    region: Option<Region>,
    rest: Option<Rest>,
    /// The data that says which part.
    masks: BTreeSet<NodeId>,
}

/// The parts of all values of a graph that are forced.
#[derive(Debug)]
pub(super) struct Forced<'g> {
    graph: &'g Graph,
    live: Vec<Live>,
    /// The regions in which any user asks for a value; none: nobody does.
    asked: Vec<Vec<Region>>,
    /// Fractions that have been counted, by axes and region.
    counted: RefCell<BTreeMap<(AxisSet, Region), f64>>,
}

impl<'g> Forced<'g> {
    pub(super) fn of(graph: &'g Graph) -> Self {
        let live = live(graph);
        let asked = vec![vec![]; graph.nodes.len()];
        let mut forced = Self { graph, live, asked, counted: RefCell::default() };
        for output in &graph.outputs {
            if graph.axes.volume(graph.node(output.node).axes) > 0 {
                forced.ask(output.node, Some(Region::new()));
            }
        }
        for id in graph.ids().rev() {
            for region in std::mem::take(&mut forced.asked[id.index()]) {
                forced.pass_on(id, &region);
                forced.asked[id.index()].push(region);
            }
        }
        forced
    }

    /// The part of a value's elements that is forced.
    pub(super) fn fraction(&self, id: NodeId) -> f64 {
        let axes = self.graph.node(id).axes;
        self.largest(axes, self.asked[id.index()].iter().cloned().map(Some))
    }

    /// The part of the elements that an operation works on: of a reduction those that it folds.
    pub(super) fn worked_on(&self, id: NodeId) -> f64 {
        let (value, axes) = match self.graph.node(id).op {
            Op::Reduce(_, axes, x) => (x, self.graph.node(x).axes | axes),
            _ => (id, self.graph.node(id).axes),
        };
        let regions = self.asked[id.index()].iter();
        self.largest(
            axes,
            regions.map(|region| both(region, self.live[value.index()].region.as_ref())),
        )
    }

    fn largest(&self, axes: AxisSet, regions: impl Iterator<Item = Option<Region>>) -> f64 {
        let count = |region: Region| {
            let mut counted = self.counted.borrow_mut();
            let key = (axes & conditions_axes(self.graph, &region), region);
            *counted
                .entry(key)
                .or_insert_with_key(|(axes, region)| fraction(self.graph, *axes, region))
        };
        regions.flatten().map(count).fold(0.0, f64::max)
    }

    /// Asks for some values where an operation is asked for and the value is live; of data that says where that is, all.
    fn ask_live(&mut self, live: NodeId, region: &Region, wanted: impl Iterator<Item = NodeId>) {
        let Live { region: part, masks, .. } = self.live[live.index()].clone();
        match part {
            Some(part) => wanted.for_each(|x| self.ask(x, Some(region | &part))),
            // Where one mask hides, another need not be known.
            None if masks.len() == 1 => {
                masks.into_iter().for_each(|mask| self.ask(mask, Some(region.clone())));
            }
            None => {}
        }
    }

    fn ask(&mut self, id: NodeId, region: Option<Region>) {
        let known = &mut self.asked[id.index()];
        if let Some(region) = region
            && known.len() < REGIONS_MAX
            && !known.iter().any(|wider| wider.is_subset(&region))
        {
            known.retain(|narrower| !region.is_subset(narrower));
            known.push(region);
        }
    }

    /// What a value asks of its operands, where it is asked for itself.
    fn pass_on(&mut self, id: NodeId, region: &Region) {
        match self.graph.node(id).op {
            Op::Select(c, x, z) => {
                self.ask(c, Some(region.clone()));
                // Where the data chooses, either may go unused.
                if positional(self.graph, c) {
                    for (arm, holds) in [(x, true), (z, false)] {
                        let mut inside = region.clone();
                        inside.insert((c, holds));
                        self.ask(arm, Some(inside));
                    }
                }
            }
            op @ (Op::Binary(..) | Op::Unary(..) | Op::Cast(_) | Op::Wrap(_)) => {
                self.ask_live(id, region, op.operands());
            }
            op @ Op::Reduce(_, _, x) => {
                self.ask_live(x, region, op.operands());
            }
            // Which elements are meant hangs on data.
            Op::Gather(_, picks) => {
                for (_, index) in picks.iter() {
                    self.ask(index, Some(region.clone()));
                }
            }
            op => op.operands().for_each(|x| self.ask(x, Some(region.clone()))),
        }
    }
}

/// Where both hold.
fn both(one: &Region, other: Option<&Region>) -> Option<Region> {
    other.map(|other| one | other)
}

/// Whether a node depends on no input.
pub(super) fn positional(graph: &Graph, id: NodeId) -> bool {
    match graph.node(id).op {
        Op::Input(_) => false,
        op => op.operands().all(|operand| positional(graph, operand)),
    }
}

/// Which part of each value is live, operands first.
fn live(graph: &Graph) -> Vec<Live> {
    let all = || Live { region: Some(Region::new()), rest: None, masks: BTreeSet::new() };
    let mut live: Vec<Live> = Vec::with_capacity(graph.nodes.len());
    for id in graph.ids() {
        let of = |node: NodeId| &live[node.index()];
        let is = |node: NodeId, rest: Rest| of(node).rest == Some(rest);
        let next = match graph.node(id).op {
            Op::Select(c, _, z) => masked(graph, c, z).unwrap_or_else(all),
            Op::Cast(x) => of(x).clone(),
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x) if is(x, Rest::NegativeInfinity) => {
                Live { rest: Some(Rest::Zero), ..of(x).clone() }
            }
            Op::Binary(BinaryOp::Sub, x, _) if is(x, Rest::NegativeInfinity) => of(x).clone(),
            Op::Binary(BinaryOp::Add, x, y) => absorbed(of(x), of(y), Rest::NegativeInfinity),
            Op::Binary(BinaryOp::Mul, x, y) => absorbed(of(x), of(y), Rest::Zero),
            Op::Binary(BinaryOp::Div, x, _) if is(x, Rest::Zero) => of(x).clone(),
            _ => all(),
        };
        live.push(next);
    }
    live
}

/// Outside of the live part of either operand that is `rest` there, so is the result.
fn absorbed(x: &Live, y: &Live, rest: Rest) -> Live {
    let parts: Vec<&Live> = [x, y].into_iter().filter(|live| live.rest == Some(rest)).collect();
    let join = |all: Option<Region>, part: &&Live| both(&all?, part.region.as_ref());
    let region = parts.iter().fold(Some(Region::new()), join);
    let masks = parts.iter().flat_map(|part| part.masks.iter().copied()).collect();
    Live { region, rest: (!parts.is_empty()).then_some(rest), masks }
}

/// The live part of `select(c, x, z)` where `z` is `-inf` or 0.
fn masked(graph: &Graph, c: NodeId, z: NodeId) -> Option<Live> {
    let rest = match constant(graph, z)? {
        f64::NEG_INFINITY => Rest::NegativeInfinity,
        0.0 => Rest::Zero,
        _ => return None,
    };
    let is_known = positional(graph, c);
    let region = is_known.then(|| Region::from([(c, true)]));
    let masks = if is_known { BTreeSet::new() } else { BTreeSet::from([c]) };
    Some(Live { region, rest: Some(rest), masks })
}

fn constant(graph: &Graph, id: NodeId) -> Option<f64> {
    match graph.node(id).op {
        Op::Literal(value) => Some(value),
        Op::Cast(x) => constant(graph, x),
        Op::Unary(UnaryOp::Neg, x) => constant(graph, x).map(|value| -value),
        _ => None,
    }
}

/// The axes along which the conditions vary.
fn conditions_axes(graph: &Graph, region: &Region) -> AxisSet {
    let axes = region.iter().map(|(condition, _)| graph.node(*condition).axes);
    axes.fold(AxisSet::EMPTY, |all, axes| all | axes)
}

/// The part of the positions along some axes for which all conditions hold at some position of the others; less than that where
/// points are too few to tell.
fn fraction(graph: &Graph, axes: AxisSet, region: &Region) -> f64 {
    if region.is_empty() {
        return 1.0;
    }
    let asked = conditions_axes(graph, region);
    let own = Points::new(graph, asked & axes, POINTS);
    let beside = Points::new(graph, asked - axes, POINTS_BESIDE);
    let mut held = 0_u64;
    for one in 0..own.count {
        let place = own.at(one);
        let holds = |other: u64| {
            let there = beside.at(one.wrapping_mul(beside.count).wrapping_add(other));
            let at = |axis: AxisId| {
                let found = place.iter().chain(&there).find(|(known, _)| *known == axis);
                found.map_or(0.0, |(_, index)| *index as f64)
            };
            region.iter().all(|&(condition, wanted)| {
                value(graph, condition, &at).is_some_and(|value| (value != 0.0) == wanted)
            })
        };
        held += u64::from((0..beside.count).any(holds));
    }
    let (held, count) = (held as f64, own.count.max(1) as f64);
    // Twice the error of a count of so many is taken off, unless every position was looked at.
    let error = if own.is_whole { 0.0 } else { 2.0 * held.sqrt() };
    ((held - error) / count).clamp(0.0, 1.0)
}

/// Positions along some axes: all of them, or so many in layers of each axis, each at a place of its own within its layer.
struct Points {
    /// The axes with their extents and their layers.
    axes: Vec<(AxisId, u64, u64)>,
    count: u64,
    is_whole: bool,
}

impl Points {
    fn new(graph: &Graph, axes: AxisSet, most: u64) -> Self {
        let extents: Vec<(AxisId, u64)> =
            axes.iter().map(|axis| (axis, graph.axes.extent(axis))).collect();
        let all = extents.iter().fold(1_u64, |all, (_, extent)| all.saturating_mul(*extent));
        let is_whole = all <= most;
        let each = (most as f64).powf(1.0 / extents.len().max(1) as f64) as u64;
        let layers = |(axis, extent): (AxisId, u64)| {
            let layers = if is_whole { extent } else { extent.min(each.max(1)) };
            (axis, extent, layers)
        };
        let axes: Vec<(AxisId, u64, u64)> = extents.into_iter().map(layers).collect();
        let count = axes.iter().map(|(_, _, layers)| layers).product();
        Self { axes, count, is_whole }
    }

    /// The indices of a point.
    fn at(&self, number: u64) -> Vec<(AxisId, u64)> {
        let mut rest = number;
        let index = |&(axis, extent, layers): &(AxisId, u64, u64)| {
            let layer = rest % layers.max(1);
            rest /= layers.max(1);
            let (from, to) = (
                (u128::from(layer) * u128::from(extent) / u128::from(layers.max(1))) as u64,
                (u128::from(layer + 1) * u128::from(extent) / u128::from(layers.max(1))) as u64,
            );
            let within = mixed(number ^ (u64::from(axis.0) << 40)) % (to - from).max(1);
            (axis, from + within)
        };
        self.axes.iter().map(index).collect()
    }
}

/// A number that looks like chance (the finaliser of `SplitMix64`: Steele, Lea, Flood, 2014).
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A node that depends on positions alone, at a position; reductions are not followed.
fn value(graph: &Graph, id: NodeId, at: &dyn Fn(AxisId) -> f64) -> Option<f64> {
    let of = |node| value(graph, node, at);
    Some(match graph.node(id).op {
        Op::Literal(value) => value,
        Op::Index(axis) => at(axis),
        Op::Len(axis) => graph.axes.extent(axis) as f64,
        Op::Cast(x) => of(x)?,
        Op::Unary(UnaryOp::Neg, x) => -of(x)?,
        Op::Unary(UnaryOp::Not, x) => 1.0 - of(x)?,
        Op::Binary(op, x, y) => op.apply(of(x)?, of(y)?),
        Op::Compare(op, x, y) => f64::from(u8::from(op.apply(of(x)?, of(y)?))),
        Op::Select(c, x, y) => match of(c)? != 0.0 {
            true => of(x)?,
            false => of(y)?,
        },
        _ => return None,
    })
}
