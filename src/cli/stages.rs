//! The stages of a kernel between its text and machine code: their texts, and whether they mean the same.
//!
//! Invariant: the first stage that disagrees with the reference is named; later ones inherit its fault.

use super::failure::Failure;
use super::forms;
use super::memory;
use super::run::call;
use clap::ValueEnum;
use tilewright::BoundKernel;
use tilewright::autotune::stats::work_of_text;
use tilewright::ir::reference::{
    Expected, Family, HostTensor, InterpreterShare, compare, draw, evaluate,
};
use tilewright::ir::schedule::Schedule;
use tilewright::ir::{plan, tile};

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// The equal forms that the rewriter finds
    Forms,
    /// The tensor graph
    Graph,
    /// The pass program
    Plan,
    /// The schedule's choices
    Schedule,
    /// The tile program
    Tile,
    /// The functions of wide vectors, and which nests are none
    Leaves,
    /// Cranelift's intermediate form
    Clif,
    /// Machine code
    Disassembly,
}

impl Stage {
    /// The word on the command line and in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forms => "forms",
            Self::Graph => "graph",
            Self::Plan => "plan",
            Self::Schedule => "schedule",
            Self::Tile => "tile",
            Self::Leaves => "leaves",
            Self::Clif => "clif",
            Self::Disassembly => "disassembly",
        }
    }

    /// The stage as text, for the form that the schedule is of.
    pub(super) fn text(self, bound: &BoundKernel, schedule: &Schedule) -> Result<String, Failure> {
        Ok(match self {
            Self::Forms => forms::text(&forms::proved(bound), false),
            Self::Graph => bound.forms().of(schedule)?.graph.print(),
            Self::Plan => plan::print(&bound.forms().of(schedule)?.plan),
            Self::Schedule => bound.forms().canonical(schedule).print(),
            Self::Tile => tile::print(&bound.lower(schedule)?),
            Self::Leaves | Self::Clif | Self::Disassembly => {
                let listings = bound.backend().listings(&bound.lower(schedule)?)?;
                let wanted = listings.into_iter().filter(|(name, _)| *name == self.name());
                wanted.map(|(_, text)| text).collect()
            }
        })
    }
}

/// What one stage computed, compared with the reference.
#[derive(Clone, Debug)]
pub(super) struct StageCheck {
    /// `plan`, `tile` or `code`.
    pub(super) stage: &'static str,
    /// The first disagreement.
    pub(super) fault: Option<String>,
    /// The largest error as a fraction of what the stage is allowed.
    pub(super) worst_ratio: f64,
}

/// Operations that an interpreter does in a second, from a 1000 x 1000 x 1000 matmul: 82 s for three of them.
const OPERATIONS_PER_SECOND: f64 = 75e6;

/// About how many seconds `check` takes: the reference and two interpreters do every operation one by one.
pub(super) fn seconds(bound: &BoundKernel) -> f64 {
    let work = work_of_text(bound.graph());
    3.0 * work.flops.max(work.bytes / 4.0) / OPERATIONS_PER_SECOND
}

/// Runs every stage on random inputs and compares each with the reference, in order. `begin` is told what begins.
pub(super) fn check(
    bound: &BoundKernel,
    schedule: &Schedule,
    seed: u64,
    begin: &dyn Fn(&'static str),
) -> Result<Vec<StageCheck>, Failure> {
    let graph = bound.graph();
    memory::check(graph, 1, true)?;
    let inputs = draw(graph, Family::Normal, seed);
    begin("computing the reference");
    let expected = evaluate(graph, &inputs);
    let names: Vec<_> = graph.outputs.iter().map(|output| output.tensor.name.as_str()).collect();
    let share = InterpreterShare::of(graph);
    let interpreted = |stage, values: Vec<Vec<f64>>| {
        let outputs = values.iter().zip(&expected).zip(&names);
        let checks = outputs.map(|((values, expected), name)| {
            check_interpreter(stage, name, expected, values, share)
        });
        worst(stage, checks)
    };
    begin("running the code");
    let program = bound.lower(schedule)?;
    let compiled = bound.compile(schedule)?;
    let got = call(graph, &compiled, &inputs)?;
    let code = got
        .iter()
        .zip(&expected)
        .zip(&names)
        .map(|((got, expected), name)| check_code(name, expected, got));
    let code = worst("code", code);
    begin("interpreting the pass program");
    let plan = &bound.forms().of(schedule)?.plan;
    let plan = interpreted("plan", plan::interpret(plan, &inputs));
    begin("interpreting the tile program");
    let tile = interpreted("tile", tile::interpret(&program, &inputs));
    Ok(vec![plan, tile, code])
}

fn worst(stage: &'static str, checks: impl Iterator<Item = StageCheck>) -> StageCheck {
    checks.fold(StageCheck { stage, fault: None, worst_ratio: 0.0 }, |worst, next| StageCheck {
        stage,
        fault: worst.fault.or(next.fault),
        worst_ratio: worst.worst_ratio.max(next.worst_ratio),
    })
}

fn check_code(name: &str, expected: &Expected, got: &HostTensor) -> StageCheck {
    let verdict = compare(expected, got);
    let fault = verdict.first_wrong.as_ref().map(|wrong| {
        let (index, got, expected) = (&wrong.index, wrong.got, wrong.expected);
        format!("output `{name}` at {index:?}: found {got}, expected {expected}")
    });
    StageCheck { stage: "code", fault, worst_ratio: verdict.worst_ratio }
}

fn check_interpreter(
    stage: &'static str,
    name: &str,
    expected: &Expected,
    values: &[f64],
    share: InterpreterShare,
) -> StageCheck {
    let mut check = StageCheck { stage, fault: None, worst_ratio: 0.0 };
    if values.len() != expected.values.len() {
        let (found, wanted) = (values.len(), expected.values.len());
        check.fault = Some(format!("output `{name}` has {found} elements, expected {wanted}"));
        return check;
    }
    for (index, &got) in values.iter().enumerate() {
        let ratio = share.ratio(expected, index, got);
        if ratio > 1.0 && check.fault.is_none() {
            let value = expected.values[index];
            check.fault =
                Some(format!("output `{name}` element {index}: found {got}, expected {value}"));
        }
        check.worst_ratio = check.worst_ratio.max(ratio);
    }
    check
}
