//! What other forms of a kernel may have where numbers end: which elements are undecided, and which stay decided.

use tilewright_ir::check;
use tilewright_ir::reference::{Expected, Family, HostTensor, compare, draw, evaluate};

const SOFTMAX: &str = "kernel k(x: f32[i,j]) -> f32[i,j] { softmax[j](x) } sizes a { i=3, j=4 }";
const CAUSAL: &str = "kernel k(x: f32[i,j], V: f32[j,e]) -> f32[i,e] {
  p = softmax[j](mask(j < i, x))
  sum[j](p * V)
} sizes a { i=3, j=4, e=2 }";
const SCALED: &str =
    "kernel k(w: f32[j], u: f32[i]) -> f32[i] { sum[j](w / u) } sizes a { i=3, j=4 }";
const SHIFTED: &str = "kernel k(x: f32[i,j], c: f32[i]) -> f32[i,j] {
  e = exp(x - max[j](x) - c)
  e / sum[j](e)
} sizes a { i=3, j=4 }";
const UNSAFE: &str = "kernel k(x: f64[i,j]) -> f64[i] { log(sum[j](exp(x))) } sizes a { i=3, j=4 }";
const PRODUCT: &str =
    "kernel k(x: f32[i], y: f32[i]) -> f32[i] { x * y / (x + 1) } sizes a { i=3 }";
const NORM: &str = "kernel k(u: f64[i], V: f64[j]) -> f64[i] {
  v = u / V
  sum[j](v * v)
} sizes a { i=3, j=2 }";
const CHAIN: &str = "kernel k(A: f32[i,j], B: f32[j,k], v: f32[k]) -> f32[i] {
  sum[k](sum[j](A * B) * v)
} sizes a { i=3, j=4, k=2 }";

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

/// An attribute, a text, what stands where among the inputs, and by element: `?` undecided, `n` NaN, `0` zero,
/// `i` infinite, `.` another number.
type Case = (&'static str, &'static str, &'static [(usize, usize, f64)], &'static str);

const CASES: &[Case] = &[
    ("", SOFTMAX, &[(0, 0, NAN)], "nnnn........"),
    ("", SOFTMAX, &[(0, 0, INFINITY)], "nnnn........"),
    ("", SOFTMAX, &[(0, 0, -INFINITY)], "0..........."),
    ("", CAUSAL, &[], "00...."),
    ("", CAUSAL, &[(0, 8, NAN)], "00..nn"),
    ("", CAUSAL, &[(1, 0, NAN)], "?0n.n."),
    ("", SCALED, &[(1, 1, 0.0)], ".?."),
    ("@exact", SCALED, &[(0, 0, 1.0), (0, 1, -1.0), (1, 1, 0.0)], ".n."),
    ("", SCALED, &[(0, 2, NAN), (1, 1, 0.0)], "nnn"),
    ("", SCALED, &[(0, 2, INFINITY)], "???"),
    ("@exact", SCALED, &[(0, 2, INFINITY), (1, 0, 2.0)], "i"),
    ("", SHIFTED, &[(1, 1, NAN)], "....????...."),
    ("", SHIFTED, &[(1, 1, INFINITY)], "....????...."),
    ("", SHIFTED, &[(0, 4, NAN)], "....nnnn...."),
    ("@reassoc", SHIFTED, &[(1, 1, NAN)], "....nnnn...."),
    ("", UNSAFE, &[(0, 4, 800.0)], ".?."),
    ("", PRODUCT, &[(0, 1, 0.0), (1, 1, INFINITY)], ".n."),
    ("", NORM, &[(0, 1, 0.0), (1, 0, f64::MIN_POSITIVE)], "???"),
    ("", CHAIN, &[(1, 0, INFINITY), (1, 2, -INFINITY)], "???"),
    ("", CHAIN, &[(0, 4, NAN)], ".n."),
];

fn expected(attribute: &str, text: &str, set: &[(usize, usize, f64)], family: Family) -> Expected {
    let file = check::check(&format!("{attribute}\n{text}\n")).unwrap();
    let kernel = &file.kernels[0];
    let graph = kernel.bind(&kernel.size_sets[0].1).unwrap();
    let mut inputs = draw(&graph, family, 5);
    set.iter().for_each(|&(input, position, value)| inputs[input].set(position, value));
    evaluate(&graph, &inputs).remove(0)
}

fn letters(expected: &Expected) -> String {
    let letter = |(&value, &e): (&f64, &f64)| match value {
        _ if e.is_infinite() => '?',
        _ if value.is_nan() => 'n',
        _ if value.is_infinite() => 'i',
        0.0 => '0',
        _ => '.',
    };
    expected.values.iter().zip(&expected.allowances).map(letter).collect()
}

#[test]
fn what_other_forms_may_have_is_undecided_and_nothing_else() {
    let mut wrong = vec![];
    for &(attribute, text, set, letters_expected) in CASES {
        let found = letters(&expected(attribute, text, set, Family::Normal));
        if !found.starts_with(letters_expected) {
            wrong.push(format!("{attribute} {text} {set:?}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_element_of_ordinary_inputs_is_decided() {
    for &(attribute, text, ..) in CASES {
        for family in [Family::Normal, Family::Uniform, Family::Equal] {
            assert_eq!(expected(attribute, text, &[], family).undecided, 0, "{text}");
        }
    }
}

#[test]
fn a_number_in_the_place_of_a_nan_that_comes_in_is_wrong() {
    let expected = expected("", SHIFTED, &[(0, 4, NAN), (1, 0, NAN)], Family::Normal);
    assert_eq!(letters(&expected), "????nnnn....");
    let mut got =
        HostTensor::from_f64(tilewright_ir::DType::F32, &[3, 4], expected.values.iter().copied());
    got.set(0, 7.0);
    assert_eq!(compare(&expected, &got).wrong, 0);
    for (position, wrong) in [(5, 0.25), (9, NAN), (10, 0.0)] {
        let mut got = got.clone();
        got.set(position, wrong);
        assert_eq!(compare(&expected, &got).wrong, 1, "{position}");
    }
}
