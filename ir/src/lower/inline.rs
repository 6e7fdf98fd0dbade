//! Removes the optional maps that a schedule does not store: their readers evaluate them.
//!
//! A load of the map's buffer becomes a `let` of the reader, so the reader's expressions keep their structure.
//! Invariant: buffers keep their numbers; the maps removed are no longer in the pass list.

use crate::base::{BufferId, Expr, LocalId, Namer};
use crate::plan::{Let, Pass, PassProgram};
use std::collections::BTreeMap;

/// The program without the passes for which `stored` is false, and the position in `program` of each pass kept.
pub(crate) fn inline(program: &PassProgram, stored: &[bool]) -> (PassProgram, Vec<usize>) {
    let mut namer = Namer::new(&program.axes);
    program.values.iter().for_each(|value| namer.reserve(&value.name));
    program.locals.iter().for_each(|local| namer.reserve(&local.name));
    let mut result = PassProgram { passes: vec![], ..program.clone() };
    let mut kept = vec![];
    let mut maps: BTreeMap<BufferId, Pass> = BTreeMap::new();
    for (position, pass) in program.passes.iter().enumerate() {
        let pass = Inliner { program: &mut result, namer: &mut namer, maps: &maps }.pass(pass);
        if stored[position] {
            kept.push(position);
            result.passes.push(pass);
        } else {
            maps.extend(pass.results.iter().map(|result| (result.buffer, pass.clone())));
        }
    }
    (result, kept)
}

struct Inliner<'a> {
    program: &'a mut PassProgram,
    namer: &'a mut Namer,
    maps: &'a BTreeMap<BufferId, Pass>,
}

impl Inliner<'_> {
    fn pass(&mut self, pass: &Pass) -> Pass {
        let mut pass = pass.clone();
        let bodies = pass.states.iter_mut().map(|state| &mut state.body).collect();
        self.section(&mut pass.body_lets, bodies);
        let running = pass.states.iter_mut().filter_map(|state| state.running.as_mut());
        let updates = running.map(|running| &mut running.update).collect();
        self.section(&mut pass.update_lets, updates);
        let values = pass.results.iter_mut().map(|result| &mut result.value).collect();
        self.section(&mut pass.result_lets, values);
        pass
    }

    /// Replaces the loads of removed maps in some lets and the expressions after them.
    fn section(&mut self, lets: &mut Vec<Let>, mut exprs: Vec<&mut Expr>) {
        let mut loaded = vec![];
        let mut note = |expr: &Expr| match expr {
            Expr::Load(buffer) if !loaded.contains(buffer) => loaded.push(*buffer),
            _ => {}
        };
        lets.iter().for_each(|item| item.expr.walk(&mut note));
        exprs.iter().for_each(|expr| expr.walk(&mut note));
        let mut values: BTreeMap<BufferId, LocalId> = BTreeMap::new();
        let mut added = vec![];
        for buffer in loaded {
            if let Some(map) = self.maps.get(&buffer) {
                values.insert(buffer, self.value(map, buffer, &mut added));
            }
        }
        if values.is_empty() {
            return;
        }
        lets.iter_mut().for_each(|item| item.expr = loads_replaced(&item.expr, &values));
        exprs.iter_mut().for_each(|expr| **expr = loads_replaced(expr, &values));
        lets.splice(0..0, added);
    }

    /// Adds the lets of a map under fresh names, and gives the one that holds the value of `buffer`.
    fn value(&mut self, map: &Pass, buffer: BufferId, added: &mut Vec<Let>) -> LocalId {
        let mut renamed: BTreeMap<LocalId, LocalId> = BTreeMap::new();
        for item in &map.result_lets {
            let expr = locals_replaced(&item.expr, &renamed);
            let local = self.local_like(item.local);
            renamed.insert(item.local, local);
            added.push(Let { local, expr });
        }
        let result = map.results.iter().find(|result| result.buffer == buffer);
        let result = result.expect("maps are listed by the buffers of their results");
        let expr = locals_replaced(&result.value, &renamed);
        let value = &self.program.values[buffer.index()];
        let name = self.namer.fresh(&value.name);
        let axes = value.axes.iter().copied().collect();
        let local = self.local(crate::plan::Local { name, dtype: value.dtype, axes });
        added.push(Let { local, expr });
        local
    }

    fn local_like(&mut self, like: LocalId) -> LocalId {
        let mut local = self.program.locals[like.index()].clone();
        local.name = self.namer.fresh(&local.name);
        self.local(local)
    }

    fn local(&mut self, local: crate::plan::Local) -> LocalId {
        let id = u32::try_from(self.program.locals.len()).expect("fewer than 2^32 locals");
        self.program.locals.push(local);
        LocalId(id)
    }
}

fn loads_replaced(expr: &Expr, values: &BTreeMap<BufferId, LocalId>) -> Expr {
    match expr {
        Expr::Load(buffer) => match values.get(buffer) {
            Some(&local) => Expr::Local(local),
            None => expr.clone(),
        },
        other => other.map_children(|child| loads_replaced(child, values)),
    }
}

fn locals_replaced(expr: &Expr, names: &BTreeMap<LocalId, LocalId>) -> Expr {
    match expr {
        Expr::Local(local) => Expr::Local(names.get(local).copied().unwrap_or(*local)),
        other => other.map_children(|child| locals_replaced(child, names)),
    }
}
