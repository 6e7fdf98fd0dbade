//! Honest results: the code of the CPU back end on random legal schedules, and a straightforward evaluation.
//!
//! Invariant: both round every operation to the type that the text gives it, and keep the chains of additions as short
//! as generated code has to; they differ in order and in fused steps only.

use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::{DType, Row, additions_max};
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::naive::{self, Arithmetic};
use tilewright::ir::reference::{HostTensor, round_to};
use tilewright::{BoundKernel, CompiledKernel};

/// The straightforward evaluation, one of four orders of addition.
pub(crate) fn arithmetic(order: u64) -> Arithmetic {
    let sums: [fn(DType, &[f64]) -> f64; 4] = [
        |dtype, terms| blocked(dtype, terms, 1),
        |dtype, terms| blocked(dtype, terms, 4),
        |dtype, terms| blocked(dtype, terms, 16),
        |dtype, terms| blocked(dtype, terms, 128),
    ];
    Arithmetic { round: round_to, sum: sums[order as usize % sums.len()] }
}

/// Lanes of chains as long as is legal, then a tree. Whole numbers are summed as they are.
fn blocked(dtype: DType, terms: &[f64], lanes: usize) -> f64 {
    if !dtype.is_float() {
        return terms.iter().sum();
    }
    let row = terms.len().div_ceil(lanes) as u64;
    // Behind the chains a tree adds, which needs no more than pieces in a row.
    let cut = Row::new([row]).chain_within(additions_max(terms.len() as u64), 1);
    let chain = if cut == 0 { row.max(1) } else { cut } as usize;
    let mut sums: Vec<f64> = vec![];
    for block in terms.chunks(chain * lanes) {
        let mut own = vec![0.0; lanes];
        for (index, term) in block.iter().enumerate() {
            own[index % lanes] = round_to(dtype, own[index % lanes] + term);
        }
        sums.extend(own);
    }
    while sums.len() > 1 {
        sums = sums.chunks(2).map(|pair| round_to(dtype, pair.iter().sum())).collect();
    }
    sums.first().copied().unwrap_or(0.0)
}

/// The outputs by an arithmetic.
pub(crate) fn plain(
    graph: &Graph,
    inputs: &[HostTensor],
    arithmetic: Arithmetic,
) -> Vec<HostTensor> {
    tensors(graph, naive::evaluate(graph, inputs, arithmetic), round_to)
}

/// Values as output tensors, each rounded by `round`.
pub(crate) fn tensors(
    graph: &Graph,
    values: impl IntoIterator<Item = Vec<f64>>,
    round: fn(DType, f64) -> f64,
) -> Vec<HostTensor> {
    let outputs = graph.outputs.iter().zip(values);
    outputs
        .map(|(output, values)| {
            let dtype = output.tensor.dtype;
            let values = values.into_iter().map(|value| round(dtype, value));
            HostTensor::from_f64(dtype, &shape(graph, &output.tensor), values)
        })
        .collect()
}

fn shape(graph: &Graph, tensor: &tilewright::ir::graph::Tensor) -> Vec<u64> {
    tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect()
}

/// A schedule's code: the default one first, then the naive one, then random ones. `None` if the back end has no code
/// for the kernel.
pub(crate) fn compiled(
    bound: &BoundKernel,
    number: u64,
    rng: &mut ChaCha8Rng,
) -> Option<CompiledKernel> {
    let space = bound.space();
    let schedule = match number {
        0 => space.default_schedule(),
        1 => space.naive_schedule(),
        _ => space.sample(rng),
    };
    bound.compile(&schedule).ok()
}

/// The outputs of machine code; untouched elements stay recognisable.
pub(crate) fn run(graph: &Graph, code: &CompiledKernel, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let mut outputs: Vec<HostTensor> = graph
        .outputs
        .iter()
        .map(|output| {
            let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape(graph, &output.tensor));
            tensor.bytes.fill(0xaa);
            tensor
        })
        .collect();
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    code.call_bytes(&read, &mut written).expect("buffers have the sizes of the signature");
    outputs
}
