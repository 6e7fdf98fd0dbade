//! Values while checking: nodes with a type, and weak values that wait for one.
//!
//! Numbers, `len`, axis indices and operations on only those are weak: a small tree that is put into the graph (`settle`)
//! in the type of whatever it meets. A weak value is whole or fractional; whole ones are computed in `i32` and then cast,
//! except that a number itself is written in the type at once.
//! Invariant: equal weak operations settled in equal types are one node, because the builder hash-conses.

use super::types;
use crate::base::{AxisId, AxisSet, BinaryOp, DType, ReduceOp, UnaryOp};
use crate::graph::{GraphBuilder, NodeId};
use std::collections::BTreeMap;

/// A checked expression.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// An operation with a type.
    Node(NodeId),
    /// An operation that waits for a type.
    Weak(WeakId),
    /// Nothing; the fault has been reported.
    Faulty,
}

/// Position in `WeakValues`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WeakId(u32);

#[derive(Clone, Copy, Debug)]
pub(super) enum WeakOp {
    Number(f64),
    Index(AxisId),
    Len(AxisId),
    Unary(UnaryOp, WeakId),
    Binary(BinaryOp, WeakId, WeakId),
    Select(NodeId, WeakId, WeakId),
    Reduce(ReduceOp, AxisSet, WeakId),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Weak {
    pub(super) op: WeakOp,
    /// Whether the value may have a fraction: then its own type is `f32`, else `i32`.
    pub(super) fractional: bool,
    pub(super) axes: AxisSet,
    /// Whether it depends on an index or an extent, which may be any number of an `i32`.
    pub(super) position: bool,
    /// The height of the tree, which bounds the recursion of `settle`.
    pub(super) height: u32,
}

/// Why a weak value does not fit the type that it meets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Misfit {
    /// The type does not hold this number.
    Number(f64),
    /// The value is fractional and the type is an integer.
    Fraction,
    /// The type is `bool`.
    Truth,
}

/// The weak values of one kernel.
#[derive(Debug, Default)]
pub(super) struct WeakValues {
    values: Vec<Weak>,
    settled: BTreeMap<(WeakId, DType), NodeId>,
}

impl Weak {
    /// The type in which the value meets one of that type: a narrower integer would cut indices and extents off.
    pub(super) fn met_by(self, dtype: DType) -> DType {
        if self.position && dtype.is_integer() && dtype.bits() < 32 { DType::I32 } else { dtype }
    }

    /// The type that the value takes where nothing else says.
    pub(super) fn own_type(self) -> DType {
        if self.fractional { DType::F32 } else { DType::I32 }
    }
}

impl WeakValues {
    pub(super) fn get(&self, id: WeakId) -> Weak {
        self.values[id.0 as usize]
    }

    pub(super) fn number(&mut self, value: f64, fractional: bool) -> WeakId {
        self.push(WeakOp::Number(value), fractional, AxisSet::EMPTY, 1)
    }

    pub(super) fn index(&mut self, axis: AxisId) -> WeakId {
        self.push(WeakOp::Index(axis), false, AxisSet::one(axis), 1)
    }

    pub(super) fn len(&mut self, axis: AxisId) -> WeakId {
        self.push(WeakOp::Len(axis), false, AxisSet::EMPTY, 1)
    }

    /// Negation of a number gives the number; `floor` and `round` of a whole value give the value.
    pub(super) fn unary(&mut self, op: UnaryOp, x: WeakId) -> WeakId {
        let weak = self.get(x);
        match (op, weak.op) {
            (UnaryOp::Neg, WeakOp::Number(value)) => self.number(-value, weak.fractional),
            (op, _) if op.is_step() && !weak.fractional => x,
            _ => {
                let whole = matches!(op, UnaryOp::Neg | UnaryOp::Abs) && !weak.fractional;
                self.push(WeakOp::Unary(op, x), !whole, weak.axes, weak.height)
            }
        }
    }

    /// Two numbers are folded in `f64`. A quotient or power of whole values is fractional: `1 / 2` is one half.
    pub(super) fn binary(&mut self, op: BinaryOp, x: WeakId, y: WeakId) -> WeakId {
        let (left, right) = (self.get(x), self.get(y));
        let fractional =
            left.fractional || right.fractional || matches!(op, BinaryOp::Div | BinaryOp::Pow);
        if let (WeakOp::Number(a), WeakOp::Number(b)) = (left.op, right.op) {
            return self.number(op.apply(a, b), fractional);
        }
        let height = left.height.max(right.height);
        self.push(WeakOp::Binary(op, x, y), fractional, left.axes | right.axes, height)
    }

    /// `axes` are those of the condition.
    pub(super) fn select(&mut self, c: NodeId, axes: AxisSet, x: WeakId, y: WeakId) -> WeakId {
        let (left, right) = (self.get(x), self.get(y));
        let fractional = left.fractional || right.fractional;
        let height = left.height.max(right.height);
        let axes = axes | left.axes | right.axes;
        self.push(WeakOp::Select(c, x, y), fractional, axes, height)
    }

    pub(super) fn reduce(&mut self, op: ReduceOp, axes: AxisSet, x: WeakId) -> WeakId {
        let weak = self.get(x);
        let op = WeakOp::Reduce(op, axes, x);
        self.push(op, weak.fractional, weak.axes - axes, weak.height)
    }

    fn push(&mut self, op: WeakOp, fractional: bool, axes: AxisSet, below: u32) -> WeakId {
        let id = WeakId(u32::try_from(self.values.len()).expect("steps are counted"));
        let position = match op {
            WeakOp::Index(_) | WeakOp::Len(_) => true,
            WeakOp::Number(_) => false,
            WeakOp::Unary(_, x) | WeakOp::Reduce(_, _, x) => self.get(x).position,
            WeakOp::Binary(_, x, y) | WeakOp::Select(_, x, y) => {
                self.get(x).position || self.get(y).position
            }
        };
        self.values.push(Weak { op, fractional, axes, position, height: below + 1 });
        id
    }

    /// Puts a weak value into the graph in a type.
    pub(super) fn settle(
        &mut self,
        builder: &mut GraphBuilder,
        id: WeakId,
        dtype: DType,
    ) -> Result<NodeId, Misfit> {
        if let Some(&node) = self.settled.get(&(id, dtype)) {
            return Ok(node);
        }
        let node = self.settle_new(builder, id, dtype)?;
        self.settled.insert((id, dtype), node);
        Ok(node)
    }

    fn settle_new(
        &mut self,
        builder: &mut GraphBuilder,
        id: WeakId,
        dtype: DType,
    ) -> Result<NodeId, Misfit> {
        let weak = self.get(id);
        if dtype == DType::Bool {
            return Err(Misfit::Truth);
        }
        if let WeakOp::Number(value) = weak.op {
            let held = types::literal(value, dtype).ok_or(Misfit::Number(value))?;
            return Ok(builder.literal(held, dtype));
        }
        if weak.fractional && !dtype.is_float() {
            return Err(Misfit::Fraction);
        }
        let computed = if weak.fractional { types::intermediate(dtype) } else { DType::I32 };
        if computed != dtype {
            let node = self.settle(builder, id, computed)?;
            return Ok(builder.cast(dtype, node));
        }
        Ok(match weak.op {
            WeakOp::Number(value) => builder.literal(value, dtype),
            WeakOp::Index(axis) => builder.index(axis),
            WeakOp::Len(axis) => builder.len(axis),
            WeakOp::Unary(op, x) => {
                let x = self.settle(builder, x, dtype)?;
                builder.unary(op, x)
            }
            WeakOp::Binary(op, x, y) => {
                let (x, y) = (self.settle(builder, x, dtype)?, self.settle(builder, y, dtype)?);
                builder.binary(op, x, y)
            }
            WeakOp::Select(c, x, y) => {
                let (x, y) = (self.settle(builder, x, dtype)?, self.settle(builder, y, dtype)?);
                builder.select(c, x, y)
            }
            WeakOp::Reduce(op, axes, x) => {
                let x = self.settle(builder, x, dtype)?;
                builder.reduce(op, axes, x)
            }
        })
    }
}
