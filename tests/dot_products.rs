//! Contractions of narrow elements whose products the processor adds in groups or in tiles, in schedules drawn at random.
//!
//! Every pair of types that there is an instruction for, operands that lie along either of their axes, extents that cut
//! groups, panels and blocks anywhere. Where the processor has no such instruction the choice must not be offered.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tilewright::ir::backend::Backend as _;
use tilewright::ir::base::Sizes;
use tilewright::ir::reference::{Expected, Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::{ChoiceValue, Schedule, Setting, Space};
use tilewright::{BoundKernel, Kernel};
use tilewright_cpu::CpuBackend;

/// Both operands, the sum, the result, the features that have the instructions for vectors and for tiles.
const TYPES: [(&str, &str, &str, &str, &str, &str); 8] = [
    ("bf16", "bf16", "f32", "bf16", "avx512bf16", "amx-bf16"),
    ("bf16", "bf16", "f32", "f32", "avx512bf16", "amx-bf16"),
    ("i8", "i8", "i32", "i32", "avx512vnni", "amx-int8"),
    ("u8", "i8", "i32", "i32", "avx512vnni", "amx-int8"),
    ("i8", "u8", "i32", "i32", "avx512vnni", "amx-int8"),
    ("u8", "u8", "i32", "i32", "none", "amx-int8"),
    ("i16", "i16", "i32", "i32", "avx512vnni", "none"),
    ("i8", "i8", "i32", "f32", "avx512vnni", "amx-int8"),
];
const LAYOUTS: [(&str, &str); 4] = [("m,k", "k,n"), ("m,k", "n,k"), ("k,m", "k,n"), ("k,m", "n,k")];
/// Schedules drawn for each kernel and way of packing.
const DRAWN: usize = 3;
/// Kernels that are added in tiles, for each layout.
const TILED: usize = 3;

fn bind(text: &str, sizes: &Sizes) -> BoundKernel {
    let kernel = Kernel::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    kernel.bind_sizes(sizes).unwrap()
}

fn run(bound: &BoundKernel, schedule: &Schedule, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph = bound.graph();
    let empty = graph.outputs.iter().map(|output| {
        let axes = &output.tensor.axes;
        let shape: Vec<u64> = axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
        let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
        tensor.bytes.fill(0xa5);
        tensor
    });
    let mut outputs: Vec<HostTensor> = empty.collect();
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    let code = bound.compile(schedule).unwrap_or_else(|error| panic!("{error}\n{schedule:?}"));
    code.call_bytes(&read, &mut written).unwrap();
    outputs
}

struct Case {
    family: Family,
    inputs: Vec<HostTensor>,
    expected: Vec<Expected>,
}

fn cases(bound: &BoundKernel, seed: u64) -> Vec<Case> {
    let case = |&family: &Family| {
        let inputs = draw(bound.graph(), family, seed);
        let expected = evaluate(bound.graph(), &inputs);
        Case { family, inputs, expected }
    };
    Family::ALL.iter().map(case).collect()
}

/// Judges schedules with one way of packing; how many there were.
fn judge(text: &str, sizes: &Sizes, pack: &str, rng: &mut ChaCha8Rng) -> usize {
    let bound = bind(text, sizes);
    let mut space: Space = bound.space().clone();
    let setting = |name: &str, value: ChoiceValue| Setting { name: name.to_string(), value };
    let word = |word: &str| ChoiceValue::Word(word.to_string());
    let settings = [setting("C.pack_b", word(pack)), setting("C.vector", word("n"))];
    if space.fix(&settings).is_err() {
        return 0;
    }
    let cases = cases(&bound, 5);
    for number in 0..DRAWN {
        let schedule = if number == 0 { space.default_schedule() } else { space.sample(rng) };
        for case in &cases {
            let got = run(&bound, &schedule, &case.inputs);
            for (expected, got) in case.expected.iter().zip(&got) {
                let verdict = compare(expected, got);
                let what = || {
                    format!("{text}{sizes:?}, {:?}: {verdict:?}\n{}", case.family, schedule.print())
                };
                assert_eq!(verdict.wrong, 0, "{}", what());
            }
        }
    }
    DRAWN
}

fn sizes(rng: &mut ChaCha8Rng) -> Sizes {
    let mut extent = |most: u64| match rng.random_range(0..4) {
        0 => rng.random_range(1..6),
        1 => *[16, 32, 48, 64].get(rng.random_range(0..4)).unwrap(),
        _ => rng.random_range(1..most),
    };
    let extents = [("m", extent(80)), ("k", extent(150)), ("n", extent(120))];
    extents.into_iter().map(|(name, extent)| (name.to_string(), extent)).collect()
}

fn has(feature: &str) -> bool {
    let backend = CpuBackend::host().unwrap();
    backend.target().features.iter().any(|own| own == feature)
}

#[test]
fn schedules_that_add_in_groups_are_right() {
    let seed = std::env::var("TILEWRIGHT_SEED").map_or(0, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (a, b, sum, result, of_vectors, of_tiles) in TYPES {
        let (mut grouped, mut tiled) = (0, 0);
        for (of_a, of_b) in LAYOUTS {
            let text = format!(
                "kernel matmul(A: {a}[{of_a}], B: {b}[{of_b}]) -> C: {result}[m,n] {{\n  sum[k]((A : {sum}) * (B : {sum}))\n}}\n"
            );
            for pack in ["dots", "join"] {
                grouped += judge(&text, &sizes(&mut rng), pack, &mut rng);
            }
            for _ in 0..TILED {
                tiled += judge(&text, &sizes(&mut rng), "tiles", &mut rng);
            }
        }
        for (judged, feature) in [(grouped, of_vectors), (tiled, of_tiles)] {
            assert_eq!(judged > 0, has(feature), "{a} {b}: {judged} schedules with {feature}");
        }
    }
}
