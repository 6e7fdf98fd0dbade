//! Copies of one block that differ in their values only.
//!
//! Stages of bf16 in groups that stand behind each other and lie alike, as the parts of an operand do, become one nest that
//! stores several values for each element, so that what they share is computed once.
//! Invariant: none of the values reads what the others store.

use super::Step;
use super::build::{Builder, Task};
use super::convert::Conversion;
use super::place::Base;
use super::reads::contains_reduction;
use tilewright_ir::BufferId;
use tilewright_ir::DType;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Expr;
use tilewright_ir::tile::{Layout, Micro, Stmt};

/// A stage's buffer, value and inner loops.
fn stage(statement: &Stmt) -> Option<(BufferId, &Expr, &Micro)> {
    let Stmt::Stage { buffer, expr, micro } = statement else { return None };
    (!contains_reduction(expr)).then_some((*buffer, expr, micro))
}

impl Builder<'_> {
    /// How many of the first statements are such stages; 1 if there are not several.
    pub(super) fn alike(&self, statements: &[Stmt]) -> usize {
        let Some((first, _, inner)) = statements.first().and_then(stage) else { return 1 };
        let first = &self.program.buffers[first.index()];
        let in_groups = matches!(first.layout, Layout::Panel { depth: Some(_), .. });
        if !in_groups || first.dtype != DType::Bf16 {
            return 1;
        }
        let mut written = vec![];
        let like = |statement: &&Stmt| {
            let Some((buffer, expr, micro)) = stage(statement) else { return false };
            let own = &self.program.buffers[buffer.index()];
            let mut reads = false;
            expr.walk(&mut |part: &Expr| {
                reads |= part.read_buffer().is_some_and(|buffer| written.contains(&buffer));
            });
            written.push(buffer);
            let lies = (own.dtype, &own.axes, &own.spans, &own.layout);
            let lies_alike = lies == (first.dtype, &first.axes, &first.spans, &first.layout);
            lies_alike && micro == inner && !reads
        };
        statements.iter().take_while(like).count().max(1)
    }

    /// Builds such stages as one nest.
    pub(super) fn stages(
        &mut self,
        statements: &[Stmt],
        steps: &mut Vec<Step>,
    ) -> Result<(), Unsupported> {
        let all: Vec<_> = statements.iter().filter_map(stage).collect();
        let places: Vec<_> = all.iter().map(|of| self.allocate_buffer(of.0)).collect();
        let (target, (_, expr, micro)) = (&places[0], all[0]);
        let task = Task { name: &target.name, target, expr, micro, carry: None };
        let mut conversion = Conversion::new(self, &task, steps);
        let mut values = vec![];
        for (_, expr, _) in &all {
            values.push(conversion.convert(expr, false)?);
        }
        let mut nest = conversion.finish(values[0], None, &task);
        let start = |base: Base| match base {
            Base::Argument(start) => start as i64,
            Base::Scratch(start) => start.cast_signed(),
        };
        let behind = |of: &super::Place| start(of.base) - start(target.base);
        nest.others =
            values.into_iter().zip(&places).skip(1).map(|(x, of)| (x, behind(of))).collect();
        steps.push(Step::Nest(Box::new(nest)));
        Ok(())
    }
}
