//! The reference in double precision: 1024^3 is to take at most a second.
#![expect(dead_code, reason = "every bench uses a part of the common module")]

mod common;

use common::{extent, matmul};
use criterion::{Criterion, criterion_group, criterion_main};
use tilewright::ir::reference::{Family, draw, evaluate};

fn matmul_1024(criterion: &mut Criterion) {
    let bound = matmul(extent(1024));
    let inputs = draw(bound.graph(), Family::Normal, 1);
    let mut group = criterion.benchmark_group("reference");
    group.sample_size(10);
    group.bench_function("matmul_1024", |bencher| {
        bencher.iter(|| evaluate(bound.graph(), &inputs));
    });
    group.finish();
}

criterion_group!(benches, matmul_1024);
criterion_main!(benches);
