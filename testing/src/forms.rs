//! The forms that the rewriter finds of a kernel, with code of their own.
//!
//! Invariant: a form is judged against the reference of the kernel as written.

use crate::Tally;
use crate::judge::{Candidate, Effort, Fault, candidates};
use rand_chacha::ChaCha8Rng;
use tilewright_cpu::CpuBackend;
use tilewright_ir::backend::Backend as _;
use tilewright_ir::graph::{Graph, Op};
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::HostTensor;
use tilewright_ir::rewrite::{Limits, Rewriter};

/// What a fault of a form says of it.
#[derive(Debug)]
pub(crate) struct Told {
    text: String,
}

/// One form.
pub(crate) struct Rewritten {
    pub(crate) told: Told,
    pub(crate) plan: PassProgram,
    pub(crate) candidates: Vec<Candidate>,
}

impl Told {
    /// The fault, as one of this form.
    pub(crate) fn fault(&self, fault: Fault) -> Fault {
        let detail = format!("{}\nin the form\n{}", fault.detail, self.text);
        Fault { kind: format!("form: {}", fault.kind), detail, ..fault }
    }
}

impl Rewritten {
    /// Interpreted outputs as tensors.
    pub(crate) fn tensors(&self, graph: &Graph, values: Vec<Vec<f64>>) -> Vec<HostTensor> {
        let outputs = graph.outputs.iter().zip(values);
        outputs
            .map(|(output, values)| {
                let shape = output.tensor.shape(&graph.axes);
                HostTensor::from_f64(output.tensor.dtype, &shape, values)
            })
            .collect()
    }
}

/// The best forms that differ from the kernel as written; none where an axis is empty.
pub(crate) fn rewritten(
    graph: &Graph,
    random: &mut ChaCha8Rng,
    effort: Effort,
    tally: &mut Tally,
) -> Result<Vec<Rewritten>, Fault> {
    if graph.axes.ids().any(|axis| graph.axes.extent(axis) == 0) {
        return Ok(vec![]);
    }
    let backend = CpuBackend::host().map_err(|refused| Fault::new("host", refused.to_string()))?;
    let forms =
        Rewriter::new(graph, Limits::default()).forms(graph, backend.target(), effort.forms + 1);
    let written = graph.print();
    let mut list = vec![];
    for form in forms {
        let told = Told { text: form.graph.print() };
        if told.text == written || list.len() == effort.forms {
            continue;
        }
        tally.forms += 1;
        tally.rolled +=
            u64::from(form.graph.nodes.iter().any(|node| matches!(node.op, Op::Roll(..))));
        let plan = plan::build(&form.graph);
        plan::verify(&plan)
            .map_err(|faults| told.fault(Fault::new("plan", format!("{faults:?}"))))?;
        let candidates =
            candidates(&plan, random, effort, None, tally).map_err(|fault| told.fault(fault))?;
        list.push(Rewritten { told, plan, candidates });
    }
    Ok(list)
}
