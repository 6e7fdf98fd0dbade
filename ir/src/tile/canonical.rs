//! The canonical numbering of a tile program: buffers and locals in the order in which the text declares them.
//!
//! Inputs, outputs and device buffers come first; then group buffers and locals as they appear. What no declaration
//! names and nothing refers to is dropped. Invariant: `print` is the same before and after.

use super::{For, Place, Scope, Stmt, TileProgram};
use crate::base::{BufferId, Expr, LocalId};

impl TileProgram {
    /// The same program with buffers and locals numbered in order of declaration.
    #[must_use]
    pub fn canonical(&self) -> Self {
        let mut order = Order::new(self);
        for phase in &self.phases {
            phase.group.iter().for_each(|&buffer| order.buffers.see(buffer.index()));
            order.declarations(&phase.body);
        }
        let mut program = self.clone();
        for phase in &mut program.phases {
            phase.group.iter_mut().for_each(|buffer| *buffer = order.buffer(*buffer));
            order.renumber(&mut phase.body);
        }
        program.buffers = order.buffers.pick(&self.buffers);
        program.locals = order.locals.pick(&self.locals);
        program
    }
}

/// Old positions in their new order.
struct Numbering {
    seen: Vec<usize>,
    new: Vec<Option<usize>>,
}

impl Numbering {
    fn new(count: usize) -> Self {
        Self { seen: vec![], new: vec![None; count] }
    }

    fn see(&mut self, old: usize) {
        if self.new.get(old).is_some_and(Option::is_none) {
            self.new[old] = Some(self.seen.len());
            self.seen.push(old);
        }
    }

    /// The new number. A reference without a declaration is numbered last; one out of range stays out of range.
    fn number(&mut self, old: usize) -> u32 {
        self.see(old);
        let new = self.new.get(old).copied().flatten();
        new.and_then(|new| u32::try_from(new).ok()).unwrap_or(u32::MAX)
    }

    fn pick<T: Clone>(&self, items: &[T]) -> Vec<T> {
        self.seen.iter().map(|&old| items[old].clone()).collect()
    }
}

struct Order {
    buffers: Numbering,
    locals: Numbering,
}

impl Order {
    fn new(program: &TileProgram) -> Self {
        let mut buffers = Numbering::new(program.buffers.len());
        for scope in [Scope::Input, Scope::Output, Scope::Device] {
            for (old, buffer) in program.buffers.iter().enumerate() {
                if buffer.scope == scope {
                    buffers.see(old);
                }
            }
        }
        Self { buffers, locals: Numbering::new(program.locals.len()) }
    }

    fn declarations(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { local, .. } => self.locals.see(local.index()),
                Stmt::Stage { buffer, .. } => self.buffers.see(buffer.index()),
                Stmt::Store { .. } | Stmt::Scan(_) => {}
                Stmt::For(inner) => {
                    inner.carries.iter().for_each(|carry| self.locals.see(carry.local.index()));
                    self.declarations(&inner.body);
                }
            }
        }
    }

    fn renumber(&mut self, body: &mut [Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { local, expr } => {
                    *local = self.local(*local);
                    *expr = self.expr(expr);
                }
                Stmt::Stage { buffer, expr, .. } | Stmt::Store { buffer, expr, .. } => {
                    *buffer = self.buffer(*buffer);
                    *expr = self.expr(expr);
                }
                Stmt::Scan(scan) => {
                    scan.buffer = self.buffer(scan.buffer);
                    scan.expr = self.expr(&scan.expr);
                }
                Stmt::For(inner) => self.renumber_for(inner),
            }
        }
    }

    fn renumber_for(&mut self, inner: &mut For) {
        inner.bounds.retain(|_, bounds| !bounds.is_open());
        self.renumber(&mut inner.body);
        for carry in &mut inner.carries {
            carry.local = self.local(carry.local);
            if let Place::Out(buffer) = carry.place {
                carry.place = Place::Out(self.buffer(buffer));
            }
            carry.next = self.expr(&carry.next);
            carry.last = carry.last.as_ref().map(|last| self.expr(last));
        }
    }

    fn buffer(&mut self, buffer: BufferId) -> BufferId {
        BufferId(self.buffers.number(buffer.index()))
    }

    fn local(&mut self, local: LocalId) -> LocalId {
        LocalId(self.locals.number(local.index()))
    }

    fn expr(&mut self, expr: &Expr) -> Expr {
        match expr {
            Expr::Local(local) => Expr::Local(self.local(*local)),
            Expr::Load(buffer) => Expr::Load(self.buffer(*buffer)),
            Expr::At(buffer, picks) => {
                let buffer = self.buffer(*buffer);
                Expr::At(buffer, picks.iter().map(|(axis, x)| (*axis, self.expr(x))).collect())
            }
            other => other.map_children(|child| self.expr(child)),
        }
    }
}
