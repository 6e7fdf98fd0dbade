//! The passes of a form as data for a picture: cards in the order of their work, frames around what one traversal does,
//! wires for the values between them.
//!
//! Invariant: every pass of the plan is a card, every state and result a line of it, every input that it reads a name on
//! it, and every value that another pass reads a wire.

use super::canvas::cut;
use std::collections::BTreeMap;
use tilewright_ir::base::{AxisId, BufferId, Expr, ReduceOp};
use tilewright_ir::plan::{Let, Pass, PassProgram, State, ValueKind};
use tilewright_ir::schedule::FormSpace;
use tilewright_ir::text::print_expr;

/// Longer lines are cut; `explain --stage plan` has all of them.
const LINE_MAX: usize = 84;

/// A picture of passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The kernel and its form.
    pub title: String,
    /// Its sizes and traversals.
    pub subtitle: String,
    /// The passes.
    pub cards: Vec<Card>,
    /// The traversals, each around cards that stand in a row.
    pub frames: Vec<Frame>,
    /// The values between passes.
    pub wires: Vec<Wire>,
}

/// A pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its name and axes.
    pub head: String,
    /// What it does.
    pub note: String,
    /// Its states, updates and results.
    pub lines: Vec<Line>,
    /// The inputs that it reads.
    pub inputs: Vec<String>,
    /// The outputs that it writes.
    pub outputs: Vec<String>,
}

/// A line on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Its text.
    pub text: String,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A state that is carried from block to block.
    Carry,
    /// Anything else.
    Plain,
}

/// One traversal of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What is traversed, and what is carried along.
    pub title: String,
    /// The first and the last card within.
    pub cards: (usize, usize),
    /// Whether several passes share the traversal, block by block.
    pub is_group: bool,
}

/// A value that one pass leaves for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The card that makes it.
    pub from: usize,
    /// The card that reads it.
    pub to: usize,
    /// Its name and axes.
    pub label: String,
    /// What there is of it in memory, unless a schedule finds a better place; 0: one block within a traversal.
    pub bytes: u64,
}

/// The passes of a form.
pub fn flow(form: &FormSpace) -> Flow {
    Builder { plan: &form.plan }.flow(form)
}

struct Builder<'f> {
    plan: &'f PassProgram,
}

impl Builder<'_> {
    fn flow(&self, form: &FormSpace) -> Flow {
        let plan = self.plan;
        let extent = |axis| format!("{}={}", plan.axes.name(axis), plan.axes.extent(axis));
        let sizes: Vec<String> = plan.axes.ids().map(extent).collect();
        let times = |(axis, count): (&String, &u32)| match count {
            1 => format!("{axis} once"),
            2 => format!("{axis} twice"),
            _ => format!("{axis} {count} times"),
        };
        let passes: Vec<String> = form.passes.iter().map(times).collect();
        let traversed = if passes.is_empty() {
            String::new()
        } else {
            format!("; traverses {}", passes.join(", "))
        };
        let name = form.id.as_ref().map_or("as written".to_string(), |id| format!("form {id}"));
        Flow {
            title: format!("{}, {name}", plan.name),
            subtitle: format!("at {}{traversed}", sizes.join(", ")),
            cards: plan.passes.iter().map(|pass| self.card(pass)).collect(),
            frames: self.frames(),
            wires: self.wires(),
        }
    }

    fn axes(&self, axes: &[AxisId]) -> String {
        let names: Vec<&str> = axes.iter().map(|&axis| self.plan.axes.name(axis)).collect();
        if names.is_empty() { String::new() } else { format!("[{}]", names.join(",")) }
    }

    fn names(&self, axes: &[AxisId]) -> String {
        let names: Vec<&str> = axes.iter().map(|&axis| self.plan.axes.name(axis)).collect();
        names.join(",")
    }

    fn value(&self, buffer: BufferId) -> String {
        let value = &self.plan.values[buffer.index()];
        format!("{}{}", value.name, self.axes(&value.axes))
    }

    fn card(&self, pass: &Pass) -> Card {
        let streams = self.plan.is_streaming(pass);
        let note = match (pass.scan, pass.stream.is_empty()) {
            (Some(axis), _) => format!("running values along {}", self.plan.axes.name(axis)),
            (None, true) => "element by element".to_string(),
            (None, false) if streams => "folds each block in".to_string(),
            (None, false) => format!("over {}", self.names(&pass.stream)),
        };
        let mut lines = self.lets(&pass.body_lets);
        lines.extend(self.lets(&pass.update_lets));
        lines.extend(pass.states.iter().map(|state| self.state(pass, state)));
        lines.extend(self.lets(&pass.result_lets));
        lines.extend(self.results(pass, streams));
        Card {
            head: format!("{}{}", pass.name, self.axes(&pass.axes)),
            note,
            lines,
            inputs: self.read(pass, ValueKind::Input),
            outputs: pass
                .results
                .iter()
                .filter(|result| self.kind(result.buffer) == ValueKind::Output)
                .map(|result| self.value(result.buffer))
                .collect(),
        }
    }

    fn kind(&self, buffer: BufferId) -> ValueKind {
        self.plan.values[buffer.index()].kind
    }

    fn lets(&self, lets: &[Let]) -> Vec<Line> {
        let line = |item: &Let| {
            let name = &self.plan.locals[item.local.index()].name;
            plain(&format!("{name} = {}", self.expr(&item.expr)))
        };
        lets.iter().map(line).collect()
    }

    fn expr(&self, expr: &Expr) -> String {
        without_loads(&print_expr(expr, self.plan))
    }

    /// `carry O = O_before * scale + sum(p * V)`, or `l = sum(p)`.
    fn state(&self, pass: &Pass, state: &State) -> Line {
        let name = &self.plan.locals[state.local.index()].name;
        let body = self.expr(&state.body);
        let over = self.names(&pass.stream);
        let over = if over.is_empty() { String::new() } else { format!("[{over}]") };
        let folded = format!("{}{over}({body})", state.op.name());
        let Some(running) = &state.running else { return plain(&format!("{name} = {folded}")) };
        let update = self.expr(&running.update);
        let text = match state.op {
            ReduceOp::Sum => format!("carry {name} = {update} + {folded}"),
            op => format!("carry {name} = {}({update}, {folded})", op.name()),
        };
        Line { kind: LineKind::Carry, text: cut(&text, LINE_MAX) }
    }

    /// The results, but for those that are a state under its own name.
    fn results(&self, pass: &Pass, streams: bool) -> Vec<Line> {
        let after = if streams { "at the end: " } else { "" };
        let line = |result: &tilewright_ir::plan::PassResult| {
            let is_state = matches!(result.value, Expr::Local(_)) && pass.states.len() == 1;
            let name = &self.plan.values[result.buffer.index()].name;
            let value = self.expr(&result.value);
            (!is_state || value != *name).then(|| plain(&format!("{after}{name} = {value}")))
        };
        pass.results.iter().filter_map(line).collect()
    }

    /// What a pass reads of a kind, each once, in the order of the signature.
    fn read(&self, pass: &Pass, kind: ValueKind) -> Vec<String> {
        let read = self.buffers(pass).into_iter().filter(|&buffer| self.kind(buffer) == kind);
        read.map(|buffer| self.value(buffer)).collect()
    }

    fn buffers(&self, pass: &Pass) -> Vec<BufferId> {
        let mut read = vec![];
        for expr in pass.exprs() {
            expr.walk(&mut |expr: &Expr| read.extend(expr.read_buffer()));
        }
        read.sort();
        read.dedup();
        read
    }

    fn frames(&self) -> Vec<Frame> {
        let mut frames: Vec<Frame> = vec![];
        let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        let streamed: Vec<(usize, String)> = self.streamed();
        for (_, axes) in &streamed {
            counts.entry(axes.clone()).or_default().1 += 1;
        }
        for (position, axes) in streamed {
            let count = counts.get_mut(&axes).expect("all of them have been counted");
            count.0 += 1;
            let which = match *count {
                (_, 1) => format!("one pass over {axes}"),
                (own, all) => format!("pass {own} of {all} over {axes}"),
            };
            frames.push(self.frame(position, &which));
        }
        frames
    }

    /// The first pass of each traversal, with the axes.
    fn streamed(&self) -> Vec<(usize, String)> {
        let mut list = vec![];
        let mut open = None;
        for (position, pass) in self.plan.passes.iter().enumerate() {
            match pass.group {
                Some(group) if open != pass.group => {
                    list.push((position, self.names(&self.plan.groups[group])));
                }
                Some(_) => {}
                None if !pass.stream.is_empty() => list.push((position, self.names(&pass.stream))),
                None => {}
            }
            open = pass.group;
        }
        list
    }

    fn frame(&self, position: usize, which: &str) -> Frame {
        let Some(group) = self.plan.passes[position].group else {
            return Frame {
                title: which.to_string(),
                cards: (position, position),
                is_group: false,
            };
        };
        let members: Vec<usize> = self.plan.members(group).collect();
        let carried = members.iter().map(|&member| &self.plan.passes[member]);
        let carried = carried.filter(|pass| self.plan.is_streaming(pass));
        let carried: Vec<String> =
            carried.map(|pass| format!("{}{}", pass.name, self.axes(&pass.axes))).collect();
        let last = members.last().copied().unwrap_or(position);
        let title = format!("{which}, block by block; carried: {}", carried.join(", "));
        Frame { title, cards: (position, last), is_group: true }
    }

    fn wires(&self) -> Vec<Wire> {
        let mut wires = vec![];
        for (to, pass) in self.plan.passes.iter().enumerate() {
            for buffer in self.buffers(pass) {
                let Some(from) = self.plan.producer(buffer) else { continue };
                wires.push(self.stored(from, to, buffer));
            }
            wires.extend(self.running(to, pass));
        }
        wires
    }

    fn stored(&self, from: usize, to: usize, buffer: BufferId) -> Wire {
        let producer = &self.plan.passes[from];
        let within = self.plan.is_within(producer) && producer.group == self.plan.passes[to].group;
        let value = &self.plan.values[buffer.index()];
        let elements = value.axes.iter().map(|&axis| self.plan.axes.extent(axis));
        let elements = elements.fold(1_u64, u64::saturating_mul);
        let bytes = elements.saturating_mul(u64::from(value.dtype.bits())).div_ceil(8);
        Wire { from, to, label: self.value(buffer), bytes: if within { 0 } else { bytes } }
    }

    /// The running values of other members that a pass reads.
    fn running(&self, to: usize, pass: &Pass) -> Vec<Wire> {
        let mut used = vec![];
        for expr in pass.exprs() {
            expr.walk(&mut |expr: &Expr| {
                if let Expr::Local(local) = expr {
                    used.push(*local);
                }
            });
        }
        let mut wires = vec![];
        for (from, other) in self.plan.passes.iter().enumerate().filter(|(from, _)| *from != to) {
            let reads = other.states.iter().any(|state| {
                let running = state.running.as_ref();
                running.is_some_and(|running| {
                    used.contains(&running.before) || used.contains(&running.after)
                })
            });
            if reads {
                let label = format!("running {}{}", other.name, self.axes(&other.axes));
                wires.push(Wire { from, to, label, bytes: 0 });
            }
        }
        wires
    }
}

fn plain(text: &str) -> Line {
    Line { kind: LineKind::Plain, text: cut(text, LINE_MAX) }
}

/// `sum(load p * load V)` as `sum(p * V)`: a picture shows by its wires what is loaded.
fn without_loads(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("load ") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == '`';
        if out.chars().next_back().is_some_and(is_word) {
            out.push_str("load ");
        }
        rest = &after["load ".len()..];
    }
    out + rest
}
