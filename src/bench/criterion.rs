//! Kernel files in a criterion suite.
//!
//! ```no_run
//! use criterion::{Criterion, criterion_group, criterion_main};
//!
//! fn kernels(criterion: &mut Criterion) {
//!     tilewright::bench::criterion::file(criterion, "kernels/softmax.tw").expect("the kernels compile");
//! }
//!
//! criterion_group!(benches, kernels);
//! criterion_main!(benches);
//! ```
//!
//! Each kernel is a group, each size set a function in it, with the rate in operations or bytes. A kernel is compiled
//! as its calls would be: with the store's winner, else the default schedule.
//! Invariant: a name stands for the same kernel and sizes in every run, so criterion compares like with like.

use super::{Ready, Work};
use crate::error::Error;
use crate::kernel::{BoundKernel, Kernel};
use criterion::{Criterion, Throughput};
use std::path::Path;

/// Times every kernel of a file at each of its size sets, but for those named `small..`, which are for tests. A file
/// that has no others is timed at them.
///
/// # Errors
/// When the file cannot be read, and what checking, binding and compiling say.
pub fn file(criterion: &mut Criterion, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    for kernel in Kernel::parse_all(&text)? {
        self::kernel(criterion, &kernel)?;
    }
    Ok(())
}

/// As `file`, for one kernel.
///
/// # Errors
/// What binding and compiling say.
pub fn kernel(criterion: &mut Criterion, kernel: &Kernel) -> Result<(), Error> {
    let is_small = |name: &str| name.starts_with("small");
    let sets = kernel.size_sets();
    let all_small = sets.iter().all(|(name, _)| is_small(name));
    for (set, sizes) in sets.iter().filter(|(name, _)| all_small || !is_small(name)) {
        bound(criterion, kernel.name(), set, &kernel.bind_sizes(sizes)?)?;
    }
    Ok(())
}

/// Times a kernel at sizes of the caller's choice, as the function `function` of the group `group`.
///
/// # Errors
/// What compiling says.
pub fn bound(
    criterion: &mut Criterion,
    group: &str,
    function: &str,
    bound: &BoundKernel,
) -> Result<(), Error> {
    let mut ready = Ready::new(bound)?;
    let mut call = ready.bound_call()?;
    let mut group = criterion.benchmark_group(group);
    group.throughput(match Work::of(bound) {
        Work::Operations(count) => Throughput::Elements(count),
        Work::Bytes(count) => Throughput::Bytes(count),
    });
    group.bench_function(function, |bencher| bencher.iter(|| call.call()));
    group.finish();
    Ok(())
}
