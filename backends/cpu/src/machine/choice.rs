//! Values of which one condition chooses for all elements.
//!
//! A choice between reductions by a truth value without axes becomes a branch around two nests, so that only what is chosen
//! is computed. Invariant: both nests store all that the statement stores.

use super::build::{Builder, Task};
use super::reads::contains_reduction;
use super::{Choice, Step};
use tilewright_ir::DType;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::Expr;
use tilewright_ir::tile::{Micro, TileProgram};

/// A choice, and the expression with either of its values in its place.
struct Found {
    condition: Expr,
    then: Expr,
    otherwise: Expr,
}

impl Builder<'_> {
    /// Builds a statement whose value holds a choice between reductions as a branch; `false` where it holds none.
    pub(super) fn chosen(
        &mut self,
        task: &Task<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<bool, Unsupported> {
        let Some(found) = find(task.expr, self.program) else { return Ok(false) };
        let name = format!("choice of {}", task.name);
        let condition = self.allocate_value(&name, DType::Bool, &[]);
        let (expr, micro) = (&found.condition, Micro::default());
        let of_condition =
            Task { name: &name, target: &condition, expr, micro: &micro, carry: None };
        self.plain_nest(&of_condition, steps)?;
        let (mut then, mut otherwise) = (Vec::new(), Vec::new());
        // An epilogue gives the carry's name another meaning.
        let own = task
            .carry
            .and_then(|(carry, _)| Some((carry.local, self.bindings.get(&carry.local)?.clone())));
        for (expr, steps) in [(&found.then, &mut then), (&found.otherwise, &mut otherwise)] {
            self.bindings.extend(own.clone());
            self.plain_nest(&Task { expr, ..*task }, steps)?;
        }
        steps.push(Step::Choice(Choice { condition, then, otherwise }));
        Ok(true)
    }
}

/// The first choice by a truth value without axes between values that both hold reductions.
fn find(expr: &Expr, program: &TileProgram) -> Option<Found> {
    if let Expr::Select(condition, then, otherwise) = expr
        && condition.axes(program).is_empty()
        && !contains_reduction(condition)
        && contains_reduction(then)
        && contains_reduction(otherwise)
    {
        let [condition, then, otherwise] =
            [condition, then, otherwise].map(|part| (**part).clone());
        return Some(Found { condition, then, otherwise });
    }
    if matches!(expr, Expr::Reduce(..)) {
        return None;
    }
    // The operands of an `mma` stand inside of its reduction.
    let outside = if matches!(expr, Expr::Mma(..)) { 2 } else { 0 };
    let mut parts = expr.children().into_iter().enumerate().skip(outside);
    let (place, found) = parts.find_map(|(place, part)| Some((place, find(part, program)?)))?;
    let with = |value: Expr| {
        let mut number = 0;
        expr.map_children(|part| {
            number += 1;
            if number == place + 1 { value.clone() } else { part.clone() }
        })
    };
    let (then, otherwise) = (with(found.then), with(found.otherwise));
    Some(Found { condition: found.condition, then, otherwise })
}
