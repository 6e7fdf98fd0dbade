//! Plans, tile programs and machine code of rolled graphs have the values of the naive graphs.

use super::graphs::{self, Pair};
use super::unusual;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tilewright_cpu::{CpuBackend, Loaded};
use tilewright_ir::DType;
use tilewright_ir::backend::Backend as _;
use tilewright_ir::lower;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::{self, Expected, Family, HostTensor, compare};
use tilewright_ir::schedule::{Schedule, Space};
use tilewright_ir::tile::{self, TileProgram};

const SEED: u64 = 3;
/// Random schedules of each pair, if `TILEWRIGHT_SCHEDULES` does not say.
const SCHEDULES: u64 = 3;

struct Case {
    inputs: Vec<HostTensor>,
    expected: Vec<Expected>,
}

fn cases(pair: &Pair) -> Vec<Case> {
    let case = |&family: &Family| {
        let inputs = reference::draw(&pair.naive, family, SEED);
        let expected = reference::evaluate(&pair.naive, &inputs);
        Case { inputs, expected }
    };
    let draws = |family: &&Family| pair.at_infinity || **family != Family::Specials;
    Family::ALL.iter().filter(draws).map(case).collect()
}

fn pairs() -> impl Iterator<Item = Pair> {
    graphs::all().into_iter().chain(unusual::all())
}

/// Compares values with what the naive graph allows.
fn judge(what: &str, pair: &Pair, expected: &[Expected], got: &[HostTensor]) {
    for ((expected, got), output) in expected.iter().zip(got).zip(&pair.naive.outputs) {
        let verdict = compare(expected, got);
        assert_eq!(verdict.wrong, 0, "{}: {what}: {}: {verdict:?}", pair.name, output.tensor.name);
    }
}

fn tensors(pair: &Pair, values: &[Vec<f64>]) -> Vec<HostTensor> {
    let outputs = pair.naive.outputs.iter().zip(values);
    let tensor = |(output, values): (&tilewright_ir::graph::Output, &Vec<f64>)| {
        let shape = output.tensor.shape(&pair.naive.axes);
        HostTensor::from_f64(output.tensor.dtype, &shape, values.iter().copied())
    };
    outputs.map(tensor).collect()
}

pub(crate) fn planned(pair: &Pair) -> PassProgram {
    let plan = plan::build(&pair.rolled);
    let text = plan::print(&plan);
    plan::verify(&plan).unwrap_or_else(|faults| panic!("{}: {faults:?}\n{text}", pair.name));
    plan
}

#[test]
fn plans_mean_what_the_naive_graphs_mean_in_any_blocks() {
    for pair in pairs() {
        let plan = planned(&pair);
        let text = plan::print(&plan);
        let parsed = plan::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
        assert_eq!(parsed, plan, "{text}");
        assert!(!plan.groups.is_empty(), "{text}");
        for case in cases(&pair) {
            for block in [1, 2, 3, 8, 64, 1000] {
                let values = plan::interpret_in_blocks(&plan, &case.inputs, block);
                let what = format!("blocks of {block}\n{text}");
                judge(&what, &pair, &case.expected, &tensors(&pair, &values));
            }
        }
    }
}

/// The tile program of a schedule, which has a text and obeys the rules.
pub(crate) fn lowered(
    pair: &Pair,
    space: &Space,
    schedule: &Schedule,
    backend: &CpuBackend,
) -> TileProgram {
    let fail = |what: &str, faults: &dyn std::fmt::Debug| -> ! {
        panic!("{}: {what}: {faults:?}\n{}", pair.name, schedule.print())
    };
    let program = lower::lower_in(space, schedule).unwrap_or_else(|faults| fail("lower", &faults));
    let text = tile::print(&program);
    tile::verify(&program, backend.target())
        .unwrap_or_else(|faults| fail(&format!("verify\n{text}"), &faults));
    let parsed = tile::parse(&text).unwrap_or_else(|faults| fail("parse", &faults));
    assert_eq!(parsed, program, "{text}");
    program
}

pub(crate) fn run(
    pair: &Pair,
    program: &TileProgram,
    backend: &CpuBackend,
    inputs: &[HostTensor],
) -> Vec<HostTensor> {
    let artifact = backend.compile(program);
    let artifact =
        artifact.unwrap_or_else(|error| panic!("{}: {error}\n{}", pair.name, tile::print(program)));
    let loaded = Loaded::new(&artifact).unwrap();
    let empty = pair.naive.outputs.iter().map(|output| {
        let mut tensor =
            HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&pair.naive.axes));
        tensor.bytes.fill(0xaa);
        tensor
    });
    let mut outputs: Vec<HostTensor> = empty.collect();
    let memory = reference::memory(&pair.naive, inputs);
    let read: Vec<&[u8]> = memory.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    loaded.call(&read, &mut written).unwrap();
    outputs
}

#[test]
fn tile_programs_and_code_mean_what_the_naive_graphs_mean() {
    let backend = CpuBackend::host().unwrap();
    let count =
        std::env::var("TILEWRIGHT_SCHEDULES").map_or(SCHEDULES, |text| text.parse().unwrap());
    for pair in pairs() {
        let plan = planned(&pair);
        let space = Space::new(&plan, backend.target());
        let mut schedules = vec![space.default_schedule(), space.naive_schedule()];
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        schedules.extend((0..count).map(|_| space.sample(&mut rng)));
        let cases = cases(&pair);
        for schedule in schedules {
            let program = lowered(&pair, &space, &schedule, &backend);
            let what = format!("{}\n{}", schedule.print(), tile::print(&program));
            for Case { inputs, expected } in &cases {
                let values = tile::interpret(&program, inputs);
                judge(&format!("interpreted {what}"), &pair, expected, &tensors(&pair, &values));
                let got = run(&pair, &program, &backend, inputs);
                judge(&format!("compiled {what}"), &pair, expected, &got);
            }
        }
    }
}

/// Bytes that a program takes besides its arguments.
fn workspace(program: &TileProgram, backend: &CpuBackend) -> u64 {
    let artifact = backend.compile(program).unwrap();
    let scratch = artifact.launches.iter().map(|launch| launch.scratch_bytes).max();
    scratch.unwrap() + artifact.device_bytes.iter().sum::<u64>()
}

#[test]
fn nothing_of_the_size_of_the_scores_is_kept() {
    let backend = CpuBackend::host().unwrap();
    let all = [("b", 1), ("i", 4096), ("j", 4096), ("d", 64), ("e", 64)];
    let pair = graphs::attention(DType::F32, true, &graphs::sizes(&all));
    let space = Space::new(&planned(&pair), backend.target());
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let schedules = (0..20).map(|_| space.sample(&mut rng)).collect::<Vec<_>>();
    for schedule in [space.default_schedule(), space.naive_schedule()].iter().chain(&schedules) {
        let program = lowered(&pair, &space, schedule, &backend);
        let scores = |buffer: &tile::Buffer| {
            // The parts of a split stream may be as many, but not along j.
            let whole = buffer.volume(&program.axes) >= 4096 * 4096;
            let of_keys = buffer.axes.iter().any(|&axis| program.axes.name(axis) == "j");
            whole && of_keys && buffer.scope != tile::Scope::Input
        };
        let found = program.buffers.iter().find(|buffer| scores(buffer));
        assert_eq!(found, None, "{}", schedule.print());
    }
    let program = lowered(&pair, &space, &space.default_schedule(), &backend);
    // It may hold a copy of the keys, which are 1 MiB.
    let bytes = workspace(&program, &backend);
    assert!(bytes < 3 << 19, "the default schedule takes {bytes} bytes");
}

#[test]
fn long_streams_are_right_in_code() {
    let backend = CpuBackend::host().unwrap();
    let list = [(61, 1009, 16, 24), (1, 4099, 32, 32), (130, 520, 64, 64), (3, 2048, 1, 1)];
    for (i, j, d, e) in list {
        let all = graphs::sizes(&[("b", 1), ("i", i), ("j", j), ("d", d), ("e", e)]);
        let pairs = [
            graphs::attention(DType::F32, i > 1, &all),
            graphs::variance(DType::F32, &graphs::sizes(&[("i", i), ("j", j)])),
            graphs::normalised(DType::F32, &graphs::sizes(&[("i", i), ("j", j), ("e", e)])),
        ];
        for pair in pairs {
            let space = Space::new(&planned(&pair), backend.target());
            let mut rng = ChaCha8Rng::seed_from_u64(SEED + i);
            let mut schedules = vec![space.default_schedule()];
            schedules.extend((0..4).map(|_| space.sample(&mut rng)));
            let inputs = reference::draw(&pair.naive, Family::Close, SEED);
            let expected = reference::evaluate(&pair.naive, &inputs);
            for schedule in schedules {
                let program = lowered(&pair, &space, &schedule, &backend);
                let got = run(&pair, &program, &backend, &inputs);
                judge(&schedule.print(), &pair, &expected, &got);
            }
        }
    }
}

#[test]
fn neighbours_of_schedules_are_legal() {
    let backend = CpuBackend::host().unwrap();
    for pair in pairs().filter(|pair| pair.name.contains("\"j\": 13")) {
        let space = Space::new(&planned(&pair), backend.target());
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut here = space.default_schedule();
        let mut moved = 0;
        for _ in 0..30 {
            let next = space.neighbour(&here, &mut rng);
            lowered(&pair, &space, &next, &backend);
            assert_eq!(space.canonical(&next), next);
            moved += usize::from(here != next);
            here = next;
        }
        assert!(moved >= 25, "{}: {moved} of 30 neighbours differ", pair.name);
    }
}

#[test]
fn pivots_that_rise_in_every_block_stay_within_the_bound() {
    let backend = CpuBackend::host().unwrap();
    let rows = graphs::sizes(&[("i", 3), ("j", 8191)]);
    let cube = graphs::sizes(&[("i", 3), ("j", 8191), ("e", 8)]);
    for pair in [graphs::log_sum_exp(DType::F32, &rows), graphs::normalised(DType::F32, &cube)] {
        let space = Space::new(&planned(&pair), backend.target());
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut schedules = vec![space.default_schedule(), space.naive_schedule()];
        schedules.extend((0..12).map(|_| space.sample(&mut rng)));
        for scale in [1e-6, 1e-4, 1e-2, 1.0, 30.0] {
            let mut inputs = reference::draw(&pair.naive, Family::Normal, SEED);
            let mut values = inputs[0].to_f64();
            for row in values.chunks_mut(8191) {
                row.sort_by(f64::total_cmp);
            }
            let scaled = values.into_iter().map(|value| value * scale);
            inputs[0] = HostTensor::from_f64(DType::F32, &inputs[0].shape.clone(), scaled);
            let expected = reference::evaluate(&pair.naive, &inputs);
            for schedule in &schedules {
                let program = lowered(&pair, &space, schedule, &backend);
                let got = run(&pair, &program, &backend, &inputs);
                judge(&format!("scale {scale} {}", schedule.print()), &pair, &expected, &got);
            }
        }
    }
}
