//! Attention from a text, called with ndarray arrays; checked against ten lines of plain Rust.
//!
//! The call uses the stored winner for this text and these sizes, if there is one: put the text into a file and give it
//! to `tilewright tune` with `--size i=12,j=20,d=16,e=8`. (`kernels/attention.tw` has other axes: it is another kernel.)

use ndarray::{Array2, Axis};
use std::io::Write;
use tilewright::Kernel;

const TEXT: &str = "
kernel attention(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> f32[i,e] {
  p = softmax[j](sum[d](Q * K) * rsqrt(len(d)))
  sum[j](p * V)
}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wave = |rows, columns, step: f32| {
        Array2::from_shape_fn((rows, columns), |(row, column)| {
            ((row * columns + column) as f32 * step).sin()
        })
    };
    let (q, k, v) = (wave(12, 16, 0.37), wave(20, 16, 0.11), wave(20, 8, 0.73));
    let mut output = Array2::<f32>::zeros((12, 8));

    let kernel = Kernel::parse(TEXT)?;
    kernel.call(&[(&q).into(), (&k).into(), (&v).into()], &mut [(&mut output).into()])?;

    let difference = (&output - &plain(&q, &k, &v)).mapv(f32::abs);
    let largest = difference.iter().fold(0.0f32, |a, &b| a.max(b));
    writeln!(std::io::stdout(), "largest difference {largest:e}")?;
    assert!(largest < 1e-5, "two ways to compute one thing");
    Ok(())
}

fn plain(q: &Array2<f32>, k: &Array2<f32>, v: &Array2<f32>) -> Array2<f32> {
    let mut weights = q.dot(&k.t()) / (k.ncols() as f32).sqrt();
    for mut row in weights.axis_iter_mut(Axis(0)) {
        let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|x| (x - largest).exp());
        let sum = row.sum();
        row /= sum;
    }
    weights.dot(v)
}
