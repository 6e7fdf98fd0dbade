//! Random rolls: for any running value m and any factor c, `c(m) * sum(g)` is the roll of `c(m') * g` that multiplies what
//! it holds by `c(m') / c(m)`.
//!
//! A seed decides a kernel of several such sums, each with any of the states so far for its m, at random sizes. The
//! naive and the rolled graph, their plans in any blocks, tile programs and code agree but for the order of sums.
//! `TILEWRIGHT_ROLLS` says how many seeds are tried, `TILEWRIGHT_SEED` which is the first.

use super::graphs::{Maker, Pair, pair, sizes};
use super::levels::{lowered, planned, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tilewright_cpu::CpuBackend;
use tilewright_ir::backend::Backend as _;
use tilewright_ir::base::{BinaryOp, CompareOp, DType, ReduceOp, Sizes, UnaryOp};
use tilewright_ir::graph::NodeId;
use tilewright_ir::plan;
use tilewright_ir::reference::{self, Family};
use tilewright_ir::schedule::Space;
use tilewright_ir::tile;

const ROLLS: u64 = 40;
const EXTENTS: [u64; 10] = [0, 1, 2, 3, 5, 7, 8, 12, 17, 33];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What stands for infinite values, of which a state over nothing is one.
fn finite(m: &mut Maker, x: NodeId) -> NodeId {
    let (zero, large) = (m.number(0.0), m.number(1e30));
    let size = m.b.unary(UnaryOp::Abs, x);
    let far = m.b.compare(CompareOp::Gt, size, large);
    m.b.select(far, zero, x)
}

/// A factor that is finite and not 0, whatever it is made from.
fn factor(m: &mut Maker, kind: u32, x: NodeId) -> NodeId {
    let x = finite(m, x);
    let quarter = m.number(0.25);
    let x = m.mul(x, quarter);
    let bounded = m.b.unary(UnaryOp::Tanh, x);
    let (one, two) = (m.number(1.0), m.number(2.0));
    match kind {
        0 => m.exp(bounded),
        1 => m.add(two, bounded),
        _ => {
            let square = m.mul(bounded, bounded);
            let below = m.add(one, square);
            m.div(one, below)
        }
    }
}

/// The terms: values of one to three axes, j among them.
fn terms(m: &mut Maker, rng: &mut ChaCha8Rng) -> Vec<NodeId> {
    let (x, v, y) = (m.input("X", "ij"), m.input("V", "je"), m.input("Y", "j"));
    let (q, k) = (m.input("Q", "id"), m.input("K", "jd"));
    let product = m.mul(q, k);
    let s = m.reduce(ReduceOp::Sum, "d", product);
    let xv = m.mul(x, v);
    let sv = m.mul(s, v);
    let xy = m.mul(x, y);
    let bent = m.b.unary(UnaryOp::Tanh, s);
    let all = [x, y, s, xv, sv, xy, bent];
    (0..4).map(|_| all[rng.random_range(0..all.len())]).collect()
}

fn kernel(seed: u64, sizes: &Sizes) -> Pair {
    pair(&format!("seed {seed}"), sizes, |rolled| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut m = Maker::new("random", "ijed", DType::F64);
        let list = terms(&mut m, &mut rng);
        let op = [ReduceOp::Max, ReduceOp::Min, ReduceOp::Sum][rng.random_range(0..3)];
        let mut states = vec![m.reduce(op, "j", list[0])];
        for &term in &list[1..] {
            let state = states[rng.random_range(0..states.len())];
            let kind = rng.random_range(0..3);
            let sum = if rolled {
                let (before, after) = (m.b.before(state), m.b.after(state));
                let (old, new) = (factor(&mut m, kind, before), factor(&mut m, kind, after));
                let (term, ratio) = (m.mul(new, term), m.div(new, old));
                let stream = m.set("j");
                let axes = (m.b.node(term).axes | m.b.node(ratio).axes) - stream;
                let held = m.b.held(DType::F64, axes);
                let update = m.mul(held, ratio);
                m.b.roll(ReduceOp::Sum, stream, term, update)
            } else {
                let outside = factor(&mut m, kind, state);
                let sum = m.reduce(ReduceOp::Sum, "j", term);
                m.mul(outside, sum)
            };
            states.push(sum);
        }
        // Any of the states may be read behind the stream, alone or with others.
        let last = *states.last().unwrap();
        let other = states[rng.random_range(0..states.len())];
        let other = finite(&mut m, other);
        let mixed = m.b.binary(BinaryOp::Max, last, other);
        let axes = |m: &Maker, x: NodeId| -> String {
            m.b.node(x).axes.iter().map(|axis| m.b.axes().name(axis).to_string()).collect()
        };
        let (of_mixed, of_last) = (axes(&m, mixed), axes(&m, last));
        m.finish(&[("A", &of_mixed, mixed), ("B", &of_last, last)], sizes)
    })
}

fn near(what: &str, got: &[Vec<f64>], wanted: &[Vec<f64>]) {
    for (got, wanted) in got.iter().flatten().zip(wanted.iter().flatten()) {
        let close = (got - wanted).abs() <= 1e-9 * (1.0 + wanted.abs());
        assert!(close || (got.is_nan() && wanted.is_nan()), "{what}: {got}, not {wanted}");
    }
}

#[test]
fn random_rolls_agree_at_every_level() {
    let backend = CpuBackend::host().unwrap();
    let first = number("TILEWRIGHT_SEED", 1);
    let count = number("TILEWRIGHT_ROLLS", ROLLS);
    println!("TILEWRIGHT_SEED={first} TILEWRIGHT_ROLLS={count}");
    for seed in first..first + count {
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let mut extent = |name: &'static str| (name, EXTENTS[rng.random_range(0..EXTENTS.len())]);
        let extents = [extent("i"), extent("j"), extent("e"), extent("d")];
        let pair = kernel(seed, &sizes(&extents));
        let inputs = reference::draw(&pair.naive, Family::Normal, seed);
        let wanted = plan::interpret(&plan::build(&pair.naive), &inputs);
        let plan = planned(&pair);
        let text = plan::print(&plan);
        assert_eq!(plan::parse(&text).as_ref(), Ok(&plan), "{text}");
        let block = rng.random_range(1..9);
        near(&text, &plan::interpret_in_blocks(&plan, &inputs, block), &wanted);
        let space = Space::new(&plan, backend.target());
        let sampled = (0..3).map(|_| space.sample(&mut rng)).collect::<Vec<_>>();
        for schedule in [space.default_schedule(), space.naive_schedule()].iter().chain(&sampled) {
            let program = lowered(&pair, &space, schedule, &backend);
            let what = format!("{} {}\n{}", pair.name, schedule.print(), tile::print(&program));
            near(&format!("interpreted {what}"), &tile::interpret(&program, &inputs), &wanted);
            let got = run(&pair, &program, &backend, &inputs);
            let got: Vec<Vec<f64>> = got.iter().map(|tensor| tensor.to_f64()).collect();
            near(&format!("compiled {what}"), &got, &wanted);
        }
    }
}
