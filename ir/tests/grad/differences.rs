//! Central differences of a forward kernel against the numbers of its backward kernel.
//!
//! For random weights w, `L = sum of w * output` is differenced in every element of every wanted input with the steps h and
//! h / 2. The error of a central difference is `c h^2 + O(h^4)`, so the two differ by three times the error of the second;
//! rounding adds some ulps of the terms of L over h.

use super::texts::{source, wrt};
use super::{files, root};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_ir::DType;
use tilewright_ir::check::{CheckedKernel, check};
use tilewright_ir::grad::grad;
use tilewright_ir::graph::{Graph, Tensor};
use tilewright_ir::reference::Family;
use tilewright_ir::reference::{HostTensor, draw, evaluate};

const STEP: f64 = 1.0 / 1024.0;

fn shape(graph: &Graph, tensor: &Tensor) -> Vec<u64> {
    tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect()
}

fn host(dtype: DType, shape: &[u64], values: &[f64]) -> HostTensor {
    let mut tensor = HostTensor::zeros(dtype, shape);
    values.iter().enumerate().for_each(|(at, &value)| tensor.set(at, value));
    tensor
}

/// The sum of the weighted outputs, and of the magnitudes of its terms.
fn loss(graph: &Graph, inputs: &[HostTensor], weights: &[Vec<f64>]) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for (expected, weights) in evaluate(graph, inputs).iter().zip(weights) {
        for (value, weight) in expected.values.iter().zip(weights) {
            if *weight != 0.0 {
                sum.0 += value * weight;
                sum.1 += (value * weight).abs();
            }
        }
    }
    sum
}

/// Every element of every gradient at a random point.
fn compare(
    text: &str,
    kernel: &CheckedKernel,
    wanted: &[String],
    seed: u64,
) -> Result<usize, String> {
    let name = &kernel.graph.name;
    let backward = grad(text, Some(name), wanted).map_err(|faults| format!("{faults:?}"))?;
    let backward = check(&backward).map_err(|faults| format!("{faults:?}"))?;
    let backward = &backward.kernels[0];
    let (_, sizes) = kernel.size_sets.iter().find(|(name, _)| name.starts_with("small")).unwrap();
    let (_, of_gradient) =
        backward.size_sets.iter().find(|(name, _)| name.starts_with("small")).unwrap();
    let forward = kernel.bind(sizes).map_err(|faults| format!("{faults:?}"))?;
    let gradient = backward.bind(of_gradient).map_err(|faults| format!("{faults:?}"))?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut inputs = draw(&forward, Family::Normal, seed);
    for input in inputs.iter_mut().filter(|input| input.dtype.is_float()) {
        // Away from multiples of the step, at which a random number is not.
        let values: Vec<f64> =
            (0..input.len()).map(|_| random.random_range(-1.5..1.5_f64)).collect();
        *input = host(input.dtype, &input.shape.clone(), &values);
    }
    let weights: Vec<Vec<f64>> = forward
        .outputs
        .iter()
        .map(|output| {
            let count = shape(&forward, &output.tensor).iter().product::<u64>();
            let is_float = output.tensor.dtype.is_float();
            let draw = |_| if is_float { random.random_range(-1.0..1.0) } else { 0.0 };
            (0..count).map(draw).collect()
        })
        .collect();
    let argument = |tensor: &Tensor| {
        let own = forward.inputs.iter().position(|input| input.name == tensor.name);
        let of_output = forward.outputs.iter().zip(&weights);
        let mut of_output =
            of_output.filter(|(output, _)| tensor.name == format!("d_{}", output.tensor.name));
        match own {
            Some(position) => inputs[position].clone(),
            None => {
                let (output, weights) = of_output.next().expect("a gradient of an output");
                host(tensor.dtype, &shape(&forward, &output.tensor), weights)
            }
        }
    };
    let arguments: Vec<HostTensor> = gradient.inputs.iter().map(argument).collect();
    let found = evaluate(&gradient, &arguments);
    let mut compared = 0;
    for (output, found) in gradient.outputs.iter().zip(&found) {
        let of = output.tensor.name.strip_prefix("d_").unwrap();
        let position = forward.inputs.iter().position(|input| input.name == of).unwrap();
        for (at, &value) in found.values.iter().enumerate() {
            let center = inputs[position].get(at);
            let mut at_step = |step: f64| {
                let mut side = |to: f64| {
                    inputs[position].set(at, to);
                    loss(&forward, &inputs, &weights)
                };
                let (high, low) = (side(center + step), side(center - step));
                inputs[position].set(at, center);
                ((high.0 - low.0) / (2.0 * step), high.1 + low.1)
            };
            let (first, (second, size)) = (at_step(STEP).0, at_step(STEP / 2.0));
            let allowed = (first - second).abs() + 16.0 * f64::EPSILON * (1.0 + size) / STEP;
            let close = (second - value).abs() <= allowed;
            if !close {
                return Err(format!(
                    "{name}, seed {seed}: d_{of}[{at}] = {value}, differences {first}, {second}"
                ));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

#[test]
fn the_files_agree_with_differences() {
    let mut wrong = vec![];
    for (name, path) in files("tests/files/grad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let source = source(&text);
        for kernel in &check(source).unwrap().kernels {
            for seed in 1..=3 {
                if let Err(fault) = compare(source, kernel, &wrt(source), seed) {
                    wrong.push(format!("{name}: {fault}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The catalogue's kernels of floats, computed in f64.
#[test]
fn the_catalogue_agrees_with_differences() {
    let names = [
        "attention",
        "attention_causal",
        "attention_gqa",
        "batched_matmul",
        "conv2d",
        "conv2d_stride2",
        "cumulative_sum",
        "decode_attention",
        "embedding",
        "group_norm",
        "layernorm",
        "linear_gelu",
        "log_softmax",
        "logsumexp",
        "matmul",
        "rmsnorm",
        "rope",
        "sliding_window_attention",
        "softmax",
        "swiglu",
        "swiglu_mlp",
    ];
    let mut wrong = vec![];
    for name in names {
        let text = std::fs::read_to_string(root().join(format!("kernels/{name}.tw"))).unwrap();
        let text = text.replace("f32", "f64");
        let file = check(&text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        match compare(&text, &file.kernels[0], &[], 1) {
            Ok(compared) => assert!(compared > 0, "{name}"),
            Err(fault) => wrong.push(fault),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
