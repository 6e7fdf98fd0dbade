//! Every kernel of the catalogue at its first size set, on one thread and on all, with its rate.
//!
//! Rates are in operations per second (`elem/s`) where a kernel computes much for each byte, else in bytes per second.
//! Kernels are compiled with the store's winner, else with the default schedule. Without `--bench` each runs once, at
//! its smallest set.
#![expect(dead_code, reason = "every bench uses a part of the common module")]

mod common;

use common::is_real;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tilewright::Kernel;
use tilewright::bench::{Ready, Work};
use tilewright::kernels;

fn catalogue(criterion: &mut Criterion) {
    for entry in kernels::all() {
        let kernel = Kernel::parse(entry.source).expect("the catalogue is legal");
        let sets = kernel.size_sets();
        let small = sets.iter().find(|(name, _)| name.starts_with("small"));
        let chosen = if is_real() { sets.first() } else { small };
        let (_, sizes) = chosen.expect("a kernel of the catalogue has sizes");
        let mut group = criterion.benchmark_group(entry.name);
        for (name, threads) in [("one_thread", Some(1)), ("all_threads", None)] {
            let mut bound = kernel.bind_sizes(sizes).expect("its sizes are legal");
            bound.set_threads_max(threads);
            group.throughput(match Work::of(&bound) {
                Work::Operations(count) => Throughput::Elements(count),
                Work::Bytes(count) => Throughput::Bytes(count),
            });
            let mut ready = Ready::new(&bound).expect("a kernel of the catalogue compiles");
            let mut call = ready.bound_call().expect("its buffers fit in memory");
            group.bench_function(name, |bencher| bencher.iter(|| call.call()));
        }
        group.finish();
    }
}

criterion_group!(benches, catalogue);
criterion_main!(benches);
