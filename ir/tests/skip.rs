//! Loops leave out the blocks that a mask on indices empties, and what they compute stays the same.
//!
//! Masks, extents and schedules are drawn; a failure prints the seed, from which alone they follow.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod machine;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_ir::base::Sizes;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{Expected, Family, InterpreterShare, draw, evaluate};
use tilewright_ir::schedule::{Forms, Space};
use tilewright_ir::target::Target;
use tilewright_ir::tile::{Stmt, TileProgram};
use tilewright_ir::{check, lower, tile};

fn target() -> Target {
    machine::target(&[("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)])
}

fn bound(text: &str, sizes: &[(&str, u64)]) -> Graph {
    let sizes: Sizes = sizes.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    let checked = check::check(text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    checked.kernels[0].bind(&sizes).unwrap()
}

/// Kernels with a place for a mask.
const KERNELS: [&str; 7] = [
    "kernel k(x: f32[i,j], y: f32[j]) -> f32[i] { sum[j](where(MASK, x, 0) * y) }",
    "kernel k(x: f32[i,j], y: f32[j]) -> f32[i] { max[j](mask(MASK, x + y)) }",
    "kernel k(x: f32[i,j], y: f32[j]) -> (low: f32[i], p: f32[i]) {
      (min[j](where(MASK, x * y, inf)), product[j](where(MASK, 1 + 0.01 * x, 1)))
    }",
    "kernel k(x: f32[i,j], y: f32[j]) -> f32[i] { sum[j](softmax[j](mask(MASK, x)) * y) }",
    "kernel k(x: f32[i,j], y: f32[j]) -> f32[i,j] { softmax[j](mask(MASK, x * y)) }",
    "kernel k(x: f32[i,j], y: f32[j]) -> f32[i] { logsumexp[j](mask(MASK, x + y)) }",
    "kernel k(x: f32[i,j], y: f32[j]) -> bool[i] { any[j](MASK && x < y) }",
];

/// A condition on `i` and `j`: comparisons of sums, together, either, and not.
fn mask(random: &mut ChaCha8Rng, depth: u32) -> String {
    if depth > 0 && random.random_bool(0.5) {
        let (x, y) = (mask(random, depth - 1), mask(random, depth - 1));
        let own = ["&&", "&&", "||"].choose(random).unwrap();
        let not = if random.random_bool(0.2) { "!" } else { "" };
        return format!("{not}({x} {own} {y})");
    }
    let op = ["<", "<=", ">", ">=", "==", "!="].choose(random).unwrap();
    let (a, c) = (random.random_range(-2..=2), random.random_range(-9..=9));
    let b = if random.random_bool(0.8) { 1 } else { random.random_range(-2..=2) };
    let far = if random.random_bool(0.3) { " + len(j) - len(i)" } else { "" };
    match random.random_bool(0.5) {
        true => format!("{b} * j {op} {a} * i + {c}{far}"),
        false => format!("{a} * i - {b} * j {op} {c}{far}"),
    }
}

/// The loops of a program that leave blocks out.
fn bounded(program: &TileProgram) -> usize {
    fn count(body: &[Stmt]) -> usize {
        let loops = body.iter().filter_map(|stmt| match stmt {
            Stmt::For(inner) => Some(usize::from(inner.is_bounded()) + count(&inner.body)),
            _ => None,
        });
        loops.sum()
    }
    program.phases.iter().map(|phase| count(&phase.body)).sum()
}

fn agree(what: &str, graph: &Graph, wanted: &[Expected], got: &[Vec<f64>]) {
    let share = InterpreterShare::of(graph);
    for (expected, got) in wanted.iter().zip(got) {
        assert_eq!(expected.values.len(), got.len(), "{what}");
        for (index, &got) in got.iter().enumerate() {
            let value = expected.values[index];
            let ratio = share.ratio(expected, index, got);
            assert!(ratio <= 1.0, "{what}: [{index}] is {got}, not {value}: {ratio}");
        }
    }
}

/// Every form and some schedules of a kernel against the reference; how many loops leave blocks out.
fn judge(what: &str, graph: &Graph, random: &mut ChaCha8Rng) -> usize {
    let forms = Forms::new(graph, &target());
    let mut loops = 0;
    for space in forms.list().iter().map(|form| &form.space) {
        for schedule in [space.default_schedule(), space.sample(random), space.sample(random)] {
            let program = lower::lower_in(space, &schedule).unwrap();
            let text = tile::print(&program);
            let what = format!("{what}\n{text}");
            tile::verify(&program, &target()).unwrap_or_else(|faults| panic!("{what}: {faults:?}"));
            assert_eq!(tile::parse(&text).as_ref(), Ok(&program), "{what}");
            loops += bounded(&program);
            for family in [Family::Normal, Family::Specials] {
                let inputs = draw(graph, family, random.random());
                let got = tile::interpret(&program, &inputs);
                agree(&format!("{what}{family:?}"), graph, &evaluate(graph, &inputs), &got);
            }
        }
    }
    loops
}

#[test]
fn masks_leave_out_blocks_and_change_nothing() {
    let mut loops = 0;
    for seed in 0..150 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mask = mask(&mut random, 2);
        let text = KERNELS.choose(&mut random).unwrap().replace("MASK", &mask);
        let sizes = [random.random_range(1..12), random.random_range(1..40)];
        let graph = bound(&text, &[("i", sizes[0]), ("j", sizes[1])]);
        let what = format!("seed {seed}: {text} at i, j = {sizes:?}");
        loops += judge(&what, &graph, &mut random);
    }
    assert!(loops > 300, "{loops} loops leave blocks out");
}

/// The bounds that the loops over `j` have, in the default schedules of all forms.
fn bounds(text: &str, sizes: &[(&str, u64)]) -> Vec<String> {
    let forms = Forms::new(&bound(text, sizes), &target());
    let of_form = |space: &Space| {
        let program = lower::lower_in(space, &space.default_schedule()).unwrap();
        let text = tile::print(&program);
        let loops = text.lines().filter_map(|line| line.trim().strip_prefix("for j "));
        let loops = loops.filter(|line| line.contains(" carry "));
        let head = |line: &str| line.split(" by ").next().unwrap_or_default().to_string();
        loops.map(head).collect::<Vec<_>>()
    };
    forms.list().iter().flat_map(|form| of_form(&form.space)).collect()
}

const ATTENTION: &str = "kernel k(q: f32[i,d], k: f32[j,d], v: f32[j,e]) -> f32[i,e] {
  s = sum[d](q * k)
  sum[j](softmax[j](mask(MASK, s)) * v)
}";

#[test]
fn every_loop_of_masked_attention_is_bounded() {
    let sizes = [("i", 60), ("j", 64), ("d", 8), ("e", 8)];
    for (mask, wanted) in [
        ("j <= i", "in ..i + 1"),
        ("!(j > i + len(j) - len(i))", "in ..i + 5"),
        ("j <= i && i - j < 9", "in i - 8..i + 1"),
        ("j < 20 || j <= 11", "in ..20"),
        ("i == j", "in i..i + 1"),
    ] {
        let found = bounds(&ATTENTION.replace("MASK", mask), &sizes);
        assert!(found.len() >= 4, "{mask}: {found:?}");
        assert!(found.iter().all(|bounds| bounds == wanted), "{mask}: {found:?}");
    }
}

#[test]
fn what_is_not_shown_is_visited() {
    let sizes = [("i", 60), ("j", 64)];
    for text in [
        // The text asks for every product.
        "@exact\nkernel k(x: f32[i,j]) -> f32[i] { sum[j](where(j <= i, x, 0)) }",
        // What is masked counts, or depends on data, or one of two states does.
        "kernel k(x: f32[i,j]) -> f32[i] { sum[j](where(j <= i, x, 1)) }",
        "kernel k(x: f32[i,j]) -> f32[i] { max[j](where(j <= i, x, 0)) }",
        "kernel k(x: f32[i,j]) -> f32[i] { sum[j](exp(where(j <= i, x, 0))) }",
        "kernel k(x: f32[i,j], c: i32[i]) -> f32[i] { sum[j](where(j <= c, x, 0)) }",
        "kernel k(x: f32[i,j]) -> f32[i] { sum[j](where(j <= i || x > 0, x, 0)) }",
        // Infinities may meet.
        "kernel k(x: f32[i,j], y: f32[i]) -> f32[i] { sum[j](exp(mask(j <= i, x) - y)) }",
    ] {
        let found = bounds(text, &sizes);
        assert!(
            !found.is_empty() && found.iter().all(|of| !of.contains("in ")),
            "{text}: {found:?}"
        );
    }
}
