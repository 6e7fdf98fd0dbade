//! The lane operations of the elementary functions, written into a leaf.
//!
//! Invariant: the same operations in the same order as on every other target, so the results are the same to the bit.

use super::code::Code;
use crate::math::Lanes;
use crate::wide::program::{Condition, Dyad, Lane, Monad, Node, Op, Predicate, Shift, Vector};

/// Floats of one type in a leaf.
pub(super) struct LeafLanes<'c> {
    pub(super) code: &'c mut Code,
    pub(super) double: bool,
    /// Whether `Op::Scale` may be used.
    pub(super) scales: bool,
    /// Whether a vector has sixteen lanes, so that `Op::LookUp` may be used.
    pub(super) whole: bool,
}

impl LeafLanes<'_> {
    fn of_floats(&self) -> Lane {
        if self.double { Lane::F64 } else { Lane::F32 }
    }

    fn of_integers(&self) -> Lane {
        if self.double { Lane::I64 } else { Lane::I32 }
    }
}

impl Lanes for LeafLanes<'_> {
    type F = Vector;
    type I = Vector;
    type M = Predicate;

    fn double(&self) -> bool {
        self.double
    }
    fn fused(&self) -> bool {
        true
    }
    fn float(&mut self, value: f64) -> Vector {
        let lane = self.of_floats();
        self.code.float(lane, value)
    }
    fn int(&mut self, value: u64) -> Vector {
        let lane = self.of_integers();
        let bits = if self.double { value } else { value & 0xffff_ffff };
        self.code.constant(lane, bits)
    }
    fn add(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Add, self.of_floats(), a, b)
    }
    fn sub(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Sub, self.of_floats(), a, b)
    }
    fn mul(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Mul, self.of_floats(), a, b)
    }
    fn div(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Div, self.of_floats(), a, b)
    }
    fn fma(&mut self, a: Vector, b: Vector, c: Vector) -> Vector {
        self.code.multiply_add(self.of_floats(), a, b, c)
    }
    fn sqrt(&mut self, a: Vector) -> Vector {
        self.code.monad(Monad::Sqrt, self.of_floats(), a)
    }
    fn lt(&mut self, a: Vector, b: Vector) -> Predicate {
        self.code.compare(Condition::Less, self.of_floats(), a, b)
    }
    fn eq(&mut self, a: Vector, b: Vector) -> Predicate {
        self.code.compare(Condition::Equal, self.of_floats(), a, b)
    }
    fn select(&mut self, mask: Predicate, a: Vector, b: Vector) -> Vector {
        self.code.select(self.of_floats(), mask, a, b)
    }
    fn min(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Min, self.of_floats(), a, b)
    }
    fn max(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Max, self.of_floats(), a, b)
    }
    fn bits(&mut self, a: Vector) -> Vector {
        a
    }
    fn as_float(&mut self, a: Vector) -> Vector {
        a
    }
    fn iadd(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Add, self.of_integers(), a, b)
    }
    fn isub(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Sub, self.of_integers(), a, b)
    }
    fn iand(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::And, self.of_integers(), a, b)
    }
    fn ior(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Or, self.of_integers(), a, b)
    }
    fn ixor(&mut self, a: Vector, b: Vector) -> Vector {
        self.code.dyad(Dyad::Xor, self.of_integers(), a, b)
    }
    fn shl(&mut self, a: Vector, count: u32) -> Vector {
        self.shifted(Shift::Left, a, count)
    }
    fn shr(&mut self, a: Vector, count: u32) -> Vector {
        self.shifted(Shift::RightLogical, a, count)
    }
    fn has_times_power(&self) -> bool {
        self.scales
    }
    fn looks_up(&self) -> bool {
        self.scales && !self.double && self.whole
    }
    fn looked_up(&mut self, table: &'static [f64; 16], at: Vector) -> Vector {
        self.code.looked_up(table, at)
    }
    fn times_power(&mut self, a: Vector, count: Vector) -> Vector {
        let to = self.code.vector();
        self.code.op(Op::Scale { lane: self.of_floats(), to, x: a, y: count, mask: None });
        to
    }
    fn times_power_from(&mut self, a: Vector, count: Vector, least: Vector) -> Vector {
        let lane = self.of_floats();
        let mask = self.code.compare(Condition::NotLess, lane, count, least);
        let to = self.code.vector();
        self.code.op(Op::Scale { lane, to, x: a, y: count, mask: Some(mask) });
        to
    }
    fn unlikely(
        &mut self,
        mask: Predicate,
        x: Vector,
        usual: Vector,
        rare: fn(&mut Self, Vector) -> Vector,
    ) -> Vector {
        let to = self.code.vector();
        self.code.op(Op::Copy { to, x: usual });
        let outer = self.code.open();
        let yes = rare(self, x);
        self.code.op(Op::Select { lane: self.of_floats(), to, mask, yes, no: to });
        let then = self.code.close(outer);
        self.code.node(Node::IfAny { mask, then });
        to
    }
    fn round_even(&mut self, a: Vector) -> Vector {
        self.code.monad(Monad::RoundEven, self.of_floats(), a)
    }
    fn floor(&mut self, a: Vector) -> Vector {
        self.code.monad(Monad::Floor, self.of_floats(), a)
    }
}

impl LeafLanes<'_> {
    fn shifted(&mut self, op: Shift, a: Vector, count: u32) -> Vector {
        let count = u8::try_from(count).expect("a lane has at most 64 bits");
        self.code.shift(op, self.of_integers(), a, count)
    }
}
