//! What a leaf means, one lane after the other.
//!
//! `lanes` computes elements; here are control, memory and registers. Memory is a list of regions at the addresses that
//! the frame's pointers name. Where program.rs leaves bits open (the upper lanes of a shift of lanes, lanes beyond the
//! width of an operation), they are zeros here.
//! Invariant: an access outside of the regions is an error, as is a read of a register that nothing assigned.

mod lanes;
mod tiles;

use super::program::{
    Address, Element, Lane, Leaf, Limit, Logic, Narrow, Node, Op, Operand, Predicate, Scalar, Span,
    Vector,
};
use super::tiles::TILES;
use lanes::Value;

/// Bytes at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The address of the first byte.
    pub start: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Runs a leaf on a frame.
///
/// # Errors
/// A sentence about the access or the register that was wrong.
pub fn interpret(leaf: &Leaf, frame: &[u64], memory: &mut [Region]) -> Result<(), String> {
    let mut machine = Machine {
        lanes: leaf.lanes as usize,
        frame,
        memory,
        vectors: vec![None; leaf.vectors as usize],
        predicates: vec![None; leaf.predicates as usize],
        scalars: vec![None; leaf.scalars as usize],
        tiles: [None; TILES],
    };
    for op in &leaf.constants {
        machine.op(op)?;
    }
    machine.nodes(&leaf.body)
}

struct Machine<'a> {
    lanes: usize,
    frame: &'a [u64],
    memory: &'a mut [Region],
    vectors: Vec<Option<Value>>,
    predicates: Vec<Option<u32>>,
    scalars: Vec<Option<i64>>,
    tiles: [Option<tiles::Rows>; TILES],
}

impl Machine<'_> {
    fn vector(&self, of: Vector) -> Result<Value, String> {
        self.vectors[of.0 as usize].ok_or_else(|| format!("{of:?} is not assigned"))
    }

    fn predicate(&self, of: Predicate) -> Result<u32, String> {
        self.predicates[of.0 as usize].ok_or_else(|| format!("{of:?} is not assigned"))
    }

    fn scalar(&self, of: Scalar) -> Result<i64, String> {
        self.scalars[of.0 as usize].ok_or_else(|| format!("{of:?} is not assigned"))
    }

    fn all(&self) -> u32 {
        (1 << self.lanes) - 1
    }

    fn place(&self, address: u64, bytes: u64) -> Result<(usize, usize), String> {
        let within = |region: &Region| {
            let offset = address.checked_sub(region.start)?;
            (offset + bytes <= region.bytes.len() as u64).then_some(offset as usize)
        };
        let mut places = self.memory.iter().enumerate();
        let found = places.find_map(|(number, region)| Some((number, within(region)?)));
        found.ok_or_else(|| format!("no region has the {bytes} bytes at {address:#x}"))
    }

    fn read(&self, address: u64, bytes: u64) -> Result<u64, String> {
        let (region, offset) = self.place(address, bytes)?;
        let mut word = [0; 8];
        let bytes = bytes as usize;
        word[..bytes].copy_from_slice(&self.memory[region].bytes[offset..offset + bytes]);
        Ok(u64::from_le_bytes(word))
    }

    fn write(&mut self, address: u64, bytes: u64, value: u64) -> Result<(), String> {
        let (region, offset) = self.place(address, bytes)?;
        let bytes = bytes as usize;
        let to = &mut self.memory[region].bytes[offset..offset + bytes];
        to.copy_from_slice(&value.to_le_bytes()[..bytes]);
        Ok(())
    }

    fn address(&self, at: Address) -> Result<u64, String> {
        Ok(self.scalar(at.base)?.wrapping_add(i64::from(at.displacement)) as u64)
    }

    fn operand(&self, of: Operand, bytes: u64) -> Result<Value, String> {
        let (at, step) = match of {
            Operand::Vector(of) => return self.vector(of),
            Operand::Splat(at) => (self.address(at)?, 0),
            Operand::Memory(at) => (self.address(at)?, bytes),
        };
        let mut value = Value::default();
        for lane in 0..self.lanes {
            value.set(lane, bytes, self.read(at + step * lane as u64, bytes)?);
        }
        Ok(value)
    }

    fn nodes(&mut self, nodes: &[Node]) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Op(op) => self.op(op)?,
                Node::Loop { index, end, step, entered, body } => {
                    let mut known = *entered;
                    while known || self.scalar(*index)? < self.limit(*end)? {
                        known = false;
                        self.nodes(body)?;
                        let next = self.scalar(*index)?.wrapping_add(*step);
                        self.scalars[index.0 as usize] = Some(next);
                    }
                }
                Node::If { condition, then, otherwise } => {
                    let taken = if self.scalar(*condition)? == 0 { otherwise } else { then };
                    self.nodes(taken)?;
                }
                Node::IfAny { mask, then } => {
                    if self.predicate(*mask)? != 0 {
                        self.nodes(then)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn limit(&self, end: Limit) -> Result<i64, String> {
        match end {
            Limit::Constant(value) => Ok(value),
            Limit::Scalar(end) => self.scalar(end),
        }
    }

    fn op(&mut self, op: &Op) -> Result<(), String> {
        if let Some((to, value)) = self.computed(op)? {
            self.vectors[to.0 as usize] = Some(value);
        } else if let Some((to, value)) = self.judged(op)? {
            self.predicates[to.0 as usize] = Some(value & self.all());
        } else if let Some((to, value)) = self.counted(op)? {
            self.scalars[to.0 as usize] = Some(value);
        } else {
            self.stored(op)?;
        }
        Ok(())
    }

    /// A vector of what each lane is.
    fn each(&self, of: &dyn Fn(usize) -> u64, bytes: u64) -> Value {
        let mut value = Value::default();
        (0..self.lanes).for_each(|lane| value.set(lane, bytes, of(lane)));
        value
    }

    /// What a shuffle gives.
    fn shuffled(&self, op: &Op) -> Result<Value, String> {
        match *op {
            Op::LookUp { table, at, .. } => {
                let (table, at) = (self.vector(table)?, self.vector(at)?);
                let of = |i| table.bits((at.bits(i, Lane::I32) % 16) as usize, Lane::I32);
                Ok(self.each(&of, 4))
            }
            Op::LookUpHalves { table, at, .. } => {
                let (table, at) = (self.vector(table)?, self.vector(at)?);
                let half =
                    |of: &Value, i: usize| of.bits(i / 2, Lane::I32) >> (16 * (i % 2)) & 0xffff;
                let found = |i| half(&table, half(&at, i) as usize % (2 * self.lanes));
                Ok(self.each(&|i| found(2 * i) | found(2 * i + 1) << 16, 4))
            }
            Op::Halve { x, y, .. } => {
                let (x, y) = (self.vector(x)?, self.vector(y)?);
                let half = |i: usize| {
                    let of = if i < self.lanes { &x } else { &y };
                    lanes::bf16_half(of.bits(i % self.lanes, Lane::F32))
                };
                Ok(self.each(&|i| half(2 * i) | half(2 * i + 1) << 16, 4))
            }
            Op::Zip { lane, unit, high, x, y, .. } => {
                let (x, y, unit) = (self.vector(x)?, self.vector(y)?, usize::from(unit));
                let piece = 16 / lane.bytes() as usize;
                let of = |i: usize| {
                    let (start, inside) = (i / piece * piece, i % piece);
                    let group = inside / (2 * unit) + if high { piece / (2 * unit) } else { 0 };
                    let from = if (inside / unit).is_multiple_of(2) { &x } else { &y };
                    from.bits(start + group * unit + inside % unit, lane)
                };
                Ok(self.each(&of, lane.bytes()))
            }
            Op::Pieces { lane, x, y, pick, .. } => {
                let (x, y) = (self.vector(x)?, self.vector(y)?);
                let piece = 16 / lane.bytes() as usize;
                let pieces = self.lanes / piece;
                let of = |i: usize| {
                    let number = i / piece;
                    let from = if number < pieces / 2 { &x } else { &y };
                    let shift = number as u32 * pieces.ilog2();
                    let source = usize::from(pick) >> shift & (pieces - 1);
                    from.bits(source * piece + i % piece, lane)
                };
                Ok(self.each(&of, lane.bytes()))
            }
            _ => Err("no shuffle of two vectors".to_string()),
        }
    }

    /// The vector that an operation assigns.
    fn computed(&self, op: &Op) -> Result<Option<(Vector, Value)>, String> {
        let each = |of: &dyn Fn(usize) -> u64, bytes: u64| self.each(of, bytes);
        Ok(Some(match *op {
            Op::Constant { to, lane, bits } => (to, each(&|_| bits, lane.bytes())),
            Op::LaneNumbers { to } => (to, each(&|lane| lane as u64, 4)),
            Op::Copy { to, x } => (to, self.vector(x)?),
            Op::Dyad { op, lane, to, x, y } => {
                let (x, y) = (self.vector(x)?, self.operand(y, lane.bytes())?);
                let of = |i| lanes::dyad(op, lane, x.bits(i, lane), y.bits(i, lane));
                (to, each(&of, lane.bytes()))
            }
            Op::Monad { op, lane, to, x } => {
                let x = self.vector(x)?;
                let bytes = lanes::monad_bytes(op, lane);
                (to, each(&|i| lanes::monad(op, lane, x.bits(i, lane)), bytes))
            }
            Op::Shift { op, lane, to, x, count } => {
                let x = self.vector(x)?;
                (to, each(&|i| lanes::shift(op, lane, x.bits(i, lane), count), lane.bytes()))
            }
            Op::MultiplyAdd { lane, to, x, y, z } => {
                let (x, z) = (self.vector(x)?, self.vector(z)?);
                let y = self.operand(y, lane.bytes())?;
                let of = |i| {
                    lanes::multiply_add(lane, x.bits(i, lane), y.bits(i, lane), z.bits(i, lane))
                };
                (to, each(&of, lane.bytes()))
            }
            Op::Dot { of, to, x, y, z } => (to, self.dot(of, (x, y, z))?),
            Op::Words { to, words } => (to, each(&|lane| u64::from(words[lane % 16]), 4)),
            Op::Scale { lane, to, x, y, mask } => {
                let (x, y) = (self.vector(x)?, self.vector(y)?);
                let mask = mask.map(|mask| self.predicate(mask)).transpose()?;
                let of = |i| match mask.is_some_and(|mask| mask >> i & 1 == 0) {
                    true => 0,
                    false => lanes::scale(lane, x.bits(i, lane), y.bits(i, lane)),
                };
                (to, each(&of, lane.bytes()))
            }
            Op::Select { lane, to, mask, yes, no } => {
                let (mask, yes, no) = (self.predicate(mask)?, self.vector(yes)?, self.vector(no)?);
                let of = |i| if mask >> i & 1 == 1 { yes.bits(i, lane) } else { no.bits(i, lane) };
                (to, each(&of, lane.bytes()))
            }
            Op::LanesDown { lane, to, x, count } => {
                let (x, count) = (self.vector(x)?, usize::from(count));
                let of = |i| if i + count < self.lanes { x.bits(i + count, lane) } else { 0 };
                (to, each(&of, lane.bytes()))
            }
            Op::Zip { to, .. } | Op::Pieces { to, .. } | Op::LookUp { to, .. } => {
                (to, self.shuffled(op)?)
            }
            Op::LookUpHalves { to, .. } | Op::Halve { to, .. } => (to, self.shuffled(op)?),
            Op::Splat { lane, to, from } => {
                let from = self.scalar(from)? as u64;
                (to, each(&|_| from, lane.bytes()))
            }
            Op::Nibbles { to, at, bytes } => (to, self.nibbles(at, bytes)?),
            Op::Load { element, to, at, span } => (to, self.load(element, at, span)?),
            Op::Gather { element, to, at, index, mask } => {
                let (at, index) = (self.address(at)?, self.vector(index)?);
                let mask = mask.map_or(Ok(self.all()), |mask| self.predicate(mask))?;
                let mut value = Value::default();
                for lane in (0..self.lanes).filter(|lane| mask >> lane & 1 == 1) {
                    let bits = self.read(index.added(lane, at), element.bytes())?;
                    value.set(lane, element.lane_bytes(), lanes::widen(element, bits));
                }
                (to, value)
            }
            _ => return Ok(None),
        }))
    }

    fn load(&self, element: Element, at: Address, span: Span) -> Result<Value, String> {
        let at = self.address(at)?;
        let (mask, step) = match span {
            Span::Whole => (self.all(), element.bytes()),
            Span::Where(mask) => (self.predicate(mask)?, element.bytes()),
            Span::Splat => (self.all(), 0),
            Span::First => (1, 0),
        };
        let mut value = Value::default();
        for lane in (0..self.lanes).filter(|lane| mask >> lane & 1 == 1) {
            let bits = self.read(at + step * lane as u64, element.bytes())?;
            value.set(lane, element.lane_bytes(), lanes::widen(element, bits));
        }
        Ok(value)
    }

    fn dot(&self, of: Narrow, (x, y, z): (Vector, Operand, Vector)) -> Result<Value, String> {
        let (x, y, z) = (self.vector(x)?, self.operand(y, 4)?, self.vector(z)?);
        let word = |of: &Value, lane: usize| of.bits(lane, Lane::I32) as u32;
        let sum = |lane| u64::from(lanes::dot(of, word(&x, lane), word(&y, lane), word(&z, lane)));
        Ok(self.each(&sum, 4))
    }

    fn nibbles(&self, at: Address, bytes: Option<Predicate>) -> Result<Value, String> {
        let at = self.address(at)?;
        let mask = bytes.map_or(Ok(self.all()), |mask| self.predicate(mask))?;
        let mut value = Value::default();
        for byte in (0..self.lanes / 2).filter(|byte| mask >> byte & 1 == 1) {
            let bits = self.read(at + byte as u64, 1)? as u8;
            for (lane, half) in [(2 * byte, bits << 4), (2 * byte + 1, bits)] {
                let number = i32::from(half.cast_signed() >> 4);
                value.set(lane, 4, u64::from(number.cast_unsigned()));
            }
        }
        Ok(value)
    }

    /// The truth values that an operation assigns.
    fn judged(&self, op: &Op) -> Result<Option<(Predicate, u32)>, String> {
        Ok(Some(match *op {
            Op::Compare { op, lane, to, x, y } => {
                let (x, y) = (self.vector(x)?, self.operand(y, lane.bytes())?);
                let of = |i: usize| lanes::condition(op, lane, x.bits(i, lane), y.bits(i, lane));
                (to, (0..self.lanes).fold(0, |mask, i| mask | u32::from(of(i)) << i))
            }
            Op::Logic { op, to, x, y } => {
                let (x, y) = (self.predicate(x)?, self.predicate(y)?);
                let value = match op {
                    Logic::And => x & y,
                    Logic::Or => x | y,
                    Logic::Xor => x ^ y,
                    Logic::AndNot => !x & y,
                };
                (to, value)
            }
            Op::Not { to, x } => (to, !self.predicate(x)?),
            Op::Always { to, value } => (to, if value { self.all() } else { 0 }),
            Op::FirstLanes { to, count } => {
                let count = self.scalar(count)?;
                if !(0..self.lanes as i64).contains(&count) {
                    return Err(format!("the first {count} lanes of {}", self.lanes));
                }
                (to, (1 << count) - 1)
            }
            _ => return Ok(None),
        }))
    }

    /// The scalar that an operation assigns.
    fn counted(&self, op: &Op) -> Result<Option<(Scalar, i64)>, String> {
        Ok(Some(match *op {
            Op::Set { to, value } => (to, value),
            Op::Move { to, x } => (to, self.scalar(x)?),
            Op::AddConstant { to, x, value } => (to, self.scalar(x)?.wrapping_add(value)),
            Op::Add { to, x, y } => (to, self.scalar(x)?.wrapping_add(self.scalar(y)?)),
            Op::Subtract { to, x, y } => (to, self.scalar(x)?.wrapping_sub(self.scalar(y)?)),
            Op::MultiplyConstant { to, x, value } => (to, self.scalar(x)?.wrapping_mul(value)),
            Op::DivideConstant { to, x, value } => {
                let x = self.scalar(x)?;
                if !(0..=1 << 40).contains(&x) || !(1..=1 << 20).contains(&value) {
                    return Err(format!("{x} divided by {value}"));
                }
                (to, x / value as i64)
            }
            Op::Frame { to, word } => {
                let word = self.frame.get(word as usize);
                (to, *word.ok_or("the frame has no such word")? as i64)
            }
            _ => return Ok(None),
        }))
    }

    fn stored(&mut self, op: &Op) -> Result<(), String> {
        match *op {
            Op::Store { element, from, at, span, .. } => {
                let (at, from) = (self.address(at)?, self.vector(from)?);
                let mask = match span {
                    Span::Whole => self.all(),
                    Span::Where(mask) => self.predicate(mask)?,
                    Span::First => 1,
                    Span::Splat => return Err("a store of one element to all".to_string()),
                };
                for lane in (0..self.lanes).filter(|lane| mask >> lane & 1 == 1) {
                    let bits = lanes::narrow(element, from.get(lane, element.lane_bytes()));
                    self.write(at + element.bytes() * lane as u64, element.bytes(), bits)?;
                }
            }
            Op::Scatter { element, from, at, index, mask } => {
                let (at, from, index) =
                    (self.address(at)?, self.vector(from)?, self.vector(index)?);
                let mask = mask.map_or(Ok(self.all()), |mask| self.predicate(mask))?;
                for lane in (0..self.lanes).filter(|lane| mask >> lane & 1 == 1) {
                    let bits = lanes::narrow(element, from.get(lane, element.lane_bytes()));
                    self.write(index.added(lane, at), element.bytes(), bits)?;
                }
            }
            Op::Tile(ref op) => self.tile_op(op)?,
            _ => {}
        }
        Ok(())
    }
}
