//! The meaning of a pass program in f64, element by element.
//!
//! Slow and obvious on purpose: each pass runs over all its elements, each element over the whole stream. A group runs
//! over blocks of its stream.
//! Invariant: nothing is rounded but conversions to integers and to `bool`; memory that nothing has written is NaN.

use super::{Chunk, Let, Pass, PassProgram, State, ValueKind, start_value};
use crate::base::{AxisId, AxisSet, BufferId, Expr, LocalId};
use crate::reference::HostTensor;
use crate::reference::scalar::{self, Fold};
use std::collections::BTreeMap;

/// Runs the passes in f64 without rounding: one value list for each output, row-major.
///
/// `inputs` are in signature order, with the shapes of the values. The program has passed `verify`.
pub fn interpret(program: &PassProgram, inputs: &[HostTensor]) -> Vec<Vec<f64>> {
    interpret_in_blocks(program, inputs, GROUP_BLOCK)
}

/// As `interpret`, with groups that traverse blocks of `block` elements along each axis of their streams.
pub fn interpret_in_blocks(
    program: &PassProgram,
    inputs: &[HostTensor],
    block: u64,
) -> Vec<Vec<f64>> {
    let mut inputs = inputs.iter();
    let volume = |axes: &[AxisId]| program.axes.volume(axes.iter().copied().collect());
    let memory = program.values.iter().map(|value| match value.kind {
        ValueKind::Input => inputs.next().map(HostTensor::to_f64).unwrap_or_default(),
        _ => vec![f64::NAN; volume(&value.axes) as usize],
    });
    let mut machine = Machine {
        program,
        memory: memory.collect(),
        index: vec![0; program.axes.len()],
        ranges: program.axes.ids().map(|axis| (0, program.axes.extent(axis))).collect(),
        locals: vec![f64::NAN; program.locals.len()],
        running: BTreeMap::new(),
    };
    for members in program.passes.chunk_by(|a, b| a.group.is_some() && a.group == b.group) {
        match members[0].group {
            None => machine.chunks(&members[0], &mut |machine| machine.pass(&members[0])),
            Some(group) => machine.chunks(&members[0], &mut |machine| {
                machine.group(members, &program.groups[group], block.max(1));
            }),
        }
    }
    let outputs = program.values.iter().zip(machine.memory);
    outputs.filter(|(value, _)| value.kind == ValueKind::Output).map(|(_, list)| list).collect()
}

struct Machine<'a> {
    program: &'a PassProgram,
    memory: Vec<Vec<f64>>,
    /// The position along each axis.
    index: Vec<u64>,
    /// The positions along each axis that are visited: all, or those of the current block of a group.
    ranges: Vec<(u64, u64)>,
    locals: Vec<f64>,
    /// The running values of groups, row-major over the axes of the locals.
    running: BTreeMap<LocalId, Vec<f64>>,
}

/// Elements of a group's stream in one block.
const GROUP_BLOCK: u64 = 3;

impl Machine<'_> {
    /// Calls `visit` for each combination of the chunks to which a pass is restricted.
    fn chunks(&mut self, pass: &Pass, visit: &mut dyn FnMut(&mut Self)) {
        let chunks: Vec<Chunk> = self.program.chunks_of(pass).collect();
        self.each_chunk(&chunks, visit);
    }

    fn each_chunk(&mut self, chunks: &[Chunk], visit: &mut dyn FnMut(&mut Self)) {
        let Some((chunk, inner)) = chunks.split_first() else {
            return visit(self);
        };
        let (numbers, of) = (self.ranges[chunk.axis.index()], self.ranges[chunk.of.index()]);
        for number in numbers.0..numbers.1 {
            self.ranges[chunk.axis.index()] = (number, number + 1);
            self.ranges[chunk.of.index()] = chunk.range(number, self.program.axes.extent(chunk.of));
            self.each_chunk(inner, visit);
        }
        self.ranges[chunk.axis.index()] = numbers;
        self.ranges[chunk.of.index()] = of;
    }

    fn pass(&mut self, pass: &Pass) {
        if let Some(axis) = pass.scan {
            return self.scan(pass, axis);
        }
        self.each(&pass.axes, &mut |machine| {
            machine.stream(pass);
            machine.store_results(pass);
        });
    }

    fn store_results(&mut self, pass: &Pass) {
        self.lets(&pass.result_lets);
        for result in &pass.results {
            let value = self.eval(&result.value);
            let place = self.place(result.buffer);
            self.memory[result.buffer.index()][place] = value;
        }
    }

    /// A pass that scans: from each start along the axis, storing the state after every term.
    fn scan(&mut self, pass: &Pass, axis: AxisId) {
        let others: Vec<AxisId> = pass.axes.iter().copied().filter(|&of| of != axis).collect();
        let (state, result) = (&pass.states[0], &pass.results[0]);
        self.each(&others, &mut |machine| {
            let mut running = machine.start(state);
            machine.each(&[axis], &mut |machine| {
                machine.lets(&pass.body_lets);
                running = running.with(machine.eval(&state.body));
                let place = machine.place(result.buffer);
                machine.memory[result.buffer.index()][place] = running.value();
            });
        });
    }

    /// Calls `visit` at every position along the axes, the last axis fastest.
    fn each(&mut self, axes: &[AxisId], visit: &mut dyn FnMut(&mut Self)) {
        let Some((&axis, inner)) = axes.split_first() else {
            return visit(self);
        };
        let (start, end) = self.ranges[axis.index()];
        for index in start..end {
            self.index[axis.index()] = index;
            self.each(inner, visit);
        }
    }

    fn stream(&mut self, pass: &Pass) {
        for (state, fold) in pass.states.iter().zip(self.folds(pass)) {
            self.locals[state.local.index()] = fold.value();
        }
    }

    /// The reductions of a pass over its stream, or over the current block of it.
    fn folds(&mut self, pass: &Pass) -> Vec<Fold> {
        let mut folds: Vec<Fold> = pass.states.iter().map(|state| self.start(state)).collect();
        if !pass.stream.is_empty() {
            self.each(&pass.stream, &mut |machine| {
                machine.lets(&pass.body_lets);
                for (state, fold) in pass.states.iter().zip(&mut folds) {
                    *fold = fold.with(machine.eval(&state.body));
                }
            });
        }
        folds
    }

    /// A group: its members in each block, then the results of those that stream.
    fn group(&mut self, members: &[Pass], stream: &[AxisId], block: u64) {
        let program = self.program;
        let streaming: Vec<&Pass> =
            members.iter().filter(|pass| program.is_streaming(pass)).collect();
        let states = || streaming.iter().flat_map(|pass| &pass.states);
        for state in states() {
            let Some(running) = &state.running else { continue };
            let axes = program.locals[state.local.index()].axes;
            let start = self.start(state).value();
            let values = vec![start; program.axes.volume(axes) as usize];
            self.running.insert(running.after, values.clone());
            self.running.insert(running.before, values);
        }
        self.blocks(stream, block, &mut |machine| {
            for pass in members {
                match program.is_streaming(pass) {
                    true => machine.fold_block(pass),
                    false => machine.pass(pass),
                }
            }
            for running in states().filter_map(|state| state.running.as_ref()) {
                let after = machine.running[&running.after].clone();
                machine.running.insert(running.before, after);
            }
        });
        for pass in streaming {
            self.each(&pass.axes, &mut |machine| {
                for state in &pass.states {
                    let Some(running) = &state.running else { continue };
                    machine.locals[state.local.index()] =
                        machine.running[&running.before][machine.running_place(running.before)];
                }
                machine.store_results(pass);
            });
        }
    }

    /// Calls `visit` for each block of some axes, the last fastest.
    fn blocks(&mut self, axes: &[AxisId], block: u64, visit: &mut dyn FnMut(&mut Self)) {
        let Some((&axis, inner)) = axes.split_first() else {
            return visit(self);
        };
        let whole = self.ranges[axis.index()];
        let mut start = whole.0;
        while start < whole.1 {
            let end = start.saturating_add(block).min(whole.1);
            self.ranges[axis.index()] = (start, end);
            self.blocks(inner, block, visit);
            start = end;
        }
        self.ranges[axis.index()] = whole;
    }

    /// Folds the current block into the states of a pass.
    fn fold_block(&mut self, pass: &Pass) {
        self.each(&pass.axes, &mut |machine| {
            let folds = machine.folds(pass);
            machine.lets(&pass.update_lets);
            for (state, fold) in pass.states.iter().zip(folds) {
                let Some(running) = &state.running else { continue };
                let op = state.op.fold().expect("verify refuses what has no fold");
                let dtype = machine.program.locals[state.local.index()].dtype;
                let value = Fold::new(op, dtype, machine.eval(&running.update)).with(fold.value());
                let place = machine.running_place(running.after);
                if let Some(values) = machine.running.get_mut(&running.after) {
                    values[place] = value.value();
                }
            }
        });
    }

    /// The offset of the current position in the values of a local.
    fn running_place(&self, local: LocalId) -> usize {
        let axes: AxisSet = self.program.locals[local.index()].axes;
        let place = axes.iter().fold(0, |place, axis| {
            place * self.program.axes.extent(axis) + self.index[axis.index()]
        });
        place as usize
    }

    fn start(&self, state: &State) -> Fold {
        let dtype = self.program.locals[state.local.index()].dtype;
        let op = state.op.fold().expect("verify refuses what has no fold");
        Fold::new(op, dtype, start_value(state.op, dtype).value)
    }

    fn lets(&mut self, lets: &[Let]) {
        for item in lets {
            self.locals[item.local.index()] = self.eval(&item.expr);
        }
    }

    /// The offset of the current position in a buffer.
    fn place(&self, buffer: BufferId) -> usize {
        let axes = self.program.values[buffer.index()].axes.iter();
        let place = axes.fold(0, |place, &axis| {
            place * self.program.axes.extent(axis) + self.index[axis.index()]
        });
        place as usize
    }

    /// The offset with some axes replaced by the nearest indices; `None` where one of them is empty.
    fn gathered(&self, buffer: BufferId, picks: &[(AxisId, Expr)]) -> Option<usize> {
        let mut index = self.index.clone();
        for (axis, pick) in picks {
            let last = self.program.axes.extent(*axis).checked_sub(1)?;
            index[axis.index()] = self.eval(pick).clamp(0.0, last as f64) as u64;
        }
        let axes = self.program.values[buffer.index()].axes.iter();
        let place = axes
            .fold(0, |place, &axis| place * self.program.axes.extent(axis) + index[axis.index()]);
        Some(place as usize)
    }

    fn eval(&self, expr: &Expr) -> f64 {
        let dtype = |expr: &Expr| expr.dtype(self.program);
        match expr {
            Expr::Literal(literal) => literal.value,
            Expr::Local(local) => match self.running.get(local) {
                Some(values) => values[self.running_place(*local)],
                None => self.locals[local.index()],
            },
            Expr::Load(buffer) => self.memory[buffer.index()][self.place(*buffer)],
            Expr::At(buffer, picks) => {
                let place = self.gathered(*buffer, picks);
                place.map_or(0.0, |place| self.memory[buffer.index()][place])
            }
            Expr::Index(axis) => self.index[axis.index()] as f64,
            Expr::Len(axis) => self.program.axes.extent(*axis) as f64,
            Expr::Unary(op, x) => scalar::unary(*op, dtype(x), self.eval(x)),
            Expr::Binary(op, x, y) => scalar::binary(*op, dtype(x), self.eval(x), self.eval(y)),
            Expr::Compare(op, x, y) => f64::from(u8::from(op.apply(self.eval(x), self.eval(y)))),
            Expr::Select(c, x, y) => self.eval(if self.eval(c) != 0.0 { x } else { y }),
            Expr::Cast(to, x) => scalar::cast(*to, self.eval(x)),
            Expr::Wrap(to, x) => scalar::wrap(*to, self.eval(x)),
            Expr::Reduce(..) | Expr::Mma(..) => {
                unreachable!("verify refuses reductions inside of expressions of a pass")
            }
        }
    }
}
