//! Bound calls: checked once, called often, with arrays that change in between; calls from many threads at once.

use ndarray::{Array2, ArrayD, Axis, s};
use rayon::prelude::*;
use tilewright::{CallError, Error, Kernel, TensorMut};

const PRODUCT: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }";

fn filled(rows: usize, columns: usize, scale: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        ((row * 7 + column * scale) % 11) as f32 - 5.0
    })
}

#[test]
fn a_bound_call_follows_its_arrays() {
    for (m, n, k) in [(3, 7, 5), (5, 3, 7), (7, 5, 3), (1, 1, 1), (2, 16, 64), (33, 40, 65)] {
        let kernel = Kernel::parse(PRODUCT).unwrap();
        let bound = kernel.bind([("m", m as u64), ("n", n as u64), ("k", k as u64)]).unwrap();
        let (mut a, b, mut c) = (filled(m, k, 3), filled(k, n, 5), Array2::<f32>::zeros((m, n)));
        let mut expected = a.clone();
        let arrays = [(&mut a).into(), (&b).into()];
        let mut call = bound.compiled().unwrap().bind(arrays, [(&mut c).into()]).unwrap();
        for round in 0..3 {
            call.call();
            let output = call.output::<f32>(0).unwrap();
            assert_eq!(output, expected.dot(&b).into_dyn(), "m={m} n={n} k={k} round {round}");
            expected += 1.0;
            call.input_mut::<f32>(0).unwrap().mapv_inplace(|x| x + 1.0);
        }
        assert!(call.input_mut::<f32>(1).is_none(), "a shared input is not to be written");
        assert!(call.output::<f64>(0).is_none() && call.output::<f32>(1).is_none());
        assert_eq!(call.output_bytes(0).unwrap().len(), 4 * m * n);
        assert!(call.input_bytes_mut(2).is_none(), "an output is no input");
        drop(call);
        assert_eq!(c, (expected - 1.0).dot(&b), "the array itself holds the result");
    }
}

#[test]
fn what_does_not_fit_is_not_bound() {
    let kernel = Kernel::parse(PRODUCT).unwrap();
    let bound = kernel.bind([("m", 3), ("k", 4), ("n", 5)]).unwrap();
    let code = bound.compiled().unwrap();
    let (a, b, mut c) = (filled(3, 4, 3), filled(4, 5, 5), Array2::<f32>::zeros((3, 5)));
    let wide = filled(3, 8, 1);
    let refused = |error: Error| match error {
        Error::Call(call) => call,
        other => panic!("{other}"),
    };
    let error = code.bind([(&a).into()], [(&mut c).into()]).unwrap_err();
    assert!(matches!(refused(error), CallError::Count { expected: 2, found: 1, .. }));
    let error = code.bind([(&b).into(), (&b).into()], [(&mut c).into()]).unwrap_err();
    assert!(matches!(refused(error), CallError::Shape { .. }));
    let every_second = wide.slice(s![.., ..;2]);
    let error = code.bind([(&every_second).into(), (&b).into()], [(&mut c).into()]).unwrap_err();
    assert!(matches!(refused(error), CallError::Strides { role: "input", .. }));
    let mut turned = Array2::<f32>::zeros((5, 3)).reversed_axes();
    let error = code.bind([(&a).into(), (&b).into()], [(&mut turned).into()]).unwrap_err();
    assert!(matches!(refused(error), CallError::Strides { role: "output", .. }));
    let (memory, mut short) = ([0_u8; 48], [0_u8; 4]);
    let error = code.bind_bytes([&memory[..], &memory[..]], [&mut short[..]]).unwrap_err();
    assert!(error.to_string().contains("80 bytes"), "{error}");
}

#[test]
fn stated_strides_are_bound_as_they_lie() {
    let text = "kernel f(x: f32[i,j] strides(1, len(i))) -> y: f32[i,j] { x + x }";
    let bound = Kernel::parse(text).unwrap().bind([("i", 3), ("j", 4)]).unwrap();
    let x = filled(4, 3, 2).reversed_axes();
    let mut y = Array2::<f32>::zeros((3, 4));
    let mut call = bound.compiled().unwrap().bind([(&x).into()], [(&mut y).into()]).unwrap();
    call.call();
    assert_eq!(call.output::<f32>(0).unwrap(), (&x + &x).into_dyn());
}

/// Calls of one kernel from many threads, of rayon's and others, give what one thread gets.
#[test]
fn calls_from_many_threads_run_side_by_side() {
    let text = "kernel f(x: f32[i,j]) -> y: f32[i,j] { softmax[j](x) }";
    let bound = Kernel::parse(text).unwrap().bind([("i", 64), ("j", 300)]).unwrap();
    let code = bound.compiled().unwrap();
    let x = filled(64, 300, 3).into_dyn();
    let mut expected = ArrayD::<f32>::zeros(x.raw_dim());
    code.call(&[(&x).into()], &mut [(&mut expected).into()]).unwrap();
    let run = |_: u32| {
        let mut y = ArrayD::<f32>::zeros(x.raw_dim());
        let mut own = ArrayD::<f32>::zeros(x.raw_dim());
        let mut call = code.bind([(&x).into()], [TensorMut::from(&mut own)]).unwrap();
        for _ in 0..20 {
            code.call(&[(&x).into()], &mut [(&mut y).into()]).unwrap();
            call.call();
            assert_eq!(y, expected);
            assert_eq!(call.output::<f32>(0).unwrap(), expected.view());
        }
        y.sum_axis(Axis(1)).iter().for_each(|&sum: &f32| assert!((sum - 1.0).abs() < 1e-5));
    };
    (0..16).into_par_iter().for_each(run);
    std::thread::scope(|scope| (0..4).for_each(|thread| _ = scope.spawn(move || run(thread))));
    let row = Array2::<f32>::zeros((1, 300));
    assert!(code.call(&[(&row).into()], &mut [(&mut expected).into()]).is_err());
}
