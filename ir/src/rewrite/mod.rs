//! The rewriter: forms of a kernel that are equal by algebra, found in an e-graph.
//!
//! A graph is spelled out in a small language (`import`), grown by rules (`rules`) until nothing new appears or a count
//! is reached, and read back (`extract`, `export`) as the forms that a cost model likes best at given sizes.
//! Invariant: every form equals the text over the reals; by which rules, `proof` says. Counts, not time, decide where
//! the growth stops, and no order of hashing reaches a form.

mod analysis;
mod casts;
mod centre;
mod cost;
mod export;
mod extract;
mod factor;
mod import;
mod key;
mod language;
mod memory;
mod picture;
mod proof;
mod roll;
mod rule;
mod rules;
mod shift;
mod smallest;
#[cfg(test)]
mod steps;
mod stream;
mod timing;
mod view;
mod work;

pub use picture::{ClassPicture, EGraphPicture, NodePicture, picture};
pub use proof::Step;
pub use rule::RuleClass;

use crate::graph::{Graph, NodeId};
use crate::plan;
use crate::target::Target;
use analysis::{Facts, Graphs};
use cost::Cost;
use egg::{Id, Runner, SimpleScheduler};
use export::Choice;
use language::Math;
use std::collections::BTreeMap;
use std::time::Duration;

/// The order in which rules are tried. The forms do not depend on it; tests compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of the table.
    #[default]
    Table,
    /// The last first.
    Reversed,
}

/// The names of all rules.
pub fn rule_names() -> impl Iterator<Item = &'static str> {
    rules::RULES.iter().map(|rule| rule.name)
}

/// Name, class and meaning of every rule, for people.
pub fn rule_rows() -> impl Iterator<Item = (&'static str, RuleClass, &'static str)> {
    rules::RULES.iter().map(|rule| (rule.name, rule.class, rule.meaning))
}

/// Where the growth of the e-graph stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of the e-graph.
    pub nodes: usize,
    /// Rounds of all rules.
    pub iterations: usize,
    /// Operations of a kernel; larger ones are not rewritten.
    pub operations: usize,
    /// The order of the rules.
    pub order: Order,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 2000, iterations: 15, operations: 200, order: Order::Table }
    }
}

/// How the growth went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Nodes at the end.
    pub nodes: usize,
    /// Classes at the end.
    pub classes: usize,
    /// Rounds.
    pub iterations: usize,
    /// Time of the growth in microseconds; never read by a decision.
    pub time_us: u64,
    /// How many equalities each rule found, by name.
    pub used: BTreeMap<&'static str, usize>,
    /// Why it stopped: `saturated`, `nodes`, `iterations`, `time`. After `time` the result is not reproducible.
    pub stop_reason: &'static str,
}

/// One form of a kernel.
#[derive(Clone, Debug)]
pub struct Form {
    /// The form, with the extents it was chosen for.
    pub graph: Graph,
    /// The time that the model expects, for ranking.
    pub predicted_ns: f64,
    /// How many values larger than the chip's memory, and than all tensors of the call, are stored whole.
    pub large: u32,
    /// Exponentials that may overflow. No form has one that the text does not have.
    pub risks: u32,
    /// How often each axis that is reduced is traversed, by name.
    pub passes: BTreeMap<String, u32>,
    choice: Choice,
}

/// A kernel with everything the rules found equal to it. One serves all sizes.
#[derive(Clone, Debug)]
pub struct Rewriter {
    graphs: Graphs,
    roots: Vec<Id>,
    names: BTreeMap<Id, String>,
    written: Choice,
    /// How the growth went.
    pub growth: Growth,
}

/// Candidates beyond those asked for, in case some cannot be planned.
const SPARE: usize = 4;
/// Only a safety net: counts stop the growth long before.
const TIME_MAX: Duration = Duration::from_secs(20);

impl Rewriter {
    /// Grows the e-graph of a kernel.
    pub fn new(graph: &Graph, limits: Limits) -> Self {
        let permitted = rules::RULES.iter().filter(|rule| rule.class <= graph.permits);
        Self::with_rules(graph, limits, &permitted.collect::<Vec<_>>())
    }

    /// As `new`, with these rules only.
    fn with_rules(graph: &Graph, limits: Limits, rules: &[&rule::Rule]) -> Self {
        let imported = import::import(graph);
        let mut runner: Runner<Math, Facts> = Runner::new(imported.facts)
            .with_explanations_enabled()
            .with_iter_limit(limits.iterations)
            .with_node_limit(limits.nodes)
            .with_time_limit(TIME_MAX)
            .with_scheduler(SimpleScheduler)
            .with_hook(|runner| {
                analysis::refresh(&mut runner.egraph);
                Ok(())
            });
        let places: Vec<Id> = add(&mut runner.egraph, &imported.expression);
        runner.egraph.rebuild();
        let mut rules: Vec<_> = rules.iter().map(|rule| rule.rewrite()).collect();
        if limits.order == Order::Reversed {
            rules.reverse();
        }
        if graph.nodes.len() <= limits.operations {
            runner.egraph.analysis.nodes_max = Some(limits.nodes);
            runner = runner.run(&rules);
            runner.egraph.analysis.nodes_max = None;
        }
        let growth = growth(&runner);
        let mut graphs = runner.egraph;
        graphs.rebuild();
        analysis::refresh(&mut graphs);
        graphs.rebuild();
        let class = |node: NodeId| graphs.find(places[usize::from(imported.places[node.index()])]);
        let roots = graph.outputs.iter().map(|output| class(output.node)).collect();
        let mut names = BTreeMap::new();
        for node in graph.ids() {
            if let Some(name) = &graph.names[node.index()] {
                names.entry(class(node)).or_insert_with(|| name.clone());
            }
        }
        let mut written = Choice::new();
        for (place, node) in imported.expression.as_ref().iter().enumerate() {
            let node = egg::Language::map_children(node.clone(), |child| {
                graphs.find(places[usize::from(child)])
            });
            written.entry(graphs.find(places[place])).or_insert(node);
        }
        Self { graphs, roots, names, written, growth }
    }

    /// The best forms at the extents of a bound graph of the same kernel, best first; none of a kernel that permits
    /// exact rules alone.
    pub fn forms(&self, bound: &Graph, target: &Target, count: usize) -> Vec<Form> {
        // To spell a quotient as a product with a reciprocal is already more than exact.
        if bound.permits == RuleClass::Exact {
            return vec![];
        }
        // The planner refuses a few: a gather from a value that would be made within its own traversal.
        let mut candidates = self.extraction(bound, target).best(count + SPARE);
        candidates.retain(|candidate| plan::verify(&plan::build(&candidate.graph)).is_ok());
        candidates.truncate(count);
        candidates.into_iter().map(form).collect()
    }

    /// As `Form::risks`, of the text as written.
    pub fn risks(&self, bound: &Graph, target: &Target) -> u32 {
        self.extraction(bound, target).risks_as_written()
    }

    fn extraction<'e>(&'e self, bound: &'e Graph, target: &'e Target) -> extract::Extraction<'e> {
        extract::Extraction {
            graphs: &self.graphs,
            roots: &self.roots,
            names: &self.names,
            written: &self.written,
            like: bound,
            target,
        }
    }

    /// The steps that lead from the text to a form.
    pub fn prove(&mut self, form: &Form) -> Vec<Step> {
        let proof = proof::Proof {
            roots: &self.roots,
            names: &self.names,
            graph: &form.graph,
            written: &self.written,
            chosen: &form.choice,
        };
        let mut steps = proof.steps(&mut self.graphs);
        steps.extend(stream::steps(&form.graph));
        steps
    }
}

/// What the model expects of a graph as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The time of one call in nanoseconds.
    pub time_ns: f64,
    /// As `Form::large`.
    pub large: u32,
    /// How often each axis that is reduced is traversed, by name.
    pub passes: BTreeMap<String, u32>,
}

/// What the model expects of a bound graph.
pub fn predict(graph: &Graph, target: &Target) -> Prediction {
    let cost = cost::cost(graph, target, 0);
    Prediction { time_ns: cost.time_ns, large: cost.large, passes: passes(graph, &cost) }
}

fn passes(graph: &Graph, cost: &Cost) -> BTreeMap<String, u32> {
    let name =
        |(axis, count): (&crate::base::AxisId, &u32)| (graph.axes.name(*axis).to_string(), *count);
    cost.passes.iter().map(name).collect()
}

fn form(candidate: extract::Candidate) -> Form {
    let extract::Candidate { graph, cost, choice } = candidate;
    let Cost { time_ns, large, risks, .. } = cost;
    Form { predicted_ns: time_ns, large, risks, passes: passes(&graph, &cost), graph, choice }
}

/// Adds every node of a list; their classes.
fn add(graphs: &mut Graphs, expression: &egg::RecExpr<Math>) -> Vec<Id> {
    let mut places: Vec<Id> = vec![];
    for node in expression.as_ref() {
        let node = egg::Language::map_children(node.clone(), |child| places[usize::from(child)]);
        places.push(graphs.add(node));
    }
    places
}

fn growth(runner: &Runner<Math, Facts>) -> Growth {
    use egg::StopReason;
    let stop_reason = match runner.stop_reason {
        Some(StopReason::TimeLimit(_)) => "time",
        _ if runner.egraph.analysis.is_full => "nodes",
        Some(StopReason::Saturated) => "saturated",
        Some(StopReason::NodeLimit(_)) => "nodes",
        Some(StopReason::IterationLimit(_)) => "iterations",
        Some(StopReason::Other(_)) | None => "operations",
    };
    let mut used = BTreeMap::new();
    for (rule, count) in runner.iterations.iter().flat_map(|iteration| &iteration.applied) {
        if let Some(name) = rule_names().find(|name| *name == rule.as_str()) {
            *used.entry(name).or_default() += count;
        }
    }
    let seconds: f64 = runner.iterations.iter().map(|iteration| iteration.total_time).sum();
    Growth {
        nodes: runner.egraph.total_number_of_nodes(),
        classes: runner.egraph.number_of_classes(),
        iterations: runner.iterations.len(),
        time_us: (seconds * 1e6) as u64,
        used,
        stop_reason,
    }
}
