//! What identifies a task.

use crate::protocol::{TargetName, TaskRow};
use std::collections::BTreeMap;
use tilewright_ir::backend::Backend;
use tilewright_ir::base::{Sizes, hash_text};
use tilewright_ir::graph::{Graph, Tensor};
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::target::Target;

/// A kernel at fixed sizes, in one algebraic form, on one machine, by one code generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    row: TaskRow,
}

impl Task {
    /// The task of a bound graph in the form of a plan, for the machine and the code generator of a back end.
    pub fn of(graph: &Graph, plan: &PassProgram, backend: &dyn Backend) -> Self {
        let target = backend.target();
        let outputs = graph.outputs.iter().map(|output| &output.tensor);
        let arguments =
            graph.inputs.iter().chain(outputs).map(|tensor| argument(graph, tensor)).collect();
        Self {
            row: TaskRow {
                kernel: graph.name.clone(),
                kernel_hash: graph.hash().to_string(),
                form_hash: hash_text("plan", &plan::print(plan)).to_string(),
                sizes: sizes_of(graph),
                arguments,
                target: serde_json::to_string(target).expect("a target is plain data"),
                target_hash: TargetName::new(target).hash,
                compiler: backend.version(),
            },
        }
    }

    /// The fields.
    pub fn row(&self) -> &TaskRow {
        &self.row
    }

    /// The key: a hash over everything that the generated code was specialised to. 32 hexadecimal digits.
    pub fn key(&self) -> String {
        let row = &self.row;
        let sizes = serde_json::to_string(&row.sizes).expect("sizes are a map with text keys");
        let parts = [
            row.kernel_hash.as_str(),
            &row.form_hash,
            &sizes,
            &row.arguments.join("; "),
            &row.target_hash,
            &row.compiler,
        ];
        hash_text("task", &parts.join("\n")).to_string()
    }
}

/// How far another machine is from this one, in factors of e of an extent: nearer than any extent far away is.
const OTHER_MACHINE: f64 = 8.0;
/// How far another code generator for the same machine is.
const OTHER_COMPILER: f64 = 0.5;

impl Task {
    /// Whether another task differs in the machine, within its kind, or the version alone.
    pub(super) fn is_kin(&self, other: &TaskRow) -> bool {
        let own = &self.row;
        let target = |row: &TaskRow| serde_json::from_str::<Target>(&row.target).ok();
        own.sizes == other.sizes
            && own.arguments == other.arguments
            && target(own).zip(target(other)).is_some_and(|(own, other)| own.is_like(&other))
    }

    /// How unlike another task of the same kernel is: the sum over the axes of the logarithm of the ratio of the extents,
    /// and something for another machine.
    pub(super) fn distance(&self, other: &TaskRow) -> f64 {
        let own = &self.row;
        let log = |extent: u64| (extent as f64 + 1.0).ln();
        let ratio = |(axis, &extent): (&String, &u64)| {
            (log(extent) - log(other.sizes.get(axis).copied().unwrap_or(0))).abs()
        };
        let machine = if own.target_hash == other.target_hash { 0.0 } else { OTHER_MACHINE };
        let compiler = if own.compiler == other.compiler { 0.0 } else { OTHER_COMPILER };
        own.sizes.iter().map(ratio).sum::<f64>() + machine + compiler
    }
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self { row }
    }
}

/// The bound extent of every axis, by name.
pub(crate) fn sizes_of(graph: &Graph) -> Sizes {
    graph
        .axes
        .ids()
        .map(|axis| (graph.axes.name(axis).to_string(), graph.axes.extent(axis)))
        .collect::<BTreeMap<_, _>>()
}

/// `A: f32[m, k] row-major`: type, axes and memory order, `strides(1, 512)` where it is another.
fn argument(graph: &Graph, tensor: &Tensor) -> String {
    let axes = graph.axes.names(tensor.axes.iter().copied());
    let order = match tensor.strides_if_strided(&graph.axes) {
        None => "row-major".to_string(),
        Some(strides) => format!("strides{strides:?}"),
    };
    format!("{}: {}[{axes}] {order}", tensor.name, tensor.dtype)
}
