//! Gradients as products: a number times factors over divisors, 0 where a mask does not hold.
//!
//! A gradient stays a product on its way back through a kernel, so that sums lose what they do not depend on, quotients
//! meet the values that the forward kernel has already, and sums of gradients have their common factors taken out. So the
//! gradient of a softmax comes out as `p * (d_p - sum(d_p * p))`, from no rule but those of its operations.
//! Invariant: a term and the node made of it are equal wherever the factors are finite; equal terms give equal nodes.

use crate::base::{AxisId, AxisSet, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};
use crate::graph::{GraphBuilder, Node, NodeId, Op};

/// How deep it is looked for the reason why a factor is 0.
const DEPTH: u32 = 12;

/// A product, over the axes that its parts have.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) number: f64,
    pub(super) factors: Vec<NodeId>,
    pub(super) divisors: Vec<NodeId>,
    /// Conditions, and which truth value of each lets the product through.
    pub(super) masks: Vec<(NodeId, bool)>,
    pub(super) dtype: DType,
}

/// The type in which gradients of values of a type are computed.
pub(super) fn computed(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F64 } else { DType::F32 }
}

impl Term {
    /// One node.
    pub(super) fn of(node: NodeId, dtype: DType) -> Self {
        Self { number: 1.0, factors: vec![node], divisors: vec![], masks: vec![], dtype }
    }

    pub(super) fn scaled(mut self, number: f64) -> Self {
        self.number *= number;
        self
    }

    pub(super) fn times(mut self, node: NodeId) -> Self {
        self.factors.push(node);
        self
    }

    pub(super) fn over(mut self, node: NodeId) -> Self {
        self.divisors.push(node);
        self
    }

    pub(super) fn where_is(mut self, condition: NodeId, holds: bool) -> Self {
        if !self.masks.contains(&(condition, holds)) {
            self.masks.push((condition, holds));
        }
        self
    }

    fn parts(&self) -> impl Iterator<Item = NodeId> {
        let masks = self.masks.iter().map(|mask| mask.0);
        self.factors.iter().chain(&self.divisors).copied().chain(masks)
    }

    /// Whether another term differs in its number only.
    fn is_like(&self, other: &Self) -> bool {
        let sorted = |list: &[NodeId]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        let mut masks = [self.masks.clone(), other.masks.clone()];
        masks.iter_mut().for_each(|list| list.sort_unstable());
        sorted(&self.factors) == sorted(&other.factors)
            && sorted(&self.divisors) == sorted(&other.divisors)
            && masks[0] == masks[1]
    }
}

/// The graph that grows, and the algebra of terms in it.
pub(super) struct Tape {
    pub(super) builder: GraphBuilder,
}

impl Tape {
    fn node_of(&self, id: NodeId) -> Node {
        *self.builder.node(id)
    }

    pub(super) fn literal(&mut self, value: f64, dtype: DType) -> NodeId {
        let value = if dtype == DType::F32 { f64::from(value as f32) } else { value };
        self.builder.literal(value, dtype)
    }

    /// A value in a float type.
    pub(super) fn cast(&mut self, id: NodeId, dtype: DType) -> NodeId {
        self.builder.cast(dtype, id)
    }

    pub(super) fn axes(&self, term: &Term) -> AxisSet {
        term.parts().fold(AxisSet::EMPTY, |axes, id| axes | self.builder.node(id).axes)
    }

    fn constant(&self, id: NodeId) -> Option<f64> {
        match self.builder.node(id).op {
            Op::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The same term in fewer parts; `None` for 0.
    pub(super) fn reduced(&mut self, mut term: Term) -> Option<Term> {
        self.take_numbers(&mut term);
        if term.number == 0.0 {
            return None;
        }
        self.take_quotients(&mut term);
        self.take_masks(&mut term);
        Some(term)
    }

    /// Moves numbers and signs from the factors to the front.
    fn take_numbers(&self, term: &mut Term) {
        let mut factors = vec![];
        for mut id in std::mem::take(&mut term.factors) {
            while let Op::Unary(UnaryOp::Neg, x) = self.builder.node(id).op {
                term.number = -term.number;
                id = x;
            }
            match self.constant(id) {
                Some(value) if value.is_finite() => term.number *= value,
                _ => factors.push(id),
            }
        }
        term.factors = factors;
    }

    /// Uses quotients that the kernel has computed already.
    fn take_quotients(&self, term: &mut Term) {
        for position in 0..term.factors.len() {
            let x = term.factors[position];
            let known = term.divisors.iter().enumerate().find_map(|(at, &y)| {
                let found = self.builder.find_binary(BinaryOp::Div, x, y)?;
                Some((at, found))
            });
            if let Some((at, found)) = known {
                term.divisors.remove(at);
                term.factors[position] = found;
            }
        }
    }

    /// Drops the masks outside of which a factor is 0 anyway, and those of factors that the kernel has masked already.
    /// Only where nothing beside that factor can be infinite: 0 times infinity is no number.
    fn take_masks(&mut self, term: &mut Term) {
        if !term.divisors.is_empty() {
            return;
        }
        let mut kept = vec![];
        for (condition, holds) in std::mem::take(&mut term.masks) {
            let alone = |at: usize| {
                let mut others = term.factors.iter().enumerate().filter(|&(other, _)| other != at);
                others.all(|(_, &id)| self.is_tame(id, DEPTH))
            };
            let mut positions = (0..term.factors.len()).filter(|&at| alone(at));
            let vanishes = |at: usize| self.vanishes(term.factors[at], (condition, !holds), DEPTH);
            if positions.clone().any(vanishes) {
                continue;
            }
            let masked = positions.find_map(|at| {
                let x = term.factors[at];
                Some((at, self.builder.find_masked(condition, holds, x)?))
            });
            match masked {
                Some((at, found)) => term.factors[at] = found,
                None => kept.push((condition, holds)),
            }
        }
        term.masks = kept;
    }

    /// Whether a value is finite, by its operations, wherever the inputs are and nothing overflows.
    fn is_tame(&self, id: NodeId, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let op = self.builder.node(id).op;
        match op {
            Op::Literal(value) => value.is_finite(),
            // A choice of 0 is how a kernel keeps away what is not finite.
            Op::Select(_, x, y) if [x, y].iter().any(|&x| self.constant(x) == Some(0.0)) => true,
            Op::Unary(
                UnaryOp::Neg
                | UnaryOp::Abs
                | UnaryOp::Tanh
                | UnaryOp::Erf
                | UnaryOp::Sin
                | UnaryOp::Cos,
                x,
            )
            | Op::Reduce(ReduceOp::Sum, _, x)
            | Op::Cast(x) => self.is_tame(x, depth),
            Op::Binary(BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, ..) | Op::Select(..) => {
                op.operands().all(|x| self.dtype(x) == DType::Bool || self.is_tame(x, depth))
            }
            Op::Input(_) | Op::Index(_) | Op::Len(_) | Op::Gather(..) => true,
            _ => false,
        }
    }

    /// Whether a value is 0 wherever a condition has a truth value.
    fn vanishes(&self, id: NodeId, when: (NodeId, bool), depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match self.builder.node(id).op {
            Op::Literal(value) => value == 0.0,
            Op::Select(c, x, y) if c == when.0 => {
                self.vanishes(if when.1 { x } else { y }, when, depth)
            }
            Op::Select(c, x, y) => {
                let y = self.guarded_dividend(c, y).unwrap_or(y);
                self.vanishes(x, when, depth) && self.vanishes(y, when, depth)
            }
            Op::Unary(UnaryOp::Neg, x) | Op::Cast(x) | Op::Reduce(ReduceOp::Sum, _, x) => {
                self.vanishes(x, when, depth)
            }
            Op::Binary(BinaryOp::Mul, x, y) => [(x, y), (y, x)]
                .into_iter()
                .any(|(x, other)| self.vanishes(x, when, depth) && self.is_tame(other, depth)),
            Op::Unary(UnaryOp::Exp | UnaryOp::Exp2, x) => self.is_lowest(x, when, depth),
            _ => false,
        }
    }

    /// `x` of `x / y` where the condition says that y is not 0.
    fn guarded_dividend(&self, c: NodeId, quotient: NodeId) -> Option<NodeId> {
        let Op::Binary(BinaryOp::Div, x, y) = self.builder.node(quotient).op else { return None };
        let Op::Compare(CompareOp::Eq, of, zero) = self.builder.node(c).op else { return None };
        (of == y && self.constant(zero) == Some(0.0)).then_some(x)
    }

    /// Whether a value is -inf wherever a condition has a truth value.
    fn is_lowest(&self, id: NodeId, when: (NodeId, bool), depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match self.builder.node(id).op {
            Op::Literal(value) => value == f64::NEG_INFINITY,
            Op::Select(c, x, y) if c == when.0 => {
                self.is_lowest(if when.1 { x } else { y }, when, depth)
            }
            Op::Binary(BinaryOp::Sub, x, _) | Op::Cast(x) => self.is_lowest(x, when, depth),
            _ => false,
        }
    }

    /// The value of a term.
    pub(super) fn node(&mut self, term: &Term) -> NodeId {
        let Some(term) = self.reduced(term.clone()) else { return self.literal(0.0, term.dtype) };
        let dtype = term.dtype;
        let mut factors = term.factors.clone().into_iter();
        let mut number = term.number;
        let mut value = match factors.next() {
            Some(first) => first,
            None => {
                let first = self.literal(number, dtype);
                number = 1.0;
                first
            }
        };
        for factor in factors {
            value = self.builder.binary(BinaryOp::Mul, value, factor);
        }
        for &divisor in &term.divisors {
            value = self.builder.binary(BinaryOp::Div, value, divisor);
        }
        if number == -1.0 {
            value = self.builder.unary(UnaryOp::Neg, value);
        } else if number != 1.0 {
            let number = self.literal(number, dtype);
            value = self.builder.binary(BinaryOp::Mul, number, value);
        }
        for &(condition, holds) in &term.masks {
            let zero = self.literal(0.0, dtype);
            value = match holds {
                true => self.builder.select(condition, value, zero),
                false => self.builder.select(condition, zero, value),
            };
        }
        value
    }

    /// The sum of a term over some axes. What has none of them stays outside; an axis that the term lacks makes it
    /// larger by its extent.
    pub(super) fn sum(&mut self, term: Term, axes: AxisSet) -> Option<Term> {
        let mut term = self.reduced(term)?;
        if axes.is_empty() {
            return Some(term);
        }
        let varies = |tape: &Self, id: NodeId| !tape.builder.node(id).axes.is_disjoint(axes);
        let mut inside = Term { number: 1.0, factors: vec![], divisors: vec![], ..term.clone() };
        inside.masks = vec![];
        let split = |tape: &Self, list: &mut Vec<NodeId>| {
            let (inner, outer) = list.iter().partition(|&&id| varies(tape, id));
            *list = outer;
            inner
        };
        inside.factors = split(self, &mut term.factors);
        inside.divisors = split(self, &mut term.divisors);
        inside.masks = term.masks.iter().copied().filter(|mask| varies(self, mask.0)).collect();
        term.masks.retain(|mask| !inside.masks.contains(mask));
        self.take_outer_masks(&mut inside, &term.masks);
        let present = self.axes(&inside) & axes;
        if !present.is_empty() {
            let value = self.node(&inside);
            let sum = self.builder.reduce(ReduceOp::Sum, present, value);
            term.factors.insert(0, sum);
        }
        for axis in (axes - present).iter() {
            let len = self.builder.len(axis);
            let len = self.cast(len, term.dtype);
            term.factors.push(len);
        }
        Some(term)
    }

    /// Uses the masked factors that the kernel has inside of a sum, too, where the mask itself stays outside.
    fn take_outer_masks(&mut self, inside: &mut Term, outer: &[(NodeId, bool)]) {
        let own = inside.masks.clone();
        inside.masks.extend(outer.iter().copied().filter(|mask| !own.contains(mask)));
        self.take_quotients(inside);
        self.take_masks(inside);
        inside.masks.retain(|mask| own.contains(mask));
    }

    /// The sum of several terms, with what they have in common taken out; `None` for 0.
    pub(super) fn total(&mut self, terms: Vec<Term>) -> Option<Term> {
        let mut list: Vec<Term> = vec![];
        for term in terms {
            let Some(term) = self.reduced(term) else { continue };
            match list.iter_mut().find(|known| known.is_like(&term)) {
                Some(known) => known.number += term.number,
                None => list.push(term),
            }
        }
        list.retain(|term| term.number != 0.0);
        let mut total = list.first()?.clone();
        if list.len() == 1 {
            return Some(total);
        }
        total.factors = common(&mut list, |term| &mut term.factors);
        total.divisors = common(&mut list, |term| &mut term.divisors);
        total.masks = common(&mut list, |term| &mut term.masks);
        let size = total.number.abs();
        total.number = if list.iter().all(|term| term.number.abs() == size) { size } else { 1.0 };
        list.iter_mut().for_each(|term| term.number /= total.number);
        // A difference begins with what is not subtracted.
        list.sort_by_key(|term| term.number < 0.0);
        if list[0].number < 0.0 {
            total.number = -total.number;
            list.iter_mut().for_each(|term| term.number = -term.number);
        }
        let mut sum = self.node(&list[0]);
        for term in &list[1..] {
            let size = Term { number: term.number.abs(), ..term.clone() };
            let value = self.node(&size);
            let op = if term.number < 0.0 { BinaryOp::Sub } else { BinaryOp::Add };
            sum = self.builder.binary(op, sum, value);
        }
        total.factors.insert(0, sum);
        self.reduced(total)
    }

    /// The term as one node in another float type.
    pub(super) fn in_type(&mut self, term: Term, dtype: DType) -> Term {
        if term.dtype == dtype {
            return term;
        }
        let value = self.node(&term);
        Term::of(self.cast(value, dtype), dtype)
    }

    /// Whether two values are equal, as a condition.
    pub(super) fn equal(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.builder.compare(CompareOp::Eq, x, y)
    }

    /// `len(axis) - 1 - index`: the index from the other end.
    pub(super) fn mirrored(&mut self, axis: AxisId) -> NodeId {
        let (len, one) = (self.builder.len(axis), self.builder.literal(1.0, DType::I32));
        let last = self.builder.binary(BinaryOp::Sub, len, one);
        let index = self.builder.index(axis);
        self.builder.binary(BinaryOp::Sub, last, index)
    }

    /// The type of a value.
    pub(super) fn dtype(&self, id: NodeId) -> DType {
        self.node_of(id).dtype
    }
}

/// Takes out of every term what all of them have, as often as all have it.
fn common<T: Copy + PartialEq>(
    list: &mut [Term],
    part: impl Fn(&mut Term) -> &mut Vec<T>,
) -> Vec<T> {
    let first = part(&mut list[0]).clone();
    let mut shared = vec![];
    for item in first {
        let all = list.iter_mut().all(|term| part(term).contains(&item));
        if all {
            for term in list.iter_mut() {
                let items = part(term);
                let at = items.iter().position(|known| *known == item);
                items.remove(at.expect("every term has it"));
            }
            shared.push(item);
        }
    }
    shared
}
