//! Identifiers in range, names unique, every name declared once, buffers in order.
//!
//! Invariant: when this finds no fault, every identifier in the program can be looked up.

use super::super::{Buffer, For, Layout, Micro, Place, Scope, Span, Stmt, TileProgram};
use super::{Report, code};
use crate::base::{AxisId, AxisSet, BufferId, Expr, LocalId};
use std::collections::BTreeSet;

/// The largest extent: positions along an axis are `i32`.
const EXTENT_MAX: u64 = i32::MAX as u64;
/// The largest buffer, so that byte offsets never overflow.
const BYTES_MAX: u64 = 1 << 46;

/// Checks everything that can be seen without the order of execution.
pub(super) fn check(program: &TileProgram, report: &mut Report) {
    let mut checker = Checker {
        program,
        report,
        buffers: vec![0; program.buffers.len()],
        locals: vec![0; program.locals.len()],
    };
    checker.axes();
    checker.names();
    program.buffers.iter().for_each(|buffer| checker.buffer(buffer));
    for phase in &program.phases {
        checker.report.place = format!("phase `{}`", phase.name);
        checker.steps(&phase.grid.axes);
        if phase.grid.threads == 0 {
            checker.fault("a grid runs on at least one thread", "say threads(1)");
        }
        for &buffer in &phase.group {
            checker.declare_buffer(buffer);
        }
        checker.body(&phase.body);
    }
    checker.report.place.clear();
    checker.declared_once();
}

struct Checker<'a> {
    program: &'a TileProgram,
    report: &'a mut Report,
    /// Declarations seen of each buffer and each local.
    buffers: Vec<usize>,
    locals: Vec<usize>,
}

impl Checker<'_> {
    fn fault(&mut self, what: &str, help: &str) {
        self.report.fault(code::STRUCTURE, what, help);
    }

    fn axes(&mut self) {
        let axes = &self.program.axes;
        for axis in axes.ids() {
            if axes.extent_if_bound(axis).is_none_or(|extent| extent > EXTENT_MAX) {
                let what =
                    format!("the extent of `{}` is not known or above 2^31-1", axes.name(axis));
                self.fault(&what, "bind every axis to an extent that an i32 holds");
            }
        }
        if axes.is_empty() {
            return;
        }
        for local in &self.program.locals {
            if local.axes.iter().any(|axis| axis.index() >= axes.len()) {
                let what = format!("`{}` varies over an axis that does not exist", local.name);
                self.fault(&what, "declare the axis in `extents`");
            }
        }
    }

    fn names(&mut self) {
        let program = self.program;
        let lists: [(&str, Vec<&str>); 3] = [
            ("buffers", program.buffers.iter().map(|buffer| buffer.name.as_str()).collect()),
            ("locals", program.locals.iter().map(|local| local.name.as_str()).collect()),
            ("phases", program.phases.iter().map(|phase| phase.name.as_str()).collect()),
        ];
        for (what, names) in lists {
            let mut seen = BTreeSet::new();
            for name in names {
                if !seen.insert(name) {
                    self.fault(&format!("two {what} have the name `{name}`"), "rename one");
                }
            }
        }
        let rank = |buffer: &Buffer| match buffer.scope {
            Scope::Input => 0,
            Scope::Output => 1,
            Scope::Device | Scope::Group => 2,
        };
        if !program.buffers.is_sorted_by_key(rank) {
            self.fault(
                "the buffers are out of order",
                "inputs, outputs, then device and group buffers",
            );
        }
    }

    fn buffer(&mut self, buffer: &Buffer) {
        self.report.place = format!("buffer `{}`", buffer.name);
        self.distinct(&buffer.axes);
        if buffer.spans.len() != buffer.axes.len() {
            return self.fault("there is not one span for each axis", "give every axis a span");
        }
        if buffer.scope != Scope::Group && buffer.spans.iter().any(|span| *span != Span::Whole) {
            self.fault("only a group buffer holds a block", "let it hold the whole axis");
        }
        if buffer.spans.contains(&Span::Block(0)) {
            self.fault("a block holds at least one element", "use the step of the loop");
        }
        let argument = matches!(buffer.scope, Scope::Input | Scope::Output);
        match &buffer.layout {
            Layout::Panel { .. } if argument => {
                self.fault("an argument is row-major", "stage it into a group buffer with panels");
            }
            Layout::Panel { axis, width, .. } if *width == 0 || !buffer.axes.contains(axis) => {
                self.fault("panels need an axis of the buffer and a width", "panel(axis:8)");
            }
            Layout::Panel { axis, depth: Some((deep, count)), .. }
                if *count == 0 || deep == axis || !buffer.axes.contains(deep) =>
            {
                let way_out = "panel(axis:8, other:2)";
                self.fault("a depth needs another axis of the buffer and a count", way_out);
            }
            Layout::Panel { depth, groups, .. }
                if *groups == 0 || depth.is_none() && *groups > 1 =>
            {
                self.fault("there are no such groups", "panel(axis:8, other:2) groups(16)");
            }
            Layout::Strides(_) if buffer.scope != Scope::Input || buffer.dtype.bits() < 8 => {
                self.fault("this buffer has no strides", "only inputs of whole bytes have them");
            }
            Layout::Strides(strides) if strides.len() != buffer.axes.len() => {
                return self.fault("there is not one stride for each axis", "give every axis one");
            }
            Layout::Panel { .. } | Layout::Rows | Layout::Strides(_) => {}
        }
        let axes = &self.program.axes;
        let sound = buffer
            .axes
            .iter()
            .all(|&axis| axis.index() < axes.len() && axes.extent_if_bound(axis).is_some());
        if sound && buffer.dtype.bytes_of(buffer.volume(&self.program.axes)) > BYTES_MAX {
            self.fault("the buffer has more than 2^46 bytes", "bind smaller extents");
        }
        self.report.place.clear();
    }

    fn distinct(&mut self, axes: &[AxisId]) {
        axes.iter().for_each(|&axis| self.axis(axis));
        let set: AxisSet = axes.iter().copied().filter(|axis| axis.0 < 64).collect();
        if set.len() != axes.len() {
            self.fault("an axis is named twice", "name every axis once");
        }
    }

    fn axis(&mut self, axis: AxisId) {
        if axis.index() >= self.program.axes.len() {
            self.fault(&format!("there is no axis {}", axis.0), "declare it in `extents`");
        }
    }

    fn buffer_id(&mut self, buffer: BufferId) {
        if buffer.index() >= self.program.buffers.len() {
            self.fault(&format!("there is no buffer {}", buffer.0), "declare it");
        }
    }

    fn local_id(&mut self, local: LocalId) {
        if local.index() >= self.program.locals.len() {
            self.fault(&format!("there is no local {}", local.0), "declare it");
        }
    }

    fn declare_buffer(&mut self, buffer: BufferId) {
        self.buffer_id(buffer);
        if let Some(count) = self.buffers.get_mut(buffer.index()) {
            *count += 1;
        }
    }

    fn declare_local(&mut self, local: LocalId) {
        self.local_id(local);
        if let Some(count) = self.locals.get_mut(local.index()) {
            *count += 1;
        }
    }

    fn steps(&mut self, axes: &[(AxisId, u64)]) {
        axes.iter().for_each(|&(axis, _)| self.axis(axis));
    }

    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { local, expr } => {
                    self.declare_local(*local);
                    self.expr(expr);
                }
                Stmt::Stage { buffer, expr, micro } => {
                    self.declare_buffer(*buffer);
                    self.expr(expr);
                    self.micro(micro);
                }
                Stmt::Store { buffer, expr, micro } => {
                    self.buffer_id(*buffer);
                    self.expr(expr);
                    self.micro(micro);
                }
                Stmt::Scan(scan) => {
                    self.buffer_id(scan.buffer);
                    self.axis(scan.axis);
                    self.expr(&scan.expr);
                    self.micro(&scan.micro);
                }
                Stmt::For(inner) => self.r#for(inner),
            }
        }
    }

    fn r#for(&mut self, inner: &For) {
        self.steps(&inner.axes);
        for (&axis, bounds) in &inner.bounds {
            self.axis(axis);
            for &of in bounds.affine().flat_map(|bound| bound.factors.keys()) {
                self.axis(of);
            }
            if !inner.axes.iter().any(|&(looped, _)| looped == axis) {
                self.fault("bounds of an axis that the loop does not run over", "leave them out");
            }
        }
        for carry in &inner.carries {
            self.declare_local(carry.local);
            self.distinct(&carry.axes);
            if let Place::Out(buffer) = carry.place {
                self.buffer_id(buffer);
            }
            self.expr(&carry.next);
            carry.last.iter().for_each(|last| self.expr(last));
            self.micro(&carry.micro);
        }
        self.body(&inner.body);
    }

    fn micro(&mut self, micro: &Micro) {
        micro.tile.iter().for_each(|&(axis, _)| self.axis(axis));
        micro.order.iter().chain(&micro.vector).for_each(|&axis| self.axis(axis));
        micro.ahead.iter().for_each(|&(axis, _)| self.axis(axis));
    }

    fn expr(&mut self, expr: &Expr) {
        expr.walk(&mut |part: &Expr| match part {
            Expr::Local(local) => self.local_id(*local),
            Expr::Load(buffer) => self.buffer_id(*buffer),
            Expr::At(buffer, picks) => self.picks(*buffer, picks),
            Expr::Index(axis) | Expr::Len(axis) => self.axis(*axis),
            Expr::Reduce(_, axes, _) | Expr::Mma(axes, ..) => {
                axes.iter().for_each(|axis| self.axis(axis));
            }
            _ => {}
        });
    }

    /// The replaced axes of a gathered buffer.
    fn picks(&mut self, buffer: BufferId, picks: &[(AxisId, Expr)]) {
        self.buffer_id(buffer);
        let Some(buffer) = self.program.buffers.get(buffer.index()) else { return };
        let ascending = !picks.is_empty() && picks.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending || picks.iter().any(|pick| !buffer.axes.contains(&pick.0)) {
            let what = format!("`at {}` does not replace axes of the buffer", buffer.name);
            self.fault(&what, "name axes of the buffer, each once");
        }
        if matches!(buffer.layout, Layout::Panel { .. }) {
            let what = format!("`at {}` reads a buffer with panels", buffer.name);
            self.fault(&what, "what is gathered from is row-major or has strides");
        }
    }

    /// Group buffers and locals are declared by exactly one statement, other buffers by none.
    fn declared_once(&mut self) {
        let program = self.program;
        for (buffer, count) in program.buffers.iter().zip(self.buffers.clone()) {
            if count != usize::from(buffer.scope == Scope::Group) {
                let what = format!("the buffer `{}` is declared {count} times", buffer.name);
                self.fault(&what, "a group buffer is declared once, by `group` or `stage`");
            }
        }
        for (local, count) in program.locals.iter().zip(self.locals.clone()) {
            if count != 1 {
                let what = format!("the local `{}` is declared {count} times", local.name);
                self.fault(&what, "a local is declared once, by `let` or `carry`");
            }
        }
    }
}
