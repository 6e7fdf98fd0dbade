//! Sums of products of narrow elements, against sums of their own.

use crate::call::{Code, Guarded};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tilewright_cpu::wide::interpret::{Region, interpret};
use tilewright_cpu::wide::program::{
    Address, Element, Leaf, Narrow, Node, Op, Operand, Scalar, Span, Vector,
};
use tilewright_cpu::wide::{Isa, encode};

/// `out = z + x y` in groups: x, y and z lie behind each other; y is one group for all lanes if `splat`.
fn leaf(of: Narrow, lanes: u64, splat: bool) -> Leaf {
    let (base, out) = (Scalar(0), Scalar(1));
    let at = |base, place: u64| Address { base, displacement: (place * 4 * lanes) as i32 };
    let load = |to, place| Op::Load {
        element: Element::Word,
        to: Vector(to),
        at: at(base, place),
        span: Span::Whole,
    };
    let y = if splat { Operand::Splat(at(base, 1)) } else { Operand::Vector(Vector(1)) };
    let to = Vector(3);
    let ops = [
        Op::Frame { to: base, word: 0 },
        Op::Frame { to: out, word: 1 },
        load(0, 0),
        load(1, 1),
        load(2, 2),
        Op::Dot { of, to, x: Vector(0), y, z: Vector(2) },
        // All three are read again: the sum must have left them alone.
        Op::Dot { of, to: Vector(4), x: Vector(0), y: Operand::Vector(Vector(1)), z: to },
        Op::Dot { of, to: Vector(4), x: Vector(0), y: Operand::Vector(Vector(1)), z: Vector(2) },
        store(out, to, 0),
        store(out, Vector(4), 64),
    ];
    Leaf {
        name: "dots".to_string(),
        lanes,
        constants: vec![],
        body: ops.into_iter().map(Node::Op).collect(),
        vectors: 5,
        predicates: 0,
        scalars: 2,
    }
}

fn store(base: Scalar, from: Vector, displacement: i32) -> Op {
    let at = Address { base, displacement };
    Op::Store { element: Element::Word, from, at, span: Span::Whole, streaming: false }
}

/// A group of elements, small enough that sums of bf16 are exact, and what each stands for.
fn group(rng: &mut ChaCha8Rng, of: Narrow, unsigned: bool) -> (u32, Vec<i64>) {
    let values: Vec<i64> = (0..of.count())
        .map(|_| match (of, unsigned) {
            (Narrow::Bytes, true) => rng.random_range(0..256),
            (Narrow::Bytes, false) => rng.random_range(-128..128),
            (Narrow::Words, _) => rng.random_range(-32768..32768),
            (Narrow::Bf16, _) => rng.random_range(-16..17),
        })
        .collect();
    let bits = |value: i64| match of {
        Narrow::Bytes => u32::from(value as u8),
        Narrow::Words => u32::from(value as u16),
        Narrow::Bf16 => (value as f32).to_bits() >> 16,
    };
    let width = 32 / of.count() as usize;
    let word = values.iter().enumerate().map(|(place, &value)| bits(value) << (place * width));
    (word.fold(0, |all, bits| all | bits), values)
}

/// One lane of the sum, by the definition.
fn expected(of: Narrow, x: &[i64], y: &[i64], z: i32) -> u32 {
    let sum: i64 = x.iter().zip(y).map(|(x, y)| x * y).sum::<i64>() + i64::from(z);
    if of == Narrow::Bf16 { (sum as f32).to_bits() } else { sum as u32 }
}

#[test]
fn sums_of_products_in_groups() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.detected()) {
        let kinds = Narrow::ALL.into_iter().filter(|&of| isa.has_dot(of));
        for (of, lanes) in kinds.flat_map(|of| [4_u64, 8, 16].map(|lanes| (of, lanes))) {
            for seed in 0..20 {
                check(isa, (of, lanes), seed);
            }
        }
    }
}

fn check(isa: Isa, (of, lanes): (Narrow, u64), seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let splat = seed.is_multiple_of(2);
    let mut groups = |unsigned| -> Vec<(u32, Vec<i64>)> {
        (0..lanes).map(|_| group(&mut rng, of, unsigned)).collect()
    };
    let (xs, ys) = (groups(true), groups(false));
    let zs: Vec<i32> = (0..lanes).map(|_| rng.random_range(-1000..1000)).collect();
    let z_bits = |z: i32| if of == Narrow::Bf16 { (z as f32).to_bits() } else { z as u32 };
    let words = xs.iter().map(|x| x.0).chain(ys.iter().map(|y| y.0));
    let words = words.chain(zs.iter().map(|&z| z_bits(z)));
    let input: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    let sums = |splat: bool| -> Vec<u8> {
        let lane = |i: usize| expected(of, &xs[i].1, &ys[if splat { 0 } else { i }].1, zs[i]);
        (0..lanes as usize).flat_map(|i| lane(i).to_le_bytes()).collect()
    };
    let leaf = leaf(of, lanes, splat);
    let (from, to) = (Guarded::new(&input, true), Guarded::new(&[0; 128], true));
    Code::new(&encode(&leaf, isa).expect("five vectors fit")).call(&[from.address(), to.address()]);
    let bytes = 4 * lanes as usize;
    let case = format!("{isa}, {of:?}, {lanes} lanes, seed {seed}");
    assert_eq!(to.contents()[..bytes], sums(splat), "{case}");
    assert_eq!(to.contents()[64..64 + bytes], sums(false), "{case}");
    let mut regions =
        vec![Region { start: 4096, bytes: input }, Region { start: 8192, bytes: vec![0; 128] }];
    interpret(&leaf, &[4096, 8192], &mut regions).expect("both regions hold all");
    assert_eq!(regions[1].bytes, to.contents(), "{case}: interpreted");
}
