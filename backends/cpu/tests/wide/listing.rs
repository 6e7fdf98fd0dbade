//! The instructions of every operation, as text files: a change of encoding shows as a difference there.
//!
//! An operation stands between two prefetches of addresses that nothing else uses; what is between them is listed.
//! `BLESS=1` rewrites the files.

use std::fmt::Write as _;
use std::path::Path;
use tilewright_cpu::wide::program::{
    Address, Condition, Dyad, Element, Lane, Leaf, Logic, Monad, Narrow, Node, Op, Operand,
    Predicate, Scalar, Shift, Span, Vector,
};
use tilewright_cpu::wide::tiles::{Tile, TileOp, TileProduct};
use tilewright_cpu::wide::{Isa, Refusal, disassemble, encode};

const LANES: [Lane; 4] = [Lane::F32, Lane::F64, Lane::I32, Lane::I64];
const ELEMENTS: [Element; 7] = [
    Element::Word,
    Element::Double,
    Element::F16,
    Element::U16,
    Element::I16,
    Element::U8,
    Element::I8,
];

const TO: Vector = Vector(0);
const X: Vector = Vector(1);
const Y: Vector = Vector(2);
const Z: Vector = Vector(3);
const P: Predicate = Predicate(0);
const Q: Predicate = Predicate(1);
const S: Scalar = Scalar(1);

fn at(displacement: i32) -> Address {
    Address { base: Scalar(0), displacement }
}

fn dyads() -> Vec<Op> {
    let ops = [
        Dyad::Add,
        Dyad::Sub,
        Dyad::Mul,
        Dyad::Div,
        Dyad::Min,
        Dyad::Max,
        Dyad::And,
        Dyad::Or,
        Dyad::Xor,
        Dyad::AndNot,
    ];
    let mut out = vec![];
    for lane in LANES {
        for op in ops {
            out.push(Op::Dyad { op, lane, to: TO, x: X, y: Operand::Vector(Y) });
        }
        for y in [Operand::Splat(at(64)), Operand::Memory(at(64))] {
            out.push(Op::Dyad { op: Dyad::Add, lane, to: TO, x: X, y });
        }
    }
    out
}

fn monads() -> Vec<Op> {
    let ops = [
        (Monad::Sqrt, Lane::F32),
        (Monad::Sqrt, Lane::F64),
        (Monad::RoundEven, Lane::F32),
        (Monad::RoundEven, Lane::F64),
        (Monad::Floor, Lane::F32),
        (Monad::Floor, Lane::F64),
        (Monad::Abs, Lane::I32),
        (Monad::FloatOfInteger, Lane::I32),
        (Monad::IntegerOfFloat, Lane::F32),
        (Monad::DoubleOfInteger, Lane::I32),
        (Monad::IntegerOfDouble, Lane::F64),
        (Monad::DoubleOfFloat, Lane::F32),
        (Monad::FloatOfDouble, Lane::F64),
        (Monad::LowHalf, Lane::I64),
        (Monad::Extend, Lane::I32),
        (Monad::RoundToF16, Lane::F32),
    ];
    ops.into_iter().map(|(op, lane)| Op::Monad { op, lane, to: TO, x: X }).collect()
}

fn others() -> Vec<Op> {
    let mut out = vec![
        Op::LaneNumbers { to: TO },
        Op::LookUp { to: TO, table: X, at: Y },
        Op::LookUpHalves { to: TO, table: X, at: Y },
    ];
    for lane in LANES {
        for bits in [0, u64::MAX >> (64 - 8 * lane.bytes()), 5] {
            out.push(Op::Constant { to: TO, lane, bits });
        }
        for op in [Shift::Left, Shift::RightLogical, Shift::RightArithmetic] {
            out.push(Op::Shift { op, lane, to: TO, x: X, count: 3 });
        }
        for count in [1, 2, 4, 8] {
            out.push(Op::LanesDown { lane, to: TO, x: X, count });
        }
        for high in [false, true] {
            for unit in [1, 2].into_iter().filter(|unit| unit * lane.bytes() <= 8) {
                out.push(Op::Zip { lane, unit: unit as u8, high, to: TO, x: X, y: Y });
            }
        }
        for pick in [0b00, 0b01, 0b11, 0x88, 0xdd] {
            out.push(Op::Pieces { lane, to: TO, x: X, y: Y, pick });
        }
        out.push(Op::Scale { lane, to: TO, x: X, y: Y, mask: None });
        out.push(Op::Scale { lane, to: TO, x: X, y: Y, mask: Some(P) });
        out.push(Op::Splat { lane, to: TO, from: S });
        out.push(Op::Select { lane, to: TO, mask: P, yes: X, no: Y });
        for (to, y) in [
            (TO, Operand::Vector(Y)),
            (X, Operand::Vector(Y)),
            (Y, Operand::Vector(Y)),
            (Z, Operand::Vector(Y)),
            (Z, Operand::Splat(at(64))),
            (X, Operand::Memory(at(64))),
        ] {
            out.push(Op::MultiplyAdd { lane, to, x: X, y, z: Z });
        }
    }
    out
}

fn dots() -> Vec<Op> {
    let mut out = vec![Op::Halve { to: TO, x: X, y: Y }];
    for of in Narrow::ALL {
        for (to, y) in [
            (TO, Operand::Vector(Y)),
            (X, Operand::Vector(Y)),
            (Y, Operand::Vector(Y)),
            (Z, Operand::Vector(Y)),
            (Z, Operand::Splat(at(64))),
            (TO, Operand::Memory(at(64))),
        ] {
            out.push(Op::Dot { of, to, x: X, y, z: Z });
        }
    }
    out
}

fn predicates() -> Vec<Op> {
    let mut out = vec![
        Op::Not { to: P, x: Q },
        Op::Always { to: P, value: true },
        Op::Always { to: P, value: false },
        Op::FirstLanes { to: P, count: S },
    ];
    for op in [Logic::And, Logic::Or, Logic::Xor, Logic::AndNot] {
        out.push(Op::Logic { op, to: P, x: P, y: Q });
    }
    for lane in LANES {
        for op in [
            Condition::Equal,
            Condition::NotEqual,
            Condition::Less,
            Condition::LessEqual,
            Condition::NotLess,
            Condition::Unordered,
        ] {
            out.push(Op::Compare { op, lane, to: P, x: X, y: Operand::Vector(Y) });
        }
    }
    out
}

fn memory() -> Vec<Op> {
    let mut out = vec![];
    out.extend([None, Some(P)].map(|bytes| Op::Nibbles { to: TO, at: at(64), bytes }));
    for element in ELEMENTS {
        for span in [Span::Whole, Span::Where(P), Span::Splat, Span::First] {
            out.push(Op::Load { element, to: TO, at: at(64), span });
            if span != Span::Splat {
                out.push(Op::Store { element, from: X, at: at(64), span, streaming: false });
            }
        }
        out.push(Op::Store { element, from: X, at: at(64), span: Span::Whole, streaming: true });
        for mask in [None, Some(P)] {
            if element.bytes() >= 4 {
                out.push(Op::Gather { element, to: TO, at: at(64), index: X, mask });
                out.push(Op::Scatter { element, from: X, at: at(64), index: Y, mask });
            }
        }
    }
    out
}

fn tiles() -> Vec<Op> {
    let [to, x, y] = [0, 1, 7].map(Tile);
    let rows = [
        TileOp::Zero { to },
        TileOp::Load { to: x, at: at(64), stride: S, once: false },
        TileOp::Load { to: x, at: at(64), stride: S, once: true },
        TileOp::Store { from: y, at: at(-64), stride: S },
    ];
    let products = TileProduct::ALL.map(|of| TileOp::Add { of, to, x, y });
    let no_tile = TileOp::Zero { to: Tile(8) };
    let twice = TileOp::Add { of: TileProduct::Bf16, to, x, y: x };
    rows.into_iter().chain(products).chain([no_tile, twice]).map(Op::Tile).collect()
}

fn scalars() -> Vec<Op> {
    let (to, x) = (Scalar(0), S);
    vec![
        Op::Set { to, value: 0 },
        Op::Set { to, value: 5 },
        Op::Set { to, value: -5 },
        Op::Set { to, value: 1 << 40 },
        Op::Move { to, x },
        Op::AddConstant { to, x, value: 5 },
        Op::AddConstant { to: x, x, value: 1 << 40 },
        Op::Add { to, x: to, y: x },
        Op::Subtract { to, x, y: to },
        Op::MultiplyConstant { to, x, value: 24 },
        Op::MultiplyConstant { to, x, value: 8 },
        Op::DivideConstant { to, x, value: 8 },
        Op::DivideConstant { to, x, value: 7 },
        Op::Frame { to, word: 3 },
    ]
}

/// A leaf that assigns everything, does `op` between two marks, and reads everything.
fn around(op: &Op, lanes: u64, wide: bool) -> Leaf {
    let lane_element = if wide { Element::Double } else { Element::Word };
    let mut ops = vec![Op::Frame { to: Scalar(0), word: 0 }, Op::Frame { to: S, word: 1 }];
    for vector in [TO, X, Y, Z] {
        let (element, span) = (lane_element, Span::Whole);
        ops.push(Op::Load { element, to: vector, at: at(0), span });
    }
    ops.extend([P, Q].map(|to| Op::Always { to, value: true }));
    let mark = Op::Prefetch { at: at(0x7770), level: 3 };
    ops.extend([mark, *op, Op::Prefetch { at: Address { base: S, ..at(0x7770) }, level: 3 }]);
    for from in [TO, X, Y, Z] {
        for mask in [P, Q] {
            let (element, span) = (lane_element, Span::Where(mask));
            ops.push(Op::Store { element, from, at: at(0), span, streaming: false });
        }
    }
    ops.push(Op::Prefetch { at: Address { base: S, displacement: 0 }, level: 1 });
    Leaf {
        name: "around".to_string(),
        lanes,
        constants: vec![],
        body: ops.into_iter().map(Node::Op).collect(),
        vectors: 4,
        predicates: 2,
        scalars: 2,
    }
}

/// The text of an operation, and its instructions or why it has none.
fn entry(op: &Op, isa: Isa, lanes: u64, wide: bool) -> String {
    let leaf = around(op, lanes, wide);
    let text = leaf.to_string();
    let mut marked = text.lines().skip_while(|line| !line.contains("prefetch [s0+30576]")).skip(1);
    let mut out = format!("{}\n", marked.next().expect("the operation follows its mark").trim());
    match encode(&leaf, isa) {
        Ok(code) => {
            let listing = disassemble(&code);
            let mark = |line: &&str| line.contains("prefetcht2");
            for line in listing.lines().skip_while(|line| !mark(line)).skip(1) {
                if mark(&line) {
                    break;
                }
                let (_, instruction) = line.split_once(": ").expect("a line has an offset");
                let _ = writeln!(out, "    {instruction}");
            }
        }
        Err(Refusal::Missing(_, what)) => {
            let _ = writeln!(out, "    no {what}");
        }
        Err(other) => {
            let _ = writeln!(out, "    {other}");
        }
    }
    out
}

fn listing(isa: Isa) -> String {
    let mut out = format!("# What each operation becomes with {isa}.\n");
    let full = isa.vector_bytes();
    // The other sets are AVX-512 and these.
    let parts = match isa {
        Isa::Avx512Vnni | Isa::Avx512Bf16 => vec![dots()],
        Isa::Avx512Amx => vec![tiles()],
        Isa::Avx2 | Isa::Avx512 => {
            vec![dyads(), monads(), others(), dots(), predicates(), memory(), scalars()]
        }
    };
    for (lanes, wide) in [(full / 4, false), (full / 8, true)] {
        let _ = writeln!(out, "\n{lanes} lanes");
        for op in parts.concat() {
            let text = entry(&op, isa, lanes, wide);
            // Lanes of the other size have their own part.
            if !text.contains("no vectors of") {
                out.push_str(&text);
            }
        }
    }
    out
}

#[test]
fn every_operation_has_its_instructions() {
    for isa in Isa::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/files/wide");
        let path = path.join(format!("{isa}.txt"));
        let found = listing(isa);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let differing =
            expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
        assert!(
            expected == found,
            "{isa}: BLESS=1 rewrites {}; first: {differing:?}",
            path.display()
        );
    }
}
