//! Groups whose stream is one block: their states fold it into the value over nothing.
//!
//! A schedule that takes a whole row as one block needs no step from the values before it to those behind it. The updates
//! go, and with them the maps that only they read.
//! Invariant: whatever way a stream is cut gives the same values, so over one block an update changes nothing.

use crate::base::Expr;
use crate::plan::{Pass, PassProgram, ValueKind};
use crate::schedule::Config;
use std::collections::BTreeSet;

/// The plan without the updates of groups whose stream is one block, and which of its passes are stored.
pub(super) fn settle(plan: &PassProgram, config: &Config) -> (PassProgram, Vec<bool>) {
    let mut settled = plan.clone();
    let mut stored: Vec<bool> = config.passes.iter().map(|pass| pass.stored).collect();
    for group in 0..plan.groups.len() {
        if is_one_block(plan, config, group) {
            for position in plan.members(group) {
                drop_updates(&mut settled.passes[position]);
            }
            let members: Vec<usize> = plan.members(group).collect();
            let mut idle = BTreeSet::new();
            for &position in members.iter().rev() {
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
        let block = &config.passes[plan.stepper(first, axis)].block;
        block.get(&axis).is_some_and(|&step| step >= plan.axes.extent(axis))
    })
}

fn drop_updates(pass: &mut Pass) {
    pass.update_lets.clear();
    for running in pass.states.iter_mut().filter_map(|state| state.running.as_mut()) {
        running.update = Expr::Local(running.before);
    }
}

/// Whether a map may go, because no pass that is left reads it.
fn is_idle(plan: &PassProgram, idle: &BTreeSet<usize>, position: usize) -> bool {
    let is_read = |result: &crate::plan::PassResult| {
        let mut found = plan.values[result.buffer.index()].kind == ValueKind::Output;
        let mut note = |expr: &Expr| found |= expr.read_buffer() == Some(result.buffer);
        for (_, pass) in plan.passes.iter().enumerate().filter(|(place, _)| !idle.contains(place)) {
            pass.exprs().for_each(|expr| expr.walk(&mut note));
        }
        found
    };
    let pass = &plan.passes[position];
    pass.optional && !pass.results.iter().any(is_read)
}
