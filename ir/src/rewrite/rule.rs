//! What a rule is: a row with a name, a class, its meaning, and how it finds and writes what it equates.
//!
//! A rule is a pattern with a replacement, or a function of one node that gives values equal to the node's class.
//! Invariant: what a rule gives equals the class over the reals wherever its side condition holds; what may differ in
//! floats is said by the class of the rule.

use super::analysis::{Facts, Graphs};
use super::language::Math;
use super::view::ordered;
use egg::{
    Applier, Id, Language as _, Pattern, PatternAst, Rewrite, SearchMatches, Searcher, Subst,
    Symbol, Var,
};
use std::borrow::Cow;
use std::fmt;

/// What a rule may change in floats. Each class includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleClass {
    /// Nothing: the results are equal to the bit.
    Exact,
    /// Rounding: the order of operations.
    Reassociating,
    /// Rounding and range: an intermediate may be larger or smaller. What is known to be bounded stays bounded.
    #[default]
    Range,
    /// The value, within a stated error.
    Approximate,
}

impl RuleClass {
    /// The name in texts and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Reassociating => "reassociating",
            Self::Range => "range",
            Self::Approximate => "approximate",
        }
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Values equal to a class, seen from one of its nodes.
pub(super) type Equate = fn(&mut Graphs, Id, &Math) -> Vec<Id>;

/// How a rule works.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// `left => right`.
    Pattern(&'static str, &'static str),
    /// For every node that the first accepts, what the second gives.
    Node(fn(&Math) -> bool, Equate),
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) class: RuleClass,
    /// What it says, for people.
    pub(super) meaning: &'static str,
    pub(super) how: How,
}

impl Rule {
    pub(super) fn rewrite(&self) -> Rewrite<Math, Facts> {
        match self.how {
            How::Pattern(left, right) => {
                let parse = |text: &str| -> Pattern<Math> {
                    text.parse().expect("the patterns of the table are well formed")
                };
                Rewrite::new(self.name, parse(left), WithRoom(parse(right)))
            }
            How::Node(accepts, equate) => {
                Rewrite::new(self.name, Nodes(accepts), Equates { accepts, equate })
            }
        }
        .expect("the right side of a rule has no new variable")
    }
}

/// Finds the classes that have a node of a kind.
struct Nodes(fn(&Math) -> bool);

impl Searcher<Math, Facts> for Nodes {
    fn search_eclass_with_limit(
        &self,
        graphs: &Graphs,
        id: Id,
        _: usize,
    ) -> Option<SearchMatches<'_, Math>> {
        let found = graphs[id].nodes.iter().any(self.0);
        let ast: Option<Cow<'_, PatternAst<Math>>> = None;
        found.then(|| SearchMatches { eclass: id, substs: vec![Subst::default()], ast })
    }

    fn vars(&self) -> Vec<Var> {
        vec![]
    }
}

/// Writes the right side of a pattern while there is room.
struct WithRoom(Pattern<Math>);

impl Applier<Math, Facts> for WithRoom {
    fn apply_matches(
        &self,
        graphs: &mut Graphs,
        matches: &[SearchMatches<'_, Math>],
        name: Symbol,
    ) -> Vec<Id> {
        let mut changed = vec![];
        for found in matches.chunks(1) {
            if Facts::refuse(graphs) {
                break;
            }
            changed.extend(self.0.apply_matches(graphs, found, name));
        }
        changed
    }

    fn get_pattern_ast(&self) -> Option<&PatternAst<Math>> {
        Applier::<Math, Facts>::get_pattern_ast(&self.0)
    }

    fn apply_one(
        &self,
        graphs: &mut Graphs,
        id: Id,
        found: &Subst,
        ast: Option<&PatternAst<Math>>,
        name: Symbol,
    ) -> Vec<Id> {
        self.0.apply_one(graphs, id, found, ast, name)
    }

    fn vars(&self) -> Vec<Var> {
        Applier::<Math, Facts>::vars(&self.0)
    }
}

/// Unites each class with what the rule equates its nodes with.
struct Equates {
    accepts: fn(&Math) -> bool,
    equate: Equate,
}

impl Applier<Math, Facts> for Equates {
    fn apply_one(
        &self,
        graphs: &mut Graphs,
        id: Id,
        _: &Subst,
        _: Option<&PatternAst<Math>>,
        name: Symbol,
    ) -> Vec<Id> {
        let id = graphs.find(id);
        let nodes = ordered(graphs, id).into_iter().filter(|node| (self.accepts)(node));
        let nodes: Vec<Math> = nodes.cloned().collect();
        let mut changed = vec![];
        for node in nodes {
            if Facts::refuse(graphs) {
                break;
            }
            let node = node.map_children(|child| graphs.find(child));
            for equal in (self.equate)(graphs, id, &node) {
                if graphs.union_trusted(id, equal, name) {
                    changed.push(id);
                }
            }
        }
        changed
    }
}
