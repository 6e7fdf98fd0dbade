//! Why a candidate does not count: a stable word and the evidence.

use crate::launch::Failure;
use std::fmt;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::reference::Verdict;

/// The class of a rejection that says nothing against the candidate.
pub(super) const UNDECIDED: &str = "undecided";

/// A rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The stable word: `illegal` (the schedule), `compile` (the back end), `wrong`, `nondeterministic`, `crash`,
    /// `killed` (by somebody else), `timeout`, `stray_write`, `load` (a library that is none), `code` (returned by its function), `modes` (of
    /// floating point, not as found), `refused` (the launcher), `slow`, `impossible` (faster than the machine),
    /// `undecided` (of no data the judge can say what is right), `duplicate` (the code of an earlier candidate), `panic` (a
    /// fault of ours).
    pub reason: &'static str,
    /// What was found, and where.
    pub evidence: String,
    /// What the back end said, if it is the one that refused.
    pub unsupported: Option<Unsupported>,
    /// What is wrong with this machine, if the candidate could not be run at all.
    pub fault: Option<Box<Diagnostic>>,
}

impl Rejection {
    /// A rejection with its evidence.
    pub fn new(reason: &'static str, evidence: impl Into<String>) -> Self {
        Self { reason, evidence: evidence.into(), unsupported: None, fault: None }
    }

    /// The same, with the layout of the arrays in which it was found.
    pub(super) fn in_layout(mut self, layout: &str) -> Self {
        self.evidence.push_str(&format!("; in the {layout} layout of the arrays"));
        self
    }

    pub(super) fn wrong(output: &str, case: &str, verdict: &Verdict) -> Self {
        let first = verdict.first_wrong.as_ref().map_or(String::new(), |wrong| {
            format!(
                ", the first at {:?}: {} where {} is expected within {}",
                wrong.index, wrong.got, wrong.expected, wrong.allowance
            )
        });
        let (wrong, elements) = (verdict.wrong, verdict.elements);
        Self::new("wrong", format!("{case}: {wrong} of {elements} elements of {output}{first}"))
    }

    /// Nothing can be said of a candidate on this data, and no other was found.
    pub(super) fn undecided(output: &str, case: &str, verdict: &Verdict) -> Self {
        let (undecided, elements) = (verdict.undecided, verdict.elements);
        Self::new(
            UNDECIDED,
            format!(
                "{case}: {undecided} of {elements} elements of {output} hang on what rounding may decide, so nothing can \
                 be said; judge at other sizes"
            ),
        )
    }

    /// The faults of a schedule or of the program made of it.
    pub(crate) fn illegal(faults: &[Diagnostic]) -> Self {
        let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Self::new("illegal", list.join("; "))
    }
}

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        let rejection = Self::new(failure.reason(), failure.to_string());
        match failure {
            Failure::Start(fault) => Self { fault: Some(fault), ..rejection },
            _ => rejection,
        }
    }
}

impl From<Unsupported> for Rejection {
    fn from(unsupported: Unsupported) -> Self {
        let evidence = unsupported.to_string();
        Self { unsupported: Some(unsupported), ..Self::new("compile", evidence) }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.evidence)
    }
}
