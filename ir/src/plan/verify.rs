//! The rules a pass program obeys.
//!
//! Invariant: what passes here cannot make the interpreter, the space or the lowering panic.

use super::{Let, Pass, PassProgram, Value, ValueKind};
use crate::base::{
    AxisId, AxisSet, BinaryOp, BufferId, DType, Expr, ExprRef, LocalId, ReduceOp, UnaryOp,
};
use std::collections::BTreeSet;

/// Checks the invariants of a pass program.
///
/// # Errors
/// One message for each broken rule.
pub fn verify(program: &PassProgram) -> Result<(), Vec<String>> {
    let mut checker = Checker {
        program,
        written: BTreeSet::new(),
        defined: BTreeSet::new(),
        visible: BTreeSet::new(),
        running: BTreeSet::new(),
        blocks: BTreeSet::new(),
        finals: BTreeSet::new(),
        faults: vec![],
        place: String::new(),
    };
    checker.values();
    checker.chunks();
    if checker.faults.is_empty() {
        checker.groups();
        for (position, pass) in program.passes.iter().enumerate() {
            let before = position.checked_sub(1).and_then(|before| program.passes[before].group);
            if pass.group.is_none() || pass.group != before {
                checker.running.clear();
                checker.finals.clear();
            }
            checker.pass(pass);
        }
        checker.all_written();
    }
    if checker.faults.is_empty() { Ok(()) } else { Err(checker.faults) }
}

struct Checker<'a> {
    program: &'a PassProgram,
    /// Buffers stored by the passes so far.
    written: BTreeSet<usize>,
    /// Locals defined so far, in any pass.
    defined: BTreeSet<LocalId>,
    /// Locals that may be used in the current place.
    visible: BTreeSet<LocalId>,
    /// The running values of the group's members so far.
    running: BTreeSet<LocalId>,
    /// Buffers that hold a block of a group's stream, with the group.
    blocks: BTreeSet<(BufferId, usize)>,
    /// Buffers that the group's members so far leave behind its last block.
    finals: BTreeSet<BufferId>,
    faults: Vec<String>,
    place: String,
}

impl Checker<'_> {
    fn expect(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            let fault = fault();
            let place = &self.place;
            self.faults.push(if place.is_empty() { fault } else { format!("{place}: {fault}") });
        }
    }

    fn values(&mut self) {
        let rank = |value: &Value| match value.kind {
            ValueKind::Input => 0,
            ValueKind::Output => 1,
            ValueKind::Intermediate => 2,
        };
        let sorted = self.program.values.is_sorted_by_key(rank);
        self.expect(sorted, || "values are not inputs, outputs, intermediates".to_string());
        let mut names = BTreeSet::new();
        for value in &self.program.values {
            let legal = self.axes_are_legal(&value.axes);
            self.expect(legal, || format!("{} has an axis twice or an unknown one", value.name));
            let strided = value.strides.as_ref().is_none_or(|strides| {
                value.kind == ValueKind::Input && strides.len() == value.axes.len()
            });
            self.expect(strided, || format!("{} has strides that it cannot have", value.name));
            self.expect(names.insert(&value.name), || format!("{} is a name twice", value.name));
        }
        for local in &self.program.locals {
            self.expect(names.insert(&local.name), || format!("{} is a name twice", local.name));
        }
    }

    fn axes_are_legal(&self, axes: &[AxisId]) -> bool {
        let set: AxisSet = axes.iter().copied().collect();
        set.len() == axes.len() && axes.iter().all(|axis| axis.index() < self.program.axes.len())
    }

    /// Chunks cover the axis that they cut, and are not cut themselves.
    fn chunks(&mut self) {
        let program = self.program;
        let known = |axis: AxisId| axis.index() < program.axes.len();
        for (position, chunk) in program.chunks.iter().enumerate() {
            if !known(chunk.axis) || !known(chunk.of) {
                self.expect(false, || "chunks of an unknown axis".to_string());
                continue;
            }
            let name = program.axes.name(chunk.axis);
            let mut others = program.chunks.iter().take(position);
            let fresh = others.all(|other| other.axis != chunk.axis);
            self.expect(fresh, || format!("{name} numbers chunks twice"));
            let cut = program.chunks.iter().any(|other| other.of == chunk.axis);
            self.expect(!cut, || format!("{name} numbers chunks and is cut itself"));
            let reach = program.axes.extent(chunk.axis).saturating_mul(chunk.length);
            let covers = chunk.length > 0 && reach >= program.axes.extent(chunk.of);
            self.expect(covers, || format!("the chunks of {name} leave something out"));
        }
    }

    /// One chunk of an axis at most is traversed, and the members of a group traverse the same ones.
    fn traversed_chunks(&mut self, pass: &Pass) {
        let chunks: Vec<_> = self.program.chunks_of(pass).collect();
        let cut: AxisSet = chunks.iter().map(|chunk| chunk.of).collect();
        self.expect(cut.len() == chunks.len(), || "it traverses an axis in two chunks".to_string());
        let Some(group) = pass.group else { return };
        let first = self.program.members(group).next().unwrap_or(0);
        let numbers: AxisSet = chunks.iter().map(|chunk| chunk.axis).collect();
        let of_first = self.program.chunks_of(&self.program.passes[first]);
        let same = numbers == of_first.map(|chunk| chunk.axis).collect();
        self.expect(same, || "its group traverses other chunks".to_string());
    }

    /// Members stand in a row, in the order of their groups, and one of them streams.
    fn groups(&mut self) {
        let program = self.program;
        let mut numbers: Vec<usize> = vec![];
        for pass in &program.passes {
            if let Some(group) = pass.group.filter(|group| numbers.last() != Some(group)) {
                numbers.push(group);
            }
        }
        let in_order = numbers.iter().copied().eq(0..program.groups.len());
        self.expect(in_order, || "the groups are out of order or empty".to_string());
        if !in_order {
            return;
        }
        for (group, stream) in program.groups.iter().enumerate() {
            let legal = self.axes_are_legal(stream) && !stream.is_empty();
            self.expect(legal, || {
                "a group streams no axis, one twice or an unknown one".to_string()
            });
            let mut members = program.members(group).map(|position| &program.passes[position]);
            let streams = members.any(|pass| program.is_streaming(pass));
            self.expect(streams, || "no member streams the axes of its group".to_string());
            let rows: Vec<usize> = program.members(group).collect();
            let in_a_row = rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            self.expect(in_a_row, || "the members of a group are apart".to_string());
        }
    }

    /// What holds of a member that runs in each block and of the states of one that streams.
    fn member(&mut self, pass: &Pass) {
        let Some(group) = pass.group else {
            let runs = pass.states.iter().any(|state| state.running.is_some());
            return self.expect(!runs, || "it has running values outside of a group".to_string());
        };
        let streaming = self.program.is_streaming(pass);
        let runs = pass.states.iter().all(|state| state.running.is_some() == streaming);
        self.expect(runs, || "its states have running values where they may not".to_string());
        self.expect(pass.scan.is_none(), || "it scans within a group".to_string());
        let apart = pass.stream.iter().all(|axis| !self.program.groups[group].contains(axis));
        self.expect(streaming || apart, || "it streams a part of its group's axes".to_string());
        if !streaming {
            let list = pass.results.iter().map(|result| (result.buffer, group));
            self.blocks.extend(list);
        }
    }

    fn updates(&mut self, pass: &Pass, axes: AxisSet) {
        let running = pass.states.iter().filter_map(|state| state.running.as_ref());
        let running: Vec<_> = running.collect();
        self.visible = self.running.clone();
        self.visible.extend(running.iter().map(|running| running.before));
        self.lets(&pass.update_lets, axes);
        for (state, running) in pass.states.iter().zip(&running) {
            let found = self.expr(&running.update, axes);
            let dtype = self.program.locals.get(state.local.index()).map(|local| local.dtype);
            let fits = found.is_none() || found == dtype;
            self.expect(fits, || "an update is of another type".to_string());
            self.define(running.before, dtype, axes);
            self.define(running.after, dtype, axes);
        }
        self.running.extend(running.iter().flat_map(|running| [running.before, running.after]));
    }

    fn pass(&mut self, pass: &Pass) {
        self.place = format!("pass {}", pass.name);
        let all: Vec<AxisId> = pass.axes.iter().chain(&pass.stream).copied().collect();
        let legal = self.axes_are_legal(&all);
        self.expect(legal, || "an axis stands twice or is unknown".to_string());
        self.scan(pass);
        let traverses = !pass.stream.is_empty() || pass.scan.is_some();
        let streams = traverses != pass.states.is_empty();
        self.expect(streams, || "it has states without a stream, or a stream without".to_string());
        let axes: AxisSet = pass.axes.iter().copied().collect();
        let inside: AxisSet = all.into_iter().collect();
        self.member(pass);
        self.traversed_chunks(pass);
        self.visible = self.running.clone();
        self.loads(pass);
        self.lets(&pass.body_lets, inside);
        for state in &pass.states {
            let found = self.expr(&state.body, inside);
            self.expect(state.op.fold().is_some(), || format!("{} has no fold", state.op));
            let logical = matches!(state.op, ReduceOp::All | ReduceOp::Any);
            let fits = found.is_none_or(|dtype| logical == (dtype == DType::Bool));
            self.expect(fits, || format!("{} of another type", state.op));
            self.define(state.local, found, axes);
        }
        self.updates(pass, axes);
        self.visible = pass.states.iter().map(|state| state.local).collect();
        if self.program.is_within(pass) {
            self.visible.extend(&self.running);
        }
        self.lets(&pass.result_lets, axes);
        self.results(pass, axes);
        if self.program.is_streaming(pass) {
            self.finals.extend(pass.results.iter().map(|result| result.buffer));
        }
    }

    /// Blocks are read in the blocks of their group, final values behind them.
    fn loads(&mut self, pass: &Pass) {
        let program = self.program;
        let streaming = program.is_streaming(pass);
        let mut faults = vec![];
        for (exprs, behind) in [
            (pass.inner_exprs().collect::<Vec<_>>(), false),
            (pass.result_exprs().collect(), streaming),
        ] {
            let mut note = |expr: &Expr| {
                let Some(buffer) = expr.read_buffer() else { return };
                let block = self.blocks.iter().find(|(of, _)| *of == buffer);
                let gathered = matches!(expr, Expr::At(..));
                let out_of_reach = block
                    .is_some_and(|(_, group)| pass.group != Some(*group) || behind || gathered);
                let early = pass.group.is_some() && !behind && self.finals.contains(&buffer);
                if out_of_reach || early {
                    faults.push(buffer);
                }
            };
            exprs.into_iter().for_each(|expr| expr.walk(&mut note));
        }
        for buffer in faults {
            let name = program.values.get(buffer.index()).map(|value| value.name.clone());
            self.expect(false, || format!("{} has no value here", name.unwrap_or_default()));
        }
    }

    /// A scan has one state, which is its one result.
    fn scan(&mut self, pass: &Pass) {
        let Some(axis) = pass.scan else { return };
        let inside = pass.axes.contains(&axis) && pass.stream.is_empty();
        self.expect(inside, || "it scans no axis of its own".to_string());
        let ([state], [result], []) = (&pass.states[..], &pass.results[..], &pass.result_lets[..])
        else {
            return self.expect(false, || "a scan has one state and one result".to_string());
        };
        self.expect(state.op.scan_name().is_some(), || format!("{} has no scan", state.op));
        let stored = result.value == Expr::Local(state.local);
        self.expect(stored, || "the result of a scan is its state".to_string());
    }

    fn lets(&mut self, lets: &[Let], axes: AxisSet) {
        for item in lets {
            let dtype = self.expr(&item.expr, axes);
            if dtype.is_some() {
                self.define(item.local, dtype, item.expr.axes(self.program));
            }
            self.visible.insert(item.local);
        }
    }

    fn define(&mut self, local: LocalId, dtype: Option<DType>, axes: AxisSet) {
        let Some(known) = self.program.locals.get(local.index()) else {
            return self.expect(false, || "a local is not in the list".to_string());
        };
        let fresh = self.defined.insert(local);
        self.expect(fresh, || format!("{} is defined twice", known.name));
        let fits = dtype.is_none_or(|dtype| dtype == known.dtype) && axes == known.axes;
        self.expect(fits, || format!("{} has another type or other axes", known.name));
    }

    fn results(&mut self, pass: &Pass, axes: AxisSet) {
        let bare = self.program.is_streaming(pass);
        self.expect(bare || !pass.results.is_empty(), || "it has no result".to_string());
        for result in &pass.results {
            let found = self.expr(&result.value, axes);
            let Some(value) = self.program.values.get(result.buffer.index()) else {
                self.expect(false, || "a result is not in the list".to_string());
                continue;
            };
            let fits = found.is_none_or(|dtype| dtype == value.dtype);
            self.expect(fits, || format!("{} is of another type", value.name));
            let of_value: AxisSet = value.axes.iter().copied().collect();
            self.expect(of_value == axes, || format!("{} has other axes", value.name));
            let within = self.program.is_within(pass) && value.kind == ValueKind::Output;
            self.expect(!within, || format!("{} is stored in each block", value.name));
            let optional =
                pass.optional && (value.kind == ValueKind::Output || !pass.states.is_empty());
            self.expect(!optional, || "an optional pass is a map of an intermediate".to_string());
            let fresh =
                value.kind != ValueKind::Input && !self.written.contains(&result.buffer.index());
            self.expect(fresh, || format!("{} cannot be stored here", value.name));
        }
        self.written.extend(pass.results.iter().map(|result| result.buffer.index()));
    }

    fn all_written(&mut self) {
        self.place.clear();
        for (index, value) in self.program.values.iter().enumerate() {
            let written = value.kind == ValueKind::Input || self.written.contains(&index);
            self.expect(written, || format!("{} is never stored", value.name));
        }
    }

    /// Checks an expression over these axes; its type, unless a fault hides it.
    fn expr(&mut self, expr: &Expr, axes: AxisSet) -> Option<DType> {
        let parts: Vec<Option<DType>> =
            expr.children().into_iter().map(|child| self.expr(child, axes)).collect();
        let parts: Option<Vec<DType>> = parts.into_iter().collect();
        let before = self.faults.len();
        self.part(expr, axes, &parts?);
        (self.faults.len() == before).then(|| expr.dtype(self.program))
    }

    /// Checks what stands for the axes of a gathered buffer, whose values have these types.
    fn picks(&mut self, buffer: BufferId, picks: &[(AxisId, Expr)], parts: &[DType]) {
        let program = self.program;
        let name = &program.values[buffer.index()].name;
        let ascending = !picks.is_empty() && picks.windows(2).all(|pair| pair[0].0 < pair[1].0);
        self.expect(ascending, || format!("{name} has no ascending list of replaced axes"));
        let of_buffer = program.buffer(buffer).1;
        let known = picks.iter().all(|pick| of_buffer.contains(pick.0));
        self.expect(known, || format!("{name} lacks an axis that is replaced"));
        let whole = parts.iter().all(|dtype| *dtype == DType::I32);
        self.expect(whole, || format!("{name} has an index that is no i32"));
        let stored = program.producer(buffer).is_none_or(|pass| !program.passes[pass].optional);
        self.expect(stored, || format!("{name} is gathered and may not be stored"));
    }

    /// Checks one part, whose own parts have these types.
    fn part(&mut self, expr: &Expr, axes: AxisSet, parts: &[DType]) {
        match expr {
            Expr::Literal(_) => {}
            Expr::Local(local) => {
                let visible = self.visible.contains(local);
                self.expect(visible, || format!("local {} is not defined here", local.0));
            }
            Expr::Load(buffer) | Expr::At(buffer, _) => {
                let Some(value) = self.program.values.get(buffer.index()) else {
                    return self.expect(false, || "a load of an unknown buffer".to_string());
                };
                let there = match value.kind {
                    ValueKind::Input => true,
                    ValueKind::Output => false,
                    ValueKind::Intermediate => self.written.contains(&buffer.index()),
                };
                self.expect(there, || format!("{} cannot be loaded here", value.name));
                let of_buffer = self.program.buffer(*buffer).1;
                if let Expr::At(_, picks) = expr {
                    self.picks(*buffer, picks, parts);
                }
                let kept = match expr {
                    Expr::At(_, picks) => of_buffer - picks.iter().map(|pick| pick.0).collect(),
                    _ => of_buffer,
                };
                self.expect(axes.contains_all(kept), || {
                    format!("{} varies over other axes", value.name)
                });
            }
            Expr::Index(axis) => {
                self.expect(axes.contains(*axis), || "an index of another axis".to_string());
            }
            Expr::Len(axis) => {
                let known = axis.index() < self.program.axes.len();
                self.expect(known, || "the length of an unknown axis".to_string());
            }
            Expr::Unary(op, _) => {
                let fits = (*op == UnaryOp::Not) == (parts[0] == DType::Bool);
                self.expect(fits, || format!("{op} of another type"));
            }
            Expr::Binary(op, ..) => {
                let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
                let fits = parts[0] == parts[1] && logical == (parts[0] == DType::Bool);
                self.expect(fits, || format!("{op} of {} and {}", parts[0], parts[1]));
            }
            Expr::Compare(op, ..) => {
                let fits = parts[0] == parts[1];
                self.expect(fits, || format!("{op} of {} and {}", parts[0], parts[1]));
            }
            Expr::Select(..) => {
                let fits = parts[0] == DType::Bool && parts[1] == parts[2];
                self.expect(fits, || "select of other types".to_string());
            }
            Expr::Cast(..) => {}
            Expr::Wrap(to, _) => {
                self.expect(to.is_integer(), || format!("a value wrapped to {to}"));
            }
            Expr::Reduce(..) | Expr::Mma(..) => {
                self.expect(false, || "a reduction inside of an expression".to_string());
            }
        }
    }
}
