//! What the states of a traversal become at the places where a condition on indices holds.
//!
//! Expressions are written anew with comparisons settled by the condition, names and intermediate results followed to
//! where they are computed, and what `rules` makes simpler. A running value is the same before and after a block that
//! changes nothing, which is what is to be shown, member by member.
//! Invariant: a term stands for the value of its expression wherever the condition holds, but for NaN: `assumes` says
//! that some value built from the states alone is taken not to be NaN. Where it is, the elements that are visited make
//! the state NaN as well.

use super::Lets;
use super::rules;
use crate::base::{Affine, BinaryOp, BufferId, CompareOp, DType, Expr, LocalId, UnaryOp};
use crate::plan::{Pass, State, start_value};
use std::collections::BTreeMap;

/// Distinct terms, and parts of expressions, that are looked at before a condition counts as showing nothing.
const TERMS_MAX: usize = 400;
const PARTS_MAX: usize = 4000;
const DEPTH_MAX: usize = 300;

/// A term, by its place in the list of them.
pub(super) type TermId = usize;

/// What a term is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A number; a zero of either sign is 0.
    Number(f64),
    /// A state, or a running value before a block.
    State(LocalId),
    /// Anything else that has no parts.
    Leaf(Expr),
    Unary(UnaryOp, TermId),
    Binary(BinaryOp, TermId, TermId),
    Compare(CompareOp, TermId, TermId),
    Select(TermId, TermId, TermId),
    Cast(TermId),
    Wrap(TermId),
}

/// A term and its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) dtype: DType,
    pub(super) assumes: bool,
}

pub(super) struct Terms<'l, 'a> {
    lets: &'l Lets<'a>,
    positions: &'l [usize],
    /// Whether the traversal is that of a group.
    in_group: bool,
    /// The condition: this is 0 or more.
    outside: &'l Affine,
    pub(super) list: Vec<Term>,
    named: BTreeMap<LocalId, TermId>,
    loaded: BTreeMap<BufferId, TermId>,
    followed: BTreeMap<LocalId, bool>,
    /// Conditions that do not hold where terms are made anew, see `rules::select`.
    pub(super) denied: Vec<TermId>,
    parts: usize,
    depth: usize,
}

impl<'l, 'a> Terms<'l, 'a> {
    pub(super) fn new(lets: &'l Lets<'a>, positions: &'l [usize], outside: &'l Affine) -> Self {
        let plan = lets.plan;
        let in_group = positions.iter().any(|&position| plan.is_streaming(&plan.passes[position]));
        Self {
            lets,
            positions,
            in_group,
            outside,
            list: vec![],
            named: BTreeMap::new(),
            loaded: BTreeMap::new(),
            followed: BTreeMap::new(),
            denied: vec![],
            parts: 0,
            depth: 0,
        }
    }

    /// Whether the condition leaves every state of the traversal as it is.
    pub(super) fn is_idle(&mut self) -> bool {
        let plan = self.lets.plan;
        let passes = self.positions.iter().map(|&position| &plan.passes[position]);
        let folding = |pass: &&Pass| !self.in_group || plan.is_streaming(pass);
        let passes: Vec<&Pass> = passes.filter(folding).collect();
        let states = || passes.iter().flat_map(|pass| &pass.states);
        states().next().is_some() && states().all(|state| self.is_kept(state))
    }

    fn is_kept(&mut self, state: &'a State) -> bool {
        if !self.is_identity(state) {
            return false;
        }
        let Some(running) = &state.running else { return true };
        let update = self.term(&running.update);
        update.is_some_and(|update| self.list[update].kind == Kind::State(running.before))
    }

    /// Whether a state's term is what its reduction starts with.
    fn is_identity(&mut self, state: &'a State) -> bool {
        let dtype = self.lets.plan.locals[state.local.index()].dtype;
        let start = start_value(state.op, dtype).value;
        let term = self.term(&state.body);
        term.is_some_and(|term| self.list[term].kind == Kind::Number(start + 0.0))
    }

    /// The term of an expression; `None` where it is too large, or where NaN could not be told from a number.
    pub(super) fn term(&mut self, expr: &'a Expr) -> Option<TermId> {
        self.count()?;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let term = self.read(expr);
        self.depth -= 1;
        term
    }

    /// Counts one more part; `None` once there have been too many.
    pub(super) fn count(&mut self) -> Option<()> {
        self.parts += 1;
        (self.parts <= PARTS_MAX).then_some(())
    }

    fn read(&mut self, expr: &'a Expr) -> Option<TermId> {
        let dtype = expr.dtype(self.lets.plan);
        let kind = match expr {
            Expr::Literal(literal) => Kind::Number(literal.value + 0.0),
            Expr::Local(local) => return self.local(*local, dtype),
            Expr::Load(buffer) => return self.load(*buffer, dtype),
            Expr::Compare(op, x, y) => {
                if let Some(holds) = self.settled(*op, x, y) {
                    return self.add(Kind::Number(f64::from(u8::from(holds))), dtype, false);
                }
                let (x, y) = (self.term(x)?, self.term(y)?);
                return rules::compare(self, *op, (x, y));
            }
            Expr::Unary(op, x) => {
                let x = self.term(x)?;
                return rules::unary(self, *op, x, dtype);
            }
            Expr::Binary(op, x, y) => {
                let (x, y) = (self.term(x)?, self.term(y)?);
                return rules::binary(self, *op, (x, y), dtype);
            }
            Expr::Select(c, x, y) => return self.select(c, x, y, dtype),
            Expr::Cast(_, x) | Expr::Wrap(_, x) => {
                let x = self.term(x)?;
                return rules::convert(self, x, dtype, matches!(expr, Expr::Cast(..)));
            }
            Expr::Index(_) | Expr::Len(_) | Expr::At(..) => Kind::Leaf(expr.clone()),
            Expr::Reduce(..) | Expr::Mma(..) => return None,
        };
        self.add(kind, dtype, false)
    }

    /// A choice; one that the condition settles must not hide what the other branch assumes.
    fn select(&mut self, c: &'a Expr, x: &'a Expr, y: &'a Expr, dtype: DType) -> Option<TermId> {
        let c = self.term(c)?;
        if let Some(holds) = self.number(c) {
            let chosen = self.term(if holds != 0.0 { x } else { y })?;
            return (!self.list[chosen].assumes && !self.list[c].assumes).then_some(chosen);
        }
        let (x, y) = (self.term(x)?, self.term(y)?);
        rules::select(self, (c, x, y), dtype)
    }

    fn local(&mut self, local: LocalId, dtype: DType) -> Option<TermId> {
        if let Some(&term) = self.named.get(&local) {
            return Some(term);
        }
        let term = match self.lets.get(local) {
            Some(expr) => self.term(expr)?,
            None => {
                let state = self.before(local).unwrap_or(local);
                self.add(Kind::State(state), dtype, false)?
            }
        };
        self.named.insert(local, term);
        Some(term)
    }

    /// The running value before a block, for one after it: the block changes nothing, which is what is to be shown.
    fn before(&self, local: LocalId) -> Option<LocalId> {
        self.running().find(|running| running.after == local).map(|running| running.before)
    }

    /// The running values of the group that is traversed.
    fn running(&self) -> impl Iterator<Item = &'a crate::plan::Running> {
        let plan = self.lets.plan;
        let in_group = self.in_group;
        let positions = self.positions.iter().filter(move |_| in_group);
        let states = positions.flat_map(move |&position| &plan.passes[position].states);
        states.filter_map(|state| state.running.as_ref())
    }

    /// What is stored is what its pass computes at the same place.
    fn load(&mut self, buffer: BufferId, dtype: DType) -> Option<TermId> {
        if let Some(&term) = self.loaded.get(&buffer) {
            return Some(term);
        }
        let plan = self.lets.plan;
        let producer = self.lets.producer(buffer).map(|position| &plan.passes[position]);
        let result = producer.and_then(|pass| {
            pass.results.iter().find(|result| result.buffer == buffer && pass.scan.is_none())
        });
        let term = match result {
            Some(result) => self.term(&result.value)?,
            None => self.add(Kind::Leaf(Expr::Load(buffer)), dtype, false)?,
        };
        self.loaded.insert(buffer, term);
        Some(term)
    }

    /// What the condition says of a comparison of indices.
    fn settled(&self, op: CompareOp, x: &Expr, y: &Expr) -> Option<bool> {
        let over = self.lets.difference(x, y)?;
        let under = over.clone().scaled(-1);
        let positive = self.is_implied(&over, 1);
        let negative = self.is_implied(&under, 1);
        match op {
            CompareOp::Lt | CompareOp::Ge => {
                let known =
                    if negative { Some(true) } else { self.is_implied(&over, 0).then_some(false) };
                known.map(|less| less == (op == CompareOp::Lt))
            }
            CompareOp::Gt | CompareOp::Le => {
                let known =
                    if positive { Some(true) } else { self.is_implied(&under, 0).then_some(false) };
                known.map(|more| more == (op == CompareOp::Gt))
            }
            CompareOp::Eq | CompareOp::Ne => (positive || negative).then_some(op == CompareOp::Ne),
        }
    }

    /// Whether a number is at least `least` wherever the condition holds.
    fn is_implied(&self, form: &Affine, least: i64) -> bool {
        let axes = &self.lets.plan.axes;
        let beyond = form.clone().plus(&self.outside.clone().scaled(-1));
        form.range(axes).0 >= least || beyond.range(axes).0 >= least
    }

    /// The number that a term is.
    pub(super) fn number(&self, term: TermId) -> Option<f64> {
        match self.list[term].kind {
            Kind::Number(value) => Some(value),
            _ => None,
        }
    }

    /// Whether a term is made of numbers, indices and states that the condition leaves alone: where it is NaN, an element
    /// that is visited has made one of the states NaN.
    pub(super) fn is_of_states(&mut self, term: TermId) -> bool {
        let mut seen = vec![false; self.list.len()];
        let mut open = vec![term];
        while let Some(term) = open.pop() {
            if std::mem::replace(&mut seen[term], true) {
                continue;
            }
            let holds = match self.list[term].kind.clone() {
                Kind::Number(value) => !value.is_nan(),
                Kind::State(local) => self.is_followed(local),
                Kind::Leaf(expr) => !expr.dtype(self.lets.plan).is_float(),
                Kind::Unary(_, x) | Kind::Cast(x) | Kind::Wrap(x) => {
                    open.push(x);
                    true
                }
                Kind::Binary(_, x, y) | Kind::Compare(_, x, y) => {
                    open.extend([x, y]);
                    true
                }
                Kind::Select(c, x, y) => {
                    open.extend([c, x, y]);
                    true
                }
            };
            if !holds {
                return false;
            }
        }
        true
    }

    /// Whether the condition leaves a state alone: one of this group's, which is to be shown, or an earlier one.
    fn is_followed(&mut self, local: LocalId) -> bool {
        if self.running().any(|running| running.before == local) {
            return true;
        }
        if let Some(&known) = self.followed.get(&local) {
            return known;
        }
        self.followed.insert(local, false);
        let plan = self.lets.plan;
        let states =
            plan.passes.iter().filter(|pass| pass.scan.is_none()).flat_map(|pass| &pass.states);
        let state =
            states.into_iter().find(|state| state.local == local && state.running.is_none());
        let known = state.is_some_and(|state| self.is_identity(state));
        self.followed.insert(local, known);
        known
    }

    /// Adds a term, or finds it.
    pub(super) fn add(&mut self, kind: Kind, dtype: DType, assumes: bool) -> Option<TermId> {
        let term = Term { kind, dtype, assumes };
        if let Some(known) = self.list.iter().position(|known| *known == term) {
            return Some(known);
        }
        if self.list.len() == TERMS_MAX {
            return None;
        }
        self.list.push(term);
        Some(self.list.len() - 1)
    }
}
