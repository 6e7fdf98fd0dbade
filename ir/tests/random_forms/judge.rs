//! One kernel: its forms against the reference on every family of inputs, and against those of another rule order.
//!
//! Invariant: the text is the judge. Every decided element of every output of every form is compared.

use crate::machine;
use tilewright_ir::check;
use tilewright_ir::graph::{Graph, Op};
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::{
    Expected, Family, HostTensor, compare, draw, evaluate, special_places,
};
use tilewright_ir::rewrite::{Form, Limits, Order, Rewriter};
use tilewright_ir::schedule::Forms;
use tilewright_ir::target::Target;

const FORMS: usize = 4;
const BLOCKS: [u64; 3] = [1, 3, 64];

/// What a run did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    kernels: u64,
    forms: u64,
    rolled: u64,
    comparisons: u64,
    elements: u64,
    undecided: u64,
    /// Kernels whose growth ended by itself.
    saturated: u64,
    /// Kernels for which the rules found something.
    rewritten: u64,
    /// Kernels with an axis that is reduced and empty.
    empty: u64,
    nodes_max: u64,
}

impl Tally {
    fn counts(&mut self) -> [&mut u64; 9] {
        [
            &mut self.kernels,
            &mut self.forms,
            &mut self.rolled,
            &mut self.comparisons,
            &mut self.elements,
            &mut self.undecided,
            &mut self.saturated,
            &mut self.rewritten,
            &mut self.empty,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut copy = other.clone();
        for (own, other) in self.counts().into_iter().zip(copy.counts()) {
            *own += *other;
        }
        self.nodes_max = self.nodes_max.max(other.nodes_max);
    }

    /// Whether enough was decided, rewritten and rolled for a verdict.
    pub(crate) fn is_enough(&self, decided_min: f64) -> bool {
        let decided = 1.0 - self.undecided as f64 / self.elements.max(1) as f64;
        decided >= decided_min
            && self.rolled * 4 > self.kernels
            && self.rewritten * 2 > self.kernels
    }

    pub(crate) fn json(&self, first: u64, count: u64, faults: usize) -> String {
        let Self { kernels, forms, rolled, comparisons, elements, undecided, .. } = self;
        let Self { saturated, rewritten, empty, nodes_max, .. } = self;
        format!(
            "{{\"event\":\"random_forms\",\"seeds\":[{first},{}],\"kernels\":{kernels},\"rewritten\":{rewritten},\
             \"saturated\":{saturated},\"nodes_max\":{nodes_max},\"empty\":{empty},\"forms\":{forms},\"rolled\":{rolled},\
             \"comparisons\":{comparisons},\"elements\":{elements},\"undecided_elements\":{undecided},\
             \"faults\":{faults}}}",
            first + count - 1
        )
    }
}

fn target() -> Target {
    machine::target(&[("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)])
}

/// One kernel of a file at its size set.
pub(crate) fn judge(text: &str, seed: u64, tally: &mut Tally) -> Result<(), String> {
    let file = check::check(text).map_err(|faults| format!("refused: {faults:?}"))?;
    let kernel = &file.kernels[0];
    let graph =
        kernel.bind(&kernel.size_sets[0].1).map_err(|faults| format!("bind: {faults:?}"))?;
    tally.kernels += 1;
    let plans = forms(&graph, tally)?;
    for &family in Family::ALL {
        let rounds = if family == Family::Specials { special_places(&graph).min(7) } else { 1 };
        for round in 0..rounds {
            let inputs = draw(&graph, family, seed.wrapping_mul(31).wrapping_add(round));
            let expected = evaluate(&graph, &inputs);
            for (name, plan) in &plans {
                for block in BLOCKS {
                    let got = plan::interpret_in_blocks(plan, &inputs, block);
                    compare_all(&graph, &expected, got, tally).map_err(|wrong| {
                        let family = family.name();
                        format!("numbers: {family} {round}, blocks of {block}: {wrong}\n{name}")
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// The plans of all forms, each once, of both rule orders.
fn forms(graph: &Graph, tally: &mut Tally) -> Result<Vec<(String, PassProgram)>, String> {
    let all = Forms::new(graph, &target());
    let Some(growth) = all.growth().filter(|_| has_terms(graph)) else {
        // Nothing is rewritten over empty axes; the text is all there is.
        tally.empty += 1;
        return Ok(vec![("as written".to_string(), all.list()[0].plan.clone())]);
    };
    tally.nodes_max = tally.nodes_max.max(growth.nodes as u64);
    let grown = |order| {
        let rewriter = Rewriter::new(graph, Limits { order, ..Limits::default() });
        let forms = rewriter.forms(graph, &target(), FORMS);
        (forms, rewriter.growth.stop_reason == "saturated")
    };
    let (one, saturated) = grown(Order::Table);
    let (other, also) = grown(Order::Reversed);
    same_bytes(&one, &grown(Order::Table).0)?;
    tally.saturated += u64::from(saturated);
    if saturated && also {
        same_best(&one, &other)?;
    }
    let mut plans: Vec<(String, PassProgram)> = vec![];
    for form in one.iter().chain(&other) {
        let text = form.graph.print();
        if plans.iter().any(|(known, _)| *known == text) {
            continue;
        }
        let plan = plan::build(&form.graph);
        plan::verify(&plan).map_err(|faults| format!("plan: {faults:?}\n{text}"))?;
        tally.forms += 1;
        let rolled = form.graph.nodes.iter().any(|node| matches!(node.op, Op::Roll(..)));
        tally.rolled += u64::from(rolled);
        plans.push((text, plan));
    }
    tally.rewritten += u64::from(plans.iter().any(|(text, _)| *text != graph.print()));
    Ok(plans)
}

fn has_terms(graph: &Graph) -> bool {
    graph.axes.ids().all(|axis| graph.axes.extent(axis) > 0)
}

fn same_bytes(one: &[Form], other: &[Form]) -> Result<(), String> {
    let texts =
        |forms: &[Form]| -> Vec<String> { forms.iter().map(|form| form.graph.print()).collect() };
    match texts(one) == texts(other) {
        true => Ok(()),
        false => Err("bytes: the same order gave other forms".to_string()),
    }
}

/// The best forms of two orders have the same passes and about the same cost.
fn same_best(one: &[Form], other: &[Form]) -> Result<(), String> {
    let (Some(one), Some(other)) = (one.first(), other.first()) else {
        return Err(format!("order: {} and {} forms", one.len(), other.len()));
    };
    let ratio = one.predicted_ns / other.predicted_ns;
    if one.passes == other.passes && (0.99..=1.01).contains(&ratio) {
        return Ok(());
    }
    let (passes, others) = (&one.passes, &other.passes);
    let texts = format!("{}\n{}", one.graph.print(), other.graph.print());
    Err(format!("order: {passes:?} and {others:?}, costs {ratio}\n{texts}"))
}

fn compare_all(
    graph: &Graph,
    expected: &[Expected],
    got: Vec<Vec<f64>>,
    tally: &mut Tally,
) -> Result<(), String> {
    for ((expected, got), output) in expected.iter().zip(got).zip(&graph.outputs) {
        let shape = output.tensor.shape(&graph.axes);
        let got = HostTensor::from_f64(output.tensor.dtype, &shape, got);
        let verdict = compare(expected, &got);
        tally.comparisons += 1;
        tally.elements += verdict.elements;
        tally.undecided += verdict.undecided;
        if verdict.wrong > 0 {
            return Err(format!("output {}: {verdict:?}", output.tensor.name));
        }
    }
    Ok(())
}
