//! Every catalogue kernel, compiled and loaded, against the reference.
//!
//! First at all small size sets with the default and the naive schedule, then on random (sizes, schedule) pairs whose
//! seeds are printed: 60 a kernel, or as many as `TILEWRIGHT_PAIRS` says. A failure prints what replays it:
//! `TILEWRIGHT_SEED`, the sizes and the schedule's text.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright::ir::base::Sizes;
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate, memory};
use tilewright::ir::schedule::Schedule;
use tilewright::{BoundKernel, Kernel};

const PAIRS: u64 = 60;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

fn catalogue() -> Vec<Kernel> {
    let files = tilewright::kernels::all();
    files.iter().flat_map(|file| Kernel::parse_all(file.source).unwrap()).collect()
}

/// Runs the code and compares every output; the error says what went wrong.
fn judge(
    bound: &BoundKernel,
    schedule: &Schedule,
    family: Family,
    seed: u64,
) -> Result<(), String> {
    let graph = bound.graph();
    let inputs = draw(graph, family, seed);
    let compiled = bound.compile(schedule).map_err(|error| error.to_string())?;
    let mut outputs: Vec<HostTensor> = graph
        .outputs
        .iter()
        .map(|output| {
            let shape: Vec<u64> =
                output.tensor.axes.iter().map(|&axis| graph.axes.extent(axis)).collect();
            let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
            // An element that the kernel forgets stays recognisable.
            tensor.bytes.fill(0xaa);
            tensor
        })
        .collect();
    let lying = memory(graph, &inputs);
    let read: Vec<&[u8]> = lying.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).map_err(|error| error.to_string())?;
    for (expected, (got, output)) in
        evaluate(graph, &inputs).iter().zip(outputs.iter().zip(&graph.outputs))
    {
        let verdict = compare(expected, got);
        if verdict.wrong > 0 {
            return Err(format!("output `{}`: {verdict:?}", output.tensor.name));
        }
    }
    Ok(())
}

#[track_caller]
fn check(bound: &BoundKernel, sizes: &Sizes, schedule: &Schedule, seed: u64) {
    if let Err(fault) = judge(bound, schedule, Family::Normal, seed) {
        let name = &bound.graph().name;
        panic!("{name} at {sizes:?}, seed {seed}: {fault}\n{}", schedule.print());
    }
}

#[test]
fn default_and_naive_schedules_agree_at_all_small_size_sets() {
    let mut checked = 0;
    for kernel in catalogue() {
        let small = kernel.size_sets().iter().filter(|(name, _)| name.starts_with("small"));
        let small: Vec<_> = small.collect();
        assert!(!small.is_empty(), "{} has no small size set", kernel.name());
        for (_, sizes) in small {
            let bound = kernel.bind_sizes(sizes).unwrap();
            let forms = bound.forms();
            let defaults = forms.list().iter().map(|form| form.space.default_schedule());
            for schedule in defaults.chain([forms.naive_schedule()]) {
                check(&bound, sizes, &schedule, 1);
                checked += 1;
            }
        }
    }
    println!("{checked} (kernel, sizes, schedule) triples");
}

/// Extents that meet every edge: 1, around vector and tile widths, and odd ones; few elements in all.
fn random_sizes(kernel: &Kernel, rng: &mut ChaCha8Rng) -> Sizes {
    const EXTENTS: [u64; 14] = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65];
    let axes = &kernel.graph().axes;
    loop {
        let sizes: Sizes = axes
            .ids()
            .filter(|&axis| !axes.is_fixed(axis))
            .map(|axis| (axes.name(axis).to_string(), EXTENTS[rng.random_range(0..EXTENTS.len())]))
            .collect();
        if sizes.values().product::<u64>() <= 1 << 18 {
            return sizes;
        }
    }
}

#[test]
fn random_pairs_agree() {
    let seed = number("TILEWRIGHT_SEED", 1);
    let pairs = number("TILEWRIGHT_PAIRS", PAIRS);
    println!("TILEWRIGHT_SEED={seed} TILEWRIGHT_PAIRS={pairs}");
    for kernel in catalogue() {
        for pair in 0..pairs {
            let mut rng =
                ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(pair));
            let sizes = random_sizes(&kernel, &mut rng);
            // Sizes that the kernel's `where` refuses say nothing about schedules.
            let Ok(bound) = kernel.bind_sizes(&sizes) else { continue };
            let schedule = bound.forms().sample(&mut rng);
            check(&bound, &sizes, &schedule, rng.random());
        }
    }
}
