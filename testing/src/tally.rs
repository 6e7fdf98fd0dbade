//! What a run of many kernels did: how much was tried, which constructs, and how much of it was decided.
//!
//! Invariant: nothing is counted as tested that was not compared with the reference.

use crate::constructs;
use crate::judge::Refused;
use std::collections::BTreeMap;
use std::fmt;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{Expected, Family};

/// Elements by what a comparison with the reference can say of them.
#[derive(Clone, Copy, Debug, Default)]
struct Elements {
    /// Finite and decided to within a hundredth.
    sharp: u64,
    /// Finite, decided, with an allowance of more than a hundredth of the value (or 1e-6 near zero).
    loose: u64,
    /// NaN or infinite.
    limits: u64,
    undecided: u64,
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Kernels at a size set.
    pub kernels: u64,
    /// Schedules that were compiled.
    pub schedules: u64,
    /// Calls of compiled code that were compared.
    pub calls: u64,
    /// Families of which no draw was decided.
    pub undecided: u64,
    /// Inputs on which the interpreters of all stages ran.
    pub interpreted: u64,
    /// Forms of the rewriter that were judged.
    pub forms: u64,
    /// Of those the ones with rolled reductions.
    pub rolled: u64,
    /// What the back end refused, and how often.
    pub unsupported: Refused,
    /// Outputs (of a family) of which at least half the elements are sharply decided, and all of them.
    outputs: (u64, u64),
    constructs: BTreeMap<String, u64>,
    families: BTreeMap<&'static str, Elements>,
}

impl Tally {
    /// Counts the constructs of a text.
    pub(crate) fn text(&mut self, text: &str) {
        for construct in constructs::of(text) {
            *self.constructs.entry(construct).or_default() += 1;
        }
    }

    pub(crate) fn elements(&mut self, graph: &Graph, family: Family, expected: &[Expected]) {
        let elements = self.families.entry(family.name()).or_default();
        for (one, _) in expected.iter().zip(&graph.outputs) {
            let before = elements.sharp;
            for (&value, &allowance) in one.values.iter().zip(&one.allowances) {
                if allowance.is_infinite() {
                    elements.undecided += 1;
                } else if !value.is_finite() {
                    elements.limits += 1;
                } else if allowance <= value.abs().max(1e-4) * 1e-2 {
                    elements.sharp += 1;
                } else {
                    elements.loose += 1;
                }
            }
            let sharp = (elements.sharp - before) * 2 >= one.values.len() as u64;
            self.outputs.0 += u64::from(sharp && family != Family::Specials);
            self.outputs.1 += u64::from(family != Family::Specials);
        }
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.kernels += other.kernels;
        self.schedules += other.schedules;
        self.calls += other.calls;
        self.undecided += other.undecided;
        self.interpreted += other.interpreted;
        self.forms += other.forms;
        self.rolled += other.rolled;
        self.outputs.0 += other.outputs.0;
        self.outputs.1 += other.outputs.1;
        for (what, count) in &other.unsupported {
            *self.unsupported.entry(what.clone()).or_default() += count;
        }
        for (what, count) in &other.constructs {
            *self.constructs.entry(what.clone()).or_default() += count;
        }
        for (family, other) in &other.families {
            let own = self.families.entry(family).or_default();
            own.sharp += other.sharp;
            own.loose += other.loose;
            own.limits += other.limits;
            own.undecided += other.undecided;
        }
    }

    /// The share of outputs that a comparison decides sharply, in families without special values.
    pub fn sharp_share(&self) -> f64 {
        self.outputs.0 as f64 / self.outputs.1.max(1) as f64
    }

    /// How many files had a construct.
    pub fn count_of(&self, construct: &str) -> u64 {
        self.constructs.get(construct).copied().unwrap_or(0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernels, schedules, calls, interpreted, undecided, forms, rolled, .. } = self;
        writeln!(
            f,
            "{kernels} kernels, {schedules} schedules, {calls} calls, {interpreted} times all stages"
        )?;
        writeln!(f, "{forms} other forms, {rolled} of them rolled")?;
        writeln!(f, "undecided families {undecided}, unsupported {:?}", self.unsupported)?;
        writeln!(f, "sharply decided outputs {:.1} %", 100.0 * self.sharp_share())?;
        for (family, one) in &self.families {
            let all = (one.sharp + one.loose + one.limits + one.undecided).max(1) as f64;
            let part = |count: u64| 100.0 * count as f64 / all;
            let (sharp, loose) = (part(one.sharp), part(one.loose));
            let (limits, undecided) = (part(one.limits), part(one.undecided));
            writeln!(
                f,
                "  {family:9} sharp {sharp:5.1} %, loose {loose:4.1} %, not finite {limits:4.1} %, undecided {undecided:4.1} %"
            )?;
        }
        let constructs: Vec<String> =
            self.constructs.iter().map(|(name, count)| format!("{name} {count}")).collect();
        write!(f, "files with: {}", constructs.join(", "))
    }
}
