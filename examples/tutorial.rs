//! The program of `docs/tutorial.md`: a kernel file, called with ndarray arrays.
//!
//! The call uses the winner that `tilewright tune kernels/matmul.tw --size m=32,k=1024,n=1024` has stored, if there is
//! one; else the default schedule.

use ndarray::Array2;
use std::io::Write;
use tilewright::Kernel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kernel = Kernel::parse(include_str!("../kernels/matmul.tw"))?;
    let a = Array2::from_shape_fn((32, 1024), |(m, k)| ((m + 2 * k) % 7) as f32);
    let b = Array2::from_shape_fn((1024, 1024), |(k, n)| ((3 * k + n) % 5) as f32);
    let mut c = Array2::<f32>::zeros((32, 1024));

    kernel.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()])?;

    assert_eq!(c, a.dot(&b), "sums of small whole numbers are exact");
    writeln!(std::io::stdout(), "C[0, 0] = {}", c[[0, 0]])?;
    Ok(())
}
