//! A leaf as text, for listings and failing tests.
//!
//! One line for each operation, its result first: `v3 = f32 multiply-add v1 v2 v3`. Bodies are indented.

use super::program::{
    Address, Dyad, Element, Lane, Leaf, Limit, Monad, Node, Op, Operand, Predicate, Scalar, Span,
    Vector,
};
use std::fmt::{self, Write as _};

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.displacement {
            0 => write!(f, "[{}]", self.base),
            displacement => write!(f, "[{}{displacement:+}]", self.base),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vector(of) => write!(f, "{of}"),
            Self::Splat(at) => write!(f, "splat {at}"),
            Self::Memory(at) => write!(f, "{at}"),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "leaf {:?} of {} lanes", self.name, self.lanes)?;
        let mut text = String::new();
        for op in &self.constants {
            line(&mut text, 1, &op_text(op));
        }
        nodes(&mut text, 1, &self.body);
        f.write_str(&text)
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:depth$}{text}", "", depth = 2 * depth);
}

fn nodes(out: &mut String, depth: usize, list: &[Node]) {
    for node in list {
        match node {
            Node::Op(op) => line(out, depth, &op_text(op)),
            Node::Loop { index, end, step, entered, body } => {
                let end = match end {
                    Limit::Constant(value) => value.to_string(),
                    Limit::Scalar(of) => of.to_string(),
                };
                let entered = if *entered { " entered" } else { "" };
                line(out, depth, &format!("while {index} < {end} step {step}{entered}"));
                nodes(out, depth + 1, body);
            }
            Node::If { condition, then, otherwise } => {
                line(out, depth, &format!("if {condition}"));
                nodes(out, depth + 1, then);
                if !otherwise.is_empty() {
                    line(out, depth, "else");
                    nodes(out, depth + 1, otherwise);
                }
            }
            Node::IfAny { mask, then } => {
                line(out, depth, &format!("if any {mask}"));
                nodes(out, depth + 1, then);
            }
        }
    }
}

fn span_text(span: Span) -> String {
    match span {
        Span::Whole => String::new(),
        Span::Where(mask) => format!(" where {mask}"),
        Span::Splat => " splat".to_string(),
        Span::First => " first".to_string(),
    }
}

fn mask_text(mask: Option<Predicate>) -> String {
    mask.map_or_else(String::new, |mask| format!(" where {mask}"))
}

/// `MultiplyAdd` as `multiply-add`.
pub(super) fn words(name: &impl fmt::Debug) -> String {
    let mut out = String::new();
    for (place, letter) in format!("{name:?}").chars().enumerate() {
        if letter.is_ascii_uppercase() && place > 0 {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn op_text(op: &Op) -> String {
    vector_text(op).or_else(|| memory_text(op)).unwrap_or_else(|| scalar_text(op))
}

fn vector_text(op: &Op) -> Option<String> {
    let dyad = |op: Dyad| words(&op);
    let monad = |op: Monad| words(&op);
    Some(match *op {
        Op::Constant { to, lane, bits } => match lane {
            Lane::F32 => format!("{to} = f32 {:?}", f32::from_bits(bits as u32)),
            Lane::F64 => format!("{to} = f64 {:?}", f64::from_bits(bits)),
            Lane::I32 => format!("{to} = i32 {}", bits as u32 as i32),
            Lane::I64 => format!("{to} = i64 {}", bits as i64),
        },
        Op::LaneNumbers { to } => format!("{to} = lane-numbers"),
        Op::Words { to, words } => {
            let words: Vec<String> = words.iter().map(|word| format!("{word:#x}")).collect();
            format!("{to} = words {}", words.join(" "))
        }
        Op::LookUpHalves { to, table, at } => format!("{to} = look-up halves {table} {at}"),
        Op::Halve { to, x, y } => format!("{to} = halve {x} {y}"),
        Op::LookUp { to, table, at } => format!("{to} = look-up {table} {at}"),
        Op::Copy { to, x } => format!("{to} = {x}"),
        Op::Dyad { op, lane, to, x, y } => format!("{to} = {lane} {} {x} {y}", dyad(op)),
        Op::Monad { op, lane, to, x } => format!("{to} = {lane} {} {x}", monad(op)),
        Op::Shift { op, lane, to, x, count } => {
            format!("{to} = {lane} shift-{} {x} {count}", words(&op))
        }
        Op::Nibbles { to, at, bytes } => format!("{to} = nibbles {at}{}", mask_text(bytes)),
        Op::Dot { of, to, x, y, z } => format!("{to} = dot {} {x} {y} {z}", words(&of)),
        Op::MultiplyAdd { lane, to, x, y, z } => format!("{to} = {lane} multiply-add {x} {y} {z}"),
        Op::Scale { lane, to, x, y, mask: None } => format!("{to} = {lane} scale {x} {y}"),
        Op::Scale { lane, to, x, y, mask: Some(mask) } => {
            format!("{to} = {lane} scale {x} {y} where {mask}")
        }
        Op::Compare { op, lane, to, x, y } => format!("{to} = {lane} {} {x} {y}", words(&op)),
        Op::Select { lane, to, mask, yes, no } => format!("{to} = {lane} select {mask} {yes} {no}"),
        Op::LanesDown { lane, to, x, count } => format!("{to} = {lane} lanes-down {x} {count}"),
        Op::Zip { lane, unit, high, to, x, y } => {
            let half = if high { "high" } else { "low" };
            format!("{to} = {lane} zip-{half} {x} {y} {unit}")
        }
        Op::Pieces { lane, to, x, y, pick } => format!("{to} = {lane} pieces {x} {y} {pick:#04x}"),
        Op::Splat { lane, to, from } => format!("{to} = {lane} splat {from}"),
        Op::Logic { op, to, x, y } => format!("{to} = {} {x} {y}", words(&op)),
        Op::Not { to, x } => format!("{to} = not {x}"),
        Op::Always { to, value } => format!("{to} = {value}"),
        Op::FirstLanes { to, count } => format!("{to} = first-lanes {count}"),
        _ => return None,
    })
}

fn memory_text(op: &Op) -> Option<String> {
    let name = |element: Element| words(&element);
    Some(match *op {
        Op::Load { element, to, at, span } => {
            format!("{to} = load {} {at}{}", name(element), span_text(span))
        }
        Op::Gather { element, to, at, index, mask } => {
            format!("{to} = gather {} {at} {index}{}", name(element), mask_text(mask))
        }
        Op::Store { element, from, at, span, streaming } => {
            let streaming = if streaming { " streaming" } else { "" };
            format!("store {} {at} {from}{}{streaming}", name(element), span_text(span))
        }
        Op::Scatter { element, from, at, index, mask } => {
            format!("scatter {} {at} {index} {from}{}", name(element), mask_text(mask))
        }
        Op::Prefetch { at, level } => format!("prefetch {at} level {level}"),
        Op::Tile(op) => op.to_string(),
        _ => return None,
    })
}

fn scalar_text(op: &Op) -> String {
    match *op {
        Op::Set { to, value } => format!("{to} = {value}"),
        Op::Move { to, x } => format!("{to} = {x}"),
        Op::AddConstant { to, x, value } => format!("{to} = {x} + {value}"),
        Op::Add { to, x, y } => format!("{to} = {x} + {y}"),
        Op::Subtract { to, x, y } => format!("{to} = {x} - {y}"),
        Op::MultiplyConstant { to, x, value } => format!("{to} = {x} * {value}"),
        Op::DivideConstant { to, x, value } => format!("{to} = {x} / {value}"),
        Op::Frame { to, word } => format!("{to} = frame {word}"),
        _ => String::new(),
    }
}
