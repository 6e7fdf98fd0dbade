//! Gives registers to a leaf: a linear scan over the intervals of `live`.
//!
//! Vectors and predicates never spill: too many are an error that says how many were needed. Constants give their
//! registers up first, the least used in loops before the others, and are read from the pool. Scalars spill to the
//! stack, the least used first.
//! Invariant: two registers that are alive together have different places.

use super::isa::{Isa, Refusal};
use super::live::{Interval, Intervals, Reading};
use super::program::{Leaf, Op, Register, Scalar, Vector};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where a scalar lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a register: its position among those that scalars may have.
    Register(u8),
    /// In a word of the stack.
    Stack(u32),
}

/// Registers that an instruction sequence needs for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scratch {
    /// Vectors, the last ones.
    pub(super) vectors: usize,
    /// Predicates, the last ones.
    pub(super) predicates: usize,
}

impl Scratch {
    fn with(self, other: Self) -> Self {
        Self {
            vectors: self.vectors.max(other.vectors),
            predicates: self.predicates.max(other.predicates),
        }
    }
}

/// What the allocation must know of the code to be written.
pub(super) trait Demands: Reading {
    /// The registers that the code of `op` takes besides its operands, if these constants are in memory.
    fn scratch(&self, op: &Op, pooled: &BTreeSet<Vector>) -> Scratch;
}

/// A place for every register of a leaf.
#[derive(Debug)]
pub(super) struct Allocation {
    places: BTreeMap<Register, u8>,
    scalars: BTreeMap<Scalar, Place>,
    /// Constants that have no register.
    pub(super) pooled: BTreeSet<Vector>,
    /// Words of the stack.
    pub(super) stack_words: u32,
    /// Registers kept for the code of single operations.
    pub(super) scratch: Scratch,
}

impl Allocation {
    /// Places for the registers of `leaf`, of which `scalars` can be in registers.
    ///
    /// # Errors
    /// When vectors or predicates do not fit, and when the leaf is malformed.
    pub(super) fn of(
        leaf: &Leaf,
        isa: Isa,
        scalars: usize,
        demands: &dyn Demands,
    ) -> Result<Self, Refusal> {
        let reading = Shared(demands);
        let intervals = Intervals::of(leaf, &reading)?;
        let mut ops = leaf.constants.iter().collect();
        flatten(&leaf.body, &mut ops);
        let mut found = Self {
            places: BTreeMap::new(),
            scalars: BTreeMap::new(),
            pooled: unused_constants(leaf, &intervals),
            stack_words: 0,
            scratch: Scratch::default(),
        };
        found.give_vectors(leaf, isa, &intervals, (&ops, demands))?;
        found.give_scalars(&intervals, scalars);
        Ok(found)
    }

    /// The register of a vector or a predicate; none of a constant in the pool.
    pub(super) fn register(&self, register: Register) -> Option<u8> {
        self.places.get(&register).copied()
    }

    /// The place of a scalar that occurs.
    pub(super) fn scalar(&self, scalar: Scalar) -> Place {
        *self.scalars.get(&scalar).expect("every scalar that occurs has a place")
    }

    /// The highest registers that scalars have.
    pub(super) fn scalar_registers(&self) -> impl Iterator<Item = u8> {
        self.scalars.values().filter_map(|place| match place {
            Place::Register(register) => Some(*register),
            Place::Stack(_) => None,
        })
    }

    fn give_vectors(
        &mut self,
        leaf: &Leaf,
        isa: Isa,
        intervals: &Intervals,
        (ops, demands): (&Vec<&Op>, &dyn Demands),
    ) -> Result<(), Refusal> {
        loop {
            let scratch = ops.iter().map(|op| demands.scratch(op, &self.pooled));
            self.scratch = scratch.fold(Scratch::default(), Scratch::with);
            let pooled =
                |register| matches!(register, Register::Vector(of) if self.pooled.contains(&of));
            let own = |of: &(Register, Interval)| match of.0 {
                Register::Vector(_) => !pooled(of.0),
                Register::Predicate(_) => isa.predicates() == 0,
                Register::Scalar(_) => false,
            };
            let mut vectors: Vec<_> = intervals.iter().filter(own).collect();
            let room = isa.vectors() - self.scratch.vectors;
            match scan(&mut vectors, room, Reuse::Oldest) {
                Ok(places) => {
                    self.places = places;
                    break;
                }
                Err(full) => {
                    let over = alive_at(&vectors, full).saturating_sub(room).max(1);
                    let victims = self.victims(leaf, intervals, full);
                    if victims.len() < over {
                        let needed = pressure(&vectors) + self.scratch.vectors;
                        return Err(Refusal::Pressure("vectors", needed, isa.vectors()));
                    }
                    self.pooled.extend(&victims[..over]);
                }
            }
        }
        if isa.predicates() > 0 {
            let of = |of: &(Register, Interval)| matches!(of.0, Register::Predicate(_));
            let mut predicates: Vec<_> = intervals.iter().filter(of).collect();
            let room = isa.predicates() - self.scratch.predicates;
            let places = scan(&mut predicates, room, Reuse::Oldest).map_err(|_| {
                let needed = pressure(&predicates) + self.scratch.predicates;
                Refusal::Pressure("predicates", needed, isa.predicates())
            })?;
            self.places.extend(places);
        }
        Ok(())
    }

    /// The constants that hold a register where none is free, the least used first.
    fn victims(&self, leaf: &Leaf, intervals: &Intervals, full: u32) -> Vec<Vector> {
        let constants = leaf.constants.iter().filter_map(poolable);
        let held = constants.filter(|constant| !self.pooled.contains(constant));
        let held = held.filter_map(|constant| {
            let interval = intervals.get(Register::Vector(constant))?;
            (interval.start <= full && full <= interval.end).then_some((interval.weight, constant))
        });
        let mut held: Vec<_> = held.collect();
        held.sort_unstable();
        held.into_iter().map(|(_, constant)| constant).collect()
    }

    fn give_scalars(&mut self, intervals: &Intervals, registers: usize) {
        let of = |of: &(Register, Interval)| matches!(of.0, Register::Scalar(_));
        let mut scalars: Vec<_> = intervals.iter().filter(of).collect();
        loop {
            match scan(&mut scalars, registers, Reuse::Lowest) {
                Ok(places) => {
                    let place = |(register, place)| match register {
                        Register::Scalar(scalar) => Some((scalar, Place::Register(place))),
                        Register::Vector(_) | Register::Predicate(_) => None,
                    };
                    self.scalars.extend(places.into_iter().filter_map(place));
                    return;
                }
                Err(full) => {
                    let alive = scalars.iter().enumerate().filter(|(_, (_, interval))| {
                        interval.start <= full && full <= interval.end
                    });
                    let victim = alive.min_by_key(|(_, (register, of))| (of.weight, *register));
                    let (victim, _) = victim.expect("registers ran out among living scalars");
                    if let (Register::Scalar(scalar), _) = scalars.remove(victim) {
                        self.scalars.insert(scalar, Place::Stack(self.stack_words));
                        self.stack_words += 1;
                    }
                }
            }
        }
    }
}

/// `Demands` as `Reading`.
struct Shared<'a>(&'a dyn Demands);

impl Reading for Shared<'_> {
    fn writes_early(&self, op: &Op) -> bool {
        self.0.writes_early(op)
    }
}

/// The register of a constant that can be read from memory instead.
pub(super) fn poolable(op: &Op) -> Option<Vector> {
    match *op {
        Op::Constant { to, .. } | Op::LaneNumbers { to } | Op::Words { to, .. } => Some(to),
        _ => None,
    }
}

/// Constants that nothing reads: they need no register.
fn unused_constants(leaf: &Leaf, intervals: &Intervals) -> BTreeSet<Vector> {
    let constants = leaf.constants.iter().filter_map(poolable);
    let unused = constants.filter(|&constant| {
        intervals.get(Register::Vector(constant)).is_none_or(|of| of.start == of.end)
    });
    unused.collect()
}

fn flatten<'a>(nodes: &'a [super::program::Node], ops: &mut Vec<&'a Op>) {
    use super::program::Node;
    for node in nodes {
        match node {
            Node::Op(op) => ops.push(op),
            Node::Loop { body, .. } => flatten(body, ops),
            Node::If { then, otherwise, .. } => {
                flatten(then, ops);
                flatten(otherwise, ops);
            }
            Node::IfAny { then, .. } => flatten(then, ops),
        }
    }
}

/// Which of the free registers is taken.
#[derive(Clone, Copy)]
enum Reuse {
    /// The one that has been free for the longest time: operations wait for each other the least.
    Oldest,
    /// The one with the lowest number: the fewest have to be saved.
    Lowest,
}

/// Registers below `count` for the intervals, or the instant at which none is free.
fn scan(
    intervals: &mut [(Register, Interval)],
    count: usize,
    reuse: Reuse,
) -> Result<BTreeMap<Register, u8>, u32> {
    intervals.sort_by_key(|(register, interval)| (interval.start, *register));
    let mut free: VecDeque<u8> = (0..count).map(|register| register as u8).collect();
    let mut active: Vec<(u32, u8)> = vec![];
    let mut places = BTreeMap::new();
    for (register, interval) in &*intervals {
        active.sort_unstable();
        let over = active.partition_point(|&(end, _)| end < interval.start);
        free.extend(active.drain(..over).map(|(_, place)| place));
        let hinted = interval.hints.iter().flatten().filter_map(|hint| places.get(hint));
        let hinted = hinted.filter_map(|place| free.iter().position(|free| free == place)).next();
        let position = hinted.or_else(|| match reuse {
            Reuse::Oldest => Some(0),
            Reuse::Lowest => (0..free.len()).min_by_key(|&position| free[position]),
        });
        let place = position.and_then(|position| free.remove(position));
        let place = place.ok_or(interval.start)?;
        active.push((interval.end, place));
        places.insert(*register, place);
    }
    Ok(places)
}

/// Intervals that hold at an instant.
fn alive_at(intervals: &[(Register, Interval)], instant: u32) -> usize {
    let holds = |of: &&(Register, Interval)| of.1.start <= instant && instant <= of.1.end;
    intervals.iter().filter(holds).count()
}

/// The most intervals that hold at one instant.
fn pressure(intervals: &[(Register, Interval)]) -> usize {
    let starts = intervals.iter().map(|(_, interval)| interval.start);
    starts.map(|start| alive_at(intervals, start)).max().unwrap_or(0)
}
