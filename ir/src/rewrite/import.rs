//! From a graph to the language of the e-graph.
//!
//! Invariant: the expression means the same as the graph, element by element, special values included: a difference is
//! the sum with the negative, a quotient the product with the reciprocal. Only f32 and f64 arithmetic is spelled out;
//! what is done in narrower types or in integers stays as it is.

use super::analysis::{Facts, Opaque};
use super::language::{Axes, Math, Number};
use crate::base::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::graph::{Graph, NodeId, Op};
use egg::{Id, RecExpr, Symbol};

/// A graph as one expression list.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) expression: RecExpr<Math>,
    /// The place of each graph node in the list.
    pub(super) places: Vec<Id>,
    pub(super) facts: Facts,
}

/// Spells out a graph.
pub(super) fn import(graph: &Graph) -> Imported {
    let mut importer = Importer { graph, expression: RecExpr::default(), facts: Facts::default() };
    let mut places: Vec<Id> = vec![];
    for id in graph.ids() {
        let place = importer.node(id, &places);
        places.push(place);
    }
    Imported { expression: importer.expression, places, facts: importer.facts }
}

struct Importer<'g> {
    graph: &'g Graph,
    expression: RecExpr<Math>,
    facts: Facts,
}

impl Importer<'_> {
    fn node(&mut self, id: NodeId, places: &[Id]) -> Id {
        let node = self.graph.node(id);
        let at = |operand: NodeId| places[operand.index()];
        let spelled = is_spelled(node.dtype);
        let math = match node.op {
            Op::Literal(value) => Math::Number(Number::new(value, node.dtype)),
            Op::Unary(op, x) if spelled => return self.unary(id, op, at(x)),
            Op::Binary(op, x, y) if spelled => return self.binary(id, op, (x, y), places),
            Op::Compare(CompareOp::Eq, x, y) if is_spelled(self.graph.node(x).dtype) => {
                Math::Equal([at(x), at(y)])
            }
            Op::Select(c, x, y) if spelled => match self.guarded(c, x, y) {
                Some(guarded) => Math::Guard([at(guarded)]),
                None => Math::Where([at(c), at(x), at(y)]),
            },
            Op::Reduce(op, axes, x) if spelled => {
                let j = self.expression.add(Math::Axes(Axes(axes)));
                match op {
                    ReduceOp::Sum => Math::Sum([j, at(x)]),
                    ReduceOp::Max => Math::MaxOf([j, at(x)]),
                    ReduceOp::Min => Math::MinOf([j, at(x)]),
                    _ => return self.opaque(id, places),
                }
            }
            _ => return self.opaque(id, places),
        };
        self.expression.add(math)
    }

    fn unary(&mut self, id: NodeId, op: UnaryOp, x: Id) -> Id {
        let math = match op {
            UnaryOp::Neg => Math::Neg([x]),
            UnaryOp::Recip => Math::Recip([x]),
            UnaryOp::Exp => Math::Exp([x]),
            UnaryOp::Exp2 => Math::Exp2([x]),
            UnaryOp::Log => Math::Log([x]),
            UnaryOp::Log2 => Math::Log2([x]),
            UnaryOp::Sqrt => Math::Sqrt([x]),
            UnaryOp::Rsqrt => {
                let root = self.expression.add(Math::Sqrt([x]));
                Math::Recip([root])
            }
            _ => return self.opaque_of(id, vec![x]),
        };
        self.expression.add(math)
    }

    fn binary(&mut self, id: NodeId, op: BinaryOp, (x, y): (NodeId, NodeId), places: &[Id]) -> Id {
        let square = self.graph.node(y).op == Op::Literal(2.0);
        let (x, y) = (places[x.index()], places[y.index()]);
        let math = match op {
            BinaryOp::Add => Math::Add([x, y]),
            BinaryOp::Sub => {
                let y = self.expression.add(Math::Neg([y]));
                Math::Add([x, y])
            }
            BinaryOp::Mul => Math::Mul([x, y]),
            BinaryOp::Div => {
                let y = self.expression.add(Math::Recip([y]));
                Math::Mul([x, y])
            }
            BinaryOp::Max => Math::Max([x, y]),
            BinaryOp::Min => Math::Min([x, y]),
            BinaryOp::Pow if square => Math::Mul([x, x]),
            _ => return self.opaque_of(id, vec![x, y]),
        };
        self.expression.add(math)
    }

    /// `x` of `where(x == -inf, 0, x)` and of `where(x != -inf, x, 0)`.
    fn guarded(&self, c: NodeId, then: NodeId, otherwise: NodeId) -> Option<NodeId> {
        let Op::Compare(op, x, y) = self.graph.node(c).op else { return None };
        let lowest = |id: NodeId| self.graph.node(id).op == Op::Literal(f64::NEG_INFINITY);
        let value = match (lowest(x), lowest(y)) {
            (false, true) => x,
            (true, false) => y,
            _ => return None,
        };
        let zero =
            |id: NodeId| matches!(self.graph.node(id).op, Op::Literal(value) if value == 0.0);
        let fits = match op {
            CompareOp::Eq => zero(then) && otherwise == value,
            CompareOp::Ne => zero(otherwise) && then == value,
            _ => false,
        };
        fits.then_some(value)
    }

    fn opaque(&mut self, id: NodeId, places: &[Id]) -> Id {
        let operands = self.graph.node(id).op.operands();
        let operands = operands.map(|operand| places[operand.index()]).collect();
        self.opaque_of(id, operands)
    }

    /// An operation that keeps its name: equal operations on equal operands are equal.
    fn opaque_of(&mut self, id: NodeId, operands: Vec<Id>) -> Id {
        let node = *self.graph.node(id);
        let anonymous = node.op.map_operands(|_| NodeId(0));
        let name = Symbol::from(format!("{anonymous:?}:{}", node.dtype));
        let opaque = Opaque { op: node.op, dtype: node.dtype, axes: node.axes };
        self.facts.opaque.entry(name).or_insert(opaque);
        self.expression.add(Math::Other(name, operands))
    }
}

/// Whether arithmetic in the type is taken apart.
fn is_spelled(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}
