//! Loads of one element that a multiplication reads once become its memory operand.
//!
//! An instruction of AVX-512 repeats an element from memory in every lane by itself, which saves an instruction and a
//! register.
//! Invariant: between the place of the load and the multiplication nothing writes memory or moves the address.

use super::isa::Isa;
use super::program::{Address, Leaf, Narrow, Node, Op, Operand, Register, Span, Vector};
use std::collections::BTreeMap;

/// The leaf with such loads as operands.
pub(crate) fn fuse(mut leaf: Leaf, isa: Isa) -> Leaf {
    if isa.is_avx512() {
        let mut uses = BTreeMap::new();
        count(&leaf.body, &mut uses);
        leaf.body = fused(leaf.body, &uses);
    }
    leaf
}

/// How often each vector is read and assigned.
type Uses = BTreeMap<Vector, (u32, u32)>;

fn count(nodes: &[Node], uses: &mut Uses) {
    for node in nodes {
        match node {
            Node::Op(op) => {
                for register in op.read() {
                    if let Register::Vector(of) = register {
                        uses.entry(of).or_default().0 += 1;
                    }
                }
                if let Some(Register::Vector(of)) = op.assigned() {
                    uses.entry(of).or_default().1 += 1;
                }
            }
            Node::Loop { body, .. } => count(body, uses),
            Node::If { then, otherwise, .. } => {
                count(then, uses);
                count(otherwise, uses);
            }
            Node::IfAny { then, .. } => count(then, uses),
        }
    }
}

/// Loads that may become operands: where they stand, their address, the bytes of an element.
type Waiting = BTreeMap<Vector, (usize, Address, u64)>;

fn fused(nodes: Vec<Node>, uses: &Uses) -> Vec<Node> {
    let mut waiting = Waiting::new();
    let mut out: Vec<Option<Node>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let node = match node {
            Node::Op(mut op) => {
                if let Some(load) = take(&mut op, &mut waiting) {
                    out[load] = None;
                }
                note(&op, out.len(), uses, &mut waiting);
                Node::Op(op)
            }
            Node::Loop { index, end, step, entered, body } => {
                waiting.clear();
                Node::Loop { index, end, step, entered, body: fused(body, uses) }
            }
            Node::If { condition, then, otherwise } => {
                waiting.clear();
                let (then, otherwise) = (fused(then, uses), fused(otherwise, uses));
                Node::If { condition, then, otherwise }
            }
            Node::IfAny { mask, then } => {
                waiting.clear();
                Node::IfAny { mask, then: fused(then, uses) }
            }
        };
        out.push(Some(node));
    }
    out.into_iter().flatten().collect()
}

/// Makes a waiting load an operand of a multiplication; where the load stands.
fn take(op: &mut Op, waiting: &mut Waiting) -> Option<usize> {
    let (bytes, commutes, x, y) = match op {
        Op::MultiplyAdd { lane, x, y, .. } => (lane.bytes(), true, x, y),
        // Of bytes the second factor alone is signed.
        Op::Dot { of, x, y, .. } => (4, *of != Narrow::Bytes, x, y),
        _ => return None,
    };
    let Operand::Vector(factor) = *y else { return None };
    let fits = |of: &Vector| waiting.get(of).is_some_and(|load| load.2 == bytes);
    let (splat, other) = match (fits(&factor), fits(x) && commutes) {
        (true, _) => (factor, *x),
        (false, true) => (*x, factor),
        (false, false) => return None,
    };
    let (load, at, _) = waiting.remove(&splat)?;
    (*x, *y) = (other, Operand::Splat(at));
    Some(load)
}

/// Keeps the list of waiting loads up to date behind an operation.
fn note(op: &Op, position: usize, uses: &Uses, waiting: &mut Waiting) {
    if matches!(op, Op::Store { .. } | Op::Scatter { .. } | Op::Tile(_)) {
        waiting.clear();
    }
    if let Some(Register::Scalar(moved)) = op.assigned() {
        waiting.retain(|_, (_, at, _)| at.base != moved);
    }
    if let Op::Load { element, to, at, span: Span::Splat } = *op
        && element.bytes() == element.lane_bytes()
        && uses.get(&to) == Some(&(1, 1))
    {
        waiting.insert(to, (position, at, element.bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wide::program::{Element, Lane, Scalar};

    const ELEMENT: Op = Op::Load {
        element: Element::Word,
        to: Vector(0),
        at: Address { base: Scalar(0), displacement: 4 },
        span: Span::Splat,
    };

    fn product(x: u32, y: u32) -> Op {
        let (x, y) = (Vector(x), Operand::Vector(Vector(y)));
        Op::MultiplyAdd { lane: Lane::F32, to: Vector(2), x, y, z: Vector(2) }
    }

    /// Operations that are left, and whether the last one reads memory.
    fn left(ops: &[Op], isa: Isa) -> (usize, bool) {
        let leaf = Leaf {
            name: String::new(),
            lanes: 16,
            constants: vec![],
            body: ops.iter().cloned().map(Node::Op).collect(),
            vectors: 3,
            predicates: 0,
            scalars: 2,
        };
        let body = fuse(leaf, isa).body;
        let last = body.last();
        let fused = |node: &Node| {
            matches!(node, Node::Op(Op::MultiplyAdd { y: Operand::Splat(_), x: Vector(1), .. }))
        };
        (body.len(), last.is_some_and(fused))
    }

    #[test]
    fn an_element_that_is_read_once_is_an_operand() {
        assert_eq!(left(&[ELEMENT, product(0, 1)], Isa::Avx512), (1, true));
        assert_eq!(left(&[ELEMENT, product(1, 0)], Isa::Avx512), (1, true));
        assert_eq!(left(&[ELEMENT, product(0, 1)], Isa::Avx2), (2, false));
    }

    #[test]
    fn an_element_stays_in_a_register_where_it_has_to() {
        let twice = [ELEMENT, product(0, 1), product(0, 1)];
        assert_eq!(left(&twice, Isa::Avx512), (3, false), "read twice");
        assert_eq!(left(&[ELEMENT, product(0, 0)], Isa::Avx512), (2, false), "squared");
        let moved = Op::AddConstant { to: Scalar(0), x: Scalar(0), value: 4 };
        assert_eq!(left(&[ELEMENT, moved, product(0, 1)], Isa::Avx512), (3, false), "moved");
        let other = Op::AddConstant { to: Scalar(1), x: Scalar(0), value: 4 };
        assert_eq!(left(&[ELEMENT, other, product(0, 1)], Isa::Avx512), (2, true));
        let at = Address { base: Scalar(1), displacement: 0 };
        let (from, span) = (Vector(1), Span::Whole);
        let store = Op::Store { element: Element::Word, from, at, span, streaming: false };
        assert_eq!(left(&[ELEMENT, store, product(0, 1)], Isa::Avx512), (3, false), "written");
    }
}
