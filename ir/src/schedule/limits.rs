//! What a lowered program takes of the memories, and what it may.
//!
//! Invariant: the count is of the tile program itself, so nothing that lowering adds escapes it.

use crate::base::{AxisId, AxisTable, ExprRef};
use crate::target::Target;
use crate::tile::{Phase, Place, Scope, Stmt, TileProgram};
use std::fmt;

/// Scratch is at least this, however small the caches.
const GROUP_BYTES_MIN: u64 = 8 << 20;
/// All device buffers together.
const DEVICE_BYTES_MAX: u64 = 512 << 20;

/// A memory that a program takes too much of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// The scratch of a phase.
    Group { phase: String, bytes: u64, most: u64 },
    /// The buffers between phases.
    Device { bytes: u64 },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { phase, bytes, most } => {
                write!(f, "the phase {phase} needs {bytes} bytes of scratch, above {most}")
            }
            Self::Device { bytes } => {
                write!(f, "the buffers between phases need {bytes} bytes, above {DEVICE_BYTES_MAX}")
            }
        }
    }
}

/// Scratch that one grid iteration may take.
pub(super) fn group_bytes_max(target: &Target) -> u64 {
    target.memory_bytes("L2").saturating_mul(4).max(GROUP_BYTES_MIN)
}

/// Says which memory a program exceeds.
pub(super) fn exceeded(program: &TileProgram, target: &Target) -> Option<Exceeded> {
    let most = group_bytes_max(target);
    for phase in &program.phases {
        let bytes = group_bytes(program, phase);
        if bytes > most {
            return Some(Exceeded::Group { phase: phase.name.clone(), bytes, most });
        }
    }
    let device = program.buffers.iter().filter(|buffer| buffer.scope == Scope::Device);
    let bytes = device.fold(0_u64, |all, buffer| {
        all.saturating_add(buffer.dtype.bytes_of(buffer.volume(&program.axes)))
    });
    (bytes > DEVICE_BYTES_MAX).then_some(Exceeded::Device { bytes })
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
            Stmt::Let { .. } | Stmt::Store { .. } | Stmt::Scan(_) => 0,
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
