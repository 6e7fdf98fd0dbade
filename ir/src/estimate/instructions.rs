//! The cycles that the instructions of a statement take on one core.
//!
//! Arithmetic, loads and stores begin on units of their own, so the busiest counts; a reduction of few accumulators
//! waits for its own results. Operations take what `cycles` says. Invariant: what is written twice in one statement
//! is done once.

use super::cycles;
use super::machine::Machine;
use super::nest::Nest;
use crate::base::{AxisId, AxisSet, BinaryOp, BufferId, DType, Expr, ReduceOp};

/// Loads and stores of vectors that begin in a cycle.
const LOADS: f64 = 2.0;
const STORES: f64 = 1.0;
/// Cycles until a sum is ready for the next one.
const SUM_LATENCY: f64 = 4.0;
/// Cycles to fold the lanes of a vector.
const FOLD_CYCLES: f64 = 8.0;
/// Loads of an element whose place is computed.
const PICKED: f64 = 2.0;
/// Loads, and stores, of an element of a vector whose neighbours lie apart.
const APART: (f64, f64) = (3.0, 4.0);
/// How many times as long everything takes without vectors.
const SCALAR: f64 = 1.7;
/// Cycles of a step of an inner loop, and of a register tile.
const STEP_CYCLES: f64 = 1.0;
pub(super) const TILE_START_CYCLES: f64 = 6.0;
/// The part of the less busy units' time that shows.
const SHOWN: f64 = 0.15;

/// The cycles of one visit of a statement.
pub(super) fn cycles(nest: &Nest<'_>, machine: &Machine) -> f64 {
    let bytes = nest.expr.dtype(nest.program).bytes().max(4);
    let lanes = match nest.micro.vector {
        Some(_) => machine.target.lanes(bytes),
        None => 1,
    };
    let units = nest.micro.vector.map(|vector| (vector, lanes)).into_iter().collect();
    let mut tally =
        Tally { nest, machine, lanes: lanes as f64, units, seen: vec![], busy: Busy::default() };
    tally.visit(nest.expr, AxisSet::EMPTY);
    tally.store();
    if nest.micro.vector.is_none() {
        tally.busy.weigh(SCALAR);
    }
    tally.busy.cycles()
}

/// Cycles of each kind of unit, and of waiting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    pub(super) arithmetic: f64,
    pub(super) loads: f64,
    pub(super) stores: f64,
    /// What no other work hides.
    pub(super) alone: f64,
    /// The waits of reductions for themselves.
    pub(super) waiting: f64,
}

impl Busy {
    /// Makes all but waiting take so many times as long.
    fn weigh(&mut self, times: f64) {
        self.arithmetic *= times;
        self.loads *= times;
        self.stores *= times;
        self.alone *= times;
    }

    fn cycles(&self) -> f64 {
        let parts = [self.arithmetic, self.loads / LOADS, self.stores / STORES];
        let busiest = parts.iter().copied().fold(self.waiting, f64::max);
        busiest + SHOWN * (parts.iter().sum::<f64>() - busiest).max(0.0) + self.alone
    }
}

pub(super) struct Tally<'n, 'a> {
    pub(super) nest: &'n Nest<'a>,
    pub(super) machine: &'n Machine,
    lanes: f64,
    /// The vector axis and its lanes.
    units: Vec<(AxisId, u64)>,
    /// What has been counted, with the axes of the reduction around it.
    seen: Vec<(&'a Expr, AxisSet)>,
    pub(super) busy: Busy,
}

impl<'a> Tally<'_, 'a> {
    fn count(&self, axes: AxisSet, reduced: AxisSet) -> f64 {
        self.nest.count(axes, reduced, &self.units)
    }

    fn visit(&mut self, expr: &'a Expr, reduced: AxisSet) {
        if self.seen.iter().any(|(seen, around)| *around == reduced && *seen == expr) {
            return;
        }
        self.seen.push((expr, reduced));
        let axes = self.nest.axes_of(expr);
        match expr {
            Expr::Literal(_) | Expr::Len(_) | Expr::Index(_) => {}
            Expr::Local(local) => match self.nest.meaning(*local) {
                Some(meaning) => self.visit(meaning, reduced),
                None => self.busy.loads += self.count(axes, reduced),
            },
            Expr::Load(buffer) => self.load(*buffer, axes, reduced),
            Expr::At(buffer, picks) => self.gather(*buffer, picks, axes, reduced),
            Expr::Select(condition, one, other) if self.is_branch(condition) => {
                self.visit(condition, reduced);
                self.branch(one, other, reduced);
            }
            Expr::Reduce(op, folded, x) => self.reduce(*op, *folded, x, reduced),
            Expr::Mma(folded, a, b, start) => {
                self.visit(start, reduced);
                self.product(a, b, reduced | *folded);
                self.finish(expr, *folded, reduced);
            }
            Expr::Unary(..)
            | Expr::Binary(..)
            | Expr::Compare(..)
            | Expr::Select(..)
            | Expr::Cast(..)
            | Expr::Wrap(..) => {
                expr.children().into_iter().for_each(|child| self.visit(child, reduced));
                self.busy.arithmetic += self.count(axes, reduced) * own_cycles(expr);
            }
        }
    }

    /// Whether a choice is made once for a whole block.
    fn is_branch(&self, condition: &Expr) -> bool {
        self.nest.axes_of(condition).is_empty()
    }

    /// Of two ways, one is made for the usual case: the faster.
    fn branch(&mut self, one: &'a Expr, other: &'a Expr, reduced: AxisSet) {
        let before = self.busy;
        let mut ways = vec![];
        for way in [one, other] {
            self.busy = Busy::default();
            let seen = self.seen.len();
            self.visit(way, reduced);
            self.seen.truncate(seen);
            ways.push(self.busy);
        }
        let (one, other) = (ways[0], ways[1]);
        let way = if one.cycles() <= other.cycles() { one } else { other };
        self.busy = Busy {
            arithmetic: before.arithmetic + way.arithmetic,
            loads: before.loads + way.loads,
            stores: before.stores + way.stores,
            alone: before.alone + way.alone,
            waiting: before.waiting + way.waiting,
        };
    }

    fn load(&mut self, buffer: BufferId, axes: AxisSet, reduced: AxisSet) {
        let each = if self.nest.is_near(buffer) { 1.0 } else { self.lanes * APART.0 };
        self.busy.loads += self.count(axes, reduced) * each;
    }

    /// Elements at indices: a vector where neighbours lie side by side, else one by one.
    fn gather(
        &mut self,
        buffer: BufferId,
        picks: &'a [(AxisId, Expr)],
        axes: AxisSet,
        reduced: AxisSet,
    ) {
        let last = self.nest.program.buffers[buffer.index()].axes.last();
        let vector = self.nest.micro.vector;
        let is_row = |(axis, index): &(AxisId, Expr)| match vector {
            Some(vector) if self.nest.axes_of(index).contains(vector) => {
                Some(axis) == last && is_shifted(index, vector)
            }
            _ => true,
        };
        let near = picks.iter().all(is_row);
        picks.iter().for_each(|(_, index)| self.visit(index, reduced));
        let each = if near { 1.0 } else { self.lanes * PICKED };
        self.busy.loads += self.count(axes, reduced) * each;
    }

    fn reduce(&mut self, op: ReduceOp, folded: AxisSet, x: &'a Expr, reduced: AxisSet) {
        let inside = reduced | folded;
        if op == ReduceOp::Sum && self.tiles(x, folded, inside) {
            return;
        }
        for term in terms(op, x) {
            match term {
                Expr::Binary(BinaryOp::Mul, a, b) if op == ReduceOp::Sum => {
                    self.product(a, b, inside);
                }
                _ => {
                    self.visit(term, inside);
                    self.busy.arithmetic += self.count(self.nest.axes_of(term), inside) * 0.5;
                }
            }
        }
        self.finish(x, folded, reduced);
    }

    /// A product that is added.
    fn product(&mut self, a: &'a Expr, b: &'a Expr, inside: AxisSet) {
        let (narrow_a, narrow_b) = (narrow(a), narrow(b));
        let axes = self.nest.axes_of(a) | self.nest.axes_of(b);
        let sum = a.dtype(self.nest.program);
        let groups = narrow_a.zip(narrow_b).and_then(|(a, b)| {
            let of = |x: &Expr| x.dtype(self.nest.program);
            self.machine.target.dot_product(of(a), of(b), sum)
        });
        // An instruction that adds groups of products reads them as they are.
        let (a, b, group) = match (groups, narrow_a, narrow_b) {
            (Some(product), Some(a), Some(b)) => (a, b, product.count as f64),
            _ => (a, b, 1.0),
        };
        for operand in [a, b] {
            match group > 1.0 {
                true => {
                    self.busy.loads += self.count(self.nest.axes_of(operand), inside) / group;
                }
                false => self.visit(operand, inside),
            }
        }
        self.busy.arithmetic += self.count(axes, inside) / group / self.machine.multiply_adds;
    }

    /// What a reduction takes beside its terms: waiting, what does not fit the registers, steps, lanes.
    fn finish(&mut self, term: &'a Expr, folded: AxisSet, reduced: AxisSet) {
        let nest = self.nest;
        let inside = reduced | folded;
        let all: AxisSet = nest.axes.iter().copied().collect::<AxisSet>() | inside;
        let sums = self.count(all, inside);
        let accumulators = nest.accumulators(inside, &self.units).max(1.0);
        let steps = sums / accumulators;
        self.busy.waiting += steps * SUM_LATENCY;
        let over = accumulators + 3.0 - self.machine.target.vector_registers as f64;
        if over > 0.0 {
            self.busy.loads += over * steps;
            self.busy.stores += over * steps;
        }
        let unroll = nest.micro.unroll.max(1) as f64;
        let tiles: f64 = nest.axes.iter().map(|&axis| nest.tiles(axis)).product();
        self.busy.alone += steps / unroll * STEP_CYCLES + tiles * TILE_START_CYCLES;
        if nest.micro.chain > 0 {
            self.busy.arithmetic += sums / nest.micro.chain as f64;
        }
        if nest.micro.vector.is_some_and(|vector| inside.contains(vector)) {
            let own = nest.axes_of(term) - inside;
            self.busy.alone += self.count(own, AxisSet::EMPTY) * FOLD_CYCLES;
        }
    }

    fn store(&mut self) {
        let axes: AxisSet = self.nest.axes.iter().copied().collect();
        let near = self.nest.target.is_none_or(|buffer| self.nest.is_near(buffer));
        let each = if near { 1.0 } else { self.lanes * APART.1 };
        self.busy.stores += self.count(axes, AxisSet::EMPTY) * each;
        let tiles: f64 = self.nest.axes.iter().map(|&axis| self.nest.tiles(axis)).product();
        self.busy.alone += tiles / self.nest.micro.unroll.max(1) as f64 * STEP_CYCLES;
    }
}

/// Whether an index is that of an axis and something that does not hang on it.
fn is_shifted(index: &Expr, axis: AxisId) -> bool {
    match index {
        Expr::Index(own) => *own == axis,
        Expr::Binary(BinaryOp::Add, one, other) => is_shifted(one, axis) != is_shifted(other, axis),
        Expr::Binary(BinaryOp::Sub, one, _) => is_shifted(one, axis),
        _ => false,
    }
}

/// The operand of a conversion.
pub(super) fn narrow(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Cast(_, x) if matches!(**x, Expr::Load(_)) => Some(x),
        _ => None,
    }
}

/// The terms of a sum, or the one term of another reduction.
pub(super) fn terms(op: ReduceOp, x: &Expr) -> Vec<&Expr> {
    match x {
        Expr::Binary(BinaryOp::Add, one, other) if op == ReduceOp::Sum => {
            [terms(op, one), terms(op, other)].concat()
        }
        _ => vec![x],
    }
}

/// Cycles of a vector of an operation, without its operands.
fn own_cycles(expr: &Expr) -> f64 {
    match expr {
        Expr::Unary(op, _) => cycles::unary(*op),
        Expr::Binary(op, ..) => cycles::binary(*op),
        Expr::Cast(DType::Bool, _) => 0.0,
        _ => cycles::OTHER,
    }
}
