//! Why a candidate has no answer: a stable word for the store, and the evidence for people.
//!
//! Invariant: a failure of the candidate (`timeout`, `crash`, `stray_write`) is told apart from one of the caller
//! (`refused`) and one of the machine (`start`); only the first kind says anything about the candidate.

use std::fmt;
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;

/// A session that did not give an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer within the deadline, counted from the doorbell; the child was killed.
    TimedOut {
        /// The deadline.
        limit: Duration,
    },
    /// The child is gone.
    Crashed {
        /// The signal that ended it; 0 if it ended by itself.
        signal: i32,
        /// The signal's name, where it happened as the child reported it, and what the address is.
        detail: String,
    },
    /// Bytes beside an output's elements have changed.
    StrayWrite {
        /// The argument whose surroundings were hit.
        argument: usize,
        /// Where, relative to the argument's first byte.
        detail: String,
    },
    /// A library that cannot be loaded, has no function of the name, or has not let itself be locked in.
    Unloadable {
        /// What the loader or the kernel says.
        detail: String,
    },
    /// A library's function returned a code but 0: it says itself that it has not computed anything.
    Returned {
        /// The code.
        code: i32,
    },
    /// A library's function left other floating-point modes than it found.
    LeftModes,
    /// The artifact or the call cannot be run here: the caller's turn.
    Refused {
        /// What is wrong.
        detail: String,
    },
    /// The machine does not let the runner start: the user's turn.
    Start(Box<Diagnostic>),
}

impl Failure {
    /// The stable word: `timeout`, `crash`, `killed` (by a person or the system), `stray_write`, `load`, `code`, `modes`, `refused`
    /// or `start`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "timeout",
            Self::Crashed { .. } if !self.blames_candidate() => "killed",
            Self::Crashed { .. } => "crash",
            Self::StrayWrite { .. } => "stray_write",
            Self::Unloadable { .. } => "load",
            Self::Returned { .. } => "code",
            Self::LeftModes => "modes",
            Self::Refused { .. } => "refused",
            Self::Start(_) => "start",
        }
    }

    /// Whether the failure is the candidate's own, so that running it elsewhere would tell the same.
    pub fn blames_candidate(&self) -> bool {
        // The candidate can send no signal: these come from a person, the system or the end of its memory.
        const FROM_OUTSIDE: [i32; 5] =
            [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];
        match self {
            Self::TimedOut { .. }
            | Self::StrayWrite { .. }
            | Self::Unloadable { .. }
            | Self::Returned { .. }
            | Self::LeftModes => true,
            Self::Crashed { signal, .. } => !FROM_OUTSIDE.contains(signal),
            Self::Refused { .. } | Self::Start(_) => false,
        }
    }

    /// The same crash, told as one of the loading.
    pub(super) fn while_loading(self) -> Self {
        match self {
            Self::Crashed { signal, detail } => {
                Self::Crashed { signal, detail: format!("{detail}, while the library was loaded") }
            }
            other => other,
        }
    }

    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::Refused { detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { limit } => write!(f, "no answer within {limit:?}"),
            Self::Crashed { signal: 0, detail } => write!(f, "the candidate left: {detail}"),
            Self::Crashed { detail, .. } => write!(f, "the candidate crashed: {detail}"),
            Self::StrayWrite { argument, detail } => {
                write!(f, "the candidate wrote outside argument {argument}: {detail}")
            }
            Self::Unloadable { detail } => write!(f, "the library cannot be used: {detail}"),
            Self::Returned { code } => write!(f, "the function returned the code {code}"),
            Self::LeftModes => f.write_str("the function left other floating-point modes"),
            Self::Refused { detail } => write!(f, "cannot run this: {detail}"),
            Self::Start(diagnostic) => write!(f, "{diagnostic}"),
        }
    }
}

impl std::error::Error for Failure {}
