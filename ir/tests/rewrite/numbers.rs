//! Forms have the text's numbers.

use super::{Case, cases, target};
use tilewright_ir::base::Sizes;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan;
use tilewright_ir::reference::{Family, HostTensor, compare, draw, evaluate, special_places};
use tilewright_ir::rewrite::{Limits, Rewriter};

/// Elements of the iteration space that the interpreter goes over in a moment.
const VOLUME_MAX: u64 = 2000;
const EXTENTS: [u64; 6] = [1, 2, 3, 5, 7, 4];
const BLOCKS: [u64; 4] = [1, 2, 3, 64];

/// Small extents in many combinations.
fn sizes(case: &Case) -> Vec<Sizes> {
    let axes = &case.kernel.graph.axes;
    let of_round = |round: usize| {
        let extent = |(place, axis)| {
            let choice = (place * 7 + round * 5 + place * round) % EXTENTS.len();
            (axes.name(axis).to_string(), EXTENTS[choice])
        };
        axes.ids().enumerate().map(extent).collect()
    };
    (0..8).map(of_round).collect()
}

#[test]
fn forms_have_the_numbers_of_their_texts() {
    for case in cases() {
        let rewriter = Rewriter::new(&case.kernel.graph, Limits::default());
        let mut judged = 0;
        for sizes in sizes(&case) {
            let Ok(graph) = case.kernel.bind(&sizes) else { continue };
            if graph.axes.volume(graph.axes.ids().collect()) > VOLUME_MAX {
                continue;
            }
            for form in rewriter.forms(&graph, &target(), 6) {
                judged += 1;
                judge(&format!("{} {sizes:?}", case.name), &graph, &form.graph);
            }
        }
        assert!(judged > 1, "{} has no form at small sizes", case.name);
    }
}

fn judge(what: &str, written: &Graph, form: &Graph) {
    let plan = plan::build(form);
    plan::verify(&plan).unwrap_or_else(|faults| panic!("{what}: {faults:?}\n{}", form.print()));
    for &family in Family::ALL {
        for seed in 0..special_places(written) {
            let inputs = draw(written, family, seed);
            let expected = evaluate(written, &inputs);
            for block in BLOCKS {
                let got = plan::interpret_in_blocks(&plan, &inputs, block);
                for ((expected, got), output) in expected.iter().zip(got).zip(&written.outputs) {
                    let shape = output.tensor.shape(&written.axes);
                    let got = HostTensor::from_f64(output.tensor.dtype, &shape, got);
                    let verdict = compare(expected, &got);
                    let place = format!("{what} {} seed {seed} blocks {block}", family.name());
                    assert_eq!(verdict.wrong, 0, "{place}: {verdict:?}\n{}", form.print());
                }
            }
        }
    }
}
