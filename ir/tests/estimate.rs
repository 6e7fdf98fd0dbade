//! What the analytic model says of programs whose order is known.
//!
//! Invariant: no test asks for a number of nanoseconds; it asks which of two programs takes longer, and by how much at least.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use std::path::Path;
use tilewright_ir::estimate::{Machine, estimate};
use tilewright_ir::target::Target;
use tilewright_ir::tile::{parse, verify};

const LEVELS: [(&str, u64); 4] =
    [("L1", 32 << 10), ("L2", 1 << 20), ("L3", 8 << 20), ("memory", 0)];

fn time_ns(text: &str) -> f64 {
    let target = machine::target(&LEVELS);
    let program = parse(text).unwrap();
    verify(&program, &target).unwrap();
    estimate(&program, &Machine::assumed(&target)).time_ns
}

/// Checks that the first takes at least so many times as long as the second.
#[track_caller]
fn check(times: f64, slow: &str, fast: &str) {
    let (slow_ns, fast_ns) = (time_ns(slow), time_ns(fast));
    assert!(slow_ns >= times * fast_ns, "{slow_ns} is not {times} times {fast_ns}");
}

/// A product of matrices with this grid, loop over k and register tile.
fn product(sides: (u64, u64, u64), grid: &str, step: u64, micro: &str) -> String {
    let (m, n, k) = sides;
    format!(
        "tile f {{
           extents m={m}, k={k}, n={n}
           input A: f32[m, k]
           input B: f32[k, n]
           output C: f32[m, n]
           phase C {grid} {{
             for k by {step} carry c: f32[m, n] = 0 @out(C) {{
               yield c = mma[k](load A, load B, c) {micro} chain(16)
             }}
           }} }} }}"
    )
}

/// A map of rows.
fn map(sides: (u64, u64), grid: &str, expr: &str, micro: &str) -> String {
    let (i, j) = sides;
    format!(
        "tile f {{
           extents i={i}, j={j}
           input x: f32[i, j]
           output y: f32[i, j]
           phase y {grid} {{ store y = {expr} {micro} }} }} }}"
    )
}

#[test]
fn register_tiles_reuse_what_is_loaded() {
    let of = |micro: &str| product((96, 96, 96), "{ grid m by 96, n by 96", 96, micro);
    check(1.5, &of("micro(m:1, n:4) vector(n)"), &of("micro(m:4, n:8) vector(n)"));
    check(2.0, &of("micro(m:4, n:4)"), &of("micro(m:4, n:8) vector(n)"));
    // More accumulators than registers go through memory.
    check(1.2, &of("micro(m:12, n:32) vector(n)"), &of("micro(m:4, n:8) vector(n)"));
}

#[test]
fn what_does_not_divide_is_paid_for() {
    let of = |n: u64| map((256, n), "{ grid i by 256", "exp(load x)", "micro(j:4) vector(j)");
    let ratio = time_ns(&of(17)) / time_ns(&of(20));
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
}

#[test]
fn vectors_lie_along_rows() {
    let of = |micro: &str| map((64, 64), "{ grid i by 64", "2 * load x", micro);
    check(2.0, &of("micro(i:4) vector(i)"), &of("micro(j:4) vector(j)"));
}

#[test]
fn operations_differ() {
    let of = |expr: &str| map((64, 64), "{ grid i by 64", expr, "micro(j:16) vector(j)");
    check(2.0, &of("sin(load x)"), &of("exp(load x)"));
    check(2.0, &of("exp(load x)"), &of("load x + 1"));
    // What is written twice is done once.
    check(0.95, &of("exp(load x)"), &of("exp(load x) + exp(load x)"));
}

#[test]
fn threads_help_what_is_large() {
    let of = |i: u64, threads: &str| {
        map((i, 64), &format!("{threads} {{ grid i by 8"), "exp(load x)", "micro(j:16) vector(j)")
    };
    check(1.7, &of(4096, ""), &of(4096, "threads(2)"));
    check(1.0, &of(16, "threads(2)"), &of(16, ""));
    // The last of three blocks has one thread to itself.
    let uneven = time_ns(&of(24 * 512, "threads(2)")) / time_ns(&of(16 * 512, "threads(2)"));
    assert!((1.45..1.55).contains(&uneven), "{uneven}");
}

#[test]
fn blocks_that_fit_a_cache_are_fetched_once() {
    // The block of B is read again for each row tile of A: one of 2 MiB does not stay in L2, one of 512 KiB does.
    let of = |step: u64| {
        let grid = "{ grid m by 256, n by 4096";
        product((256, 4096, 256), grid, step, "micro(m:1, n:32) vector(n)")
    };
    check(1.1, &of(128), &of(32));
}

#[test]
fn bounded_loops_count_the_blocks_they_visit() {
    let of = |bounds: &str| {
        format!(
            "tile f {{
               extents i=4096, j=4096
               input x: f32[j]
               output y: f32[i]
               phase y {{ grid i by 64 {{
                 for j {bounds} by 64 carry s: f32[i] = 0 @out(y) {{
                   yield s = s + reduce sum[j](select(index(j) <= index(i), load x, 0)) micro(j:16) vector(j)
                 }} }} }} }}"
        )
    };
    let ratio = time_ns(&of("")) / time_ns(&of("in 0..i + 1"));
    assert!((1.7..2.3).contains(&ratio), "{ratio}");
}

/// The programs of the tests, those over nothing and those with every construct too.
#[test]
fn every_program_has_a_time_and_larger_caches_never_cost() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/tile");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "tile") {
            continue;
        }
        let program = parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let caches = [1_u64 << 10, 8 << 10, 32 << 10, 1 << 20, 1 << 30];
        let times = caches.map(|bytes| {
            let target: Target = machine::target(&[("L1", bytes), ("memory", 0)]);
            estimate(&program, &Machine::assumed(&target)).time_ns
        });
        assert!(times.iter().all(|time| time.is_finite() && *time > 0.0), "{path:?}: {times:?}");
        assert!(times.is_sorted_by(|one, other| one >= other), "{path:?}: {times:?}");
        count += 1;
    }
    assert!(count > 10, "{count} programs");
}
