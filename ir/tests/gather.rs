//! Gathers at every level above machine code: reference, naive evaluator, plan and tile programs of random schedules.
//!
//! First against results computed by hand, then against each other at random sizes. A failure prints the schedule and
//! the seed of what failed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tests/cases/mod.rs"]
mod cases;

mod machine;

use cases::File;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use tilewright_ir::base::Sizes;
use tilewright_ir::check::check;
use tilewright_ir::graph::{self, Graph};
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::{self, Family, HostTensor, naive};
use tilewright_ir::schedule::Space;
use tilewright_ir::target::Target;
use tilewright_ir::{lower, tile};

/// Random schedules for each case, and random sizes for each file.
const SCHEDULES: u64 = 30;
const SIZES: u64 = 12;

fn target() -> Target {
    machine::target(&[("L2", 1 << 20)])
}

fn files() -> Vec<File> {
    cases::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
}

fn graph(file: &File) -> Graph {
    let checked = check(&file.source).unwrap_or_else(|faults| panic!("{}: {faults:?}", file.name));
    let graph = checked.kernels[0].graph.clone();
    graph::verify(&graph).unwrap();
    let printed = graph.print();
    let again = check(&printed).unwrap_or_else(|faults| panic!("{faults:?}\n{printed}"));
    assert_eq!(again.kernels[0].graph, graph, "{printed}");
    graph
}

fn tensors(graph: &Graph, case: &cases::Case) -> Vec<HostTensor> {
    let inputs = graph.inputs.iter().map(|tensor| {
        let shape: Vec<u64> = tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
        HostTensor::from_f64(tensor.dtype, &shape, case.inputs[&tensor.name].iter().copied())
    });
    inputs.collect()
}

/// Equal but for the order in which sums were formed.
fn compare(what: &str, got: &[Vec<f64>], wanted: &[Vec<f64>]) {
    assert_eq!(got.len(), wanted.len(), "{what}: outputs");
    for (got, wanted) in got.iter().zip(wanted) {
        let near = |(&x, &y): (&f64, &f64)| {
            x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * (1.0 + y.abs())
        };
        let same = got.len() == wanted.len() && got.iter().zip(wanted).all(near);
        assert!(same, "{what}:\n{got:?}\n{wanted:?}");
    }
}

fn lowered(name: &str, plan: &PassProgram, inputs: &[HostTensor], wanted: &[Vec<f64>], seed: u64) {
    let space = Space::new(plan, &target());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for number in 0..SCHEDULES {
        let schedule = match number {
            0 => space.default_schedule(),
            1 => space.naive_schedule(),
            _ => space.sample(&mut rng),
        };
        let program = lower::lower_in(&space, &schedule).unwrap();
        let text = tile::print(&program);
        let what = format!("{name}, seed {seed}\n{}\n{text}", plan::print(plan));
        tile::verify(&program, &target()).unwrap_or_else(|faults| panic!("{what}\n{faults:?}"));
        assert_eq!(tile::parse(&text).as_ref(), Ok(&program), "{what}");
        compare(&what, &tile::interpret(&program, inputs), wanted);
    }
}

fn levels(name: &str, graph: &Graph, inputs: &[HostTensor], wanted: &[Vec<f64>], seed: u64) {
    let plan = plan::build(graph);
    let text = plan::print(&plan);
    plan::verify(&plan).unwrap_or_else(|faults| panic!("{name}: {faults:?}\n{text}"));
    assert_eq!(plan::parse(&text).as_ref(), Ok(&plan), "{text}");
    compare(&format!("{name}\n{text}"), &plan::interpret(&plan, inputs), wanted);
    lowered(name, &plan, inputs, wanted, seed);
}

#[test]
fn every_level_gives_what_was_computed_by_hand() {
    for file in files() {
        let graph = graph(&file);
        for case in &file.cases {
            let bound = graph.bind(&case.sizes).unwrap();
            let inputs = tensors(&bound, case);
            let name = format!("{} at {:?}", file.name, case.sizes);
            let expected = reference::evaluate(&bound, &inputs);
            assert!(expected.iter().all(|output| output.undecided == 0), "{name}");
            let values: Vec<_> = expected.into_iter().map(|output| output.values).collect();
            compare(&name, &values, &case.outputs);
            let exact = naive::Arithmetic::exact();
            compare(&name, &naive::evaluate(&bound, &inputs, exact), &case.outputs);
            levels(&name, &bound, &inputs, &case.outputs, 1);
        }
    }
}

#[test]
fn the_levels_agree_at_random_sizes() {
    const EXTENTS: [u64; 8] = [0, 1, 2, 3, 4, 5, 7, 16];
    for file in files() {
        let graph = graph(&file);
        for seed in 0..SIZES {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let extent =
                |axis| (graph.axes.name(axis).to_string(), EXTENTS[rng.random_range(0..8)]);
            let sizes: Sizes = graph.axes.ids().map(extent).collect();
            if sizes.values().product::<u64>() > 1 << 12 {
                continue;
            }
            let bound = graph.bind(&sizes).unwrap();
            let inputs = reference::draw(&bound, Family::Normal, seed);
            let name = format!("{} at {sizes:?}", file.name);
            let exact = naive::evaluate(&bound, &inputs, naive::Arithmetic::exact());
            let expected = reference::evaluate(&bound, &inputs);
            let values: Vec<_> = expected.into_iter().map(|output| output.values).collect();
            compare(&name, &values, &exact);
            levels(&name, &bound, &inputs, &exact, seed);
        }
    }
}
