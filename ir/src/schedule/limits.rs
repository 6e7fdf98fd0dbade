//! What a lowered program takes of the memories, and what it may.
//!
//! Invariant: the count is of the tile program itself, so nothing that lowering adds escapes it.

use crate::base::{AxisId, AxisTable, ExprRef};
use crate::target::Target;
use crate::tile::{Phase, Place, Scope, Stmt, TileProgram};

/// Scratch is at least this, however small the caches.
const GROUP_BYTES_MIN: u64 = 8 << 20;
/// All device buffers together.
const DEVICE_BYTES_MAX: u64 = 512 << 20;

/// Says which memory a program exceeds.
pub(super) fn exceeded(program: &TileProgram, target: &Target) -> Option<String> {
    let most = (target.memory_bytes("L2").saturating_mul(4)).max(GROUP_BYTES_MIN);
    let axes = &program.axes;
    for phase in &program.phases {
        let bytes = group_bytes(program, phase);
        if bytes > most {
            let name = &phase.name;
            return Some(format!("the phase {name} needs {bytes} bytes of scratch of {most}"));
        }
    }
    let device = program.buffers.iter().filter(|buffer| buffer.scope == Scope::Device);
    let bytes = device
        .fold(0_u64, |all, buffer| all.saturating_add(buffer.dtype.bytes_of(buffer.volume(axes))));
    (bytes > DEVICE_BYTES_MAX)
        .then(|| format!("the buffers between phases need {bytes} bytes of {DEVICE_BYTES_MAX}"))
}

/// Scratch of one grid iteration.
pub(super) fn group_bytes(program: &TileProgram, phase: &Phase) -> u64 {
    let buffer = |&buffer: &crate::base::BufferId| {
        let buffer = &program.buffers[buffer.index()];
        buffer.dtype.bytes_of(buffer.volume(&program.axes))
    };
    let head = phase.group.iter().map(buffer).fold(0_u64, u64::saturating_add);
    let mut loops = phase.grid.axes.clone();
    head.saturating_add(body_bytes(program, &phase.body, &mut loops))
}

fn body_bytes(program: &TileProgram, body: &[Stmt], loops: &mut Vec<(AxisId, u64)>) -> u64 {
    let mut bytes = 0_u64;
    for stmt in body {
        bytes = bytes.saturating_add(match stmt {
            Stmt::Let { .. } | Stmt::Store { .. } => 0,
            Stmt::Stage { buffer, .. } => {
                let buffer = &program.buffers[buffer.index()];
                buffer.dtype.bytes_of(buffer.volume(&program.axes))
            }
            Stmt::For(inner) => {
                let group = inner.carries.iter().filter(|carry| carry.place == Place::Group);
                let carried = group.fold(0_u64, |all, carry| {
                    let volume = block_volume(&program.axes, &carry.axes, loops);
                    all.saturating_add(program.local(carry.local).0.bytes_of(volume))
                });
                let outside = loops.len();
                loops.extend(&inner.axes);
                let inside = body_bytes(program, &inner.body, loops);
                loops.truncate(outside);
                carried.saturating_add(inside)
            }
        });
    }
    bytes
}

fn block_volume(table: &AxisTable, axes: &[AxisId], loops: &[(AxisId, u64)]) -> u64 {
    axes.iter().fold(1, |volume: u64, &axis| {
        let extent = table.extent(axis);
        let step = loops.iter().find(|(of, _)| *of == axis).map_or(extent, |&(_, step)| step);
        volume.saturating_mul(step.min(extent))
    })
}
