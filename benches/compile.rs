//! From a schedule to machine code: the host's cost of one candidate.
#![expect(dead_code, reason = "every bench uses a part of the common module")]

mod common;

use common::{extent, matmul};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
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

criterion_group!(benches, candidate);
criterion_main!(benches);
