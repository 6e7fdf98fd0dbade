//! A list of faults that cannot grow without end.
//!
//! Invariant: at most `SHOWN_MAX` faults are kept, the first ones; the others are counted, and the count is told.

use super::{Diagnostic, Severity};

/// The most faults of one text that are kept.
pub const SHOWN_MAX: usize = 100;

/// Faults, of which the first are kept and the others are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    shown: Vec<Diagnostic>,
    shown_max: usize,
    hidden: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self { shown: vec![], shown_max: SHOWN_MAX, hidden: 0 }
    }
}

impl From<Diagnostic> for Faults {
    fn from(fault: Diagnostic) -> Self {
        let mut faults = Self::default();
        faults.push(fault);
        faults
    }
}

impl Extend<Diagnostic> for Faults {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, faults: I) {
        faults.into_iter().for_each(|fault| self.push(fault));
    }
}

impl Faults {
    /// A list for a part of the same text: it keeps only as many as this one has room for.
    #[must_use]
    pub fn part(&self) -> Self {
        let shown_max = self.shown_max.saturating_sub(self.shown.len());
        Self { shown: vec![], shown_max, hidden: 0 }
    }

    /// Whether further faults are only counted: nobody reads what they say.
    pub fn is_full(&self) -> bool {
        self.shown.len() >= self.shown_max
    }

    /// Adds a fault, or counts it.
    pub fn push(&mut self, fault: Diagnostic) {
        if !self.is_full() {
            self.shown.push(fault);
        } else {
            self.hidden += 1;
        }
    }

    /// Adds the faults of another list, and its count.
    pub fn append(&mut self, other: Self) {
        self.hidden += other.hidden;
        self.extend(other.shown);
    }

    /// Whether there is no fault.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.hidden == 0
    }

    /// How many faults there are, kept or not.
    pub fn count(&self) -> usize {
        self.shown.len() + self.hidden
    }

    /// The faults that are kept.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.shown
    }

    /// The same faults in text order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.shown.sort_by_key(|fault| fault.span);
        self
    }

    /// The faults in text order; if some are left out, the last one says how many.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        let Self { mut shown, hidden, .. } = self.sorted();
        if hidden > 0 {
            let is_warning = shown.iter().all(|fault| fault.severity == Severity::Warning);
            let what = if is_warning { "warning" } else { "fault" };
            let plural = if hidden == 1 { format!("{what} is") } else { format!("{what}s are") };
            let fault = Diagnostic::new("TW0108", format!("{hidden} more {plural} not shown"))
                .found(format!("{} {what}s in the text", shown.len() + hidden))
                .expected("none")
                .help("mend those that are shown, and check again");
            let severity = if is_warning { Severity::Warning } else { Severity::Error };
            shown.push(Diagnostic { severity, ..fault });
        }
        shown
    }
}
