//! From a schedule to machine code: the host's cost of one candidate.
#![expect(dead_code, reason = "every bench uses a part of the common module")]

mod common;

use common::{bind, extent, is_real, matmul};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn candidate(criterion: &mut Criterion) {
    let bound = matmul(extent(512));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    criterion.bench_function("compile/matmul_512_random_schedule", |bencher| {
        bencher.iter_batched(
            || bound.space().sample(&mut rng),
            |schedule| {
                let program = bound.lower(&schedule).expect("a sampled schedule is legal");
                bound.backend().compile(&program)
            },
            BatchSize::SmallInput,
        );
    });
    let default = bound.space().default_schedule();
    criterion.bench_function("lower/matmul_512_default", |bencher| {
        bencher.iter(|| bound.lower(&default));
    });
}

/// Texts of so many steps, each of which reads the one before it.
fn chain(steps: usize) -> String {
    let mut text = "kernel chain(x: f32[i,j]) -> f32[i,j] {\n  v0 = x\n".to_string();
    for step in 0..steps {
        let made = match step % 5 {
            0 => format!("softmax[j](v{step})"),
            1 => format!("v{step} * 1.01 + x"),
            2 => format!("exp(v{step} * 0.1)"),
            3 => format!("v{step} - mean[j](v{step})"),
            _ => format!("v{step} * sum[j](v{step})"),
        };
        text.push_str(&format!("  v{} = {made}\n", step + 1));
    }
    text + &format!("  v{steps}\n}}\n")
}

/// A long kernel from its text to machine code: the time of an operation should not grow with their number.
fn long(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile/chain");
    group.sample_size(10);
    for steps in [50, 100, 200, 400].into_iter().filter(|&steps| is_real() || steps == 50) {
        let text = chain(steps);
        group.throughput(Throughput::Elements(steps as u64));
        group.bench_function(steps.to_string(), |bencher| {
            bencher.iter(|| {
                let bound = bind(&text, &[("i", 64), ("j", 256)]);
                let program = bound.lower(&bound.space().default_schedule());
                bound.backend().compile(&program.expect("a default schedule is legal"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, candidate, long);
criterion_main!(benches);
