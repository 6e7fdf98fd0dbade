//! Gathers in machine code: the results computed by hand on random schedules, then random sizes against the reference.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use tilewright::ir::base::Sizes;
use tilewright::ir::graph::Graph;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, Kernel};

/// Random schedules for each case, and random (sizes, schedule) pairs for each file.
const SCHEDULES: u64 = 12;
const PAIRS: u64 = 24;

fn shape(graph: &Graph, axes: &[tilewright::ir::AxisId]) -> Vec<u64> {
    axes.iter().map(|&axis| graph.axes.extent(axis)).collect()
}

fn run(bound: &BoundKernel, schedule: &Schedule, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph = bound.graph();
    let compiled = bound
        .compile(schedule)
        .unwrap_or_else(|error| panic!("{}: {error}\n{}", graph.name, schedule.print()));
    let mut outputs: Vec<HostTensor> = (graph.outputs.iter())
        .map(|output| {
            let shape = shape(graph, &output.tensor.axes);
            let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
            // An element that the kernel forgets stays recognisable.
            tensor.bytes.fill(0xaa);
            tensor
        })
        .collect();
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).unwrap();
    outputs
}

fn schedules(bound: &BoundKernel, count: u64, seed: u64) -> Vec<Schedule> {
    let space = bound.space();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = (0..count).map(|_| space.sample(&mut rng));
    [space.default_schedule(), space.naive_schedule()].into_iter().chain(drawn).collect()
}

#[test]
fn machine_code_gives_what_was_computed_by_hand() {
    for file in cases::all(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let kernel = Kernel::parse(&file.source).unwrap();
        for case in &file.cases {
            let bound = kernel.bind_sizes(&case.sizes).unwrap();
            let graph = bound.graph();
            let tensor = |tensor: &tilewright::ir::graph::Tensor| {
                let values = case.inputs[&tensor.name].iter().copied();
                HostTensor::from_f64(tensor.dtype, &shape(graph, &tensor.axes), values)
            };
            let inputs: Vec<_> = graph.inputs.iter().map(tensor).collect();
            for schedule in schedules(&bound, SCHEDULES, 1) {
                let outputs = run(&bound, &schedule, &inputs);
                let found: Vec<Vec<f64>> = outputs.iter().map(HostTensor::to_f64).collect();
                let (name, sizes) = (&file.name, &case.sizes);
                assert_eq!(found, case.outputs, "{name} at {sizes:?}\n{}", schedule.print());
            }
        }
    }
}

#[test]
fn machine_code_agrees_with_the_reference_at_random_sizes() {
    const EXTENTS: [u64; 12] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33];
    for file in cases::all(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let kernel = Kernel::parse(&file.source).unwrap();
        let axes = kernel.graph().axes.clone();
        for seed in 0..PAIRS {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let extent = |axis| {
                let extent = EXTENTS[rng.random_range(0..EXTENTS.len())];
                (axes.name(axis).to_string(), extent)
            };
            let sizes: Sizes = axes.ids().map(extent).collect();
            let bound = kernel.bind_sizes(&sizes).unwrap();
            let inputs = draw(bound.graph(), Family::ALL[seed as usize % Family::ALL.len()], seed);
            let expected = evaluate(bound.graph(), &inputs);
            for schedule in schedules(&bound, 2, seed) {
                for (got, wanted) in run(&bound, &schedule, &inputs).iter().zip(&expected) {
                    let verdict = compare(wanted, got);
                    let name = &file.name;
                    let text = schedule.print();
                    assert_eq!(
                        verdict.wrong, 0,
                        "{name} at {sizes:?}, seed {seed}\n{verdict:?}\n{text}"
                    );
                }
            }
        }
    }
}
