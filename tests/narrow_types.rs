//! Narrow element types through the whole compiler: conversions bit by bit, arithmetic and reductions in them.
//!
//! Conversions are checked over every bit pattern of the 8- and 16-bit types, and over the neighbours of every tie for
//! the wide ones; the machine code has to give the very number that the reference rounds to. Integer kernels have to
//! be equal to the bit on every family of inputs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tilewright::ir::DType;
use tilewright::ir::base::Sizes;
use tilewright::ir::reference::{
    Family, HostTensor, compare, draw, evaluate, round_to, wrap_number,
};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, Kernel};

const NUMBERS: [DType; 9] = [
    DType::F64,
    DType::F32,
    DType::F16,
    DType::Bf16,
    DType::I32,
    DType::I16,
    DType::I8,
    DType::U8,
    DType::I4,
];

fn bind(text: &str, sizes: &[(&str, u64)]) -> BoundKernel {
    let sizes: Sizes = sizes.iter().map(|&(name, extent)| (name.to_string(), extent)).collect();
    Kernel::parse(text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .bind_sizes(&sizes)
        .unwrap()
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
    bound.compile(schedule).unwrap().call_bytes(&read, &mut written).unwrap();
    outputs
}

fn vector(dtype: DType, bytes: Vec<u8>) -> HostTensor {
    let count = bytes.len() as u64 * 8 / u64::from(dtype.bits());
    HostTensor { dtype, shape: vec![count], bytes }
}

/// Every bit pattern of a type of at most 16 bits; for wide types the numbers at which a narrower type rounds another
/// way, with their neighbours. The count is odd, so that vectors leave a rest.
fn patterns(dtype: DType) -> HostTensor {
    match dtype {
        DType::F16 | DType::Bf16 | DType::I16 => {
            let all = (0..=u16::MAX).chain([1]).flat_map(u16::to_le_bytes);
            vector(dtype, all.collect())
        }
        DType::I8 | DType::U8 | DType::I4 => vector(dtype, (0..=u8::MAX).chain([1]).collect()),
        DType::F64 | DType::F32 | DType::I32 | DType::Bool => {
            let mut values = edges();
            if values.len().is_multiple_of(2) {
                values.push(1.0);
            }
            HostTensor::from_f64(dtype, &[values.len() as u64], values)
        }
    }
}

/// Numbers around every tie of the narrow floats, around the ends of every integer type, and beyond every range.
fn edges() -> Vec<f64> {
    let mut values = vec![f64::NAN, f64::INFINITY, 1e300, 1e-300, 4e38, 3.4e38, 1e-45, 7e-46, 1e20];
    for dtype in [DType::F16, DType::Bf16] {
        for bits in (0..0x7fff_u16).step_by(if dtype == DType::F16 { 1 } else { 7 }) {
            let pair =
                [bits, bits + 1].map(|bits| vector(dtype, bits.to_le_bytes().to_vec()).get(0));
            let middle = (pair[0] + pair[1]) / 2.0;
            if middle.is_finite() {
                let near = middle as f32;
                let steps = [near.next_down(), near, near.next_up()].map(f64::from);
                values.extend(steps);
                values.extend([middle.next_down(), middle.next_up()]);
            }
        }
        values.push(dtype.max_finite() * (1.0 + dtype.unit_roundoff() / 2.0));
    }
    for power in [3, 4, 7, 8, 15, 16, 24, 25, 30, 31, 32, 33, 40, 53] {
        let power = 2f64.powi(power);
        for offset in [-129.0, -128.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 127.0, 129.0] {
            values.push(power + offset);
        }
    }
    let negative: Vec<f64> = values.iter().map(|value| -value).collect();
    values.extend(negative);
    values.push(0.0);
    values
}

/// Compares every element, the sign of a zero included.
#[track_caller]
fn same(text: &str, x: &HostTensor, got: &HostTensor, expected: impl Fn(f64) -> f64) {
    for index in 0..x.len() {
        let expected = expected(x.get(index));
        let found = got.get(index);
        let both_nan = found.is_nan() && expected.is_nan();
        assert!(
            both_nan
                || found.to_bits() == (expected + 0.0).to_bits()
                || found.to_bits() == expected.to_bits(),
            "{text}\nof {:e} (element {index}): found {found:e}, expected {expected:e}",
            x.get(index)
        );
    }
}

#[test]
fn conversions_give_the_number_that_the_reference_rounds_to() {
    for from in NUMBERS {
        let x = patterns(from);
        for to in NUMBERS {
            let text = format!("kernel convert(x: {from}[i]) -> y: {to}[i] {{\n  x : {to}\n}}\n");
            let bound = bind(&text, &[("i", x.shape[0])]);
            let got = run(&bound, &bound.space().default_schedule(), std::slice::from_ref(&x));
            same(&text, &x, &got[0], |value| round_to(to, value));
            if !to.is_integer() {
                continue;
            }
            let text = text.replace("  x : ", "  wrap(x) : ");
            let bound = bind(&text, &[("i", x.shape[0])]);
            let got = run(&bound, &bound.space().default_schedule(), std::slice::from_ref(&x));
            same(&text, &x, &got[0], |value| wrap_number(to, value));
        }
    }
}

/// A value that passes through a narrow type on its way is rounded to it.
#[test]
fn a_cast_in_the_middle_rounds() {
    let x = patterns(DType::F32);
    for through in NUMBERS.into_iter().filter(|&dtype| dtype != DType::F64) {
        let text =
            format!("kernel through(x: f32[i]) -> y: f64[i] {{\n  (x : {through}) : f64\n}}\n");
        let bound = bind(&text, &[("i", x.shape[0])]);
        let got = run(&bound, &bound.space().default_schedule(), std::slice::from_ref(&x));
        same(&text, &x, &got[0], |value| round_to(through, value));
    }
}

/// Runs a kernel on every family with the default, the naive and sampled schedules, and compares by the bound (for
/// integers: to the bit).
#[track_caller]
fn judge(text: &str, sizes: &[(&str, u64)]) {
    use rand::SeedableRng as _;
    let bound = bind(text, sizes);
    let space = bound.space();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut schedules = vec![space.default_schedule(), space.naive_schedule()];
    schedules.extend((0..2).map(|_| space.sample(&mut rng)));
    for &family in Family::ALL {
        let inputs = draw(bound.graph(), family, 3);
        let expected = evaluate(bound.graph(), &inputs);
        for schedule in &schedules {
            let got = run(&bound, schedule, &inputs);
            for (expected, got) in expected.iter().zip(&got) {
                let verdict = compare(expected, got);
                let name = family.name();
                assert!(
                    verdict.wrong == 0,
                    "{text}\n{sizes:?} {name}: {verdict:?}\n{}",
                    schedule.print()
                );
            }
        }
    }
}

#[test]
fn integer_arithmetic_wraps_in_its_type() {
    for dtype in ["i32", "i16", "i8", "u8", "i4"] {
        for expression in ["x + y", "x - y", "(x * y) : i16", "abs(x)", "x / y", "max(x, y) - 3"] {
            let text = format!(
                "kernel arithmetic(x: {dtype}[i,j], y: {dtype}[j]) -> z: i32[i,j] {{\n  {expression}\n}}\n"
            );
            judge(&text, &[("i", 3), ("j", 37)]);
        }
    }
    judge("kernel negate(x: i8[i]) -> y: i8[i] {\n  -x\n}\n", &[("i", 300)]);
}

#[test]
fn reductions_accumulate_in_the_type_that_is_stated() {
    for (operand, accumulator) in [
        ("i8", "i32"),
        ("i8", "i16"),
        ("i8", "i8"),
        ("i4", "i32"),
        ("i4", "i4"),
        ("u8", "u8"),
        ("i16", "i32"),
        ("i32", "i8"),
        ("i8", "f32"),
        ("bf16", "f32"),
        ("f16", "f32"),
        ("bf16", "f64"),
    ] {
        for op in ["sum", "max", "min", "product"] {
            let text = format!(
                "kernel reduce(x: {operand}[i,j]) -> y: {accumulator}[i] {{\n  {op}[j](x) : {accumulator}\n}}\n"
            );
            judge(&text, &[("i", 5), ("j", 67)]);
            judge(&text, &[("i", 2), ("j", 0)]);
        }
    }
}

#[test]
fn sums_in_narrow_floats_stay_within_their_bound() {
    for dtype in ["f16", "bf16"] {
        for text in [
            format!("kernel s(x: {dtype}[i,j]) -> y: {dtype}[i] {{\n  sum[j](x) : {dtype}\n}}\n"),
            format!(
                "kernel s(x: f32[i,j]) -> y: f32[i] {{\n  sum[j]((x : {dtype}) * x) : {dtype}\n}}\n"
            ),
        ] {
            judge(&text, &[("i", 4), ("j", 200)]);
            judge(&text, &[("i", 33), ("j", 7)]);
        }
    }
}

#[test]
fn contractions_of_narrow_matrices() {
    for (operand, result) in [
        ("bf16", "bf16"),
        ("bf16", "f32"),
        ("f16", "f16"),
        ("i8", "i32"),
        ("u8", "i32"),
        ("i16", "i32"),
        ("i4", "i32"),
        ("i4", "i4"),
    ] {
        let text = format!(
            "kernel matmul(A: {operand}[m,k], B: {operand}[k,n]) -> C: {result}[m,n] {{\n  sum[k](A * B)\n}}\n"
        );
        judge(&text, &[("m", 7), ("k", 65), ("n", 37)]);
        judge(&text, &[("m", 1), ("k", 16), ("n", 64)]);
        let transposed = text.replace("[k,n]", "[n,k]");
        judge(&transposed, &[("m", 5), ("k", 70), ("n", 9)]);
    }
    for n in [40, 41] {
        let weights = "kernel weights(x: f32[m,k], W: i4[k,n]) -> y: f32[m,n] {\n  sum[k](x * (W : f32))\n}\n";
        judge(weights, &[("m", 6), ("k", 33), ("n", n)]);
        judge(weights, &[("m", 1), ("k", 64), ("n", n)]);
    }
    let mixed = "kernel mixed(x: f32[m,k], W: i8[k,n], s: bf16[n]) -> y: f32[m,n] {\n  sum[k](x * (W : f32)) * s\n}\n";
    judge(mixed, &[("m", 6), ("k", 33), ("n", 41)]);
}

#[test]
fn scans_run_in_the_type_that_is_stated() {
    for (operand, accumulator) in [("i8", "i32"), ("i8", "i8"), ("i4", "i4"), ("bf16", "f32")] {
        for op in ["cumsum", "cummax"] {
            let text = format!(
                "kernel scan(x: {operand}[i,j]) -> y: {accumulator}[i,j] {{\n  {op}[j](x) : {accumulator}\n}}\n"
            );
            judge(&text, &[("i", 5), ("j", 37)]);
        }
    }
}

#[test]
fn gathers_read_narrow_elements() {
    for dtype in ["i4", "i8", "bf16", "f16"] {
        let rows = format!(
            "kernel rows(X: {dtype}[v,d], index: i32[t]) -> y: f32[t,d] {{\n  X[index, d] : f32\n}}\n"
        );
        judge(&rows, &[("v", 9), ("d", 33), ("t", 5)]);
        let columns = format!(
            "kernel columns(X: {dtype}[d,v], index: i32[d,t]) -> y: f32[d,t] {{\n  X[d, index] : f32\n}}\n"
        );
        judge(&columns, &[("v", 9), ("d", 7), ("t", 13)]);
    }
}
