//! The library as its user meets it: text, arrays, and errors that name both sides.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use ndarray::{Array1, Array2, array};
use rand::SeedableRng as _;
use tilewright::{CallError, Error, Kernel, Origin, Strided};

const PRODUCT: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }";

fn operands() -> (Array2<f32>, Array2<f32>) {
    let number = |(row, column)| (row * 7 + column * 3) as f32 % 5.0 - 2.0;
    (Array2::from_shape_fn((3, 4), number), Array2::from_shape_fn((4, 5), number))
}

#[test]
fn a_call_takes_sizes_from_the_arrays_and_keeps_the_code() {
    let kernel = Kernel::parse(PRODUCT).unwrap();
    let (a, b) = operands();
    for _ in 0..2 {
        let mut c = Array2::<f32>::zeros((3, 5));
        kernel.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()]).unwrap();
        assert_eq!(c, a.dot(&b));
    }
    let mut c = Array2::<f32>::zeros((1, 1));
    kernel
        .call(&[(&array![[2.0f32]]).into(), (&array![[3.0f32]]).into()], &mut [(&mut c).into()])
        .unwrap();
    assert_eq!(c, array![[6.0f32]]);
}

#[test]
fn the_steps_are_there_one_by_one() {
    let kernel = Kernel::parse(PRODUCT).unwrap();
    let bound = kernel.bind([("m", 3), ("k", 4), ("n", 5)]).unwrap();
    let compiled = bound.compile(&bound.space().naive_schedule()).unwrap();
    assert_eq!(*compiled.origin(), Origin::Given);
    let (a, b) = operands();
    let mut c = Array2::<f32>::zeros((3, 5));
    compiled.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()]).unwrap();
    assert_eq!(c, a.dot(&b));
}

#[track_caller]
fn refused(error: Error, words: &[&str]) -> CallError {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
    match error {
        Error::Call(call) => call,
        other => panic!("{other}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let bound = Kernel::parse(PRODUCT).unwrap().bind([("m", 3), ("k", 4), ("n", 5)]).unwrap();
    let (a, b) = operands();
    let mut c = Array2::<f32>::from_elem((3, 5), 7.0);
    let wide = Array2::<f64>::zeros((3, 4));
    let long = Array2::<f32>::zeros((3, 6));
    let columns = Array2::<f32>::zeros((4, 3)).reversed_axes();
    let mut out =
        |inputs: &[tilewright::Tensor<'_>]| bound.call(inputs, &mut [(&mut c).into()]).unwrap_err();
    refused(out(&[(&a).into()]), &["TW0601", "2 inputs (A, B)", "gives 1"]);
    refused(out(&[(&wide).into(), (&b).into()]), &["TW0602", "`A` is f32", "holds f64"]);
    refused(out(&[(&long).into(), (&b).into()]), &["TW0603", "[m=3, k=4]", "[3, 6]"]);
    refused(
        out(&[(&columns).into(), (&b).into()]),
        &["TW0605", "[4, 1]", "[1, 3]", "Strided::Copy"],
    );
    let mut flat = Array1::<f32>::from_elem(15, 7.0);
    let error = bound.call(&[(&a).into(), (&b).into()], &mut [(&mut flat).into()]).unwrap_err();
    refused(error, &["TW0603", "output", "[m=3, n=5]", "[15]"]);
    assert!(c.iter().chain(&flat).all(|&x| x == 7.0), "nothing is written");
}

#[test]
fn arrays_that_disagree_about_an_axis_are_refused() {
    let kernel = Kernel::parse(PRODUCT).unwrap();
    let (a, b) = (Array2::<f32>::zeros((3, 4)), Array2::<f32>::zeros((6, 5)));
    let mut c = Array2::<f32>::zeros((3, 5));
    let error = kernel.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()]).unwrap_err();
    refused(error, &["TW0604", "axis `k` is 4 in `A` and 6 in `B`"]);
}

#[test]
fn strided_arrays_are_copied_when_the_caller_chose_so() {
    let kernel = Kernel::parse(PRODUCT).unwrap().strided(Strided::Copy);
    let (a, b) = operands();
    let columns = a.t().as_standard_layout().into_owned().reversed_axes();
    assert!(!columns.is_standard_layout());
    let mut c = Array2::<f32>::zeros((5, 3)).reversed_axes();
    kernel.call(&[(&columns).into(), (&b).into()], &mut [(&mut c).into()]).unwrap();
    assert_eq!(c, a.dot(&b));
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let text = format!("{PRODUCT}\nsizes small {{ m=2, k=2, n=2 }}\n");
    let kernel = Kernel::parse(&text).unwrap();
    let error = kernel.bind_set("large").unwrap_err().to_string();
    assert!(error.contains("`large`") && error.contains("small"), "{error}");
    let error = kernel.bind([("m", 1), ("q", 2)]).unwrap_err().to_string();
    for word in ["`q`", "`k`", "`n`", "m, k, n"] {
        assert!(error.contains(word), "{error}");
    }
    let two = format!("{PRODUCT}\nkernel other(x: f32[i]) -> f32[i] {{ x }}\n");
    let error = Kernel::parse(&two).unwrap_err().to_string();
    assert!(error.contains("product") && error.contains("other"), "{error}");
}

#[test]
fn a_tile_program_written_by_hand_enters_by_the_verifier() {
    let kernel = Kernel::parse(PRODUCT).unwrap();
    let bound = kernel.bind([("m", 3), ("k", 4), ("n", 5)]).unwrap();
    let program = bound.lower(&bound.space().default_schedule()).unwrap();
    let again = tilewright::ir::tile::parse(&tilewright::ir::tile::print(&program)).unwrap();
    let compiled = bound.compile_tile(&again).unwrap();
    assert_eq!(compiled.schedule(), None);
    let other = kernel.bind([("m", 3), ("k", 4), ("n", 6)]).unwrap();
    let error = other.compile_tile(&again).unwrap_err().to_string();
    assert!(error.contains("TW0606") && error.contains("n=6"), "{error}");
}

#[test]
fn a_product_of_three_is_grouped_as_the_text_says() {
    // Grouped as A (X Y), the small factors would vanish and infinity times nothing would not be a number.
    let text =
        "kernel thrice(A: f32[m,k], X: f32[k,n], Y: f32[k,n]) -> f32[m,n] { sum[k]((A * X) * Y) }";
    let bound = Kernel::parse(text).unwrap().bind([("m", 8), ("k", 4), ("n", 16)]).unwrap();
    let a = Array2::<f32>::from_elem((8, 4), f32::INFINITY);
    let x = Array2::<f32>::from_elem((4, 16), 1e-30);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    for draw in 0..20 {
        let schedule = match draw {
            0 => bound.space().default_schedule(),
            _ => bound.space().sample(&mut rng),
        };
        let mut c = Array2::<f32>::zeros((8, 16));
        let compiled = bound.compile(&schedule).unwrap();
        compiled.call(&[(&a).into(), (&x).into(), (&x).into()], &mut [(&mut c).into()]).unwrap();
        assert!(c.iter().all(|&x| x == f32::INFINITY), "{}", schedule.print());
    }
}
