//! Draws single operations.
//!
//! Invariant: what arithmetic makes of floats goes to loose kinds alone; indices stay within 64 bytes.

use super::{BITS_OUT, Drawing, F16_OUT, F32_OUT, F64_OUT, Kind};
use rand::Rng as _;
use tilewright_cpu::wide::program::{
    Address, Condition, Dyad, Element, Lane, Logic, Monad, Narrow, Op, Operand, Shift, Span, Vector,
};

const NARROW: [Element; 4] = [Element::U16, Element::I16, Element::U8, Element::I8];

impl Drawing<'_> {
    pub(super) fn scalar_op(&mut self) {
        let (to, x, y) = (self.number(), self.number(), self.number());
        let small = self.rng.random_range(-5..100);
        let large = self.rng.random_range(-(1 << 40)..1 << 40);
        let value = self.pick(&[small, 1, 8, large]);
        match self.rng.random_range(0..7) {
            0 => self.push(Op::Move { to, x }),
            1 => self.push(Op::AddConstant { to, x, value }),
            2 => self.push(Op::Add { to, x, y }),
            3 => self.push(Op::Subtract { to, x, y }),
            4 => self.push(Op::MultiplyConstant { to, x, value }),
            5 => {
                let dividend = self.rng.random_range(0..=1 << 40);
                let divisors =
                    [1, 2, 3, 7, 1 << 20, (1 << 20) - 1, self.rng.random_range(1..1 << 20)];
                let value = self.pick(&divisors);
                self.push(Op::Set { to: x, value: dividend });
                self.push(Op::DivideConstant { to, x, value });
            }
            _ => self.push(Op::Set { to, value }),
        }
    }

    pub(super) fn predicate_op(&mut self) {
        let (to, x, y) = (self.predicate(), self.predicate(), self.predicate());
        match self.rng.random_range(0..8) {
            0 => {
                let op = self.pick(&[Logic::And, Logic::Or, Logic::Xor, Logic::AndNot]);
                self.push(Op::Logic { op, to, x, y });
            }
            1 => self.push(Op::Not { to, x }),
            2 => {
                let value = self.rng.random();
                self.push(Op::Always { to, value });
            }
            3 => {
                let count = self.scalar();
                let value = self.rng.random_range(0..self.lanes as i64);
                self.push(Op::Set { to: count, value });
                self.push(Op::FirstLanes { to, count });
            }
            _ => {
                let kind = self.kind().loose();
                let float = kind.is_float();
                let op = self.pick(&[
                    Condition::Equal,
                    Condition::NotEqual,
                    Condition::Less,
                    Condition::LessEqual,
                    if float { Condition::Unordered } else { Condition::Less },
                    if float { Condition::NotLess } else { Condition::LessEqual },
                ]);
                let (x, y) = (self.from(kind), self.operand(kind));
                self.push(Op::Compare { op, lane: kind.lane(), to, x, y });
            }
        }
    }

    pub(super) fn vector_op(&mut self) {
        let exact = self.kind();
        let kind = exact.loose();
        if exact.is_float() && kind == exact && self.rng.random_range(0..4) > 0 {
            return self.float_op(kind);
        }
        match self.rng.random_range(0..9) {
            0 => {
                let (to, x) = (self.to(exact), self.from(exact));
                self.push(Op::Copy { to, x });
            }
            // Bits of loose kinds are not known, so they are no places in a table.
            1 if self.isa.is_avx512() && exact == Kind::Single && self.lanes == 16 => {
                let (to, table, at) = (self.to(exact), self.from(exact), self.from(exact));
                let halves = self.rng.random_range(0..3);
                self.push(match halves {
                    0 if self.isa.has_dot(Narrow::Bf16) => Op::Halve { to, x: table, y: at },
                    1 => Op::LookUpHalves { to, table, at },
                    _ => Op::LookUp { to, table, at },
                });
            }
            1 => self.select(exact),
            2 if self.rng.random() => self.lanes_down(exact),
            2 => self.shuffle(exact),
            3 | 4 => self.conversion(),
            5 => self.shift(),
            _ => self.integer_op(exact),
        }
    }

    fn float_op(&mut self, kind: Kind) {
        let lane = kind.lane();
        let (to, x, z) = (self.to(kind), self.from(kind), self.from(kind));
        match self.rng.random_range(0..8) {
            0..=2 => {
                let list = [Dyad::Add, Dyad::Sub, Dyad::Mul, Dyad::Div, Dyad::Min, Dyad::Max];
                let (op, y) = (self.pick(&list), self.operand(kind));
                self.push(Op::Dyad { op, lane, to, x, y });
            }
            3 => {
                let op = self.pick(&[Monad::Sqrt, Monad::RoundEven, Monad::Floor]);
                self.push(Op::Monad { op, lane, to, x });
            }
            4 if lane == Lane::F32 => {
                self.push(Op::Monad { op: Monad::RoundToF16, lane, to, x });
            }
            5 if self.isa.is_avx512() => {
                let mask = if self.rng.random() { Some(self.predicate()) } else { None };
                self.push(Op::Scale { lane, to, x, y: z, mask });
            }
            _ => {
                let y = self.operand(kind);
                // Accumulators are the rule: the sum often goes where the summand was.
                let to = if self.rng.random() && self.is_assignable(z, kind) { z } else { to };
                self.push(Op::MultiplyAdd { lane, to, x, y, z });
            }
        }
    }

    fn is_assignable(&self, of: Vector, kind: Kind) -> bool {
        let number = of.0 as usize;
        number >= self.first_free && self.kinds[number] == kind
    }

    /// Whole bits of exact kinds: floats as bits, integers as numbers.
    fn integer_op(&mut self, kind: Kind) {
        let kind = match kind {
            Kind::LooseSingle => Kind::Single,
            Kind::LooseDouble => Kind::Double,
            other => other,
        };
        let lane = kind.lane();
        let (to, x, y) = (self.to(kind), self.from(kind), self.operand(kind));
        let bits = [Dyad::And, Dyad::Or, Dyad::Xor, Dyad::AndNot];
        let numbers = [Dyad::Add, Dyad::Sub, Dyad::Mul, Dyad::Min, Dyad::Max];
        let op = match lane {
            Lane::I32 if self.rng.random() => self.pick(&numbers),
            Lane::I64 if self.rng.random() => self.pick(&numbers[..2]),
            _ => self.pick(&bits),
        };
        if lane == Lane::I32 && self.isa.has_dot(Narrow::Bytes) && self.rng.random_ratio(1, 4) {
            return self.dot(kind);
        }
        self.push(Op::Dyad { op, lane, to, x, y });
    }

    /// A sum of products of integers, of any bits; those of bf16 round as the processor likes.
    fn dot(&mut self, kind: Kind) {
        let of = self.pick(&[Narrow::Bytes, Narrow::Words]);
        let (to, x, y, z) = (self.to(kind), self.from(kind), self.operand(kind), self.from(kind));
        let to = if self.rng.random() && self.is_assignable(z, kind) { z } else { to };
        self.push(Op::Dot { of, to, x, y, z });
    }

    fn shift(&mut self) {
        let kinds: Vec<_> =
            [Kind::Integer, Kind::Long].into_iter().filter(|kind| self.has(*kind)).collect();
        let kind = self.pick(&kinds);
        let list = [Shift::Left, Shift::RightLogical, Shift::RightArithmetic];
        let op = self.pick(if kind == Kind::Integer { &list } else { &list[..2] });
        let (to, x) = (self.to(kind), self.from(kind));
        let count = self.rng.random_range(0..70);
        self.push(Op::Shift { op, lane: kind.lane(), to, x, count });
    }

    fn select(&mut self, kind: Kind) {
        let (to, mask) = (self.to(kind), self.predicate());
        let (yes, no) = (self.from(kind), self.from(kind));
        self.push(Op::Select { lane: kind.lane(), to, mask, yes, no });
    }

    /// A zip, or pieces of 16 bytes, of vectors that have two such pieces.
    fn shuffle(&mut self, kind: Kind) {
        let lane = kind.lane();
        let (to, x, y) = (self.to(kind), self.from(kind), self.from(kind));
        if self.lanes * lane.bytes() < 32 {
            return self.push(Op::Copy { to, x });
        }
        if self.rng.random() {
            let (unit, high) =
                (self.rng.random_range(1..=8 / lane.bytes()) as u8, self.rng.random());
            return self.push(Op::Zip { lane, unit, high, to, x, y });
        }
        let most: u8 = if self.lanes * lane.bytes() == 32 { 3 } else { 255 };
        let pick = self.rng.random_range(0..=most);
        self.push(Op::Pieces { lane, to, x, y, pick });
    }

    /// The upper lanes, which hold anything, are replaced.
    fn lanes_down(&mut self, kind: Kind) {
        let lane = kind.lane();
        let count = 1 << self.rng.random_range(0..self.lanes.ilog2());
        let (moved, x, no) = (self.temporary(kind), self.from(kind), self.from(kind));
        let (to, mask, below) = (self.to(kind), self.predicate(), self.scalar());
        self.push(Op::LanesDown { lane, to: moved, x, count: count as u8 });
        self.push(Op::Set { to: below, value: self.lanes as i64 - count });
        self.push(Op::FirstLanes { to: mask, count: below });
        self.push(Op::Select { lane, to, mask, yes: moved, no });
    }

    fn conversion(&mut self) {
        use Kind::{Double, Integer, Long, LooseDouble, LooseSingle, Single};
        let all = [
            (Monad::FloatOfInteger, Integer, Single),
            (Monad::IntegerOfFloat, LooseSingle, Integer),
            (Monad::DoubleOfInteger, Integer, Double),
            (Monad::IntegerOfDouble, LooseDouble, Integer),
            (Monad::DoubleOfFloat, LooseSingle, LooseDouble),
            (Monad::FloatOfDouble, LooseDouble, LooseSingle),
            (Monad::LowHalf, Long, Integer),
            (Monad::Extend, Integer, Long),
            (Monad::Abs, Integer, Integer),
        ];
        let possible: Vec<_> =
            all.into_iter().filter(|(_, x, to)| self.has(*x) && self.has(*to)).collect();
        if !possible.is_empty() {
            let (op, from, kind) = self.pick(&possible);
            let (to, x) = (self.to(kind), self.from(from));
            self.push(Op::Monad { op, lane: from.lane(), to, x });
        }
        let kinds: Vec<_> = [Integer, Long].into_iter().filter(|kind| self.has(*kind)).collect();
        let kind = self.pick(&kinds);
        let (to, from) = (self.to(kind), self.number());
        self.push(Op::Splat { lane: kind.lane(), to, from });
    }

    /// What a load of an element makes: its kind.
    fn loaded(&mut self) -> (Element, Kind) {
        let narrow = self.pick(&NARROW);
        let all = [
            (Element::Word, Kind::Single),
            (Element::Word, Kind::Integer),
            (Element::Double, Kind::Double),
            (Element::Double, Kind::Long),
            (Element::F16, Kind::LooseSingle),
            (narrow, Kind::Integer),
        ];
        let possible: Vec<_> = all.into_iter().filter(|(_, kind)| self.has(*kind)).collect();
        self.pick(&possible)
    }

    pub(super) fn memory(&mut self) {
        match self.rng.random_range(0..12) {
            0..=4 => self.load(),
            5 => self.gather(),
            6 if self.isa.is_avx512() => self.scatter(),
            7 => {
                let level = self.rng.random_range(1..4);
                let at = self.place(0, 1, 1);
                self.push(Op::Prefetch { at, level });
            }
            8 if self.lanes >= 4 && self.has(Kind::Integer) => self.nibbles(),
            _ => self.store(),
        }
    }

    /// All bytes, or on AVX-512 the first of them up to the last byte of the region.
    fn nibbles(&mut self) {
        let to = self.to(Kind::Integer);
        if !self.isa.is_avx512() || self.rng.random() {
            let at = self.place(0, self.lanes / 2, 1);
            return self.push(Op::Nibbles { to, at, bytes: None });
        }
        let count = self.rng.random_range(0..self.lanes / 2);
        let (mask, scalar) = (self.predicate(), self.scalar());
        self.push(Op::Set { to: scalar, value: count as i64 });
        self.push(Op::FirstLanes { to: mask, count: scalar });
        let at = self.place(0, count, 1);
        self.push(Op::Nibbles { to, at, bytes: Some(mask) });
    }

    /// A span and a place for it: all elements, those of a predicate up to the last byte of the region, or one.
    fn span(&mut self, region: u32, element: Element) -> (Span, Address) {
        let bytes = element.bytes();
        match self.rng.random_range(0..5) {
            0 => (Span::First, self.place(region, bytes, bytes)),
            1 => {
                let count = self.rng.random_range(0..self.lanes);
                let (mask, scalar) = (self.predicate(), self.scalar());
                self.push(Op::Set { to: scalar, value: count as i64 });
                self.push(Op::FirstLanes { to: mask, count: scalar });
                (Span::Where(mask), self.place(region, bytes * count, bytes))
            }
            2 => (Span::Where(self.predicate()), self.place(region, bytes * self.lanes, bytes)),
            _ => (Span::Whole, self.place(region, bytes * self.lanes, bytes)),
        }
    }

    fn load(&mut self) {
        let (element, kind) = self.loaded();
        let to = self.to(kind);
        let (span, at) = if self.rng.random_range(0..4) == 0 {
            (Span::Splat, self.place(0, element.bytes(), element.bytes()))
        } else {
            self.span(0, element)
        };
        self.push(Op::Load { element, to, at, span });
    }

    fn stored(&mut self) -> (Element, Kind, u32) {
        let narrow = self.pick(&NARROW);
        let all = [
            (Element::Word, Kind::LooseSingle, F32_OUT),
            (Element::Word, Kind::Integer, BITS_OUT),
            (Element::Double, Kind::LooseDouble, F64_OUT),
            (Element::Double, Kind::Long, BITS_OUT),
            (Element::F16, Kind::LooseSingle, F16_OUT),
            (narrow, Kind::Integer, BITS_OUT),
        ];
        let possible: Vec<_> = all.into_iter().filter(|(_, kind, _)| self.has(*kind)).collect();
        self.pick(&possible)
    }

    fn store(&mut self) {
        let (element, kind, region) = self.stored();
        let from = self.from(kind);
        if element.bytes() >= 4 && self.rng.random_range(0..6) == 0 {
            let bytes = element.bytes() * self.lanes;
            let at = self.place(region, bytes, bytes);
            self.push(Op::Store { element, from, at, span: Span::Whole, streaming: true });
            return;
        }
        let (span, at) = self.span(region, element);
        self.push(Op::Store { element, from, at, span, streaming: false });
    }

    /// Indices below 64, multiples of the element's bytes where it is stored.
    fn index(&mut self, alignment: u64) -> Vector {
        let (bits, index, x) = (
            self.temporary(Kind::Integer),
            self.temporary(Kind::Integer),
            self.from(Kind::Integer),
        );
        let mask = 63 & !(alignment - 1);
        let lane = Lane::I32;
        self.push(Op::Constant { to: bits, lane, bits: mask });
        self.push(Op::Dyad { op: Dyad::And, lane, to: index, x, y: Operand::Vector(bits) });
        index
    }

    fn gather(&mut self) {
        if !self.has(Kind::Integer) {
            return;
        }
        let (element, kind) = self.loaded();
        let index = self.index(1);
        let to = self.to(kind);
        let mask = if self.rng.random() { Some(self.predicate()) } else { None };
        let at = self.place(0, 63 + element.bytes(), 1);
        self.push(Op::Gather { element, to, at, index, mask });
    }

    fn scatter(&mut self) {
        if !self.has(Kind::Integer) {
            return;
        }
        let (element, kind, region) = self.stored();
        let index = self.index(element.bytes());
        let from = self.from(kind);
        let mask = if self.rng.random() { Some(self.predicate()) } else { None };
        let at = self.place(region, 64, 8);
        self.push(Op::Scatter { element, from, at, index, mask });
    }
}
