//! Tilewright compiles tensor kernels, tunes them by measuring, and believes no time before the numbers are checked.
//!
//! A kernel is a text over named axes. It is parsed and checked once, bound to sizes, compiled for this machine and
//! called with ndarray arrays:
//!
//! ```
//! use ndarray::{Array2, array};
//! use tilewright::Kernel;
//!
//! let kernel = Kernel::parse("kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }")?;
//! let a = array![[1.0f32, 2.0], [3.0, 4.0]];
//! let b = array![[1.0f32, 0.0], [0.0, 2.0]];
//! let mut c = Array2::<f32>::zeros((2, 2));
//! kernel.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()])?;
//! assert_eq!(c, array![[1.0, 4.0], [3.0, 8.0]]);
//! # Ok::<(), tilewright::Error>(())
//! ```
//!
//! `Kernel::call` takes the sizes from the arrays, looks for the winner that `tilewright tune` has stored for them on
//! this machine, compiles once and keeps the code. The steps are there one by one, too: `Kernel::bind`,
//! `BoundKernel::compile`, `CompiledKernel::call`. An array that does not fit the signature is an error that names
//! both sides, and nothing is written:
//!
//! ```
//! # use ndarray::Array2;
//! # use tilewright::Kernel;
//! # let kernel = Kernel::parse("kernel twice(x: f32[i,j]) -> f32[i,j] { x + x }")?;
//! let twice = kernel.bind([("i", 4), ("j", 5)])?;
//! let (x, mut y) = (Array2::<f32>::ones((4, 6)), Array2::<f32>::zeros((4, 5)));
//! let error = twice.call(&[(&x).into()], &mut [(&mut y).into()]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "TW0603: input `x` has shape [i=4, j=5] in the signature, the array has [4, 6]"
//! );
//! assert_eq!(y.sum(), 0.0);
//! # Ok::<(), tilewright::Error>(())
//! ```
//!
//! Many calls on the same arrays go through `CompiledKernel::bind`, which checks them once. Calls of all kernels share the
//! threads of one pool: a call has it, others meanwhile run on their own thread, and so do calls from a worker of rayon and
//! in `cpu::pool::sequentially`; `BoundKernel::set_threads_max` limits a kernel. Threads are never bound to processors.
//! The first call of a kernel, and the first that writes to fresh output arrays, also pays for the pages that it touches.
//!
//! The parts behind it are the crates `ir` (texts, graphs, plans, schedules, tile programs, the reference), `cpu` (the
//! code generator) and `autotune` (search, judge, clock, store).

pub mod bench;
pub mod draw;
pub mod error;
pub mod export;
pub mod host;
pub mod kernel;
pub mod tensor;

pub use error::{CallError, Error};
pub use kernel::{
    BoundCall, BoundKernel, CompiledKernel, Hidden, InputStrides, Kernel, Operand, Origin, Strided,
};
pub use tensor::{Tensor, TensorMut};
pub use tilewright_autotune as autotune;
pub use tilewright_cpu as cpu;
pub use tilewright_ir as ir;
pub use tilewright_kernels as kernels;
