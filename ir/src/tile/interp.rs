//! The meaning of a tile program in f64: every statement evaluated block by block, in program order.
//!
//! Only meaning counts: layouts, panels, micro and threads are ignored. Memory that nothing has written reads as
//! NaN, so a program that reads too early or outside its block shows. Invariant: nothing is rounded but conversions
//! to integers and to `bool`.

use super::interp_tile::{Block, Ranges, contract, map, odometer, zip};
use super::{Bounds, Carry, For, Phase, Place, Scope, Span, Stmt, TileProgram};
use crate::base::{AxisId, AxisSet, BufferId, Expr, ExprRef, LocalId};
use crate::reference::{HostTensor, scalar};
use std::collections::BTreeMap;

/// Runs a tile program in f64 without rounding: one value list for each output, row-major.
///
/// `inputs` are in signature order, with the shapes of the buffers. The program has passed `verify`.
pub fn interpret(program: &TileProgram, inputs: &[HostTensor]) -> Vec<Vec<f64>> {
    let extents = program.axes.ids().map(|axis| (0, program.axes.extent(axis)));
    let mut machine = Machine {
        program,
        ranges: Ranges(extents.collect()),
        memory: program.buffers.iter().map(|_| vec![]).collect(),
        lets: BTreeMap::new(),
        carried: BTreeMap::new(),
    };
    let mut inputs = inputs.iter();
    for (index, buffer) in program.buffers.iter().enumerate() {
        machine.memory[index] = match buffer.scope {
            Scope::Input => inputs.next().map(HostTensor::to_f64).unwrap_or_default(),
            _ => machine.fresh(index),
        };
    }
    program.phases.iter().for_each(|phase| machine.phase(phase));
    let outputs = program.buffers.iter().zip(machine.memory);
    outputs.filter(|(buffer, _)| buffer.scope == Scope::Output).map(|(_, values)| values).collect()
}

/// A carry's values over the block that its loop began with.
struct Carried {
    ranges: Ranges,
    block: Block,
}

struct Machine<'a> {
    program: &'a TileProgram,
    ranges: Ranges,
    /// The values of each buffer, row-major over its spans.
    memory: Vec<Vec<f64>>,
    lets: BTreeMap<LocalId, &'a Expr>,
    carried: BTreeMap<LocalId, Carried>,
}

/// Lets that one statement has evaluated; a let has one value at one position of the loops.
type Known = BTreeMap<LocalId, Block>;

impl<'a> Machine<'a> {
    fn fresh(&self, buffer: usize) -> Vec<f64> {
        let buffer = &self.program.buffers[buffer];
        let spans = (0..buffer.axes.len()).map(|axis| buffer.span(axis, &self.program.axes));
        vec![f64::NAN; spans.product::<u64>() as usize]
    }

    fn phase(&mut self, phase: &'a Phase) {
        self.blocks(&phase.grid.axes, &BTreeMap::new(), &mut |machine| {
            for buffer in &phase.group {
                machine.memory[buffer.index()] = machine.fresh(buffer.index());
            }
            machine.body(&phase.body);
        });
    }

    /// Runs `visit` with the ranges set to each combination of blocks that the bounds leave, the last axis fastest.
    fn blocks(
        &mut self,
        axes: &[(AxisId, u64)],
        bounds: &BTreeMap<AxisId, Bounds>,
        visit: &mut dyn FnMut(&mut Self),
    ) {
        let Some(((axis, step), inner)) = axes.split_first() else {
            return visit(self);
        };
        let whole = self.ranges.0[axis.index()];
        let (mut start, end) = match bounds.get(axis) {
            Some(bounds) => self.visited(bounds, *axis, *step),
            None => whole,
        };
        while start < end {
            let next = start.saturating_add((*step).max(1)).min(end);
            self.ranges.0[axis.index()] = (start, next);
            self.blocks(inner, bounds, visit);
            start = next;
        }
        self.ranges.0[axis.index()] = whole;
    }

    fn visited(&self, bounds: &Bounds, axis: AxisId, step: u64) -> (u64, u64) {
        let index = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        let block = |axis: AxisId| {
            let (start, end) = self.ranges.0[axis.index()];
            (index(start), index(end.max(start + 1) - 1))
        };
        bounds.visited((self.program.axes.extent(axis), step), &block)
    }

    fn body(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { local, expr } => {
                    self.lets.insert(*local, expr);
                }
                Stmt::Stage { buffer, expr, .. } => {
                    let value = self.eval(expr, &mut Known::new());
                    self.memory[buffer.index()] = self.fresh(buffer.index());
                    self.store(*buffer, &value);
                }
                Stmt::Store { buffer, expr, .. } => {
                    let value = self.eval(expr, &mut Known::new());
                    self.store(*buffer, &value);
                }
                Stmt::Scan(scan) => {
                    let buffer = &self.program.buffers[scan.buffer.index()];
                    let value = self.eval(&scan.expr, &mut Known::new());
                    let value = value.spread(set(&buffer.axes), &self.ranges);
                    let value = value.scan((scan.op, buffer.dtype), scan.axis, &self.ranges);
                    self.store(scan.buffer, &value);
                }
                Stmt::For(inner) => self.r#for(inner),
            }
        }
    }

    fn r#for(&mut self, inner: &'a For) {
        for carry in &inner.carries {
            let block = Block::filled(set(&carry.axes), &self.ranges, carry.start.value);
            self.carry(carry, block);
        }
        self.blocks(&inner.axes, &inner.bounds, &mut |machine| {
            machine.body(&inner.body);
            let mut known = Known::new();
            let next: Vec<_> =
                inner.carries.iter().map(|carry| machine.eval(&carry.next, &mut known)).collect();
            for (carry, block) in inner.carries.iter().zip(next) {
                machine.update(carry, block);
            }
        });
        // Each epilogue sees its own carry only, so that the order of the carries does not matter.
        for carry in &inner.carries {
            if let Some(last) = &carry.last {
                let block = self.eval(last, &mut Known::new());
                self.update(carry, block);
            }
        }
        for carry in &inner.carries {
            if let Place::Out(buffer) = carry.place {
                let value = self.carried[&carry.local].block.clone();
                self.store(buffer, &value);
            }
        }
    }

    fn carry(&mut self, carry: &Carry, block: Block) {
        self.carried.insert(carry.local, Carried { ranges: self.ranges.clone(), block });
    }

    /// Replaces a carry's values; its axes are not looped over by its own loop, so the ranges are those at its start.
    fn update(&mut self, carry: &Carry, block: Block) {
        let block = block.spread(set(&carry.axes), &self.ranges);
        if let Some(carried) = self.carried.get_mut(&carry.local) {
            carried.block = block;
        }
    }

    fn eval(&self, expr: &'a Expr, known: &mut Known) -> Block {
        let ranges = &self.ranges;
        match expr {
            Expr::Literal(literal) => Block::scalar(literal.value),
            Expr::Local(local) => self.local(*local, known),
            Expr::Load(buffer) => self.load(*buffer),
            Expr::At(buffer, picks) => {
                let indices = picks.iter().map(|(axis, x)| (*axis, self.eval(x, known))).collect();
                self.gathered(*buffer, &indices, expr.axes(self.program))
            }
            Expr::Index(axis) => {
                let (start, end) = ranges.0[axis.index()];
                Block {
                    axes: vec![*axis],
                    values: (start..end).map(|index| index as f64).collect(),
                }
            }
            Expr::Len(axis) => Block::scalar(self.program.axes.extent(*axis) as f64),
            Expr::Unary(op, x) => {
                let dtype = x.dtype(self.program);
                let mut x = self.eval(x, known);
                x.values.iter_mut().for_each(|x| *x = scalar::unary(*op, dtype, *x));
                x
            }
            Expr::Binary(op, x, y) => {
                let dtype = x.dtype(self.program);
                let (x, y) = (self.eval(x, known), self.eval(y, known));
                zip(&x, &y, ranges, |x, y| scalar::binary(*op, dtype, x, y))
            }
            Expr::Compare(op, x, y) => {
                let (x, y) = (self.eval(x, known), self.eval(y, known));
                zip(&x, &y, ranges, |x, y| f64::from(u8::from(op.apply(x, y))))
            }
            Expr::Select(c, x, y) => {
                let blocks = [c, x, y].map(|part| self.eval(part, known));
                let axes =
                    blocks.iter().map(|block| set(&block.axes)).fold(AxisSet::EMPTY, |s, x| s | x);
                map(axes, ranges, blocks.each_ref(), |[c, x, y]| if c != 0.0 { x } else { y })
            }
            Expr::Cast(dtype, x) => {
                let mut x = self.eval(x, known);
                x.values.iter_mut().for_each(|x| *x = scalar::cast(*dtype, *x));
                x
            }
            Expr::Wrap(dtype, x) => {
                let mut x = self.eval(x, known);
                x.values.iter_mut().for_each(|x| *x = scalar::wrap(*dtype, *x));
                x
            }
            Expr::Reduce(op, axes, x) => {
                let dtype = x.dtype(self.program);
                self.eval(x, known).reduce((*op, dtype), *axes, ranges)
            }
            Expr::Mma(axes, a, b, c) => {
                let blocks = [a, b, c].map(|part| self.eval(part, known));
                contract((*axes, c.dtype(self.program)), blocks.each_ref(), ranges)
            }
        }
    }

    fn local(&self, local: LocalId, known: &mut Known) -> Block {
        if let Some(carried) = self.carried.get(&local) {
            return self.slice(carried);
        }
        // A list of what waits instead of recursion: programs have chains of thousands of names.
        let mut waiting = vec![local];
        while let Some(&next) = waiting.last() {
            let Some(expr) = self.lets.get(&next).filter(|_| !known.contains_key(&next)) else {
                waiting.pop();
                continue;
            };
            let missing = self.missing(expr, known);
            if missing.is_empty() {
                let axes = self.program.local(next).1;
                let block = self.eval(expr, known).spread(axes, &self.ranges);
                known.insert(next, block);
            }
            waiting.extend(missing);
        }
        known.get(&local).cloned().unwrap_or_else(|| Block::scalar(f64::NAN))
    }

    /// The names in an expression whose values have to be found first.
    fn missing(&self, expr: &Expr, known: &Known) -> Vec<LocalId> {
        let mut missing = vec![];
        expr.walk(&mut |part: &Expr| {
            if let Expr::Local(local) = part
                && self.lets.contains_key(local)
                && !self.carried.contains_key(local)
                && !known.contains_key(local)
            {
                missing.push(*local);
            }
        });
        missing
    }

    /// The part of a carry in the current block.
    fn slice(&self, carried: &Carried) -> Block {
        let held = &carried.ranges;
        let axes = carried.block.axes.clone();
        let counts: Vec<_> = axes.iter().map(|&axis| held.count(axis)).collect();
        let origins = axes.iter().map(|&axis| held.start(axis));
        let origins: Vec<_> = origins.collect();
        self.gather(axes.clone(), &counts, &origins, &carried.block.values)
    }

    fn load(&self, buffer: BufferId) -> Block {
        let (axes, counts, origins) = self.shape(buffer);
        let block = self.gather(axes.clone(), &counts, &origins, &self.memory[buffer.index()]);
        let mut sorted = axes.clone();
        sorted.sort();
        if sorted == axes {
            return block;
        }
        // `in_order` reads a block by its own axes, so the unsorted block is only read through strides.
        Block { values: block.in_order(&sorted, &self.ranges), axes: sorted }
    }

    /// The elements of a buffer at indices that replace some of its axes; 0 where one of them is empty.
    fn gathered(
        &self,
        buffer: BufferId,
        indices: &BTreeMap<AxisId, Block>,
        axes: AxisSet,
    ) -> Block {
        let (dims, counts, origins) = self.shape(buffer);
        let is_empty = |axis: &AxisId| self.program.axes.extent(*axis) == 0;
        if indices.keys().any(is_empty) {
            return Block::filled(axes, &self.ranges, 0.0);
        }
        // Offsets are whole numbers far below 2^53, so they may be blocks of values themselves.
        let mut places = Block::scalar(0.0);
        for (position, &axis) in dims.iter().enumerate() {
            let stride: usize = counts[position + 1..].iter().product();
            let last = counts[position].saturating_sub(1) as f64;
            let part = match indices.get(&axis) {
                Some(index) => {
                    let values = index.values.iter().map(|index| index.clamp(0.0, last));
                    Block { axes: index.axes.clone(), values: values.collect() }
                }
                None => {
                    let (start, end) = self.ranges.0[axis.index()];
                    let origin = origins[position];
                    let values = (start..end).map(|index| (index - origin) as f64);
                    Block { axes: vec![axis], values: values.collect() }
                }
            };
            let add = |place: f64, index: f64| place + index * stride as f64;
            places = zip(&places, &part, &self.ranges, add);
        }
        let values = &self.memory[buffer.index()];
        let element = |place: &mut f64| {
            *place = values.get(*place as usize).copied().unwrap_or(f64::NAN);
        };
        places.values.iter_mut().for_each(element);
        places
    }

    /// The axes of a buffer, the elements it holds along each, and the position of the first.
    fn shape(&self, buffer: BufferId) -> (Vec<AxisId>, Vec<usize>, Vec<u64>) {
        let buffer = &self.program.buffers[buffer.index()];
        let count = |axis| buffer.span(axis, &self.program.axes) as usize;
        let origin = |(axis, span): (&AxisId, &Span)| match span {
            Span::Whole => 0,
            Span::Block(_) => self.ranges.start(*axis),
        };
        let origins = buffer.axes.iter().zip(&buffer.spans).map(origin).collect();
        (buffer.axes.clone(), (0..buffer.axes.len()).map(count).collect(), origins)
    }

    /// The current block of values that lie row-major over `counts` elements from `origins` on; NaN outside.
    fn gather(
        &self,
        axes: Vec<AxisId>,
        counts: &[usize],
        origins: &[u64],
        values: &[f64],
    ) -> Block {
        let mut out = vec![];
        self.places(&axes, counts, origins, |place| {
            out.push(place.and_then(|place| values.get(place)).copied().unwrap_or(f64::NAN));
        });
        Block { axes, values: out }
    }

    /// Visits the current block of `axes` in order, with the offset of each element in memory that holds `counts`
    /// elements from `origins` on; `None` outside.
    fn places(
        &self,
        axes: &[AxisId],
        counts: &[usize],
        origins: &[u64],
        mut visit: impl FnMut(Option<usize>),
    ) {
        let current: Vec<_> = axes.iter().map(|&axis| self.ranges.count(axis)).collect();
        let strides: Vec<usize> =
            (0..axes.len()).map(|axis| counts[axis + 1..].iter().product()).collect();
        let inside = axes.iter().enumerate().all(|(position, &axis)| {
            let start = self.ranges.start(axis);
            start >= origins[position]
                && start - origins[position] + current[position] as u64 <= counts[position] as u64
        });
        let base = if inside {
            let shift = |(position, &axis): (usize, &AxisId)| {
                (self.ranges.start(axis) - origins[position]) as usize * strides[position]
            };
            axes.iter().enumerate().map(shift).sum()
        } else {
            0
        };
        odometer(&current, [&strides], |[offset]| visit(inside.then_some(base + offset)));
    }

    fn store(&mut self, buffer: BufferId, value: &Block) {
        let (axes, counts, origins) = self.shape(buffer);
        let mut values = value.in_order(&axes, &self.ranges).into_iter();
        let mut memory = std::mem::take(&mut self.memory[buffer.index()]);
        self.places(&axes, &counts, &origins, |place| {
            let value = values.next().unwrap_or(f64::NAN);
            if let Some(element) = place.and_then(|place| memory.get_mut(place)) {
                *element = value;
            }
        });
        self.memory[buffer.index()] = memory;
    }
}

fn set(axes: &[AxisId]) -> AxisSet {
    axes.iter().copied().collect()
}
