//! Groups whose stream is one block: their states fold it into the value over nothing.
//!
//! A schedule that takes a whole row as one block needs no step from the values before it to those behind it. The updates
//! go; a state that adds one number at every index, as a count does, is that number times the length of the stream; and
//! with them go the members that nothing reads any more.
//! Invariant: whatever way a stream is cut gives the same values, so over one block an update changes nothing.

use crate::base::{BinaryOp, CompareOp, Expr, Literal, LocalId};
use crate::plan::{Let, Pass, PassProgram, State, ValueKind};
use crate::schedule::{Config, PassConfig};
use std::collections::{BTreeMap, BTreeSet};

/// The plan without the updates of groups whose stream is one block, and which of its passes are stored.
pub(super) fn settle(plan: &PassProgram, config: &Config) -> (PassProgram, Vec<bool>) {
    let mut settled = plan.clone();
    let mut stored: Vec<bool> = config.passes.iter().map(|pass| pass.stored).collect();
    for group in 0..plan.groups.len() {
        if is_one_block(plan, config, group) {
            let members: Vec<usize> = plan.members(group).collect();
            drop_updates(&mut settled, &members);
            let stepper = plan.stepper(members[0], plan.groups[group][0]);
            let mut idle = BTreeSet::new();
            for &position in members.iter().rev().filter(|&&position| position != stepper) {
                if is_idle(&settled, &idle, position) {
                    idle.insert(position);
                    stored[position] = false;
                }
            }
        }
    }
    (settled, stored)
}

fn is_one_block(plan: &PassProgram, config: &Config, group: usize) -> bool {
    let Some(first) = plan.members(group).next() else { return false };
    plan.groups[group].iter().all(|&axis| {
        let PassConfig { block, split, .. } = &config.passes[plan.stepper(first, axis)];
        // The combine of a split stream is made of the updates.
        let is_split = split.values().any(|&count| count > 1);
        !is_split && block.get(&axis).is_some_and(|&step| step >= plan.axes.extent(axis))
    })
}

/// Takes the updates away, and writes totals that are known in the places of states.
fn drop_updates(plan: &mut PassProgram, members: &[usize]) {
    let mut totals: BTreeMap<LocalId, Literal> = BTreeMap::new();
    for &position in members {
        let pass = &plan.passes[position];
        let known = pass.states.iter().filter_map(|state| {
            let after = state.running.as_ref()?.after;
            Some((after, total(plan, pass, state)?))
        });
        totals.extend(known.collect::<Vec<_>>());
    }
    for &position in members {
        let pass = &mut plan.passes[position];
        pass.update_lets.clear();
        for state in &mut pass.states {
            state.body = replaced(&state.body, &totals);
            if let Some(running) = &mut state.running {
                running.update = Expr::Local(running.before);
            }
        }
        let lets = pass.body_lets.iter_mut().chain(&mut pass.result_lets);
        lets.for_each(|item| item.expr = replaced(&item.expr, &totals));
        pass.results.iter_mut().for_each(|result| result.value = replaced(&result.value, &totals));
    }
}

fn replaced(expr: &Expr, totals: &BTreeMap<LocalId, Literal>) -> Expr {
    match expr {
        Expr::Local(local) if totals.contains_key(local) => Expr::Literal(totals[local]),
        other => other.map_children(|child| replaced(child, totals)),
    }
}

/// The sum of a state whose terms are all one number.
fn total(plan: &PassProgram, pass: &Pass, state: &State) -> Option<Literal> {
    let term = constant(&state.body, &pass.body_lets)?;
    let count = plan.axes.volume(pass.stream.iter().copied().collect());
    let is_sum = state.op.fold() == Some(BinaryOp::Add) && term.dtype.is_float();
    // Beyond that the sum of the terms is rounded on its way, and this is not.
    let is_exact = count <= 1 << 24 && term.value == 1.0;
    (is_sum && is_exact).then_some(Literal { value: count as f64, ..term })
}

/// The number that an expression is at every index.
fn constant(expr: &Expr, lets: &[Let]) -> Option<Literal> {
    match expr {
        Expr::Literal(literal) => Some(*literal),
        Expr::Local(local) => {
            let item = lets.iter().find(|item| item.local == *local)?;
            constant(&item.expr, lets)
        }
        Expr::Select(condition, x, _) if always(condition) => constant(x, lets),
        _ => None,
    }
}

/// Whether a condition says that an index is not negative.
fn always(condition: &Expr) -> bool {
    let Expr::Compare(CompareOp::Ge, x, y) = condition else { return false };
    let is_index = matches!(**x, Expr::Index(_) | Expr::Len(_));
    is_index && matches!(**y, Expr::Literal(literal) if literal.value <= 0.0)
}

/// Whether a member may go, because nothing that is left reads what it makes.
fn is_idle(plan: &PassProgram, idle: &BTreeSet<usize>, position: usize) -> bool {
    let pass = &plan.passes[position];
    let is_output =
        |buffer: crate::base::BufferId| plan.values[buffer.index()].kind == ValueKind::Output;
    if pass.results.iter().any(|result| is_output(result.buffer)) {
        return false;
    }
    let mut locals: BTreeSet<LocalId> = BTreeSet::new();
    for running in pass.states.iter().filter_map(|state| state.running.as_ref()) {
        locals.extend([running.before, running.after]);
    }
    let mut found = false;
    let mut note = |expr: &Expr| match expr {
        Expr::Local(local) => found |= locals.contains(local),
        other => found |= pass.results.iter().any(|of| other.read_buffer() == Some(of.buffer)),
    };
    let others = plan.passes.iter().enumerate();
    for (_, other) in others.filter(|(place, _)| *place != position && !idle.contains(place)) {
        other.exprs().for_each(|expr| expr.walk(&mut note));
    }
    !found
}
