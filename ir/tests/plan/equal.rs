//! The levels mean the same: graph, pass program, and the tile programs of random schedules.

use super::{graphs, target};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::{self, Family, HostTensor};
use tilewright_ir::schedule::{Schedule, Space};
use tilewright_ir::{lower, tile};

const SEED: u64 = 20;
const SCHEDULES: u64 = 200;

fn drawn(graph: &Graph) -> Vec<HostTensor> {
    reference::draw(graph, Family::Normal, SEED)
}

/// Equal but for the order in which sums were formed.
fn compare(what: &str, got: &[Vec<f64>], wanted: &[Vec<f64>]) {
    assert_eq!(got.len(), wanted.len(), "{what}: outputs");
    for (output, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert_eq!(got.len(), wanted.len(), "{what}: elements of output {output}");
        for (index, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
            let near = (got - wanted).abs() <= 1e-9 * (1.0 + wanted.abs());
            let same = got == wanted || (got.is_nan() && wanted.is_nan()) || near;
            assert!(same, "{what}: output {output}[{index}] is {got}, not {wanted}");
        }
    }
}

#[test]
fn plans_mean_what_their_graphs_mean() {
    for (name, graph) in graphs::all() {
        let plan = plan::build(&graph);
        plan::verify(&plan)
            .unwrap_or_else(|faults| panic!("{name}: {faults:?}\n{}", plan::print(&plan)));
        let inputs = drawn(&graph);
        let wanted = reference::evaluate(&graph, &inputs);
        let wanted: Vec<Vec<f64>> = wanted.into_iter().map(|output| output.values).collect();
        compare(name, &plan::interpret(&plan, &inputs), &wanted);
    }
}

#[test]
fn plan_texts_parse_to_the_same_plan() {
    for (name, graph) in graphs::all() {
        let plan = plan::build(&graph);
        let text = plan::print(&plan);
        let parsed =
            plan::parse(&text).unwrap_or_else(|faults| panic!("{name}: {faults:?}\n{text}"));
        assert_eq!(parsed, plan, "{name}\n{text}");
    }
}

/// Checks one schedule: legal, canonical, round trip, lowered program verified and equal to the plan.
fn check(name: &str, plan: &PassProgram, space: &Space, schedule: &Schedule, run: bool) {
    let text = schedule.print();
    let fail = |what: &str, faults: &dyn std::fmt::Debug| -> ! {
        panic!("{name}: {what}: {faults:?}\n{text}\n{}", plan::print(plan))
    };
    space.check(schedule).unwrap_or_else(|faults| fail("check", &faults));
    assert_eq!(&Schedule::parse(&text).unwrap(), schedule, "{name}\n{text}");
    assert_eq!(&space.canonical(schedule), schedule, "{name}\n{text}");
    let program = lower::lower_in(space, schedule).unwrap_or_else(|faults| fail("lower", &faults));
    let tiles = tile::print(&program);
    tile::verify(&program, &target())
        .unwrap_or_else(|faults| fail(&format!("verify\n{tiles}"), &faults));
    let parsed =
        tile::parse(&tiles).unwrap_or_else(|faults| fail(&format!("parse\n{tiles}"), &faults));
    assert_eq!(parsed, program, "{name}\n{tiles}");
    if run {
        let inputs = plan_inputs(plan);
        let wanted = plan::interpret(plan, &inputs);
        check_passes(name, &lower::passes_in(space, schedule).unwrap(), (&inputs, &wanted));
        compare(&format!("{name}\n{tiles}"), &tile::interpret(&program, &inputs), &wanted);
    }
}

/// Checks the passes that a schedule makes of a plan: verified, of the same meaning, and the same when read again.
fn check_passes(name: &str, passes: &PassProgram, (inputs, wanted): (&[HostTensor], &[Vec<f64>])) {
    let text = plan::print(passes);
    let mut faults = plan::verify(passes).err().unwrap_or_default();
    // Nothing stores the values of maps that their readers evaluate.
    faults.retain(|fault| !fault.ends_with("is never stored"));
    assert!(faults.is_empty(), "{name}: {faults:?}\n{text}");
    compare(&format!("{name}\n{text}"), &plan::interpret(passes, inputs), wanted);
    let parsed = plan::parse(&text).unwrap_or_else(|faults| panic!("{name}: {faults:?}\n{text}"));
    assert_eq!(plan::print(&parsed), text, "{name}");
}

/// Inputs for a plan without its graph: small numbers of both signs.
fn plan_inputs(plan: &PassProgram) -> Vec<HostTensor> {
    let inputs = plan.values.iter().filter(|value| value.kind == plan::ValueKind::Input);
    inputs
        .enumerate()
        .map(|(position, value)| {
            let shape: Vec<u64> = value.axes.iter().map(|&axis| plan.axes.extent(axis)).collect();
            let count = shape.iter().product::<u64>();
            let number = |index: u64| ((index * 7 + position as u64 * 5) % 13) as f64 / 4.0 - 1.5;
            HostTensor::from_f64(value.dtype, &shape, (0..count).map(number))
        })
        .collect()
}

#[test]
fn default_and_naive_schedules_lower() {
    for (name, graph) in graphs::all() {
        let plan = plan::build(&graph);
        let space = Space::new(&plan, &target());
        check(name, &plan, &space, &space.default_schedule(), true);
        check(name, &plan, &space, &space.naive_schedule(), true);
    }
}

#[test]
fn random_schedules_mean_what_the_plan_means() {
    for (name, graph) in graphs::all() {
        let plan = plan::build(&graph);
        let space = Space::new(&plan, &target());
        for seed in 0..SCHEDULES {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let schedule = space.sample(&mut rng);
            check(&format!("{name}, seed {seed}"), &plan, &space, &schedule, true);
        }
    }
}

#[test]
fn neighbours_are_legal_and_near() {
    for (name, graph) in graphs::all() {
        let plan = plan::build(&graph);
        let space = Space::new(&plan, &target());
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut here = space.default_schedule();
        let mut moved = 0;
        for _ in 0..30 {
            let next = space.neighbour(&here, &mut rng);
            check(&format!("{name}, seed {SEED}"), &plan, &space, &next, false);
            moved += usize::from((1..=3).contains(&here.diff(&next).len()));
            here = next;
        }
        assert!(moved >= 25, "{name}, seed {SEED}: {moved} of 30 neighbours are near");
    }
}
