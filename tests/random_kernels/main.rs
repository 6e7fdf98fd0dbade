//! Random kernels through the whole compiler: text, check, plan, schedules, machine code, against the reference.
//!
//! Each kernel is drawn from its own seed, which is printed when it fails: `TILEWRIGHT_SEED=seed TILEWRIGHT_KERNELS=1`
//! replays it alone. `TILEWRIGHT_KERNELS` sets how many are drawn; with `--nocapture` and `TILEWRIGHT_TRACE=1` each
//! seed is printed before it runs, which finds the one that crashed. Code runs between guard pages (`memory`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod memory;
mod text;

use memory::Guarded;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use tilewright::cpu::Loaded;
use tilewright::ir::backend::Backend as _;
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::{Expected, Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::{Schedule, Space};
use tilewright::ir::{check, lower, plan, tile};

const KERNELS: u64 = 150;
const DRAWS: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

/// What a run of many kernels did.
#[derive(Debug, Default)]
struct Tally {
    kernels: u64,
    schedules: u64,
    calls: u64,
    /// Outputs of which too many elements hang on a comparison, after all draws.
    undecided: u64,
    /// Refused constructs and how often.
    unsupported: BTreeMap<String, u64>,
    faults: Vec<String>,
}

/// Machine code of one schedule.
struct Candidate {
    schedule: Schedule,
    loaded: Loaded,
}

fn bind(kernel: &text::RandomKernel) -> Graph {
    let file = check::check(&kernel.text).unwrap_or_else(|faults| panic!("{faults:?}"));
    file.kernels[0].bind(&kernel.sizes).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// Compiles the default, the naive and a sampled schedule.
fn candidates(
    graph: &Graph,
    rng: &mut ChaCha8Rng,
    tally: &mut Tally,
) -> Result<Vec<Candidate>, String> {
    let backend = tilewright::cpu::CpuBackend::host().unwrap();
    let plan = plan::build(graph);
    plan::verify(&plan).map_err(|faults| format!("plan: {faults:?}"))?;
    let space = Space::new(&plan, backend.target());
    let mut list = vec![];
    for schedule in [space.default_schedule(), space.naive_schedule(), space.sample(rng)] {
        let program = lower::lower_in(&space, &schedule)
            .map_err(|faults| format!("lower: {faults:?}\n{}", schedule.print()))?;
        tile::verify(&program, backend.target())
            .map_err(|faults| format!("verify: {faults:?}\n{}", schedule.print()))?;
        match backend.compile(&program) {
            Ok(artifact) => {
                tally.schedules += 1;
                list.push(Candidate { schedule, loaded: Loaded::new(&artifact).unwrap() });
            }
            Err(refused) => *tally.unsupported.entry(refused.what).or_default() += 1,
        }
    }
    Ok(list)
}

fn run(graph: &Graph, inputs: &[HostTensor], loaded: &mut Loaded) -> Vec<HostTensor> {
    let inputs = tilewright::ir::reference::memory(graph, inputs);
    let read: Vec<Guarded> = inputs.iter().map(|input| Guarded::input(input)).collect();
    let empty: Vec<HostTensor> = graph
        .outputs
        .iter()
        .map(|output| {
            let axes = &output.tensor.axes;
            let shape: Vec<u64> = axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
            HostTensor::zeros(output.tensor.dtype, &shape)
        })
        .collect();
    let mut written: Vec<Guarded> =
        empty.iter().map(|tensor| Guarded::new(tensor.bytes.len())).collect();
    let read: Vec<&[u8]> = read.iter().map(Guarded::bytes).collect();
    let mut slices: Vec<&mut [u8]> = written.iter_mut().map(Guarded::bytes_mut).collect();
    loaded.call(&read, &mut slices).unwrap();
    assert!(written.iter_mut().all(Guarded::front_is_intact), "code wrote before an output");
    let outputs = empty.into_iter().zip(&written);
    outputs.map(|(empty, buffer)| HostTensor { bytes: buffer.bytes().to_vec(), ..empty }).collect()
}

/// Inputs of a family whose results are decided, if any of a few draws has them.
fn decided(graph: &Graph, family: Family, seed: u64) -> Option<(Vec<HostTensor>, Vec<Expected>)> {
    (0..DRAWS).find_map(|draw_number| {
        let inputs = draw(graph, family, seed.wrapping_add(draw_number));
        let expected = evaluate(graph, &inputs);
        let enough = |one: &Expected| one.undecided * 2 <= one.values.len() as u64;
        expected.iter().all(enough).then_some((inputs, expected))
    })
}

fn judge(
    graph: &Graph,
    family: Family,
    seed: u64,
    list: &mut [Candidate],
    tally: &mut Tally,
) -> Result<(), String> {
    let Some((inputs, expected)) = decided(graph, family, seed) else {
        tally.undecided += 1;
        return Ok(());
    };
    for candidate in list {
        let got = run(graph, &inputs, &mut candidate.loaded);
        tally.calls += 1;
        for ((expected, got), output) in expected.iter().zip(&got).zip(&graph.outputs) {
            let verdict = compare(expected, got);
            if verdict.wrong > 0 {
                let (name, schedule) = (&output.tensor.name, candidate.schedule.print());
                return Err(format!("WRONG {name} {}: {verdict:?}\n{schedule}", family.name()));
            }
        }
    }
    Ok(())
}

/// One kernel with three schedules and every family.
fn one(seed: u64, kernel: &text::RandomKernel, tally: &mut Tally) -> Result<(), String> {
    let graph = bind(kernel);
    let mut rng = ChaCha8Rng::seed_from_u64(!seed);
    let mut list = candidates(&graph, &mut rng, tally)?;
    tally.kernels += 1;
    for &family in Family::ALL {
        judge(&graph, family, rng.random(), &mut list, tally)?;
    }
    Ok(())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// Why, the extents, the text.
type Regression = (&'static str, &'static [(&'static str, u64)], &'static str);

/// Kernels that once came out wrong or were not judged, by reason.
const REGRESSIONS: [Regression; 9] = [
    (
        "an integer extreme over nothing, in arithmetic",
        &[("i", 3), ("m", 0)],
        "kernel a(x: i32[i,m]) -> i32[i] { max[m](x) - i }",
    ),
    (
        "a truth value in memory",
        &[("i", 7), ("j", 5)],
        "kernel a(x: bool[i,j]) -> bool[j,i] { !x }",
    ),
    (
        "a truth value between passes",
        &[("i", 7), ("j", 5)],
        "kernel a(x: f32[i,j], y: f64[i,j]) -> f64[j,i] { where(any[j](x > 1), y, -y) }",
    ),
    (
        "overflows of both signs in a sum",
        &[("i", 17), ("j", 5)],
        "kernel a(x: f32[i,j]) -> f32[i] { sum[j]((x : f64 * 1e45) : f32) }",
    ),
    (
        "overflow and zero in a product",
        &[("j", 64)],
        "kernel a(x: f32[j]) -> f32[j] { x + (product[j]((j : i32)) : f32) }",
    ),
    (
        "underflow and infinity in a product",
        &[("i", 33)],
        "kernel a(x: f32[i]) -> f32 { product[i](x) }",
    ),
    (
        "an overflow times a number that may be flushed to zero",
        &[("j", 67)],
        "kernel a(x: f32[j]) -> f32[j] { exp(100 + abs(x)) * exp(-100 - abs(x)) * exp(100 + x) }",
    ),
    (
        "the sine of a large number that is not exact",
        &[("i", 32)],
        "kernel a(x: f64[i]) -> f64[i] { sin(exp(abs(x) * 50)) }",
    ),
    (
        "an infinite power of one",
        &[("i", 77)],
        "kernel a(x: f64[i]) -> f64[i] { pow(floor(abs(x)), where(x > 0, inf, -inf)) }",
    ),
];

#[test]
fn regressions_agree_with_the_reference() {
    let mut tally = Tally::default();
    for (reason, sizes, text) in REGRESSIONS {
        let sizes = sizes.iter().map(|&(name, extent)| (name.to_string(), extent)).collect();
        let kernel = text::RandomKernel { text: text.to_string(), sizes };
        for seed in 0..20 {
            let result = one(seed, &kernel, &mut tally);
            assert_eq!(result, Ok(()), "{reason}: {text} with seed {seed}");
        }
    }
    assert_eq!(tally.unsupported, BTreeMap::new());
}

#[test]
fn random_kernels_agree_with_the_reference() {
    let (seed, kernels) = (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_KERNELS", KERNELS));
    let trace = number("TILEWRIGHT_TRACE", 0) > 0;
    let mut tally = Tally::default();
    for seed in seed..seed + kernels {
        let kernel = text::random_kernel(seed);
        if trace {
            println!("TILEWRIGHT_SEED={seed} {:?}\n{}", kernel.sizes, kernel.text);
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            one(seed, &kernel, &mut tally)
        }));
        let fault = result.unwrap_or_else(|panic| Err(format!("panic: {}", message(&*panic))));
        if let Err(fault) = fault {
            let (sizes, text) = (&kernel.sizes, &kernel.text);
            let fault = format!("TILEWRIGHT_SEED={seed} {sizes:?}\n{text}{fault}");
            println!("{fault}");
            tally.faults.push(fault);
        }
    }
    let faults = std::mem::take(&mut tally.faults);
    println!("{tally:?}");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n----\n"));
}
