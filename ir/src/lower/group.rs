//! Writes a group of passes as one loop over blocks of its stream.
//!
//! ```text
//! q = stage ..                         what is the same in all blocks
//! for j by 128 carry m .., l .., o .. {
//!   store s = ..                       members that compute a block, in order
//!   stage m_after = max(m, ..)         a state after the block, where a later member needs it
//!   yield m = m_after  yield l = ..    all from the values before the block
//! }
//! store O = ..                         results
//! ```
//!
//! Invariant: the names of running values stand for carries and stages of this loop, and for nothing outside of it.

use super::nest::{Member, Nest};
use super::place::{Placer, grid_span};
use super::skip::{self, Lets};
use super::stream::Stream;
use super::{chunk, micro};
use crate::base::{AxisId, BufferId, Expr, LocalId};
use crate::plan::{Pass, PassProgram, State};
use crate::schedule::{Config, PhaseConfig};
use crate::target::Target;
use crate::tile::{Carry, For, Micro, Scope, Stmt};

/// The statements of a group.
#[derive(Default)]
struct Loop {
    outside: Vec<Stmt>,
    inside: Vec<Stmt>,
    carries: Vec<Carry>,
}

/// The result and epilogue of a carry that lives in the result itself.
type Direct = Option<(BufferId, Option<Expr>)>;

/// Writes the members at some positions of a plan, in a phase that has all of them.
pub(super) fn write(
    (lets, positions): (&Lets<'_>, &[usize]),
    config: &Config,
    phase: &PhaseConfig,
    target: &Target,
    (placer, body): (&mut Placer<'_>, &mut Vec<Stmt>),
) {
    let plan = lets.plan;
    let mut member = member(plan, positions, placer);
    let mut parts = Loop::default();
    let mut streaming: Vec<(usize, Direct)> = vec![];
    for &position in positions {
        let config = &config.passes[position];
        let nest = Nest::of_member((lets, position), config, phase, target, member.clone());
        if plan.is_streaming(nest.pass) {
            let direct = nest.direct_result(placer, &member.names);
            fold(&nest, positions, placer, &mut member, (&mut parts, &direct));
            streaming.push((position, direct));
        } else {
            nest.write_within(placer, &mut parts.outside, &mut parts.inside);
        }
    }
    let stream = phase.streams.iter().find(|(of, _)| Some(*of) == plan.passes[positions[0]].group);
    let axes = stream.map(|(_, steps)| steps.clone()).unwrap_or_default();
    body.append(&mut parts.outside);
    let streamed: Vec<AxisId> = axes.iter().map(|&(axis, _)| axis).collect();
    let mut bounds = skip::bounds(lets, positions, &streamed);
    chunk::restrict(plan, &plan.passes[positions[0]], (phase, &axes), &mut bounds);
    let Loop { inside, carries, .. } = parts;
    body.push(Stmt::For(For { axes, bounds, carries, body: inside }));
    for (position, direct) in streaming {
        let config = &config.passes[position];
        let nest = Nest::of_member((lets, position), config, phase, target, member.clone());
        if direct.is_none() {
            nest.store_results(placer, &mut member.names.clone(), body);
        }
        nest.copy_results(placer, body);
    }
}

/// What all members know: the carries, and the buffers of which there is one block.
fn member(plan: &PassProgram, positions: &[usize], placer: &mut Placer<'_>) -> Member {
    let mut member = Member::default();
    for pass in positions.iter().map(|&position| &plan.passes[position]) {
        if plan.is_within(pass) {
            member.blocks.extend(pass.results.iter().map(|result| result.buffer));
        }
        for state in &pass.states {
            let Some(running) = &state.running else { continue };
            let like = &plan.locals[state.local.index()];
            let local = placer.local(&like.name, like.dtype, like.axes);
            member.names.insert(state.local, local);
            member.names.insert(running.before, local);
        }
    }
    member
}

/// Writes how a pass folds a block into its states.
fn fold(
    nest: &Nest<'_>,
    positions: &[usize],
    placer: &mut Placer<'_>,
    member: &mut Member,
    (parts, direct): (&mut Loop, &Direct),
) {
    let mut stream = Stream::new(nest, placer, member.names.clone());
    let mut next: Vec<Expr> = vec![];
    for state in &nest.pass.states {
        let update = stream.update(state);
        next.push(stream.next(state, update));
    }
    let mut levels = stream.levels;
    parts.inside.extend(levels.split_off(1).into_iter().flatten());
    parts.outside.extend(levels.into_iter().flatten());
    for (state, next) in nest.pass.states.iter().zip(next) {
        let after = state.running.as_ref().map(|running| running.after);
        let wanted = after.filter(|&after| is_read(nest, positions, after));
        let staged = wanted.map(|after| stage(nest, placer, (after, state), &next, parts));
        let next = match staged {
            Some((buffer, _)) => Expr::Load(buffer),
            None => next,
        };
        let mut carry = nest.carry(state, member.names[&state.local], next, direct);
        if let (Some((buffer, local)), Some(after)) = (staged, wanted) {
            let copied = &placer.program.buffers[buffer.index()];
            carry.micro = micro::of_copy(copied, None, nest.config, nest.target);
            member.names.insert(after, local);
        }
        parts.carries.push(carry);
    }
}

/// Whether another member reads a state as it is after a block.
fn is_read(nest: &Nest<'_>, positions: &[usize], after: LocalId) -> bool {
    let reads = |pass: &Pass| {
        let mut found = false;
        let mut note = |part: &Expr| found |= *part == Expr::Local(after);
        pass.exprs().for_each(|expr| expr.walk(&mut note));
        found
    };
    positions.iter().any(|&position| reads(&nest.plan.passes[position]))
}

/// Keeps a state after a block for the members behind: the buffer, and the name that they read it by.
fn stage(
    nest: &Nest<'_>,
    placer: &mut Placer<'_>,
    (after, state): (LocalId, &State),
    next: &Expr,
    parts: &mut Loop,
) -> (BufferId, LocalId) {
    let like = &nest.plan.locals[after.index()];
    let axes: Vec<AxisId> = nest.pass.axes.clone();
    let spans = axes.iter().map(|&axis| grid_span(axis, nest.phase)).collect();
    let name = placer.fresh_name(&like.name);
    let dtype = nest.plan.locals[state.local.index()].dtype;
    let buffer = placer.buffer(name, Scope::Group, dtype, &axes, spans);
    let micro = Micro { chain: nest.chain(), ..micro::of_carry(&axes, nest.config) };
    parts.inside.push(Stmt::Stage { buffer, expr: next.clone(), micro });
    let local = placer.local(&like.name, like.dtype, like.axes);
    parts.inside.push(Stmt::Let { local, expr: Expr::Load(buffer) });
    (buffer, local)
}
