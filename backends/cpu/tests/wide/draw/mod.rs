//! Draws random leaves that keep the rules: registers assigned before they are read, addresses within their regions.

mod ops;

use crate::random::BYTES;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tilewright_cpu::wide::Isa;
use tilewright_cpu::wide::program::{
    Address, Element, Lane, Leaf, Limit, Logic, Node, Op, Operand, Predicate, Scalar, Span, Vector,
};

/// Regions of memory: input, f32, f64, bits and f16.
pub(crate) const REGIONS: usize = 5;
const F32_OUT: u32 = 1;
const F64_OUT: u32 = 2;
const BITS_OUT: u32 = 3;
const F16_OUT: u32 = 4;

/// What a vector holds. `Loose` floats may be NaNs of any bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Single,
    LooseSingle,
    Integer,
    Double,
    LooseDouble,
    Long,
}

const KINDS: [Kind; 6] =
    [Kind::Single, Kind::LooseSingle, Kind::Integer, Kind::Double, Kind::LooseDouble, Kind::Long];

impl Kind {
    fn lane(self) -> Lane {
        match self {
            Self::Single | Self::LooseSingle => Lane::F32,
            Self::Integer => Lane::I32,
            Self::Double | Self::LooseDouble => Lane::F64,
            Self::Long => Lane::I64,
        }
    }

    fn loose(self) -> Self {
        match self {
            Self::Single => Self::LooseSingle,
            Self::Double => Self::LooseDouble,
            other => other,
        }
    }

    fn is_float(self) -> bool {
        matches!(self.lane(), Lane::F32 | Lane::F64)
    }

    fn element(self) -> Element {
        if self.lane().bytes() == 8 { Element::Double } else { Element::Word }
    }

    fn region(self) -> u32 {
        match self {
            Self::Single | Self::LooseSingle => F32_OUT,
            Self::Double | Self::LooseDouble => F64_OUT,
            Self::Integer | Self::Long => BITS_OUT,
        }
    }
}

pub(crate) struct Drawing<'a> {
    rng: &'a mut ChaCha8Rng,
    isa: Isa,
    lanes: u64,
    /// Kinds of the vectors, by number.
    kinds: Vec<Kind>,
    /// Vectors that may be assigned: the others are constants.
    first_free: usize,
    /// Vectors that are assigned on every way here.
    visible: Vec<usize>,
    /// Predicates that are.
    visible_predicates: Vec<u32>,
    predicates: u32,
    scalars: u32,
    /// Scalars that hold any number, from `REGIONS` on.
    numbers: u32,
    nodes: Vec<Node>,
}

/// A random leaf that `isa` should be able to run, unless it has too many registers.
pub(crate) fn draw(rng: &mut ChaCha8Rng, isa: Isa) -> Leaf {
    let lanes = match isa {
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Avx512Amx => {
            [2, 4, 8, 16][rng.random_range(0..4)]
        }
        Isa::Avx2 => [2, 4, 8][rng.random_range(0..3)],
    };
    let fits = |bytes: u64| (16..=isa.vector_bytes()).contains(&(lanes * bytes));
    let allowed: Vec<Kind> = KINDS.into_iter().filter(|kind| fits(kind.lane().bytes())).collect();
    let tight = rng.random_range(0..3) == 0;
    let constant_count = rng.random_range(0..if tight { 30 } else { 5 });
    let mut kinds = vec![];
    let mut constants = vec![];
    for _ in 0..constant_count {
        let to = Vector(kinds.len() as u32);
        let exact: Vec<_> =
            allowed.iter().filter(|kind| kind.loose() != **kind || !kind.is_float()).collect();
        let kind = *exact[rng.random_range(0..exact.len())];
        kinds.push(kind);
        constants.push(constant(rng, to, kind));
    }
    let first_free = kinds.len();
    let each = rng.random_range(1..if isa == Isa::Avx2 { 2 } else { 4 });
    for kind in allowed.iter().flat_map(|kind| std::iter::repeat_n(*kind, each)) {
        kinds.push(kind);
    }
    let numbers = if rng.random() { 3 } else { 18 };
    let mut drawing = Drawing {
        isa,
        lanes,
        visible: (0..kinds.len()).collect(),
        visible_predicates: vec![],
        kinds,
        first_free,
        predicates: rng.random_range(1..4),
        scalars: REGIONS as u32 + numbers,
        numbers,
        nodes: vec![],
        rng,
    };
    drawing.enter();
    let length = drawing.rng.random_range(5..40);
    drawing.several(length, 0);
    drawing.leave();
    Leaf {
        name: "random".to_string(),
        lanes,
        constants,
        vectors: drawing.kinds.len() as u32,
        predicates: drawing.predicates,
        scalars: drawing.scalars,
        body: drawing.nodes,
    }
}

fn constant(rng: &mut ChaCha8Rng, to: Vector, kind: Kind) -> Op {
    let lane = kind.lane();
    if kind == Kind::Integer && rng.random_range(0..4) == 0 {
        return Op::LaneNumbers { to };
    }
    if kind == Kind::Single && rng.random_range(0..4) == 0 {
        let words = std::array::from_fn(|_| rng.random_range(-10.0f32..10.0).to_bits());
        return Op::Words { to, words };
    }
    let bits = match rng.random_range(0..6) {
        0 => 0,
        1 => u64::MAX >> (64 - 8 * lane.bytes()),
        _ => match lane {
            Lane::F32 => u64::from(rng.random_range(-10.0f32..10.0).to_bits()),
            Lane::F64 => rng.random_range(-10.0f64..10.0).to_bits(),
            Lane::I32 => u64::from(rng.random::<u32>()),
            Lane::I64 => rng.random(),
        },
    };
    Op::Constant { to, lane, bits }
}

impl Drawing<'_> {
    fn push(&mut self, op: Op) {
        self.nodes.push(Node::Op(op));
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    fn kind(&mut self) -> Kind {
        let number = self.free();
        let number = self.pick(&number);
        self.kinds[number]
    }

    fn has(&self, kind: Kind) -> bool {
        self.free().iter().any(|&number| self.kinds[number] == kind)
    }

    /// Vectors that may be assigned.
    fn free(&self) -> Vec<usize> {
        self.visible.iter().copied().filter(|&number| number >= self.first_free).collect()
    }

    /// A register that lives from here to the end of the block at most.
    fn local(&mut self) {
        if self.rng.random_range(0..3) == 0 {
            let (x, y) = (self.predicate(), self.predicate());
            self.push(Op::Logic { op: Logic::Xor, to: Predicate(self.predicates), x, y });
            self.visible_predicates.push(self.predicates);
            self.predicates += 1;
            return;
        }
        let kind = self.kind();
        let x = self.from(kind);
        let to = self.temporary(kind);
        self.visible.push(to.0 as usize);
        let at = self.place(0, self.lanes * kind.lane().bytes(), 4);
        let (element, span) = (kind.element(), Span::Whole);
        let load = Op::Load { element, to, at, span };
        let made = self.pick(&[Op::Copy { to, x }, load, load]);
        self.push(made);
    }

    /// A vector of a kind, to be assigned.
    fn to(&mut self, kind: Kind) -> Vector {
        let mut of = self.free();
        of.retain(|&number| self.kinds[number] == kind);
        Vector(self.pick(&of) as u32)
    }

    /// A vector of a kind, to be read: any float where a loose one will do.
    fn from(&mut self, kind: Kind) -> Vector {
        let mut of = self.visible.clone();
        of.retain(|&number| self.kinds[number] == kind || self.kinds[number].loose() == kind);
        Vector(self.pick(&of) as u32)
    }

    fn predicate(&mut self) -> Predicate {
        let visible = self.visible_predicates.clone();
        Predicate(self.pick(&visible))
    }

    fn number(&mut self) -> Scalar {
        Scalar(REGIONS as u32 + self.rng.random_range(0..self.numbers))
    }

    fn scalar(&mut self) -> Scalar {
        self.scalars += 1;
        Scalar(self.scalars - 1)
    }

    fn temporary(&mut self, kind: Kind) -> Vector {
        self.kinds.push(kind);
        Vector(self.kinds.len() as u32 - 1)
    }

    /// A place in a region from which `bytes` lie within it; now and then the last such place or the first.
    fn place(&mut self, region: u32, bytes: u64, alignment: u64) -> Address {
        let last = (BYTES as u64 - bytes) / alignment;
        let at = match self.rng.random_range(0..4) {
            0 => last,
            1 => 0,
            _ => self.rng.random_range(0..=last),
        };
        Address { base: Scalar(region), displacement: (at * alignment) as i32 }
    }

    fn operand(&mut self, kind: Kind) -> Operand {
        let bytes = kind.lane().bytes();
        match self.rng.random_range(0..4) {
            0 => Operand::Splat(self.place(0, bytes, 4)),
            1 => Operand::Memory(self.place(0, bytes * self.lanes, 4)),
            _ => Operand::Vector(self.from(kind)),
        }
    }

    /// Assigns everything.
    fn enter(&mut self) {
        let mut scalars: Vec<Op> =
            (0..REGIONS as u32).map(|word| Op::Frame { to: Scalar(word), word }).collect();
        for number in 0..self.numbers {
            let value = self.rng.random_range(-1000..1 << 36);
            scalars.push(Op::Set { to: Scalar(REGIONS as u32 + number), value });
        }
        // Which scalars come first decides which registers they have.
        if self.rng.random() {
            scalars.reverse();
        }
        scalars.into_iter().for_each(|op| self.push(op));
        for number in self.free() {
            let (to, kind) = (Vector(number as u32), self.kinds[number]);
            let at = self.place(0, self.lanes * kind.lane().bytes(), 4);
            self.push(Op::Load { element: kind.element(), to, at, span: Span::Whole });
        }
        for number in 0..self.predicates {
            let value = self.rng.random();
            self.push(Op::Always { to: Predicate(number), value });
            self.visible_predicates.push(number);
        }
    }

    /// Stores everything.
    fn leave(&mut self) {
        for number in self.free() {
            let kind = self.kinds[number];
            if self.rng.random_range(0..8) > 0 {
                let at = self.place(kind.region(), self.lanes * kind.lane().bytes(), 8);
                let from = Vector(number as u32);
                let (element, span) = (kind.element(), Span::Whole);
                self.push(Op::Store { element, from, at, span, streaming: false });
            }
        }
        let kind = if self.has(Kind::Integer) { Kind::Integer } else { Kind::Long };
        let bytes = kind.lane().bytes();
        for number in 0..self.numbers {
            let to = self.temporary(kind);
            let from = Scalar(REGIONS as u32 + number);
            self.push(Op::Splat { lane: kind.lane(), to, from });
            let at = self.place(BITS_OUT, bytes, 8);
            let (element, span) = (kind.element(), Span::First);
            self.push(Op::Store { element, from: to, at, span, streaming: false });
        }
        for number in self.visible_predicates.clone() {
            let (to, yes, no) = (self.temporary(kind), self.from(kind), self.from(kind));
            self.push(Op::Select { lane: kind.lane(), to, mask: Predicate(number), yes, no });
            let at = self.place(BITS_OUT, bytes * self.lanes, 8);
            let (element, span) = (kind.element(), Span::Whole);
            self.push(Op::Store { element, from: to, at, span, streaming: false });
        }
    }

    fn several(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            match self.rng.random_range(0..24) {
                0 if depth < 2 => self.repeat(depth),
                1 if depth < 3 => {
                    let condition = self.number();
                    let then = self.inside(depth);
                    let otherwise = if self.rng.random() { self.inside(depth) } else { vec![] };
                    self.nodes.push(Node::If { condition, then, otherwise });
                }
                2 if depth < 3 => {
                    let mask = self.predicate();
                    let then = self.inside(depth);
                    self.nodes.push(Node::IfAny { mask, then });
                }
                3..=4 => self.local(),
                5..=8 => self.memory(),
                9..=11 => self.scalar_op(),
                12..=13 => self.predicate_op(),
                _ => self.vector_op(),
            }
        }
    }

    fn inside(&mut self, depth: usize) -> Vec<Node> {
        let before = std::mem::take(&mut self.nodes);
        let (vectors, predicates) = (self.visible.len(), self.visible_predicates.len());
        let count = self.rng.random_range(0..12);
        self.several(count, depth + 1);
        self.visible.truncate(vectors);
        self.visible_predicates.truncate(predicates);
        std::mem::replace(&mut self.nodes, before)
    }

    fn repeat(&mut self, depth: usize) {
        let index = self.scalar();
        let (begin, end) = (self.rng.random_range(-2..1), self.rng.random_range(-2..4));
        let step = self.rng.random_range(1..3);
        self.push(Op::Set { to: index, value: begin });
        let limit = if self.rng.random() {
            Limit::Constant(end)
        } else {
            let of = self.scalar();
            self.push(Op::Set { to: of, value: end });
            Limit::Scalar(of)
        };
        let entered = begin < end && self.rng.random();
        let (vectors, predicates) = (self.visible.len(), self.visible_predicates.len());
        let before = std::mem::take(&mut self.nodes);
        let count = self.rng.random_range(0..12);
        self.several(count, depth + 1);
        // What the body assigns may be read after it where it runs for sure.
        if !entered {
            self.visible.truncate(vectors);
            self.visible_predicates.truncate(predicates);
        }
        let mut body = std::mem::replace(&mut self.nodes, before);
        if self.rng.random() {
            let to = self.number();
            body.push(Node::Op(Op::Add { to, x: to, y: index }));
        }
        self.nodes.push(Node::Loop { index, end: limit, step, entered, body });
    }
}
