//! Calls of compiled kernels with their default schedules.

mod common;

use common::{Ready, bind, extent, matmul};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn matmuls(criterion: &mut Criterion) {
    let n = extent(512);
    let mut group = criterion.benchmark_group("matmul");
    group.throughput(Throughput::Elements(2 * n * n * n));
    for (name, threads) in [("512_one_thread", Some(1)), ("512_all_threads", None)] {
        let mut ready = Ready::new(matmul(n), threads);
        group.bench_function(name, |bencher| bencher.iter(|| ready.call()));
    }
    group.finish();
}

fn softmax(criterion: &mut Criterion) {
    let (rows, columns) = (extent(1024), extent(4096));
    let text = "kernel softmax_rows(x: f32[i,j]) -> f32[i,j] { softmax[j](x) }";
    let mut ready = Ready::new(bind(text, &[("i", rows), ("j", columns)]), None);
    let mut group = criterion.benchmark_group("softmax");
    group.throughput(Throughput::Bytes(2 * 4 * rows * columns));
    group.bench_function("1024x4096", |bencher| bencher.iter(|| ready.call()));
    group.finish();
}

fn attention(criterion: &mut Criterion) {
    let text = "
kernel attention(Q: f32[h,i,d], K: f32[h,j,d], V: f32[h,j,e]) -> f32[h,i,e] {
  p = softmax[j](sum[d](Q * K) * rsqrt(len(d)))
  sum[j](p * V)
}";
    let sizes = [("h", extent(4)), ("i", extent(512)), ("j", extent(512)), ("d", 64), ("e", 64)];
    let mut ready = Ready::new(bind(text, &sizes), None);
    criterion.bench_function("attention/4x512x512x64", |bencher| bencher.iter(|| ready.call()));
}

criterion_group!(benches, matmuls, softmax, attention);
criterion_main!(benches);
