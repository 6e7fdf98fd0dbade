//! Plans, tile programs and machine code of rolled graphs have the values of the naive graphs.

use super::graphs::{self, Pair};
use tilewright_ir::plan;
use tilewright_ir::reference::{self, Expected, Family, HostTensor, compare};

const SEED: u64 = 3;

fn expected(pair: &Pair, family: Family, seed: u64) -> (Vec<HostTensor>, Vec<Expected>) {
    let inputs = reference::draw(&pair.naive, family, seed);
    let expected = reference::evaluate(&pair.naive, &inputs);
    (inputs, expected)
}

/// Compares values with what the naive graph allows.
fn judge(what: &str, pair: &Pair, expected: &[Expected], got: &[HostTensor]) {
    for ((expected, got), output) in expected.iter().zip(got).zip(&pair.naive.outputs) {
        let verdict = compare(expected, got);
        assert_eq!(verdict.wrong, 0, "{}: {what}: {}: {verdict:?}", pair.name, output.tensor.name);
    }
}

fn tensors(pair: &Pair, values: &[Vec<f64>]) -> Vec<HostTensor> {
    let outputs = pair.naive.outputs.iter().zip(values);
    outputs
        .map(|(output, values)| {
            let shape = output.tensor.shape(&pair.naive.axes);
            HostTensor::from_f64(output.tensor.dtype, &shape, values.iter().copied())
        })
        .collect()
}

#[test]
fn plans_mean_what_the_naive_graphs_mean_in_any_blocks() {
    for pair in graphs::all() {
        let plan = plan::build(&pair.rolled);
        let text = plan::print(&plan);
        plan::verify(&plan).unwrap_or_else(|faults| panic!("{}: {faults:?}\n{text}", pair.name));
        let parsed = plan::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
        assert_eq!(parsed, plan, "{text}");
        assert_eq!(plan.groups.len(), 1, "{text}");
        for family in [Family::Normal, Family::Integers] {
            let (inputs, expected) = expected(&pair, family, SEED);
            for block in [1, 2, 3, 8, 64, 1000] {
                let values = plan::interpret_in_blocks(&plan, &inputs, block);
                judge(
                    &format!("blocks of {block}\n{text}"),
                    &pair,
                    &expected,
                    &tensors(&pair, &values),
                );
            }
        }
    }
}
