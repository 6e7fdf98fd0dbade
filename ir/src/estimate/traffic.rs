//! The time in which the memory brings what a statement's caches do not hold.
//!
//! From the innermost loop outwards: a loop along an axis of a buffer touches new bytes in each trip; any other loop
//! touches the same ones again, which are still there if what a whole trip touches fits the cache. What a statement
//! before touched in the same trip of a loop is still there by the same rule, and so is everything from one call to the
//! next if all buffers fit. Invariant: a larger cache never asks for more.

use super::machine::{Level, Machine};
use super::nest::{Loop, Nest};
use crate::base::{AxisId, AxisSet, BufferId, Expr, LocalId};
use crate::tile::TileProgram;
use std::collections::BTreeSet;

/// The part of a cache that a loop may count on.
const USABLE: f64 = 0.8;
/// A stored line is read first.
const STORED: f64 = 2.0;
/// The part of the lesser levels' time that is not hidden behind the busiest.
const SHOWN: f64 = 0.2;

/// Bytes of all buffers of a program.
pub(super) fn held_bytes(program: &TileProgram) -> f64 {
    let bytes = |of: &crate::tile::Buffer| of.dtype.bytes_of(of.volume(&program.axes)) as f64;
    program.buffers.iter().map(bytes).sum()
}

/// What was touched, and in which loops: the statement's place in the bodies around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    known: Vec<(BufferId, Vec<usize>)>,
}

/// Nanoseconds that one thread waits for memory if it runs all visits of a statement.
pub(super) fn time_ns(
    nest: &Nest<'_>,
    machine: &Machine,
    held_bytes: f64,
    touched: &mut Touched,
) -> f64 {
    let accesses = accesses(nest);
    let loops = inner_loops(nest, &accesses);
    let mut busiest_ns = 0.0_f64;
    let mut sum_ns = 0.0;
    for level in &machine.caches {
        let bytes: f64 = accesses
            .iter()
            .filter(|access| !is_there(nest, access, level, held_bytes, touched))
            .map(|access| missed_bytes(nest, &loops, access, level))
            .sum();
        let ns = bytes / level.behind_per_ns(nest.scope.threads);
        busiest_ns = busiest_ns.max(ns);
        sum_ns += ns;
    }
    let path = &nest.scope.path;
    touched.known.extend(accesses.iter().map(|access| (access.buffer, path.clone())));
    busiest_ns + SHOWN * (sum_ns - busiest_ns)
}

/// A buffer that a statement reads or writes.
#[derive(Clone, Copy, Debug)]
struct Access {
    buffer: BufferId,
    /// Bytes that move for each that is touched.
    weight: f64,
    /// Whether it is written past the caches.
    is_streamed: bool,
}

fn accesses(nest: &Nest<'_>) -> Vec<Access> {
    let mut read = BTreeSet::new();
    collect(nest, nest.expr, &mut read, &mut BTreeSet::new());
    let mut all: Vec<Access> =
        read.into_iter().map(|buffer| Access { buffer, weight: 1.0, is_streamed: false }).collect();
    if let Some(buffer) = nest.target {
        all.retain(|access| access.buffer != buffer);
        let is_streamed = nest.micro.streaming;
        let weight = if is_streamed { 1.0 } else { STORED };
        all.push(Access { buffer, weight, is_streamed });
    }
    all
}

fn collect(
    nest: &Nest<'_>,
    expr: &Expr,
    read: &mut BTreeSet<BufferId>,
    seen: &mut BTreeSet<LocalId>,
) {
    match expr {
        // A block that takes the usual way reads what that needs.
        Expr::Select(condition, one, _) if nest.axes_of(condition).is_empty() => {
            collect(nest, condition, read, seen);
            collect(nest, one, read, seen);
            return;
        }
        Expr::Local(local) => {
            if let (Some(meaning), true) = (nest.meaning(*local), seen.insert(*local)) {
                collect(nest, meaning, read, seen);
            }
        }
        _ => read.extend(expr.read_buffer()),
    }
    expr.children().into_iter().for_each(|child| collect(nest, child, read, seen));
}

/// A loop of the statement itself: its axis, its trips in a visit, and the bytes that a trip touches.
struct Inner {
    axis: AxisId,
    trips: f64,
    body_bytes: f64,
}

/// The loops over register tiles, outermost first, then those of the reductions.
fn inner_loops(nest: &Nest<'_>, accesses: &[Access]) -> Vec<Inner> {
    let given = nest.micro.order.iter().copied();
    let own: AxisSet = nest.axes.iter().copied().collect();
    let mut order: Vec<AxisId> = given.filter(|&axis| own.contains(axis)).collect();
    order.extend(nest.axes.iter().copied().filter(|axis| !nest.micro.order.contains(axis)));
    let mut reduced = AxisSet::EMPTY;
    nest.expr.walk(&mut |part: &Expr| {
        if let Expr::Reduce(_, axes, _) | Expr::Mma(axes, ..) = part {
            reduced |= *axes;
        }
    });
    let mut loops: Vec<Inner> = vec![];
    for (place, &axis) in order.iter().enumerate() {
        // Of this axis and those outside a trip has one tile.
        let still = &order[..=place];
        let covered = |of: &BufferId| {
            let axes = nest.program.buffers[of.index()].axes.iter();
            let side = |axis: &AxisId| match still.contains(axis) {
                true => (nest.tile(*axis) as f64).min(nest.elements(*axis)),
                false => nest.elements(*axis),
            };
            let bits = nest.program.buffers[of.index()].dtype.bits();
            axes.map(side).product::<f64>() * f64::from(bits) / 8.0
        };
        let body_bytes = accesses.iter().map(|access| covered(&access.buffer)).sum();
        loops.push(Inner { axis, trips: nest.tiles(axis), body_bytes });
    }
    let folded = reduced.iter().filter(|axis| !own.contains(*axis));
    loops.extend(folded.map(|axis| Inner { axis, trips: nest.elements(axis), body_bytes: 0.0 }));
    loops
}

/// Whether an access finds everything in a cache.
fn is_there(
    nest: &Nest<'_>,
    access: &Access,
    level: &Level,
    held_bytes: f64,
    touched: &Touched,
) -> bool {
    if access.is_streamed {
        return false;
    }
    let private = if level.is_shared { 1.0 } else { nest.scope.threads };
    if held_bytes / private <= level.bytes * USABLE {
        return true;
    }
    let path = &nest.scope.path;
    let shared = |other: &[usize]| path.iter().zip(other).take_while(|(a, b)| a == b).count();
    touched.known.iter().filter(|(buffer, _)| *buffer == access.buffer).any(|(_, other)| {
        let common = shared(other);
        common > 0 && nest.scope.loops[common - 1].body_bytes <= level.bytes * USABLE
    })
}

/// The bytes that all visits of a statement bring into a cache from behind it.
fn missed_bytes(nest: &Nest<'_>, inner: &[Inner], access: &Access, level: &Level) -> f64 {
    let of = &nest.program.buffers[access.buffer.index()];
    let holds = |bytes: f64| bytes <= level.bytes * USABLE;
    // What the innermost loops touch at once: of each axis that has a loop here one trip.
    let tile = |axis: &AxisId| match inner.iter().find(|of| of.axis == *axis) {
        Some(own) => nest.elements(*axis) / own.trips.max(1.0),
        None => nest.elements(*axis),
    };
    let mut bytes = of.axes.iter().map(tile).product::<f64>() * f64::from(of.dtype.bits()) / 8.0;
    for own in inner.iter().rev() {
        if of.axes.contains(&own.axis) || !holds(own.body_bytes) {
            bytes *= own.trips;
        }
    }
    // A buffer of blocks lies where it lay in the block before.
    let again =
        |around: &&Loop| nest.follows(access.buffer, around.axis) || !holds(around.body_bytes);
    let times: f64 = nest.scope.loops.iter().filter(again).map(|around| around.trips).product();
    bytes * times * access.weight
}
