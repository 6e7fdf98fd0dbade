//! Accuracy of every function against a reference of higher precision, and of emitted code against
//! the scalar text.
//!
//! Invariant: an error is counted in units of the last place of the exact result, down to the
//! subnormal unit, and the limit is half of what the operator table grants (that table counts
//! roundoffs, which are half units). `TILEWRIGHT_EXHAUSTIVE=1` visits all 2^32 f32 numbers, in some
//! minutes per function.

mod emitted;
mod pairs;
mod reference;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tilewright_ir::base::{BinaryOp, UnaryOp};

use super::scalar::{ScalarF32, ScalarF64, TableF32};
use super::{power, unary};
use reference::{double_distance, double_error, exact_single, single_error};

/// The functions that round more than once, or branch on cases.
const OPS: [UnaryOp; 12] = [
    UnaryOp::Exp,
    UnaryOp::Exp2,
    UnaryOp::Log,
    UnaryOp::Log2,
    UnaryOp::Tanh,
    UnaryOp::Erf,
    UnaryOp::Sin,
    UnaryOp::Cos,
    UnaryOp::Rsqrt,
    UnaryOp::Recip,
    UnaryOp::Round,
    UnaryOp::Floor,
];

fn single(op: UnaryOp, fused: bool, x: f32) -> f32 {
    unary(&mut ScalarF32 { fused }, op, x).expect("a function of floats")
}

fn double(op: UnaryOp, fused: bool, x: f64) -> f64 {
    unary(&mut ScalarF64 { fused }, op, x).expect("a function of floats")
}

/// The largest error seen, in units of the last place, and the argument.
#[derive(Clone, Copy, Debug)]
struct Worst<T> {
    ulps: f64,
    at: T,
}

impl<T: Copy> Worst<T> {
    fn see(&mut self, ulps: f64, at: T) {
        // A NaN as error is worse than any number.
        if ulps > self.ulps || ulps.is_nan() {
            *self = Self { ulps: if ulps.is_nan() { f64::INFINITY } else { ulps }, at };
        }
    }
}

fn worst_single(op: UnaryOp, fused: bool, step: usize) -> Worst<f32> {
    let mut worst = Worst { ulps: 0.0, at: 0.0 };
    let mut see = |bits: u32| {
        let x = f32::from_bits(bits);
        let exact = exact_single(op, x);
        worst.see(single_error(single(op, fused, x), exact), x);
    };
    (0..=u32::MAX).step_by(step).for_each(&mut see);
    for center in boundaries() {
        let bits = (center as f32).to_bits();
        (0..2000).for_each(|i| see(bits.wrapping_add(i).wrapping_sub(1000)));
    }
    worst
}

fn worst_double(op: UnaryOp, fused: bool, count: u32) -> Worst<f64> {
    let mut worst = Worst { ulps: 0.0, at: 0.0 };
    let mut see = |x: f64| worst.see(double_error(op, double(op, fused, x), x), x);
    doubles(count).for_each(&mut see);
    for center in boundaries() {
        let bits = center.to_bits();
        (0..200).for_each(|i| see(f64::from_bits(bits.wrapping_add(i).wrapping_sub(100))));
    }
    worst
}

/// Where cases, ranges and exponents change.
#[expect(clippy::approx_constant, reason = "these are next to the constants, not equal")]
fn boundaries() -> Vec<f64> {
    let mut centers = vec![
        0.0,
        1.0,
        0.5,
        2.0,
        4.0,
        6.0,
        9.0,
        10.0,
        19.1,
        20.0,
        0.346_573_59,
        0.693_147_18,
        1.039_720_77,
        0.707_106_78,
        1.414_213_56,
        0.785_398_16,
        1.570_796_33,
        3.141_592_65,
        87.336,
        88.722_839,
        103.972,
        104.0,
        126.0,
        127.0,
        128.0,
        149.0,
        150.0,
        151.0,
        65536.0,
        8_388_608.0,
        1.073_741_824e9,
        708.396,
        709.782_712_893_384,
        745.133_219_101_941_1,
        1022.0,
        1024.0,
        1074.0,
        1075.0,
        1.175_494_350_822_287_5e-38,
        2.225_073_858_507_201_4e-308,
        1.4e-45,
        5e-324,
        3.402_823_466_385_288_6e38,
        f64::MAX,
        4_503_599_627_370_496.0,
        1e22,
        f64::INFINITY,
    ];
    centers.extend(centers.clone().iter().map(|center| -center));
    centers
}

/// Random f64: half of them of any bits, half of ordinary size. The seed is in the text: always the
/// same numbers.
fn doubles(count: u32) -> impl Iterator<Item = f64> {
    let mut random = ChaCha8Rng::seed_from_u64(0x5EED);
    (0..count).map(move |i| match i % 4 {
        0 | 1 => f64::from_bits(random.random()),
        2 => random.random_range(-10.0..10.0),
        _ => random.random_range(-750.0..750.0),
    })
}

fn check_single(op: UnaryOp) {
    let exhaustive = std::env::var_os("TILEWRIGHT_EXHAUSTIVE").is_some();
    for fused in [true, false] {
        let worst = worst_single(op, fused, if exhaustive { 1 } else { 997 });
        println!("f32 {:6} fused {fused:5}: {:.3} ulp at {:e}", op.name(), worst.ulps, worst.at);
        assert!(worst.ulps <= op.ulps() / 2.0, "f32 {op}, fused {fused}: {worst:?}");
    }
}

fn check_double(op: UnaryOp) {
    let exhaustive = std::env::var_os("TILEWRIGHT_EXHAUSTIVE").is_some();
    for fused in [true, false] {
        let worst = worst_double(op, fused, if exhaustive { 20_000_000 } else { 200_000 });
        println!("f64 {:6} fused {fused:5}: {:.3} ulp at {:e}", op.name(), worst.ulps, worst.at);
        assert!(worst.ulps <= op.ulps() / 2.0, "f64 {op}, fused {fused}: {worst:?}");
    }
}

macro_rules! accuracy {
    ($($name:ident: $op:ident;)*) => { $(
        mod $name {
            #[test]
            fn accuracy_f32() {
                super::check_single(super::UnaryOp::$op);
            }
            #[test]
            fn accuracy_f64() {
                super::check_double(super::UnaryOp::$op);
            }
        }
    )* };
}

accuracy! {
    exp: Exp;
    exp2: Exp2;
    log: Log;
    log2: Log2;
    tanh: Tanh;
    erf: Erf;
    sin: Sin;
    cos: Cos;
    rsqrt: Rsqrt;
    recip: Recip;
    round: Round;
    floor: Floor;
}

/// Pairs of pow: any bits, and powers whose result is in range.
fn power_arguments(count: u32) -> impl Iterator<Item = (f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(0xB0B);
    (0..count).map(move |i| {
        let x = f64::from(random.random_range(-30.0..30.0f32).exp2());
        match i % 3 {
            0 => (x, f64::from(random.random_range(-8.0..8.0f32))),
            1 => (
                f64::from(random.random_range(0.5..2.0f32)),
                f64::from(random.random_range(-170.0..170.0f32)),
            ),
            _ => (-x, f64::from(random.random_range(-6..7i32))),
        }
    })
}

#[test]
fn power_accuracy() {
    for fused in [true, false] {
        let mut worst = Worst { ulps: 0.0, at: (0.0, 0.0) };
        let mut worst_double = worst;
        for (x, y) in power_arguments(1_000_000) {
            let got = power(&mut ScalarF32 { fused }, x as f32, y as f32);
            worst.see(single_error(got, x.powf(y)), (x, y));
            let got = power(&mut ScalarF64 { fused }, x, y * 6.0);
            worst_double.see(double_distance(got, x.powf(y * 6.0)), (x, y * 6.0));
        }
        println!("f32 pow fused {fused}: {worst:?}; f64: {worst_double:?}");
        let limit = BinaryOp::Pow.ulps() / 2.0;
        assert!(worst.ulps <= limit && worst_double.ulps <= limit, "{worst:?} {worst_double:?}");
    }
}

/// The exponential of targets that look up a table.
fn by_table(op: UnaryOp, x: f32) -> f32 {
    unary(&mut TableF32 { fused: true }, op, x).expect("a function of floats")
}

#[test]
fn tables_are_accurate() {
    for op in [UnaryOp::Exp, UnaryOp::Exp2] {
        let mut worst = Worst { ulps: 0.0, at: 0.0 };
        for bits in (0..=u32::MAX).step_by(997) {
            let x = f32::from_bits(bits);
            worst.see(single_error(by_table(op, x), exact_single(op, x)), x);
        }
        for x in (0..4_000_000).map(|i| -106.0 + i as f32 * 5e-5) {
            worst.see(single_error(by_table(op, x), exact_single(op, x)), x);
        }
        println!("f32 {} by table: {:.3} ulp at {:e}", op.name(), worst.ulps, worst.at);
        assert!(worst.ulps <= op.ulps() / 2.0, "{op}: {worst:?}");
        let values = [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1000.0, -1000.0];
        for x in values {
            assert_eq!(by_table(op, x).to_bits(), single(op, true, x).to_bits(), "{op}({x})");
        }
        assert!(by_table(op, f32::NAN).is_nan());
    }
}

#[test]
fn power_special_values() {
    let values = [
        0.0,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        4.0,
        100.5,
        101.0,
        1e10,
        16_777_217.0,
        1e30,
        f64::INFINITY,
        f64::NAN,
    ];
    let values: Vec<f64> = values.iter().flat_map(|value| [*value, -value]).collect();
    for x in &values {
        for y in &values {
            let want = x.powf(*y);
            let got = power(&mut ScalarF64 { fused: true }, *x, *y);
            let close = double_distance(got, want) <= 2.0
                && got.is_sign_negative() == want.is_sign_negative();
            assert!(close || got.is_nan() && want.is_nan(), "pow({x}, {y}) = {got}, not {want}");
            let want = (*x as f32).powf(*y as f32);
            let got = power(&mut ScalarF32 { fused: true }, *x as f32, *y as f32);
            let close = single_error(got, want.into()) <= 2.0
                && got.is_sign_negative() == want.is_sign_negative();
            assert!(close || got.is_nan() && want.is_nan(), "pow({x}, {y}) = {got}, not {want}");
        }
    }
}

#[test]
fn special_values() {
    use UnaryOp::{Cos, Erf, Exp, Exp2, Floor, Log, Log2, Recip, Round, Rsqrt, Sin, Tanh};
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    #[rustfmt::skip]
    let table = [
        (Exp, INF, INF), (Exp, -INF, 0.0), (Exp, 0.0, 1.0), (Exp, -0.0, 1.0),
        (Exp2, INF, INF), (Exp2, -INF, 0.0), (Exp2, 0.0, 1.0), (Exp2, 3.0, 8.0), (Exp2, -1.0, 0.5),
        (Log, INF, INF), (Log, 0.0, -INF), (Log, -0.0, -INF), (Log, -1.0, NAN), (Log, -INF, NAN),
        (Log, 1.0, 0.0), (Log2, 8.0, 3.0), (Log2, 0.5, -1.0), (Log2, 1.0, 0.0),
        (Log2, INF, INF), (Log2, 0.0, -INF), (Log2, -0.0, -INF), (Log2, -1.0, NAN),
        (Tanh, INF, 1.0), (Tanh, -INF, -1.0), (Tanh, 0.0, 0.0), (Tanh, -0.0, -0.0),
        (Erf, INF, 1.0), (Erf, -INF, -1.0), (Erf, 0.0, 0.0), (Erf, -0.0, -0.0),
        (Sin, INF, NAN), (Sin, -INF, NAN), (Sin, 0.0, 0.0), (Sin, -0.0, -0.0),
        (Cos, INF, NAN), (Cos, -INF, NAN), (Cos, 0.0, 1.0), (Cos, -0.0, 1.0),
        (Rsqrt, INF, 0.0), (Rsqrt, 0.0, INF), (Rsqrt, -0.0, -INF), (Rsqrt, -1.0, NAN),
        (Recip, INF, 0.0), (Recip, -INF, -0.0), (Recip, 0.0, INF), (Recip, -0.0, -INF),
        (Round, 0.5, 0.0), (Round, -0.5, -0.0), (Round, 2.5, 2.0), (Round, INF, INF),
        (Round, -0.0, -0.0), (Floor, -0.5, -1.0), (Floor, -0.0, -0.0), (Floor, 1.75, 1.0),
        (Floor, -INF, -INF),
    ];
    let same =
        |got: f64, want: f64| got.is_nan() && want.is_nan() || got.to_bits() == want.to_bits();
    for fused in [true, false] {
        for (op, x, want) in table {
            let got = double(op, fused, x);
            assert!(same(got, want), "f64 {op}({x}) = {got}, not {want}");
            let got = f64::from(single(op, fused, x as f32));
            assert!(same(got, want), "f32 {op}({x}) = {got}, not {want}");
        }
        for op in OPS {
            assert!(double(op, fused, NAN).is_nan(), "f64 {op}(NaN)");
            assert!(single(op, fused, f32::NAN).is_nan(), "f32 {op}(NaN)");
        }
    }
}
