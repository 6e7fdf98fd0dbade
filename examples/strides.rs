//! Arrays that do not lie as a signature says: what `Strided` makes a call do with them.
//!
//! A transposed view of ndarray has the elements of the other array in place; its strides are 1 and 3.

use ndarray::{Array1, array};
use tilewright::{Kernel, Strided};

const TEXT: &str = "kernel rows(A: f32[m,k]) -> f32[m] { sum[k](A) }";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let a = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let transposed = a.t();
    let mut sums = Array1::<f32>::zeros(3);

    let refusing = Kernel::parse(TEXT)?;
    assert!(refusing.call(&[(&transposed).into()], &mut [(&mut sums).into()]).is_err());

    let copying = Kernel::parse(TEXT)?.strided(Strided::Copy);
    copying.call(&[(&transposed).into()], &mut [(&mut sums).into()])?;
    assert_eq!(sums, array![5.0, 7.0, 9.0]);

    let specialising = Kernel::parse(TEXT)?.strided(Strided::Specialise);
    specialising.call(&[(&transposed).into()], &mut [(&mut sums).into()])?;
    assert_eq!(sums, array![5.0, 7.0, 9.0]);
    Ok(())
}
