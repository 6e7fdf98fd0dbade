//! The DOT texts of the same pictures.
//!
//! Invariant: a name is only ever within a quoted string, with quotes and backslashes escaped.

use super::flow::Flow;
use std::fmt::Write as _;
use tilewright_ir::rewrite::EGraphPicture;

/// One file of several parts.
pub(super) fn file(parts: &[String]) -> String {
    let mut out = String::from(
        "digraph tilewright {\n  compound=true; newrank=true; rankdir=TB; bgcolor=\"white\";\n  \
         node [shape=box, style=\"rounded,filled\", fillcolor=\"white\", fontname=\"monospace\", fontsize=11];\n  \
         edge [fontname=\"monospace\", fontsize=10, color=\"#66707c\"];\n",
    );
    parts.iter().for_each(|part| out.push_str(part));
    out + "}\n"
}

/// A string of DOT. Lines end with `\l`, so that they are set to the left.
fn quoted(lines: &[&str]) -> String {
    let mut out = String::from("\"");
    for line in lines {
        for char in line.chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                char if char.is_control() => out.push('\u{fffd}'),
                char => out.push(char),
            }
        }
        if lines.len() > 1 {
            out.push_str("\\l");
        }
    }
    out + "\""
}

fn line(out: &mut String, depth: usize, text: &str) {
    writeln!(out, "{}{text}", "  ".repeat(depth)).expect("writing to a string does not fail");
}

/// The passes of a form.
pub(super) fn passes(flow: &Flow) -> String {
    let mut out = String::new();
    line(&mut out, 1, "subgraph cluster_passes {");
    line(
        &mut out,
        2,
        &format!("label={}; color=\"#d5d3cb\";", quoted(&[&flow.title, &flow.subtitle])),
    );
    for (index, frame) in flow.frames.iter().enumerate() {
        line(&mut out, 2, &format!("subgraph cluster_pass{index} {{"));
        let colours = if frame.is_group { ("#d98a1f", "#fff3df") } else { ("#9aa3ae", "#f2f3f5") };
        let (color, fill) = colours;
        let label = quoted(&[&frame.title]);
        line(
            &mut out,
            3,
            &format!(
                "label={label}; style=\"rounded,filled\"; color=\"{color}\"; fillcolor=\"{fill}\";"
            ),
        );
        for card in frame.cards.0..=frame.cards.1 {
            line(&mut out, 3, &format!("p{card};"));
        }
        line(&mut out, 2, "}");
    }
    for (position, card) in flow.cards.iter().enumerate() {
        let head = format!("{} ({})", card.head, card.note);
        let lines = card.lines.iter().map(|line| line.text.as_str());
        let lines: Vec<&str> = std::iter::once(head.as_str()).chain(lines).collect();
        line(&mut out, 2, &format!("p{position} [label={}];", quoted(&lines)));
        ports(flow, position, &mut out);
    }
    for wire in &flow.wires {
        let bold = if wire.bytes >= 1 << 20 { ", penwidth=2.5, color=\"#a02020\"" } else { "" };
        let label = match wire.bytes {
            0 => wire.label.clone(),
            bytes => format!("{} {bytes} bytes", wire.label),
        };
        line(
            &mut out,
            2,
            &format!("p{} -> p{} [label={}{bold}];", wire.from, wire.to, quoted(&[&label])),
        );
    }
    line(&mut out, 1, "}");
    out
}

/// The inputs and outputs of a card.
fn ports(flow: &Flow, position: usize, out: &mut String) {
    let card = &flow.cards[position];
    for (index, input) in card.inputs.iter().enumerate() {
        let label = quoted(&[input]);
        line(out, 2, &format!("i{position}_{index} [label={label}, fillcolor=\"#e3edf9\"];"));
        line(out, 2, &format!("i{position}_{index} -> p{position};"));
    }
    for (index, output) in card.outputs.iter().enumerate() {
        let label = quoted(&[output]);
        line(out, 2, &format!("o{position}_{index} [label={label}, fillcolor=\"#e2f2e4\"];"));
        line(out, 2, &format!("p{position} -> o{position}_{index};"));
    }
}

/// The e-graph: a cluster for each class.
pub(super) fn egraph(graph: &EGraphPicture) -> String {
    let mut out = String::new();
    for (position, class) in graph.classes.iter().enumerate() {
        line(&mut out, 1, &format!("subgraph cluster_class{position} {{"));
        let name = super::egraph::class_name(class);
        line(
            &mut out,
            2,
            &format!("label={}; style=\"rounded,dashed\"; color=\"#b8bfc7\";", quoted(&[&name])),
        );
        for (index, node) in class.nodes.iter().enumerate() {
            let fill = match (node.is_chosen, node.is_written) {
                (true, _) => "#ffd994",
                (false, true) => "#e3edf9",
                (false, false) => "white",
            };
            let label = quoted(&[&node.label]);
            line(
                &mut out,
                2,
                &format!("c{position}_{index} [label={label}, fillcolor=\"{fill}\"];"),
            );
        }
        line(&mut out, 1, "}");
    }
    for (position, class) in graph.classes.iter().enumerate() {
        for (index, node) in class.nodes.iter().enumerate() {
            let color =
                if node.is_chosen { "penwidth=2, color=\"#d98a1f\"" } else { "color=\"#c6ccd2\"" };
            for &operand in &node.operands {
                let lhead = format!("lhead=cluster_class{operand}");
                let to = if graph.classes[operand].nodes.is_empty() { continue } else { operand };
                line(&mut out, 1, &format!("c{position}_{index} -> c{to}_0 [{lhead}, {color}];"));
            }
        }
    }
    out
}
