//! What a call of a small kernel costs: through a bound call, through a checked call with arrays, and with bytes.
//!
//! `cargo run --release --example small_calls` prints one JSON object for each kernel: nanoseconds per call, the lowest
//! decile, the median and the highest decile of many short groups, the ways of calling in turns. Use a quiet
//! processor: `taskset -c 0 chrt -f 1`.
#![expect(clippy::print_stdout, reason = "the example's answer")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use ndarray::{ArrayD, Dimension as _};
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use tilewright::{Kernel, Tensor, TensorMut};
use zerocopy::IntoBytes as _;

const PRODUCT: &str = "kernel f(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }";
const COPY: &str = "kernel f(x: f32[i]) -> y: f32[i] { x }";
const SOFTMAX: &str = "kernel f(x: f32[i,j]) -> y: f32[i,j] { softmax[j](x) }";

/// Groups of calls for each way.
const GROUPS: usize = 401;
/// Calls in a group.
const CALLS: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let product = |m, n, k| (PRODUCT, vec![("m", m), ("n", n), ("k", k)]);
    let mut kernels = vec![(COPY, vec![("i", 1)])];
    for (m, n, k) in [(3, 7, 5), (3, 5, 7), (5, 7, 3), (5, 3, 7), (7, 3, 5), (7, 5, 3)] {
        kernels.push(product(m, n, k));
    }
    kernels.extend([product(8, 8, 8), product(16, 16, 16), (SOFTMAX, vec![("i", 4), ("j", 16)])]);
    for (text, sizes) in kernels {
        println!("{}", measure(text, &sizes)?);
    }
    Ok(())
}

fn measure(text: &str, sizes: &[(&str, u64)]) -> Result<serde_json::Value, Box<dyn Error>> {
    let bound = Kernel::parse(text)?.bind(sizes.iter().copied())?;
    let graph = bound.graph();
    let array = |tensor: &tilewright::ir::graph::Tensor| {
        let shape: Vec<usize> =
            tensor.shape(&graph.axes).iter().map(|&extent| extent as usize).collect();
        ArrayD::from_shape_fn(shape, |index| index.as_array_view().sum() as f32 * 0.25)
    };
    let inputs: Vec<ArrayD<f32>> = graph.inputs.iter().map(array).collect();
    let (mut checked, mut bytes, mut own) = (
        array(&graph.outputs[0].tensor),
        array(&graph.outputs[0].tensor),
        array(&graph.outputs[0].tensor),
    );
    let code = bound.compiled()?;
    let memory: Vec<&[u8]> =
        inputs.iter().map(|of| of.as_slice().unwrap_or(&[]).as_bytes()).collect();
    let mut call = code.bind(inputs.iter().map(Into::into), [TensorMut::from(&mut own)])?;
    let mut times = [vec![], vec![], vec![]];
    for _ in 0..GROUPS {
        times[0].push(group(|| black_box(&mut call).call()));
        times[1].push(group(|| {
            let read: Vec<Tensor<'_>> = inputs.iter().map(Into::into).collect();
            let done = code.call(black_box(&read), &mut [(&mut checked).into()]);
            done.expect("the arrays fit");
        }));
        times[2].push(group(|| {
            let output = bytes.as_slice_mut().unwrap_or(&mut []).as_mut_bytes();
            code.call_bytes(black_box(&memory), &mut [output]).expect("the buffers fit");
        }));
    }
    assert!(checked == bytes && call.output::<f32>(0) == Some(checked.view()), "all ways agree");
    let [bound, checked, bytes] = times.map(deciles);
    Ok(
        json!({"kernel": text, "sizes": sizes, "bound_ns": bound, "checked_ns": checked, "bytes_ns": bytes}),
    )
}

/// Nanoseconds of one call.
fn group(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn deciles(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_by(f64::total_cmp);
    let round = |time: f64| (time * 10.0).round() / 10.0;
    [1, 5, 9].map(|tenth| round(times[times.len() * tenth / 10]))
}
