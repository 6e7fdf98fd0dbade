//! Backward kernels as machine code, against the reference of their own texts.
//!
//! The gradients of catalogue kernels at their small sizes: every form with its default schedule, the naive loop nest, and
//! some drawn schedules. And attention on a machine without caches to speak of, where no form may store the scores.
//! A failure prints the kernel, the sizes, the seed of the inputs and the schedule.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::Sizes;
use tilewright::ir::grad::grad;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::Forms;
use tilewright::ir::target::{MemoryLevel, Target};
use tilewright::{BoundKernel, CompiledKernel, Kernel};

/// Schedules drawn for each size set.
const DRAWN: u64 = 4;

const NAMES: [&str; 19] = [
    "attention",
    "attention_causal",
    "attention_gqa",
    "batched_matmul",
    "conv2d",
    "cumulative_sum",
    "decode_attention",
    "embedding",
    "group_norm",
    "layernorm",
    "linear_gelu",
    "log_softmax",
    "logsumexp",
    "matmul",
    "matmul_bf16",
    "rmsnorm",
    "rope",
    "softmax",
    "swiglu_mlp",
];

fn backward(name: &str) -> Kernel {
    let files = tilewright::kernels::all();
    let file = files.iter().find(|file| file.name == name).unwrap();
    let text = grad(file.source, Some(name), &[]).unwrap_or_else(|faults| panic!("{faults:?}"));
    Kernel::parse(&text).unwrap()
}

/// Runs code on one family of inputs; says what is wrong.
fn judge(
    bound: &BoundKernel,
    compiled: &CompiledKernel,
    family: Family,
    seed: u64,
) -> Result<(), String> {
    let graph = bound.graph();
    let inputs = draw(graph, family, seed);
    let output = |output: &tilewright::ir::graph::Output| {
        let axes = output.tensor.axes.iter();
        let shape: Vec<u64> = axes.map(|&axis| graph.axes.extent(axis)).collect();
        let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
        // An element that the kernel forgets stays recognisable.
        tensor.bytes.fill(0xaa);
        tensor
    };
    let mut outputs: Vec<HostTensor> = graph.outputs.iter().map(output).collect();
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).map_err(|error| error.to_string())?;
    for (expected, (got, output)) in
        evaluate(graph, &inputs).iter().zip(outputs.iter().zip(&graph.outputs))
    {
        let verdict = compare(expected, got);
        if verdict.wrong > 0 {
            let name = &output.tensor.name;
            return Err(format!("{family:?}, seed {seed}, output `{name}`: {verdict:?}"));
        }
    }
    Ok(())
}

#[test]
fn gradients_of_the_catalogue_are_right_as_machine_code() {
    for name in NAMES {
        let kernel = backward(name);
        let small = kernel.size_sets().iter().filter(|(set, _)| set.starts_with("small"));
        for (set, sizes) in small {
            let bound = kernel.bind_sizes(sizes).unwrap();
            let forms = bound.forms();
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let drawn = (0..DRAWN).map(|_| forms.sample(&mut random));
            let defaults = forms.list().iter().map(|form| form.space.default_schedule());
            let all: Vec<_> = defaults.chain([forms.naive_schedule()]).chain(drawn).collect();
            for (seed, schedule) in (1..).zip(all) {
                let compiled = bound.compile(&schedule).unwrap();
                judge(&bound, &compiled, Family::Normal, seed).unwrap_or_else(|fault| {
                    panic!("{name} at {set}: {fault}\n{}", schedule.print())
                });
            }
        }
    }
}

/// This machine with caches of a few bytes.
fn small_machine() -> Target {
    let level =
        |level: &MemoryLevel| MemoryLevel { bytes: level.bytes.min(1 << 12), ..level.clone() };
    let target = tilewright::host::backend().unwrap().target().clone();
    let memory = target.memory.iter().map(level).collect();
    Target { memory, ..target }
}

#[test]
fn attention_backward_without_scores_is_right_as_machine_code() {
    for (name, more) in [
        ("attention", vec![("h", 2)]),
        ("attention_causal", vec![("h", 2)]),
        ("attention_gqa", vec![("g", 1), ("r", 2)]),
    ] {
        let kernel = backward(name);
        for (i, j) in [(64, 64), (45, 70), (128, 33)] {
            let mut sizes: Sizes = [("b", 1), ("i", i), ("j", j), ("d", 4), ("e", 5)]
                .map(|(n, x)| (n.to_string(), x))
                .into();
            sizes.extend(more.iter().map(|&(n, x)| (n.to_string(), x)));
            let bound = kernel.bind_sizes(&sizes).unwrap();
            let forms = Forms::new(bound.graph(), &small_machine());
            let form = forms.preferred();
            assert!(!form.plan.groups.is_empty(), "{name}: {}", form.graph.print());
            let mut random = ChaCha8Rng::seed_from_u64(2);
            let drawn = (0..DRAWN).map(|_| form.space.sample(&mut random));
            let all: Vec<_> = [form.space.default_schedule()].into_iter().chain(drawn).collect();
            for (seed, schedule) in (1..).zip(all) {
                let program = forms.lower(&schedule).unwrap();
                let compiled = bound.compile_tile(&program).unwrap();
                for family in [Family::Normal, Family::Equal, Family::Wide] {
                    judge(&bound, &compiled, family, seed).unwrap_or_else(|fault| {
                        panic!("{name} at {sizes:?}: {fault}\n{}", schedule.print())
                    });
                }
            }
        }
    }
}

/// Random kernels: a gradient is a text without faults, or a refusal that says which operation is in the way.
/// `TILEWRIGHT_SEED` and `TILEWRIGHT_KERNELS` choose the seeds.
#[test]
fn random_kernels_have_gradients_or_are_refused() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let (first, count) = (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_KERNELS", 300));
    let (mut derived, mut refused) = (0, 0);
    for seed in first..first + count {
        let text = tilewright_testing::draw::file(seed);
        let Ok(kernels) = Kernel::parse_all(&text) else { continue };
        for kernel in kernels {
            let name = kernel.name();
            match grad(&text, Some(name), &[]) {
                Ok(backward) => {
                    derived += 1;
                    let again = Kernel::parse(&backward);
                    assert!(again.is_ok(), "seed {seed}, {name}: {again:?}\n{backward}");
                }
                Err(faults) => {
                    refused += 1;
                    let known = |code: &str| ["TW0901", "TW0903"].contains(&code);
                    let stays = faults.iter().all(|fault| known(fault.code));
                    assert!(stays, "seed {seed}, {name}: {faults:?}\n{text}");
                }
            }
        }
    }
    println!("seeds {first}..{}: {derived} derived, {refused} refused", first + count);
    assert!(derived > count / 4, "{derived} derived, {refused} refused");
}
