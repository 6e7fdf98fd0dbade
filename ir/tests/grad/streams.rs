//! Backward kernels below the text: nothing as large as the scores is stored, and every form has the text's numbers.

use super::{machine, root};
use tilewright_ir::base::Sizes;
use tilewright_ir::check::check;
use tilewright_ir::grad::grad;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::{self, PassProgram, ValueKind};
use tilewright_ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright_ir::schedule::Forms;
use tilewright_ir::target::Target;

const BLOCKS: [u64; 3] = [1, 3, 64];

fn target() -> Target {
    machine::target(&[("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)])
}

fn backward(name: &str, sizes: &[(&str, u64)]) -> Graph {
    let text = std::fs::read_to_string(root().join(format!("kernels/{name}.tw"))).unwrap();
    let text = grad(&text, Some(name), &[]).unwrap();
    let sizes: Sizes = sizes.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    check(&text).unwrap().kernels[0].bind(&sizes).unwrap()
}

/// The names of what is stored whole with at least so many elements.
fn stored(plan: &PassProgram, elements: u64) -> Vec<String> {
    let within = |position: usize| {
        let buffer = tilewright_ir::BufferId(u32::try_from(position).unwrap());
        plan.producer(buffer).is_some_and(|pass| plan.is_within(&plan.passes[pass]))
    };
    let large = plan.values.iter().enumerate().filter(|(position, value)| {
        let volume = plan.axes.volume(value.axes.iter().copied().collect());
        value.kind == ValueKind::Intermediate && volume >= elements && !within(*position)
    });
    large.map(|(_, value)| value.name.clone()).collect()
}

#[test]
fn attention_backward_stores_no_scores() {
    for (name, more) in [
        ("attention", vec![]),
        ("attention_causal", vec![]),
        ("attention_gqa", vec![("g", 2), ("r", 3)]),
    ] {
        let mut sizes = vec![("b", 1), ("i", 2048), ("j", 2048), ("d", 64), ("e", 64)];
        sizes.extend(if more.is_empty() { vec![("h", 4)] } else { more });
        let graph = backward(name, &sizes);
        let forms = Forms::new(&graph, &target());
        let best = forms.preferred();
        let large = stored(&best.plan, 2048 * 2048);
        assert!(large.is_empty(), "{name} stores {large:?}:\n{}", plan::print(&best.plan));
    }
}

#[test]
fn forms_of_backward_kernels_have_the_numbers_of_their_texts() {
    let small = [("b", 1), ("i", 3), ("j", 5), ("d", 2), ("e", 3)];
    let cases = [
        ("attention", vec![("h", 2)]),
        ("attention_causal", vec![("h", 2)]),
        ("attention_gqa", vec![("g", 2), ("r", 2)]),
    ];
    for (name, more) in cases {
        let graph = backward(name, &[&small, more.as_slice()].concat());
        for form in Forms::new(&graph, &target()).list() {
            judge(&format!("{name} {}", form.name()), &graph, &form.plan);
        }
    }
}

fn judge(what: &str, graph: &Graph, plan: &PassProgram) {
    for family in [Family::Normal, Family::Uniform, Family::Integers, Family::Equal] {
        let inputs = draw(graph, family, 1);
        let expected = evaluate(graph, &inputs);
        for block in BLOCKS {
            let got = plan::interpret_in_blocks(plan, &inputs, block);
            for ((expected, got), output) in expected.iter().zip(got).zip(&graph.outputs) {
                let shape = output.tensor.shape(&graph.axes);
                let got = HostTensor::from_f64(output.tensor.dtype, &shape, got);
                let verdict = compare(expected, &got);
                let place = format!("{what} {} blocks {block}", family.name());
                assert_eq!(verdict.wrong, 0, "{place}: {verdict:?}\n{}", plan::print(plan));
            }
        }
    }
}
