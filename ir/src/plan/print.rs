//! The printer of the plan text. The grammar stands at the parser.
//!
//! Invariant: one program has one text; `parse(print(p)) == p` for every verified program whose locals are numbered
//! in the order in which the passes declare them, as `build` numbers them.

use super::{Let, Pass, PassProgram, ValueKind};
use crate::base::{AxisId, BufferId, Expr, LocalId};
use crate::text::{ExprNames, print_expr, print_strides, quote_name};
use std::fmt::Write;

/// The canonical text.
pub fn print(program: &PassProgram) -> String {
    let exact = if program.exact { " exact" } else { "" };
    let mut out = format!("plan {}{exact} {{\n", quote_name(&program.name));
    let extent = |axis| format!("{}={}", axis_name(program, axis), program.axes.extent(axis));
    if !program.axes.is_empty() {
        let extents: Vec<_> = program.axes.ids().map(extent).collect();
        line(&mut out, 1, &format!("extents {}", extents.join(", ")));
    }
    for chunk in &program.chunks {
        let name = |axis| axis_name(program, axis);
        let text = format!("chunks {} = {} by {}", name(chunk.axis), name(chunk.of), chunk.length);
        line(&mut out, 1, &text);
    }
    for value in &program.values {
        let word = match value.kind {
            ValueKind::Input => "input",
            ValueKind::Output => "output",
            ValueKind::Intermediate => "value",
        };
        let axes = if value.axes.is_empty() { String::new() } else { axes(program, &value.axes) };
        let strides = value.strides.as_deref().map(print_strides).unwrap_or_default();
        let name = quote_name(&value.name);
        line(&mut out, 1, &format!("{word} {name}: {}{axes}{strides}", value.dtype));
    }
    let mut open = None;
    for pass in &program.passes {
        if open != pass.group {
            print_group(program, (open, pass.group), &mut out);
            open = pass.group;
        }
        print_pass(program, pass, &mut out);
    }
    print_group(program, (open, None), &mut out);
    out.push_str("}\n");
    out
}

/// The line between two passes of different groups.
fn print_group(
    program: &PassProgram,
    (from, to): (Option<usize>, Option<usize>),
    out: &mut String,
) {
    if from.is_some() {
        line(out, 1, "}");
    }
    if let Some(group) = to {
        line(out, 1, &format!("group {} {{", axes(program, &program.groups[group])));
    }
}

fn print_pass(program: &PassProgram, pass: &Pass, out: &mut String) {
    let mut head = format!("pass {}", quote_name(&pass.name));
    if !pass.axes.is_empty() {
        head.push_str(&axes(program, &pass.axes));
    }
    if !pass.stream.is_empty() {
        head.push_str(&format!(" stream {}", axes(program, &pass.stream)));
    }
    if let Some(axis) = pass.scan {
        head.push_str(&format!(" scan {}", axes(program, &[axis])));
    }
    let optional = if pass.optional { " optional" } else { "" };
    let depth = 1 + usize::from(pass.group.is_some());
    line(out, depth, &format!("{head}{optional} {{"));
    print_lets(program, &pass.body_lets, depth, out);
    for state in &pass.states {
        let (name, body) = (program.local_name(state.local), print_expr(&state.body, program));
        let running = state.running.as_ref().map(|running| {
            let name = |local| quote_name(program.local_name(local));
            format!(" before {} after {}", name(running.before), name(running.after))
        });
        let running = running.unwrap_or_default();
        line(
            out,
            depth + 1,
            &format!("state {} = {}({body}){running}", quote_name(name), state.op),
        );
    }
    print_updates(program, pass, depth, out);
    print_lets(program, &pass.result_lets, depth, out);
    for result in &pass.results {
        let (name, value) =
            (program.buffer_name(result.buffer), print_expr(&result.value, program));
        line(out, depth + 1, &format!("result {} = {value}", quote_name(name)));
    }
    line(out, depth, "}");
}

/// The updates that change what they hold.
fn print_updates(program: &PassProgram, pass: &Pass, depth: usize, out: &mut String) {
    print_lets(program, &pass.update_lets, depth, out);
    for state in &pass.states {
        let Some(running) = &state.running else { continue };
        if running.update != Expr::Local(running.before) {
            let name = quote_name(program.local_name(state.local));
            let update = print_expr(&running.update, program);
            line(out, depth + 1, &format!("update {name} = {update}"));
        }
    }
}

fn print_lets(program: &PassProgram, lets: &[Let], depth: usize, out: &mut String) {
    for item in lets {
        let (name, value) = (program.local_name(item.local), print_expr(&item.expr, program));
        line(out, depth + 1, &format!("let {} = {value}", quote_name(name)));
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    writeln!(out, "{}{text}", "  ".repeat(depth)).expect("writing to a string does not fail");
}

fn axis_name(program: &PassProgram, axis: AxisId) -> String {
    quote_name(program.axes.name(axis))
}

fn axes(program: &PassProgram, axes: &[AxisId]) -> String {
    let names: Vec<_> = axes.iter().map(|&axis| axis_name(program, axis)).collect();
    format!("[{}]", names.join(", "))
}

impl ExprNames for PassProgram {
    fn axis_name(&self, axis: AxisId) -> &str {
        self.axes.name(axis)
    }

    fn buffer_name(&self, buffer: BufferId) -> &str {
        &self.values[buffer.index()].name
    }

    fn local_name(&self, local: LocalId) -> &str {
        &self.locals[local.index()].name
    }
}
