//! The bench of `docs/tutorial.md`: the default schedule of a catalogue kernel beside the stored winner.
//!
//! Without a stored winner both are the same schedule. Numbers that count come from `tilewright tune`, which judges them.

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::Array2;
use tilewright::Kernel;

fn matmul(criterion: &mut Criterion) {
    let kernel = Kernel::parse(include_str!("../kernels/matmul.tw")).expect("the kernel is legal");
    let kernel = kernel.bind([("m", 32), ("k", 1024), ("n", 1024)]).expect("the sizes are legal");
    let (a, b) = (Array2::<f32>::ones((32, 1024)), Array2::<f32>::ones((1024, 1024)));
    let mut c = Array2::<f32>::zeros((32, 1024));
    let (winner, _) = kernel.schedule().expect("the store can be read");
    for (name, schedule) in [("default", kernel.space().default_schedule()), ("winner", winner)] {
        let compiled = kernel.compile(&schedule).expect("a schedule of the space compiles");
        criterion.bench_function(&format!("tutorial/{name}"), |bencher| {
            bencher.iter(|| compiled.call(&[(&a).into(), (&b).into()], &mut [(&mut c).into()]));
        });
    }
}

criterion_group!(benches, matmul);
criterion_main!(benches);
