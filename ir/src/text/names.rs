//! The names of a program text while it is read: axes, buffers and locals, and what is said of a name declared twice.
//!
//! Invariant: a buffer and a local may share a name, two buffers or two axes may not.

use super::{Parsed, Parser, Resolve, code, quote_name};
use crate::base::{AxisId, AxisSet, AxisTable, BufferId, LocalId};
use crate::diag::{Diagnostic, Span};
use std::collections::BTreeMap;

/// A program that has a table of axes.
pub(crate) trait HasAxes {
    /// The axes so far.
    fn axes(&self) -> &AxisTable;
}

/// The program so far, and where its names are.
#[derive(Debug)]
pub(crate) struct Names<P> {
    pub(crate) program: P,
    pub(crate) buffers: BTreeMap<String, BufferId>,
    pub(crate) locals: BTreeMap<String, LocalId>,
}

impl<P> Names<P> {
    /// No names yet.
    pub(crate) fn new(program: P) -> Self {
        Self { program, buffers: BTreeMap::new(), locals: BTreeMap::new() }
    }
}

impl<P: HasAxes> Resolve for Names<P> {
    fn find_axis(&self, name: &str) -> Option<AxisId> {
        self.program.axes().find(name)
    }

    fn find_buffer(&self, name: &str) -> Option<BufferId> {
        self.buffers.get(name).copied()
    }

    fn find_local(&self, name: &str) -> Option<LocalId> {
        self.locals.get(name).copied()
    }
}

/// `extents i=3, j=4`, after its first word: declares the axes.
pub(crate) fn extents(parser: &mut Parser, axes: &mut AxisTable) -> Parsed<()> {
    loop {
        let (name, span) = parser.name()?;
        parser.expect("=")?;
        let extent = parser.count()?;
        if axes.find(&name).is_some() {
            duplicate(parser, "axis", &name, span);
        } else if let Some(axis) = axes.intern(&name) {
            axes.bind(axis, extent);
        } else {
            let message = format!("a program has at most {} axes", AxisSet::CAPACITY);
            let fault = Diagnostic::new(code::TOO_LARGE, message).at(span);
            parser.report(fault.help("merge axes that always occur together"));
        }
        if !parser.accept(",") {
            return Ok(());
        }
    }
}

/// Reports a name that is declared a second time.
pub(crate) fn duplicate(parser: &mut Parser, what: &str, name: &str, span: Span) {
    let shown = quote_name(name);
    let fault = Diagnostic::new(code::DUPLICATE, format!("the {what} {shown} is declared twice"));
    parser.report(fault.at(span).help("rename one"));
}
