//! Which blocks of a stream cannot change what its traversal finds.
//!
//! A text that masks compares indices: `j <= i`. Each such comparison is tried: where it does not hold (or where it
//! does), does every state of the traversal stay as it is? If so, blocks where that is so for every element are left out.
//! `terms` works out what a state's term becomes there.
//! Invariant: bounds are taken only from what was shown; a comparison that shows nothing costs nothing but time.

mod rules;
mod terms;

use crate::base::{Affine, AxisId, BufferId, CompareOp, Expr, LocalId};
use crate::plan::PassProgram;
use crate::tile::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use terms::Terms;

/// Comparisons that are tried; a text with more of them keeps its other blocks.
const TRIED_MAX: usize = 32;

/// The parts of the streamed axes that a traversal has to visit: of one pass, or of the members of a group.
pub(super) fn bounds(
    lets: &Lets<'_>,
    positions: &[usize],
    stream: &[AxisId],
) -> BTreeMap<AxisId, Bounds> {
    let plan = lets.plan;
    let mut found: BTreeMap<AxisId, Bounds> = BTreeMap::new();
    if plan.exact {
        return found;
    }
    for outside in lets.tried(positions, stream) {
        if Terms::new(lets, positions, &outside).is_idle() {
            for &axis in stream {
                bound(plan, (axis, stream), &outside, found.entry(axis).or_default());
            }
        }
    }
    for (axis, bounds) in &mut found {
        prune(plan, *axis, bounds);
    }
    found.retain(|_, bounds| !bounds.is_open());
    found
}

/// Whether a mask leaves out blocks of the stream of a group.
pub(crate) fn leaves_out(plan: &PassProgram, group: usize) -> bool {
    let members: Vec<usize> = plan.members(group).collect();
    !bounds(&Lets::new(plan), &members, &plan.groups[group]).is_empty()
}

/// Adds what follows for an axis from the fact that nothing happens where `outside` is 0 or more.
fn bound(
    plan: &PassProgram,
    (axis, stream): (AxisId, &[AxisId]),
    outside: &Affine,
    bounds: &mut Bounds,
) {
    let Some(&factor) = outside.factors.get(&axis) else { return };
    if factor.abs() != 1 {
        return;
    }
    // Inside, factor * axis + rest <= -1.
    let mut rest = outside.clone();
    rest.factors.remove(&axis);
    for other in stream {
        // The other streamed axes are anywhere, so the furthest that they reach counts.
        let Some(slope) = rest.factors.remove(other) else { continue };
        let last = i64::try_from(plan.axes.extent(*other).max(1) - 1).unwrap_or(i64::MAX);
        rest.constant = rest.constant.saturating_add(slope.saturating_mul(last).min(0));
    }
    if factor == 1 {
        bounds.to.push(rest.scaled(-1));
    } else {
        bounds.from.push(rest.plus(&Affine::constant(1)));
    }
}

/// Drops what never leaves anything out: bounds beyond the axis, and those that another one implies.
fn prune(plan: &PassProgram, axis: AxisId, bounds: &mut Bounds) {
    let axes = &plan.axes;
    let extent = i64::try_from(axes.extent(axis)).unwrap_or(i64::MAX);
    let mut from = std::mem::take(&mut bounds.from);
    from.retain(|bound| bound.range(axes).1 > 0);
    let mut to = std::mem::take(&mut bounds.to);
    to.retain(|bound| bound.range(axes).0 < extent);
    for bound in from {
        let below =
            |other: &Affine| bound.clone().plus(&other.clone().scaled(-1)).range(axes).1 <= 0;
        if !bounds.from.iter().any(below) {
            bounds
                .from
                .retain(|other| other.clone().plus(&bound.clone().scaled(-1)).range(axes).1 > 0);
            bounds.from.push(bound);
        }
    }
    for bound in to {
        let above =
            |other: &Affine| other.clone().plus(&bound.clone().scaled(-1)).range(axes).1 <= 0;
        if !bounds.to.iter().any(above) {
            bounds
                .to
                .retain(|other| bound.clone().plus(&other.clone().scaled(-1)).range(axes).1 > 0);
            bounds.to.push(bound);
        }
    }
}

/// The names of a plan, and what its passes compare and read. It is made once for all traversals of the plan.
pub(super) struct Lets<'a> {
    pub(super) plan: &'a PassProgram,
    exprs: BTreeMap<LocalId, &'a Expr>,
    /// For each buffer the pass that stores it.
    producers: Vec<Option<usize>>,
    passes: Vec<Facts<'a>>,
}

/// What one pass compares and reads.
struct Facts<'a> {
    compares: Vec<&'a Expr>,
    /// The passes whose results it reads, in the order of its expressions.
    reads: Vec<usize>,
    /// Whether it or a pass whose results it reads, directly or not, compares anything.
    is_masked: bool,
}

impl<'a> Lets<'a> {
    pub(super) fn new(plan: &'a PassProgram) -> Self {
        let lets = plan.passes.iter().flat_map(|pass| {
            pass.body_lets.iter().chain(&pass.update_lets).chain(&pass.result_lets)
        });
        let exprs = lets.map(|item| (item.local, &item.expr)).collect();
        let mut lets = Self { plan, exprs, producers: plan.producers(), passes: vec![] };
        for pass in &plan.passes {
            let mut facts = Facts { compares: vec![], reads: vec![], is_masked: false };
            pass.exprs().for_each(|expr| lets.note(expr, &mut facts));
            let below = |&read: &usize| lets.passes.get(read).is_none_or(|of| of.is_masked);
            facts.is_masked = !facts.compares.is_empty() || facts.reads.iter().any(below);
            lets.passes.push(facts);
        }
        lets
    }

    fn note(&self, expr: &'a Expr, facts: &mut Facts<'a>) {
        match expr {
            Expr::Compare(..) => facts.compares.push(expr),
            Expr::Load(buffer) => {
                let producer = self.producer(*buffer);
                let new = producer.filter(|producer| !facts.reads.contains(producer));
                facts.reads.extend(new);
            }
            _ => {}
        }
        expr.children().into_iter().for_each(|child| self.note(child, facts));
    }

    /// The pass that stores a buffer.
    pub(super) fn producer(&self, buffer: BufferId) -> Option<usize> {
        self.producers[buffer.index()]
    }

    /// The expression that a local is a name for; `None` for a state.
    pub(super) fn get(&self, local: LocalId) -> Option<&'a Expr> {
        self.exprs.get(&local).copied()
    }

    /// The difference of two expressions, if it is a sum of indices.
    pub(super) fn difference(&self, x: &Expr, y: &Expr) -> Option<Affine> {
        let x = Affine::of(x, &self.plan.axes, &|local| self.get(local))?;
        let y = Affine::of(y, &self.plan.axes, &|local| self.get(local))?;
        Some(x.plus(&y.scaled(-1)))
    }

    /// The conditions, each as a number that is 0 or more, under which a traversal may be idle.
    fn tried(&self, positions: &[usize], stream: &[AxisId]) -> Vec<Affine> {
        let mut tried: Vec<Affine> = vec![];
        if !positions.iter().any(|&position| self.passes[position].is_masked) {
            return tried;
        }
        let mut found: Vec<usize> = positions.to_vec();
        let mut seen: BTreeSet<usize> = found.iter().copied().collect();
        let mut next = 0;
        while let Some(&position) = found.get(next).filter(|_| tried.len() < TRIED_MAX) {
            next += 1;
            let facts = &self.passes[position];
            for part in &facts.compares {
                self.conditions(part, stream, &mut tried);
            }
            let masked = |&&read: &&usize| self.passes[read].is_masked;
            let reads = facts.reads.iter().filter(masked).copied();
            found.extend(reads.filter(|&read| seen.insert(read)));
        }
        tried.truncate(TRIED_MAX);
        tried
    }

    fn conditions(&self, part: &Expr, stream: &[AxisId], tried: &mut Vec<Affine>) {
        let Expr::Compare(op, x, y) = part else { return };
        let Some(over) = self.difference(x, y) else { return };
        let under = over.clone().scaled(-1);
        let strictly = |form: &Affine| form.clone().plus(&Affine::constant(-1));
        let both = match op {
            CompareOp::Lt | CompareOp::Ge => [over.clone(), strictly(&under)],
            CompareOp::Gt | CompareOp::Le => [under.clone(), strictly(&over)],
            CompareOp::Eq | CompareOp::Ne => [strictly(&over), strictly(&under)],
        };
        let on_stream = |form: &Affine| {
            stream.iter().any(|axis| form.factors.get(axis).is_some_and(|f| f.abs() == 1))
        };
        tried.extend(
            both.into_iter()
                .filter(on_stream)
                .filter(|form| !tried.contains(form))
                .collect::<Vec<_>>(),
        );
    }
}
