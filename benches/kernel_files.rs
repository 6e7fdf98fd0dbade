//! The bench of `docs/ci.md`: kernel files in a criterion suite.
//!
//! `cargo bench --bench kernel_files --features criterion`; one's own files take the place of the catalogue's.

use criterion::{Criterion, criterion_group, criterion_main};
use tilewright::bench::criterion::{bound, file};
use tilewright::{Error, Kernel};

fn files(criterion: &mut Criterion) {
    // Every size set of every kernel in the file, with its rate.
    file(criterion, "kernels/rmsnorm.tw").expect("the kernels compile");
}

fn product(criterion: &mut Criterion) -> Result<(), Error> {
    // One kernel at sizes of one's own.
    let kernel = Kernel::from_file("kernels/matmul.tw")?;
    let kernel = kernel.bind([("m", 16), ("k", 64), ("n", 64)])?;
    bound(criterion, "matmul", "16x64x64", &kernel)
}

fn own_sizes(criterion: &mut Criterion) {
    product(criterion).expect("the kernel compiles");
}

criterion_group!(benches, files, own_sizes);
criterion_main!(benches);
