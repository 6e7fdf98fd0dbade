//! Products of floats that are added as products of bf16 parts, in schedules drawn at random.
//!
//! Every pair of types that has parts, operands that lie along either of their axes, extents that cut groups, panels and
//! blocks anywhere, prologues and epilogues. Elements that no parts stand for (infinities, NaN, huge and tiny numbers) are
//! put at single places, so that blocks with and without them meet in one result.
//! Where the processor has no tile registers the choice must not be offered.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tilewright::ir::DType;
use tilewright::ir::backend::Backend as _;
use tilewright::ir::base::Sizes;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::{ChoiceValue, Schedule, Setting, Space};
use tilewright::{BoundKernel, Kernel};
use tilewright_cpu::CpuBackend;

/// Types of both operands and of the result.
const TYPES: [(&str, &str, &str); 7] = [
    ("f32", "f32", "f32"),
    ("f16", "f16", "f32"),
    ("f16", "f16", "f16"),
    ("f32", "bf16", "f32"),
    ("f16", "f32", "f32"),
    ("f32", "i8", "f32"),
    ("u8", "f16", "bf16"),
];
const LAYOUTS: [(&str, &str); 4] = [("m,k", "k,n"), ("m,k", "n,k"), ("k,m", "k,n"), ("k,m", "n,k")];
/// What is put at single places of f32 operands. The last four are on both sides of what parts stand for.
const FAR: [f32; 9] = [
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    3.0e38,
    -1.0e-40,
    1.1258999e15,
    1.2e15,
    3.5527137e-15,
    3.4e-15,
];

/// Contractions with more axes, with work before and behind them, and in blocks that a mask leaves.
const TEXTS: [&str; 5] = [
    "kernel batched(A: f32[h,m,k], B: f32[h,k,n]) -> C: f32[h,m,n] {\n  sum[k](A * B)\n}\n",
    "kernel shared(A: f16[m,h,k], B: f16[k,n], x: f32[m]) -> C: f16[m,h,n] {\n  max(sum[k]((A : f32) * (B : f32)) * x, 0)\n}\n",
    "kernel before(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] {\n  sum[k](tanh(A) * (B + 1))\n}\n",
    "kernel two(A: f32[m,h,k], B: f32[h,k,n]) -> C: f32[m,n] {\n  sum[h,k](A * B)\n}\n",
    "kernel lower(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] {\n  sum[k](where(k <= m, A, 0) * B)\n}\n",
];

fn seed() -> u64 {
    std::env::var("TILEWRIGHT_SEED").map_or(7, |seed| seed.parse().unwrap())
}

fn has_tiles() -> bool {
    let backend = CpuBackend::host().unwrap();
    backend.target().features.iter().any(|own| own == "amx-bf16")
}

fn bind(text: &str, extents: [u64; 3]) -> BoundKernel {
    let kernel = Kernel::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut sizes: Sizes = ["m", "k", "n"].map(str::to_string).into_iter().zip(extents).collect();
    if text.contains("h,") {
        sizes.insert("h".to_string(), 3);
    }
    kernel.bind_sizes(&sizes).unwrap()
}

/// The kernel's space with parts; `None` where they are not offered.
fn space(bound: &BoundKernel) -> Option<Space> {
    let mut space = bound.space().clone();
    let word = |name: &str, word: &str| Setting {
        name: name.to_string(),
        value: ChoiceValue::Word(word.to_string()),
    };
    let settings = [word("C.pack_b", "parts"), word("C.vector", "n")];
    space.fix(&settings).is_ok().then_some(space)
}

/// Judges what a schedule makes of some inputs.
fn judge(bound: &BoundKernel, schedule: &Schedule, inputs: &[HostTensor], what: &str) {
    let graph = bound.graph();
    let shape: Vec<u64> =
        graph.outputs[0].tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
    let mut got = HostTensor::zeros(graph.outputs[0].tensor.dtype, &shape);
    got.bytes.fill(0xa5);
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let code = bound.compile(schedule).unwrap_or_else(|error| panic!("{error}\n{what}"));
    code.call_bytes(&read, &mut [got.bytes.as_mut_slice()]).unwrap();
    let verdict = compare(&evaluate(graph, inputs)[0], &got);
    assert_eq!(verdict.wrong, 0, "{what}: {verdict:?}\n{}", schedule.print());
}

fn extents(rng: &mut ChaCha8Rng) -> [u64; 3] {
    let mut extent = |least: u64, most: u64| match rng.random_range(0..3) {
        0 => *[64, 96, 128].get(rng.random_range(0..3)).unwrap(),
        _ => rng.random_range(least..most),
    };
    [extent(1, 80), extent(64, 200), extent(1, 120)]
}

#[test]
fn schedules_that_add_parts_are_right() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut judged = 0;
    let mut texts: Vec<String> = TEXTS.map(str::to_string).to_vec();
    for (a, b, result) in TYPES {
        for (of_a, of_b) in LAYOUTS {
            let text = format!(
                "kernel matmul(A: {a}[{of_a}], B: {b}[{of_b}], x: f32[n]) -> C: {result}[m,n] {{\n  sum[k]((A : f32) * (B : f32)) + x\n}}\n"
            );
            texts.push(text);
        }
    }
    for text in texts {
        let extents = extents(&mut rng);
        let bound = bind(&text, extents);
        let Some(space) = space(&bound) else {
            println!("not offered: {text}{extents:?}");
            continue;
        };
        let schedules = [space.default_schedule(), space.sample(&mut rng)];
        for &family in Family::ALL {
            let inputs = draw(bound.graph(), family, 3);
            for schedule in &schedules {
                let what = format!("{text}{extents:?}, {family:?}");
                judge(&bound, schedule, &inputs, &what);
                judged += 1;
            }
        }
    }
    println!("{judged} schedules judged");
    assert_eq!(judged > 0, has_tiles(), "{judged} schedules");
}

#[test]
fn blocks_with_what_no_parts_stand_for_are_multiplied_as_they_are() {
    let text = "kernel matmul(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] {\n  sum[k](A * B)\n}\n";
    let bound = bind(text, [70, 256, 80]);
    let Some(space) = space(&bound) else { return assert!(!has_tiles()) };
    let mut rng = ChaCha8Rng::seed_from_u64(seed());
    let schedules = [space.default_schedule(), space.sample(&mut rng), space.sample(&mut rng)];
    for far in FAR {
        for operands in [vec![0], vec![1], vec![0, 1]] {
            let mut inputs = draw(bound.graph(), Family::Normal, 5);
            for operand in operands {
                let input: &mut HostTensor = &mut inputs[operand];
                assert_eq!(input.dtype, DType::F32);
                let count = input.bytes.len() / 4;
                for _ in 0..2 {
                    let at = 4 * rng.random_range(0..count);
                    input.bytes[at..at + 4].copy_from_slice(&far.to_le_bytes());
                }
            }
            for schedule in &schedules {
                judge(&bound, schedule, &inputs, &format!("{far}"));
            }
        }
    }
}

#[test]
fn integers_that_f32_holds_are_exact() {
    let text = "kernel matmul(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] {\n  sum[k](A * B)\n}\n";
    let extents = [33, 64, 48];
    let bound = bind(text, extents);
    let Some(space) = space(&bound) else { return assert!(!has_tiles()) };
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    // Factors of 1 to 23 bits whose products, and sums of 64 of them, have at most 24.
    for bits in 0..17_u32 {
        let number =
            |rng: &mut ChaCha8Rng, bits: u32| rng.random_range(0..=(1_u64 << bits) - 1) as f32;
        let fill = |rng: &mut ChaCha8Rng, input: &mut HostTensor, bits: u32| {
            for place in input.bytes.chunks_exact_mut(4) {
                let sign = if rng.random_range(0..2) == 0 { -1.0 } else { 1.0 };
                place.copy_from_slice(&(sign * number(rng, bits)).to_le_bytes());
            }
        };
        let mut inputs = draw(bound.graph(), Family::Normal, 5);
        fill(&mut rng, &mut inputs[0], bits + 1);
        fill(&mut rng, &mut inputs[1], 17 - bits);
        let mut got = HostTensor::zeros(DType::F32, &[extents[0], extents[2]]);
        let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
        let code = bound.compile(&space.default_schedule()).unwrap();
        code.call_bytes(&read, &mut [got.bytes.as_mut_slice()]).unwrap();
        let [a, b] = [0, 1].map(|input: usize| inputs[input].to_f64());
        let (depth, columns) = (extents[1] as usize, extents[2] as usize);
        for (place, got) in got.to_f64().into_iter().enumerate() {
            let (row, column) = (place / columns, place % columns);
            let terms = (0..depth).map(|k| a[row * depth + k] * b[k * columns + column]);
            assert_eq!(got, terms.sum::<f64>(), "{bits} bits, row {row}, column {column}");
        }
    }
}
