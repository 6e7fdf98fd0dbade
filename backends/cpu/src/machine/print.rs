//! The machine program as text, for `explain`.
//!
//! It is read by people only, so there is no parser; names are those of the tile program.

use super::{Choice, Dag, Loop, MachinePhase, Nest, Node, NodeId, Pack, Step};
use std::fmt::Write as _;
use tilewright_ir::AxisId;
use tilewright_ir::base::AxisTable;

impl MachinePhase {
    /// The text of the phase.
    pub fn print(&self, axes: &AxisTable) -> String {
        let mut out = String::new();
        let grid = steps(&self.grid, axes);
        let order = if self.descending { " from the last" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "phase {} grid({grid}){order} scratch {} bytes",
            self.name, self.scratch_bytes
        );
        for step in &self.body {
            print_step(step, axes, 1, &mut out);
        }
        out
    }
}

fn steps(axes_and_steps: &[(AxisId, u64)], axes: &AxisTable) -> String {
    let parts = axes_and_steps.iter().map(|&(axis, step)| format!("{} by {step}", axes.name(axis)));
    parts.collect::<Vec<_>>().join(", ")
}

fn print_step(step: &Step, axes: &AxisTable, depth: usize, out: &mut String) {
    match step {
        Step::Loop(Loop { axes: loops, bounds, body, none }) => {
            let indent = depth * 2;
            let _ = write!(out, "{:indent$}for {}", "", steps(loops, axes));
            for (&axis, bounds) in bounds {
                let _ = write!(out, "; {} in {}", axes.name(axis), bounds.print(axes));
            }
            out.push('\n');
            for step in body {
                print_step(step, axes, depth + 1, out);
            }
            if let Some(none) = none {
                let _ = writeln!(out, "{:indent$}or, over no block", "");
                for step in none {
                    print_step(step, axes, depth + 1, out);
                }
            }
        }
        Step::Nest(nest) => print_nest(nest, axes, depth, out),
        Step::Choice(Choice { condition, then, otherwise }) => {
            let indent = depth * 2;
            for (word, steps) in [("if", then), ("or, if not", otherwise)] {
                let _ = writeln!(out, "{:indent$}{word} {}", "", condition.name);
                for step in steps {
                    print_step(step, axes, depth + 1, out);
                }
            }
        }
        Step::Pack(Pack { from, to, elements }) => {
            let indent = depth * 2;
            let _ = writeln!(
                out,
                "{:indent$}pack {elements} elements of argument {from} into argument {to}",
                ""
            );
        }
    }
}

fn print_nest(nest: &Nest, axes: &AxisTable, depth: usize, out: &mut String) {
    let outer = axes.names(nest.outer.iter().copied());
    let indent = depth * 2;
    let _ = write!(
        out,
        "{:indent$}nest {}[{outer}] = {}",
        "",
        nest.name,
        text(&nest.dag, nest.result, axes)
    );
    for (position, accumulator) in nest.accumulators.iter().enumerate() {
        let reduce = axes.names(nest.reduce.iter().copied());
        let term = text(&nest.dag, accumulator.term, axes);
        let _ = write!(out, "; #{position} = {}[{reduce}]({term})", accumulator.op);
    }
    if let Some(scan) = nest.scan {
        let _ = write!(out, "; scan {}[{}] block({})", scan.op, axes.name(scan.axis), scan.block);
    }
    if let Some(last) = nest.last {
        let _ = write!(out, "; last {}", text(&nest.dag, last, axes));
    }
    if let Some(vector) = nest.micro.vector {
        let _ = write!(out, "; vector({})", axes.name(vector));
    }
    let tile = nest.micro.tile.iter().map(|&(axis, count)| format!("{}:{count}", axes.name(axis)));
    let _ = writeln!(
        out,
        "; micro({}) unroll({})",
        tile.collect::<Vec<_>>().join(", "),
        nest.micro.unroll
    );
}

/// A node as text; deep expressions are cut, since this is for people.
fn text(dag: &Dag, node: NodeId, axes: &AxisTable) -> String {
    text_to_depth(dag, node, axes, 12)
}

fn text_to_depth(dag: &Dag, id: NodeId, axes: &AxisTable, depth: usize) -> String {
    if depth == 0 {
        return "..".to_string();
    }
    let of = |node| text_to_depth(dag, node, axes, depth - 1);
    match dag.node(id) {
        Node::Literal(bits) => format!("{}", f64::from_bits(bits)),
        Node::Index(axis) => format!("index({})", axes.name(axis)),
        Node::Load(place) => dag.places[place as usize].name.clone(),
        Node::Gather(place, subscripts) => {
            let list: Vec<_> = subscripts.into_iter().flatten().map(of).collect();
            format!("{}[{}]", dag.places[place as usize].name, list.join(", "))
        }
        Node::Accumulator(position) => format!("#{position}"),
        Node::Carried => "carried".to_string(),
        Node::Result => "result".to_string(),
        Node::Unary(op, x) => format!("{op}({})", of(x)),
        Node::Binary(op, x, y) => format!("({} {op} {})", of(x), of(y)),
        Node::Compare(op, x, y) => format!("({} {op} {})", of(x), of(y)),
        Node::Select(c, x, y) => format!("select({}, {}, {})", of(c), of(x), of(y)),
        Node::Cast(x) => format!("{}({})", dag.dtype(id), of(x)),
        Node::Wrap(x) => format!("wrap_{}({})", dag.dtype(id), of(x)),
    }
}
