//! Values of a nest's nodes at one position of the register tile.
//!
//! Narrow floats are f32 lanes that hold numbers of the narrow type, narrow integers i32 lanes within the type's range,
//! truth values predicates. A value is computed once for each position it varies over and remembered as long as its code
//! dominates.
//! Invariant: a memo scope is entered with every loop body and branch, and left at its end, so a remembered value always
//! dominates its next use.

use super::Word;
use super::math::LeafLanes;
use super::nest::{Mode, NestLowering};
use crate::machine::{Node, NodeId, Offsets, key};
use crate::math;
use crate::wide::program::{Condition, Dyad, Lane, Logic, Monad, Op, Predicate, Vector};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Lanes, or a truth value for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Lanes(Vector),
    Truth(Predicate),
}

impl Value {
    pub(super) fn lanes(self) -> Vector {
        match self {
            Self::Lanes(vector) => vector,
            Self::Truth(_) => unreachable!("types are checked long before: this is a number"),
        }
    }

    pub(super) fn truth(self) -> Predicate {
        match self {
            Self::Truth(predicate) => predicate,
            Self::Lanes(_) => unreachable!("types are checked long before: this is a truth value"),
        }
    }
}

/// The lane that holds elements of a type.
pub(super) fn lane_of(dtype: DType) -> Lane {
    match dtype {
        DType::F64 => Lane::F64,
        DType::F32 | DType::F16 | DType::Bf16 => Lane::F32,
        DType::I32 | DType::I16 | DType::I8 | DType::U8 | DType::I4 | DType::Bool => Lane::I32,
    }
}

impl NestLowering<'_> {
    /// The value of a node at a position.
    pub(super) fn value(&mut self, id: NodeId, at: &Offsets) -> Result<Value, Unsupported> {
        let node = self.nest.dag.node(id);
        let key = key(&self.nest.dag, id, self.mode != Mode::One, at);
        if let Some(known) = self.memo.get(&key) {
            return Ok(known);
        }
        let value = self.compute(id, node, &key.1)?;
        self.memo.set(key, value);
        Ok(value)
    }

    fn compute(&mut self, id: NodeId, node: Node, at: &Offsets) -> Result<Value, Unsupported> {
        let dtype = self.nest.dag.dtype(id);
        match node {
            Node::Literal(bits) => Ok(self.literal(f64::from_bits(bits), dtype)),
            Node::Index(axis) => Ok(Value::Lanes(self.index(axis, at))),
            Node::Load(place) => match self.transposed(id, place as usize, at)? {
                Some(value) => Ok(value),
                None => self.load(place as usize, at),
            },
            Node::Gather(..) => Err(self.refused("computed subscripts in wide vectors")),
            Node::Unary(op, x) => {
                let x = self.value(x, at)?;
                self.unary(op, dtype, x)
            }
            Node::Binary(BinaryOp::Add, x, y) if self.adds_nothing(x, y) => self.value(y, at),
            Node::Binary(op, x, y) => {
                let (x, y) = (self.value(x, at)?, self.value(y, at)?);
                self.binary(op, dtype, x, y)
            }
            Node::Compare(op, x, y) => {
                let operand = self.nest.dag.dtype(x);
                let (x, y) = (self.value(x, at)?, self.value(y, at)?);
                Ok(self.compare(op, operand, x, y))
            }
            Node::Select(c, x, y) => {
                let (c, x, y) = (self.value(c, at)?, self.value(x, at)?, self.value(y, at)?);
                Ok(self.select(dtype, c.truth(), x, y))
            }
            Node::Cast(x) => {
                let from = self.nest.dag.dtype(x);
                let x = self.value(x, at)?;
                self.cast(from, dtype, x)
            }
            Node::Wrap(x) => {
                let from = self.nest.dag.dtype(x);
                let x = self.value(x, at)?;
                self.wrap(from, dtype, x)
            }
            Node::Carried if self.held.is_some() => self.carried(at),
            Node::Accumulator(_) | Node::Carried | Node::Result => {
                Err(self.refused("a value before it is computed"))
            }
        }
    }

    /// Whether `x + y` is a sum added to the 0 that it began with.
    fn adds_nothing(&self, x: NodeId, y: NodeId) -> bool {
        let (x, y) = (self.nest.dag.node(x), self.nest.dag.node(y));
        let (Node::Carried, Node::Accumulator(sum)) = (x, y) else { return false };
        let is_sum = self.nest.accumulators[sum as usize].op == ReduceOp::Sum;
        let starts_at_0 = self.nest.carried.is_some_and(|start| {
            matches!(start.dtype, DType::F32 | DType::F64) && start.value.to_bits() == 0
        });
        is_sum && starts_at_0 && self.around.always_first
    }

    /// A number of a type.
    pub(super) fn literal(&mut self, value: f64, dtype: DType) -> Value {
        match dtype {
            DType::Bool => Value::Truth(self.code.always(value != 0.0)),
            DType::F64 | DType::F32 | DType::F16 | DType::Bf16 => {
                Value::Lanes(self.code.float(lane_of(dtype), value))
            }
            DType::I32 | DType::I16 | DType::I8 | DType::U8 | DType::I4 => {
                Value::Lanes(self.code.integer(value as i32))
            }
        }
    }

    /// Elements that an offset of the register tile stands for along an axis.
    pub(super) fn elements(&self, axis: AxisId, offset: u64) -> u64 {
        match self.dot.filter(|dot| dot.axis == axis) {
            Some(dot) => offset * dot.of.count(),
            None if self.is_along_vector(axis) => offset * self.lanes,
            None => offset,
        }
    }

    pub(super) fn is_along_vector(&self, axis: AxisId) -> bool {
        self.mode != Mode::One && self.is_vector(axis)
    }

    /// The absolute index along an axis as i32 lanes.
    fn index(&mut self, axis: AxisId, at: &Offsets) -> Vector {
        let own = at.iter().filter(|entry| entry.0 == axis);
        let offset: u64 = own.map(|entry| self.elements(axis, entry.1)).sum();
        let start = self.block(axis).moves.then(|| self.word(Word::Start(axis)));
        let parts = [start, self.indices.get(&axis).copied()];
        let mut sum = None;
        for part in parts.into_iter().flatten() {
            sum = Some(match sum {
                None => part,
                Some(sum) => self.code.add(sum, part),
            });
        }
        let offset_lanes = self.code.integer(offset as i32);
        let splat = match sum {
            None => offset_lanes,
            Some(sum) => {
                let from = self.code.add_constant(sum, offset.cast_signed());
                let to = self.code.vector();
                self.code.op(Op::Splat { lane: Lane::I32, to, from });
                to
            }
        };
        if !self.is_along_vector(axis) {
            return splat;
        }
        let numbers = self.code.lane_numbers();
        self.code.dyad(Dyad::Add, Lane::I32, splat, numbers)
    }

    fn float_lanes(&mut self, double: bool) -> LeafLanes<'_> {
        let (scales, whole) = (self.around.isa.is_avx512(), self.lanes == 16);
        LeafLanes { code: &mut self.code, double, scales, whole }
    }

    fn unary(&mut self, op: UnaryOp, dtype: DType, x: Value) -> Result<Value, Unsupported> {
        if op == UnaryOp::Not && dtype == DType::Bool {
            return Ok(Value::Truth(self.code.not(x.truth())));
        }
        let x = x.lanes();
        let result = match op {
            UnaryOp::Neg if dtype.is_integer() => {
                let zero = self.code.integer(0);
                Some(self.code.dyad(Dyad::Sub, Lane::I32, zero, x))
            }
            UnaryOp::Abs if dtype.is_integer() => Some(self.code.monad(Monad::Abs, Lane::I32, x)),
            _ if op.is_step() && dtype.is_integer() => Some(x),
            _ if dtype.is_float() => {
                let double = dtype == DType::F64;
                math::unary(&mut self.float_lanes(double), op, x)
            }
            _ => None,
        };
        let result = result.ok_or_else(|| self.refused(&format!("`{op}` of {dtype}")))?;
        Ok(Value::Lanes(self.settle(dtype, result)))
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        dtype: DType,
        x: Value,
        y: Value,
    ) -> Result<Value, Unsupported> {
        if dtype == DType::Bool {
            return self.logic(op, x.truth(), y.truth());
        }
        let (x, y, lane) = (x.lanes(), y.lanes(), lane_of(dtype));
        let float = dtype.is_float();
        let dyad = match op {
            BinaryOp::Add => Dyad::Add,
            BinaryOp::Sub => Dyad::Sub,
            BinaryOp::Mul => Dyad::Mul,
            BinaryOp::And => Dyad::And,
            BinaryOp::Or => Dyad::Or,
            BinaryOp::Div if float => Dyad::Div,
            BinaryOp::Max | BinaryOp::Min if float => {
                let extreme = if op == BinaryOp::Max { Dyad::Max } else { Dyad::Min };
                return Ok(Value::Lanes(self.float_extreme(extreme, lane, x, y)));
            }
            BinaryOp::Max => Dyad::Max,
            BinaryOp::Min => Dyad::Min,
            BinaryOp::Pow if float => {
                let double = dtype == DType::F64;
                let power = math::power(&mut self.float_lanes(double), x, y);
                return Ok(Value::Lanes(self.settle(dtype, power)));
            }
            BinaryOp::Div | BinaryOp::Pow => {
                return Err(self.refused(&format!("`{op}` of {dtype} in wide vectors")));
            }
        };
        let result = self.code.dyad(dyad, lane, x, y);
        Ok(Value::Lanes(self.settle(dtype, result)))
    }

    fn logic(&mut self, op: BinaryOp, x: Predicate, y: Predicate) -> Result<Value, Unsupported> {
        let op = match op {
            BinaryOp::And | BinaryOp::Min | BinaryOp::Mul => Logic::And,
            BinaryOp::Or | BinaryOp::Max => Logic::Or,
            _ => return Err(self.refused(&format!("`{op}` of bool"))),
        };
        Ok(Value::Truth(self.code.logic(op, x, y)))
    }

    /// The larger (or smaller) of two vectors; NaN where either is NaN. The instruction alone gives `y` when unordered,
    /// so a NaN in `x` is put back.
    fn float_extreme(&mut self, op: Dyad, lane: Lane, x: Vector, y: Vector) -> Vector {
        let chosen = self.code.dyad(op, lane, x, y);
        let unordered = self.code.compare(Condition::Unordered, lane, x, x);
        self.code.select(lane, unordered, x, chosen)
    }

    fn compare(&mut self, op: CompareOp, operand: DType, x: Value, y: Value) -> Value {
        if operand == DType::Bool {
            return self.compare_truths(op, x.truth(), y.truth());
        }
        let (x, y, lane) = (x.lanes(), y.lanes(), lane_of(operand));
        Value::Truth(match op {
            CompareOp::Lt => self.code.compare(Condition::Less, lane, x, y),
            CompareOp::Le => self.code.compare(Condition::LessEqual, lane, x, y),
            CompareOp::Gt => self.code.compare(Condition::Less, lane, y, x),
            CompareOp::Ge => self.code.compare(Condition::LessEqual, lane, y, x),
            CompareOp::Eq => self.code.compare(Condition::Equal, lane, x, y),
            CompareOp::Ne => self.code.compare(Condition::NotEqual, lane, x, y),
        })
    }

    /// False is less than true.
    fn compare_truths(&mut self, op: CompareOp, x: Predicate, y: Predicate) -> Value {
        let code = &mut self.code;
        Value::Truth(match op {
            CompareOp::Lt => code.logic(Logic::AndNot, x, y),
            CompareOp::Gt => code.logic(Logic::AndNot, y, x),
            CompareOp::Ne => code.logic(Logic::Xor, x, y),
            CompareOp::Eq => {
                let differ = code.logic(Logic::Xor, x, y);
                code.not(differ)
            }
            CompareOp::Le => {
                let above = code.logic(Logic::AndNot, y, x);
                code.not(above)
            }
            CompareOp::Ge => {
                let below = code.logic(Logic::AndNot, x, y);
                code.not(below)
            }
        })
    }

    fn select(&mut self, dtype: DType, c: Predicate, x: Value, y: Value) -> Value {
        match (x, y) {
            (Value::Lanes(x), Value::Lanes(y)) => {
                Value::Lanes(self.code.select(lane_of(dtype), c, x, y))
            }
            _ => {
                let yes = self.code.logic(Logic::And, c, x.truth());
                let no = self.code.logic(Logic::AndNot, c, y.truth());
                Value::Truth(self.code.logic(Logic::Or, yes, no))
            }
        }
    }
}
