//! Values of a nest's nodes at one position of the register tile.
//!
//! A value is computed once for each position it varies over and remembered as long as its code dominates.
//! Invariant: a memo scope is entered with every loop body and branch, and left at its end, so a remembered value
//! always dominates its next use.

use super::convert::Converter;
use super::lanes::{self, Mode, bitcast, shuffle_words, vector_type};
use super::memory::{Elements, Lanes};
use super::nest::NestEmitter;
use crate::machine::{Base, Node, NodeId, Offsets, Place, key};
use crate::math::{self, clif::ClifLanes};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use tilewright_ir::backend::Unsupported;
use tilewright_ir::{AxisId, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

impl<'f> NestEmitter<'_, 'f, '_, '_> {
    /// The value of a node at a position.
    pub(super) fn value(&mut self, id: NodeId, at: &Offsets) -> Result<Value, Unsupported> {
        let node = self.nest.dag.node(id);
        let key = key(&self.nest.dag, id, self.mode == Mode::Vector, at);
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
            Node::Literal(bits) => Ok(self.splat_literal(f64::from_bits(bits), dtype)),
            Node::Index(axis) => Ok(self.index(axis, at)),
            Node::Load(place) => Ok(self.load(place as usize, at)),
            Node::Gather(place, subscripts) => self.gather(place as usize, subscripts, at),
            Node::Unary(op, x) => {
                let x = self.value(x, at)?;
                self.unary(op, dtype, x)
            }
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
                Ok(self.select(dtype, c, x, y))
            }
            Node::Cast(x) => {
                let from = self.nest.dag.dtype(x);
                let x = self.value(x, at)?;
                Ok(self.converter().cast(from, dtype, x))
            }
            Node::Wrap(x) => {
                let from = self.nest.dag.dtype(x);
                let x = self.value(x, at)?;
                Ok(self.converter().wrap(from, dtype, x))
            }
            Node::Accumulator(_) | Node::Carried | Node::Result => {
                Err(self.phase.unsupported("a value before it is computed", self.nest))
            }
        }
    }

    pub(super) fn splat_literal(&mut self, value: f64, dtype: DType) -> Value {
        lanes::splat(&mut self.phase.b, dtype, value)
    }

    /// Elements that an offset of the register tile stands for along an axis.
    pub(super) fn elements(&self, axis: AxisId, offset: u64) -> u64 {
        let is_vector = self.nest.micro.vector == Some(axis) && self.mode == Mode::Vector;
        if is_vector { offset * self.lanes } else { offset }
    }

    pub(super) fn is_along_vector(&self, axis: AxisId) -> bool {
        self.mode == Mode::Vector && self.nest.micro.vector == Some(axis)
    }

    /// The absolute index along an axis as an i32 vector.
    fn index(&mut self, axis: AxisId, at: &Offsets) -> Value {
        let offset: u64 = at
            .iter()
            .filter(|entry| entry.0 == axis)
            .map(|entry| self.elements(axis, entry.1))
            .sum();
        let mut index = self.phase.constant(offset);
        let parts = [self.phase.block(axis).start, self.indices.get(&axis).copied()];
        for part in parts.into_iter().flatten() {
            index = self.phase.b.ins().iadd(index, part);
        }
        let narrow = self.phase.b.ins().ireduce(types::I32, index);
        let splat = self.phase.b.ins().splat(types::I32X4, narrow);
        if !self.is_along_vector(axis) {
            return splat;
        }
        let numbers = lanes::lane_numbers(&mut self.phase.b);
        self.phase.b.ins().iadd(splat, numbers)
    }

    /// Loads from a place at a position.
    pub(super) fn load(&mut self, position: usize, at: &Offsets) -> Value {
        self.load_from(position, self.pointers[position], at)
    }

    /// How loads of a place may be moved.
    pub(super) fn load_flags(&self, position: usize) -> MemFlagsData {
        let place = self.places[position];
        let target = self.places.len() - 1;
        let is_target = place.base == self.places[target].base;
        let constant = place.constant || matches!(place.base, Base::Scratch(_)) && !is_target;
        let flags = MemFlagsData::new().with_notrap();
        if constant { flags.with_readonly().with_can_move() } else { flags }
    }

    /// Bytes from the pointer of a place to its element at a position.
    pub(super) fn displacement(&self, position: usize, at: &Offsets) -> i64 {
        let place = self.places[position];
        at.iter().map(|&(axis, offset)| place.offset_bytes(axis, self.elements(axis, offset))).sum()
    }

    /// Loads from a place whose pointer has been moved.
    pub(super) fn load_from(&mut self, position: usize, pointer: Value, at: &Offsets) -> Value {
        let place = self.places[position];
        let flags = self.load_flags(position);
        let offset = self.displacement(position, at);
        let along = self.nest.micro.vector.filter(|&axis| self.is_along_vector(axis));
        let stride = along.and_then(|axis| place.term(axis)).map(|term| term.stride_bytes);
        let stride = stride.filter(|&stride| stride != 0);
        let mode = self.mode;
        let (lanes, dtype) = (self.lanes, place.dtype);
        if place.packed {
            let is_even = self.begins_a_byte(place);
            let from = Elements { at: pointer, displacement: offset, stride: stride.unwrap_or(0) };
            let lanes = match (stride, mode) {
                (Some(_), _) => Lanes::Along(lanes),
                (None, Mode::Vector) => Lanes::Same,
                (None, Mode::One) => Lanes::First,
            };
            return self.converter().load_packed(lanes, flags, from, is_even);
        }
        let mut convert = self.converter();
        match (stride, mode) {
            (Some(stride), _) => {
                let from = Elements { at: pointer, displacement: offset, stride };
                convert.load_lanes(dtype, lanes, flags, from)
            }
            (None, Mode::Vector) => convert.load_splat(dtype, flags, (pointer, offset)),
            (None, Mode::One) => convert.load_one(dtype, flags, (pointer, offset)),
        }
    }

    /// Whether every vector along the vector axis of a packed place begins a byte: the blocks and register tiles of that
    /// axis are even, and so are the strides of the others.
    fn begins_a_byte(&self, place: &Place) -> bool {
        let even = |stride: &i64| stride % 2 == 0;
        even(&place.origin_bytes)
            && place.picks.iter().all(even)
            && place.terms.iter().all(|term| {
                let block = self.phase.block(term.axis);
                let even_blocks = block.start.is_none() || block.step.is_multiple_of(2);
                let along = self.is_along_vector(term.axis) && even_blocks;
                let single = self.phase.axes.extent(term.axis) <= 1;
                term.stride_bytes % 2 == 0 || single || along
            })
    }

    /// Stores a value into the target at a position.
    pub(super) fn store(&mut self, at: &Offsets, value: Value) {
        let place = &self.nest.target;
        let offset: i64 = at
            .iter()
            .map(|&(axis, offset)| place.offset_bytes(axis, self.elements(axis, offset)))
            .sum();
        let pointer = *self.pointers.last().expect("the target is the last place");
        let along = self.nest.micro.vector.filter(|&axis| self.is_along_vector(axis));
        let stride = along.and_then(|axis| place.term(axis)).map_or(0, |term| term.stride_bytes);
        let lane_count = if self.mode == Mode::Vector { self.lanes } else { 1 };
        let (dtype, to) = (place.dtype, Elements { at: pointer, displacement: offset, stride });
        self.converter().store(dtype, lane_count, value, to);
    }

    /// Conversions, loads and stores at the current position.
    pub(super) fn converter(&mut self) -> Converter<'_, 'f> {
        Converter { abilities: self.phase.abilities, b: &mut self.phase.b }
    }

    fn unary(&mut self, op: UnaryOp, dtype: DType, x: Value) -> Result<Value, Unsupported> {
        let result = match op {
            UnaryOp::Not if dtype == DType::Bool => Some(self.phase.b.ins().bnot(x)),
            UnaryOp::Neg if dtype.is_integer() => Some(self.phase.b.ins().ineg(x)),
            UnaryOp::Abs if dtype.is_integer() => Some(self.phase.b.ins().iabs(x)),
            _ if op.is_step() && dtype.is_integer() => Some(x),
            _ if dtype.is_float() => {
                let abilities = self.phase.abilities;
                let mut lanes = ClifLanes::new(&mut self.phase.b, dtype == DType::F64, abilities);
                math::unary(&mut lanes, op, x)
            }
            _ => None,
        };
        let result = result
            .ok_or_else(|| self.phase.unsupported(format!("`{op}` of {dtype}"), self.nest))?;
        Ok(self.converter().settle(dtype, result))
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        dtype: DType,
        x: Value,
        y: Value,
    ) -> Result<Value, Unsupported> {
        let float = dtype.is_float();
        let lanes = self.lanes;
        let b = &mut self.phase.b;
        let result = match op {
            BinaryOp::Add if float => b.ins().fadd(x, y),
            BinaryOp::Sub if float => b.ins().fsub(x, y),
            BinaryOp::Mul if float => b.ins().fmul(x, y),
            BinaryOp::Div if float => b.ins().fdiv(x, y),
            BinaryOp::Max if float => self.float_extreme(FloatCC::GreaterThan, x, y),
            BinaryOp::Min if float => self.float_extreme(FloatCC::LessThan, x, y),
            BinaryOp::And => b.ins().band(x, y),
            BinaryOp::Or => b.ins().bor(x, y),
            BinaryOp::Add => b.ins().iadd(x, y),
            BinaryOp::Sub => b.ins().isub(x, y),
            BinaryOp::Mul => b.ins().imul(x, y),
            BinaryOp::Max => b.ins().smax(x, y),
            BinaryOp::Min => b.ins().smin(x, y),
            BinaryOp::Pow if float => {
                let abilities = self.phase.abilities;
                let mut lanes = ClifLanes::new(&mut self.phase.b, dtype == DType::F64, abilities);
                math::power(&mut lanes, x, y)
            }
            BinaryOp::Div => {
                let lanes = if self.mode == Mode::Vector { lanes } else { 1 };
                self.converter().divide(lanes, x, y)
            }
            BinaryOp::Pow => {
                return Err(self.phase.unsupported(format!("`{op}` of {dtype}"), self.nest));
            }
        };
        Ok(self.converter().settle(dtype, result))
    }

    /// The larger (or smaller) of two vectors; NaN where either is NaN. The comparison alone gives `y` when unordered,
    /// so a NaN in `x` is put back by its own mask.
    fn float_extreme(&mut self, wins: FloatCC, x: Value, y: Value) -> Value {
        let b = &mut self.phase.b;
        let ty = b.func.dfg.value_type(x);
        let wins = b.ins().fcmp(wins, x, y);
        let wins = bitcast(b, ty, wins);
        let chosen = b.ins().bitselect(wins, x, y);
        let unordered = b.ins().fcmp(FloatCC::Unordered, x, x);
        let unordered = bitcast(b, ty, unordered);
        b.ins().bor(chosen, unordered)
    }

    /// Folds a term into an accumulator.
    pub(super) fn fold(
        &mut self,
        op: ReduceOp,
        dtype: DType,
        term: Value,
        so_far: Value,
    ) -> Result<Value, Unsupported> {
        let Some(fold) = op.fold() else {
            return Err(self.phase.unsupported(format!("`{op}`"), self.nest));
        };
        self.binary(fold, dtype, term, so_far)
    }

    /// `x * y + z`, rounded once where the machine can.
    pub(super) fn multiply_add(&mut self, x: Value, y: Value, z: Value) -> Value {
        if self.phase.abilities.fused {
            return self.phase.b.ins().fma(x, y, z);
        }
        let product = self.phase.b.ins().fmul(x, y);
        self.phase.b.ins().fadd(z, product)
    }

    /// A pointer moved by a constant.
    pub(super) fn add_constant(&mut self, pointer: Value, bytes: i64) -> Value {
        self.phase.b.ins().iadd_imm_s(pointer, bytes)
    }

    fn compare(&mut self, op: CompareOp, operand: DType, x: Value, y: Value) -> Value {
        let b = &mut self.phase.b;
        if !operand.is_float() {
            let cc = match op {
                CompareOp::Lt => IntCC::SignedLessThan,
                CompareOp::Le => IntCC::SignedLessThanOrEqual,
                CompareOp::Gt => IntCC::SignedGreaterThan,
                CompareOp::Ge => IntCC::SignedGreaterThanOrEqual,
                CompareOp::Eq => IntCC::Equal,
                CompareOp::Ne => IntCC::NotEqual,
            };
            return b.ins().icmp(cc, x, y);
        }
        let cc = match op {
            CompareOp::Lt => FloatCC::LessThan,
            CompareOp::Le => FloatCC::LessThanOrEqual,
            CompareOp::Gt => FloatCC::GreaterThan,
            CompareOp::Ge => FloatCC::GreaterThanOrEqual,
            CompareOp::Eq => FloatCC::Equal,
            CompareOp::Ne => FloatCC::NotEqual,
        };
        let mask = b.ins().fcmp(cc, x, y);
        if operand != DType::F64 {
            return mask;
        }
        self.converter().narrow_mask(mask)
    }

    fn select(&mut self, dtype: DType, c: Value, x: Value, y: Value) -> Value {
        let b = &mut self.phase.b;
        let mask = if dtype == DType::F64 { b.ins().swiden_low(c) } else { c };
        self.choose_by_bits(mask, x, y)
    }

    /// The bits of `x` where the mask's bits are set, else those of `y`.
    pub(super) fn choose_by_bits(&mut self, mask: Value, x: Value, y: Value) -> Value {
        let b = &mut self.phase.b;
        let ty = b.func.dfg.value_type(x);
        let mask = bitcast(b, ty, mask);
        b.ins().bitselect(mask, x, y)
    }

    /// Lanes `width..` moved down to lane 0.
    pub(super) fn lanes_down(&mut self, dtype: DType, value: Value, width: u64) -> Value {
        let ty = vector_type(dtype);
        let b = &mut self.phase.b;
        let bytes = bitcast(b, types::I8X16, value);
        let words = match (dtype == DType::F64, width) {
            (true, _) | (false, 2) => [2, 3, 2, 3],
            (false, _) => [1, 1, 1, 1],
        };
        let moved = shuffle_words(b, bytes, words);
        bitcast(b, ty, moved)
    }
}
