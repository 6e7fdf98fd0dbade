//! Small leaves written by hand.

use crate::call::{Code, Guarded};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tilewright_cpu::wide::interpret::{Region, interpret};
use tilewright_cpu::wide::program::{
    Address, Dyad, Element, Lane, Leaf, Limit, Node, Op, Operand, Scalar, Span, Vector,
};
use tilewright_cpu::wide::{Isa, Refusal, disassemble, encode, interleave};

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `out[i] = 2 * x[i] + y`, in a loop of whole vectors.
fn scaled(lanes: u64, turns: i64) -> Leaf {
    let (x, out, index) = (Scalar(0), Scalar(1), Scalar(2));
    let at = |base| Address { base, displacement: 0 };
    let step = (4 * lanes) as i64;
    let body = vec![
        Op::Load { element: Element::Word, to: Vector(1), at: at(x), span: Span::Whole },
        Op::MultiplyAdd {
            lane: Lane::F32,
            to: Vector(2),
            x: Vector(1),
            y: Operand::Vector(Vector(0)),
            z: Vector(3),
        },
        Op::Store {
            element: Element::Word,
            from: Vector(2),
            at: at(out),
            span: Span::Whole,
            streaming: false,
        },
        Op::AddConstant { to: x, x, value: step },
        Op::AddConstant { to: out, x: out, value: step },
    ];
    let entry = [
        Op::Frame { to: x, word: 0 },
        Op::Frame { to: out, word: 1 },
        Op::Set { to: index, value: 0 },
        Op::Load { element: Element::Word, to: Vector(3), at: at(x), span: Span::Splat },
        Op::Dyad {
            op: Dyad::Add,
            lane: Lane::F32,
            to: Vector(3),
            x: Vector(3),
            y: Operand::Splat(at(x)),
        },
    ];
    let mut nodes: Vec<Node> = entry.into_iter().map(Node::Op).collect();
    nodes.push(Node::Loop {
        index,
        end: Limit::Constant(turns),
        step: 1,
        entered: false,
        body: body.into_iter().map(Node::Op).collect(),
    });
    Leaf {
        name: "scaled".to_string(),
        lanes,
        constants: vec![Op::Constant {
            to: Vector(0),
            lane: Lane::F32,
            bits: u64::from(2f32.to_bits()),
        }],
        body: nodes,
        vectors: 4,
        predicates: 0,
        scalars: 3,
    }
}

#[test]
fn a_loop_runs_on_every_set() {
    for isa in Isa::ALL {
        if !isa.detected() {
            println!("skipped: this processor lacks {isa}");
            continue;
        }
        for lanes in [4, 8, 16] {
            if 4 * lanes > isa.vector_bytes() {
                continue;
            }
            for turns in [0, 1, 3] {
                let count = (lanes as i64 * turns) as usize;
                let values: Vec<f32> = (0..count.max(1)).map(|i| i as f32 + 0.5).collect();
                let expected: Vec<f32> =
                    values[..count].iter().map(|x| 2.0 * x + 2.0 * values[0]).collect();
                let input = Guarded::new(&bytes_of(&values), true);
                let output = Guarded::new(&vec![0; 4 * count], true);
                let code = encode(&scaled(lanes, turns), isa).unwrap();
                Code::new(&code).call(&[input.address(), output.address()]);
                assert_eq!(output.contents(), bytes_of(&expected), "{isa}, {lanes} lanes");
            }
        }
    }
}

/// Rows of `a` times columns of `b`: `rows` by `columns` vectors of accumulators, over a loop.
fn tile(rows: u32, columns: u32) -> Leaf {
    let (a, b, out, index) = (Scalar(0), Scalar(1), Scalar(2), Scalar(3));
    let sums = rows * columns;
    let at = |base, place: u32, bytes: u32| Address { base, displacement: (place * bytes) as i32 };
    let mut entry: Vec<Op> = (0..3).map(|word| Op::Frame { to: Scalar(word), word }).collect();
    entry.push(Op::Set { to: index, value: 0 });
    entry.extend((0..sums).map(|to| Op::Constant { to: Vector(to), lane: Lane::F32, bits: 0 }));
    let mut body = vec![];
    for column in 0..columns {
        let to = Vector(sums + column);
        body.push(Op::Load {
            element: Element::Word,
            to,
            at: at(b, column, 64),
            span: Span::Whole,
        });
    }
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let z = Vector(row * columns + column);
        let (x, y) = (Vector(sums + column), Operand::Splat(at(a, row, 4)));
        body.push(Op::MultiplyAdd { lane: Lane::F32, to: z, x, y, z });
    }
    body.push(Op::AddConstant { to: a, x: a, value: i64::from(rows) * 4 });
    body.push(Op::AddConstant { to: b, x: b, value: i64::from(columns) * 64 });
    let mut nodes: Vec<Node> = entry.into_iter().map(Node::Op).collect();
    nodes.push(Node::Loop {
        index,
        end: Limit::Constant(192),
        step: 1,
        entered: true,
        body: body.into_iter().map(Node::Op).collect(),
    });
    for sum in 0..sums {
        let (element, from) = (Element::Word, Vector(sum));
        let (at, span) = (at(out, sum, 64), Span::Whole);
        nodes.push(Node::Op(Op::Store { element, from, at, span, streaming: false }));
    }
    Leaf {
        name: "tile".to_string(),
        lanes: 16,
        constants: vec![],
        body: nodes,
        vectors: sums + columns,
        predicates: 0,
        scalars: 4,
    }
}

/// 28 accumulators, two columns: every instruction of the loop is a load, a multiply-add or control.
#[test]
fn a_full_tile_has_no_moves() {
    let listing = disassemble(&encode(&tile(14, 2), Isa::Avx512).unwrap());
    let count = |name: &str| listing.lines().filter(|line| line.contains(name)).count();
    assert_eq!(count("vfmadd231ps"), 28, "{listing}");
    assert_eq!(count("vmovups"), 2 + 28, "{listing}");
    assert_eq!(count("vmovaps"), 0, "{listing}");
    // 28 clearings; 2 loads, 28 products, 2 pointers, 3 of the loop; 4 of the entry; 28 stores; the return.
    assert_eq!(listing.lines().count(), 28 + 35 + 4 + 28 + 2, "{listing}");
}

#[test]
fn vectors_do_not_spill() {
    let refused = encode(&tile(16, 2), Isa::Avx512);
    assert_eq!(refused, Err(Refusal::Pressure("vectors", 34, 32)));
}

/// Some sums of exponents' shape: chains of operations over the elements of a region, each stored to a place of its own.
fn chains(rng: &mut ChaCha8Rng, count: i32) -> Vec<Op> {
    let (x, out) = (Scalar(0), Scalar(1));
    let mut ops = vec![];
    let mut next = 2;
    let mut fresh = || {
        next += 1;
        Vector(next - 1)
    };
    let shared = fresh();
    let at = Address { base: x, displacement: 0 };
    ops.push(Op::Load { element: Element::Word, to: shared, at, span: Span::Splat });
    for chain in 0..count {
        let displacement = chain * 32;
        let (mut value, at) = (fresh(), Address { base: x, displacement });
        ops.push(Op::Load { element: Element::Word, to: value, at, span: Span::Whole });
        for _ in 0..rng.random_range(1..12) {
            let to = fresh();
            let y = if rng.random() { shared } else { value };
            let op = if rng.random() { Dyad::Xor } else { Dyad::Add };
            ops.push(Op::Dyad { op, lane: Lane::I32, to, x: value, y: Operand::Vector(y) });
            value = to;
        }
        // Some chains add to one register, so their order counts.
        if rng.random() {
            let y = Operand::Vector(value);
            ops.push(Op::Dyad { op: Dyad::Sub, lane: Lane::I32, to: Vector(0), x: Vector(0), y });
        }
        let at = Address { base: out, displacement };
        let (element, span) = (Element::Word, Span::Whole);
        ops.push(Op::Store { element, from: value, at, span, streaming: false });
    }
    ops
}

#[test]
fn chains_in_turns_compute_the_same() {
    for seed in 0..200 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rng.random_range(2..9);
        let (x, out) = (Scalar(0), Scalar(1));
        let mut body =
            vec![Node::Op(Op::Frame { to: x, word: 0 }), Node::Op(Op::Frame { to: out, word: 1 })];
        let zero = Op::Constant { to: Vector(1), lane: Lane::I32, bits: 0 };
        body.push(Node::Op(Op::Copy { to: Vector(0), x: Vector(1) }));
        body.extend(chains(&mut rng, count).into_iter().map(Node::Op));
        let at = Address { base: out, displacement: 512 };
        let (element, span) = (Element::Word, Span::Whole);
        let sum = Op::Store { element, from: Vector(0), at, span, streaming: false };
        body.push(Node::Op(sum));
        let leaf = Leaf {
            name: "chains".to_string(),
            lanes: 8,
            constants: vec![zero],
            body,
            vectors: 200,
            predicates: 0,
            scalars: 2,
        };
        let first: Vec<u8> = (0..1024).map(|_| rng.random()).collect();
        let run = |leaf: &Leaf| {
            let mut regions = vec![
                Region { start: 4096, bytes: first.clone() },
                Region { start: 8192, bytes: vec![0; 1024] },
            ];
            interpret(leaf, &[4096, 8192], &mut regions).unwrap();
            regions.pop().unwrap().bytes
        };
        let wanted = run(&leaf);
        for width in [2, 3, 8] {
            let turned = interleave(leaf.clone(), width);
            assert_eq!(run(&turned), wanted, "seed {seed}, {width} in turns:\n{turned}");
        }
    }
}
