//! Whether what a roll reads is there when it runs.
//!
//! A roll runs beside the reductions whose running values it reads, so the final value of a reduction that is made in
//! the same traversal, or in a later one, comes too late for it.
//! Invariant: what is said holds for the chosen nodes; other choices below a roll may make it possible again.

use super::analysis::Graphs;
use super::language::Math;
use egg::{Id, Language as _};
use std::collections::BTreeMap;

/// The chosen node of each class so far, with the work below it.
pub(super) type Best = BTreeMap<Id, (f64, Math)>;

/// How many traversals come before a value, and before the running values that it reads.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    all: u32,
    running: Option<u32>,
}

/// Whether a roll needs nothing that its own traversal makes but running values.
pub(super) fn is_in_time(graphs: &Graphs, roll: &Math, best: &Best) -> bool {
    let mut levels = Levels { graphs, best, known: BTreeMap::new() };
    match levels.of_operands(roll) {
        Some(Level { all, running: Some(running) }) => all <= running,
        Some(Level { running: None, .. }) => true,
        None => false,
    }
}

struct Levels<'e> {
    graphs: &'e Graphs,
    best: &'e Best,
    /// `None` while a class is looked at: a choice that needs itself has no level.
    known: BTreeMap<Id, Option<Level>>,
}

impl Levels<'_> {
    fn of(&mut self, id: Id) -> Option<Level> {
        let id = self.graphs.find(id);
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        self.known.insert(id, None);
        let best = self.best;
        let node = &best.get(&id)?.1;
        let level = self.of_operands(node)?;
        let level = match node {
            Math::AfterSum(_) | Math::AfterMax(_) | Math::BeforeSum(_) | Math::BeforeMax(_) => {
                Level { all: level.all, running: Some(level.all) }
            }
            Math::Sum(_) | Math::MaxOf(_) | Math::MinOf(_) | Math::Roll(..) => {
                Level { all: level.all + 1, running: None }
            }
            Math::Other(name, _) if self.graphs.analysis.opaque[name].op.is_traversal() => {
                Level { all: level.all + 1, running: None }
            }
            _ => level,
        };
        self.known.insert(id, Some(level));
        Some(level)
    }

    fn of_operands(&mut self, node: &Math) -> Option<Level> {
        let mut level = Level::default();
        for &operand in node.children() {
            let of = self.of(operand)?;
            level.all = level.all.max(of.all);
            level.running = level.running.max(of.running);
        }
        Some(level)
    }
}
