//! The meaning of a pass program in f64, element by element.
//!
//! Slow and obvious on purpose: each pass runs over all its elements, each element over the whole stream.
//! Invariant: nothing is rounded but conversions to integers and to `bool`; memory that nothing has written is NaN.

use super::{Let, Pass, PassProgram, State, ValueKind, start_value};
use crate::base::{AxisId, BufferId, Expr};
use crate::reference::HostTensor;
use crate::reference::scalar::{self, Fold};

/// Runs the passes in f64 without rounding: one value list for each output, row-major.
///
/// `inputs` are in signature order, with the shapes of the values. The program has passed `verify`.
pub fn interpret(program: &PassProgram, inputs: &[HostTensor]) -> Vec<Vec<f64>> {
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
        locals: vec![f64::NAN; program.locals.len()],
    };
    program.passes.iter().for_each(|pass| machine.pass(pass));
    let outputs = program.values.iter().zip(machine.memory);
    outputs.filter(|(value, _)| value.kind == ValueKind::Output).map(|(_, list)| list).collect()
}

struct Machine<'a> {
    program: &'a PassProgram,
    memory: Vec<Vec<f64>>,
    /// The position along each axis.
    index: Vec<u64>,
    locals: Vec<f64>,
}

impl Machine<'_> {
    fn pass(&mut self, pass: &Pass) {
        if let Some(axis) = pass.scan {
            return self.scan(pass, axis);
        }
        self.each(&pass.axes, &mut |machine| {
            machine.stream(pass);
            machine.lets(&pass.result_lets);
            for result in &pass.results {
                let value = machine.eval(&result.value);
                let place = machine.place(result.buffer);
                machine.memory[result.buffer.index()][place] = value;
            }
        });
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
        for index in 0..self.program.axes.extent(axis) {
            self.index[axis.index()] = index;
            self.each(inner, visit);
        }
    }

    fn stream(&mut self, pass: &Pass) {
        let mut folds: Vec<Fold> = pass.states.iter().map(|state| self.start(state)).collect();
        if !pass.stream.is_empty() {
            self.each(&pass.stream, &mut |machine| {
                machine.lets(&pass.body_lets);
                for (state, fold) in pass.states.iter().zip(&mut folds) {
                    *fold = fold.with(machine.eval(&state.body));
                }
            });
        }
        for (state, fold) in pass.states.iter().zip(folds) {
            self.locals[state.local.index()] = fold.value();
        }
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
            Expr::Local(local) => self.locals[local.index()],
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
