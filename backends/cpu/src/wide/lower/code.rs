//! Writes a leaf: hands out virtual registers, keeps each constant once, nests control.
//!
//! Invariant: operations go to the innermost open body, in the order in which they are asked for.

use crate::wide::program::{
    Address, Condition, Dyad, Lane, Leaf, Limit, Logic, Monad, Node, Op, Operand, Predicate,
    Scalar, Shift, Vector,
};
use std::collections::BTreeMap;

/// A leaf in the making.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// Comes before everything else.
    entry: Vec<Op>,
    nodes: Vec<Node>,
    constants: Vec<Op>,
    known: BTreeMap<(Lane, u64), Vector>,
    lane_numbers: Option<Vector>,
    numbers: BTreeMap<i64, Scalar>,
    vectors: u32,
    predicates: u32,
    scalars: u32,
}

impl Code {
    /// A register that nothing has assigned yet.
    pub(super) fn vector(&mut self) -> Vector {
        self.vectors += 1;
        Vector(self.vectors - 1)
    }

    pub(super) fn predicate(&mut self) -> Predicate {
        self.predicates += 1;
        Predicate(self.predicates - 1)
    }

    pub(super) fn scalar(&mut self) -> Scalar {
        self.scalars += 1;
        Scalar(self.scalars - 1)
    }

    /// Writes an operation.
    pub(super) fn op(&mut self, op: Op) {
        self.nodes.push(Node::Op(op));
    }

    /// Writes an operation at the beginning of the leaf.
    pub(super) fn first(&mut self, op: Op) {
        self.entry.push(op);
    }

    /// Opens a body; what was open is handed to the caller, who gives it back to `close`.
    pub(super) fn open(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Closes a body.
    pub(super) fn close(&mut self, outer: Vec<Node>) -> Vec<Node> {
        std::mem::replace(&mut self.nodes, outer)
    }

    /// Writes a piece with bodies.
    pub(super) fn node(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// The leaf.
    pub(super) fn finish(self, name: &str, lanes: u64) -> Leaf {
        Leaf {
            name: name.to_string(),
            lanes,
            constants: self.constants,
            body: self.entry.into_iter().map(Node::Op).chain(self.nodes).collect(),
            vectors: self.vectors,
            predicates: self.predicates,
            scalars: self.scalars,
        }
    }

    /// The same bits in every lane.
    pub(super) fn constant(&mut self, lane: Lane, bits: u64) -> Vector {
        if let Some(&known) = self.known.get(&(lane, bits)) {
            return known;
        }
        let to = self.vector();
        self.constants.push(Op::Constant { to, lane, bits });
        self.known.insert((lane, bits), to);
        to
    }

    /// An i32 in every lane.
    pub(super) fn integer(&mut self, value: i32) -> Vector {
        self.constant(Lane::I32, u64::from(value.cast_unsigned()))
    }

    /// A float in every lane.
    pub(super) fn float(&mut self, lane: Lane, value: f64) -> Vector {
        let bits = match lane {
            Lane::F64 | Lane::I64 => value.to_bits(),
            Lane::F32 | Lane::I32 => u64::from((value as f32).to_bits()),
        };
        self.constant(lane, bits)
    }

    /// 0, 1, 2, ...
    pub(super) fn lane_numbers(&mut self) -> Vector {
        if let Some(known) = self.lane_numbers {
            return known;
        }
        let to = self.vector();
        self.constants.push(Op::LaneNumbers { to });
        self.lane_numbers = Some(to);
        to
    }

    /// The numbers of a table, as f32 lanes, at the places that the low four bits of each lane say.
    pub(super) fn looked_up(&mut self, table: &[f64; 16], at: Vector) -> Vector {
        let table = self.words(table.map(|number| (number as f32).to_bits()));
        let to = self.vector();
        self.op(Op::LookUp { to, table, at });
        to
    }

    /// Sixteen words, one for each lane.
    pub(super) fn words(&mut self, words: [u32; 16]) -> Vector {
        let known = self.constants.iter().find_map(|op| match *op {
            Op::Words { to, words: known } if known == words => Some(to),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let to = self.vector();
            self.constants.push(Op::Words { to, words });
            to
        })
    }

    pub(super) fn dyad(&mut self, op: Dyad, lane: Lane, x: Vector, y: Vector) -> Vector {
        let to = self.vector();
        self.op(Op::Dyad { op, lane, to, x, y: Operand::Vector(y) });
        to
    }

    pub(super) fn monad(&mut self, op: Monad, lane: Lane, x: Vector) -> Vector {
        let to = self.vector();
        self.op(Op::Monad { op, lane, to, x });
        to
    }

    pub(super) fn shift(&mut self, op: Shift, lane: Lane, x: Vector, count: u8) -> Vector {
        let to = self.vector();
        self.op(Op::Shift { op, lane, to, x, count });
        to
    }

    pub(super) fn multiply_add(&mut self, lane: Lane, x: Vector, y: Vector, z: Vector) -> Vector {
        let to = self.vector();
        self.op(Op::MultiplyAdd { lane, to, x, y: Operand::Vector(y), z });
        to
    }

    pub(super) fn compare(&mut self, op: Condition, lane: Lane, x: Vector, y: Vector) -> Predicate {
        let to = self.predicate();
        self.op(Op::Compare { op, lane, to, x, y: Operand::Vector(y) });
        to
    }

    pub(super) fn select(
        &mut self,
        lane: Lane,
        mask: Predicate,
        yes: Vector,
        no: Vector,
    ) -> Vector {
        let to = self.vector();
        self.op(Op::Select { lane, to, mask, yes, no });
        to
    }

    pub(super) fn logic(&mut self, op: Logic, x: Predicate, y: Predicate) -> Predicate {
        let to = self.predicate();
        self.op(Op::Logic { op, to, x, y });
        to
    }

    pub(super) fn not(&mut self, x: Predicate) -> Predicate {
        let to = self.predicate();
        self.op(Op::Not { to, x });
        to
    }

    pub(super) fn always(&mut self, value: bool) -> Predicate {
        let to = self.predicate();
        self.op(Op::Always { to, value });
        to
    }

    /// A number in a scalar that is set once, at the beginning.
    pub(super) fn number(&mut self, value: i64) -> Scalar {
        if let Some(&known) = self.numbers.get(&value) {
            return known;
        }
        let to = self.scalar();
        self.first(Op::Set { to, value });
        self.numbers.insert(value, to);
        to
    }

    /// A number in a scalar.
    pub(super) fn set(&mut self, value: i64) -> Scalar {
        let to = self.scalar();
        self.op(Op::Set { to, value });
        to
    }

    pub(super) fn moved(&mut self, x: Scalar) -> Scalar {
        let to = self.scalar();
        self.op(Op::Move { to, x });
        to
    }

    pub(super) fn add(&mut self, x: Scalar, y: Scalar) -> Scalar {
        let to = self.scalar();
        self.op(Op::Add { to, x, y });
        to
    }

    pub(super) fn subtract(&mut self, x: Scalar, y: Scalar) -> Scalar {
        let to = self.scalar();
        self.op(Op::Subtract { to, x, y });
        to
    }

    pub(super) fn divide(&mut self, x: Scalar, value: u64) -> Scalar {
        let to = self.scalar();
        self.op(Op::DivideConstant { to, x, value });
        to
    }

    pub(super) fn add_constant(&mut self, x: Scalar, value: i64) -> Scalar {
        if value == 0 {
            return x;
        }
        let to = self.scalar();
        self.op(Op::AddConstant { to, x, value });
        to
    }

    pub(super) fn times(&mut self, x: Scalar, value: i64) -> Scalar {
        let to = self.scalar();
        self.op(Op::MultiplyConstant { to, x, value });
        to
    }

    /// An address whose displacement an instruction can hold.
    pub(super) fn address(&mut self, base: Scalar, displacement: i64) -> Address {
        match i32::try_from(displacement) {
            Ok(displacement) => Address { base, displacement },
            Err(_) => Address { base: self.add_constant(base, displacement), displacement: 0 },
        }
    }

    /// `index + behind < limit`, as a loop's end: the first index that a step from does not fit.
    pub(super) fn limit(&mut self, end: Limit, behind: i64) -> Limit {
        match end {
            Limit::Constant(end) => Limit::Constant(end - behind),
            Limit::Scalar(end) => Limit::Scalar(self.add_constant(end, -behind)),
        }
    }
}
