//! What is asked of the groups of a plan: their members, and which of them traverse the group's stream.
//!
//! Invariant: the members of a group stand in a row, and one of them streams.

use super::{Pass, PassProgram, ValueKind};
use crate::base::{AxisId, BufferId, Expr};

impl PassProgram {
    /// Whether a pass folds blocks of its group's stream into states.
    pub fn is_streaming(&self, pass: &Pass) -> bool {
        pass.group.is_some_and(|group| !pass.states.is_empty() && pass.stream == self.groups[group])
    }

    /// Whether a pass computes something for each block of its group's stream, for other members only.
    pub fn is_within(&self, pass: &Pass) -> bool {
        pass.group.is_some() && !self.is_streaming(pass)
    }

    /// The positions of a group's members.
    pub fn members(&self, group: usize) -> impl Iterator<Item = usize> {
        let of_group = move |position: &usize| self.passes[*position].group == Some(group);
        (0..self.passes.len()).filter(of_group)
    }

    /// The pass whose choices say how the stream of a pass along an axis is cut: for the stream of a group the last of
    /// its members that stream, else the pass itself.
    pub fn stepper(&self, position: usize, axis: AxisId) -> usize {
        let group = self.passes[position].group;
        let Some(group) = group.filter(|&group| self.groups[group].contains(&axis)) else {
            return position;
        };
        let streaming = |position: &usize| self.is_streaming(&self.passes[*position]);
        self.members(group).filter(streaming).last().unwrap_or(position)
    }

    /// Whether a result has to be in memory when the group of its pass has ended: one that a pass outside of `passes`
    /// reads, or an output.
    pub(crate) fn is_read_outside(&self, buffer: BufferId, passes: &[usize]) -> bool {
        let reads = |pass: &Pass| {
            let mut found = false;
            let mut note = |expr: &Expr| found |= expr.read_buffer() == Some(buffer);
            pass.exprs().for_each(|expr| expr.walk(&mut note));
            found
        };
        let others = (0..self.passes.len()).filter(|position| !passes.contains(position));
        self.values[buffer.index()].kind == ValueKind::Output
            || others.into_iter().any(|position| reads(&self.passes[position]))
    }
}
