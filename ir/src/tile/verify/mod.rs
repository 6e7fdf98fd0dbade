//! The rules a tile program obeys.
//!
//! `structure`: identifiers, names, declarations. `types`: operands. `walk`: the program in order of execution, with
//! the loops, the names in scope and the memory written so far. `value`: what one expression needs there.
//! Invariant: what is not proved is refused, and every fault says what, where, and one way out.

mod scan;
mod structure;
mod types;
mod value;
mod walk;

use super::TileProgram;
use crate::diag::Diagnostic;
use crate::target::Target;

/// Proves the program legal on the target, or says why not.
///
/// # Errors
/// One diagnostic for each rule that is broken or cannot be proved.
pub fn verify(program: &TileProgram, target: &Target) -> Result<(), Vec<Diagnostic>> {
    let mut report = Report::default();
    structure::check(program, &mut report);
    // The other rules look names up and need a program whose identifiers are sound.
    if report.faults.is_empty() {
        walk::check(program, target, &mut report);
    }
    if report.faults.is_empty() { Ok(()) } else { Err(report.faults) }
}

/// The codes of the rules.
mod code {
    /// Identifiers, names and declarations.
    pub(super) const STRUCTURE: &str = "TW0520";
    /// Operand types.
    pub(super) const TYPES: &str = "TW0521";
    /// A value varies over an axis that its destination lacks.
    pub(super) const AXES: &str = "TW0522";
    /// Loops: an axis twice on a path, a step of 0.
    pub(super) const LOOPS: &str = "TW0523";
    /// A block that a buffer holds is not the block of a loop.
    pub(super) const SPANS: &str = "TW0524";
    /// An element of a result is stored never or more than once.
    pub(super) const STORES: &str = "TW0525";
    /// Memory is read before it is written.
    pub(super) const UNWRITTEN: &str = "TW0526";
    /// A local is used where it has no value, or where its value would be another one.
    pub(super) const LOCALS: &str = "TW0527";
    /// A reduction within a reduction of the same axis.
    pub(super) const NESTED: &str = "TW0528";
    /// A chain of additions that is too long for the error bound.
    pub(super) const CHAINS: &str = "TW0529";
    /// The inner loops.
    pub(super) const MICRO: &str = "TW0530";
    /// More memory than the machine or the rules give.
    pub(super) const CAPACITY: &str = "TW0531";
    /// A carry that does not fit its loop or its place.
    pub(super) const CARRIES: &str = "TW0532";
}

/// Faults, each with the statement it was found in.
#[derive(Default)]
struct Report {
    faults: Vec<Diagnostic>,
    place: String,
}

impl Report {
    fn fault(&mut self, code: &'static str, what: &str, help: &str) {
        let at = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) };
        let fault = Diagnostic::new(code, format!("{at}{what}")).help(help);
        // One statement may break a rule in many places of one expression.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}
