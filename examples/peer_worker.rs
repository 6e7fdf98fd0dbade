//! A worker that a harness times beside other libraries: `peer_worker [STORE] THREADS`.
//!
//! It reads requests from its standard input and answers each by one line:
//! * `prep OP DIMS..` compiles a kernel at these extents and draws inputs: `ok ERROR`, the largest distance from the
//!   reference (nan where that would take long), or `skip WHY`;
//! * `run SECONDS` calls it for about so long: `t SECONDS..`, what each call, or group of short calls, took.
//!
//! Schedules are those of the store, or the defaults. Invariant: a time is of calls with checked buffers.

#![expect(clippy::print_stdout, reason = "the protocol answers on the standard output")]
#![expect(clippy::disallowed_methods, reason = "it measures for a harness of its own")]

#[path = "support/memory.rs"]
mod memory;

use memory::Buffer;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::time::Instant;
use tilewright::ir::base::DType;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::{BoundKernel, CompiledKernel, Kernel};

/// Times of one request.
const TIMES_MAX: usize = 2000;
/// Shorter calls are timed in groups of about this long.
const GROUP_SECONDS: f64 = 20e-6;
/// Multiply-adds up to which the numbers are compared.
const CHECKED_WORK: u64 = 300_000_000;

/// An operation of the protocol: its name, the kernel, the axes of the extents. An axis `r` is the second divided by the
/// third where the protocol has heads and groups.
const OPERATIONS: &[(&str, &str, &[&str])] = &[
    (
        "matmul_f32",
        "kernel f(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }",
        &["m", "n", "k"],
    ),
    (
        "batched_f32",
        "kernel f(A: f32[b,m,k], B: f32[b,k,n]) -> C: f32[b,m,n] { sum[k](A * B) }",
        &["m", "n", "k", "b"],
    ),
    (
        "matmul_bf16",
        "kernel f(A: bf16[m,k], B: bf16[k,n]) -> C: bf16[m,n] { sum[k](A * B) : f32 }",
        &["m", "n", "k"],
    ),
    (
        "matmul_f16",
        "kernel f(A: f16[m,k], B: f16[k,n]) -> C: f16[m,n] { sum[k](A * B) : f32 }",
        &["m", "n", "k"],
    ),
    (
        "matmul_s8",
        "kernel f(A: u8[m,k], B: i8[k,n]) -> C: i32[m,n] { sum[k](A * B) : i32 }",
        &["m", "n", "k"],
    ),
    (
        "matmul_bias_gelu_f32",
        "kernel f(x: f32[m,k], W: f32[k,n], b: f32[n]) -> y: f32[m,n] { gelu(sum[k](x * W) + b) }",
        &["m", "n", "k"],
    ),
    (
        "attn",
        "kernel f(Q: f32[b,g,r,i,d], K: f32[b,g,j,d], V: f32[b,g,j,e]) -> O: f32[b,g,r,i,e] {
           s = sum[d](Q * K) * rsqrt(len(d))
           sum[j](softmax[j](s) * V)
         }",
        &["b", "h", "g", "i", "j", "d"],
    ),
    (
        "attn_causal",
        "kernel f(Q: f32[b,g,r,i,d], K: f32[b,g,j,d], V: f32[b,g,j,e]) -> O: f32[b,g,r,i,e] {
           s = sum[d](Q * K) * rsqrt(len(d))
           sum[j](softmax[j](mask(j <= i + len(j) - len(i), s)) * V)
         }",
        &["b", "h", "g", "i", "j", "d"],
    ),
    ("softmax", "kernel f(x: f32[i,j]) -> y: f32[i,j] { softmax[j](x) }", &["i", "j"]),
    (
        "rmsnorm",
        "kernel f(x: f32[i,j], w: f32[j]) -> y: f32[i,j] { rmsnorm[j](x, w, 1e-5) }",
        &["i", "j"],
    ),
    (
        "layernorm",
        "kernel f(x: f32[i,j], w: f32[j], b: f32[j]) -> y: f32[i,j] { layernorm[j](x, w, b, 1e-5) }",
        &["i", "j"],
    ),
    ("swiglu", "kernel f(x: f32[i,j], u: f32[i,j]) -> y: f32[i,j] { silu(x) * u }", &["i", "j"]),
    ("copy", "kernel f(x: f32[i,j]) -> y: f32[i,j] { x }", &["i", "j"]),
];

/// A compiled kernel with its buffers.
struct Prepared {
    bound: BoundKernel,
    code: CompiledKernel,
    tensors: Vec<HostTensor>,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args().next_back().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut prepared = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["prep", name, ref extents @ ..] => match prepare(name, extents, threads) {
                Ok((ready, error)) => {
                    prepared = Some(ready);
                    format!("ok {error}")
                }
                Err(error) => format!("skip {}", error.to_string().replace('\n', " ")),
            },
            ["run", seconds] => run(prepared.as_mut().ok_or("run before prep")?, seconds.parse()?)?,
            _ => break,
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Extents by axis. Heads and groups become groups and heads of each; the values have as many features as the keys.
fn sizes(axes: &[&'static str], extents: &[u64]) -> Vec<(&'static str, u64)> {
    let mut sizes: Vec<_> = axes.iter().copied().zip(extents.iter().copied()).collect();
    if let Some(heads) = sizes.iter().position(|(axis, _)| *axis == "h") {
        let (heads, groups) = (sizes.remove(heads).1, extents[2]);
        sizes.push(("r", heads / groups.max(1)));
        let features = *extents.last().unwrap_or(&0);
        sizes.push(("e", features));
    }
    sizes
}

fn prepare(name: &str, words: &[&str], threads: u64) -> Result<(Prepared, f64), Box<dyn Error>> {
    let extents: Vec<u64> = words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let is_batched = name == "matmul_f32" && extents.len() > 3 && extents[3] > 1;
    let name = if is_batched { "batched_f32" } else { name };
    let row = OPERATIONS.iter().find(|row| row.0 == name).ok_or("no such operation")?;
    let mut bound = Kernel::parse(row.1)?.bind(sizes(row.2, &extents))?;
    bound.set_threads_max(Some(threads));
    let tensors = draw(bound.graph(), Family::Normal, 1);
    let inputs =
        tensors.iter().map(|tensor| Buffer::of(&tensor.bytes)).collect::<Result<_, _>>()?;
    let (schedule, _) = bound.schedule()?;
    let code = bound.compile(&schedule)?;
    let graph = bound.graph();
    let bytes = |dtype: DType, count: u64| (count * u64::from(dtype.bits())).div_ceil(8) as usize;
    let of_output = |tensor: &tilewright::ir::graph::Tensor| {
        bytes(tensor.dtype, tensor.shape(&graph.axes).iter().product())
    };
    let outputs = graph.outputs.iter().map(|output| Buffer::new(of_output(&output.tensor)));
    let outputs = outputs.collect::<Result<_, _>>()?;
    let work: u64 = extents.iter().product();
    let mut prepared = Prepared { code, tensors, inputs, outputs, bound };
    prepared.call()?;
    let error = if work <= CHECKED_WORK { prepared.error() } else { f64::NAN };
    Ok((prepared, error))
}

impl Prepared {
    fn call(&mut self) -> Result<(), Box<dyn Error>> {
        let inputs: Vec<&[u8]> = self.inputs.iter().map(|input| &**input).collect();
        let mut outputs: Vec<&mut [u8]> =
            self.outputs.iter_mut().map(|output| &mut **output).collect();
        Ok(self.code.call_bytes(&inputs, &mut outputs)?)
    }

    /// The worst ratio of an error to what the reference allows.
    fn error(&self) -> f64 {
        let graph = self.bound.graph();
        let expected = evaluate(graph, &self.tensors);
        let outputs = graph.outputs.iter().zip(&self.outputs);
        let ratios = outputs.zip(&expected).map(|((output, bytes), expected)| {
            let shape = output.tensor.shape(&graph.axes);
            let mut got = HostTensor::zeros(output.tensor.dtype, &shape);
            got.bytes.copy_from_slice(bytes);
            compare(expected, &got).worst_ratio
        });
        ratios.fold(0.0, f64::max)
    }
}

fn run(prepared: &mut Prepared, seconds: f64) -> Result<String, Box<dyn Error>> {
    // Peers check no shapes in their loops either: what can be done once is done once.
    let inputs = prepared.inputs.iter().map(|input| &**input);
    let outputs = prepared.outputs.iter_mut().map(|output| &mut **output);
    let mut call = prepared.code.bind_bytes(inputs, outputs)?;
    call.call();
    let start = Instant::now();
    call.call();
    let once = start.elapsed().as_secs_f64();
    let group = if once < GROUP_SECONDS { (GROUP_SECONDS / once.max(1e-8)) as u32 + 1 } else { 1 };
    let (start, mut answer) = (Instant::now(), String::from("t"));
    for _ in 0..TIMES_MAX {
        let own = Instant::now();
        for _ in 0..group {
            call.call();
        }
        let time = own.elapsed().as_secs_f64() / f64::from(group);
        answer.push_str(&format!(" {time:.12}"));
        if start.elapsed().as_secs_f64() > seconds {
            break;
        }
    }
    Ok(answer)
}
