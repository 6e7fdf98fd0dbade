//! What one expression needs where it stands: names with values, memory that is written, blocks that fit, reductions
//! that are short and not nested.
//!
//! A `let` is evaluated where it is used. That is only the same as where it is defined if nothing it depends on
//! changes in between, so a use after such a change is refused. Invariant: the facts of a `let` include those of the
//! lets in it.

use super::super::{Layout, Micro, Place, Scope, Span, Stmt};
use super::walk::{Known, Walker};
use super::{code, types};
use crate::base::{AxisId, AxisSet, BufferId, DType, Expr, LocalId, ReduceOp, Row, additions_max};
use crate::target::{TILE_ROW_BYTES, tile_additions};
use std::collections::{BTreeMap, BTreeSet};

/// What the value of an expression depends on.
#[derive(Clone, Default)]
pub(super) struct Facts {
    /// The axes of all reductions in it.
    pub(super) reduced: AxisSet,
    /// The sums in it: axes and type of the terms.
    sums: BTreeMap<Sum, u64>,
    /// The buffers it loads, and how often they had been written when the name was defined.
    pub(super) loads: BTreeMap<BufferId, u32>,
    /// The axes that loops had bound where the name was defined.
    pub(super) bound: AxisSet,
}

/// A sum: its axes, the type of its terms, and how tile registers may add them.
type Sum = (AxisSet, DType, Option<(AxisId, u64)>);

impl Facts {
    fn join(&mut self, other: &Self) {
        self.reduced |= other.reduced;
        for (sum, count) in &other.sums {
            *self.sums.entry(*sum).or_default() += count;
        }
        self.loads.extend(&other.loads);
    }
}

impl Walker<'_> {
    /// Checks a value that is computed here over `axes` by the inner loops `micro` (an epilogue has none of its own);
    /// the axes that it reduces.
    pub(super) fn stored_value(
        &mut self,
        expr: &Expr,
        axes: AxisSet,
        dtype: DType,
        micro: Option<&Micro>,
    ) -> Facts {
        let facts = self.value(expr, axes, dtype);
        if let Some(micro) = micro {
            self.micro(micro, axes, facts.reduced);
        }
        for (&sum, &count) in &facts.sums {
            self.chain(sum, count, micro);
        }
        facts
    }

    /// Checks type, axes and parts of a value; what it depends on.
    pub(super) fn value(&mut self, expr: &Expr, axes: AxisSet, dtype: DType) -> Facts {
        types::check(self.program, expr, self.report);
        let found = expr.dtype(self.program);
        if found != dtype {
            let what = format!("the value is {found}, its place {dtype}");
            self.fault(code::TYPES, &what, &format!("convert it: {dtype}(..)"));
        }
        let extra = expr.axes(self.program) - axes;
        if !extra.is_empty() {
            let names = self.program.axes.names(extra.iter());
            let what = format!("the value varies over {names}, its place does not");
            self.fault(code::AXES, &what, "reduce the axis, or give the place that axis");
        }
        self.facts(expr)
    }

    /// Checks the names and reductions of an expression; what it depends on.
    fn facts(&mut self, expr: &Expr) -> Facts {
        match expr {
            Expr::Local(local) => return self.local(*local),
            Expr::Load(buffer) => {
                self.load(*buffer);
                let version = self.buffers[buffer.index()].version;
                return Facts { loads: BTreeMap::from([(*buffer, version)]), ..Facts::default() };
            }
            _ => {}
        }
        let mut facts = Facts::default();
        if let Expr::At(buffer, _) = expr {
            self.gather(*buffer);
            facts.loads.insert(*buffer, self.buffers[buffer.index()].version);
        }
        let mut summed = AxisSet::EMPTY;
        for (position, child) in expr.children().into_iter().enumerate() {
            let child = self.facts(child);
            // The accumulator of an `mma` stands outside its reduction.
            if !(matches!(expr, Expr::Mma(..)) && position == 2) {
                summed |= child.reduced;
            }
            facts.join(&child);
        }
        if let Expr::Reduce(_, axes, _) | Expr::Mma(axes, ..) = expr {
            self.reduction(expr, *axes, summed);
            facts.reduced |= *axes;
        }
        if let Expr::Reduce(ReduceOp::Sum, axes, x) | Expr::Mma(axes, x, ..) = expr {
            let sum = (*axes, x.dtype(self.program), self.tile_terms(expr));
            *facts.sums.entry(sum).or_default() += 1;
        }
        facts
    }

    fn reduction(&mut self, expr: &Expr, axes: AxisSet, inner: AxisSet) {
        if axes.is_empty() {
            self.fault(code::NESTED, "a reduction over no axis", "name an axis or leave it out");
        }
        if matches!(expr, Expr::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, _, _)) && axes.len() > 1
        {
            let what = "a position among several axes is no index";
            self.fault(code::NESTED, what, "reduce one axis");
        }
        let both = axes & inner;
        if !both.is_empty() {
            let names = self.program.axes.names(both.iter());
            let what = format!("a reduction over {names} inside a reduction over {names}");
            self.fault(code::NESTED, &what, "stage the inner one, or carry it in a loop before");
        }
    }

    fn local(&mut self, local: LocalId) -> Facts {
        let name = &self.program.locals[local.index()].name;
        let facts = match &self.locals[local.index()] {
            Known::Let(facts) => facts.clone(),
            Known::Carry => return Facts::default(),
            Known::Nothing => {
                let what = format!("`{name}` has no value here");
                self.fault(code::LOCALS, &what, "define it before, in this block or around it");
                return Facts::default();
            }
        };
        let stale = facts
            .loads
            .iter()
            .find(|(buffer, version)| self.buffers[buffer.index()].version != **version);
        if let Some((buffer, _)) = stale {
            let buffer = &self.program.buffers[buffer.index()].name;
            let what = format!("`{name}` loads `{buffer}`, which is written after its definition");
            self.fault(code::LOCALS, &what, "define it after the write, or stage its value");
        }
        let narrowed = facts.reduced & (self.bound() - facts.bound);
        if !narrowed.is_empty() {
            let names = self.program.axes.names(narrowed.iter());
            let what = format!("`{name}` reduces {names}, over which a loop between has begun");
            self.fault(code::LOCALS, &what, "define it inside the loop, or stage its value");
        }
        facts
    }

    fn load(&mut self, buffer: BufferId) {
        let declared = &self.program.buffers[buffer.index()];
        let state = &self.buffers[buffer.index()];
        let readable = match declared.scope {
            Scope::Input => true,
            Scope::Output => self.is_finished(buffer) || self.is_own(buffer),
            Scope::Device => self.is_finished(buffer),
            Scope::Group => state.visible && state.written,
        };
        if !readable {
            let what = format!("`{}` is loaded before it is written", declared.name);
            let help = match declared.scope {
                Scope::Group => "stage or store it before, in this block or around it",
                _ => "write it in an earlier phase",
            };
            self.fault(code::UNWRITTEN, &what, help);
        }
        self.spans(buffer);
    }

    /// Whether an earlier phase has stored a result.
    fn is_finished(&self, buffer: BufferId) -> bool {
        self.buffers[buffer.index()].phase.is_some_and(|phase| phase < self.phase)
    }

    /// A gather may read any element, so all of them have to be there: an input, or a result of an earlier phase.
    fn gather(&mut self, buffer: BufferId) {
        let scope = self.program.buffers[buffer.index()].scope;
        if scope == Scope::Input || scope != Scope::Group && self.is_finished(buffer) {
            return self.load(buffer);
        }
        if scope != Scope::Group {
            let name = &self.program.buffers[buffer.index()].name;
            let what = format!("`{name}` is gathered from before all of it is written");
            return self.fault(code::UNWRITTEN, &what, "write it in an earlier phase");
        }
        let name = &self.program.buffers[buffer.index()].name;
        let what = format!("`{name}` is group memory, which may hold a part of what is gathered");
        self.fault(code::UNWRITTEN, &what, "gather from an input, or from an earlier phase");
    }

    /// A buffer that holds a block is used inside a loop with blocks of that size.
    pub(super) fn spans(&mut self, buffer: BufferId) {
        self.spans_among(buffer, &[]);
    }

    /// As `spans`, where the buffer may also hold a block of one of these loops.
    pub(super) fn spans_among(&mut self, buffer: BufferId, inside: &[(AxisId, u64)]) {
        let buffer = &self.program.buffers[buffer.index()];
        for (axis, span) in buffer.axes.iter().zip(&buffer.spans) {
            let Span::Block(block) = span else { continue };
            if self.step(*axis) != Some(*block) && !inside.contains(&(*axis, *block)) {
                let axis = self.program.axes.name(*axis);
                let what =
                    format!("`{}` holds {block} of `{axis}`, no loop here does", buffer.name);
                self.fault(code::SPANS, &what, "use the step of a loop around it, or hold it all");
            }
        }
    }

    /// Elements of the current block of an axis.
    pub(super) fn block(&self, axis: AxisId) -> u64 {
        let extent = self.program.axes.extent(axis);
        self.step(axis).map_or(extent, |step| step.min(extent))
    }

    /// Checks that no term of a float sum passes through too many additions: in its block, and in all blocks.
    fn chain(&mut self, (axes, terms, tiled): Sum, count: u64, micro: Option<&Micro>) {
        if !terms.is_float() {
            return;
        }
        // Lanes, and the vectors of a register tile, add side by side as far as the axis fills them.
        let vector = micro.and_then(|micro| Some((micro, micro.vector?)));
        let vector = vector.filter(|(_, axis)| axes.contains(*axis));
        let lanes = self.target.lanes(terms.bytes());
        let beside = vector.map(|(micro, axis)| {
            let tile = micro.tile.iter().find(|(of, _)| *of == axis).map_or(1, |tile| tile.1);
            (axis, lanes.max(tile).min(self.block(axis)).max(1))
        });
        let side_by_side =
            |axis| beside.filter(|(of, _)| *of == axis).map_or(1, |(_, count)| count);
        let row = Row::new(axes.iter().map(|axis| self.block(axis).div_ceil(side_by_side(axis))));
        let row = beside.map_or(row, |(_, count)| row.beside(count, lanes));
        let blocks = axes.iter().map(|axis| {
            let visited = self.visited.iter().find(|(of, _)| *of == axis).map(|&(_, count)| count);
            visited.unwrap_or_else(|| self.blocks(axis, self.block(axis).max(1)))
        });
        let behind = blocks.fold(1, u64::saturating_mul).saturating_sub(1);
        let most = additions_max(self.program.axes.volume(axes));
        let inside = row.additions(micro.map_or(0, |micro| micro.chain));
        let rising = micro.is_some_and(|micro| micro.rising);
        let in_tiles = tiled.filter(|_| beside.is_none()).map(|(depth, terms)| {
            let length = |axis: AxisId| match axis == depth {
                true => self.block(axis).div_ceil(terms),
                false => self.block(axis),
            };
            tile_additions(axes.iter().map(length).fold(1, u64::saturating_mul), count, rising)
        });
        let inside = in_tiles.map_or(inside, |other| other.min(inside));
        let found = inside.saturating_add(behind);
        if found > most {
            let names = self.program.axes.names(axes.iter());
            let what = format!("a term of a sum over {names} passes through {found} additions");
            let help = match row.additions_min().saturating_add(behind) <= most {
                true => {
                    let chain = row.chain_within(most.saturating_sub(behind), 1);
                    format!("at most {most} are legal: cut the sum with chain({chain})")
                }
                false => format!("at most {most} are legal: loop over {names} in other blocks"),
            };
            self.fault(code::CHAINS, &what, &help);
        }
    }

    /// The axis along which tile registers add these terms, and how many at once: products of narrow elements of which one
    /// factor is copied in their groups.
    fn tile_terms(&self, terms: &Expr) -> Option<(AxisId, u64)> {
        let mut found = None;
        terms.walk(&mut |part: &Expr| {
            let Expr::Load(buffer) = part else { return };
            let buffer = &self.program.buffers[buffer.index()];
            if let Layout::Panel { depth: Some((axis, count)), .. } = buffer.layout {
                let product = self.target.tile_product(buffer.dtype, buffer.dtype, DType::F32);
                let fits = product.is_some_and(|product| product.count == count);
                found = found.or(fits.then(|| (axis, TILE_ROW_BYTES / buffer.dtype.bytes())));
            }
        });
        found
    }

    /// Checks inner loops over a value's axes and those that it reduces.
    pub(super) fn micro(&mut self, micro: &Micro, axes: AxisSet, reduced: AxisSet) {
        let known = axes | reduced;
        let mut tiled = AxisSet::EMPTY;
        for &(axis, count) in &micro.tile {
            if count == 0 || tiled.contains(axis) || !known.contains(axis) {
                let what = format!("micro({}:{count})", self.program.axes.name(axis));
                self.fault(code::MICRO, &what, "tile each axis of the value once, by at least 1");
            }
            tiled = tiled.with(axis);
        }
        if let Some(axis) = micro.vector.filter(|axis| !known.contains(*axis)) {
            let what = format!("vector({}) is no axis of the value", self.program.axes.name(axis));
            self.fault(code::MICRO, &what, "name an axis of the value or of a reduction in it");
        }
        let order: AxisSet = micro.order.iter().copied().collect();
        if !known.contains_all(order) || order.len() != micro.order.len() {
            let names = self.program.axes.names(micro.order.iter().copied());
            let what = format!("order({names}) is no order of the value's axes");
            self.fault(code::MICRO, &what, "name axes of the value, each at most once");
        }
        if micro.unroll == 0 {
            self.fault(code::MICRO, "unroll(0)", "unroll by at least 1");
        }
    }
}

/// The axes and steps of all loops of a body.
pub(super) fn loops_in(body: &[Stmt], found: &mut Vec<(AxisId, u64)>) {
    for stmt in body {
        if let Stmt::For(inner) = stmt {
            found.extend(&inner.axes);
            loops_in(&inner.body, found);
        }
    }
}

/// The buffers that a body writes, loops in it included.
pub(super) fn written_in(body: &[Stmt], found: &mut BTreeSet<BufferId>) {
    for stmt in body {
        match stmt {
            Stmt::Let { .. } => {}
            Stmt::Stage { buffer, .. } | Stmt::Store { buffer, .. } => {
                found.insert(*buffer);
            }
            Stmt::Scan(scan) => {
                found.insert(scan.buffer);
            }
            Stmt::For(inner) => {
                written_in(&inner.body, found);
                found.extend(inner.carries.iter().filter_map(|carry| match carry.place {
                    Place::Out(buffer) => Some(buffer),
                    Place::Group => None,
                }));
            }
        }
    }
}
