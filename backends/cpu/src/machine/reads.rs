//! Who reads and writes what in the statements of a tile program.
//!
//! Invariant: a `let` reads what its expression reads, at every use.

use std::collections::{BTreeMap, BTreeSet};
use tilewright_ir::base::Expr;
use tilewright_ir::tile::{For, Place as CarryPlace, Stmt};
use tilewright_ir::{BufferId, LocalId};

pub(super) fn contains_reduction(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part: &Expr| found |= matches!(part, Expr::Reduce(..) | Expr::Mma(..)));
    found
}

/// Whether only a carry's own `next` reads it, each element at its own position, so it may be updated in place.
pub(super) fn is_own_only(statement: &For, index: usize) -> bool {
    let local = statement.carries[index].local;
    let lets = lets_of(&statement.body);
    let reads = |expr: &Expr| reads_local(expr, local, &lets);
    let own = &statement.carries[index].next;
    let others = statement.carries.iter().enumerate().filter(|&(other, _)| other != index);
    let read_by_others = others
        .map(|(_, carry)| carry)
        .any(|carry| reads(&carry.next) || carry.last.as_ref().is_some_and(&reads));
    let mut read_in_reduction = false;
    own.walk(&mut |part: &Expr| {
        if let Expr::Reduce(_, _, body) = part {
            read_in_reduction |= reads(body);
        }
        if let Expr::Mma(_, a, b, _) = part {
            read_in_reduction |= reads(a) || reads(b);
        }
    });
    !read_by_others && !read_in_reduction && !body_reads(&statement.body, local, &lets)
}

fn lets_of(statements: &[Stmt]) -> BTreeMap<LocalId, &Expr> {
    let mut lets = BTreeMap::new();
    for statement in statements {
        if let Stmt::Let { local, expr } = statement {
            lets.insert(*local, expr);
        }
    }
    lets
}

fn reads_local(expr: &Expr, local: LocalId, lets: &BTreeMap<LocalId, &Expr>) -> bool {
    let mut pending = vec![expr];
    let mut seen = BTreeSet::new();
    let mut found = false;
    while let Some(expr) = pending.pop() {
        expr.walk(&mut |part: &Expr| {
            if let Expr::Local(name) = part {
                found |= *name == local;
                if seen.insert(*name) {
                    pending.extend(lets.get(name));
                }
            }
        });
    }
    found
}

fn body_reads(statements: &[Stmt], local: LocalId, lets: &BTreeMap<LocalId, &Expr>) -> bool {
    statements.iter().any(|statement| match statement {
        Stmt::Let { expr, .. } => contains_reduction(expr) && reads_local(expr, local, lets),
        Stmt::Stage { expr, .. } | Stmt::Store { expr, .. } => reads_local(expr, local, lets),
        Stmt::Scan(scan) => reads_local(&scan.expr, local, lets),
        Stmt::For(inner) => {
            inner.carries.iter().any(|carry| {
                reads_local(&carry.next, local, lets)
                    || carry.last.as_ref().is_some_and(|last| reads_local(last, local, lets))
            }) || body_reads(&inner.body, local, lets)
        }
    })
}

pub(super) fn written_buffers(statements: &[Stmt]) -> Vec<BufferId> {
    let mut written = Vec::new();
    for statement in statements {
        match statement {
            Stmt::Let { .. } => {}
            Stmt::Stage { buffer, .. } | Stmt::Store { buffer, .. } => written.push(*buffer),
            Stmt::Scan(scan) => written.push(scan.buffer),
            Stmt::For(inner) => {
                written.extend(written_buffers(&inner.body));
                written.extend(inner.carries.iter().filter_map(|carry| match carry.place {
                    CarryPlace::Out(buffer) => Some(buffer),
                    CarryPlace::Group => None,
                }));
            }
        }
    }
    written
}

pub(super) fn buffer_id(index: usize) -> BufferId {
    BufferId(u32::try_from(index).expect("a program has fewer than 2^32 buffers"))
}
