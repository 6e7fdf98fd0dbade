//! A statement as a loop nest: the loops around it, its register tiles, and how often each part of it runs.
//!
//! Along an axis the work of a block is the mean over all blocks, ragged ones included, so that what does not divide is
//! paid for. Invariant: counts are those of one visit of the innermost loop around the statement; `Scope::times` says
//! how many visits there are.

use super::machine::Machine;
use crate::base::{AxisId, AxisSet, BufferId, Expr, ExprRef as _, LocalId};
use crate::tile::{Carry, For, Micro, Phase, Place, Span, Stmt, TileProgram};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The parts of the loops around after which it is looked how many blocks a bounded loop visits.
const PARTS: [f64; 4] = [0.125, 0.375, 0.625, 0.875];

/// A loop around a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    pub(super) axis: AxisId,
    pub(super) step: u64,
    /// Blocks that are visited.
    pub(super) trips: f64,
    /// Bytes that one trip touches, whatever the statement.
    pub(super) body_bytes: f64,
    /// Whether it is of the grid.
    pub(super) is_grid: bool,
}

/// The loops around a place in a phase.
#[derive(Clone, Debug)]
pub(super) struct Scope<'a> {
    program: &'a TileProgram,
    /// Outermost first.
    pub(super) loops: Vec<Loop>,
    /// Which statement of the body around it each loop is.
    pub(super) path: Vec<usize>,
    pub(super) threads: f64,
    lets: Rc<BTreeMap<LocalId, &'a Expr>>,
}

impl<'a> Scope<'a> {
    /// The grid of a phase.
    pub(super) fn of(program: &'a TileProgram, phase: &'a Phase, machine: &Machine) -> Self {
        let mut lets = BTreeMap::new();
        collect_lets(&phase.body, &mut lets);
        let threads = (phase.grid.threads as f64).min(machine.target.threads as f64).max(1.0);
        let mut scope = Self { program, loops: vec![], path: vec![], threads, lets: Rc::new(lets) };
        for &(axis, step) in &phase.grid.axes {
            let trips = blocks(program.axes.extent(axis), step) as f64;
            scope.loops.push(Loop { axis, step, trips, body_bytes: 0.0, is_grid: true });
            scope.path.push(0);
        }
        let touched = touched(&phase.body, &scope.lets);
        scope.weigh(0, &touched);
        scope
    }

    /// The body of a loop, the statement of that number here.
    pub(super) fn inside(&self, number: usize, of: &For) -> Self {
        let mut scope = self.clone();
        for &(axis, step) in &of.axes {
            let extent = self.program.axes.extent(axis);
            let all = blocks(extent, step) as f64;
            let trips = match of.bounds.get(&axis) {
                Some(bounds) => {
                    let visited = |part: f64| {
                        let (from, to) =
                            bounds.visited((extent, step), &|other| self.block_at(other, part));
                        blocks(to.saturating_sub(from), step) as f64
                    };
                    PARTS.map(visited).iter().sum::<f64>() / PARTS.len() as f64
                }
                None => all,
            };
            scope.loops.push(Loop { axis, step, trips, body_bytes: 0.0, is_grid: false });
            scope.path.push(number);
        }
        let mut touched = touched(&of.body, &self.lets);
        touched.extend(of.carries.iter().flat_map(|carry| carried(carry, &self.lets)));
        scope.weigh(self.loops.len(), &touched);
        scope
    }

    /// First and last index of the block of an axis that is visited after that part of its loop.
    fn block_at(&self, axis: AxisId, part: f64) -> (i64, i64) {
        let extent = self.program.axes.extent(axis);
        let (first, step) = match self.loops.iter().find(|of| of.axis == axis) {
            Some(of) => ((blocks(extent, of.step) as f64 * part) as u64 * of.step, of.step),
            None => (0, extent),
        };
        let signed = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        let last = first.saturating_add(step).min(extent).saturating_sub(1);
        (signed(first.min(last)), signed(last))
    }

    /// Notes what a trip of each loop from `first` on touches.
    fn weigh(&mut self, first: usize, touched: &BTreeSet<BufferId>) {
        for place in first..self.loops.len() {
            let (around, _) = self.loops.split_at(place + 1);
            let bytes = touched.iter().map(|&buffer| block_bytes(self.program, buffer, around));
            self.loops[place].body_bytes = bytes.sum();
        }
    }

    /// How often the place is visited.
    pub(super) fn times(&self) -> f64 {
        self.loops.iter().map(|of| of.trips).product()
    }

    /// Iterations of the grid.
    pub(super) fn iterations(&self) -> f64 {
        self.loops.iter().filter(|of| of.is_grid).map(|of| of.trips).product()
    }

    /// The part of an axis that one visit covers.
    fn side(&self, axis: AxisId) -> Side {
        let extent = self.program.axes.extent(axis);
        let step = self.loops.iter().find(|of| of.axis == axis).map_or(extent, |of| of.step);
        Side { extent, step: step.min(extent) }
    }
}

/// Blocks of a step that an extent has.
fn blocks(extent: u64, step: u64) -> u64 {
    extent.div_ceil(step.max(1))
}

/// The bytes of a buffer that are touched while loops stand still.
pub(super) fn block_bytes(program: &TileProgram, buffer: BufferId, around: &[Loop]) -> f64 {
    let of = &program.buffers[buffer.index()];
    let sides = of.axes.iter().enumerate().map(|(position, &axis)| {
        let bound = around.iter().find(|of| of.axis == axis).map(|of| of.step);
        let span = of.span(position, &program.axes);
        bound.map_or(span, |step| step.min(span)) as f64
    });
    sides.product::<f64>() * f64::from(of.dtype.bits()) / 8.0
}

fn collect_lets<'a>(body: &'a [Stmt], lets: &mut BTreeMap<LocalId, &'a Expr>) {
    for stmt in body {
        match stmt {
            Stmt::Let { local, expr } => {
                lets.insert(*local, expr);
            }
            Stmt::For(of) => collect_lets(&of.body, lets),
            Stmt::Stage { .. } | Stmt::Store { .. } | Stmt::Scan(_) => {}
        }
    }
}

/// The buffers that statements read or write.
fn touched(body: &[Stmt], lets: &BTreeMap<LocalId, &Expr>) -> BTreeSet<BufferId> {
    let mut all = BTreeSet::new();
    for stmt in body {
        match stmt {
            Stmt::Let { .. } => {}
            Stmt::Stage { buffer, expr, .. } | Stmt::Store { buffer, expr, .. } => {
                all.insert(*buffer);
                all.extend(read(expr, lets));
            }
            Stmt::Scan(scan) => {
                all.insert(scan.buffer);
                all.extend(read(&scan.expr, lets));
            }
            Stmt::For(of) => {
                all.extend(touched(&of.body, lets));
                all.extend(of.carries.iter().flat_map(|carry| carried(carry, lets)));
            }
        }
    }
    all
}

fn carried(carry: &Carry, lets: &BTreeMap<LocalId, &Expr>) -> BTreeSet<BufferId> {
    let mut all = read(&carry.next, lets);
    all.extend(carry.last.iter().flat_map(|last| read(last, lets)));
    all.extend(place(carry));
    all
}

fn read(expr: &Expr, lets: &BTreeMap<LocalId, &Expr>) -> BTreeSet<BufferId> {
    let mut all = BTreeSet::new();
    expr.walk(&mut |part: &Expr| {
        all.extend(part.read_buffer());
        if let Expr::Local(local) = part
            && let Some(of) = lets.get(local)
        {
            all.extend(read(of, lets));
        }
    });
    all
}

/// The buffer in which a carry lives, where it has a name.
pub(super) fn place(carry: &Carry) -> Option<BufferId> {
    match carry.place {
        Place::Out(buffer) => Some(buffer),
        Place::Group => None,
    }
}

/// The part of an axis that blocks of a step cover, one at a time.
#[derive(Clone, Copy, Debug)]
struct Side {
    extent: u64,
    step: u64,
}

impl Side {
    /// The mean over the blocks of what is counted in each.
    fn mean(self, count: impl Fn(u64) -> u64) -> f64 {
        let step = self.step.max(1);
        let (full, rest) = (self.extent / step, self.extent % step);
        let all = full as f64 * count(step) as f64 + count(rest) as f64;
        all / (full + u64::from(rest > 0)).max(1) as f64
    }
}

/// A statement with its loops.
#[derive(Debug)]
pub(super) struct Nest<'a> {
    pub(super) program: &'a TileProgram,
    pub(super) scope: &'a Scope<'a>,
    /// The axes of the result in memory order.
    pub(super) axes: &'a [AxisId],
    pub(super) micro: &'a Micro,
    /// Where the result goes, if that has a name.
    pub(super) target: Option<BufferId>,
    pub(super) expr: &'a Expr,
}

/// How many elements along some axes one instruction takes.
pub(super) type Units = [(AxisId, u64)];

impl<'a> Nest<'a> {
    pub(super) fn new(
        program: &'a TileProgram,
        scope: &'a Scope<'a>,
        (axes, micro): (&'a [AxisId], &'a Micro),
        target: Option<BufferId>,
        expr: &'a Expr,
    ) -> Self {
        Self { program, scope, axes, micro, target, expr }
    }

    /// The value of a `let`.
    pub(super) fn meaning(&self, local: LocalId) -> Option<&'a Expr> {
        self.scope.lets.get(&local).copied()
    }

    /// Elements of the register tile along an axis.
    pub(super) fn tile(&self, axis: AxisId) -> u64 {
        let given = self.micro.tile.iter().find(|(of, _)| *of == axis);
        given.map_or(1, |(_, tile)| (*tile).max(1))
    }

    /// Elements of a block.
    pub(super) fn elements(&self, axis: AxisId) -> f64 {
        self.scope.side(axis).mean(|length| length)
    }

    /// Register tiles of a block.
    pub(super) fn tiles(&self, axis: AxisId) -> f64 {
        let tile = self.tile(axis);
        self.scope.side(axis).mean(|length| length.div_ceil(tile))
    }

    /// Units of all register tiles of a block.
    fn in_units(&self, axis: AxisId, units: &Units) -> f64 {
        let Some((_, unit)) = units.iter().find(|(of, _)| *of == axis) else {
            return self.elements(axis);
        };
        let (unit, tile) = ((*unit).max(1), self.tile(axis).max(*unit));
        self.scope
            .side(axis)
            .mean(|length| length / tile * tile.div_ceil(unit) + (length % tile).div_ceil(unit))
    }

    /// How often something that varies over `axes` is done in a visit, inside of a reduction over `reduced`: once for each
    /// unit of its own axes, and again in each register tile of the others.
    pub(super) fn count(&self, axes: AxisSet, reduced: AxisSet, units: &Units) -> f64 {
        let own = self.axes.iter().filter(|axis| !reduced.contains(**axis)).map(|&axis| match axes
            .contains(axis)
        {
            true => self.in_units(axis, units),
            false => self.tiles(axis),
        });
        let folded = (axes & reduced).iter().map(|axis| self.in_units(axis, units));
        own.chain(folded).product()
    }

    /// Units of one register tile.
    pub(super) fn accumulators(&self, reduced: AxisSet, units: &Units) -> f64 {
        let along = |&(axis, tile): &(AxisId, u64)| {
            let unit = units.iter().find(|(of, _)| *of == axis).map_or(1, |(_, unit)| *unit);
            let inside = tile.min(self.scope.side(axis).step.max(1));
            // Of an axis that is reduced only lanes and vectors side by side are accumulators.
            match reduced.contains(axis) && Some(axis) != self.micro.vector {
                true => 1.0,
                false => inside.div_ceil(unit.max(1)) as f64,
            }
        };
        self.micro.tile.iter().map(along).product()
    }

    /// The axes of an expression that loops of the nest run over; those of a buffer's block too.
    pub(super) fn axes_of(&self, expr: &Expr) -> AxisSet {
        expr.axes(self.program)
    }

    /// Whether neighbours along the vector axis lie side by side in a buffer, or do not vary along it.
    pub(super) fn is_near(&self, buffer: BufferId) -> bool {
        let Some(vector) = self.micro.vector else { return true };
        let of = &self.program.buffers[buffer.index()];
        if !self.program.buffer(buffer).1.contains(vector) {
            return true;
        }
        match &of.layout {
            crate::tile::Layout::Rows => of.axes.last() == Some(&vector),
            crate::tile::Layout::Panel { axis, depth, .. } => {
                *axis == vector || depth.is_some_and(|(deep, _)| deep == vector)
            }
            crate::tile::Layout::Strides(strides) => {
                let position = of.axes.iter().position(|&axis| axis == vector);
                position.is_some_and(|position| strides.get(position) == Some(&1))
            }
        }
    }

    /// Whether the position of a buffer's block follows the loop over an axis.
    pub(super) fn follows(&self, buffer: BufferId, axis: AxisId) -> bool {
        let of = &self.program.buffers[buffer.index()];
        let position = of.axes.iter().position(|&own| own == axis);
        position.is_some_and(|position| of.spans[position] == Span::Whole)
    }
}
