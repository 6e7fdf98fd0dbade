//! What the benches share: kernels, inputs, and whether this is a real run.

use tilewright::ir::reference::{Family, HostTensor, draw};
use tilewright::{BoundKernel, CompiledKernel, Kernel};

/// `cargo bench` passes `--bench`; without it every function runs once, on tiny sizes.
pub(crate) fn is_real() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// An extent that is small unless the run is real.
pub(crate) fn extent(real: u64) -> u64 {
    if is_real() { real } else { real.min(32) }
}

/// A kernel at its sizes.
pub(crate) fn bind(text: &str, sizes: &[(&str, u64)]) -> BoundKernel {
    let kernel = Kernel::parse(text).expect("the bench's kernel is legal");
    kernel.bind(sizes.iter().copied()).expect("the bench's sizes are legal")
}

pub(crate) const MATMUL: &str =
    "kernel matmul(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }";

/// Square matmul.
pub(crate) fn matmul(extent: u64) -> BoundKernel {
    bind(MATMUL, &[("m", extent), ("n", extent), ("k", extent)])
}

/// Code with its buffers, ready to be called again and again.
pub(crate) struct Ready {
    compiled: CompiledKernel,
    inputs: Vec<HostTensor>,
    outputs: Vec<HostTensor>,
}

impl Ready {
    /// Compiles the default schedule for at most `threads` threads.
    pub(crate) fn new(mut bound: BoundKernel, threads: Option<u64>) -> Self {
        bound.set_threads_max(threads);
        let schedule = bound.space().default_schedule();
        let compiled = bound.compile(&schedule).expect("the default schedule compiles");
        let graph = bound.graph();
        let outputs = graph.outputs.iter().map(|output| {
            let shape: Vec<u64> =
                output.tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
            HostTensor::zeros(output.tensor.dtype, &shape)
        });
        let outputs = outputs.collect();
        Self { compiled, inputs: draw(graph, Family::Normal, 1), outputs }
    }

    /// One call.
    pub(crate) fn call(&mut self) {
        let read: Vec<&[u8]> = self.inputs.iter().map(|input| input.bytes.as_slice()).collect();
        let mut written: Vec<&mut [u8]> =
            self.outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
        self.compiled.call_bytes(&read, &mut written).expect("the buffers fit the kernel");
    }
}
