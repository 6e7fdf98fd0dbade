//! Kernel and schedule examples: checked, compiled with the default and the naive schedule, compared with the reference.

use crate::blocks::Block;
use tilewright::ir::base::Sizes;
use tilewright::ir::check::check;
use tilewright::ir::diag::{Diagnostic, to_text};
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate, memory};
use tilewright::ir::schedule::Schedule;
use tilewright::ir::syntax;
use tilewright::{BoundKernel, Kernel};

/// Size sets with more points in the iteration space are tuning sizes, which an example does not run.
const POINTS_MAX: u64 = 1 << 20;

/// The name under which an example's messages are shown.
const NAME: &str = "example.tw";

/// An example that is right: canonical, without faults, and each kernel with sizes agrees with the reference.
pub(crate) fn accept(block: &Block) -> Result<(), String> {
    let faults = |faults: Vec<Diagnostic>| block.complain(&to_text(NAME, &block.text, &faults));
    check(&block.text).map_err(faults)?;
    let canonical = syntax::print(&syntax::parse(&block.text).file);
    if canonical != block.text {
        block.bless(&canonical);
        return Err(block.complain(&format!("not canonical; `fmt` prints\n{canonical}")));
    }
    for kernel in Kernel::parse_all(&block.text).map_err(|error| error.to_string())? {
        for (set, sizes) in kernel.size_sets() {
            if points(sizes) <= POINTS_MAX {
                let verdict = agrees(&kernel, sizes);
                let name = kernel.name();
                verdict.map_err(|what| block.complain(&format!("{name} at {set}: {what}")))?;
            }
        }
    }
    Ok(())
}

fn points(sizes: &Sizes) -> u64 {
    sizes.values().fold(1, |points: u64, &extent| points.saturating_mul(extent))
}

fn agrees(kernel: &Kernel, sizes: &Sizes) -> Result<(), String> {
    let bound = kernel.bind_sizes(sizes).map_err(|error| error.to_string())?;
    let space = bound.space();
    judge(&bound, &space.default_schedule())?;
    judge(&bound, &space.naive_schedule())
}

/// Runs the code and compares every output; the error says what went wrong.
fn judge(bound: &BoundKernel, schedule: &Schedule) -> Result<(), String> {
    let graph = bound.graph();
    let inputs = draw(graph, Family::Normal, 1);
    let compiled = bound.compile(schedule).map_err(|error| error.to_string())?;
    let shape = |axes: &[_]| axes.iter().map(|&axis| graph.axes.extent(axis)).collect::<Vec<_>>();
    let mut outputs: Vec<HostTensor> = (graph.outputs.iter())
        .map(|output| HostTensor::zeros(output.tensor.dtype, &shape(&output.tensor.axes)))
        .collect();
    // An element that the kernel forgets stays recognisable.
    outputs.iter_mut().for_each(|output| output.bytes.fill(0xaa));
    let lying = memory(graph, &inputs);
    let read: Vec<&[u8]> = lying.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).map_err(|error| error.to_string())?;
    for (expected, (found, output)) in
        evaluate(graph, &inputs).iter().zip(outputs.iter().zip(&graph.outputs))
    {
        let verdict = compare(expected, found);
        if verdict.wrong > 0 {
            return Err(format!("output `{}`: {verdict:?}", output.tensor.name));
        }
    }
    Ok(())
}

/// An example with faults: exactly these codes, and the message, where one is shown.
pub(crate) fn refuse(block: &Block, message: Option<&Block>) -> Result<(), String> {
    let Err(faults) = check(&block.text) else {
        return Err(block.complain("this example has no fault"));
    };
    compare_faults(block, message, &to_text(NAME, &block.text, &faults), &faults)
}

/// Whether the faults are those that a refused example names, and their text is the message.
fn compare_faults(
    block: &Block,
    message: Option<&Block>,
    text: &str,
    faults: &[Diagnostic],
) -> Result<(), String> {
    let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
    if codes != block.codes() {
        return Err(block.complain(&format!("the faults are {codes:?}:\n{text}")));
    }
    match message {
        Some(message) if message.text.trim_end() != text.trim_end() => {
            message.bless(&format!("{}\n", text.trim_end()));
            Err(block.complain(&format!("the message is\n{text}")))
        }
        _ => Ok(()),
    }
}

/// A schedule of a kernel example: accepted at its first size set, and right.
pub(crate) fn schedule(kernel: &Block, block: &Block) -> Result<(), String> {
    let faults =
        |faults: Vec<Diagnostic>| block.complain(&to_text("example", &block.text, &faults));
    let schedule = Schedule::parse(&block.text).map_err(faults)?;
    let bound = bound_first(kernel, block, &schedule.kernel)?;
    judge(&bound, &schedule).map_err(|what| block.complain(&what))
}

/// A schedule of a kernel example with faults: exactly these codes, and the message, where one is shown.
pub(crate) fn refuse_schedule(
    kernel: &Block,
    block: &Block,
    message: Option<&Block>,
) -> Result<(), String> {
    let name = block.text.split_whitespace().skip_while(|&word| word != "schedule").nth(1);
    let bound = bound_first(kernel, block, name.unwrap_or_default())?;
    let Err(faults) = bound.forms().read(&block.text) else {
        return Err(block.complain("this schedule has no fault"));
    };
    compare_faults(block, message, &to_text("example.schedule", &block.text, &faults), &faults)
}

/// The kernel of that name in an example, at its first size set.
fn bound_first(kernel: &Block, block: &Block, name: &str) -> Result<BoundKernel, String> {
    let kernels = Kernel::parse_all(&kernel.text).map_err(|error| error.to_string())?;
    let Some(kernel) = kernels.iter().find(|kernel| kernel.name() == name) else {
        return Err(block.complain(&format!("there is no kernel `{name}` above")));
    };
    let (_, sizes) = kernel.size_sets().first().ok_or(block.complain("the kernel has no sizes"))?;
    kernel.bind_sizes(sizes).map_err(|error| error.to_string())
}
