//! When the registers of a leaf are alive.
//!
//! Positions number the operations, loop heads and loop ends in the order of the text; a position has two instants, one
//! where it reads (even) and one where it writes (odd). Liveness is exact along loops and branches; the interval of a
//! register is the hull of the instants at which it is alive.
//! Invariant: two registers whose intervals are disjoint are never alive together.

use super::isa::Refusal;
use super::program::{Leaf, Limit, Node, Op, Register, Scalar};

/// From the first instant to the last, with how often it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// The first instant.
    pub(super) start: u32,
    /// The last.
    pub(super) end: u32,
    /// Reads and writes, each weighted by the depth of its loops.
    pub(super) weight: u64,
    /// Registers to share a place with, the best first.
    pub(super) hints: [Option<Register>; 3],
}

/// The intervals of all registers; `None` where a register does not occur.
pub(super) struct Intervals {
    vectors: usize,
    predicates: usize,
    all: Vec<Option<Interval>>,
}

/// How an operation reads, which depends on its code.
pub(super) trait Reading {
    /// Whether `op` writes its result before it has read everything.
    fn writes_early(&self, op: &Op) -> bool;
}

/// A set of registers by number.
type Live = Vec<bool>;

impl Intervals {
    /// The intervals of a leaf.
    ///
    /// # Errors
    /// When a register is read on a way where nothing assigned it, or has a number that the leaf does not declare.
    pub(super) fn of(leaf: &Leaf, reading: &dyn Reading) -> Result<Self, Refusal> {
        let (vectors, predicates) = (leaf.vectors as usize, leaf.predicates as usize);
        let count = vectors + predicates + leaf.scalars as usize;
        let intervals = Self { vectors, predicates, all: vec![None; count] };
        intervals.check_numbers(leaf)?;
        let at = 1 + leaf.constants.len() as u32 + positions(&leaf.body);
        let mut walk = Walk { intervals, at, depth: 0, reading };
        let mut live = vec![false; count];
        walk.nodes(&leaf.body, &mut live);
        for op in leaf.constants.iter().rev() {
            walk.op(op, &mut live);
        }
        match live.iter().position(|&live| live) {
            Some(number) => {
                let register = walk.intervals.register(number);
                Err(Refusal::Malformed(format!("{register:?} is read before it is assigned")))
            }
            None => Ok(walk.intervals),
        }
    }

    /// The interval of a register.
    pub(super) fn get(&self, register: Register) -> Option<Interval> {
        self.all[self.number(register)]
    }

    /// All registers that occur.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Register, Interval)> {
        let all = self.all.iter().enumerate();
        all.filter_map(|(number, interval)| Some((self.register(number), (*interval)?)))
    }

    fn number(&self, register: Register) -> usize {
        match register {
            Register::Vector(of) => of.0 as usize,
            Register::Predicate(of) => self.vectors + of.0 as usize,
            Register::Scalar(of) => self.vectors + self.predicates + of.0 as usize,
        }
    }

    fn register(&self, number: usize) -> Register {
        use super::program::{Predicate, Vector};
        let after_vectors = number.saturating_sub(self.vectors);
        if number < self.vectors {
            Register::Vector(Vector(number as u32))
        } else if after_vectors < self.predicates {
            Register::Predicate(Predicate(after_vectors as u32))
        } else {
            Register::Scalar(Scalar((after_vectors - self.predicates) as u32))
        }
    }

    fn check_numbers(&self, leaf: &Leaf) -> Result<(), Refusal> {
        let mut outside = None;
        let mut see = |register: Register| {
            let declared = match register {
                Register::Vector(of) => of.0 < leaf.vectors,
                Register::Predicate(of) => of.0 < leaf.predicates,
                Register::Scalar(of) => of.0 < leaf.scalars,
            };
            if !declared {
                outside = Some(register);
            }
        };
        for op in &leaf.constants {
            op.assigned().into_iter().chain(op.read()).for_each(&mut see);
        }
        registers(&leaf.body, &mut see);
        match outside {
            Some(register) => Err(Refusal::Malformed(format!("{register:?} is not declared"))),
            None => Ok(()),
        }
    }
}

fn registers(nodes: &[Node], see: &mut dyn FnMut(Register)) {
    for node in nodes {
        match node {
            Node::Op(op) => op.assigned().into_iter().chain(op.read()).for_each(&mut *see),
            Node::Loop { index, end, body, .. } => {
                see(Register::Scalar(*index));
                limit(*end).into_iter().for_each(&mut *see);
                registers(body, see);
            }
            Node::If { condition, then, otherwise } => {
                see(Register::Scalar(*condition));
                registers(then, see);
                registers(otherwise, see);
            }
            Node::IfAny { mask, then } => {
                see(Register::Predicate(*mask));
                registers(then, see);
            }
        }
    }
}

fn limit(end: Limit) -> Option<Register> {
    match end {
        Limit::Constant(_) => None,
        Limit::Scalar(end) => Some(Register::Scalar(end)),
    }
}

fn positions(nodes: &[Node]) -> u32 {
    let of = |node: &Node| match node {
        Node::Op(_) => 1,
        Node::Loop { body, .. } => 2 + positions(body),
        Node::If { then, otherwise, .. } => 1 + positions(then) + positions(otherwise),
        Node::IfAny { then, .. } => 1 + positions(then),
    };
    nodes.iter().map(of).sum()
}

/// A walk from the end of the leaf to its beginning.
struct Walk<'a> {
    intervals: Intervals,
    at: u32,
    depth: u32,
    reading: &'a dyn Reading,
}

impl Walk<'_> {
    fn nodes(&mut self, nodes: &[Node], live: &mut Live) {
        for node in nodes.iter().rev() {
            match node {
                Node::Op(op) => self.op(op, live),
                Node::Loop { index, end, entered, body, .. } => {
                    self.repeat(*index, *end, *entered, body, live);
                }
                Node::If { condition, then, otherwise } => {
                    let mut other = live.clone();
                    self.nodes(otherwise, &mut other);
                    self.nodes(then, live);
                    unite(live, &other);
                    self.at -= 1;
                    self.read(Register::Scalar(*condition), false, live);
                }
                Node::IfAny { mask, then } => {
                    let skipped = live.clone();
                    self.nodes(then, live);
                    unite(live, &skipped);
                    self.at -= 1;
                    self.read(Register::Predicate(*mask), false, live);
                }
            }
        }
    }

    fn op(&mut self, op: &Op, live: &mut Live) {
        self.at -= 1;
        if let Some(to) = op.assigned() {
            self.touch(to, 2 * self.at + 1, true);
            let number = self.intervals.number(to);
            live[number] = false;
            if let Some(interval) = &mut self.intervals.all[number] {
                interval.hints = hints(op);
            }
        }
        let early = self.reading.writes_early(op);
        for register in op.read() {
            self.read(register, early, live);
        }
    }

    fn read(&mut self, register: Register, late: bool, live: &mut Live) {
        self.touch(register, 2 * self.at + u32::from(late), true);
        live[self.intervals.number(register)] = true;
    }

    /// `while index < end { body; index += step }`: what the body reads before it assigns, and what is read after the
    /// loop, is alive where the body ends; what is alive there and where the body begins, is so everywhere in between.
    fn repeat(&mut self, index: Scalar, end: Limit, entered: bool, body: &[Node], live: &mut Live) {
        let after = live.clone();
        let control: Vec<_> =
            [Some(Register::Scalar(index)), limit(end)].into_iter().flatten().collect();
        let mut carried = vec![false; live.len()];
        for &register in &control {
            carried[self.intervals.number(register)] = true;
        }
        exposed(&self.intervals, body, &mut carried);
        unite(live, &carried);
        self.depth += 1;
        self.at -= 1;
        for &register in &control {
            self.read(register, true, live);
        }
        self.touch_all(live, 2 * self.at + 1);
        self.nodes(body, live);
        self.at -= 1;
        self.depth -= 1;
        for &register in &control {
            self.read(register, false, live);
        }
        if !entered {
            unite(live, &after);
        }
        self.touch_all(live, 2 * self.at);
    }

    fn touch_all(&mut self, live: &Live, instant: u32) {
        for number in (0..live.len()).filter(|&number| live[number]) {
            let register = self.intervals.register(number);
            self.touch(register, instant, false);
        }
    }

    fn touch(&mut self, register: Register, instant: u32, used: bool) {
        let number = self.intervals.number(register);
        let fresh = Interval { start: instant, end: instant, weight: 0, hints: [None; 3] };
        let interval = self.intervals.all[number].get_or_insert(fresh);
        interval.start = interval.start.min(instant);
        interval.end = interval.end.max(instant);
        if used {
            interval.weight = interval.weight.saturating_add(1 << (3 * self.depth.min(16)));
        }
    }
}

fn unite(live: &mut Live, other: &Live) {
    for (live, &other) in live.iter_mut().zip(other) {
        *live |= other;
    }
}

/// Turns what is alive after `nodes` into what is alive before, without counting positions.
fn exposed(intervals: &Intervals, nodes: &[Node], live: &mut Live) {
    for node in nodes.iter().rev() {
        match node {
            Node::Op(op) => {
                if let Some(to) = op.assigned() {
                    live[intervals.number(to)] = false;
                }
                for register in op.read() {
                    live[intervals.number(register)] = true;
                }
            }
            Node::Loop { index, end, entered, body, .. } => {
                let after = live.clone();
                // One pass suffices: what a second turn of the body would expose, the first one exposes.
                exposed(intervals, body, live);
                if !entered {
                    unite(live, &after);
                }
                for register in [Some(Register::Scalar(*index)), limit(*end)].into_iter().flatten()
                {
                    live[intervals.number(register)] = true;
                }
            }
            Node::If { condition, then, otherwise } => {
                let mut other = live.clone();
                exposed(intervals, otherwise, &mut other);
                exposed(intervals, then, live);
                unite(live, &other);
                live[intervals.number(Register::Scalar(*condition))] = true;
            }
            Node::IfAny { mask, then } => {
                let skipped = live.clone();
                exposed(intervals, then, live);
                unite(live, &skipped);
                live[intervals.number(Register::Predicate(*mask))] = true;
            }
        }
    }
}

/// What the result should share a register with, where that dies.
fn hints(op: &Op) -> [Option<Register>; 3] {
    use super::program::Operand;
    match *op {
        Op::MultiplyAdd { x, y, z, .. } | Op::Dot { x, y, z, .. } => {
            let y = if let Operand::Vector(y) = y { Some(Register::Vector(y)) } else { None };
            [Some(Register::Vector(z)), Some(Register::Vector(x)), y]
        }
        Op::Copy { x, .. } => [Some(Register::Vector(x)), None, None],
        Op::Move { x, .. }
        | Op::AddConstant { x, .. }
        | Op::Add { x, .. }
        | Op::Subtract { x, .. } => [Some(Register::Scalar(x)), None, None],
        _ => [None; 3],
    }
}
