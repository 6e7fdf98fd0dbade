//! Kernels that the examples measure, by name.
//!
//! Invariant: one name is one text at one size, so that figures of two examples may stand side by side.

use std::error::Error;
use tilewright::{BoundKernel, Kernel};

const MATMUL: &str = "kernel f(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }";

/// Name, text and sizes.
type Row = (&'static str, &'static str, &'static [(&'static str, u64)]);

const KERNELS: [Row; 5] = [
    ("matmul 128^3", MATMUL, &[("m", 128), ("n", 128), ("k", 128)]),
    ("matmul 256^3", MATMUL, &[("m", 256), ("n", 256), ("k", 256)]),
    ("matmul 512^3", MATMUL, &[("m", 512), ("n", 512), ("k", 512)]),
    (
        "softmax 256x1024",
        "kernel f(x: f32[i,j]) -> y: f32[i,j] { softmax[j](x) }",
        &[("i", 256), ("j", 1024)],
    ),
    (
        "rmsnorm 128x1024",
        "kernel f(x: f32[i,j], w: f32[j]) -> y: f32[i,j] { rmsnorm[j](x, w, 1e-5) }",
        &[("i", 128), ("j", 1024)],
    ),
];

/// The kernel of a name at its sizes.
pub(crate) fn bound(name: &str) -> Result<BoundKernel, Box<dyn Error>> {
    let row = KERNELS.iter().find(|(known, ..)| *known == name).ok_or("a kernel of the table")?;
    Ok(Kernel::parse(row.1)?.bind(row.2.iter().copied())?)
}
