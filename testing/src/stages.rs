//! The interpreters of every stage against the reference: the naive evaluator, the plan's, the tile programs'.
//!
//! Invariant: each value is within the part of the reference's allowance that interpreters get.

use crate::Fault;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::naive::{self, Arithmetic};
use tilewright_ir::reference::{Expected, HostTensor, InterpreterShare};
use tilewright_ir::tile::{self, TileProgram};

/// Runs every interpreter.
pub(crate) fn check<'p>(
    graph: &Graph,
    plan: &PassProgram,
    programs: impl Iterator<Item = &'p TileProgram>,
    inputs: &[HostTensor],
    expected: &[Expected],
) -> Result<(), Fault> {
    compare(graph, "naive", &naive::evaluate(graph, inputs, Arithmetic::exact()), expected)?;
    compare(graph, "plan", &plan::interpret(plan, inputs), expected)?;
    for program in programs {
        compare(graph, "tile", &tile::interpret(program, inputs), expected)?;
    }
    Ok(())
}

fn compare(
    graph: &Graph,
    stage: &str,
    values: &[Vec<f64>],
    expected: &[Expected],
) -> Result<(), Fault> {
    let share = InterpreterShare::of(graph);
    for ((values, expected), output) in values.iter().zip(expected).zip(&graph.outputs) {
        let (name, kind) = (&output.tensor.name, format!("stage {stage}"));
        if values.len() != expected.values.len() {
            return Err(Fault::new(&kind, format!("{name} has {} elements", values.len())));
        }
        let wrong = |&index: &usize| share.ratio(expected, index, values[index]) > 1.0;
        if let Some(index) = (0..values.len()).find(wrong) {
            let (got, value) = (values[index], expected.values[index]);
            return Err(Fault::new(
                &kind,
                format!("{name} element {index}: {got}, reference {value}"),
            ));
        }
    }
    Ok(())
}
