//! The kernels of `tests/files/run`, compiled and loaded, against the reference: every size set, every family of inputs.
//!
//! Each with the default, the naive and some drawn schedules; `TILEWRIGHT_PAIRS` says how many. A failure prints the
//! kernel, the sizes, the family, the seed of the inputs and the schedule.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, Kernel};

/// Schedules drawn for each size set.
const SCHEDULES: u64 = 6;

fn schedules() -> u64 {
    match std::env::var("TILEWRIGHT_PAIRS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("TILEWRIGHT_PAIRS is a number")),
        Err(_) => SCHEDULES,
    }
}

fn outputs(graph: &Graph) -> Vec<HostTensor> {
    let output = |output: &tilewright::ir::graph::Output| {
        let axes = output.tensor.axes.iter();
        let shape: Vec<u64> = axes.map(|&axis| graph.axes.extent(axis)).collect();
        let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
        // An element that the kernel forgets stays recognisable.
        tensor.bytes.fill(0xaa);
        tensor
    };
    graph.outputs.iter().map(output).collect()
}

/// Runs one schedule on every family; says what is wrong.
fn judge(bound: &BoundKernel, schedule: &Schedule, seed: u64) -> Result<u64, String> {
    let graph = bound.graph();
    let compiled = bound.compile(schedule).map_err(|error| error.to_string())?;
    let mut decided = 0;
    for &family in Family::ALL {
        let inputs = draw(graph, family, seed);
        let mut outputs = outputs(graph);
        let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
        let mut written: Vec<&mut [u8]> =
            outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
        compiled.call_bytes(&read, &mut written).map_err(|error| error.to_string())?;
        let expected = evaluate(graph, &inputs);
        for (expected, (got, output)) in expected.iter().zip(outputs.iter().zip(&graph.outputs)) {
            let verdict = compare(expected, got);
            if verdict.wrong > 0 {
                let name = &output.tensor.name;
                return Err(format!("{family:?}, seed {seed}, output `{name}`: {verdict:?}"));
            }
            decided += verdict.elements - verdict.undecided;
        }
    }
    Ok(decided)
}

fn run(file: &str) {
    let path = format!("{}/tests/files/run/{file}.tw", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut decided = 0;
    for kernel in Kernel::parse_all(&text).unwrap_or_else(|error| panic!("{error}")) {
        assert!(!kernel.size_sets().is_empty(), "{} has no sizes", kernel.name());
        for (set, sizes) in kernel.size_sets() {
            let bound = kernel.bind_sizes(sizes).unwrap();
            let forms = bound.forms();
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let drawn = (0..schedules()).map(|_| forms.sample(&mut rng));
            let fixed = forms.list().iter().map(|form| form.space.default_schedule());
            let all: Vec<Schedule> = fixed.chain([forms.naive_schedule()]).chain(drawn).collect();
            for (seed, schedule) in (1..).zip(all) {
                decided += judge(&bound, &schedule, seed).unwrap_or_else(|fault| {
                    panic!("{} at {set}: {fault}\n{}", kernel.name(), schedule.print())
                });
            }
        }
    }
    assert!(decided > 1_000 * schedules(), "{decided} elements were decided");
}

#[test]
fn scans() {
    run("scans");
}

#[test]
fn searches() {
    run("searches");
}

#[test]
fn reductions() {
    run("reductions");
}

#[test]
fn windows() {
    run("windows");
}

#[test]
fn splits() {
    run("splits");
}

#[test]
fn narrow() {
    run("narrow");
}

#[test]
fn positions() {
    run("positions");
}
