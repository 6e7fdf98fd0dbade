//! Strided inputs and split axes against their plain counterparts.
//!
//! A kernel compiled for strides gives the bits that it gives on a dense copy with the same schedule; a kernel over a
//! split axis gives what the kernel written by hand with two axes gives. Seeds are printed: `TILEWRIGHT_SEED` replays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ndarray::{Array1, Array2, ArrayView2, Axis, array, s};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::Sizes;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate, memory};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, Error, Kernel, Strided, Tensor};

const KERNELS: [&str; 6] = [
    "kernel matmul(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }",
    "kernel rows(x: f32[i,j], y: f32[j]) -> f32[i,j] { softmax[j](x) * y }",
    "kernel columns(x: f64[i,j]) -> f64[j] { max[i](x) - mean[i](x) }",
    "kernel three(x: f32[a,b,c], y: i32[c,a]) -> (f: f32[b,a], g: f32[c]) {
       t = x * y + x
       (sum[c](t), min[a,b](t))
     }",
    "kernel map(x: i32[a,b], y: f32[b,a]) -> f32[a,b] { where(x < 3, y * 2, exp(-y * y)) }",
    "kernel split(A: f32[m,k], B: f32[k,n], S: f32[kg,n]) -> f32[m,n] where k = kg*4 + ki {
       sum[k](A * B * S) + sum[ki](max[kg](A))
     }",
];

fn seed() -> u64 {
    let seed = std::env::var("TILEWRIGHT_SEED").ok().and_then(|text| text.parse().ok());
    seed.unwrap_or(1)
}

fn random_sizes(kernel: &Kernel, rng: &mut ChaCha8Rng) -> Sizes {
    const EXTENTS: [u64; 10] = [0, 1, 2, 3, 4, 5, 8, 13, 17, 33];
    let axes = &kernel.graph().axes;
    let free = axes.ids().filter(|&axis| !axes.is_fixed(axis));
    free.map(|axis| {
        let rare = rng.random_range(0..8) == 0;
        let extent = EXTENTS[rng.random_range(usize::from(!rare)..EXTENTS.len())];
        (axes.name(axis).to_string(), extent)
    })
    .collect()
}

/// Strides of one tensor: its dimensions in any memory order, with gaps, backwards, repeated, or overlapping.
fn random_strides(shape: &[u64], rng: &mut ChaCha8Rng) -> Vec<i64> {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.shuffle(rng);
    let mut strides = vec![0; shape.len()];
    let mut stride = rng.random_range(1..3_i64);
    for dim in order {
        let sign = if rng.random_range(0..4) == 0 { -1 } else { 1 };
        strides[dim] = match rng.random_range(0..8) {
            0 => 0,
            1 => rng.random_range(-3..4),
            _ => sign * stride,
        };
        let gap = if rng.random_range(0..3) == 0 { rng.random_range(0..5) } else { 0 };
        stride *= (shape[dim] as i64).max(1) + gap;
    }
    strides
}

fn outputs(bound: &BoundKernel, schedule: &Schedule, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph = bound.graph();
    let compiled = bound.compile(schedule).unwrap();
    let shape = |axes: &[_]| axes.iter().map(|&axis| graph.axes.extent(axis)).collect::<Vec<_>>();
    let mut outputs: Vec<HostTensor> = (graph.outputs.iter())
        .map(|output| HostTensor::zeros(output.tensor.dtype, &shape(&output.tensor.axes)))
        .collect();
    outputs.iter_mut().for_each(|output| output.bytes.fill(0xaa));
    let lying = memory(graph, inputs);
    let read: Vec<&[u8]> = lying.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).unwrap();
    outputs
}

fn agrees(bound: &BoundKernel, inputs: &[HostTensor], got: &[HostTensor], what: &str) {
    for (expected, got) in evaluate(bound.graph(), inputs).iter().zip(got) {
        let verdict = compare(expected, got);
        assert!(verdict.passed(), "{what}: {verdict:?}");
    }
}

#[test]
fn strides_change_no_bit() {
    let seed = seed();
    println!("TILEWRIGHT_SEED={seed}");
    let mut compared = 0;
    for (number, text) in KERNELS.iter().enumerate() {
        let kernel = Kernel::parse(text).unwrap();
        for case in 0..24 {
            let mut rng =
                ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003) + number as u64 * 64 + case);
            let dense = kernel.bind_sizes(&random_sizes(&kernel, &mut rng)).unwrap();
            let graph = dense.graph();
            let strides = graph.inputs.iter().map(|tensor| {
                let any = rng.random_range(0..4) > 0;
                any.then(|| random_strides(&tensor.shape(&graph.axes), &mut rng))
            });
            let strides: Vec<_> = strides.collect();
            let strided = dense.specialise(strides.clone()).unwrap();
            let inputs = draw(strided.graph(), Family::Normal, rng.random());
            let (own, plain) = (strided.space(), dense.space());
            let mut schedules = vec![own.default_schedule(), own.naive_schedule()];
            schedules.extend([
                plain.default_schedule(),
                plain.sample(&mut rng),
                own.sample(&mut rng),
            ]);
            for schedule in schedules {
                if own.check(&schedule).is_err() || plain.check(&schedule).is_err() {
                    continue;
                }
                let what =
                    format!("{text}\ncase {case}, strides {strides:?}\n{}", schedule.print());
                let got = outputs(&strided, &schedule, &inputs);
                assert_eq!(got, outputs(&dense, &schedule, &inputs), "{what}");
                agrees(&strided, &inputs, &got, &what);
                compared += 1;
            }
        }
    }
    println!("{compared} pairs");
    assert!(compared > 300, "{compared} schedules were legal for both");
}

/// A kernel with a split, and the same mathematics over axes that the text names itself.
const SPLITS: [(&str, &str); 4] = [
    (
        "kernel f(A: f32[m,k], B: f32[k,n]) -> f32[m,n] where k = kg*8 + ki { sum[k](A * B) }",
        "kernel f(A: f32[m,kg,ki], B: f32[kg,ki,n]) -> f32[m,n] { sum[kg,ki](A * B) }",
    ),
    (
        "kernel f(x: f32[c,p], g: f32[c]) -> f32[c,p] where c = q*4 + r {
           x * g - max[r,p](x) + c * 2
         }",
        "kernel f(x: f32[q,r,p], g: f32[q,r]) -> f32[q,r,p] {
           x * g - max[r,p](x) + (q * 4 + r) * 2
         }",
    ),
    (
        "kernel f(x: f32[t]) -> f32[b] where t = b*len(h) + h { sum[h](where(t < len(t) - 1, x, 0)) }",
        "kernel f(x: f32[b,h]) -> f32[b] {
           sum[h](where(b * len(h) + h < len(b) * len(h) - 1, x, 0))
         }",
    ),
    (
        "kernel f(x: f32[k], y: f32[m]) -> f32[m,ka] where k = ka*12 + kp, kp = kb*4 + kc {
           sum[kp](x * y) + sum[kb](max[kc](x * kp))
         }",
        "kernel f(x: f32[ka,kb,kc], y: f32[m]) -> f32[m,ka] {
           sum[kb,kc](x * y) + sum[kb](max[kc](x * (kb * 4 + kc)))
         }",
    ),
];

#[test]
fn a_split_kernel_is_the_kernel_written_by_hand() {
    let seed = seed();
    println!("TILEWRIGHT_SEED={seed}");
    for (number, (split, plain)) in SPLITS.into_iter().enumerate() {
        let (split, plain) = (Kernel::parse(split).unwrap(), Kernel::parse(plain).unwrap());
        for case in 0..8 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed + number as u64 * 64 + case);
            let one = split.bind_sizes(&random_sizes(&split, &mut rng)).unwrap();
            let axes = &one.graph().axes;
            let sizes: Sizes =
                axes.ids().map(|axis| (axes.name(axis).to_string(), axes.extent(axis))).collect();
            let other = plain.bind_sizes(&sizes).unwrap();
            // Integers, whose sums are exact in any order.
            let inputs = draw(one.graph(), Family::Integers, rng.random());
            let space = one.space();
            for schedule in [space.default_schedule(), space.sample(&mut rng)] {
                let what = format!("{} at {sizes:?}\n{}", one.graph().print(), schedule.print());
                let got = outputs(&one, &schedule, &inputs);
                let by_hand = outputs(&other, &other.space().default_schedule(), &inputs);
                assert_eq!(got, by_hand, "{what}");
                agrees(&other, &inputs, &got, &what);
            }
        }
    }
}

fn bits(array: &Array2<f32>) -> Vec<u32> {
    array.iter().map(|x| x.to_bits()).collect()
}

/// `scale * x^T y + 1` by the library, as the caller chose.
fn product(kernel: &Kernel, x: &ArrayView2<'_, f32>, y: &ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::<f32>::zeros((x.shape()[0], y.shape()[1]));
    kernel.call(&[x.into(), y.into(), (&0.5_f32).into()], &mut [(&mut out).into()]).unwrap();
    out
}

#[test]
fn a_call_with_any_view_equals_the_call_on_a_copy() {
    let text =
        "kernel f(x: f32[i,k], y: f32[k,j], scale: f32) -> f32[i,j] { scale * sum[k](x * y) + 1 }";
    let kernel = |strided| Kernel::parse(text).unwrap().strided(strided);
    let (copy, specialise) = (kernel(Strided::Copy), kernel(Strided::Specialise));
    let wide = Array2::from_shape_fn((24, 40), |(i, j)| ((i * 7 + j * 3) % 11) as f32 - 5.25);
    let row = Array1::from_shape_fn(24, |i| i as f32 * 0.5 - 3.0);
    let views = [
        wide.view(),
        wide.t().slice_move(s![..24, ..]),
        wide.slice(s![..;2, 3..27]),
        wide.slice(s![..;-1, 16..40;-1]),
        wide.slice(s![..;-3, ..24]),
        row.broadcast((5, 24)).unwrap(),
        row.view().insert_axis(Axis(1)).slice_move(s![..;-1, ..]),
        wide.slice(s![4..5, ..24]),
        wide.slice(s![..0, ..24]),
    ];
    for x in &views {
        for y in &views {
            if x.shape()[1] != y.shape()[0] {
                continue;
            }
            let (one, other) = (product(&copy, x, y), product(&specialise, x, y));
            let ulps = bits(&one).iter().zip(bits(&other)).map(|(a, b)| a.abs_diff(b)).max();
            // The schedules may differ, so sums may be ordered otherwise; these numbers are exact in any order.
            assert_eq!(ulps.unwrap_or(0), 0, "{:?} {:?}", x.strides(), y.strides());
        }
    }
}

#[test]
fn a_signature_with_strides_takes_what_lies_so() {
    let text = "kernel f(x: f32[i,j] strides(1, len(i)), y: f32[i,j] strides(0, -1)) -> f32[i,j] { x - y }";
    let x = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let row = array![10.0f32, 20.0, 30.0];
    let columns = x.t().as_standard_layout().into_owned();
    let reversed = row.slice(s![..;-1]);
    let repeated = reversed.broadcast((2, 3)).unwrap();
    let expected = array![[-29.0f32, -18.0, -7.0], [-26.0, -15.0, -4.0]];
    for strided in [Strided::Refuse, Strided::Copy, Strided::Specialise] {
        let kernel = Kernel::parse(text).unwrap().strided(strided);
        let mut out = Array2::<f32>::zeros((2, 3));
        kernel
            .call(&[(&columns.t()).into(), (&repeated).into()], &mut [(&mut out).into()])
            .unwrap();
        assert_eq!(out, expected, "{strided:?}");
    }
    let other = |strided, y: &Array2<f32>| {
        let kernel = Kernel::parse(text).unwrap().strided(strided);
        let mut out = Array2::<f32>::zeros((2, 3));
        kernel.call(&[(&x).into(), y.into()], &mut [(&mut out).into()]).map(|()| out)
    };
    let same = repeated.to_owned();
    assert_eq!(other(Strided::Copy, &same).unwrap(), expected);
    assert_eq!(other(Strided::Specialise, &x).unwrap(), Array2::<f32>::zeros((2, 3)));
    let refused = |result: Result<Array2<f32>, Error>, words: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    refused(other(Strided::Refuse, &same), &["TW0605", "`x`", "[1, 2]", "[3, 1]", "Specialise"]);
    // Rows that differ cannot lie at one place, so no copy can be made of them.
    refused(other(Strided::Copy, &x), &["TW0605", "`y`", "[0, -1]", "[3, 1]"]);
}

#[test]
fn split_axes_take_shapes_of_the_whole() {
    let text = "kernel f(x: f32[m,k], s: f32[kg]) -> f32[m,k] where k = kg*4 + ki { x * s + ki }";
    let kernel = Kernel::parse(text).unwrap().strided(Strided::Specialise);
    let x = Array2::from_shape_fn((8, 3), |(k, m)| (k * 3 + m) as f32);
    let scale = array![2.0f32, -1.0];
    let mut out = Array2::<f32>::zeros((3, 8));
    kernel.call(&[(&x.t()).into(), (&scale).into()], &mut [(&mut out).into()]).unwrap();
    let expected =
        Array2::from_shape_fn((3, 8), |(m, k)| x[(k, m)] * scale[k / 4] + (k % 4) as f32);
    assert_eq!(out, expected);
    let fault = |inputs: [Tensor<'_>; 2], width| {
        let mut out = Array2::<f32>::zeros((3, width));
        kernel.call(&inputs, &mut [(&mut out).into()]).unwrap_err().to_string()
    };
    let (short, three) = (Array2::<f32>::zeros((3, 7)), array![1.0f32, 2.0, 3.0]);
    assert!(fault([(&short).into(), (&scale).into()], 7).contains("TW0308"));
    assert!(fault([(&x.t()).into(), (&three).into()], 8).contains("TW0308"));
    assert!(fault([(&x).into(), (&scale).into()], 8).contains("TW0604"));
}
