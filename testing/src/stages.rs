//! The interpreters of every stage against the reference: the naive evaluator, the plan's, the tile programs'.
//!
//! Invariant: interpreters compute in f64 and may only re-associate, so a kernel in a narrower type gets a small part
//! of the allowance of honest arithmetic; f64 kernels get all of it.

use crate::Fault;
use tilewright_ir::DType;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::naive::{self, Arithmetic};
use tilewright_ir::reference::{Expected, HostTensor, half_ulp};
use tilewright_ir::tile::{self, TileProgram};

/// The part of the allowance that is left for orders of summation.
const SHARE: f64 = 1.0 / 65536.0;

/// Allowances above this part of a value are wide.
const LOOSE: f64 = 1e-2;

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
    let wide = graph.nodes.iter().any(|node| node.dtype == DType::F64);
    let share = if wide { 1.0 } else { SHARE };
    for ((values, expected), output) in values.iter().zip(expected).zip(&graph.outputs) {
        let (name, kind) = (&output.tensor.name, format!("stage {stage}"));
        if values.len() != expected.values.len() {
            return Err(Fault::new(&kind, format!("{name} has {} elements", values.len())));
        }
        let elements = values.iter().zip(&expected.values).zip(&expected.allowances);
        for (index, ((&got, &value), &allowance)) in elements.enumerate() {
            let same = got == value || got.is_nan() && value.is_nan();
            // Where the allowance is wide, a function may have cut it off, and a part of it says nothing.
            let share = if allowance > LOOSE * value.abs() { 1.0 } else { share };
            let low = expected.low.get(index).copied().unwrap_or(0.0);
            let rounding = half_ulp(DType::F64, value);
            let near = (got - value - low).abs() <= share * allowance + rounding;
            if !same && !near && !allowance.is_infinite() {
                let detail = format!("{name} element {index}: {got}, reference {value}");
                return Err(Fault::new(&kind, detail));
            }
        }
    }
    Ok(())
}
