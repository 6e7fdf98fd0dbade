//! The inner-loop attributes of the statements of a pass.
//!
//! Invariant: attributes only name axes of the value they stand at, or the vector axis of a reduction.

use crate::base::{AxisId, AxisSet};
use crate::schedule::PassConfig;
use crate::target::{TILE_ROW_BYTES, Target};
use crate::tile::{Buffer, Layout, Micro};

/// Bytes of a row of an operand that is copied in groups which are copied at once.
const STRIP_BYTES: u64 = 256;
/// Rows that a copy in groups fetches ahead.
const COPY_FETCH: u64 = 8;
/// Bytes of the narrowest lanes.
const LANE_BYTES: u64 = 4;

/// For a carry of a pass: the register tile over the result's axes and, in a reduction, the vector axis.
pub(super) fn of_carry(axes: &[AxisId], config: &PassConfig) -> Micro {
    let tile = config.micro.iter().map(|(&axis, &count)| (axis, count));
    let tile = tile.filter(|&(axis, count)| {
        config.vector == Some(axis) || (count > 1 && axes.contains(&axis))
    });
    Micro {
        tile: tile.collect(),
        vector: config.vector,
        order: order(axes, config),
        unroll: config.unroll,
        fetch: config.fetch,
        ahead: None,
        streaming: config.streaming,
        rising: false,
        chain: 0,
    }
}

/// For a scan of a pass: as a store, without the scanned axis.
pub(super) fn of_scan(axes: &[AxisId], scanned: AxisId, config: &PassConfig) -> Micro {
    let others: Vec<AxisId> = axes.iter().copied().filter(|&axis| axis != scanned).collect();
    of_store(&others, config)
}

/// For a store of a pass: as its carries, without the streamed axes.
pub(super) fn of_store(axes: &[AxisId], config: &PassConfig) -> Micro {
    let micro = of_carry(axes, config);
    let tile = micro.tile.into_iter().filter(|(axis, _)| axes.contains(axis)).collect();
    let vector = micro.vector.filter(|axis| axes.contains(axis));
    Micro { tile, vector, fetch: 0, ..micro }
}

/// For a copy of a value: along the innermost axis of the buffer, if the pass is vectorised and a panel is whole vectors.
/// Where the value's own neighbours lie along another axis, squares are copied, which a back end can transpose.
pub(super) fn of_copy(
    buffer: &Buffer,
    neighbours: Option<AxisId>,
    config: &PassConfig,
    target: &Target,
) -> Micro {
    // A lane holds a whole group, unless that is a row of a tile.
    let rows = |count: u64| count * buffer.dtype.bytes() >= TILE_ROW_BYTES;
    let lane_bytes = match buffer.layout {
        Layout::Panel { depth: Some((_, count)), .. } if rows(count) => LANE_BYTES,
        Layout::Panel { depth: Some((_, count)), .. } => buffer.dtype.bytes() * count,
        _ => buffer.dtype.bytes(),
    };
    let lanes = target.lanes(lane_bytes);
    let (axis, width) = match buffer.layout {
        Layout::Panel { depth: Some((axis, count)), .. } if rows(count) => (Some(axis), count),
        Layout::Panel { width: 1, depth: Some((axis, _)), .. } => (Some(axis), lanes),
        Layout::Panel { axis, width, .. } => (Some(axis), width),
        Layout::Rows | Layout::Strides(_) => (buffer.axes.last().copied(), lanes),
    };
    let vector = axis.filter(|_| width % lanes == 0 && config.vector.is_some());
    let across = neighbours.filter(|&axis| vector.is_some_and(|vector| vector != axis));
    // A whole row of a panel at once: from there the next panel is a constant away.
    let width = if across.is_some() { lanes } else { width };
    let deep = match buffer.layout {
        Layout::Panel { width, depth: Some((axis, count)), .. } if width > 1 && !rows(count) => {
            (across != Some(axis)).then_some((axis, count))
        }
        _ => None,
    };
    // Several panels at once, strip by strip: whole lines are read, and few places written.
    let strip = match deep {
        Some(_) => (STRIP_BYTES / (width * buffer.dtype.bytes())).max(1),
        None => 1,
    };
    let order = match (deep, vector) {
        (Some((depth, _)), Some(vector)) => {
            let others = buffer.axes.iter().copied().filter(|&of| of != depth && of != vector);
            others.chain([vector, depth]).collect()
        }
        _ => vec![],
    };
    let across = across.map(|axis| (axis, lanes)).into_iter().chain(deep);
    let tile = vector.map(|axis| (axis, width * strip)).into_iter().chain(across).collect();
    let fetch = if deep.is_some() { COPY_FETCH } else { 0 };
    Micro { tile, vector, order, fetch, ..Micro::default() }
}

fn order(axes: &[AxisId], config: &PassConfig) -> Vec<AxisId> {
    let present: AxisSet = axes.iter().copied().collect();
    let order: Vec<AxisId> =
        config.order.iter().copied().filter(|&axis| present.contains(axis)).collect();
    if order == axes { vec![] } else { order }
}
