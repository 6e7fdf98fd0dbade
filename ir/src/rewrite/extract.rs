//! The best forms of a saturated e-graph at given extents.
//!
//! A form is a choice of one node for each class. What a form costs is not the sum of its nodes' costs: two reductions
//! of one traversal share it, a traversal more reads everything again. So a choice is judged whole, as a graph, and
//! improved by exchanging one node at a time, from three starts: the text as written, the fewest operations, and the
//! fewest with every possible roll taken. All forms met on the way are candidates.
//! Invariant: the number of choices judged is bounded; equal e-graphs give equal forms in equal order.

use super::analysis::Graphs;
use super::cost::{Cost, cost};
use super::export::{Choice, export};
use super::factor::exponent_max;
use super::language::Math;
use super::stream::streamed;
use super::timing::{self, Best};
use super::view::ordered;
use crate::base::AxisSet;
use crate::graph::{Graph, Op, verify};
use crate::target::Target;
use egg::{Id, Language as _};
use std::collections::{BTreeMap, BTreeSet};

/// Choices judged from one start, for small kernels; in large ones each takes longer and fewer are judged.
const TRIES_MAX: usize = 600;
/// Choices times the classes of each.
const WORK_MAX: usize = 30_000;

/// Terms of an exponent that are taken apart.
const TERMS_MAX: u32 = 64;

/// A form that was met.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) choice: Choice,
    pub(super) graph: Graph,
    pub(super) cost: Cost,
}

/// What extraction works on.
pub(super) struct Extraction<'e> {
    pub(super) graphs: &'e Graphs,
    pub(super) roots: &'e [Id],
    pub(super) names: &'e BTreeMap<Id, String>,
    /// The text's own node for each class that it has.
    pub(super) written: &'e Choice,
    /// The kernel as written, with extents.
    pub(super) like: &'e Graph,
    pub(super) target: &'e Target,
}

/// Whether rolls are taken wherever there are any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taste {
    Fewest,
    Rolled,
}

impl Extraction<'_> {
    /// The best `count` forms that differ in structure, best first; one with the fewest passes is among them, for the
    /// clock to decide.
    pub(super) fn best(&self, count: usize) -> Vec<Candidate> {
        let mut met: BTreeMap<String, Candidate> = BTreeMap::new();
        let fewest = self.cheapest(Taste::Fewest);
        let mut written = fewest.clone();
        written.extend(self.written.iter().map(|(id, node)| (*id, node.clone())));
        for start in [&written, &self.cheapest(Taste::Rolled), &fewest] {
            self.climb(start, &mut met);
        }
        // A form may not overflow where the text does not, nor lose what the text keeps.
        let (known, back) = (self.risks(&written), self.detours(&written));
        let safe = |candidate: &Candidate| {
            self.risks(&candidate.choice).is_subset(&known)
                && self.detours(&candidate.choice).is_subset(&back)
        };
        let mut list: Vec<Candidate> = met.into_values().filter(safe).collect();
        // Equal costs stay in the order of their texts.
        list.sort_by(|x, y| rank(&x.cost).partial_cmp(&rank(&y.cost)).expect("costs are numbers"));
        distinct(list, count)
    }

    /// How many exponentials of the text may overflow.
    pub(super) fn risks_as_written(&self) -> u32 {
        u32::try_from(self.risks(self.written).len()).unwrap_or(u32::MAX)
    }

    /// One choice, run in the better of two ways.
    fn judge(&self, choice: &Choice) -> Option<Candidate> {
        let graph = export(self.graphs, choice, self.roots, self.names, self.like)?;
        // A roll whose term needs the final value of a reduction of its own traversal is no form.
        verify(&graph).ok()?;
        let risks = u32::try_from(self.risks(choice).len()).unwrap_or(u32::MAX);
        let cost = cost(&graph, self.target, risks);
        let plain = Candidate { choice: choice.clone(), graph, cost };
        Some(self.streamed(&plain).filter(|it| rank(&it.cost) < rank(&plain.cost)).unwrap_or(plain))
    }

    /// The candidate with reductions that make block by block what they need.
    fn streamed(&self, candidate: &Candidate) -> Option<Candidate> {
        let graph = streamed(&candidate.graph)?;
        let cost = cost(&graph, self.target, candidate.cost.risks);
        Some(Candidate { choice: candidate.choice.clone(), graph, cost })
    }

    /// Exchanges single nodes as long as that helps.
    fn climb(&self, start: &Choice, met: &mut BTreeMap<String, Candidate>) {
        let Some(mut best) = self.judge(start) else { return };
        met.insert(best.graph.print(), best.clone());
        let mut tries = 0;
        let tries_max = (WORK_MAX / self.used(start).len().max(1)).clamp(40, TRIES_MAX);
        loop {
            let mut better: Option<Candidate> = None;
            for (id, node) in self.exchanges(&best.choice) {
                tries += 1;
                if tries > tries_max {
                    break;
                }
                let mut choice = best.choice.clone();
                choice.insert(id, node);
                let Some(candidate) = self.judge(&choice) else { continue };
                let least = better.as_ref().unwrap_or(&best);
                if rank(&candidate.cost) < rank(&least.cost) {
                    better = Some(candidate.clone());
                }
                met.entry(candidate.graph.print()).or_insert(candidate);
            }
            match better {
                Some(candidate) => best = candidate,
                None => return,
            }
        }
    }

    /// Every other node of every class that the choice uses.
    fn exchanges(&self, choice: &Choice) -> Vec<(Id, Math)> {
        let mut list = vec![];
        for id in self.used(choice) {
            for node in ordered(self.graphs, id) {
                let possible = node.children().iter().all(|&child| {
                    let child = self.graphs.find(child);
                    child != id && choice.contains_key(&child)
                });
                if possible && choice.get(&id) != Some(node) {
                    list.push((id, node.clone()));
                }
            }
        }
        list
    }

    /// The classes below the roots, by key.
    fn used(&self, choice: &Choice) -> Vec<Id> {
        let mut used = self.below_roots(choice).into_iter().collect::<Vec<_>>();
        used.sort_by_key(|&id| (self.graphs[id].data.key, id));
        used
    }

    fn below_roots(&self, choice: &Choice) -> BTreeSet<Id> {
        let mut used = BTreeSet::new();
        let mut stack: Vec<Id> = self.roots.iter().map(|&root| self.graphs.find(root)).collect();
        while let Some(id) = stack.pop() {
            if used.insert(id)
                && let Some(node) = choice.get(&id)
            {
                stack.extend(node.children().iter().map(|&child| self.graphs.find(child)));
            }
        }
        used
    }

    /// Exponentials whose exponent adds what it takes off. It is worth nothing, and where that is NaN or large, the
    /// exponential is NaN or rounded for no reason in the text.
    fn detours(&self, choice: &Choice) -> BTreeSet<Id> {
        let returns = |id: &Id| match choice.get(id) {
            Some(Math::Exp([x]) | Math::Exp2([x])) => self.returns(choice, *x),
            _ => false,
        };
        self.below_roots(choice).into_iter().filter(returns).collect()
    }

    /// Whether a class is a number, and that is not negative.
    fn sign(&self, id: Id) -> Option<bool> {
        self.graphs[id].data.constant.map(|value| value >= 0.0)
    }

    /// Whether a sum, as chosen, has multiples of one term with both signs.
    fn returns(&self, choice: &Choice, sum: Id) -> bool {
        let mut signs: BTreeSet<(Id, bool)> = BTreeSet::new();
        let mut open = vec![(sum, true)];
        let mut steps = 0;
        while let Some((id, positive)) = open.pop() {
            let id = self.graphs.find(id);
            steps += 1;
            match choice.get(&id) {
                Some(Math::Add([x, y])) if steps < TERMS_MAX => {
                    open.extend([(*x, positive), (*y, positive)]);
                }
                Some(Math::Neg([x])) => open.push((*x, !positive)),
                Some(Math::Mul([x, y])) if self.sign(*x).is_some() => {
                    open.push((*y, self.sign(*x) == Some(positive)));
                }
                _ => drop(signs.insert((id, positive))),
            }
        }
        signs.iter().any(|&(id, positive)| positive && signs.contains(&(id, false)))
    }

    /// Exponentials of something that has no upper bound. Those of running values have one by the lemma that made them.
    fn risks(&self, choice: &Choice) -> BTreeSet<Id> {
        let risky = |id: &Id| match choice.get(id) {
            Some(Math::Exp([x]) | Math::Exp2([x])) => {
                let data = self.graphs[*x].data;
                data.high > exponent_max(data.dtype) && data.running.is_empty()
            }
            _ => false,
        };
        self.below_roots(choice).into_iter().filter(risky).collect()
    }

    /// The node of each class with the least work below it, shared parts counted again.
    fn cheapest(&self, taste: Taste) -> Choice {
        let mut best = Best::new();
        let mut classes: Vec<Id> = self.graphs.classes().map(|class| class.id).collect();
        classes.sort_by_key(|&id| (self.graphs[id].data.key, id));
        let nodes = |&id: &Id| (id, ordered(self.graphs, id));
        let classes: Vec<(Id, Vec<&Math>)> = classes.iter().map(nodes).collect();
        loop {
            let mut changed = false;
            for (id, nodes) in &classes {
                for node in nodes {
                    let Some(work) = self.work(*id, node, taste, &best) else { continue };
                    let less = |old: &(f64, Math)| work < old.0 * (1.0 - 1e-9);
                    if best.get(id).is_none_or(less) {
                        best.insert(*id, (work, (*node).clone()));
                        changed = true;
                    }
                }
            }
            if !changed {
                return best.into_iter().map(|(id, (_, node))| (id, node)).collect();
            }
        }
    }

    fn work(&self, id: Id, node: &Math, taste: Taste, best: &Best) -> Option<f64> {
        let mut work = 0.0;
        let mut axes = self.graphs[id].data.axes;
        for &child in node.children() {
            let child = self.graphs.find(child);
            work += best.get(&child)?.0;
            axes |= self.graphs[child].data.axes;
        }
        let volume: f64 = axes.iter().map(|axis| self.like.axes.extent(axis) as f64).product();
        let cycles = match node {
            Math::Number(_) | Math::Axes(_) => return Some(1e-3),
            Math::Roll(..) if !timing::is_in_time(self.graphs, node, best) => return None,
            Math::Roll(..) if taste == Taste::Rolled => return Some(1.0 + work * 1e-3),
            Math::Roll(..) => 1.5,
            Math::Exp([x])
                if self.graphs[*x].data.high > exponent_max(self.graphs[*x].data.dtype) =>
            {
                1e3
            }
            Math::Exp(_) | Math::Log(_) => 15.0,
            Math::Recip(_) | Math::Sqrt(_) => 5.0,
            Math::Neg(_) => 0.1,
            _ => 0.5,
        };
        Some(work + 1e-2 + cycles * volume)
    }
}

/// Risks first, then memory that long axes would take, then time.
fn rank(cost: &Cost) -> (u32, u32, f64) {
    (cost.risks, cost.large, cost.time_ns)
}

/// What makes two forms different for a tuner: the passes, and the reductions with the axes they run over.
fn structure(candidate: &Candidate) -> Vec<String> {
    let graph = &candidate.graph;
    let mut shape: Vec<String> = graph
        .ids()
        .filter_map(|id| {
            let node = graph.node(id);
            let (kind, axes, of): (&str, AxisSet, _) = match node.op {
                Op::Reduce(op, axes, x) => (op.name(), axes, x),
                Op::Roll(_, axes, x, _) => ("roll", axes, x),
                _ => return None,
            };
            let operand = graph.node(of).axes;
            Some(format!("{kind} {axes:?} {operand:?}"))
        })
        .collect();
    shape.sort_unstable();
    shape.push(format!("{:?}", candidate.cost.passes));
    shape
}

/// The first of each structure. The last place is that of the fewest passes, unless they are met before.
fn distinct(list: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    let passes = |candidate: &Candidate| candidate.cost.passes.values().sum::<u32>();
    let fewest = list.iter().map(passes).min();
    let mut seen = BTreeSet::new();
    let mut kept: Vec<Candidate> = vec![];
    for candidate in list {
        let missed = kept.iter().all(|known| Some(passes(known)) != fewest);
        let is_last = kept.len() + 1 == count && missed;
        let fits = !is_last || Some(passes(&candidate)) == fewest;
        if kept.len() < count && fits && seen.insert(structure(&candidate)) {
            kept.push(candidate);
        }
    }
    kept
}
